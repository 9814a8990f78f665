//! Shahrad et al., "Serverless in the Wild", USENIX ATC 2020, §4.2: what the hybrid histogram policy does with an application's idle
//! times. Bins of a minute, 240 of them, unless a test says otherwise.
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

/// A function that was called again after each of these idle times, in seconds, and the moment of its last call.
fn after(policy: &str, idle: impl IntoIterator<Item = f64>) -> (Driver, f64, f64) {
    let mut driver = Driver::new(policy);
    let mut now = 1000.0;
    let mut kept = driver.call(now);
    for gap in idle {
        now += gap;
        kept = driver.call(now);
    }
    (driver, now, kept)
}

#[test]
fn without_a_record_the_standard_keep_alive_is_the_histograms_four_hours() {
    let (driver, now, kept) = after("hybrid_histogram", []);
    assert_eq!(kept, 4.0 * 3600.0);
    assert_eq!(driver.target(now, 1), (0, f64::INFINITY));
}

#[test]
fn the_head_is_rounded_down_and_shortened_and_the_tail_rounded_up_and_lengthened() {
    // Idle times of 10.5 minutes: bin [10, 11) minutes, so pre-warming after 0.9 · 10 and the end after 1.1 · 11 minutes.
    let (driver, now, kept) = after("hybrid_histogram", [630.0; 20]);
    assert_eq!(kept, 0.0, "the instance is let go at once");
    assert_eq!(driver.target(now, 0), (0, now + 540.0));
    assert_eq!(driver.target(now + 540.0, 0), (1, now + 726.0));
    assert_eq!(driver.target(now + 726.0, 1), (0, f64::INFINITY));
}

#[test]
fn the_fifth_and_the_ninety_ninth_percentile_bound_the_window() {
    // 100 idle times: 4 of 2.5 minutes lie below the 5th percentile, 1 of 200 minutes above the 99th.
    let idle = std::iter::repeat_n(150.0, 4).chain(std::iter::repeat_n(630.0, 95)).chain([12_000.0]);
    let (driver, now, _) = after("hybrid_histogram", idle);
    assert_eq!(driver.target(now, 0).1, now + 540.0);
    assert_eq!(driver.target(now + 540.0, 0), (1, now + 726.0));
}

#[test]
fn a_head_in_the_first_bin_means_that_the_instance_stays() {
    let (driver, now, kept) = after("hybrid_histogram", [30.0; 20]);
    assert!((kept - 66.0).abs() < 1e-9);
    assert_eq!(driver.target(now, 1), (0, f64::INFINITY));
}

#[test]
fn a_histogram_is_representative_from_a_variation_of_two() {
    // n of 240 bins filled alike: the variation is √(240/n − 1), 2 at n = 48.
    let spread = |bins: u32| (0..bins).map(|bin| 60.0 * f64::from(bin) + 30.0);
    let (driver, now, kept) = after("hybrid_histogram", spread(47));
    assert_eq!(kept, 0.0);
    // 5 % of 47 lie in the first 3 bins, 99 % in all 47.
    assert_eq!(driver.target(now + 108.0, 0), (1, now + 47.0 * 66.0));
    let (_, _, kept) = after("hybrid_histogram", spread(49));
    assert_eq!(kept, 4.0 * 3600.0, "not representative: the standard keep-alive");
}

#[test]
fn when_half_of_the_idle_times_are_out_of_bounds_a_forecast_takes_over() {
    // Five hours between calls: pre-warmed at 0.85 of it, kept until 1.15.
    let (driver, now, kept) = after("hybrid_histogram", [18_000.0; 5]);
    assert_eq!(kept, 0.0);
    assert_eq!(driver.target(now, 0), (0, now + 15_300.0));
    assert_eq!(driver.target(now + 15_300.0, 0), (1, now + 20_700.0));
    let (_, _, kept) = after("hybrid_histogram", [18_000.0, 30.0, 30.0]);
    assert!((kept - 66.0).abs() < 1e-9, "a third out of bounds: the histogram");
}

#[test]
fn instances_above_the_first_are_kept_as_long_as_the_plan_keeps_one() {
    let (mut driver, now, _) = after("hybrid_histogram", [630.0; 20]);
    driver.rise(now + 630.0);
    driver.rise(now + 630.0);
    assert!((driver.fall(now + 631.0) - (726.0 - 540.0)).abs() < 1e-9);
    assert_eq!(driver.fall(now + 631.0), 0.0);
}

#[test]
fn a_call_within_the_window_finds_the_pre_warmed_instance() {
    let mut play = Play::new("hybrid_histogram:bin=1s");
    // Every 10.5 s: once that is known, the instance is gone after each call and back 9 s later.
    let warm = (0..6).filter(|&call| play.call(1000.0 + 10.6 * f64::from(call), "f", 0.1)).count();
    assert_eq!(warm, 5);
    play.until(1063.0);
    assert_eq!(play.slots(), 1);
    assert_eq!(play.count(Counter::StartsAhead), 5);
    play.until(1100.0);
    assert_eq!(play.slots(), 0, "nobody came: the window is over");
}
