//! How many calls there were, and how long they took, for the host's metrics.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};

use pilotlight_core::Nanos;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// CreateSlot.
    Create,
    /// Init.
    Init,
    /// DestroySlot.
    Destroy,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Create, Self::Init, Self::Destroy];
}

/// What the calls of one kind came to, of those that ended well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Under way now.
    pub in_flight: u64,
    /// By duration: calls that took at most [`Calls::BOUNDS_MS`] and longer than the bound before; the last holds the longer ones.
    pub by_duration: [u64; Calls::BOUNDS_MS.len() + 1],
    /// The sum of their durations.
    pub total: Nanos,
}

impl Calls {
    /// Upper bounds of the durations counted together.
    pub const BOUNDS_MS: [u64; 14] = [1, 5, 10, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 120_000];
}

#[derive(Debug, Default)]
struct Counters {
    in_flight: AtomicU64,
    by_duration: [AtomicU64; Calls::BOUNDS_MS.len() + 1],
    total_ns: AtomicU64,
}

/// The counts of all kinds. Each is exact; read together they may be a moment apart.
#[derive(Debug, Default)]
pub(super) struct Tally {
    kinds: [Counters; Kind::ALL.len()],
}

impl Tally {
    pub(super) fn begin(&self, kind: Kind) {
        self.of(kind).in_flight.fetch_add(1, Ordering::Relaxed);
    }

    /// Notes that the host has taken a call over.
    pub(super) fn abandon(&self, kind: Kind) {
        self.of(kind).in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, kind: Kind, took: Nanos) {
        let counters = self.of(kind);
        let bucket = Calls::BOUNDS_MS.partition_point(|&bound| bound * 1_000_000 < took.0);
        counters.by_duration[bucket].fetch_add(1, Ordering::Relaxed);
        counters.total_ns.fetch_add(took.0, Ordering::Relaxed);
        counters.in_flight.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn read(&self, kind: Kind) -> Calls {
        let Counters { in_flight, by_duration, total_ns } = self.of(kind);
        Calls {
            in_flight: in_flight.load(Ordering::Relaxed),
            by_duration: array::from_fn(|bucket| by_duration[bucket].load(Ordering::Relaxed)),
            total: Nanos(total_ns.load(Ordering::Relaxed)),
        }
    }

    fn of(&self, kind: Kind) -> &Counters {
        &self.kinds[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_core::Nanos;

    use super::{Kind, Tally};

    #[test]
    fn calls_are_counted_by_duration() {
        let tally = Tally::default();
        for milliseconds in [1, 2, 5, 6, 200_000] {
            tally.begin(Kind::Init);
            tally.end(Kind::Init, Nanos(milliseconds * 1_000_000));
        }
        tally.begin(Kind::Init);
        tally.begin(Kind::Create);
        tally.abandon(Kind::Create);
        let calls = tally.read(Kind::Init);
        assert_eq!(calls.by_duration[..4], [1, 2, 1, 0]);
        assert_eq!(calls.by_duration[14], 1);
        assert_eq!((calls.in_flight, calls.total), (1, Nanos(200_014 * 1_000_000)));
        assert_eq!(tally.read(Kind::Create).in_flight, 0);
    }
}
