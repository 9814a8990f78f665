//! A histogram of idle gaps in 80 bins, three to an octave, from a millisecond to 18 hours.

use std::sync::LazyLock;

use crate::nanos::Nanos;
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// Bins of a histogram: bin 0 holds what is shorter than [`FIRST_NS`], the last one everything longer than 18 hours too.
pub(crate) const BINS: usize = 80;
/// [`BINS`] as a length that the compiler does not know. It would write out every loop over them, bin by bin, and what finds a window
/// would displace what serves requests from the processor's cache of instructions.
pub(crate) fn every_bin() -> usize {
    std::hint::black_box(BINS)
}

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

/// Bins that share a word: to look at all of them is what most of the time of finding a window went into.
const BINS_A_WORD: usize = 4;
const BIN_BITS: usize = 16;

/// Counts of gaps. 168 bytes.
///
/// A word holds four bins, the first in its lowest 16 bits. No bin comes near 2¹⁶, so none carries into the next, and none is lowered
/// by more than it holds, so none borrows.
#[derive(Debug)]
pub(crate) struct GapCounts {
    words: [AtomicU64; BINS / BINS_A_WORD],
    /// Gaps added since the counts were last taken in.
    fresh: AtomicU32,
    /// Gaps whose beginnings, and whose ends, others were told of.
    told: AtomicU16,
    ended: AtomicU16,
}

impl GapCounts {
    /// Gaps that are remembered with full weight: when there are more, all counts are halved, so that what has not been seen for a
    /// while fades by half with every so many new gaps.
    const MOST: u32 = 2000;
    /// Gaps that may come without anybody looking (requests that all leave unserved): far from what a bin can count.
    const UNREAD: u32 = 30_000;

    pub(crate) fn new() -> Self {
        Self {
            words: std::array::from_fn(|_| AtomicU64::new(0)),
            fresh: AtomicU32::new(0),
            told: AtomicU16::new(0),
            ended: AtomicU16::new(0),
        }
    }

    /// Counts a gap.
    pub(crate) fn add(&self, gap: Nanos) {
        let bin = bin_of(gap);
        self.words[bin / BINS_A_WORD].fetch_add(1 << (BIN_BITS * (bin % BINS_A_WORD)), Ordering::Relaxed);
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

    /// A gap begins: are others to be told? Of the first `most` they are.
    pub(crate) fn tell_beginning(&self, most: u16) -> bool {
        let tell = self.told.load(Ordering::Relaxed) < most;
        if tell {
            self.told.fetch_add(1, Ordering::Relaxed);
        }
        tell
    }

    /// A gap ends: are others to be told? They are of as many ends as of beginnings.
    pub(crate) fn tell_end(&self) -> bool {
        let tell = self.ended.load(Ordering::Relaxed) < self.told.load(Ordering::Relaxed);
        if tell {
            self.ended.fetch_add(1, Ordering::Relaxed);
        }
        tell
    }

    /// The counts as they are.
    #[inline(never)]
    pub(crate) fn counts(&self) -> [u16; BINS] {
        let mut bytes = [[0; size_of::<u64>()]; BINS / BINS_A_WORD];
        for (bytes, word) in bytes.iter_mut().zip(&self.words[..every_bin() / BINS_A_WORD]) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        let mut counts = [0; BINS];
        for (count, bytes) in counts[..every_bin()].iter_mut().zip(bytes.as_flattened().as_chunks().0) {
            *count = u16::from_le_bytes(*bytes);
        }
        counts
    }

    /// Gaps in all bins.
    #[expect(clippy::cast_possible_truncation, reason = "the halves of a word")]
    pub(crate) fn total(&self) -> u32 {
        // Every other bin of a word at a time: two sums of 32 bits lie beside each other in one of 64.
        let every_other = 0x0000_ffff_0000_ffff;
        let words = self.words[..every_bin() / BINS_A_WORD].iter().map(|word| word.load(Ordering::Relaxed));
        let sums: u64 = words.map(|word| (word & every_other) + (word >> BIN_BITS & every_other)).sum();
        (sums >> 32) as u32 + sums as u32
    }

    /// Takes note that the counts were read, and halves them if there are many.
    pub(crate) fn take_in(&self) {
        self.fresh.store(0, Ordering::Relaxed);
        if self.total() > Self::MOST {
            self.halve();
        }
    }

    #[cold]
    fn halve(&self) {
        for word in &self.words {
            // Rounds up: a gap once seen is not forgotten by halving alone, only outweighed. Two threads must not take the same half.
            let mut bins = word.load(Ordering::Relaxed);
            while let Err(seen) = word.compare_exchange_weak(bins, bins - halves(bins), Ordering::Relaxed, Ordering::Relaxed) {
                bins = seen;
            }
        }
    }
}

/// Half of each bin of a word, rounded down.
fn halves(word: u64) -> u64 {
    word >> 1 & 0x7fff_7fff_7fff_7fff
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

    fn counts(gaps: &GapCounts) -> [u32; BINS] {
        gaps.counts().map(u32::from)
    }

    #[test]
    fn each_bin_is_counted_and_halved_by_itself() {
        let gaps = GapCounts::new();
        for (bin, &middle) in bin_middles_s().iter().enumerate() {
            (0..=2 * bin).for_each(|_| gaps.add(Nanos::from_secs_f64(middle)));
        }
        let added: [u32; BINS] = std::array::from_fn(|bin| u32::try_from(2 * bin + 1).unwrap());
        assert_eq!(counts(&gaps), added);
        gaps.take_in();
        assert_eq!(counts(&gaps), added.map(|count| count.div_ceil(2)));
    }

    #[test]
    fn gaps_that_nobody_looks_at_do_not_wrap() {
        let gaps = GapCounts::new();
        for _ in 0..200_000 {
            gaps.add(Nanos::from_secs(1));
        }
        assert!(gaps.total() > 2_000);
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
        let counts = counts(&gaps).map(f64::from);
        assert!(counts[bin_of(old)] < 0.05 * counts[bin_of(new)], "{} of {}", counts[bin_of(old)], counts[bin_of(new)]);
    }
}
