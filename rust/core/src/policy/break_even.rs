//! Break-even keep-alive: hold a free instance until holding it has cost what replacing it would.

use std::sync::Arc;

use super::price::{Objective, Price};
use super::{Costs, Facts, FreeInstance, FunctionPolicy, Policy};
use crate::nanos::Nanos;
use crate::table::FunctionSpec;

/// Keeps a free instance for `scale · c · (1 + lambda / m)`: the moment at which the GB·s held equal the price of a cold start,
/// `m·c` GB·s for the new slot's start plus `lambda · c` for the request that waits for it. Knows nothing of the future and costs
/// at most twice what a clairvoyant would pay for the same gap.
///
/// # Source
///
/// The ski-rental rule: Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988.
#[derive(Clone, Debug)]
pub struct BreakEven {
    price: Arc<Price>,
    scale: f64,
}

impl BreakEven {
    /// `objective` sets lambda; `scale` multiplies the window: 1 is the competitive rule, less gambles on short gaps.
    #[must_use]
    pub fn new(objective: Objective, scale: f64) -> Self {
        Self { price: Arc::new(Price::new(objective)), scale }
    }

    /// The window for a function as it is now.
    #[must_use]
    pub fn window(&self, facts: &Facts) -> Nanos {
        Nanos::from_secs_f64(self.scale * facts.cold_start.as_secs_f64() * (1.0 + self.price.lambda() / facts.memory_gb()))
    }
}

impl Policy for BreakEven {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(self.clone())
    }

    fn review_every(&self) -> Option<Nanos> {
        self.price.review_every()
    }

    fn review(&self, costs: &Costs) {
        self.price.review(costs);
    }

    fn waited(&self, wait: Nanos) {
        self.price.waited(wait);
    }
}

impl FunctionPolicy for BreakEven {
    fn keep_alive(&self, free: &FreeInstance) -> Nanos {
        self.window(&free.facts)
    }

    fn explain(&self, facts: &Facts) -> Vec<String> {
        vec![
            self.price.to_string(),
            format!(
                "a start takes {} s, so a free instance is kept for {} s",
                facts.cold_start.as_secs_f64(),
                self.window(facts).as_secs_f64()
            ),
        ]
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{BreakEven, Facts, Objective};
    use crate::nanos::Nanos;

    #[test]
    fn the_window_holds_as_much_as_a_cold_start_costs() {
        let policy = BreakEven::new(Objective::Price(0.5), 1.0);
        let facts = Facts { now: Nanos::ZERO, memory_mb: 512, cold_start: Nanos::from_secs(2) };
        // m = 0.5 GB, c = 2 s: a cold start costs 0.5·2 + 0.5·2 = 2 GB·s, which 0.5 GB hold for 4 s.
        assert_eq!(policy.window(&facts), Nanos::from_secs(4));
    }
}
