//! A histogram of idle gaps in 80 bins, three to an octave, from a millisecond to 18 hours.

use std::sync::LazyLock;

use crate::nanos::Nanos;
use crate::sync::{AtomicU16, AtomicU32, Ordering};

/// Bins of a histogram: bin 0 holds what is shorter than [`FIRST_NS`], the last one everything longer than 18 hours too.
pub(crate) const BINS: usize = 80;
/// Start of bin 1: 2²⁰ ns, a little over a millisecond.
const FIRST_BIT: u32 = 20;
const PER_OCTAVE: usize = 3;
/// 2^(1/3) and 2^(2/3) as fixed-point fractions of 2.
const THIRD: u64 = 0xA145_17CC_6B94_5711;
const TWO_THIRDS: u64 = 0xCB2F_F529_EB71_E415;

/// The bin of a gap.
pub(crate) fn bin_of(gap: Nanos) -> usize {
    let Some(bit) = gap.0.checked_ilog2().filter(|&bit| bit >= FIRST_BIT) else { return 0 };
    let fraction = gap.0 << (63 - bit);
    let third = usize::from(fraction >= THIRD) + usize::from(fraction >= TWO_THIRDS);
    (1 + PER_OCTAVE * (bit - FIRST_BIT) as usize + third).min(BINS - 1)
}

/// The shortest gap of each bin, in seconds.
pub(crate) fn bin_starts_s() -> &'static [f64; BINS] {
    &STARTS
}

/// The geometric middle of each bin, in seconds.
pub(crate) fn bin_middles_s() -> &'static [f64; BINS] {
    &MIDDLES
}

static STARTS: LazyLock<[f64; BINS]> = LazyLock::new(|| {
    let first = (1u64 << FIRST_BIT) as f64 / 1e9;
    std::array::from_fn(|bin| if bin == 0 { 0.0 } else { first * 2f64.powf((bin - 1) as f64 / PER_OCTAVE as f64) })
});

static MIDDLES: LazyLock<[f64; BINS]> = LazyLock::new(|| {
    let half_a_bin = 2f64.powf(0.5 / PER_OCTAVE as f64);
    std::array::from_fn(|bin| if bin == 0 { STARTS[1] / 2.0 } else { STARTS[bin] * half_a_bin })
});

/// Counts of gaps. 164 bytes.
#[derive(Debug)]
pub(crate) struct GapCounts {
    bins: [AtomicU16; BINS],
    /// Gaps added since the counts were last taken in.
    fresh: AtomicU32,
}

impl GapCounts {
    /// Gaps that are remembered with full weight: when there are more, all counts are halved, so that what has not been seen for a
    /// while fades by half with every so many new gaps.
    const MOST: u32 = 2000;
    /// Gaps that may come without anybody looking (requests that all leave unserved): far from what a bin can count.
    const UNREAD: u32 = 30_000;

    pub(crate) fn new() -> Self {
        Self { bins: std::array::from_fn(|_| AtomicU16::new(0)), fresh: AtomicU32::new(0) }
    }

    /// Counts a gap.
    pub(crate) fn add(&self, gap: Nanos) {
        self.bins[bin_of(gap)].fetch_add(1, Ordering::Relaxed);
        // Not a read-modify-write: it only says when to look again, and one lost between threads puts that off by a gap.
        let fresh = self.fresh.load(Ordering::Relaxed) + 1;
        self.fresh.store(fresh, Ordering::Relaxed);
        if fresh > Self::UNREAD {
            self.take_in();
        }
    }

    /// Gaps added since the counts were last taken in.
    pub(crate) fn fresh(&self) -> u32 {
        self.fresh.load(Ordering::Relaxed)
    }

    /// The counts as they are.
    pub(crate) fn counts(&self) -> [u32; BINS] {
        std::array::from_fn(|bin| u32::from(self.bins[bin].load(Ordering::Relaxed)))
    }

    /// Reads the counts, and halves them if there are many.
    pub(crate) fn take_in(&self) -> [u32; BINS] {
        self.fresh.store(0, Ordering::Relaxed);
        let counts = self.counts();
        if counts.iter().sum::<u32>() > Self::MOST {
            for bin in &self.bins {
                // Rounds up: a gap once seen is not forgotten by halving alone, only outweighed.
                bin.fetch_sub(bin.load(Ordering::Relaxed) / 2, Ordering::Relaxed);
            }
        }
        counts
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{BINS, GapCounts, bin_middles_s, bin_of, bin_starts_s};
    use crate::nanos::Nanos;

    #[test]
    fn every_bin_begins_where_the_one_before_ends() {
        for bin in 1..BINS {
            let start = bin_starts_s()[bin];
            assert_eq!(bin_of(Nanos::from_secs_f64(start * 1.000_001)), bin);
            assert_eq!(bin_of(Nanos::from_secs_f64(start * 0.999_999)), bin - 1);
            assert_eq!(bin_of(Nanos::from_secs_f64(bin_middles_s()[bin])), bin);
        }
        assert_eq!((bin_of(Nanos::ZERO), bin_of(Nanos::MAX)), (0, BINS - 1));
    }

    #[test]
    fn gaps_that_nobody_looks_at_do_not_wrap() {
        let gaps = GapCounts::new();
        for _ in 0..200_000 {
            gaps.add(Nanos::from_secs(1));
        }
        assert!(gaps.counts().iter().sum::<u32>() > 2_000);
    }

    #[test]
    fn old_gaps_fade_when_new_ones_keep_coming() {
        let gaps = GapCounts::new();
        let (old, new) = (Nanos::from_secs(1), Nanos::from_secs(60));
        for gap in [old, new] {
            for _ in 0..8_000 {
                gaps.add(gap);
                if gaps.fresh() > 30 {
                    gaps.take_in();
                }
            }
        }
        let counts = gaps.counts().map(f64::from);
        assert!(counts[bin_of(old)] < 0.05 * counts[bin_of(new)], "{} of {}", counts[bin_of(old)], counts[bin_of(new)]);
    }
}
