//! One function's part of a policy, driven by its public trait: requests come and go at given seconds.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use pilotlight_core::policy::{Facts, FreeInstance, FunctionPolicy, Load, PolicySpec, Queue, Start};
use pilotlight_core::{FunctionSpec, Nanos};

pub struct Driver {
    pub function: Box<dyn FunctionPolicy>,
    pub demand: u32,
    pub memory_mb: u32,
    pub cold_start: Nanos,
}

pub fn seconds(seconds: f64) -> Nanos {
    Nanos::from_secs_f64(seconds)
}

impl Driver {
    pub fn new(policy: &str) -> Self {
        Self::of(&PolicySpec::parse(policy).unwrap(), 128)
    }

    pub fn of(policy: &PolicySpec, memory_mb: u32) -> Self {
        let spec = FunctionSpec { key: "f".into(), runtime: "go".into(), timeout_s: 60, memory_mb };
        Self { function: policy.policy.function(&spec), demand: 0, memory_mb, cold_start: Nanos::from_secs(1) }
    }

    pub fn facts(&self, at: f64) -> Facts {
        Facts { now: seconds(at), memory_mb: self.memory_mb, cold_start: self.cold_start }
    }

    pub fn rise(&mut self, at: f64) {
        self.demand += 1;
        self.function.demand_rose(seconds(at), self.demand);
    }

    /// Ends a request; returns how long its instance is kept.
    pub fn fall(&mut self, at: f64) -> f64 {
        let level = self.demand;
        self.demand -= 1;
        self.function.demand_fell(seconds(at), level, None);
        self.function.keep_alive(&FreeInstance { facts: self.facts(at), level }).as_secs_f64()
    }

    /// A request that executes for no time worth speaking of; returns how long its instance is kept.
    pub fn call(&mut self, at: f64) -> f64 {
        self.rise(at);
        self.fall(at)
    }

    /// Instances wanted at a moment whatever the demand, and the second at which to ask again.
    pub fn target(&self, at: f64, instances: u32) -> (u32, f64) {
        let target = self.function.target(&Load { facts: self.facts(at), demand: self.demand, instances });
        (target.instances, if target.again == Nanos::MAX { f64::INFINITY } else { target.again.as_secs_f64() })
    }

    pub fn start(&self, at: f64, waiting: u32, starting: u32, busy: u32) -> Start {
        let facts = self.facts(at);
        self.function.start(&Queue { facts, waiting, starting, busy, uncovered_since: facts.now, hypothetical: false })
    }

    pub fn priority(&self, at: f64) -> f64 {
        self.function.priority(&FreeInstance { facts: self.facts(at), level: 1 })
    }
}
