//! When calls come: plain arithmetic over a seeded generator.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::config::Spacing;

/// Moments, counted from the start of the load, at which requests are due; endless.
#[derive(Debug)]
pub(crate) struct Schedule {
    spacing: Spacing,
    mean_gap_s: f64,
    /// Of the next request. Kept as a sum of seconds: 2^-52 of an hour is far below a clock tick.
    next_s: f64,
}

impl Schedule {
    /// Spaces `rate` requests a second; `offset` moves the first one, so that several schedules interleave.
    pub(crate) fn new(rate: f64, spacing: Spacing, offset: Duration) -> Self {
        Self { spacing, mean_gap_s: rate.recip(), next_s: offset.as_secs_f64() }
    }

    /// Returns when the next request is due.
    pub(crate) fn next(&mut self, random: &mut impl Rng) -> Duration {
        let gap_s = match self.spacing {
            Spacing::Constant => self.mean_gap_s,
            // 1 − u is in (0, 1]: its logarithm is finite.
            Spacing::Poisson => -(1.0 - random.random::<f64>()).ln() * self.mean_gap_s,
        };
        let due = self.next_s;
        self.next_s += gap_s;
        Duration::from_secs_f64(due)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn first(count: usize, spacing: Spacing, seed: u64) -> Vec<Duration> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut schedule = Schedule::new(1000.0, spacing, Duration::ZERO);
        (0..count).map(|_| schedule.next(&mut random)).collect()
    }

    #[test]
    fn constant_arrivals_are_evenly_spaced() {
        assert_eq!(first(3, Spacing::Constant, 1), [0, 1, 2].map(Duration::from_millis));
    }

    #[test]
    fn poisson_arrivals_keep_the_rate_and_vary_as_exponentials_do() {
        let due = first(100_001, Spacing::Poisson, 1);
        let gaps: Vec<f64> = due.windows(2).map(|pair| pair[1].as_secs_f64() - pair[0].as_secs_f64()).collect();
        let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
        let deviation = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64).sqrt();
        assert!((mean - 0.001).abs() < 2e-5, "{mean}");
        assert!((deviation / mean - 1.0).abs() < 0.02, "{deviation}");
    }

    #[test]
    fn same_seed_gives_the_same_arrivals() {
        assert_eq!(first(50, Spacing::Poisson, 7), first(50, Spacing::Poisson, 7));
        assert_ne!(first(50, Spacing::Poisson, 7), first(50, Spacing::Poisson, 8));
    }
}
