//! The crowd: the first gaps of all functions, which is all that is known of a new one.

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
}

impl Crowd {
    /// Each group of levels tells the crowd its first gaps only: they are what newcomers resemble, and later ones would make functions
    /// contend.
    pub(super) const TOLD: u16 = 16;

    pub(super) fn new() -> Self {
        Self { begun: AtomicU32::new(0), open: AtomicI64::new(0), ended: std::array::from_fn(|_| AtomicU32::new(0)) }
    }

    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, gap: Nanos) {
        self.ended[bin_of(gap)].fetch_add(1, Ordering::Relaxed);
        self.open.fetch_sub(1, Ordering::Relaxed);
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
