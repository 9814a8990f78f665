//! Roy, Patel, Tiwari, "IceBreaker", ASPLOS 2022: invocations are forecast by the Fourier transform of the last hour's concurrency,
//! detrended, a minute ahead.
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

/// Demand that is `level(minute)` throughout each minute, asked at the beginning of the minute after.
fn minutes(policy: &str, count: u32, level: impl Fn(u32) -> u32) -> (Driver, f64) {
    let mut driver = Driver::new(policy);
    for minute in 0..count {
        let at = 60.0 * f64::from(minute);
        while driver.demand < level(minute) {
            driver.rise(at);
        }
        while driver.demand > level(minute) {
            driver.fall(at);
        }
    }
    (driver, 60.0 * f64::from(count))
}

#[test]
fn constant_concurrency_is_held_for_the_next_minute() {
    let (driver, now) = minutes("icebreaker", 60, |_| 3);
    assert_eq!(driver.target(now, 3), (3, now + 60.0));
    assert_eq!(driver.target(now + 30.0, 3), (3, now + 60.0), "decided once a minute");
}

#[test]
fn a_trend_is_followed() {
    let (driver, now) = minutes("icebreaker", 60, |minute| minute + 1);
    assert_eq!(driver.target(now, 0).0, 61);
}

#[test]
fn a_slow_wave_is_foreseen_and_a_fast_one_only_by_the_strongest_harmonics() {
    // Two in the first half of each period, none in the second; the next minute begins a period.
    let slow = |minute: u32| if minute % 20 < 10 { 2 } else { 0 };
    let (driver, now) = minutes("icebreaker", 60, slow);
    assert!(driver.target(now, 0).0 >= 1);
    // Every fourth minute: fifteen periods an hour are beyond the ten lowest harmonics.
    let fast = |minute: u32| if minute.is_multiple_of(4) { 8 } else { 0 };
    let (lowest, now) = minutes("icebreaker", 60, fast);
    let (strongest, _) = minutes("icebreaker:harmonics=strongest", 60, fast);
    let (lowest, strongest) = (lowest.target(now, 0).0, strongest.target(now, 0).0);
    assert!(lowest <= 3 && strongest >= 7, "{lowest} {strongest}");
}

#[test]
fn minutes_before_the_first_call_are_zero_and_a_forgotten_function_is_let_be() {
    let mut driver = Driver::new("icebreaker");
    driver.rise(0.0);
    assert_eq!(driver.target(0.0, 1), (0, 60.0));
    driver.fall(1.0);
    let mut now = 60.0;
    while let (_, again) = driver.target(now, 0)
        && again.is_finite()
    {
        now = again;
    }
    assert_eq!(now, 61.0 * 60.0, "an hour of zeros ends the forecasts");
}

#[test]
fn instances_beyond_the_forecast_go_at_once_and_those_within_stay() {
    let (mut driver, now) = minutes("icebreaker", 60, |_| 2);
    driver.target(now, 2);
    driver.rise(now + 10.0);
    assert_eq!(driver.fall(now + 20.0), 0.0);
    assert_eq!(driver.fall(now + 20.0), 40.0, "until the next forecast");
}

#[test]
fn a_steady_load_is_served_by_instances_that_stay() {
    let mut play = Play::new("icebreaker:bin=1s,samples=10,count=2");
    let warm = (0..100).filter(|&call| play.call(10.0 + 0.5 * f64::from(call), "f", 0.4)).count();
    assert!(warm > 90, "{warm}");
    play.until(90.0);
    assert_eq!(play.slots(), 0);
    assert_eq!(play.count(Counter::Idles), 100);
}
