//! The cheapest keep-alive for a distribution of idle gaps.

use crate::demand::{bin_middles_s, bin_starts_s};

/// A keep-alive with its expected cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Window {
    /// In seconds; infinite: keep until it is wanted.
    pub(super) keep_s: f64,
    /// GB·s a gap, by the distribution it was found with.
    pub(super) cost: f64,
}

/// Windows closer in cost than this are the same: the shortest is taken.
const SAME: f64 = 1e-5;

/// Finds the window of least cost `m·E[min(g, w)] + P(g > w)·miss` over weights of gaps by bin, in one pass over the possible windows (the
/// edges of bins and for ever). Without weights: break-even, which never costs more than twice the best.
pub(super) fn cheapest(weights: &[f64], memory_gb: f64, miss: f64) -> Window {
    let total: f64 = weights.iter().sum();
    if total <= 0.0 {
        return Window { keep_s: miss / memory_gb, cost: 2.0 * miss };
    }
    // Costs are of all the weight, not of one gap, which saves a division a bin.
    let mut best = Window { keep_s: 0.0, cost: miss * total };
    let mut cheaper = best.cost * (1.0 - SAME);
    // Sums over the gaps that end within the window.
    let (mut ended, mut held) = (0.0, 0.0);
    let (ends_s, middles_s) = (&bin_starts_s()[1..], bin_middles_s());
    let last = weights.len() - 1;
    for bin in 0..last {
        // Past an empty bin a window holds for longer and misses as often: it is not cheaper.
        if weights[bin] > 0.0 {
            ended += weights[bin];
            held += weights[bin] * middles_s[bin];
            let holding = memory_gb * held;
            if holding >= cheaper {
                // All longer ones hold as much at least.
                break;
            }
            let cost = holding + (memory_gb * ends_s[bin] + miss) * (total - ended).max(0.0);
            if cost < cheaper {
                (best, cheaper) = (Window { keep_s: ends_s[bin], cost }, cost * (1.0 - SAME));
            }
        }
    }
    // The last bin has no end: its window is for ever, and misses nothing.
    let for_ever = memory_gb * (held + weights[last] * middles_s[last]);
    if for_ever < cheaper {
        best = Window { keep_s: f64::INFINITY, cost: for_ever };
    }
    Window { cost: best.cost / total, ..best }
}

/// Spreads each weight over its neighbours (¼, ½, ¼): a gap just seen makes those near it likelier too.
pub(super) fn smooth(weights: &[f64], result: &mut [f64]) {
    let last = weights.len() - 1;
    result[0] = 0.5 * weights[0] + 0.25 * weights[1] + 0.25 * weights[0];
    for (result, near) in result[1..].iter_mut().zip(weights.windows(3)) {
        *result = 0.5 * near[1] + 0.25 * (near[0] + near[2]);
    }
    result[last] = 0.5 * weights[last] + 0.25 * weights[last - 1] + 0.25 * weights[last];
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{cheapest, smooth};
    use crate::demand::{BINS, bin_middles_s, bin_of, bin_starts_s};
    use crate::nanos::Nanos;
    use proptest::prelude::*;

    fn weights(gaps: &[(u64, f64)]) -> [f64; BINS] {
        let mut weights = [0.0; BINS];
        for &(millis, weight) in gaps {
            weights[bin_of(Nanos::from_millis(millis))] += weight;
        }
        weights
    }

    #[test]
    fn short_gaps_are_bridged_and_long_ones_let_go() {
        // Nine gaps of 100 ms, one of an hour; a miss costs 5 GB·s.
        let window = cheapest(&weights(&[(100, 9.0), (3_600_000, 1.0)]), 1.0, 5.0);
        assert!(window.keep_s > 0.1 && window.keep_s < 0.15, "{window:?}");
    }

    #[test]
    fn nothing_is_kept_when_gaps_cost_more_than_a_miss() {
        assert!(cheapest(&weights(&[(60_000, 10.0)]), 1.0, 5.0).keep_s < 1e-9);
    }

    #[test]
    fn without_evidence_it_breaks_even() {
        assert!((cheapest(&[0.0; BINS], 2.0, 5.0).keep_s - 2.5).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn no_window_is_cheaper(
            gaps in prop::collection::vec((1..10_000_000_u64, 0.1..10.0_f64), 1..30),
            memory in 0.1..8.0_f64,
            miss in 0.01..100.0_f64,
        ) {
            let weights = weights(&gaps);
            let best = cheapest(&weights, memory, miss);
            let total: f64 = weights.iter().sum();
            for bin in 0..BINS {
                let keep = bin_starts_s()[bin];
                let cost: f64 = (0..BINS).map(|gap| {
                    let length = bin_middles_s()[gap];
                    weights[gap] * if length < keep { memory * length } else { memory * keep + miss }
                }).sum();
                prop_assert!(best.cost <= cost / total * (1.0 + 1e-4), "{best:?} against {} for {keep}", cost / total);
            }
        }

        #[test]
        fn smoothing_moves_weight_and_makes_none(gaps in prop::collection::vec((1..10_000_000_u64, 0.1..10.0_f64), 0..30)) {
            let weights = weights(&gaps);
            let mut smoothed = [0.0; BINS];
            smooth(&weights, &mut smoothed);
            let (before, after): (f64, f64) = (weights.iter().sum(), smoothed.iter().sum());
            prop_assert!((before - after).abs() < 1e-9 * (1.0 + before));
        }
    }
}
