//! Every interleaving in which something is looked at while it goes and comes again.
//!
//! Run by `make test-loom`, as `loom.rs` is.
#![cfg(pilotlight_loom)]

mod support;

use loom::sync::Arc;
use loom::thread;
use pilotlight_core::{Assign, Command, Ending, Engine, EngineError, FunctionId, Idle, Nanos, SlotId};
use support::{Host, MB, function, tag};

const NOW: Nanos = Nanos::from_secs(1);

fn assign(engine: &Engine, function: FunctionId, request: u64) -> SlotId {
    match engine.handle_assign(NOW, function, tag(request), Nanos::MAX, &mut Vec::new()) {
        Ok(Assign::Warm(slot)) => slot,
        other => panic!("one is free for each request: {other:?}"),
    }
}

/// Who takes the top of the stack may have looked at it before it went and came back, with another
/// below it than then. The top is the same instance, and only the tag tells.
#[test]
fn an_instance_that_comes_back_to_the_top_does_not_pass_for_the_one_that_had_others_below_it() {
    let mut fewer = loom::model::Builder::new();
    fewer.preemption_bound = Some(2);
    fewer.check(|| {
        let mut host = Host::new("fixed");
        let function = host.function("f");
        let slots = [0, 1, 2].map(|request| host.instance("f", request));
        for (request, &slot) in (0..).zip(&slots) {
            assert_eq!(host.idle(slot, "f", request), Idle::Ended);
        }
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || {
            let (top, below) = (assign(&twin, function, 10), assign(&twin, function, 11));
            assert_eq!(twin.handle_idle(NOW, top, "f", tag(10), Ending::Good, &mut Vec::new()), Idle::Ended);
            below
        });
        let mine = assign(&engine, function, 12);
        let theirs = other.join().unwrap();
        let last = assign(&engine, function, 13);
        assert!(mine != theirs && mine != last && theirs != last, "{mine:?} {theirs:?} {last:?}");
    });
}

/// A request has found a function, which is then given up for another before it asks for an
/// instance. The other's instance comes and is free meanwhile.
#[test]
fn a_request_of_a_function_that_is_given_up_waits_as_it_or_is_told_and_never_gets_the_next_ones_instance() {
    let mut fewer = loom::model::Builder::new();
    fewer.preemption_bound = Some(2);
    fewer.check(|| {
        let host = Host::with("fixed", |config| config.max_functions = 1);
        let f = host.function("f");
        let engine = Arc::new(host.engine);
        let twin = Arc::clone(&engine);
        let other = thread::spawn(move || {
            let mut out = Vec::new();
            (twin.handle_assign(NOW, f, tag(10), Nanos::MAX, &mut out), out)
        });
        let mut out = Vec::new();
        let g = engine.function(&function("g", MB));
        if let Ok(g) = g {
            engine.handle_assign(NOW, g, tag(11), Nanos::MAX, &mut out).unwrap();
            let Some(Command::CreateSlot { slot, function, .. }) = out.pop() else { panic!("a waiter gets a start") };
            assert_eq!(function, g);
            engine.handle_slot_created(NOW, slot, Nanos(1), &mut out).unwrap();
            engine.handle_instance_ready(NOW, slot, Nanos(1), &mut out).unwrap();
            assert_eq!(engine.handle_idle(NOW, slot, "g", tag(11), Ending::Good, &mut out), Idle::Ended);
        }
        let (assigned, theirs) = other.join().unwrap();
        match (&g, assigned) {
            (Err(EngineError::TooManyFunctions { .. }), Ok(Assign::Waiting(_))) => {
                assert!(matches!(theirs[..], [Command::CreateSlot { function, .. }] if function == f));
            }
            (Ok(g), Err(EngineError::FunctionGivenUp)) => {
                assert!(theirs.iter().all(|command| matches!(command, Command::Wake { .. })), "{theirs:?}");
                // Whatever the other did with g's instance, g has it again.
                assert_eq!(
                    engine.handle_assign(NOW, *g, tag(12), Nanos::MAX, &mut out).map(|assign| matches!(assign, Assign::Warm(_))),
                    Ok(true)
                );
            }
            // A start in flight or a lock that was held kept f, or it came too late for that.
            other => panic!("{other:?}"),
        }
    });
}
