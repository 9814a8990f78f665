//! Provisioned concurrency: so many instances always, the rest by a fixed keep-alive.

use super::{Facts, FreeInstance, FunctionPolicy, Load, Policy, Target};
use crate::nanos::Nanos;
use crate::table::FunctionSpec;

/// Holds `instances` of every function from its first request on, and keeps free instances beyond them for `keep_alive`.
///
/// # Source
///
/// AWS Lambda, "Configuring provisioned concurrency for a function". Deviation: Lambda holds them from deployment on; here a function
/// becomes known by its first request. Schedules and target tracking are left out. No state a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Floor {
    /// Instances that are always there.
    pub instances: u32,
    /// How long instances beyond them are kept when free.
    pub keep_alive: Nanos,
}

/// A bad instance is replaced after at most this long, requests or not.
const LOOK_AGAIN: Nanos = Nanos::from_secs(10);

impl Policy for Floor {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(*self)
    }
}

impl FunctionPolicy for Floor {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        self.keep_alive
    }

    fn target(&self, load: &Load) -> Target {
        Target { instances: self.instances, again: load.facts.now + LOOK_AGAIN }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        vec![format!("holds {} instances always, and free ones beyond them for {}", self.instances, self.keep_alive)]
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Facts, Floor, FunctionPolicy, Load, Nanos};

    #[test]
    fn the_floor_is_the_same_whatever_the_demand() {
        let floor = Floor { instances: 3, keep_alive: Nanos::from_secs(5) };
        for demand in [0, 3, 50] {
            let facts = Facts { now: Nanos::ZERO, memory_mb: 128, cold_start: Nanos::ZERO };
            assert_eq!(floor.target(&Load { facts, demand, instances: demand }).instances, 3);
        }
    }
}
