//! Requests and the instances that serve them: what the engine does, command by command.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Account, Assign, Command, Counter, DestroyReason, EngineError, Idle, Nanos, WakeError};
use support::{Host, MB, Waiting};

#[test]
fn a_first_request_waits_for_its_start() {
    let mut host = Host::new("fixed:keep_alive=10s");
    let waiter = host.assign("f", 1).waiting();
    let slot = host.one_create();
    host.advance(100);
    host.created(slot);
    assert_eq!(host.take(), [Command::Init { slot, function: host.function("f") }]);
    host.advance(200);
    host.ready(slot);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(slot) }]);
    let totals = host.totals();
    assert_eq!(totals.count(Counter::ColdStarts), 1);
    assert_eq!(totals.slot_ns[Account::Starting as usize], 300_000_000);
    assert_eq!(totals.wait_ns, [300_000_000, 0, 0]);
}

#[test]
fn a_free_instance_is_handed_out_at_once() {
    let mut host = Host::new("fixed:keep_alive=10s");
    let slot = host.instance("f", 1);
    assert_eq!(host.idle(slot, "f", 1), Idle::Ended);
    assert_eq!(host.assign("f", 2), Assign::Warm(slot));
    assert_eq!(host.take(), []);
    assert_eq!(host.totals().count(Counter::WarmStarts), 1);
}

#[test]
fn the_instance_freed_last_is_taken_first() {
    let mut host = Host::new("fixed:keep_alive=10s");
    let [a, b] = [host.instance("f", 1), host.instance("f", 2)];
    host.idle(b, "f", 2);
    host.idle(a, "f", 1);
    assert_eq!(host.assign("f", 3), Assign::Warm(a));
    assert_eq!(host.assign("f", 4), Assign::Warm(b));
}

#[test]
fn a_freed_instance_serves_the_oldest_waiter() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    let first = host.assign("f", 2).waiting();
    let _second = host.assign("f", 3).waiting();
    host.take();
    host.advance(50);
    host.idle(slot, "f", 1);
    assert_eq!(host.take(), [Command::Wake { waiter: first, result: Ok(slot) }]);
    assert_eq!(host.totals().count(Counter::Handoffs), 1);
    assert_eq!(host.totals().wait_ns[1], 50_000_000);
}

#[test]
fn a_finished_start_serves_the_oldest_waiter_not_the_one_it_was_issued_for() {
    let mut host = Host::new("fixed");
    let first = host.assign("f", 1).waiting();
    let _slow = host.one_create();
    let _second = host.assign("f", 2).waiting();
    let quick = host.one_create();
    host.created(quick);
    host.take();
    host.ready(quick);
    assert_eq!(host.take(), [Command::Wake { waiter: first, result: Ok(quick) }]);
}

#[test]
fn a_start_whose_request_was_served_is_cancelled_before_init() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.assign("f", 2).waiting();
    let surplus = host.one_create();
    host.idle(slot, "f", 1);
    host.take();
    host.created(surplus);
    assert_eq!(host.take(), [Command::DestroySlot { slot: surplus, reason: DestroyReason::Surplus }]);
    host.destroyed(surplus);
    assert_eq!(host.totals().count(Counter::StartsCancelled), 1);
    assert_eq!(host.engine.live_slots(), 1);
}

#[test]
fn a_surplus_slot_goes_to_another_function_of_the_same_memory() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.assign("f", 2).waiting();
    let surplus = host.one_create();
    host.idle(slot, "f", 1);
    let other_size = host.assign_of("big", 3, 2 * MB).waiting();
    let waiter = host.assign("g", 4).waiting();
    host.take();
    host.created(surplus);
    assert_eq!(host.take(), [Command::Init { slot: surplus, function: host.function("g") }]);
    host.ready(surplus);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(surplus) }]);
    assert_ne!(waiter, other_size);
    assert_eq!(host.totals().count(Counter::SlotsReused), 1);
}

#[test]
fn the_start_that_a_reused_slot_replaced_is_cancelled_in_turn() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.assign("f", 2).waiting();
    let surplus = host.one_create();
    host.idle(slot, "f", 1);
    host.take();
    host.assign("g", 4).waiting();
    let own = host.one_create();
    host.created(surplus);
    host.take();
    host.created(own);
    assert_eq!(host.take(), [Command::DestroySlot { slot: own, reason: DestroyReason::Surplus }]);
}

#[test]
fn surplus_keep_lets_the_start_finish_as_a_free_instance() {
    let mut host = Host::new("fixed:surplus=keep");
    let slot = host.instance("f", 1);
    host.assign("f", 2).waiting();
    let surplus = host.one_create();
    host.idle(slot, "f", 1);
    host.take();
    host.created(surplus);
    assert_eq!(host.take(), [Command::Init { slot: surplus, function: host.function("f") }]);
    host.ready(surplus);
    assert_eq!(host.take(), []);
    assert_eq!(host.assign("f", 3), Assign::Warm(surplus));
}

#[test]
fn handoff_none_binds_a_request_to_its_own_start() {
    let mut host = Host::new("fixed:handoff=none");
    let slot = host.instance("f", 1);
    let waiter = host.assign("f", 2).waiting();
    let own = host.one_create();
    host.idle(slot, "f", 1);
    assert_eq!(host.take(), []);
    host.created(own);
    host.take();
    host.ready(own);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(own) }]);
    assert_eq!(host.assign("f", 3), Assign::Warm(slot));
}

#[test]
fn need_destroy_destroys_the_instance_and_starts_what_waiters_lack() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.bad_idle(slot, "f", 1);
    assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::NeedDestroy }]);
    assert!(matches!(host.assign("f", 2), Assign::Waiting(_)), "a bad instance serves nobody");
}

#[test]
fn a_duplicate_idle_changes_nothing() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    assert_eq!(host.idle(slot, "f", 1), Idle::Ended);
    let before = host.totals();
    assert_eq!(host.idle(slot, "f", 1), Idle::Duplicate);
    assert_eq!(host.assign("f", 2), Assign::Warm(slot));
    assert_eq!(host.idle(slot, "f", 1), Idle::Duplicate, "the instance is another request's now");
    assert_eq!(host.assign("f", 3).waiting(), host.last_waiter());
    assert_eq!(before.count(Counter::Idles), host.totals().count(Counter::Idles));
    assert_eq!([&before, &host.totals()].map(|totals| totals.count(Counter::IdleDuplicates)), [0, 2]);
}

#[test]
fn an_idle_of_an_unknown_instance_or_another_function_changes_nothing() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    host.assign("g", 2);
    host.take();
    assert_eq!(host.idle(slot, "g", 1), Idle::Unknown);
    let destroyed = host.instance("f", 3);
    host.bad_idle(destroyed, "f", 3);
    assert_eq!(host.idle(destroyed, "f", 3), Idle::Duplicate, "known until its end is confirmed");
    host.destroyed(destroyed);
    assert_eq!(host.idle(destroyed, "f", 3), Idle::Unknown);
    assert!(!host.engine.knows_key("never seen"));
}

#[test]
fn a_cancelled_request_leaves_and_its_start_is_surplus() {
    let mut host = Host::new("fixed");
    let waiter = host.assign("f", 1).waiting();
    let slot = host.one_create();
    assert!(host.engine.handle_cancel(host.now, waiter));
    assert!(!host.engine.handle_cancel(host.now, waiter));
    host.created(slot);
    assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::Surplus }]);
    assert_eq!(host.totals().count(Counter::Cancelled), 1);
}

#[test]
fn a_request_cancelled_during_init_leaves_a_free_instance() {
    let mut host = Host::new("fixed");
    let waiter = host.assign("f", 1).waiting();
    let slot = host.one_create();
    host.created(slot);
    host.take();
    assert!(host.engine.handle_cancel(host.now, waiter));
    host.ready(slot);
    assert_eq!(host.take(), []);
    assert_eq!(host.assign("f", 2), Assign::Warm(slot));
}

#[test]
fn an_undeliverable_instance_is_free_again() {
    let mut host = Host::new("fixed");
    let slot = host.instance("f", 1);
    assert_eq!(host.engine.handle_abandon(host.now, slot, support::tag(1), &mut host.out), Idle::Ended);
    assert_eq!(host.assign("f", 2), Assign::Warm(slot));
    assert_eq!(host.engine.handle_abandon(host.now, slot, support::tag(1), &mut host.out), Idle::Duplicate);
    assert_eq!(host.totals().count(Counter::Idles), 0);
}

#[test]
fn a_request_is_answered_at_its_deadline() {
    let mut host = Host::new("fixed");
    let waiter = host.assign_until("f", 1, Nanos::from_secs(5)).waiting();
    host.take();
    assert_eq!(host.engine.next_wakeup(), Some(Nanos::from_secs(5)));
    host.tick_at(Nanos::from_secs(5));
    assert_eq!(host.take(), [Command::Wake { waiter, result: Err(WakeError::DeadlineExceeded) }]);
    assert_eq!(host.totals().count(Counter::Expired), 1);
    assert_eq!(host.engine.next_wakeup(), None);
}

#[test]
fn limits_refuse_without_changing_anything() {
    let mut host = Host::with("fixed", |config| {
        config.max_waiting = 1;
        config.max_functions = 2;
    });
    host.instance("e", 0);
    host.assign("f", 1).waiting();
    assert_eq!(host.engine.function(&support::function("g", MB)), Err(EngineError::TooManyFunctions { limit: 2 }));
    let e = host.function("e");
    let refused = host.engine.handle_assign(host.now, e, support::tag(2), Nanos::MAX, &mut host.out);
    assert_eq!(refused, Err(EngineError::TooManyWaiting { limit: 1 }));
    assert_eq!(host.snapshot().live.waiting, 1);
}
