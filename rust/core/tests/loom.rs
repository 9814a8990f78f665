//! Every interleaving of the words that decide who gets which instance, on the engine itself.
//!
//! Run by `make test-loom`: `RUSTFLAGS="--cfg pilotlight_loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p pilotlight-core --test loom`. The bound
//! of every model is three preemptions, two where a target is asked for or a visit goes on; its threads and calls are those one sees in it.
//! A step is one look here.
//!
//! | transition | against | model |
//! |---|---|---|
//! | hand-off word up | down below zero | `an_idle_and_an_assign_always_meet` |
//! | hand-off word down | down | `two_assigns_never_share_an_instance` |
//! | top of the stack off | off, on and off again (ABA) | `an_instance_that_comes_and_goes_is_handed_out_once` |
//! | slot busy to free | the same by a late twin | `of_two_idles_of_one_request_one_counts` |
//! | slot free to busy, by its taker's store | busy to retiring, by the drain's deadline | `a_drain_deadline_never_ends_the_next_request` |
//! | retire | assign, idle, a target that holds the instance | `a_sweep_…`, `an_instance_freed_…`, `a_sweep_never_takes_…` |
//! | a step of a visit to free instances | what comes between it and the next | `a_visit_in_steps_…` |
//! | cancel | finish: hand-off, or a start | `a_cancelled_request_and_…` |
//! | created slot taken over | its next function's waiter leaving | `a_slot_that_changes_hands_…` |
//! | evict | idle | `a_start_without_room_never_misses_…` |
//!
//! Functions are registered, and instances started, before the threads: what is explored is the warm path, the queue, the sweep and the
//! drain against each other. Not explored: the function map (papaya) and the growth of the tables (`OnceLock`).
#![cfg(pilotlight_loom)]

mod support;

use loom::sync::Arc;
use loom::thread;
use pilotlight_core::{Assign, Command, DestroyReason, Engine, FunctionId, Idle, Nanos, SlotId};
use support::{Host, tag};

const NOW: Nanos = Nanos::from_secs(1);
/// After any pause the engine takes before it looks again.
const LATER: Nanos = Nanos::from_secs(2);

/// An engine with `busy` instances of function "f", serving requests 0, 1, …
fn engine(policy: &str, busy: u64) -> (Arc<Engine>, FunctionId, Vec<SlotId>) {
    let mut host = Host::new(policy);
    let function = host.function("f");
    let slots = (0..busy).map(|request| host.instance("f", request)).collect();
    (Arc::new(host.engine), function, slots)
}

fn assign(engine: &Engine, function: FunctionId, request: u64) -> (Assign, Vec<Command>) {
    let mut out = Vec::new();
    let assign = engine.handle_assign(NOW, function, tag(request), Nanos::MAX, &mut out).unwrap();
    (assign, out)
}

fn idle(engine: &Engine, slot: SlotId, request: u64) -> (Idle, Vec<Command>) {
    let mut out = Vec::new();
    let idle = engine.handle_idle(NOW, slot, "f", tag(request), false, &mut out);
    (idle, out)
}

fn woken(commands: &[Command]) -> Vec<SlotId> {
    commands.iter().filter_map(|command| if let Command::Wake { result: Ok(slot), .. } = command { Some(*slot) } else { None }).collect()
}

/// Free instances minus waiting requests, and the length of the queue, at rest.
fn at_rest(engine: &Engine) -> (i64, u32) {
    let function = &engine.function_totals(NOW)[0];
    (function.balance, function.waiting)
}

#[test]
fn an_idle_and_an_assign_always_meet() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 1);
        let other = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || assign(&engine, function, 10))
        };
        let (ended, commands) = idle(&engine, slots[0], 0);
        let (assigned, _) = other.join().unwrap();
        assert_eq!(ended, Idle::Ended);
        match assigned {
            Assign::Warm(slot) => assert_eq!((slot, woken(&commands).len()), (slots[0], 0)),
            Assign::Waiting(_) => assert_eq!(woken(&commands), [slots[0]], "the waiter was not forgotten"),
        }
        assert_eq!(at_rest(&engine), (0, 0));
    });
}

#[test]
fn two_assigns_never_share_an_instance() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 2);
        idle(&engine, slots[0], 0);
        let other = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || assign(&engine, function, 10))
        };
        let (_, commands) = idle(&engine, slots[1], 1);
        let (mine, _) = assign(&engine, function, 11);
        let (theirs, _) = other.join().unwrap();
        assert!(matches!((mine, theirs), (Assign::Warm(a), Assign::Warm(b)) if a != b), "{mine:?} {theirs:?}");
        assert_eq!(commands, []);
        assert_eq!(at_rest(&engine), (0, 0));
    });
}

#[test]
fn of_two_idles_of_one_request_one_counts() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 1);
        let (slot, twin) = (slots[0], Arc::clone(&engine));
        let other = thread::spawn(move || {
            let first = idle(&twin, slot, 0).0;
            (first, assign(&twin, function, 10).0)
        });
        let (mine, commands) = idle(&engine, slot, 0);
        let (theirs, next) = other.join().unwrap();
        assert_eq!([mine, theirs].iter().filter(|ended| **ended == Idle::Ended).count(), 1);
        // Request 10 has the instance, and whoever was late did not take it away again.
        assert!(next == Assign::Warm(slot) || woken(&commands) == [slot]);
        assert_eq!(at_rest(&engine), (0, 0));
    });
}

#[test]
fn a_sweep_and_an_assign_never_share_an_instance() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed:keep_alive=0s", 1);
        idle(&engine, slots[0], 0);
        let other = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || assign(&engine, function, 10).0)
        };
        let mut out = Vec::new();
        engine.handle_tick(NOW, &mut out);
        let retired = matches!(out[..], [Command::DestroySlot { .. }]);
        match other.join().unwrap() {
            Assign::Warm(_) => assert!(!retired),
            Assign::Waiting(_) => assert!(retired),
        }
    });
}

#[test]
fn an_instance_freed_during_a_sweep_keeps_a_timer() {
    loom::model(|| {
        let (engine, _, slots) = engine("fixed:keep_alive=0s", 2);
        idle(&engine, slots[0], 0);
        let (slot, twin) = (slots[1], Arc::clone(&engine));
        let other = thread::spawn(move || idle(&twin, slot, 1));
        let mut out = Vec::new();
        engine.handle_tick(NOW, &mut out);
        other.join().unwrap();
        engine.handle_tick(NOW, &mut out);
        engine.handle_tick(NOW, &mut out);
        assert_eq!(out.len(), 2, "both instances are overdue and were retired: {out:?}");
    });
}

#[test]
fn a_visit_in_steps_takes_as_many_as_are_overdue_and_leaves_the_others_their_end() {
    let mut fewer = loom::model::Builder::new();
    fewer.preemption_bound = Some(2);
    fewer.max_branches = 2_000;
    fewer.check(|| {
        let (engine, function, slots) = engine("fixed:keep_alive=1s", 3);
        let mut out = Vec::new();
        // From the top down: two that are kept, one that is overdue.
        for (request, at) in [(0, Nanos::ZERO), (1, NOW), (2, NOW)] {
            engine.handle_idle(at, slots[request], "f", tag(request as u64), false, &mut out);
        }
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || {
            let Assign::Warm(slot) = assign(&twin, function, 10).0 else { panic!("one of the three is overdue, and one request asks") };
            assert_eq!(idle(&twin, slot, 10).0, Idle::Ended);
        });
        engine.handle_tick(NOW, &mut out);
        other.join().unwrap();
        while engine.next_wakeup().is_some_and(|at| at < LATER) {
            engine.handle_tick(Nanos::from_millis(1_500), &mut out);
        }
        assert_eq!(out.len(), 1, "one was overdue: {out:?}");
        assert_eq!(engine.next_wakeup(), Some(LATER));
        while engine.next_wakeup().is_some() {
            engine.handle_tick(LATER, &mut out);
        }
        assert_eq!(out.len(), 3, "{out:?}");
    });
}

#[test]
fn a_drain_misses_neither_a_free_instance_nor_a_waiter() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 1);
        let (slot, twin) = (slots[0], Arc::clone(&engine));
        let other = thread::spawn(move || {
            let mut out = idle(&twin, slot, 0).1;
            let assigned = twin.handle_assign(NOW, function, tag(10), Nanos::MAX, &mut out);
            (assigned, out)
        });
        let mut out = Vec::new();
        engine.handle_drain(NOW, &mut out);
        let (assigned, theirs) = other.join().unwrap();
        out.extend(theirs);
        let destroyed = out.iter().any(|command| matches!(command, Command::DestroySlot { .. }));
        match assigned {
            Ok(Assign::Warm(_)) => assert!(!destroyed),
            Ok(Assign::Waiting(_)) => panic!("the instance was free or the drain had begun"),
            Err(_) => assert!(destroyed, "a free instance was left behind the drain"),
        }
    });
}

#[test]
fn an_instance_that_comes_and_goes_is_handed_out_once() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 2);
        // Freed last, slots[1] is on top.
        idle(&engine, slots[0], 0);
        idle(&engine, slots[1], 1);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || {
            let Assign::Warm(first) = assign(&twin, function, 10).0 else { panic!("two are free, and one other asks") };
            assert_eq!(idle(&twin, first, 10).0, Idle::Ended);
            assign(&twin, function, 11).0
        });
        let (mine, _) = assign(&engine, function, 12);
        let theirs = other.join().unwrap();
        assert!(matches!((mine, theirs), (Assign::Warm(a), Assign::Warm(b)) if a != b), "{mine:?} {theirs:?}");
        assert_eq!(at_rest(&engine), (0, 0));
    });
}

#[test]
fn a_drain_deadline_never_ends_the_next_request() {
    loom::model(|| {
        let (engine, function, slots) = engine("fixed", 1);
        let (slot, twin) = (slots[0], Arc::clone(&engine));
        let other = thread::spawn(move || (idle(&twin, slot, 0).0, assign(&twin, function, 10).0));
        let mut out = Vec::new();
        engine.handle_drain_deadline(NOW, &mut out);
        let (ended, next) = other.join().unwrap();
        let destroyed = !out.is_empty();
        match (ended, next) {
            // Ended in time: the deadline found the instance free, or destroyed it under the next request.
            (Idle::Ended, Assign::Warm(held)) => {
                assert_eq!(held, slot);
                assert_eq!(idle(&engine, slot, 10).0, if destroyed { Idle::Duplicate } else { Idle::Ended });
            }
            (Idle::Duplicate, Assign::Waiting(_)) => assert!(destroyed),
            other => panic!("{other:?}"),
        }
        assert!(out.len() <= 1, "{out:?}");
    });
}

#[test]
fn a_sweep_never_takes_what_a_target_holds() {
    let mut fewer = loom::model::Builder::new();
    fewer.preemption_bound = Some(2);
    fewer.check(|| {
        let (engine, function, slots) = engine("floor:instances=1,keep_alive=0s", 2);
        idle(&engine, slots[0], 0);
        let (slot, twin) = (slots[1], Arc::clone(&engine));
        let other = thread::spawn(move || {
            let ended = idle(&twin, slot, 1).0;
            (ended, assign(&twin, function, 10).0)
        });
        let mut out = Vec::new();
        engine.handle_tick(NOW, &mut out);
        let (ended, next) = other.join().unwrap();
        assert_eq!(ended, Idle::Ended);
        assert!(matches!(next, Assign::Warm(_)), "one of the two is always there");
        engine.handle_tick(LATER, &mut out);
        let destroyed = out.iter().filter(|command| matches!(command, Command::DestroySlot { .. })).count();
        assert!(destroyed <= 1, "{out:?}");
    });
}

#[test]
fn a_slot_that_changes_hands_serves_its_new_functions_waiter_or_nobody() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        host.function("f");
        let g = host.function("g");
        // f's start is surplus: its request was served by an instance that came back.
        let busy = host.instance("f", 0);
        host.assign("f", 1);
        let spare = host.one_create();
        host.idle(busy, "f", 0);
        let Assign::Waiting(waiter) = host.assign("g", 2) else { unreachable!() };
        host.take();
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || twin.handle_cancel(NOW, waiter));
        let mut out = Vec::new();
        engine.handle_slot_created(NOW, spare, NOW, &mut out).unwrap();
        assert!(other.join().unwrap());
        match out[..] {
            [Command::Init { slot, function }] => assert_eq!((slot, function), (spare, g)),
            [Command::DestroySlot { slot, reason }] => assert_eq!((slot, reason), (spare, DestroyReason::Surplus)),
            ref other => panic!("{other:?}"),
        }
        assert_eq!(engine.function_totals(NOW).iter().map(|function| function.waiting).sum::<u32>(), 0);
    });
}

#[test]
fn a_cancelled_request_and_a_freed_instance_settle() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        let slot = host.instance("f", 0);
        let Assign::Waiting(waiter) = host.assign("f", 1) else { unreachable!() };
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || twin.handle_cancel(NOW, waiter));
        let (ended, out) = idle(&engine, slot, 0);
        let cancelled = other.join().unwrap();
        assert_eq!(ended, Idle::Ended);
        assert_eq!(woken(&out).is_empty(), cancelled, "woken or cancelled, never both nor neither");
        assert_eq!(at_rest(&engine), (i64::from(cancelled), 0));
    });
}

#[test]
fn a_cancelled_request_and_a_ready_instance_settle() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        let Assign::Waiting(waiter) = host.assign("f", 1) else { unreachable!() };
        let slot = host.one_create();
        host.created(slot);
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || twin.handle_cancel(NOW, waiter));
        let mut out = Vec::new();
        engine.handle_instance_ready(NOW, slot, NOW, &mut out).unwrap();
        let cancelled = other.join().unwrap();
        assert_eq!(woken(&out).is_empty(), cancelled, "woken or cancelled, never both nor neither");
        assert_eq!(at_rest(&engine), (i64::from(cancelled), 0));
    });
}

#[test]
fn a_failed_start_beside_a_ready_one_costs_nobody_anything() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        host.assign("f", 1);
        let ready = host.one_create();
        host.created(ready);
        host.take();
        let Assign::Waiting(gone) = host.assign("f", 2) else { unreachable!() };
        let left_over = host.one_create();
        assert!(host.engine.handle_cancel(NOW, gone));
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || {
            let mut out = Vec::new();
            twin.handle_instance_ready(NOW, ready, NOW, &mut out).unwrap();
            out
        });
        let mut out = Vec::new();
        engine.handle_create_failed(NOW, left_over, false, &mut out).unwrap();
        assert_eq!(woken(&other.join().unwrap()), [ready]);
        assert_eq!(out, [], "the waiter's own start was ready: no other one was wanted");
        assert_eq!(at_rest(&engine), (0, 0));
    });
}

#[test]
fn a_start_without_room_never_misses_the_instance_that_becomes_free() {
    loom::model(|| {
        let mut host = Host::new("lru:memory=128MB");
        host.function("f");
        let g = host.function("g");
        let slot = host.instance("f", 0);
        let engine = Arc::new(host.engine);
        let other = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || assign(&engine, g, 10))
        };
        let (_, mut commands) = idle(&engine, slot, 0);
        let (assigned, mut others) = other.join().unwrap();
        assert!(matches!(assigned, Assign::Waiting(_)));
        // Whichever of them came second saw the other, or has left it to the tick.
        engine.handle_tick(LATER, &mut commands);
        commands.append(&mut others);
        assert_eq!(commands, [Command::DestroySlot { slot, reason: DestroyReason::MemoryPressure }]);
        commands.clear();
        engine.handle_slot_destroyed(LATER, slot).unwrap();
        engine.handle_tick(LATER, &mut commands);
        assert!(matches!(commands[..], [Command::CreateSlot { function, .. }] if function == g));
    });
}
