//! Every call, every failure: what the engine does, command by command.

mod support;

use pilotlight_core::{Account, Assign, Command, Counter, DestroyReason, EngineError, Idle, Nanos, StartFailure, WakeError};
use support::{Host, MB, Waiting};

const INIT: Nanos = Nanos::from_millis(200);

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
fn keep_alive_ends_exactly_when_it_is_due() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slot = host.instance("f", 1);
    host.idle(slot, "f", 1);
    let due = host.now + Nanos::from_secs(2);
    assert_eq!(host.engine.next_wakeup(), Some(due));
    host.tick_at(Nanos(due.0 - 1));
    assert_eq!(host.take(), []);
    host.tick_at(due);
    assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::KeepAliveOver }]);
    host.destroyed(slot);
    assert_eq!(host.totals().slot_ns[Account::Idle as usize], 2_000_000_000);
    assert_eq!(host.engine.live_slots(), 0);
}

#[test]
fn as_many_instances_go_as_are_overdue_and_the_rest_keep_their_time() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slots: Vec<_> = (0..3).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.advance(500);
    }
    host.take();
    let first_due = host.engine.next_wakeup().unwrap();
    for step in 0..3_u64 {
        let due = first_due + Nanos::from_millis(500 * step);
        assert_eq!(host.engine.next_wakeup(), Some(due));
        host.tick_at(due);
        assert_eq!(host.take().len(), 1, "one instance is overdue at step {step}");
    }
    let idle = host.totals().slot_ns[Account::Idle as usize];
    assert_eq!(idle, 3 * 2_000_000_000, "which instance goes makes no difference to the account");
}

#[test]
fn a_busy_instance_is_never_retired() {
    let mut host = Host::new("fixed:keep_alive=0s");
    let slot = host.instance("f", 1);
    host.tick_at(host.now + Nanos::from_secs(3600));
    assert_eq!(host.take(), []);
    host.idle(slot, "f", 1);
    host.tick_at(host.now);
    assert_eq!(host.take().len(), 1);
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

#[test]
fn break_even_learns_what_a_start_takes() {
    let mut host = Host::new("break_even:lambda=1");
    let slot = host.instance("f", 1); // 100 ms create and 200 ms Init
    host.idle(slot, "f", 1);
    // 0.3 s · (1 + 1 / 0.125 GB)
    assert_eq!(host.engine.next_wakeup(), Some(host.now + Nanos::from_millis(2700)));
}

#[test]
fn sweeps_of_a_large_pool_are_paced() {
    const INSTANCES: u64 = 10_000;
    let mut host = Host::new("fixed:keep_alive=1s");
    let slots: Vec<_> = (0..INSTANCES).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.now = host.now + Nanos(1);
    }
    let mut visits = 0;
    while let Some(next) = host.engine.next_wakeup() {
        host.tick_at(next);
        visits += 1;
        assert!(visits < 100, "one visit retires everything that became due since the last");
    }
    assert_eq!(host.take().len() as u64, INSTANCES);
}

#[test]
fn the_instance_freed_last_stays_longest_whoever_goes() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slots: Vec<_> = (0..4).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.advance(100);
    }
    let first_due = host.engine.next_wakeup().unwrap();
    host.tick_at(first_due);
    let Assign::Warm(taken) = host.assign("f", 9) else { panic!("three are free") };
    assert_ne!(taken, slots[3], "the one on top was retired");
    host.take();
    // The request took the window that began last; the two before it are still due at their own times.
    for step in 1..3 {
        assert_eq!(host.engine.next_wakeup(), Some(first_due + Nanos::from_millis(100 * step)));
        host.tick_at(host.engine.next_wakeup().unwrap());
        assert_eq!(host.take().len(), 1);
    }
}
