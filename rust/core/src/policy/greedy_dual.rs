//! FaasCache: instances are kept until memory is short; then the one goes that is least worth keeping.

use std::sync::Arc;

use super::{Facts, FreeInstance, FunctionPolicy, Policy};
use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Ordering};
use crate::table::FunctionSpec;

/// Greedy-dual keep-alive: an instance is worth `clock + frequency · cost / size`. The frequency is the number of calls of its function
/// since the function last lost all its instances to others, the cost what a start takes, the size its memory in MB; the clock is the
/// worth of the last victim, so that what is not used grows old. Needs the `memory` parameter: without a limit nothing is ever let go.
///
/// # Source
///
/// Fuerst and Sharma, "FaasCache", ASPLOS 2021, §4. Deviation: the worth of a free instance is the one it had when it became free; the
/// paper raises that of all a function's free instances with each of its calls. Memory: 16 bytes a function.
#[derive(Clone, Debug, Default)]
pub struct GreedyDual {
    clock: Clock,
}

/// The worth of the last victim: an `f64` that never falls.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicU64>);

impl Clock {
    fn now(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    fn advance(&self, to: f64) {
        // Numbers of zero or more are ordered like their bits.
        self.0.fetch_max(to.max(0.0).to_bits(), Ordering::Relaxed);
    }
}

#[derive(Debug)]
struct GreedyDualFunction {
    clock: Clock,
    calls: AtomicU64,
}

impl Policy for GreedyDual {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(GreedyDualFunction { clock: self.clock.clone(), calls: AtomicU64::new(0) })
    }

    fn ranks_instances(&self) -> bool {
        true
    }
}

impl GreedyDualFunction {
    fn worth(&self, facts: &Facts) -> f64 {
        let calls = self.calls.load(Ordering::Relaxed) as f64;
        self.clock.now() + calls * facts.cold_start.as_secs_f64() / f64::from(facts.memory_mb.max(1))
    }
}

impl FunctionPolicy for GreedyDualFunction {
    fn demand_rose(&self, _: Nanos, _: u32) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        Nanos::MAX
    }

    fn priority(&self, free: &FreeInstance) -> f64 {
        self.worth(&free.facts)
    }

    fn evicted(&self, priority: f64, left: u32) {
        self.clock.advance(priority);
        if left == 0 {
            self.calls.store(0, Ordering::Relaxed);
        }
    }

    fn explain(&self, facts: &Facts) -> Vec<String> {
        vec![
            "keeps free instances until memory is short".to_owned(),
            format!(
                "one freed now is worth {:.6}: clock {:.6} + {} calls · {} / {} MB",
                self.worth(facts),
                self.clock.now(),
                self.calls.load(Ordering::Relaxed),
                facts.cold_start,
                facts.memory_mb
            ),
        ]
    }
}
