//! How long a function was idle, counted in bins of equal width: the record of the histogram policies.

use crate::nanos::Nanos;

/// Idle times by length. Memory: 4 bytes a bin.
#[derive(Clone, Debug)]
pub(super) struct IdleHistogram {
    width: Nanos,
    bins: Box<[u32]>,
    /// Idle times beyond the last bin.
    over: u32,
}

impl IdleHistogram {
    pub(super) fn new(width: Nanos, bins: u32) -> Self {
        Self { width, bins: vec![0; bins as usize].into(), over: 0 }
    }

    pub(super) fn record(&mut self, idle: Nanos) {
        let bin = usize::try_from(idle.0 / self.width.0).ok().and_then(|bin| self.bins.get_mut(bin));
        let count = bin.unwrap_or(&mut self.over);
        *count = count.saturating_add(1);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(&other.bins) {
            *bin = bin.saturating_add(*more);
        }
        self.over = self.over.saturating_add(other.over);
    }

    pub(super) fn clear(&mut self) {
        self.bins.fill(0);
        self.over = 0;
    }

    /// Idle times within the bins.
    pub(super) fn within(&self) -> u64 {
        self.bins.iter().map(|&count| u64::from(count)).sum()
    }

    /// The share of idle times that lie beyond the last bin; zero without any.
    pub(super) fn share_over(&self) -> f64 {
        let all = self.within() + u64::from(self.over);
        if all == 0 { 0.0 } else { f64::from(self.over) / all as f64 }
    }

    /// Standard deviation of the bins' counts divided by their mean: high if few bins hold most; zero without any.
    pub(super) fn variation(&self) -> f64 {
        let mean = self.within() as f64 / self.bins.len() as f64;
        if mean == 0.0 {
            return 0.0;
        }
        let variance = self.bins.iter().map(|&count| (f64::from(count) - mean).powi(2)).sum::<f64>() / self.bins.len() as f64;
        variance.sqrt() / mean
    }

    /// The lower edge of the bin that holds the quantile `share`, and the upper edge.
    pub(super) fn quantile(&self, share: f64) -> (Nanos, Nanos) {
        let wanted = share * self.within() as f64;
        let mut seen = 0;
        let mut bin = 0;
        for (number, &count) in (0..).zip(&self.bins) {
            seen += u64::from(count);
            if count > 0 {
                bin = number;
                if seen as f64 >= wanted {
                    break;
                }
            }
        }
        (Nanos(self.width.0.saturating_mul(bin)), Nanos(self.width.0.saturating_mul(bin + 1)))
    }

    /// What all bins span together.
    pub(super) fn span(&self) -> Nanos {
        Nanos(self.width.0.saturating_mul(self.bins.len() as u64))
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::IdleHistogram;
    use crate::nanos::Nanos;

    const S: fn(u64) -> Nanos = Nanos::from_secs;

    fn of(bins: u32, idle_s: &[u64]) -> IdleHistogram {
        let mut histogram = IdleHistogram::new(S(60), bins);
        for &idle in idle_s {
            histogram.record(S(idle));
        }
        histogram
    }

    #[test]
    fn a_quantile_is_the_bin_that_holds_it() {
        let histogram = of(240, &[130, 130, 130, 130, 130, 130, 130, 130, 130, 605]);
        assert_eq!(histogram.quantile(0.05), (S(120), S(180)));
        assert_eq!(histogram.quantile(0.9), (S(120), S(180)));
        assert_eq!(histogram.quantile(0.99), (S(600), S(660)));
        assert_eq!(of(240, &[605]).quantile(0.0), (S(600), S(660)), "an empty bin holds no quantile");
    }

    #[test]
    fn the_share_beyond_the_last_bin_counts_all_idle_times() {
        let histogram = of(2, &[0, 119, 120, 9_999]);
        assert_eq!((histogram.within(), histogram.share_over()), (2, 0.5));
    }

    #[test]
    fn variation_is_zero_for_equal_bins_and_high_for_a_single_one() {
        assert!(of(4, &[0, 60, 120, 180]).variation() < 1e-12);
        // Counts 4, 0, 0, 0: mean 1, variance (9 + 1 + 1 + 1) / 4 = 3.
        assert!((of(4, &[0, 0, 0, 0]).variation() - 3.0_f64.sqrt()).abs() < 1e-12);
        assert!(of(4, &[]).variation() < 1e-12);
    }
}
