//! Pre-warming: a second window for gaps that end at a time of their own, such as those of a timer.
//!
//! A gap longer than a cold start ends in an **onset**. The times from one onset to the next are remembered one by one, the last sixteen.
//! If they cluster, it is cheaper to let the instance go and to have another ready when the cluster begins. Times are taken from onset to
//! onset and not from when demand fell, because requests that had to wait fall later: a timer's gaps would be shorter after every tick that
//! was not foreseen. Every plan is checked against the gap it was made for, and plans are carried out only while they have lately paid:
//! when the next onset comes does not depend on what was done, so what a plan would have cost is known either way.

use crate::demand::began;
use crate::nanos::Nanos;

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
    fn saved(&self, plan: &Plan, gap_s: f64) -> f64 {
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

/// Times between onsets that are remembered.
const MOST: usize = 16;
/// An onset that no plan foresees is thought to be among the next ones, this often beside those remembered.
const UNFORESEEN: f64 = 0.5;
/// Margin on both sides of a cluster on top of its own spread.
const MARGIN_S: f64 = 0.002;
/// Far more than rounding can add up to over sixteen gaps, and far less than two plans differ by.
const ROUNDING: f64 = 1e-9;
/// What the last gap's result keeps of its weight with each new one.
const FADING: f64 = 0.8;

/// The ends of one level's long gaps, and whether foreseeing them has paid.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// The last onset.
    onset: Option<Nanos>,
    times_s: Vec<f64>,
    next: usize,
    /// GB·s that plans would have saved lately; carried out while positive.
    gain: f64,
    /// The last plan made of these gaps, and what for.
    answer: Option<((f64, Prices), Option<Plan>)>,
}

impl Forecast {
    /// Has planning lately paid?
    pub(super) fn pays(&self) -> bool {
        self.gain > 0.0
    }

    /// GB·s that plans would have saved lately.
    pub(super) fn gain(&self) -> f64 {
        self.gain
    }

    /// Seconds from the last onset until now; 0 if there was none.
    pub(super) fn since_onset_s(&self, now: Nanos) -> f64 {
        self.onset.map_or(0.0, |onset| now.since(onset).as_secs_f64())
    }

    /// Seconds from the last onset until demand fell, a gap ago: the same throughout the gap.
    pub(super) fn fell_s(&self, gap: Nanos, now: Nanos) -> f64 {
        self.since_onset_s(began(gap, now))
    }

    /// Lets an onset go by: the next one has none before it.
    pub(super) fn skip(&mut self) {
        self.onset = None;
    }

    /// Takes in the onset that ends a gap, after checking what the plan for it would have been worth. `kept_s`: how long into the gap the
    /// instance was kept.
    pub(super) fn learn(&mut self, now: Nanos, gap: Nanos, kept_s: f64, prices: &Prices) {
        let (since_s, fell_s) = (self.since_onset_s(now), self.fell_s(gap, now));
        if self.onset.replace(now).is_none() {
            return;
        }
        if gap.as_secs_f64() > kept_s
            && let Some(plan) = self.plan(fell_s + kept_s, prices)
        {
            self.gain = FADING * self.gain + prices.saved(&plan, since_s);
        }
        self.answer = None;
        if self.times_s.len() < MOST {
            self.times_s.push(since_s);
        } else {
            self.times_s[self.next] = since_s;
        }
        self.next = (self.next + 1) % MOST;
    }

    /// The plan that would have saved most over the remembered times longer than `from_s`; `None` if none would have saved anything.
    ///
    /// It is asked for at every timer of a function and again at the next onset, while nothing has changed: the answer is kept.
    pub(super) fn plan(&mut self, from_s: f64, prices: &Prices) -> Option<Plan> {
        let question = (from_s, *prices);
        if let Some((answered, plan)) = self.answer
            && answered == question
        {
            return plan;
        }
        let plan = self.best_plan(from_s, prices);
        self.answer = Some((question, plan));
        plan
    }

    /// Each stretch between two of them is a candidate: at most 120. A likely one is looked at first. Then what a candidate would have
    /// saved is estimated from running sums, and added up one by one only if it may be the best.
    fn best_plan(&self, from_s: f64, prices: &Prices) -> Option<Plan> {
        let longer = LongerTimes::new(self.times_s.iter().copied().filter(|&time| time > from_s));
        let gaps = longer.gaps();
        if gaps.len() < 2 {
            return None;
        }
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
}

/// Times in ascending order, with their running sums.
struct LongerTimes {
    times_s: [f64; MOST],
    /// Of the times before each place.
    sums_s: [f64; MOST + 1],
    len: usize,
}

impl LongerTimes {
    fn new(gaps: impl Iterator<Item = f64>) -> Self {
        let mut longer = Self { times_s: [0.0; MOST], sums_s: [0.0; MOST + 1], len: 0 };
        for gap in gaps {
            longer.times_s[longer.len] = gap;
            longer.len += 1;
        }
        longer.times_s[..longer.len].sort_unstable_by(f64::total_cmp);
        for place in 0..longer.len {
            longer.sums_s[place + 1] = longer.sums_s[place] + longer.times_s[place];
        }
        longer
    }

    fn gaps(&self) -> &[f64] {
        &self.times_s[..self.len]
    }

    /// The plan for the stretch from one gap to another.
    fn plan(&self, (first, last): (usize, usize), from_s: f64) -> Plan {
        let gaps = self.gaps();
        // The ends of a sample lie inside those of its distribution, by about the mean distance of its members.
        let margin = (gaps[last] - gaps[first]) / (last - first) as f64 + MARGIN_S;
        Plan { ready_s: (gaps[first] - margin).max(from_s), until_s: gaps[last] + margin }
    }

    /// What a plan saves over all gaps and an unforeseen one.
    fn saved(&self, plan: &Plan, prices: &Prices) -> f64 {
        let saved: f64 = self.gaps().iter().map(|&gap| prices.saved(plan, gap)).sum();
        saved + UNFORESEEN * prices.saved(plan, f64::INFINITY)
    }

    /// The stretch that is likely to save most, and bounds for all.
    ///
    /// A plan without margins pays, from one gap it meets to the next, for an instance held in all gaps that have not ended by then, and
    /// for a start in those that it misses. Margins only cost, or lengthen the stretch. So a plan saves at most the difference between two
    /// running sums: one taken where the last gap is that it meets, one where its first is, or an earlier one.
    fn bounds(&self, prices: &Prices) -> ((usize, usize), Bounds) {
        let Prices { start_s, memory_gb, lambda } = *prices;
        let (gaps, met) = (self.gaps(), lambda * start_s);
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
        let gaps = self.gaps();
        // Binary searches, which compile to no branches: where the ends fall is as good as random.
        let below = |bound: f64| gaps[..first].partition_point(|&gap| gap < bound);
        let (starting, met) = (below(plan.ready_s - start_s), below(plan.ready_s));
        let missed = last + 1 + gaps[last + 1..].partition_point(|&gap| gap <= plan.until_s);
        let (count, sum) = (|from: usize, to: usize| (to - from) as f64, |from: usize, to: usize| self.sums_s[to] - self.sums_s[from]);
        let shortened = lambda * (sum(starting, met) + count(starting, met) * (start_s - plan.ready_s));
        let hit = count(met, missed) * (lambda * start_s + memory_gb * plan.ready_s) - memory_gb * sum(met, missed);
        let vain = (count(missed, self.len) + UNFORESEEN) * memory_gb * (start_s + plan.until_s - plan.ready_s);
        let scale = (self.len + 1) as f64 * (lambda + memory_gb) * (start_s + gaps[self.len - 1] + plan.until_s);
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
    use super::{Forecast, LongerTimes, MOST, Plan, Prices};
    use crate::nanos::Nanos;
    use proptest::prelude::*;

    const PRICES: Prices = Prices { start_s: 2.0, memory_gb: 0.5, lambda: 1.0 };

    fn taught(gaps_ms: impl IntoIterator<Item = u64>) -> Forecast {
        let mut forecast = Forecast::default();
        let mut now = Nanos::from_secs(1);
        forecast.learn(now, Nanos::from_secs(5), 1.0, &PRICES);
        for gap in gaps_ms {
            teach(&mut forecast, &mut now, gap);
        }
        forecast
    }

    /// One more gap; requests take no time.
    fn teach(forecast: &mut Forecast, now: &mut Nanos, gap_ms: u64) {
        let gap = Nanos::from_millis(gap_ms);
        *now = *now + gap;
        forecast.learn(*now, gap, 1.0, &PRICES);
    }

    #[test]
    fn a_timer_is_foreseen_after_a_few_gaps_and_pays() {
        let mut forecast = taught([30_000, 30_010, 29_990, 30_000, 30_005]);
        assert!(forecast.pays());
        let plan = forecast.plan(1.0, &PRICES).unwrap();
        assert!(plan.ready_s > 29.9 && plan.ready_s < 30.0 && plan.until_s > 30.0 && plan.until_s < 30.1, "{plan:?}");
    }

    #[test]
    fn starts_that_take_no_time_are_not_worth_foreseeing() {
        assert!(PRICES.reward_foresight());
        assert!(!Prices { start_s: 1e-5, ..PRICES }.reward_foresight());
    }

    #[test]
    fn a_tick_that_waited_for_its_start_does_not_move_the_next() {
        let mut forecast = Forecast::default();
        for tick in 0..8 {
            // Every other tick waits for 5 s, so that the gap after it is as much shorter.
            let waited = 5 * ((tick + 1) % 2);
            let gap = Nanos::from_secs(30 - waited);
            forecast.learn(Nanos::from_secs(30 * (tick + 1)), gap, 1.0, &PRICES);
        }
        assert!(forecast.pays());
        let plan = forecast.plan(1.0, &PRICES).unwrap();
        assert!(plan.ready_s > 29.9 && plan.until_s < 30.1, "{plan:?}");
    }

    #[test]
    fn gaps_without_a_pattern_are_not_planned_for() {
        let mut forecast = taught([5_000, 90_000, 14_000, 200_000, 40_000, 310_000, 8_000, 120_000]);
        assert_eq!(forecast.plan(1.0, &PRICES), None);
        assert!(!forecast.pays());
    }

    #[test]
    fn a_plan_that_stops_paying_is_given_up_and_taken_up_again() {
        let mut forecast = taught(std::iter::repeat_n(30_000, 10));
        assert!(forecast.pays());
        let (mut misses, mut now) = (0, Nanos::from_secs(301));
        while forecast.pays() {
            teach(&mut forecast, &mut now, 47_000 + 3_000 * misses);
            misses += 1;
            assert!(misses < 16, "still planned for after {misses} misses");
        }
        for _ in 0..16 {
            teach(&mut forecast, &mut now, 30_000);
        }
        assert!(forecast.pays());
    }

    proptest! {
        /// A plan that is not looked at gap by gap would not have been the best.
        #[test]
        fn no_plan_saves_more_than_estimated(
            gaps_s in prop::collection::vec(0.001..1e4_f64, 2..=MOST),
            (start_s, memory_gb, lambda) in (0.0..30.0_f64, 0.1..8.0_f64, 0.001..1e3_f64),
        ) {
            let longer = LongerTimes::new(gaps_s.iter().copied());
            let (gaps, prices) = (longer.gaps(), Prices { start_s, memory_gb, lambda });
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

    #[test]
    fn a_plan_is_made_for_what_may_still_come() {
        let mut forecast = taught([30_000, 60_000].repeat(4));
        let plan = forecast.plan(31.0, &PRICES).unwrap();
        assert!(plan.ready_s > 59.0, "{plan:?}");
    }
}
