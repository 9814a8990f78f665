//! Every interleaving of what moves the account with a look at it: nothing is counted twice, nothing is lost.
//!
//! Run by `make test-loom`, as `loom.rs` is. In each model one thread makes calls and another reads the ledger meanwhile, all at one moment
//! of time. What was read may be short of what the ledger says at rest, in no number more; and at rest it is exact.
#![cfg(pilotlight_loom)]

mod support;

use loom::sync::Arc;
use loom::thread;
use pilotlight_core::{Account, Assign, Command, Counter, Engine, FunctionId, Idle, Nanos, SlotId, Totals};
use support::{Host, ending, tag};

const NOW: Nanos = Nanos::from_secs(1);
const SECOND: u128 = 1_000_000_000;

/// What threads share: an engine with one instance of function "f", ready since 0 and busy with request 0 since then.
struct World {
    engine: Engine,
    function: FunctionId,
    slot: SlotId,
}

impl World {
    fn new(policy: &str) -> Self {
        let mut host = Host::new(policy);
        let function = host.function("f");
        let slot = host.instance("f", 0);
        Self { engine: host.engine, function, slot }
    }

    fn idle(&self, request: u64, bad: bool) -> Vec<Command> {
        let mut out = Vec::new();
        assert_eq!(self.engine.handle_idle(NOW, self.slot, "f", tag(request), ending(bad), &mut out), Idle::Ended);
        out
    }

    fn assign(&self, request: u64) -> Assign {
        self.engine.handle_assign(NOW, self.function, tag(request), Nanos::MAX, &mut Vec::new()).unwrap()
    }

    fn read(&self) -> Totals {
        self.engine.function_totals(NOW)[0].totals.clone()
    }
}

/// `then` are warm starts, Idles, and seconds free, busy and retiring, in the end.
fn read_while(policy: &'static str, prepare: fn(&World), act: fn(&World), then: (u64, u64, [u128; 3])) {
    loom::model(move || {
        let world = World::new(policy);
        prepare(&world);
        let world = Arc::new(world);
        let other = {
            let world = Arc::clone(&world);
            thread::spawn(move || act(&world))
        };
        let meanwhile = world.read();
        let whole = world.engine.snapshot(NOW).totals;
        other.join().unwrap();
        let at_rest = world.read();
        for early in [&meanwhile, &whole] {
            assert_none_exceeds(early, &at_rest);
        }
        assert_eq!(world.engine.snapshot(NOW).totals, at_rest);
        let time = [Account::Idle, Account::Busy, Account::Retiring].map(|account| at_rest.slot_ns[account as usize] / SECOND);
        assert_eq!((at_rest.count(Counter::WarmStarts), at_rest.count(Counter::Idles), time), then);
        assert_eq!(at_rest.slot_ns.iter().sum::<u128>(), SECOND);
    });
}

fn assert_none_exceeds(early: &Totals, at_rest: &Totals) {
    assert!(early.counts.iter().zip(&at_rest.counts).all(|(early, rest)| early <= rest), "{early:?}\n{at_rest:?}");
    assert!(early.slot_ns.iter().zip(&at_rest.slot_ns).all(|(early, rest)| early <= rest), "{early:?}\n{at_rest:?}");
}

fn nothing(_: &World) {}

#[test]
fn warm_requests_are_counted_once() {
    let act = |world: &World| {
        world.idle(0, false);
        assert_eq!(world.assign(1), Assign::Warm(world.slot));
        world.idle(1, false);
    };
    read_while("fixed", nothing, act, (1, 2, [0, 1, 0]));
}

#[test]
fn a_request_served_after_waiting_is_no_warm_start() {
    let prepare = |world: &World| assert!(matches!(world.assign(1), Assign::Waiting(_)));
    let act = |world: &World| assert!(!world.idle(0, false).is_empty());
    read_while("fixed", prepare, act, (0, 1, [0, 1, 0]));
}

#[test]
fn an_instance_destroyed_after_its_request_takes_its_account_along_once() {
    let act = |world: &World| {
        world.idle(0, true);
        world.engine.handle_slot_destroyed(NOW, world.slot).unwrap();
    };
    read_while("fixed", nothing, act, (0, 1, [0, 1, 0]));
}

#[test]
fn a_retired_instance_takes_its_account_along_once() {
    let prepare = |world: &World| assert!(world.idle(0, false).is_empty());
    let act = |world: &World| world.engine.handle_tick(NOW, &mut Vec::new());
    read_while("fixed:keep_alive=0s", prepare, act, (0, 1, [0, 1, 0]));
}

#[test]
fn an_abandoned_instance_had_no_idle() {
    let act = |world: &World| {
        assert_eq!(world.engine.handle_abandon(NOW, world.slot, tag(0), &mut Vec::new()), Idle::Ended);
        assert_eq!(world.assign(1), Assign::Warm(world.slot));
    };
    read_while("fixed", nothing, act, (1, 0, [0, 1, 0]));
}

#[test]
fn an_instance_destroyed_under_its_request_had_no_idle() {
    let act = |world: &World| world.engine.handle_drain_deadline(NOW, &mut Vec::new());
    read_while("fixed", nothing, act, (0, 0, [0, 1, 0]));
}
