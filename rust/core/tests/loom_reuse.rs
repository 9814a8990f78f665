//! Every interleaving in which something is looked at while it goes and comes again.
//!
//! Run by `make test-loom`, as `loom.rs` is.
#![cfg(pilotlight_loom)]

mod support;

use loom::sync::Arc;
use loom::thread;
use pilotlight_core::{Assign, Engine, FunctionId, Idle, Nanos, SlotId};
use support::{Host, tag};

const NOW: Nanos = Nanos::from_secs(1);

fn assign(engine: &Engine, function: FunctionId, request: u64) -> SlotId {
    match engine.handle_assign(NOW, function, tag(request), Nanos::MAX, &mut Vec::new()) {
        Ok(Assign::Warm(slot)) => slot,
        other => panic!("one is free for each request: {other:?}"),
    }
}

/// Who takes the top of the stack may have looked at it before it went and came back, with another below it than then. The top is the
/// same instance, and only the tag tells.
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
            assert_eq!(twin.handle_idle(NOW, top, "f", tag(10), false, &mut Vec::new()), Idle::Ended);
            below
        });
        let mine = assign(&engine, function, 12);
        let theirs = other.join().unwrap();
        let last = assign(&engine, function, 13);
        assert!(mine != theirs && mine != last && theirs != last, "{mine:?} {theirs:?} {last:?}");
    });
}
