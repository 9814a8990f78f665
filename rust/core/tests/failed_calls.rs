//! Calls to the platform that fail or have no answer, and the slots that they leave behind.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Account, Command, Counter, DestroyReason, EngineError, Nanos, StartFailure, WakeError};
use support::{Host, Waiting};

const INIT: Nanos = Nanos::from_millis(200);

#[test]
fn a_failed_create_is_tried_again_then_the_oldest_waiter_is_told() {
    let mut host = Host::new("fixed");
    let waiter = host.assign("f", 1).waiting();
    let first = host.one_create();
    host.engine.handle_create_failed(host.now, first, StartFailure::Refused, &mut host.out).unwrap();
    let second = host.one_create();
    host.engine.handle_create_failed(host.now, second, StartFailure::Refused, &mut host.out).unwrap();
    assert_eq!(host.take(), [Command::Wake { waiter, result: Err(WakeError::StartFailed) }]);
    assert_eq!(host.engine.live_slots(), 0);
    assert_eq!(host.totals().count(Counter::StartsFailed), 2);
}

#[test]
fn a_failed_init_destroys_the_slot() {
    let mut host = Host::new("fixed");
    host.assign("f", 1).waiting();
    let slot = host.one_create();
    host.created(slot);
    host.take();
    host.engine.handle_init_failed(host.now, slot, StartFailure::Refused, &mut host.out).unwrap();
    let commands = host.take();
    assert_eq!(commands[0], Command::DestroySlot { slot, reason: DestroyReason::InitFailed });
    assert!(matches!(commands[1], Command::CreateSlot { .. }), "the waiter gets another start");
}

#[test]
fn an_unanswered_create_stays_in_the_ledger_until_it_is_settled() {
    for end in [Counter::Destroyed, Counter::NeverCreated, Counter::WrittenOff] {
        let mut host = Host::new("fixed");
        host.assign("f", 1).waiting();
        let slot = host.one_create();
        host.engine.handle_create_failed(host.now, slot, StartFailure::Unanswered, &mut host.out).unwrap();
        let again = host.one_create();
        host.advance(1000);
        assert_eq!(host.snapshot().live.slots[Account::Leaked as usize], 1);
        if end == Counter::Destroyed {
            host.created(slot);
            assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::StartGivenUp }]);
            host.destroyed(slot);
        } else {
            let failure = if end == Counter::WrittenOff { StartFailure::Unanswered } else { StartFailure::Refused };
            host.engine.handle_create_failed(host.now, slot, failure, &mut host.out).unwrap();
            assert_eq!(host.take(), []);
        }
        assert_eq!(host.totals().slot_ns[Account::Leaked as usize], 1_000_000_000);
        assert_eq!(host.engine.live_slots(), 1);
        for other in [Counter::Destroyed, Counter::NeverCreated, Counter::WrittenOff] {
            assert_eq!(host.totals().count(other), u64::from(other == end), "{end:?} is counted as {other:?}");
        }
        host.created(again);
    }
}

#[test]
fn a_failed_destroy_is_repeated_with_growing_pauses_until_confirmed() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.bad_idle(slot, "f", 1);
    host.take();
    for pause in [1, 2, 4, 8, 16, 32, 64, 64] {
        host.engine.handle_destroy_failed(host.now, slot).unwrap();
        assert_eq!(host.engine.live_slots(), 1);
        host.tick_at(host.now + Nanos::from_secs(pause) - Nanos(1));
        assert_eq!(host.take(), []);
        host.tick_at(host.now + Nanos(1));
        assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::Repeated }]);
    }
    host.destroyed(slot);
    assert_eq!(host.engine.live_slots(), 0);
    assert_eq!(host.totals().slot_ns[Account::Leaked as usize], 191_000_000_000);
}

#[test]
fn reports_that_fit_nothing_are_refused() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    let (now, engine) = (host.now, &host.engine);
    let refused = Err(EngineError::SlotNotFound(slot));
    assert_eq!(engine.handle_slot_created(now, slot, INIT, &mut host.out), refused);
    assert_eq!(engine.handle_instance_ready(now, slot, INIT, &mut host.out), refused);
    assert_eq!(engine.handle_create_failed(now, slot, StartFailure::Refused, &mut host.out), refused);
    assert_eq!(engine.handle_init_failed(now, slot, StartFailure::Refused, &mut host.out), refused);
    assert_eq!(engine.handle_slot_destroyed(now, slot), refused);
    assert_eq!(engine.handle_destroy_failed(now, slot), refused);
    assert_eq!(host.out, []);
}
