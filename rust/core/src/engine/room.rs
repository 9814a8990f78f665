//! What slots take, how much of it one function may have, and how fast starts may follow each
//! other: plain arithmetic for `engine::limits`.

use crate::nanos::Nanos;
use crate::table::Function;

/// May a function that holds so much of what functions share out among them have no more of it?
/// `left`: what nobody holds.
///
/// A dynamic threshold: one function gets four fifths of all, two get four ninths each, and
/// something is left for the next in any case.
///
/// # Source
///
/// Choudhury and Hahne, *Dynamic queue length thresholds for shared-memory packet switches*,
/// IEEE/ACM Transactions on Networking 6(2), 1998, with α = 4.
pub(super) fn exceeds_share(held: u64, left: u64) -> bool {
    held > left.saturating_mul(4)
}

/// What slots take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) memory_mb: u64,
    pub(super) slots: u64,
}

impl Room {
    pub(super) const NONE: Self = Self { memory_mb: 0, slots: 0 };

    /// What so many slots of a function take.
    pub(super) fn of(function: &Function, slots: u32) -> Self {
        let slots = u64::from(slots);
        Self { memory_mb: slots * u64::from(function.memory_mb()), slots }
    }

    pub(super) fn plus(self, more: Self) -> Self {
        Self { memory_mb: self.memory_mb.saturating_add(more.memory_mb), slots: self.slots.saturating_add(more.slots) }
    }

    /// What is left without some of it. What another thread is just booking may be missing from one
    /// of the two.
    pub(super) fn less(self, some: Self) -> Self {
        Self { memory_mb: self.memory_mb.saturating_sub(some.memory_mb), slots: self.slots.saturating_sub(some.slots) }
    }

    pub(super) fn fits(self, into: Self) -> bool {
        self.memory_mb <= into.memory_mb && self.slots <= into.slots
    }
}

/// A limit on starts a second, as a bucket of tokens that holds one second's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) per_second: u32,
}

impl Pace {
    fn interval(self) -> Nanos {
        Nanos(1_000_000_000 / u64::from(self.per_second))
    }

    /// When the next start may be issued, with a bucket that is full again then.
    pub(super) fn next(self, full_at: Nanos) -> Nanos {
        Nanos(full_at.0.saturating_sub(self.interval().0 * u64::from(self.per_second - 1)))
    }

    /// When the bucket is full again after a start that is issued now.
    pub(super) fn spend(self, full_at: Nanos, now: Nanos) -> Nanos {
        full_at.max(now) + self.interval()
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Pace, exceeds_share};
    use crate::nanos::Nanos;

    /// How many of so many places functions get that all want more, in turn.
    fn held(places: u64, functions: usize) -> Vec<u64> {
        let mut held = vec![0; functions];
        loop {
            let mut refused = 0;
            for function in 0..functions {
                let left = places - held.iter().sum::<u64>();
                if left == 0 || exceeds_share(held[function], left) {
                    refused += 1;
                } else {
                    held[function] += 1;
                }
            }
            if refused == functions {
                return held;
            }
        }
    }

    #[test]
    fn of_many_places_functions_that_want_all_leave_some_and_few_places_are_filled() {
        assert_eq!(held(1000, 1), [801]);
        assert_eq!(held(1000, 2), [445, 445]);
        assert!(held(1000, 20).iter().sum::<u64>() < 1000);
        for places in 1..=5 {
            assert_eq!(held(places, 1), [places]);
        }
    }

    #[test]
    fn as_many_starts_as_come_in_a_second_may_come_at_once_and_then_one_each_interval() {
        let pace = Pace { per_second: 4 };
        let (mut full_at, mut issued) = (Nanos::ZERO, Vec::new());
        for _ in 0..7 {
            let at = pace.next(full_at).max(Nanos::from_secs(10));
            full_at = pace.spend(full_at, at);
            issued.push(at.0 / 1_000_000 - 10_000);
        }
        assert_eq!(issued, [0, 0, 0, 0, 250, 500, 750]);
    }
}
