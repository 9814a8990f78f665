//! IceBreaker: a Fourier forecast of each function's concurrency, a minute ahead.

use super::fourier::extrapolate;
use super::history::{History, at_least};
use super::{Facts, FreeInstance, FunctionPolicy, Harmonics, Load, Policy, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// Holds as many instances as the forecast says for the minute in progress, made at its beginning from the mean concurrency of the
/// minutes before: detrended, its `harmonics` kept, extrapolated by one. Instances beyond that go when their request ends.
///
/// # Source
///
/// Roy, Patel, Tiwari, "IceBreaker", ASPLOS 2022 (function invocation prediction). Deviations: one kind of server, so its choice
/// between cheap and fast ones by a utility is left out; minutes before the first call count as zero. Memory: 8 bytes a sample, 0.6 kB at
/// the defaults, behind a lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IceBreaker {
    /// What one sample of concurrency covers, and how far ahead the forecast looks.
    pub bin: Nanos,
    /// Samples that the forecast is made from.
    pub samples: u32,
    /// Harmonics kept.
    pub count: u32,
    /// Which ones.
    pub harmonics: Harmonics,
}

#[derive(Debug)]
struct IceBreakerFunction {
    rule: IceBreaker,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    history: History,
    forecast: f64,
    /// When the next forecast is made.
    next: Nanos,
}

impl Policy for IceBreaker {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        let history = History::new(self.bin, self.samples + 1);
        Box::new(IceBreakerFunction { rule: *self, state: Mutex::new(State { history, forecast: 0.0, next: Nanos::ZERO }) })
    }
}

impl FunctionPolicy for IceBreakerFunction {
    fn demand_rose(&self, now: Nanos, _: u32) {
        lock(&self.state).history.change(now, 1);
    }

    fn demand_fell(&self, now: Nanos, _: u32, _: Option<Nanos>) {
        lock(&self.state).history.change(now, -1);
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        let state = lock(&self.state);
        // What the target holds anyway is looked at again when the target is.
        if free.level <= at_least(state.forecast) { state.next - free.facts.now } else { Nanos::ZERO }
    }

    fn target(&self, load: &Load) -> Target {
        let mut state = lock(&self.state);
        if load.facts.now >= state.next {
            state.history.advance(load.facts.now);
            state.next = state.history.next_boundary();
            let samples = state.history.completed();
            state.forecast = extrapolate(&samples, self.rule.count as usize, self.rule.harmonics);
            if load.demand == 0 && samples.iter().all(|&sample| sample == 0.0) {
                state.forecast = 0.0;
                return Target::NONE;
            }
        }
        Target { instances: at_least(state.forecast), again: state.next }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        let state = lock(&self.state);
        let newest = state.history.completed().last().copied().unwrap_or(0.0);
        vec![
            format!("holds {} instances until {}: forecast concurrency {:.2}", at_least(state.forecast), state.next, state.forecast),
            format!("from {} samples of {}, the newest {newest:.2}", self.rule.samples, self.rule.bin),
        ]
    }
}
