//! A drain: nobody is served any more, and every slot goes.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Command, DestroyReason, EngineError, Idle, Nanos, WakeError};
use support::{Host, Waiting};

const INIT: Nanos = Nanos::from_millis(200);

#[test]
fn a_drain_answers_waiters_retires_free_instances_and_refuses_new_requests() {
    let mut host = Host::new("fixed");
    let (free, busy) = (host.instance("f", 1), host.instance("f", 2));
    host.idle(free, "f", 1);
    let waiter = host.assign("g", 3).waiting();
    let starting = host.one_create();
    host.engine.handle_drain(host.now, &mut host.out);
    assert_eq!(
        host.take(),
        [Command::DestroySlot { slot: free, reason: DestroyReason::Draining }, Command::Wake { waiter, result: Err(WakeError::Draining) },]
    );
    let f = host.function("f");
    let refused = host.engine.handle_assign(host.now, f, support::tag(9), Nanos::MAX, &mut host.out);
    assert_eq!(refused, Err(EngineError::Draining));
    host.created(starting);
    assert_eq!(host.take(), [Command::DestroySlot { slot: starting, reason: DestroyReason::Draining }]);
    host.idle(busy, "f", 2);
    assert_eq!(host.take(), [Command::DestroySlot { slot: busy, reason: DestroyReason::Draining }]);
    for slot in [free, starting, busy] {
        host.destroyed(slot);
    }
    assert_eq!(host.engine.live_slots(), 0);
}

#[test]
fn a_drain_out_of_patience_destroys_busy_and_initialising_slots() {
    let mut host = Host::new("fixed");
    let busy = host.instance("f", 1);
    host.assign("g", 2);
    let initialising = host.one_create();
    host.created(initialising);
    host.engine.handle_drain(host.now, &mut host.out);
    host.take();
    host.engine.handle_drain_deadline(host.now, &mut host.out);
    let destroys = host.take();
    assert_eq!(destroys.len(), 2);
    assert!(host.engine.handle_instance_ready(host.now, initialising, INIT, &mut host.out).is_ok());
    assert_eq!(host.idle(busy, "f", 1), Idle::Duplicate);
    assert_eq!(host.take(), []);
    host.destroyed(busy);
    host.destroyed(initialising);
    assert_eq!(host.engine.live_slots(), 0);
}
