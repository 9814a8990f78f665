//! Knative Serving's pod autoscaler, as its documentation and the defaults of `config-autoscaler` describe it.
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

/// Holds demand at a level from a moment on.
fn hold(driver: &mut Driver, at: f64, level: u32) {
    while driver.demand < level {
        driver.rise(at);
    }
    while driver.demand > level {
        driver.fall(at);
    }
}

#[test]
fn an_instance_is_to_be_seventy_percent_busy() {
    let mut driver = Driver::new("knative");
    hold(&mut driver, 0.0, 7);
    assert_eq!(driver.target(60.0, 10), (10, 62.0));
}

#[test]
fn it_decides_every_two_seconds() {
    let mut driver = Driver::new("knative");
    hold(&mut driver, 0.0, 7);
    driver.target(60.0, 10);
    hold(&mut driver, 60.0, 70);
    assert_eq!(driver.target(61.0, 10), (10, 62.0));
    assert!(driver.target(62.0, 10).0 > 10);
}

#[test]
fn the_stable_window_smooths_a_minute() {
    let mut driver = Driver::new("knative");
    hold(&mut driver, 0.0, 7);
    hold(&mut driver, 60.0, 14);
    // 53 s of 7 and 6 s of 14, the bucket that begins at 66 still empty; the panic window asks for 20 of 10, not yet twice as many.
    let mean = (53.0 * 7.0 + 6.0 * 14.0) / 59.0;
    let wanted = f64::ceil(mean / 0.7);
    assert_eq!(f64::from(driver.target(66.0, 11).0), wanted);
}

#[test]
fn panic_begins_at_twice_the_instances_and_never_scales_down() {
    let mut driver = Driver::new("knative");
    hold(&mut driver, 0.0, 7);
    assert_eq!(driver.target(60.0, 10).0, 10);
    hold(&mut driver, 60.0, 21);
    // Five seconds of 21 in the panic window, the bucket that begins at 66 still empty.
    assert_eq!(driver.target(66.0, 10).0, 30);
    hold(&mut driver, 66.0, 0);
    for tick in 34..=63 {
        assert_eq!(driver.target(f64::from(2 * tick), 30).0, 30, "in panic");
    }
    assert!(driver.target(130.0, 30).0 < 30, "a stable window after the threshold was last crossed");
}

#[test]
fn a_tick_at_most_halves_the_instances() {
    let mut driver = Driver::new("knative");
    hold(&mut driver, 0.0, 28);
    assert_eq!(driver.target(60.0, 40).0, 40);
    hold(&mut driver, 60.0, 0);
    assert_eq!([(122.0, 40), (124.0, 20), (126.0, 10)].map(|(at, instances)| driver.target(at, instances).0), [20, 10, 5]);
}

#[test]
fn a_tick_multiplies_the_instances_by_the_scale_up_rate_at_most() {
    let mut driver = Driver::new("knative:up=3");
    hold(&mut driver, 0.0, 70);
    assert_eq!(driver.target(60.0, 10).0, 30);
}

#[test]
fn the_last_instance_outlives_the_last_wish_for_it_by_the_grace() {
    let mut driver = Driver::new("knative");
    driver.call(0.0);
    driver.rise(10.0);
    assert_eq!(driver.target(10.0, 1).0, 1);
    driver.fall(11.0);
    let mut at = 11.0;
    // Wanted for a stable window, kept for the grace.
    while driver.target(at, 1).0 == 1 {
        at += 1.0;
    }
    assert!((100.0..=103.0).contains(&at), "{at}");
    assert_eq!(driver.target(at + 2.0, 0), (0, f64::INFINITY));
}

#[test]
fn a_request_that_finds_no_instance_starts_one_and_others_wait_for_the_tick() {
    let driver = Driver::new("knative");
    assert_eq!(driver.start(0.0, 1, 0, 0), Start::Now);
    assert_eq!(driver.start(0.0, 5, 1, 0), Start::Enough);
    assert_eq!(driver.start(0.0, 5, 0, 1), Start::Enough);
}

#[test]
fn a_burst_is_scaled_up_by_the_tick_and_scaled_to_zero_after_it() {
    let mut play = Play::new("knative");
    for call in 0..20 {
        play.call(100.0 + 0.01 * f64::from(call), "f", 30.0);
    }
    play.until(103.0);
    assert!(play.slots() >= 20, "{}", play.slots());
    play.until(400.0);
    assert_eq!(play.slots(), 0);
}
