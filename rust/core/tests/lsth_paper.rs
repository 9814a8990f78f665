//! Yang et al., "INFless", ASPLOS 2022: the long-short-term histogram policy blends what two histograms say.
#![cfg(not(pilotlight_loom))]
#![expect(clippy::float_cmp, reason = "times are whole nanoseconds, and the other values are exact")]

#[path = "support/driver.rs"]
mod driver;
#[path = "support/play.rs"]
mod play;
mod support;

use driver::Driver;
use pilotlight_core::Counter;
use play::Play;

/// A day of calls every 20.5 minutes, then most of an hour of calls every 10.5 minutes.
fn a_day_and_an_hour(policy: &str) -> (Driver, f64) {
    let mut driver = Driver::new(policy);
    let mut now = 0.0;
    driver.call(now);
    for gap in std::iter::repeat_n(1230.0, 70).chain(std::iter::repeat_n(630.0, 8)) {
        now += gap;
        driver.call(now);
    }
    (driver, now)
}

#[test]
fn prewarming_and_the_end_are_each_blended_by_gamma() {
    // Long: head in [20, 21) minutes? 5 % of 78 are the 8 short ones: head [10, 11), tail [20, 21): 540 s to 1386 s.
    // Short, the last hour: [10, 11) alone: 540 s to 726 s.
    let (driver, now) = a_day_and_an_hour("lsth");
    assert_eq!(driver.target(now, 0), (0, now + 540.0));
    assert_eq!(driver.target(now + 540.0, 0), (1, now + 0.5 * 1386.0 + 0.5 * 726.0));
    let (driver, now) = a_day_and_an_hour("lsth:gamma=0.3");
    assert!((driver.target(now + 540.0, 0).1 - (now + 0.3 * 1386.0 + 0.7 * 726.0)).abs() < 1e-6);
}

#[test]
fn gamma_one_is_the_day_and_gamma_zero_the_hour() {
    let (driver, now) = a_day_and_an_hour("lsth:gamma=1");
    assert_eq!(driver.target(now + 540.0, 0), (1, now + 1386.0));
    let (driver, now) = a_day_and_an_hour("lsth:gamma=0");
    assert_eq!(driver.target(now + 540.0, 0), (1, now + 726.0));
}

#[test]
fn the_short_histogram_follows_a_change_that_the_long_one_does_not_show_yet() {
    // After the change the long histogram's window alone would begin far too late for the new rhythm.
    let mut driver = Driver::new("lsth:gamma=0.5");
    let mut now = 0.0;
    driver.call(now);
    for gap in std::iter::repeat_n(3630.0, 20).chain([630.0, 630.0, 630.0, 630.0, 630.0, 630.0]) {
        now += gap;
        driver.call(now);
    }
    let (_, prewarm) = driver.target(now, 0);
    assert_eq!(prewarm - now, 540.0);
}

#[test]
fn an_empty_histogram_has_no_say_and_two_mean_the_whole_span() {
    let mut driver = Driver::new("lsth");
    assert_eq!(driver.call(0.0), 4.0 * 3600.0);
    driver.call(630.0);
    // Two hours later the short histogram has forgotten it, and the new idle time of two hours is in both.
    driver.call(7830.0);
    assert_eq!(driver.target(7830.0, 0).1, 7830.0 + 0.5 * 540.0 + 0.5 * 6480.0);
}

#[test]
fn a_steady_rhythm_is_served_warm_while_nothing_is_held_in_between() {
    let mut play = Play::new("lsth:bin=1s,short=60s,long=600s");
    let warm = (0..20).filter(|&call| play.call(1000.0 + 10.6 * f64::from(call), "f", 0.1)).count();
    assert_eq!(warm, 19);
    assert_eq!(play.count(Counter::StartsAhead), 18);
}
