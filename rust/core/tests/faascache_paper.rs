//! Fuerst and Sharma, "FaasCache", ASPLOS 2021, §4: keep-alive is caching, by the greedy-dual order `clock + frequency · cost / size`.
#![cfg(not(pilotlight_loom))]
#![expect(clippy::float_cmp, reason = "times are whole nanoseconds, and the other values are exact")]

#[path = "support/driver.rs"]
mod driver;

use driver::Driver;
use pilotlight_core::Nanos;
use pilotlight_core::policy::PolicySpec;

#[test]
fn the_worth_is_frequency_times_cost_by_size() {
    let policy = PolicySpec::parse("greedy_dual").unwrap();
    let mut small = Driver::of(&policy, 128);
    let mut big = Driver::of(&policy, 512);
    small.call(0.0);
    big.call(0.0);
    assert_eq!([small.priority(0.0), big.priority(0.0)], [1.0 / 128.0, 1.0 / 512.0]);
    big.cold_start = Nanos::from_secs(8);
    assert_eq!(big.priority(0.0), 8.0 / 512.0);
    for _ in 0..3 {
        small.call(1.0);
    }
    assert_eq!(small.priority(1.0), 4.0 / 128.0, "four calls");
}

#[test]
fn the_clock_is_the_worth_of_the_last_victim_and_ages_what_is_not_used() {
    let policy = PolicySpec::parse("greedy_dual").unwrap();
    let mut popular = Driver::of(&policy, 128);
    let mut newcomer = Driver::of(&policy, 128);
    for _ in 0..10 {
        popular.call(0.0);
    }
    let worth = popular.priority(0.0);
    newcomer.call(1.0);
    assert!(newcomer.priority(1.0) < worth);
    popular.function.evicted(worth, 1);
    newcomer.call(2.0);
    assert_eq!(newcomer.priority(2.0), worth + 2.0 / 128.0, "whoever is used after an eviction outlives what was not");
    popular.function.evicted(worth / 2.0, 1);
    assert_eq!(newcomer.priority(2.0), worth + 2.0 / 128.0, "the clock never goes back");
}

#[test]
fn the_frequency_begins_anew_once_a_function_has_lost_all_its_instances() {
    let mut driver = Driver::of(&PolicySpec::parse("greedy_dual").unwrap(), 128);
    for _ in 0..5 {
        driver.call(0.0);
    }
    driver.function.evicted(0.0, 1);
    assert_eq!(driver.priority(0.0), 5.0 / 128.0, "one is left");
    driver.function.evicted(0.0, 0);
    driver.call(0.0);
    assert_eq!(driver.priority(0.0), 1.0 / 128.0);
}

#[test]
fn nothing_is_let_go_for_its_age() {
    for name in ["greedy_dual", "lru"] {
        let mut driver = Driver::new(name);
        assert_eq!(driver.call(0.0), Nanos::MAX.as_secs_f64());
        assert_eq!(driver.target(1e9, 0).0, 0);
    }
}

#[test]
fn lru_ranks_by_the_last_use_alone() {
    let mut driver = Driver::new("lru");
    for _ in 0..5 {
        driver.call(0.0);
    }
    assert!(driver.priority(7.0) > driver.priority(6.0));
}
