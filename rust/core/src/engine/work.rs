//! How much a tick, and a step of it under a function's lock, may do.
//!
//! The unit is a look at a free instance, some nanoseconds; what changes an instance or answers a request is worth several.

/// Work that may still be done. What is begun is finished, so the last piece may exceed it.
#[derive(Debug)]
pub(super) struct Work(u32);

/// A look at a free instance.
pub(super) const LOOK: u32 = 1;
/// An instance retired, a request answered, a destroy repeated.
pub(super) const CHANGE: u32 = 8;

/// What a tick may do. Loom explores ticks that end in the middle of something too.
const TICK: u32 = 8 * STEP;
/// What may be done before the function's lock is let go.
const STEP: u32 = if cfg!(pilotlight_loom) { 1 } else { 2048 };

impl Work {
    pub(super) fn of_a_tick() -> Self {
        Self(TICK)
    }

    #[cfg(all(test, not(pilotlight_loom)))]
    pub(super) fn units(units: u32) -> Self {
        Self(units)
    }

    /// Takes on a piece of work, unless nothing more may be done.
    pub(super) fn take_on(&mut self, units: u32) -> bool {
        let more = self.0 > 0;
        self.0 = self.0.saturating_sub(units);
        more
    }

    /// How many changes may be made; at least one.
    pub(super) fn changes(&self) -> usize {
        self.0.div_ceil(CHANGE).max(1) as usize
    }

    /// So many changes were made.
    pub(super) fn changed(&mut self, changes: usize) {
        let units = u32::try_from(changes).unwrap_or(u32::MAX).saturating_mul(CHANGE);
        self.0 = self.0.saturating_sub(units);
    }

    pub(super) fn is_done(&self) -> bool {
        self.0 == 0
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
