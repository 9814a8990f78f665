//! Break-even keep-alive: hold a free instance until holding it has cost what replacing it would.

use super::{FreeInstance, Policy};
use crate::nanos::Nanos;

/// Keeps a free instance for `scale · c · (1 + lambda / m)`: the moment at which the GB·s held equal the price of a cold start,
/// `m·c` GB·s for the new slot's start plus `lambda · c` for the request that waits for it. Knows nothing of the future and costs
/// at most twice what a clairvoyant would pay for the same gap.
///
/// # Source
///
/// The ski-rental rule: Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BreakEven {
    /// GB·s that one second of a request's waiting is worth.
    pub lambda: f64,
    /// Multiplies the window; 1 is the competitive rule, less gambles on short gaps.
    pub scale: f64,
}

impl Policy for BreakEven {
    fn keep_alive(&self, instance: &FreeInstance) -> Nanos {
        let memory_gb = f64::from(instance.memory_mb) / 1024.0;
        Nanos::from_secs_f64(self.scale * instance.cold_start.as_secs_f64() * (1.0 + self.lambda / memory_gb))
    }
}

#[cfg(test)]
mod tests {
    use super::{BreakEven, FreeInstance, Policy};
    use crate::nanos::Nanos;

    #[test]
    fn the_window_holds_as_much_as_a_cold_start_costs() {
        let policy = BreakEven { lambda: 0.5, scale: 1.0 };
        let instance = FreeInstance { memory_mb: 512, cold_start: Nanos::from_secs(2) };
        // m = 0.5 GB, c = 2 s: a cold start costs 0.5·2 + 0.5·2 = 2 GB·s, which 0.5 GB hold for 4 s.
        assert_eq!(policy.keep_alive(&instance), Nanos::from_secs(4));
    }
}
