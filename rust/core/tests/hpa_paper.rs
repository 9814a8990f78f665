//! Kubernetes, "Horizontal Pod Autoscaling": the examples and defaults of its documentation.
#![cfg(not(pilotlight_loom))]
#![expect(clippy::float_cmp, reason = "times are whole nanoseconds, and the other values are exact")]

#[path = "support/driver.rs"]
mod driver;
#[path = "support/play.rs"]
mod play;
mod support;

use driver::Driver;
use pilotlight_core::policy::Start;
use play::Play;

/// The wish of the sync at 15 s after `busy` of `instances` were busy since the first sync at 0.
fn wish(policy: &str, instances: u32, busy: u32) -> u32 {
    let mut driver = Driver::new(policy);
    driver.target(0.0, instances);
    for _ in 0..busy {
        driver.rise(0.0);
    }
    driver.target(15.0, instances).0
}

#[test]
fn algorithm_details_twice_the_target_doubles_the_instances_and_half_of_it_halves_them() {
    assert_eq!(wish("hpa:stabilise=0s", 10, 10), 20);
    assert_eq!(wish("hpa:stabilise=0s,target=0.8", 10, 4), 5);
    assert_eq!(wish("hpa:stabilise=0s", 10, 6), 12);
}

#[test]
fn algorithm_details_a_ratio_within_the_tolerance_changes_nothing() {
    assert_eq!(wish("hpa:stabilise=0s", 100, 54), 100);
    assert_eq!(wish("hpa:stabilise=0s", 100, 56), 112);
    assert_eq!(wish("hpa:stabilise=0s", 100, 44), 88);
}

#[test]
fn default_behavior_scales_up_by_four_or_by_all_there_are() {
    assert_eq!(wish("hpa:target=0.1", 2, 2), 6, "four more than two");
    assert_eq!(wish("hpa:target=0.1", 10, 10), 20, "twice ten");
}

#[test]
fn stabilization_holds_the_largest_wish_of_five_minutes() {
    let mut driver = Driver::new("hpa");
    driver.target(0.0, 10);
    for _ in 0..10 {
        driver.rise(0.0);
    }
    assert_eq!(driver.target(15.0, 10).0, 20);
    for _ in 0..10 {
        driver.fall(15.0);
    }
    let mut at = 15.0;
    while driver.target(at, 20).0 == 20 {
        at += 15.0;
    }
    assert_eq!(at, 330.0, "the wish of 15 s holds through 315 s");
    assert_eq!(driver.target(at, 20).0, 1, "one is the least");
}

#[test]
fn it_syncs_every_fifteen_seconds_and_only_then_starts_more_than_the_first() {
    let mut driver = Driver::new("hpa");
    assert_eq!(driver.target(0.0, 1), (1, 15.0));
    for _ in 0..9 {
        driver.rise(1.0);
    }
    assert_eq!(driver.target(2.0, 1), (1, 15.0));
    assert_eq!(driver.target(15.0, 1).0, 2, "an instance is at most wholly busy");
    assert_eq!(driver.start(2.0, 8, 0, 1), Start::Enough);
    assert_eq!(driver.start(2.0, 1, 0, 0), Start::Now);
}

#[test]
fn a_lasting_load_is_caught_up_with_and_one_instance_always_stays() {
    let mut play = Play::new("hpa");
    for call in 0..12_000 {
        play.call(100.0 + 0.05 * f64::from(call), "f", 0.2);
    }
    // Four requests at a time, to fill one half of the instances; what the start overshot is stabilised away.
    assert!((7..=9).contains(&play.slots()), "{}", play.slots());
    play.until(10_000.0);
    assert_eq!(play.slots(), 1);
}
