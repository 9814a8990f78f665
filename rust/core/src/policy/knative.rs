//! Knative's pod autoscaler: concurrency over a long and a short window, a panic when the short one runs away.

use super::history::{History, at_least};
use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Queue, Start, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// Every `tick`, wants `concurrency / utilisation` instances, one request at a time each, by the mean concurrency (executing and waiting)
/// over the stable window; or over the panic window while that asks for `threshold` times what there is, and for a stable window after:
/// then it never scales down. A request that finds no instance at all starts one at once; otherwise only the tick starts any.
///
/// # Source
///
/// Knative Serving, "About autoscaling" and the defaults of `config-autoscaler`. Deviations: instances that start count as ready; windows
/// are made of sixtieths of the stable window, the one in progress included; the target burst capacity, which only decides who buffers
/// requests, is left out. Memory: 0.6 kB, behind a lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Knative {
    /// The long window.
    pub stable: Nanos,
    /// The short window as a share of the long one.
    pub panic: f64,
    /// Panic begins when the short window wants so many times the instances there are.
    pub threshold: f64,
    /// The share of an instance's time that requests are to fill.
    pub utilisation: f64,
    /// How often it decides.
    pub tick: Nanos,
    /// Most by which a decision multiplies the instances.
    pub up: f64,
    /// Most by which it divides them.
    pub down: f64,
    /// How long the last instance stays when none is wanted any more.
    pub grace: Nanos,
}

const BUCKETS: u32 = 60;

#[derive(Debug)]
struct KnativeFunction {
    rule: Knative,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    history: History,
    next_tick: Nanos,
    target: u32,
    /// When the panic threshold was last crossed, while in panic.
    panic_since: Option<Nanos>,
    /// Most instances wanted during this panic.
    panic_most: u32,
    /// Since when no instance is wanted.
    unwanted_since: Option<Nanos>,
}

impl Policy for Knative {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        let history = History::new(Nanos((self.stable.0 / u64::from(BUCKETS)).max(1)), BUCKETS);
        let state = State { history, next_tick: Nanos::ZERO, target: 0, panic_since: None, panic_most: 0, unwanted_since: None };
        Box::new(KnativeFunction { rule: *self, state: Mutex::new(state) })
    }
}

impl Knative {
    fn decide(&self, state: &mut State, now: Nanos, instances: u32) -> u32 {
        state.history.advance(now);
        let ready = f64::from(instances.max(1));
        let (most, least) = ((self.up * ready).ceil(), (ready / self.down).floor());
        let wanted = |window| f64::from(at_least(state.history.mean(window) / self.utilisation));
        let (stable, panic) = (wanted(BUCKETS), wanted(at_least(self.panic * f64::from(BUCKETS)).max(1)));
        let limited = |wanted: f64| at_least(wanted.max(least).min(most));
        if panic / ready >= self.threshold {
            state.panic_since = Some(now);
        } else if state.panic_since.is_some_and(|since| since + self.stable < now) {
            state.panic_since = None;
            state.panic_most = 0;
        }
        if state.panic_since.is_none() {
            return limited(stable);
        }
        state.panic_most = state.panic_most.max(limited(stable)).max(limited(panic));
        state.panic_most
    }

    /// The last instance outlives the decision to have none by the grace.
    fn with_grace(&self, state: &mut State, now: Nanos, wanted: u32) -> u32 {
        if wanted > 0 {
            state.unwanted_since = None;
            return wanted;
        }
        let since = *state.unwanted_since.get_or_insert(now);
        u32::from(state.target > 0 && now.since(since) < self.grace)
    }
}

impl FunctionPolicy for KnativeFunction {
    fn demand_rose(&self, now: Nanos, _: u32) {
        lock(&self.state).history.change(now, 1);
    }

    fn demand_fell(&self, now: Nanos, _: u32, _: Option<Nanos>) {
        lock(&self.state).history.change(now, -1);
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        // Only the tick scales down.
        lock(&self.state).next_tick - free.facts.now
    }

    fn start(&self, queue: &Queue) -> Start {
        if queue.starting + queue.busy == 0 { Start::Now } else { Start::Enough }
    }

    fn target(&self, load: &Load) -> Target {
        let now = load.facts.now;
        let mut state = lock(&self.state);
        let asleep = state.target == 0 && load.demand > 0;
        if now >= state.next_tick || asleep {
            state.next_tick = now + self.rule.tick;
            // A request that has just come has no weight yet, but is to be served.
            let wanted = self.rule.decide(&mut state, now, load.instances).max(u32::from(load.demand > 0));
            state.target = self.rule.with_grace(&mut state, now, wanted);
        }
        if state.target == 0 && load.demand == 0 && load.instances == 0 {
            return Target::NONE;
        }
        Target { instances: state.target, again: state.next_tick }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        let state = lock(&self.state);
        let mode = if state.panic_since.is_some() { "in panic" } else { "stable" };
        vec![
            format!("wants {} instances, {mode}", state.target),
            format!(
                "mean concurrency {:.2} over {}; an instance is to be {} busy",
                state.history.mean(BUCKETS),
                self.rule.stable,
                self.rule.utilisation
            ),
        ]
    }
}
