//! Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3 (1988), §2: renting until the rent paid equals the
//! price costs at most twice the optimum, whatever comes.
#![cfg(not(pilotlight_loom))]

use pilotlight_core::Nanos;
use pilotlight_core::policy::{BreakEven, Facts, Objective};
use proptest::prelude::*;

proptest! {
    #[test]
    fn break_even_costs_at_most_twice_the_optimum_for_every_gap(
        gap_s in 0.0..10_000.0_f64, cold_start_ms in 1..60_000_u64, memory_mb in 64..16_384_u32, lambda in 0.0..50.0_f64,
    ) {
        let cold_start = Nanos::from_millis(cold_start_ms);
        let facts = Facts { now: Nanos::ZERO, memory_mb, cold_start };
        let window = BreakEven::new(Objective::Price(lambda), 1.0).window(&facts).as_secs_f64();
        let memory_gb = f64::from(memory_mb) / 1024.0;
        let price = (memory_gb + lambda) * cold_start.as_secs_f64();
        let cost = if gap_s <= window { memory_gb * gap_s } else { memory_gb * window + price };
        let optimum = (memory_gb * gap_s).min(price);
        prop_assert!(cost <= 2.0 * optimum * (1.0 + 1e-6) + 1e-6, "{cost} > 2 · {optimum}");
    }
}
