//! Groups of levels: what is counted of each, and the window found for it.

use std::sync::OnceLock;

use crate::demand::{GROUPS, GapCounts};
use crate::nanos::Nanos;
use crate::sync::{AtomicBool, AtomicF32, AtomicU32, AtomicU64, Ordering};

/// Groups are made this many at a time, when demand first reaches one of them.
const A_CHUNK: usize = 4;

/// A function's groups of levels, as far as its demand has ever reached.
#[derive(Debug)]
pub(super) struct Groups {
    chunks: [OnceLock<Box<[Group; A_CHUNK]>>; GROUPS / A_CHUNK],
}

impl Groups {
    pub(super) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// A group that demand has reached; it is made if need be.
    pub(super) fn at(&self, index: usize) -> &Group {
        let chunk = self.chunks[index / A_CHUNK].get_or_init(|| Box::new(std::array::from_fn(|_| Group::new())));
        &chunk[index % A_CHUNK]
    }

    /// A group, if it was ever made.
    pub(super) fn find(&self, index: usize) -> Option<&Group> {
        Some(&self.chunks.get(index / A_CHUNK)?.get()?[index % A_CHUNK])
    }
}

/// A group of levels: its gaps, and the window found for them.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) gaps: GapCounts,
    pub(super) plan: Planned,
}

impl Group {
    fn new() -> Self {
        Self { gaps: GapCounts::new(), plan: Planned::new() }
    }
}

/// In place of a window that was not found yet.
const UNPLANNED: u64 = u64::MAX;

/// A window and what it was found for.
#[derive(Debug)]
pub(super) struct Planned {
    /// A thread is finding a new one; the others go on with the old.
    pub(super) busy: AtomicBool,
    /// In ns.
    keep_ns: AtomicU64,
    /// The price and load it was found for.
    pub(super) lambda: AtomicF32,
    pub(super) load: AtomicF32,
    /// It is found anew with more new gaps than this.
    pub(super) enough: AtomicU32,
}

impl Planned {
    fn new() -> Self {
        let zero = AtomicF32::default;
        Self { busy: AtomicBool::new(false), keep_ns: AtomicU64::new(UNPLANNED), lambda: zero(), load: zero(), enough: AtomicU32::new(0) }
    }

    /// The window; `None` if none was found yet.
    pub(super) fn keep(&self) -> Option<Nanos> {
        let keep = self.keep_ns.load(Ordering::Relaxed);
        (keep != UNPLANNED).then_some(Nanos(keep))
    }

    /// The window in seconds; 0 if none was found yet.
    pub(super) fn keep_s(&self) -> f64 {
        self.keep().map_or(0.0, Nanos::as_secs_f64)
    }

    pub(super) fn set_keep(&self, keep: Nanos) {
        self.keep_ns.store(keep.0.min(UNPLANNED - 1), Ordering::Relaxed);
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{A_CHUNK, Group};
    use crate::demand::group_of;
    use crate::policy::level_gap::{FORESEEN, Function};

    #[test]
    fn a_function_that_ran_56_requests_at_once_takes_less_than_4_kib() {
        let chunks = group_of(56) / A_CHUNK + 1;
        // Levels come in chunks of 8, 16 and 32; a forecast holds up to sixteen gaps.
        let (levels, forecasts) = (56 * size_of::<u32>(), FORESEEN * 16 * size_of::<f64>());
        let own = size_of::<Function>() + chunks * A_CHUNK * size_of::<Group>() + levels + forecasts;
        let all = own + size_of::<crate::table::Function>();
        assert!(all <= 4096, "{all} bytes, {own} of them the policy's");
    }
}
