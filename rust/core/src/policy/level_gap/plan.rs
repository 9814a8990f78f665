//! The plan that would have saved most: the search among all stretches between two remembered times.

/// Times between onsets that are remembered.
pub(super) const MOST: usize = 16;
/// An onset that no plan foresees is thought to be among the next ones, this often beside those remembered.
const UNFORESEEN: f64 = 0.5;
/// Margin on both sides of a cluster on top of its own spread.
const MARGIN_S: f64 = 0.002;
/// Far more than rounding can add up to over sixteen gaps, and far less than two plans differ by.
const ROUNDING: f64 = 1e-9;

/// When to have an instance ready and until when to keep it, both as time since the last onset.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    /// Ready at, in seconds.
    pub(super) ready_s: f64,
    /// Kept until, in seconds.
    pub(super) until_s: f64,
}

/// What a start costs and saves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Prices {
    /// Seconds a start takes.
    pub(super) start_s: f64,
    /// Memory of an instance.
    pub(super) memory_gb: f64,
    /// GB·s a second of waiting is worth.
    pub(super) lambda: f64,
}

impl Prices {
    /// GB·s that a plan saves, or costs if negative, if the next onset is after this time, against starting when the request is there.
    pub(super) fn saved(&self, plan: &Plan, gap_s: f64) -> f64 {
        let Self { start_s, memory_gb, lambda } = *self;
        if gap_s < plan.ready_s - start_s {
            0.0
        } else if gap_s < plan.ready_s {
            lambda * (start_s - (plan.ready_s - gap_s))
        } else if gap_s <= plan.until_s {
            lambda * start_s - memory_gb * (gap_s - plan.ready_s)
        } else {
            -memory_gb * (start_s + plan.until_s - plan.ready_s)
        }
    }

    /// Can a plan save anything? Not if a start's wait in every gap is worth less than an unforeseen one costs.
    pub(super) fn reward_foresight(&self) -> bool {
        let Self { start_s, memory_gb, lambda } = *self;
        MOST as f64 * lambda * start_s > UNFORESEEN * memory_gb * (start_s + MARGIN_S)
    }
}

/// The plan that would have saved most over some times between onsets, in ascending order and longer than `from_s`; `None` if none would
/// have saved anything.
///
/// Each stretch between two of them is a candidate: at most 120. A likely one is looked at first. Then what a candidate would have
/// saved is estimated from running sums, and added up one by one only if it may be the best.
pub(super) fn best(gaps: &[f64], from_s: f64, prices: &Prices) -> Option<Plan> {
    if gaps.len() < 2 {
        return None;
    }
    let longer = LongerTimes::new(gaps);
    let (likely, bounds) = longer.bounds(prices);
    let at_least = longer.saved(&longer.plan(likely, from_s), prices);
    let mut best: Option<(f64, Plan)> = None;
    for first in 0..gaps.len() {
        for last in first + 1..gaps.len() {
            let most = best.map_or(0.0, |(most, _)| most);
            if bounds.saved_at_most(first, last) < most.max(at_least) {
                break;
            }
            let plan = longer.plan((first, last), from_s);
            let estimate = longer.saved_at_most(&plan, first, last, prices);
            if estimate <= most || estimate < at_least {
                continue;
            }
            let saved = longer.saved(&plan, prices);
            if saved > most {
                best = Some((saved, plan));
            }
        }
    }
    best.map(|(_, plan)| plan)
}

/// Times in ascending order, with their running sums.
struct LongerTimes<'a> {
    times_s: &'a [f64],
    /// Of the times before each place.
    sums_s: [f64; MOST + 1],
}

impl<'a> LongerTimes<'a> {
    /// `times_s`: in ascending order, at most [`MOST`].
    fn new(times_s: &'a [f64]) -> Self {
        let mut sums_s = [0.0; MOST + 1];
        let mut sum = 0.0;
        for (after, time) in sums_s[1..].iter_mut().zip(times_s) {
            sum += time;
            *after = sum;
        }
        Self { times_s, sums_s }
    }

    /// The plan for the stretch from one gap to another.
    fn plan(&self, (first, last): (usize, usize), from_s: f64) -> Plan {
        let gaps = self.times_s;
        // The ends of a sample lie inside those of its distribution, by about the mean distance of its members.
        let margin = (gaps[last] - gaps[first]) / (last - first) as f64 + MARGIN_S;
        Plan { ready_s: (gaps[first] - margin).max(from_s), until_s: gaps[last] + margin }
    }

    /// What a plan saves over all gaps and an unforeseen one.
    fn saved(&self, plan: &Plan, prices: &Prices) -> f64 {
        let saved: f64 = self.times_s.iter().map(|&gap| prices.saved(plan, gap)).sum();
        saved + UNFORESEEN * prices.saved(plan, f64::INFINITY)
    }

    /// The stretch that is likely to save most, and bounds for all.
    ///
    /// A plan without margins pays, from one gap it meets to the next, for an instance held in all gaps that have not ended by then, and
    /// for a start in those that it misses. Margins only cost, or lengthen the stretch. So a plan saves at most the difference between two
    /// running sums: one taken where the last gap is that it meets, one where its first is, or an earlier one.
    fn bounds(&self, prices: &Prices) -> ((usize, usize), Bounds) {
        let Prices { start_s, memory_gb, lambda } = *prices;
        let (gaps, met) = (self.times_s, lambda * start_s);
        let mut bounds = Bounds { begins: [0.0; MOST], ends: [0.0; MOST] };
        // Saved so far by a plan that meets all gaps; saved at most by meeting or shortening the wait of those before.
        let (mut sum, mut before) = (0.0, 0.0);
        let (mut start, mut likely, mut likely_saved) = (0, (0, 1), f64::NEG_INFINITY);
        let mut near = 0;
        for (place, &gap) in gaps.iter().enumerate() {
            let left = (gaps.len() - place) as f64 - 1.0 + UNFORESEEN;
            if place > 0 {
                let last = gaps[place - 1];
                let held = memory_gb * (gap - last) * (left + 1.0);
                sum += met - held;
                while gaps[near] < last - start_s {
                    near += 1;
                }
                let shortened = lambda * ((place - near) as f64 * (start_s - last) + self.sums_s[place] - self.sums_s[near]);
                before = f64::max(shortened, before + met - held);
            }
            bounds.begins[place] = before + met - sum;
            bounds.ends[place] = sum - memory_gb * start_s * left;
            let saved = bounds.begins[start] + bounds.ends[place];
            if place > 0 && saved > likely_saved {
                (likely, likely_saved) = ((start, place), saved);
            }
            if bounds.begins[place] > bounds.begins[start] {
                start = place;
            }
        }
        let scale = (gaps.len() + 1) as f64 * (lambda + memory_gb) * (start_s + gaps[gaps.len() - 1]);
        let mut most = f64::NEG_INFINITY;
        for end in bounds.ends[..gaps.len()].iter_mut().rev() {
            most = most.max(*end + ROUNDING * scale);
            *end = most;
        }
        (likely, bounds)
    }

    /// Not less than what [`Prices::saved`] sums up to over all gaps and an unforeseen one, and hardly more. The plan's stretch reaches
    /// from the gap at `first` to that at `last`.
    fn saved_at_most(&self, plan: &Plan, first: usize, last: usize, prices: &Prices) -> f64 {
        let Prices { start_s, memory_gb, lambda } = *prices;
        let gaps = self.times_s;
        // Binary searches, which compile to no branches: where the ends fall is as good as random.
        let below = |bound: f64| gaps[..first].partition_point(|&gap| gap < bound);
        let (starting, met) = (below(plan.ready_s - start_s), below(plan.ready_s));
        let missed = last + 1 + gaps[last + 1..].partition_point(|&gap| gap <= plan.until_s);
        let (count, sum) = (|from: usize, to: usize| (to - from) as f64, |from: usize, to: usize| self.sums_s[to] - self.sums_s[from]);
        let shortened = lambda * (sum(starting, met) + count(starting, met) * (start_s - plan.ready_s));
        let hit = count(met, missed) * (lambda * start_s + memory_gb * plan.ready_s) - memory_gb * sum(met, missed);
        let vain = (count(missed, gaps.len()) + UNFORESEEN) * memory_gb * (start_s + plan.until_s - plan.ready_s);
        let scale = (gaps.len() + 1) as f64 * (lambda + memory_gb) * (start_s + gaps[gaps.len() - 1] + plan.until_s);
        shortened + hit - vain + ROUNDING * scale
    }
}

/// What plans save at most, by where their stretch begins and ends.
struct Bounds {
    begins: [f64; MOST],
    /// Of stretches that end here or later.
    ends: [f64; MOST],
}

impl Bounds {
    /// Not less than what any plan saves whose stretch begins at `first` and ends at `last` or later.
    fn saved_at_most(&self, first: usize, last: usize) -> f64 {
        self.begins[first] + self.ends[last]
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{LongerTimes, MOST, Plan, Prices};
    use proptest::prelude::*;

    #[test]
    fn starts_that_take_no_time_are_not_worth_foreseeing() {
        let prices = Prices { start_s: 2.0, memory_gb: 0.5, lambda: 1.0 };
        assert!(prices.reward_foresight());
        assert!(!Prices { start_s: 1e-5, ..prices }.reward_foresight());
    }

    proptest! {
        /// A plan that is not looked at gap by gap would not have been the best.
        #[test]
        fn no_plan_saves_more_than_estimated(
            mut gaps_s in prop::collection::vec(0.001..1e4_f64, 2..=MOST),
            (start_s, memory_gb, lambda) in (0.0..30.0_f64, 0.1..8.0_f64, 0.001..1e3_f64),
        ) {
            gaps_s.sort_unstable_by(f64::total_cmp);
            let (gaps, longer) = (&gaps_s, LongerTimes::new(&gaps_s));
            let prices = Prices { start_s, memory_gb, lambda };
            let (_, bounds) = longer.bounds(&prices);
            for (first, last) in (0..gaps.len()).flat_map(|first| (first + 1..gaps.len()).map(move |last| (first, last))) {
                let plan = Plan { ready_s: gaps[first] - 0.001, until_s: gaps[last] + 0.5 };
                let saved = longer.saved(&plan, &prices);
                let estimate = longer.saved_at_most(&plan, first, last, &prices);
                prop_assert!(saved <= bounds.saved_at_most(first, last));
                let slack = 1e-3 * (lambda + memory_gb);
                prop_assert!(saved <= estimate && estimate <= saved + slack, "{saved} of {estimate}");
            }
        }
    }
}
