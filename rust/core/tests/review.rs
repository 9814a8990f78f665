//! The policy's regular look at the ledger: when it comes, and that it comes again.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::Nanos;
use support::{Host, Waiting};

#[test]
fn reviews_begin_a_second_after_the_first_request_that_waits_and_come_after_pauses_that_grow() {
    let mut host = Host::new("break_even:lambda=contest");
    host.advance(5_000);
    assert_eq!(host.engine.next_wakeup(), None);
    host.assign("f", 1).waiting();
    for seconds in [6, 8, 11, 15] {
        assert_eq!(host.engine.next_wakeup(), Some(Nanos::from_secs(seconds)));
        host.tick_at(Nanos::from_secs(seconds));
    }
}
