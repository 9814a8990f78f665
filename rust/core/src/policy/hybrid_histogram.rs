//! *Serverless in the Wild*: a histogram of each function's idle times says when to let its instance go and when to have one again.

use super::idle_histogram::IdleHistogram;
use super::prewarm::{IdleTimes, Plan};
use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// The hybrid histogram policy. With a representative histogram, the instance is let go when the function falls idle, pre-warmed at the
/// head of its idle times less a margin, and kept to their tail plus a margin; when most idle times do not fit the histogram, around a
/// forecast of the next one; otherwise for as long as the histogram spans.
///
/// # Source
///
/// Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, §4.2. Deviations: idle times are a function's, not an application's;
/// the forecast is an AR(1) model of the newest 32 idle times where the paper fits an ARIMA model; instances of demand levels above 1,
/// which the paper does not have, are kept for as long as the one it has. Memory: 4 bytes a bin and 0.4 kB, 1.3 kB at the defaults,
/// behind a lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HybridHistogram {
    /// Width of a bin.
    pub bin: Nanos,
    /// Number of bins.
    pub bins: u32,
    /// Quantile of the idle times before which no instance is needed.
    pub head: f64,
    /// Quantile of the idle times to which it is kept.
    pub tail: f64,
    /// Share by which the head is shortened and the tail lengthened.
    pub margin: f64,
    /// Coefficient of variation of the bins' counts from which on the histogram is representative.
    pub variation: f64,
    /// Share of idle times beyond the histogram from which on the forecast is used.
    pub out_of_bounds: f64,
    /// Share of a forecast idle time by which the instance is there earlier, and later.
    pub forecast_margin: f64,
}

/// Idle times that the forecast looks at.
const NEWEST: usize = 32;

#[derive(Debug)]
struct HybridFunction {
    rule: HybridHistogram,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: IdleTimes,
    histogram: IdleHistogram,
    /// The newest idle times in seconds, oldest first.
    newest: Vec<f64>,
    plan: Plan,
    /// What the plan was made from.
    evidence: Evidence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    Histogram,
    Forecast,
    Neither,
}

impl Policy for HybridHistogram {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        let histogram = IdleHistogram::new(self.bin, self.bins);
        let plan = Plan { prewarm: Nanos::ZERO, until: histogram.span() };
        let state = State { idle: IdleTimes::default(), histogram, newest: Vec::with_capacity(NEWEST), plan, evidence: Evidence::Neither };
        Box::new(HybridFunction { rule: *self, state: Mutex::new(state) })
    }
}

impl HybridHistogram {
    fn plan(&self, histogram: &IdleHistogram, newest: &[f64]) -> (Plan, Evidence) {
        if histogram.share_over() >= self.out_of_bounds && !newest.is_empty() {
            let next = forecast(newest);
            let at = |share: f64| Nanos::from_secs_f64(next * share);
            return (Plan { prewarm: at(1.0 - self.forecast_margin), until: at(1.0 + self.forecast_margin) }, Evidence::Forecast);
        }
        if histogram.within() > 0 && histogram.variation() >= self.variation {
            return (quantile_plan(histogram, self.head, self.tail, self.margin), Evidence::Histogram);
        }
        (Plan { prewarm: Nanos::ZERO, until: histogram.span() }, Evidence::Neither)
    }
}

/// From the head, rounded down to its bin's edge and shortened, to the tail, rounded up and lengthened.
pub(super) fn quantile_plan(histogram: &IdleHistogram, head: f64, tail: f64, margin: f64) -> Plan {
    let (head, _) = histogram.quantile(head);
    let (_, tail) = histogram.quantile(tail);
    Plan {
        prewarm: Nanos::from_secs_f64(head.as_secs_f64() * (1.0 - margin)),
        until: Nanos::from_secs_f64(tail.as_secs_f64() * (1.0 + margin)),
    }
}

/// The next value of a first-order autoregression fitted by Yule and Walker's equation: `mean + r · (last − mean)` with `r` the
/// autocorrelation at lag 1.
fn forecast(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let covariance: f64 = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    let correlation = if variance > 0.0 { covariance / variance } else { 0.0 };
    mean + correlation * (values[values.len() - 1] - mean)
}

impl FunctionPolicy for HybridFunction {
    fn demand_rose(&self, now: Nanos, level: u32) {
        let mut state = lock(&self.state);
        let Some(idle) = state.idle.rose(now, level) else { return };
        state.histogram.record(idle);
        if state.newest.len() == NEWEST {
            state.newest.remove(0);
        }
        state.newest.push(idle.as_secs_f64());
        (state.plan, state.evidence) = self.rule.plan(&state.histogram, &state.newest);
    }

    fn demand_fell(&self, now: Nanos, level: u32, _: Option<Nanos>) {
        lock(&self.state).idle.fell(now, level);
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        lock(&self.state).plan.keep_alive(free.level)
    }

    fn target(&self, load: &Load) -> Target {
        let state = lock(&self.state);
        state.plan.target(load, state.idle.since())
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        let state = lock(&self.state);
        let because = match state.evidence {
            Evidence::Histogram => format!("{} idle times make a representative histogram", state.histogram.within()),
            Evidence::Forecast => {
                format!("a forecast: {:.0} % of idle times do not fit the histogram", 100.0 * state.histogram.share_over())
            }
            Evidence::Neither => format!(
                "the standard keep-alive: the histogram is not representative (variation {:.1} of {})",
                state.histogram.variation(),
                self.rule.variation
            ),
        };
        vec![format!("after demand fell to 0, has an instance from {} until {}", state.plan.prewarm, state.plan.until), because]
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::forecast;

    #[test]
    fn a_constant_series_forecasts_itself_and_an_alternating_one_its_turn() {
        assert!((forecast(&[7.0]) - 7.0).abs() < 1e-12);
        assert!((forecast(&[5.0; 4]) - 5.0).abs() < 1e-12);
        // Mean 2, deviations −1, 1, −1, 1: correlation −3/4, so 2 − 3/4 · 1.
        assert!((forecast(&[1.0, 3.0, 1.0, 3.0]) - 1.25).abs() < 1e-12);
    }
}
