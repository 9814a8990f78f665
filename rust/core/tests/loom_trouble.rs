//! Every interleaving of what goes wrong with what goes on, on the engine itself; see `loom.rs` for
//! how it is run.
//!
//! | transition | against | model |
//! |---|---|---|
//! | busy to retiring, by a lease | busy to free, and busy for the next request | `a_lease_never_ends_the_next_request` |
//! | third failure of an instance | that of another one | `of_two_instances_that_fail_at_once_one_is_replaced` |
//! | circuit breaker opens | a request comes | `a_request_that_comes_as_starts_are_given_up_is_answered_or_has_a_start` |
#![cfg(pilotlight_loom)]

mod support;

use loom::sync::Arc;
use loom::thread;
use pilotlight_core::{Assign, Command, Counter, Ending, Engine, FunctionId, Idle, Nanos, SlotId, StartFailure, WakeError};
use support::{Host, Waiting, tag};

fn end(engine: &Engine, now: Nanos, slot: SlotId, request: u64, ending: Ending) -> Idle {
    engine.handle_idle(now, slot, "f", tag(request), ending, &mut Vec::new())
}

fn assign(engine: &Engine, now: Nanos, function: FunctionId, request: u64) -> (Assign, Vec<Command>) {
    let mut out = Vec::new();
    let assigned = engine.handle_assign(now, function, tag(request), Nanos::MAX, &mut out).unwrap();
    (assigned, out)
}

#[test]
fn a_lease_never_ends_the_next_request() {
    loom::model(|| {
        let mut host = Host::with("fixed:keep_alive=1000s", |config| config.lease_factor = Some(1.0));
        let function = host.function("f");
        let slot = host.instance("f", 0);
        let (engine, over) = (Arc::new(host.engine), Nanos::from_secs(62));
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || (end(&twin, over, slot, 0, Ending::Good), assign(&twin, over, function, 1).0));
        let mut out = Vec::new();
        engine.handle_tick(over, &mut out);
        let (ended, next) = other.join().unwrap();
        let expired = out.iter().any(|command| matches!(command, Command::DestroySlot { .. }));
        match ended {
            Idle::Ended => assert_eq!((next, expired), (Assign::Warm(slot), false)),
            _ => assert!(expired && matches!(next, Assign::Waiting(_))),
        }
    });
}

#[test]
fn of_two_instances_that_fail_at_once_one_is_replaced() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        host.function("f");
        let slots = [host.instance("f", 0), host.instance("f", 1)];
        for first in [0, 2] {
            for (request, slot) in [(first, slots[0]), (first + 1, slots[1])] {
                end(&host.engine, host.now, slot, request, Ending::Failed);
            }
            // The one freed last is handed out first.
            for (request, slot) in [(first + 3, slots[1]), (first + 2, slots[0])] {
                assert_eq!(host.assign("f", request), Assign::Warm(slot));
            }
        }
        let (now, engine) = (host.now, Arc::new(host.engine));
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || end(&twin, now, slots[0], 4, Ending::Failed));
        assert_eq!(end(&engine, now, slots[1], 5, Ending::Failed), Idle::Ended);
        assert_eq!(other.join().unwrap(), Idle::Ended);
        assert_eq!(engine.snapshot(now).totals.count(Counter::Replaced), 1);
    });
}

#[test]
fn a_request_that_comes_as_starts_are_given_up_is_answered_or_has_a_start() {
    loom::model(|| {
        let mut host = Host::new("fixed");
        let function = host.function("f");
        let first = host.assign("f", 0).waiting();
        let slot = host.one_create();
        host.engine.handle_create_failed(host.now, slot, StartFailure::Refused, &mut host.out).unwrap();
        let last = host.one_create();
        let (now, engine) = (host.now, Arc::new(host.engine));
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || assign(&twin, now, function, 1));
        let mut out = Vec::new();
        engine.handle_create_failed(now, last, StartFailure::Refused, &mut out).unwrap();
        let (assigned, commands) = other.join().unwrap();
        out.extend(commands);
        let second = assigned.waiting();
        let refused = |waiter| out.contains(&Command::Wake { waiter, result: Err(WakeError::StartFailed) });
        let started = out.iter().filter(|command| matches!(command, Command::CreateSlot { .. })).count();
        let waiting = [first, second].iter().filter(|&&waiter| !refused(waiter)).count();
        assert_eq!(waiting, started, "who is not refused has a start under way");
    });
}
