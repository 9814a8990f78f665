//! The engine: tables, pools and policy put together. One file a subject, each an `impl Engine`.

mod agenda;
mod assign;
#[cfg(all(test, not(pilotlight_loom)))]
mod cost;
mod drain;
mod evict;
mod failing;
mod failure;
mod idle;
mod lease;
mod limits;
mod overdue;
mod review;
mod room;
mod snapshot;
mod start;
#[cfg(all(test, not(pilotlight_loom)))]
mod steps;
mod sweep;
mod throttle;
mod timers;
mod work;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crossbeam_utils::CachePadded;

pub use assign::Assign;
pub use failure::StartFailure;
pub use idle::{Ending, Idle};
pub use snapshot::{FunctionTotals, Live, Snapshot};

use self::lease::Leases;
use self::limits::Limits;
use self::throttle::Throttle;
use self::timers::Timers;
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::policy::Facts;
use crate::sync::{AtomicBool, AtomicU8, AtomicU64, Mutex, Ordering};
use crate::table::{Function, FunctionRef, FunctionSpec, FunctionTable, Slot, SlotTable, Span, State, Word};

/// The scaler's mind. See the crate's documentation for the contract with its host.
///
/// What cold starts write stands in cache lines of its own: what every request reads (the tables' addresses, the configuration, the phase)
/// is not written while others start.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    functions: FunctionTable,
    slots: SlotTable,
    timers: CachePadded<Timers>,
    /// Memory size → functions that wait for a slot of that size and would take over another's cancelled start, oldest first.
    seekers: CachePadded<Mutex<BTreeMap<u32, VecDeque<FunctionId>>>>,
    /// Requests waiting, over all functions.
    waiting: CachePadded<AtomicU64>,
    means: CachePadded<Means>,
    throttle: CachePadded<Throttle>,
    /// The policy's regular reviews are scheduled.
    reviews_begun: AtomicBool,
    leases: Leases,
    live: CachePadded<LiveCount>,
    /// The limits on them, if there are any.
    limits: Option<Limits>,
    /// A [`Phase`].
    phase: AtomicU8,
}

/// When to come back after a look that other threads kept from being complete.
const LOOK_AGAIN: Nanos = Nanos::from_millis(1);

/// What starts take, over all functions. Every Idle reads it, the end of a CreateSlot or an Init writes it.
#[derive(Debug, Default)]
struct Means {
    /// Smoothed duration of CreateSlot in ns: creating is the platform's work, not the function's.
    create_ns: AtomicU64,
    /// Smoothed duration of Init in ns: what to expect of a new function.
    init_ns: AtomicU64,
}

/// Slots that exist, and the most there ever were.
#[derive(Debug, Default)]
struct LiveCount {
    slots: AtomicU64,
    memory_mb: AtomicU64,
    peak_slots: AtomicU64,
    peak_memory_mb: AtomicU64,
    /// Those whose end has been asked for and not been confirmed or refused: part of `slots` and `memory_mb`.
    leaving_slots: AtomicU64,
    leaving_mb: AtomicU64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Phase {
    Running = 0,
    /// No new requests; what ends is retired.
    Draining = 1,
}

impl Engine {
    /// Creates an engine without functions or slots.
    #[must_use]
    pub fn new(config: EngineConfig) -> Self {
        Self {
            functions: FunctionTable::new(config.max_functions),
            slots: SlotTable::new(),
            timers: CachePadded::new(Timers::new()),
            seekers: CachePadded::new(Mutex::new(BTreeMap::new())),
            waiting: CachePadded::new(AtomicU64::new(0)),
            means: CachePadded::default(),
            throttle: CachePadded::default(),
            reviews_begun: AtomicBool::new(false),
            leases: Leases::new(),
            live: CachePadded::default(),
            limits: Limits::new(&config),
            phase: AtomicU8::new(Phase::Running as u8),
            config,
        }
    }

    /// Finds the function, or registers it; others that are at rest may have to give their place up for it.
    ///
    /// # Errors
    ///
    /// [`EngineError::TooManyFunctions`], [`EngineError::TooManyVersions`], [`EngineError::TooLarge`].
    pub fn function(&self, wanted: &FunctionRef<'_>) -> Result<FunctionId, EngineError> {
        if let Some(limits) = &self.limits {
            limits.check(wanted.memory_mb)?;
        }
        self.functions.find_or_create(wanted, &*self.config.policy.policy)
    }

    /// Is a function of this key known?
    #[must_use]
    pub fn knows_key(&self, key: &str) -> bool {
        self.functions.knows_key(key)
    }

    /// What a function was registered with; `None` for an id that is not of this engine, or of a function that was given up.
    #[must_use]
    pub fn spec(&self, function: FunctionId) -> Option<Arc<FunctionSpec>> {
        self.functions.find(function).map(|function| self.functions.spec(function))
    }

    /// The function that holds a live slot.
    #[must_use]
    pub fn function_of(&self, slot: SlotId) -> Option<FunctionId> {
        let (slot, _) = self.slots.find(slot)?;
        Some(self.functions.at(slot.holder()).id())
    }

    /// The text of the policy in force.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.config.policy.text
    }

    fn draining(&self) -> bool {
        self.phase.load(Ordering::Relaxed) == Phase::Draining as u8
    }

    /// The slot of a host's report, if it is in one of the states the report fits.
    fn reported(&self, id: SlotId, states: &[State]) -> Result<(&Slot, Word), EngineError> {
        self.slots.find(id).filter(|(_, word)| states.contains(&word.state())).ok_or(EngineError::SlotNotFound(id))
    }

    fn holder(&self, slot: &Slot) -> (FunctionId, &Function) {
        let function = self.functions.at(slot.holder());
        (function.id(), function)
    }

    /// Books what the slot has counted and measured for the function; from now on it measures something else.
    fn book(function: &Function, slot: &Slot, next: Span, now: Nanos) {
        let closed = slot.close(next, now);
        if closed.was_failing {
            function.failing.fetch_sub(1, Ordering::Release);
        }
        function.ledger.book_given(closed.given);
        function.ledger.book_slot(&closed.time);
    }

    fn facts(&self, now: Nanos, function: &Function) -> Facts {
        let create = Nanos(self.means.create_ns.load(Ordering::Relaxed));
        // Until its own first Init, a function is thought to take as long as the others did.
        let inits = [&function.init_ns, &self.means.init_ns].map(|init| init.load(Ordering::Relaxed));
        let init = inits.into_iter().find(|&init| init > 0);
        Facts { now, memory_mb: function.memory_mb(), cold_start: init.map_or(Nanos::ZERO, |init| create + Nanos(init)) }
    }

    /// Demand shrinks by a request, which executed for so long or left unserved; returns the level that is no longer wanted.
    fn demand_falls(&self, now: Nanos, function: &Function, execution: Option<Nanos>) -> u32 {
        let level = function.pool.demand_falls();
        self.functions.ask(function, |policy| policy.demand_fell(now, level, execution));
        level
    }

    fn slot_appeared(&self, memory_mb: u32) {
        let slots = self.live.slots.fetch_add(1, Ordering::Relaxed) + 1;
        self.live.peak_slots.fetch_max(slots, Ordering::Relaxed);
        let memory = self.live.memory_mb.fetch_add(u64::from(memory_mb), Ordering::Relaxed) + u64::from(memory_mb);
        self.live.peak_memory_mb.fetch_max(memory, Ordering::Relaxed);
    }

    /// The end of one of the function's slots is asked for: what it takes will be room.
    fn slot_leaves(&self, function: &Function) {
        self.live.leaving_slots.fetch_add(1, Ordering::Relaxed);
        self.live.leaving_mb.fetch_add(u64::from(function.memory_mb()), Ordering::Relaxed);
    }

    /// What it takes is not to be counted on any more: it is room by now, or was not released.
    fn slot_stays(&self, function: &Function) {
        self.live.leaving_slots.fetch_sub(1, Ordering::Relaxed);
        self.live.leaving_mb.fetch_sub(u64::from(function.memory_mb()), Ordering::Relaxed);
    }

    /// Forgets a slot that has just become vacant. `from`: the state it was in; `end`: which of
    /// the three ends of a start is counted for it.
    fn slot_vanished(&self, now: Nanos, index: u32, function: &Function, from: State, end: Counter) {
        debug_assert!(matches!(end, Counter::Destroyed | Counter::NeverCreated | Counter::WrittenOff), "{end:?} is no end");
        function.ledger.count(end);
        self.live.slots.fetch_sub(1, Ordering::Relaxed);
        self.live.memory_mb.fetch_sub(u64::from(function.memory_mb()), Ordering::Relaxed);
        if from == State::Retiring {
            self.slot_stays(function);
        }
        self.room_released(now, index, function);
        self.slots.release(index);
        function.used.store(now.0, Ordering::Relaxed);
        // The last of it: from now on the function may be given up.
        function.slots.fetch_sub(1, Ordering::Release);
    }
}

/// Smooths a duration: an exponentially weighted mean that moves a quarter of the way to each new value; 0 means none yet.
fn smooth(mean: &AtomicU64, observed: Nanos) {
    let before = mean.load(Ordering::Relaxed);
    let after = if before == 0 { observed.0 } else { before - before / 4 + observed.0 / 4 };
    // A racing observation may be lost: it is one sample of a mean.
    mean.store(after.max(1), Ordering::Relaxed);
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::smooth;
    use crate::nanos::Nanos;
    use crate::sync::{AtomicU64, Ordering};

    #[test]
    fn a_mean_begins_at_the_first_value_and_moves_a_quarter_of_the_way_to_each_other() {
        let mean = AtomicU64::new(0);
        let means = [800, 400, 700].map(|value| {
            smooth(&mean, Nanos(value));
            mean.load(Ordering::Relaxed)
        });
        assert_eq!(means, [800, 700, 700]);
    }
}
