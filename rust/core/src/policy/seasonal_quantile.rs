//! Seasonal quantiles, like AHPA: what this minute of the day asked for on the days before.

use super::history::{at_least, place};
use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// Records the peak of demand in each bin of the season, and holds the `quantile` over past seasons of every bin that begins within
/// `lead` from now; or as many instances as demand asks for now, if that is more. Instances beyond that go when their request ends.
///
/// # Source
///
/// Alibaba Cloud, "AHPA overview" (`quantile`, `scaleUpForward`; the larger of the proactive and the passive forecast). Deviations: the
/// product's forecast (RobustScaler) is closed, this is the plain quantile; it begins after one season where the product waits for seven
/// days; the lead is the measured start where the product is told one. Memory: 2 bytes a bin and season, 20 kB at the defaults, behind a
/// lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SeasonalQuantile {
    /// Length of a bin.
    pub bin: Nanos,
    /// Bins in a season.
    pub bins: u32,
    /// Seasons remembered.
    pub seasons: u32,
    /// Quantile over the seasons, nearest rank.
    pub quantile: f64,
    /// How far ahead instances are there; `None`: as long as a start takes.
    pub lead: Option<Nanos>,
}

#[derive(Debug)]
struct SeasonalFunction {
    rule: SeasonalQuantile,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Peak demand of bin `n` at `n` modulo the length; a value is overwritten when as many seasons have passed as are remembered.
    peaks: Box<[u16]>,
    /// The first bin that was seen.
    begun: Option<u64>,
    /// The bin in progress, and its peak so far.
    number: u64,
    peak: i64,
    demand: i64,
    /// What the target was last made of.
    proactive: u32,
}

impl Policy for SeasonalQuantile {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        let peaks = vec![0; self.bins as usize * self.seasons as usize].into();
        let state = State { peaks, begun: None, number: 0, peak: 0, demand: 0, proactive: 0 };
        Box::new(SeasonalFunction { rule: *self, state: Mutex::new(state) })
    }
}

impl State {
    fn change(&mut self, number: u64, by: i64) {
        self.advance(number);
        self.demand += by;
        self.peak = self.peak.max(self.demand);
    }

    /// Closes the bins before this one: the one that was in progress with its peak, those after it with the demand that lasted.
    fn advance(&mut self, number: u64) {
        if self.begun.is_none() {
            (self.begun, self.number) = (Some(number), number);
        }
        let length = self.peaks.len();
        for closed in self.number.max(number.saturating_sub(length as u64))..number {
            let peak = if closed == self.number { self.peak } else { self.demand };
            self.peaks[place(closed, length)] = u16::try_from(peak.max(0)).unwrap_or(u16::MAX);
        }
        if number > self.number {
            (self.number, self.peak) = (number, self.demand);
        }
    }
}

impl SeasonalQuantile {
    fn number(&self, at: Nanos) -> u64 {
        at.0 / self.bin.0
    }

    /// The quantile of a bin's peaks in the seasons before; zero if there were none.
    fn forecast(&self, state: &State, number: u64) -> u32 {
        let begun = state.begun.unwrap_or(u64::MAX);
        let past = (1..=u64::from(self.seasons)).map_while(|back| number.checked_sub(back * u64::from(self.bins)));
        let mut peaks: Vec<_> =
            past.filter(|&past| past >= begun && past < state.number).map(|past| state.peaks[place(past, state.peaks.len())]).collect();
        peaks.sort_unstable();
        let rank = at_least(self.quantile * peaks.len() as f64).max(1) as usize;
        peaks.get(rank - 1).copied().map_or(0, u32::from)
    }
}

impl FunctionPolicy for SeasonalFunction {
    fn demand_rose(&self, now: Nanos, _: u32) {
        lock(&self.state).change(self.rule.number(now), 1);
    }

    fn demand_fell(&self, now: Nanos, _: u32, _: Option<Nanos>) {
        lock(&self.state).change(self.rule.number(now), -1);
    }

    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        Nanos::ZERO
    }

    fn target(&self, load: &Load) -> Target {
        let rule = &self.rule;
        let now = load.facts.now;
        let mut state = lock(&self.state);
        state.advance(rule.number(now));
        if load.demand == 0 && state.peak == 0 && state.peaks.iter().all(|&peak| peak == 0) {
            state.proactive = 0;
            return Target::NONE;
        }
        let horizon = Nanos(rule.lead.unwrap_or(load.facts.cold_start).0.min(rule.bin.0 * u64::from(rule.bins)));
        let (first, last) = (rule.number(now), rule.number(now + horizon));
        state.proactive = (first..=last).map(|number| rule.forecast(&state, number)).max().unwrap_or(0);
        let at = |number: u64| Nanos(number.saturating_mul(rule.bin.0));
        // The target changes when a bin ends and when another comes into sight.
        let again = at(first + 1).min(at(last + 1) - horizon);
        Target { instances: state.proactive.max(load.demand), again }
    }

    fn explain(&self, facts: &Facts) -> Vec<String> {
        let state = lock(&self.state);
        let seen = state.begun.map_or(0, |begun| state.number.saturating_sub(begun) / u64::from(self.rule.bins));
        vec![
            format!(
                "holds {} instances by the quantile {} over {seen} seasons, or as many as demand asks for",
                state.proactive, self.rule.quantile
            ),
            format!("ahead by {}", self.rule.lead.unwrap_or(facts.cold_start)),
        ]
    }
}
