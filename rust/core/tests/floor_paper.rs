//! AWS Lambda, "Configuring provisioned concurrency": no request up to the provisioned number waits for a start.
#![cfg(not(pilotlight_loom))]

#[path = "support/play.rs"]
mod play;
mod support;

use pilotlight_core::Counter;
use play::Play;

#[test]
fn requests_up_to_the_floor_never_wait_once_it_stands() {
    let mut play = Play::new("floor:instances=3,keep_alive=1s");
    play.call(1.0, "f", 0.1);
    play.until(2.0);
    assert_eq!(play.slots(), 3);
    for second in 1..100 {
        let at = 1000.0 * f64::from(second);
        assert!((0..3).all(|_| play.call(at, "f", 0.5)));
    }
    assert_eq!(play.count(Counter::Queued), 1);
}

#[test]
fn instances_beyond_the_floor_follow_the_keep_alive() {
    let mut play = Play::new("floor:instances=1,keep_alive=10s");
    for _ in 0..4 {
        play.call(1.0, "f", 0.1);
    }
    play.until(11.0);
    assert_eq!(play.slots(), 4);
    play.until(30.0);
    assert_eq!(play.slots(), 1);
}
