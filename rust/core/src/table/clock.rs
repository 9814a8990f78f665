//! What a slot's time went to since its last account was closed: the open half of the ledger, kept by the slot itself.
//!
//! A warm request turns an instance busy and free again; both are added up here, in the slot's own line and without a
//! read-modify-write, and reach the function's ledger only when the instance ends. The writer is whoever made the last transition of
//! the slot's word; anyone may read meanwhile.
//!
//! # The words
//!
//! | word | bits | meaning |
//! |---|---|---|
//! | `began` | 0–2 | [`Span`]: what is measured |
//! | | 3–63 | since when, in ns: 73 years |
//! | `busy` | | of an instance. Free: the ns it has served. Busy: those before this request, less the moment it turned busy and one more |
//! | `turned` | | of an instance: when it last turned busy or free; a reader must look whether the slot's word has changed |
//!
//! `busy` is below zero exactly while a request has the instance, as nothing is busy for longer than it has been there. So one load tells
//! which of the two it is and since when, and busy and free time always add up to the time since `began`.
//!
//! # Ordering
//!
//! A reader takes `began`, then `busy`, then `began` once more, each with acquire; equal ones belong together, as every store here is a
//! release.

use crate::ledger::{Account, SlotTime};
use crate::nanos::Nanos;
use crate::sync::{AtomicI64, AtomicU64, Ordering};

/// What a clock measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Span {
    /// No slot.
    Nothing = 0,
    /// A start.
    Starting = 1,
    /// An instance: its time is split into busy and free.
    Instance = 2,
    /// A destroy.
    Retiring = 3,
    /// A slot that could not be got rid of.
    Leaked = 4,
}

const SPAN_BITS: u32 = 3;
const LATEST: u64 = u64::MAX >> SPAN_BITS;

#[derive(Debug, Default)]
pub(crate) struct SlotClock {
    began: AtomicU64,
    turned: AtomicU64,
    busy: AtomicI64,
}

/// A value of `began`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Began(u64);

impl Began {
    fn new(span: Span, at: u64) -> Self {
        Self(at << SPAN_BITS | span as u64)
    }

    pub(super) fn span(self) -> Span {
        match self.0 & ((1 << SPAN_BITS) - 1) {
            1 => Span::Starting,
            2 => Span::Instance,
            3 => Span::Retiring,
            4 => Span::Leaked,
            _ => Span::Nothing,
        }
    }

    pub(super) fn at(self) -> u64 {
        self.0 >> SPAN_BITS
    }
}

impl SlotClock {
    /// Ends what is measured, returns it, and begins to measure something else.
    ///
    /// # Ordering
    ///
    /// The caller books what is returned in the function's ledger afterwards, with release. So who finds it in the ledger does not find it
    /// here any more.
    pub(crate) fn begin(&self, span: Span, now: Nanos) -> SlotTime {
        let before = self.began();
        let latest = if before.span() == Span::Instance { self.turned.load(Ordering::Relaxed) } else { before.at() };
        let at = now.0.min(LATEST).max(latest);
        let ended = measured(before, self.busy(), Nanos(at));
        if span == Span::Instance {
            self.turned.store(at, Ordering::Relaxed);
            self.busy.store(0, Ordering::Release);
        }
        self.began.store(Began::new(span, at).0, Ordering::Release);
        ended
    }

    /// A free instance turns busy.
    pub(super) fn turn_busy(&self, now: Nanos) {
        let at = self.turn(now);
        self.busy.store(self.busy.load(Ordering::Relaxed) - at - 1, Ordering::Release);
    }

    /// A busy instance turns free; returns how long it was busy.
    pub(crate) fn turn_free(&self, now: Nanos) -> Nanos {
        let before = self.turned.load(Ordering::Relaxed);
        let at = self.turn(now);
        self.busy.store(self.busy.load(Ordering::Relaxed) + at + 1, Ordering::Release);
        Nanos(at.unsigned_abs() - before)
    }

    /// A clock that was read out of order does not turn back.
    fn turn(&self, now: Nanos) -> i64 {
        let at = now.0.min(LATEST).max(self.turned.load(Ordering::Relaxed));
        self.turned.store(at, Ordering::Relaxed);
        at.cast_signed()
    }

    pub(super) fn turned(&self) -> Nanos {
        Nanos(self.turned.load(Ordering::Acquire))
    }

    pub(super) fn began(&self) -> Began {
        Began(self.began.load(Ordering::Acquire))
    }

    pub(super) fn busy(&self) -> i64 {
        self.busy.load(Ordering::Acquire)
    }
}

/// A request has the instance.
pub(super) fn is_busy(busy: i64) -> bool {
    busy < 0
}

/// What was measured by `now`.
pub(super) fn measured(began: Began, busy: i64, now: Nanos) -> SlotTime {
    let mut time = SlotTime::default();
    let whole = now.0.saturating_sub(began.at());
    match began.span() {
        Span::Nothing => {}
        Span::Starting => time[Account::Starting as usize] = whole,
        Span::Retiring => time[Account::Retiring as usize] = whole,
        Span::Leaked => time[Account::Leaked as usize] = whole,
        Span::Instance => {
            let open = if is_busy(busy) { now.0.saturating_add(1) } else { 0 };
            let busy = open.saturating_add_signed(busy).min(whole);
            time[Account::Busy as usize] = busy;
            time[Account::Idle as usize] = whole - busy;
        }
    }
    time
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{LATEST, SlotClock, Span, measured};
    use crate::ledger::Account;
    use crate::nanos::Nanos;

    fn read(clock: &SlotClock, now: u64) -> [u64; 5] {
        measured(clock.began(), clock.busy(), Nanos(now))
    }

    fn instance(at: u64) -> SlotClock {
        let clock = SlotClock::default();
        clock.begin(Span::Instance, Nanos(at));
        clock
    }

    #[test]
    fn busy_and_free_time_add_up_to_the_instances_at_every_moment() {
        let clock = instance(0);
        clock.turn_busy(Nanos(0));
        assert_eq!(read(&clock, 0), [0; 5]);
        assert_eq!(read(&clock, 7), [0, 0, 7, 0, 0]);
        assert_eq!(clock.turn_free(Nanos(10)), Nanos(10));
        assert_eq!(read(&clock, 15), [0, 5, 10, 0, 0]);
        clock.turn_busy(Nanos(30));
        assert_eq!(read(&clock, 31), [0, 20, 11, 0, 0]);
        assert_eq!(clock.turn_free(Nanos(40)), Nanos(10));
        assert_eq!(clock.begin(Span::Retiring, Nanos(45)), [0, 25, 20, 0, 0]);
        assert_eq!(read(&clock, 50), [0, 0, 0, 5, 0]);
    }

    #[test]
    fn an_instance_destroyed_under_its_request_was_busy_to_the_end() {
        let clock = instance(10);
        clock.turn_busy(Nanos(15));
        assert_eq!(clock.begin(Span::Retiring, Nanos(40)), [0, 5, 25, 0, 0]);
    }

    #[test]
    fn each_span_has_its_account() {
        let clock = SlotClock::default();
        for (span, account) in [(Span::Starting, Account::Starting), (Span::Retiring, Account::Retiring), (Span::Leaked, Account::Leaked)] {
            clock.begin(span, Nanos(10));
            let ended = clock.begin(Span::Nothing, Nanos(13));
            assert_eq!((ended[account as usize], ended.iter().sum::<u64>()), (3, 3));
            assert_eq!(read(&clock, 20), [0; 5]);
            clock.began.store(0, super::Ordering::Relaxed);
        }
    }

    #[test]
    fn a_clock_read_out_of_order_loses_and_invents_no_time() {
        let clock = instance(100);
        clock.turn_busy(Nanos(90));
        assert_eq!(clock.turn_free(Nanos(80)), Nanos::ZERO);
        clock.turn_busy(Nanos(120));
        assert_eq!(read(&clock, 50), [0; 5]);
        assert_eq!(clock.turn_free(Nanos(110)), Nanos::ZERO);
        assert_eq!(clock.begin(Span::Retiring, Nanos(105)), [0, 20, 0, 0, 0]);
    }

    #[test]
    fn a_clock_stops_after_73_years() {
        let clock = instance(5);
        clock.turn_busy(Nanos::MAX);
        assert_eq!(clock.turn_free(Nanos::MAX), Nanos::ZERO);
        assert_eq!(clock.begin(Span::Retiring, Nanos::MAX), [0, LATEST - 5, 0, 0, 0]);
    }
}
