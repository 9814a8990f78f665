//! Alibaba Cloud, "AHPA overview": a quantile of past days' demand, scaled up ahead of time, or the present demand if that is more.
#![cfg(not(pilotlight_loom))]

#[path = "support/driver.rs"]
mod driver;
#[path = "support/play.rs"]
mod play;
mod support;

use driver::Driver;
use play::Play;

const DAY: f64 = 86_400.0;
const NINE: f64 = 9.0 * 3600.0;

/// So many concurrent requests at nine o'clock of each day, for half a minute.
fn days(policy: &str, peaks: &[u32]) -> Driver {
    let mut driver = Driver::new(policy);
    for (day, &peak) in (0..).zip(peaks) {
        let at = DAY * f64::from(day) + NINE;
        for _ in 0..peak {
            driver.rise(at);
        }
        for _ in 0..peak {
            driver.fall(at + 30.0);
        }
    }
    driver
}

#[test]
fn quantile_of_the_same_minute_of_past_days() {
    let driver = days("seasonal_quantile:quantile=0.5", &[4, 9, 5, 7, 6, 8, 3]);
    let nine = 7.0 * DAY + NINE;
    assert_eq!(driver.target(nine, 0).0, 6);
    assert_eq!(driver.target(nine + 60.0, 0).0, 0, "only at that minute");
    let driver = days("seasonal_quantile", &[4, 9, 5, 7, 6, 8, 3]);
    assert_eq!(driver.target(nine, 0).0, 9, "95 % of seven days is all of them");
}

#[test]
fn scale_up_forward_has_instances_ready_a_start_ahead() {
    let driver = days("seasonal_quantile", &[4]);
    let nine = DAY + NINE;
    assert_eq!(driver.target(nine - 90.0, 0), (0, nine - 61.0), "before, it asks again when a bin comes into sight");
    assert_eq!(driver.target(nine - 1.0, 0).0, 4, "a start takes a second");
    let driver = days("seasonal_quantile:lead=180s", &[4]);
    assert_eq!([nine - 181.0, nine - 180.0].map(|at| driver.target(at, 0).0), [0, 4]);
}

#[test]
fn the_larger_of_the_proactive_and_the_passive_wish_counts() {
    let mut driver = days("seasonal_quantile", &[4]);
    for _ in 0..6 {
        driver.rise(DAY + NINE);
    }
    assert_eq!(driver.target(DAY + NINE, 0).0, 6);
    for _ in 0..5 {
        driver.fall(DAY + NINE);
    }
    assert_eq!(driver.target(DAY + NINE, 0).0, 4);
}

#[test]
fn days_beyond_those_remembered_are_forgotten() {
    let driver = days("seasonal_quantile:seasons=2,quantile=1", &[9, 2, 1]);
    assert_eq!(driver.target(3.0 * DAY + NINE, 0).0, 2);
    assert_eq!(driver.target(100.0 * DAY, 0), (0, f64::INFINITY), "a function nobody calls is let be");
}

#[test]
fn the_first_season_has_no_forecast() {
    let driver = days("seasonal_quantile", &[4]);
    assert_eq!(driver.target(NINE + 60.0, 0).0, 0);
}

#[test]
fn from_the_second_season_on_the_peak_finds_its_instances() {
    let mut play = Play::new("seasonal_quantile:season=60s,bin=1s");
    let mut peak = |minute: u32| (0..5).filter(|_| play.call(60.0 * f64::from(minute) + 30.2, "f", 0.5)).count();
    assert_eq!([1, 2, 3].map(&mut peak), [0, 5, 5]);
}
