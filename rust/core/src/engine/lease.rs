//! Leases: a busy instance whose Idle never comes is destroyed after a multiple of its function's
//! timeout.
//!
//! Periodic scan: once a second a pass over the slot table looks how long each busy instance has
//! been so. The slot keeps that anyway, so leases cost a warm request nothing; they end up to a
//! second late. An instance is destroyed and not handed out again: whoever holds it may still use
//! it.
//!
//! Cost: a look a slot, in steps of at most 16,384; nothing while there are no slots, or no leases.

use super::Engine;
use super::work::{CHANGE, LOOK, Work};
use crate::command::{Command, DestroyReason};
use crate::ids::SlotId;
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::sync::{AtomicBool, AtomicU32, Ordering, fence};
use crate::table::{Function, State};

/// Time between passes.
const PASS: Nanos = Nanos::from_secs(1);

#[derive(Debug)]
pub(super) struct Leases {
    /// A pass is scheduled or under way.
    begun: AtomicBool,
    /// Where the pass goes on.
    next: AtomicU32,
}

impl Leases {
    pub(super) fn new() -> Self {
        Self { begun: AtomicBool::new(false), next: AtomicU32::new(0) }
    }
}

impl Engine {
    /// Begins the passes with the first start.
    ///
    /// # Ordering
    ///
    /// Dekker's flags: a start makes its slot live before it looks whether a pass is under way, a
    /// pass that ends says so before it looks for live slots, with a full fence between on either
    /// side. One sees the other.
    pub(super) fn begin_leases(&self, now: Nanos) {
        fence(Ordering::SeqCst);
        if self.config.lease_factor.is_some() && !self.leases.begun.swap(true, Ordering::Relaxed) {
            self.timers.leases(now + PASS);
        }
    }

    /// A step of a pass.
    pub(super) fn sweep_leases(&self, now: Nanos, work: &mut Work, out: &mut Vec<Command>) {
        let next = self.leases.next.load(Ordering::Relaxed);
        for (index, slot) in self.slots.iter_from(next) {
            if !work.take_on(LOOK) {
                self.leases.next.store(index, Ordering::Relaxed);
                return self.timers.leases(now);
            }
            let seen = slot.word();
            let Some(since) = slot.busy_since(seen) else { continue };
            let (id, function) = self.holder(slot);
            let Some(lease) = self.lease(function) else { continue };
            if now.since(since) < lease || !slot.transition(seen, State::Retiring) {
                continue;
            }
            work.take_on(CHANGE);
            function.ledger.count(Counter::LeasesExpired);
            // Before the slot ceases to count its request.
            function.ledger.count_cut_short();
            slot.clock.turn_free(now);
            self.demand_falls(now, function, None);
            let instance = SlotId { index, generation: seen.generation() };
            self.give_up_instance(now, (id, function), (instance, slot), DestroyReason::LeaseExpired, out);
        }
        self.leases.next.store(0, Ordering::Relaxed);
        self.leases.begun.store(false, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        if self.live_slots() > 0 {
            self.begin_leases(now);
        }
    }

    /// How long one request may have an instance of the function; `None`: for ever.
    fn lease(&self, function: &Function) -> Option<Nanos> {
        let timeout_s = self.functions.spec(function).timeout_s;
        let factor = self.config.lease_factor.filter(|_| timeout_s > 0)?;
        Some(Nanos::from_secs_f64(factor * f64::from(timeout_s)))
    }
}
