//! The worked example of docs/write-a-policy.md: what stands between `// page:` and `// end` is on that page.
#![cfg(not(pilotlight_loom))]

mod support;

// page: the policy
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pilotlight_core::policy::{Facts, FreeInstance, FunctionPolicy, Policy, Queue, Start};
use pilotlight_core::{FunctionSpec, Nanos};

/// Keeps instances for twice the function's last idle gap; lets requests wait a while for a busy one.
#[derive(Debug)]
struct Patient {
    /// No instance is kept longer.
    longest: Nanos,
}

impl Policy for Patient {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(Function { longest: self.longest, emptied: AtomicU64::new(0), gap: AtomicU64::new(self.longest.0) })
    }
}

#[derive(Debug)]
struct Function {
    longest: Nanos,
    /// When the last request left, in ns; 0: never.
    emptied: AtomicU64,
    /// How long there was none, the last time, in ns; until there was a first time, the longest.
    gap: AtomicU64,
}

impl FunctionPolicy for Function {
    fn demand_rose(&self, now: Nanos, level: u32) {
        let emptied = self.emptied.load(Relaxed);
        if level == 1 && emptied > 0 {
            self.gap.store(now.since(Nanos(emptied)).0, Relaxed);
        }
    }

    fn demand_fell(&self, now: Nanos, level: u32, _: Option<Nanos>) {
        if level == 1 {
            self.emptied.store(now.0, Relaxed);
        }
    }

    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        let gap = Nanos(self.gap.load(Relaxed));
        (gap + gap).min(self.longest)
    }

    fn start(&self, queue: &Queue) -> Start {
        let patience = queue.uncovered_since + queue.facts.cold_start;
        match queue {
            _ if queue.waiting <= queue.starting => Start::Enough,
            _ if queue.busy == 0 || queue.facts.now >= patience => Start::Now,
            _ => Start::Later(patience),
        }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        vec![format!("nobody called for {} the last time", Nanos(self.gap.load(Relaxed)))]
    }
}
// end

// page: its tests
use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Command, SlotId};
use support::{Host, Waiting};

/// A host in whose engine the policy decides, and an instance that serves request 1. Its start took 300 ms.
fn host() -> (Host, SlotId) {
    let policy = Box::new(Patient { longest: Nanos::from_secs(60) });
    let spec = PolicySpec { text: "patient".into(), policy, ..PolicySpec::parse("fixed").unwrap() };
    let mut host = Host::with("fixed", |config| config.policy = spec);
    host.advance(300);
    let instance = host.instance("f", 1);
    (host, instance)
}

#[test]
fn an_instance_is_kept_for_twice_the_last_gap() {
    let (mut host, instance) = host();
    host.idle(instance, "f", 1);
    host.advance(5_000);
    host.assign("f", 2);
    host.idle(instance, "f", 2);
    assert_eq!(host.engine.next_wakeup(), Some(host.now + Nanos::from_secs(10)));
}

#[test]
fn a_request_waits_for_a_busy_instance_as_long_as_a_start_would_take() {
    let (mut host, instance) = host();
    let waiter = host.assign("f", 2).waiting();
    host.idle(instance, "f", 1);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(instance) }]);
    host.assign("f", 3).waiting();
    host.tick_at(host.now + Nanos::from_millis(299));
    assert_eq!(host.take(), []);
    host.tick_at(host.now + Nanos::from_millis(1));
    host.one_create();
}
// end
