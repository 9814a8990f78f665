//! The crowd: the first gaps and executions of all functions, which is all that is known of a new
//! one.

use crate::demand::{BINS, bin_of};
use crate::nanos::Nanos;
use crate::sync::{AtomicI64, AtomicU32, Ordering};

/// Gaps of all functions of the policy.
#[derive(Debug)]
pub(super) struct Crowd {
    begun: AtomicU32,
    /// Those that have begun and not ended.
    open: AtomicI64,
    /// Those that have ended, by bin.
    ended: [AtomicU32; BINS],
    /// Executions, and those whose instance was lost.
    executed: AtomicU32,
    lost: AtomicU32,
}

impl Crowd {
    /// Each group of levels tells the crowd its first gaps only: they are what newcomers resemble, and later ones would make functions
    /// contend.
    pub(super) const TOLD: u16 = 16;
    /// And each function its first executions only.
    pub(super) const EXECUTIONS: u32 = 16;

    pub(super) fn new() -> Self {
        let ended = std::array::from_fn(|_| AtomicU32::new(0));
        Self { begun: AtomicU32::new(0), open: AtomicI64::new(0), ended, executed: AtomicU32::new(0), lost: AtomicU32::new(0) }
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, gap: Nanos) {
        self.ended[bin_of(gap)].fetch_add(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
    }

    pub(super) fn executed(&self) {
        self.executed.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn lost(&self) {
        self.lost.fetch_add(1, Ordering::Relaxed);
    }

    /// The share of executions whose instance was lost.
    pub(super) fn lost_share(&self) -> f64 {
        let (lost, executed) = (self.lost.load(Ordering::Relaxed), self.executed.load(Ordering::Relaxed));
        f64::from(lost.min(executed)) / f64::from(executed.max(1))
    }

    /// Adds its gaps to `weights`, scaled down to at most `most`; returns the weight added.
    ///
    /// A gap still open may yet end, but most that are open at any moment are long ones.
    pub(super) fn add_to(&self, weights: &mut [f64], most: f64) -> f64 {
        let begun = f64::from(self.begun.load(Ordering::Relaxed));
        if begun <= 0.0 {
            return 0.0;
        }
        let weight = begun.min(most);
        let share = weight / begun;
        let last = weights[BINS - 1];
        let mut counted = 0.0;
        for (weight, ended) in weights.iter_mut().zip(&self.ended) {
            counted = f64::from(ended.load(Ordering::Relaxed));
            *weight += counted * share;
        }
        let open = self.open.load(Ordering::Relaxed).max(0) as f64;
        weights[BINS - 1] = last + (counted + open) * share;
        weight
    }
}
