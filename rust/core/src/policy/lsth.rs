//! INFless: two histograms of idle times, of the last day and of the last hour, blended.

use super::history::place;
use super::hybrid_histogram::quantile_plan;
use super::idle_histogram::IdleHistogram;
use super::prewarm::{IdleTimes, Plan};
use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// The long-short-term histogram policy: `gamma` of what the long histogram says plus `1 − gamma` of what the short one says, for the
/// pre-warming and the end of the keep-alive alike. An empty histogram has no say; with both empty an instance is kept for as long as a
/// histogram spans.
///
/// # Source
///
/// Yang et al., "INFless", ASPLOS 2022 (long-short-term histogram), which takes head, tail and margin from *Serverless in the Wild*.
/// Deviations: a histogram forgets in sixths of its span, so it covers five to six sixths of it; idle times are a function's; instances
/// of demand levels above 1 are kept for as long as the one the paper has. Memory: 12 histograms of 4 bytes a bin, 12 kB at the
/// defaults, behind a lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Lsth {
    /// Weight of the long histogram.
    pub gamma: f64,
    /// How far the long histogram looks back.
    pub long: Nanos,
    /// How far the short histogram looks back.
    pub short: Nanos,
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
}

#[derive(Debug)]
struct LsthFunction {
    rule: Lsth,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    idle: IdleTimes,
    long: Rolling,
    short: Rolling,
    plan: Plan,
}

/// A histogram that forgets: slices of time in a ring, the oldest of which is cleared when a new one begins.
#[derive(Debug)]
struct Rolling {
    slice: Nanos,
    slices: [IdleHistogram; SLICES],
    /// Number of the slice in progress.
    newest: u64,
}

const SLICES: usize = 6;

impl Rolling {
    fn new(span: Nanos, empty: &IdleHistogram) -> Self {
        Self { slice: Nanos((span.0 / SLICES as u64).max(1)), slices: std::array::from_fn(|_| empty.clone()), newest: 0 }
    }

    fn record(&mut self, now: Nanos, idle: Nanos) {
        let number = (now.0 / self.slice.0).max(self.newest);
        for passed in (self.newest + 1).max((number + 1).saturating_sub(SLICES as u64))..=number {
            self.slices[place(passed, SLICES)].clear();
        }
        self.newest = number;
        self.slices[place(number, SLICES)].record(idle);
    }

    fn whole(&self) -> IdleHistogram {
        let mut whole = self.slices[0].clone();
        self.slices[1..].iter().for_each(|slice| whole.add(slice));
        whole
    }
}

impl Policy for Lsth {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        let empty = IdleHistogram::new(self.bin, self.bins);
        let (long, short) = (Rolling::new(self.long, &empty), Rolling::new(self.short, &empty));
        let plan = Plan { prewarm: Nanos::ZERO, until: empty.span() };
        Box::new(LsthFunction { rule: *self, state: Mutex::new(State { idle: IdleTimes::default(), long, short, plan }) })
    }
}

impl Lsth {
    fn plan(&self, long: &IdleHistogram, short: &IdleHistogram) -> Plan {
        let plan = |histogram| quantile_plan(histogram, self.head, self.tail, self.margin);
        match (long.within(), short.within()) {
            (0, 0) => Plan { prewarm: Nanos::ZERO, until: long.span() },
            (_, 0) => plan(long),
            (0, _) => plan(short),
            _ => {
                let blend = |long: Nanos, short: Nanos| {
                    Nanos::from_secs_f64(self.gamma * long.as_secs_f64() + (1.0 - self.gamma) * short.as_secs_f64())
                };
                let (long, short) = (plan(long), plan(short));
                Plan { prewarm: blend(long.prewarm, short.prewarm), until: blend(long.until, short.until) }
            }
        }
    }
}

impl FunctionPolicy for LsthFunction {
    fn demand_rose(&self, now: Nanos, level: u32) {
        let mut state = lock(&self.state);
        let Some(idle) = state.idle.rose(now, level) else { return };
        state.long.record(now, idle);
        state.short.record(now, idle);
        state.plan = self.rule.plan(&state.long.whole(), &state.short.whole());
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
        vec![
            format!("after demand fell to 0, has an instance from {} until {}", state.plan.prewarm, state.plan.until),
            format!(
                "{} idle times in the long histogram, weight {}, and {} in the short one",
                state.long.whole().within(),
                self.rule.gamma,
                state.short.whole().within()
            ),
        ]
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{IdleHistogram, Rolling};
    use crate::nanos::Nanos;

    const S: fn(u64) -> Nanos = Nanos::from_secs;

    #[test]
    fn a_rolling_histogram_forgets_slice_by_slice() {
        let mut rolling = Rolling::new(S(60), &IdleHistogram::new(S(1), 10));
        for second in [5, 15, 25] {
            rolling.record(S(second), S(1));
        }
        assert_eq!(rolling.whole().within(), 3);
        rolling.record(S(65), S(1));
        assert_eq!(rolling.whole().within(), 3, "the first ten seconds are forgotten");
        rolling.record(S(100_000), S(1));
        assert_eq!(rolling.whole().within(), 1);
    }
}
