//! Kubernetes' horizontal pod autoscaler: proportional to how busy the instances are.

use std::collections::VecDeque;

use super::history::at_least;
use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Queue, Start, Target};
use crate::nanos::Nanos;
use crate::sync::{Mutex, lock};
use crate::table::FunctionSpec;

/// Every `sync`, wants `instances · busy / target` of them, `busy` being the share of their time that executed requests filled since the
/// last sync. A share within `tolerance` of the target changes nothing; scaling up is limited for each sync, scaling down goes no lower
/// than the largest wish of the `stabilise` time before. Once called, a function has at least one instance; only the sync starts others.
///
/// # Source
///
/// Kubernetes, "Horizontal Pod Autoscaling", algorithm details and default behaviour. Deviations: the metric is the busy share, which like
/// CPU use never exceeds 1, of all instances, those that start included (Kubernetes, too, counts pods that are not ready as idle when it
/// scales up); the default target of 0.5 is ours, Kubernetes has none. Memory: 16 bytes a sync of the stabilisation time, 0.4 kB at the
/// defaults, behind a lock that each change of demand takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Hpa {
    /// The busy share to keep.
    pub target: f64,
    /// Relative difference from the target that is let be.
    pub tolerance: f64,
    /// How often it decides.
    pub sync: Nanos,
    /// How far back the wishes reach that keep it from scaling down.
    pub stabilise: Nanos,
    /// Most by which a sync raises the instances, as a share of them…
    pub up: f64,
    /// …or as a number, whichever is more.
    pub up_instances: u32,
}

#[derive(Debug)]
struct HpaFunction {
    rule: Hpa,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    demand: i64,
    /// Instances at the last sync: no more than these can be busy.
    instances: u32,
    /// Busy instances, integrated over time in ns since the last sync.
    busy: u64,
    /// The integral reaches to here.
    at: Nanos,
    last_sync: Option<Nanos>,
    next_sync: Nanos,
    target: u32,
    /// The busy share at the last sync.
    share: f64,
    /// Wishes that may still hold instances: newest last, each smaller than the one before.
    wishes: VecDeque<(Nanos, u32)>,
}

impl Policy for Hpa {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(HpaFunction { rule: *self, state: Mutex::default() })
    }
}

impl State {
    fn advance(&mut self, now: Nanos) {
        let busy = self.demand.clamp(0, i64::from(self.instances)).unsigned_abs();
        self.busy = self.busy.saturating_add(busy.saturating_mul(now.since(self.at).0));
        self.at = self.at.max(now);
    }

    fn change(&mut self, now: Nanos, by: i64) {
        self.advance(now);
        self.demand += by;
    }
}

impl Hpa {
    fn sync(&self, state: &mut State, now: Nanos, instances: u32) -> u32 {
        state.advance(now);
        // Before the first sync nothing was measured: the share is taken to be right.
        let time = state.last_sync.map_or(0, |last| now.since(last).0).saturating_mul(u64::from(instances));
        state.share = if time > 0 { (state.busy as f64 / time as f64).min(1.0) } else { self.target };
        (state.busy, state.last_sync, state.instances) = (0, Some(now), instances);
        let ratio = state.share / self.target;
        let wish = if (ratio - 1.0).abs() <= self.tolerance { instances } else { at_least(f64::from(instances) * ratio) };
        let stabilised = self.stabilised(state, now, wish);
        let current = f64::from(instances);
        let most = at_least((current * (1.0 + self.up)).max(current + f64::from(self.up_instances)));
        stabilised.min(most).max(1)
    }

    /// The largest wish of the stabilisation time. A wish that a newer one reaches can never be the largest again.
    fn stabilised(&self, state: &mut State, now: Nanos, wish: u32) -> u32 {
        while state.wishes.back().is_some_and(|&(_, other)| other <= wish) {
            state.wishes.pop_back();
        }
        state.wishes.push_back((now, wish));
        while state.wishes.front().is_some_and(|&(at, _)| now.since(at) > self.stabilise) {
            state.wishes.pop_front();
        }
        state.wishes.front().map_or(wish, |&(_, largest)| largest)
    }
}

impl FunctionPolicy for HpaFunction {
    fn demand_rose(&self, now: Nanos, _: u32) {
        lock(&self.state).change(now, 1);
    }

    fn demand_fell(&self, now: Nanos, _: u32, _: Option<Nanos>) {
        lock(&self.state).change(now, -1);
    }

    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        // Only the sync scales down.
        lock(&self.state).next_sync - free.facts.now
    }

    fn start(&self, queue: &Queue) -> Start {
        if queue.starting + queue.busy == 0 { Start::Now } else { Start::Enough }
    }

    fn target(&self, load: &Load) -> Target {
        let now = load.facts.now;
        let mut state = lock(&self.state);
        if now >= state.next_sync {
            state.next_sync = now + self.rule.sync;
            state.target = self.rule.sync(&mut state, now, load.instances);
            // An instance that the first sync asks for can be busy before the next.
            state.instances = state.instances.max(state.target);
        }
        Target { instances: state.target, again: state.next_sync }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        let state = lock(&self.state);
        vec![
            format!("wants {} instances until {}", state.target, state.next_sync),
            format!(
                "they were {:.2} busy and are to be {}; wishes of the last {} hold {}",
                state.share,
                self.rule.target,
                self.rule.stabilise,
                state.wishes.front().map_or(0, |&(_, largest)| largest)
            ),
        ]
    }
}
