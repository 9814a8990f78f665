//! Pre-warming: a second window for gaps that end at a time of their own, such as those of a timer.
//!
//! A gap longer than a cold start ends in an **onset**. The times from one onset to the next are remembered one by one, the last sixteen.
//! If they cluster, it is cheaper to let the instance go and to have another ready when the cluster begins. Times are taken from onset to
//! onset and not from when demand fell, because requests that had to wait fall later: a timer's gaps would be shorter after every tick that
//! was not foreseen. Every plan is checked against the gap it was made for, and plans are carried out only while they have lately paid:
//! when the next onset comes does not depend on what was done, so what a plan would have cost is known either way.

use super::plan::{self, MOST, Plan, Prices};
use crate::demand::began;
use crate::nanos::Nanos;
use crate::sync::{AtomicBool, Mutex, Ordering, lock};

/// What the last gap's result keeps of its weight with each new one.
const FADING: f64 = 0.8;

/// One level's forecast behind a lock, and beside it what is asked for most often.
#[derive(Debug, Default)]
pub(super) struct Foreseen {
    pub(super) forecast: Mutex<Forecast>,
    pays: AtomicBool,
}

impl Foreseen {
    /// Has planning lately paid?
    pub(super) fn pays(&self) -> bool {
        self.pays.load(Ordering::Relaxed)
    }

    /// Takes in the onset that ends a gap: see [`Forecast::learn`]. It goes by where a plan could save nothing.
    pub(super) fn learn(&self, now: Nanos, gap: Nanos, kept_s: f64, prices: &Prices) {
        let mut forecast = lock(&self.forecast);
        if prices.reward_foresight() {
            forecast.learn(now, gap, kept_s, prices);
            self.pays.store(forecast.pays(), Ordering::Relaxed);
        } else {
            forecast.skip();
        }
    }
}

/// The ends of one level's long gaps, and whether foreseeing them has paid.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// The last onset.
    onset: Option<Nanos>,
    /// Times between onsets.
    times_s: Vec<f64>,
    /// Places in `times_s`: whose time is replaced next, and all of them by ascending time.
    next: u8,
    ascending: [u8; MOST],
    /// GB·s that plans would have saved lately; carried out while positive.
    gain: f64,
    /// The last plan made of these gaps, and what for.
    answer: Option<((f64, Prices), Option<Plan>)>,
}

impl Forecast {
    /// Has planning lately paid?
    fn pays(&self) -> bool {
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
    fn skip(&mut self) {
        self.onset = None;
    }

    /// Takes in the onset that ends a gap, after checking what the plan for it would have been worth. `kept_s`: how long into the gap the
    /// instance was kept.
    fn learn(&mut self, now: Nanos, gap: Nanos, kept_s: f64, prices: &Prices) {
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
        self.remember(since_s);
    }

    /// Takes in a time between two onsets, in place of the oldest if there are many.
    fn remember(&mut self, time_s: f64) {
        let place = self.next;
        self.next = if usize::from(place) + 1 == MOST { 0 } else { place + 1 };
        let others = self.times_s.len().min(MOST - 1);
        if self.times_s.len() < MOST {
            self.times_s.push(time_s);
        } else {
            self.times_s[usize::from(place)] = time_s;
            let gone = self.ascending.iter().position(|&other| other == place).expect("every place is in the order");
            self.ascending.copy_within(gone + 1.., gone);
        }
        let at = self.ascending[..others].partition_point(|&other| self.times_s[usize::from(other)] < time_s);
        self.ascending.copy_within(at..others, at + 1);
        self.ascending[at] = place;
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
        let ascending = &self.ascending[..self.times_s.len()];
        let mut times_s = [0.0; MOST];
        for (time, &place) in times_s.iter_mut().zip(ascending) {
            *time = self.times_s[usize::from(place)];
        }
        let longer = times_s[..ascending.len()].partition_point(|&time| time <= from_s);
        let plan = plan::best(&times_s[longer..ascending.len()], from_s, prices);
        self.answer = Some((question, plan));
        plan
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Forecast, Prices};
    use crate::nanos::Nanos;

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

    #[test]
    fn a_plan_is_made_for_what_may_still_come() {
        let mut forecast = taught([30_000, 60_000].repeat(4));
        let plan = forecast.plan(31.0, &PRICES).unwrap();
        assert!(plan.ready_s > 59.0, "{plan:?}");
    }
}
