//! How much a tick, and a step of it under a function's lock, may do.
//!
//! The unit is a look at a free instance, some nanoseconds; what changes an instance or answers a request is worth several.

/// Work that may still be done. What is begun is finished, so the last piece may exceed it, and what it exceeds a step by is the tick's.
#[derive(Debug)]
pub(super) struct Work(i64);

/// A look at a free instance.
pub(super) const LOOK: u32 = 1;
/// An instance retired, a start issued, a request answered, a destroy repeated, a timer that finds nothing to do.
pub(super) const CHANGE: u32 = 8;

/// What a tick may do. In loom, where a step is one piece of work: eight pieces of the largest kind.
const TICK: i64 = if cfg!(pilotlight_loom) { 64 } else { 8 * STEP };
/// What may be done before the function's lock is let go. Loom explores visits that stop at every place.
const STEP: i64 = if cfg!(pilotlight_loom) { 1 } else { 2048 };

impl Work {
    pub(super) fn of_a_tick() -> Self {
        Self(TICK)
    }

    #[cfg(all(test, not(pilotlight_loom)))]
    pub(super) fn units(units: u32) -> Self {
        Self(units.into())
    }

    /// Takes on a piece of work, unless nothing more may be done.
    pub(super) fn take_on(&mut self, units: u32) -> bool {
        let more = self.0 > 0;
        self.0 -= i64::from(units);
        more
    }

    /// How many changes may be made; at least one.
    pub(super) fn changes(&self) -> usize {
        usize::try_from(self.0 / i64::from(CHANGE)).unwrap_or(0).max(1)
    }

    /// So many changes were made.
    pub(super) fn changed(&mut self, changes: usize) {
        self.0 -= i64::try_from(changes).expect("they fit into memory") * i64::from(CHANGE);
    }

    pub(super) fn is_done(&self) -> bool {
        self.0 <= 0
    }

    /// Does a step's worth of it.
    pub(super) fn step<T>(&mut self, step: impl FnOnce(&mut Self) -> T) -> T {
        let whole = self.0.min(STEP);
        let mut part = Self(whole);
        let done = step(&mut part);
        self.0 -= whole - part.0;
        done
    }
}
