//! Functions at rest give their places in the table up, and nothing that was counted is lost.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Assign, Command, Counter, EngineError, FunctionRef, Nanos, StartFailure};
use support::{Host, MB, Waiting, function, tag};

fn few(functions: u32) -> Host {
    Host::with("fixed:keep_alive=10s", |config| config.max_functions = functions)
}

/// A function that was called once and has no slot any more.
fn called(host: &mut Host, key: &str) {
    let slot = host.instance(key, 1);
    host.advance(10);
    host.bad_idle(slot, key, 1);
    host.take();
    host.destroyed(slot);
}

fn known(host: &Host, keys: &[&str]) -> Vec<bool> {
    keys.iter().map(|key| host.engine.knows_key(key)).collect()
}

#[test]
fn functions_at_rest_give_their_places_up_the_least_recently_used_first() {
    let mut host = few(3);
    for key in ["a", "b", "c", "a"] {
        called(&mut host, key);
        host.advance(1000);
    }
    host.assign("d", 1).waiting();
    assert_eq!(known(&host, &["a", "b", "c", "d"]), [true, false, true, true]);
    host.assign("e", 1).waiting();
    assert_eq!(known(&host, &["a", "b", "c", "d", "e"]), [true, false, false, true, true]);
    let live = host.snapshot().live;
    assert_eq!((live.functions, live.functions_given_up, live.functions_refused), (3, 2, 0));
}

#[test]
fn whatever_is_under_way_keeps_a_function() {
    let mut host = few(6);
    host.instance("busy", 1);
    let free = host.instance("free", 1);
    host.idle(free, "free", 1);
    let waiter = host.assign("starting", 1).waiting();
    let starting = host.one_create();
    assert!(host.engine.handle_cancel(host.now, waiter));
    let retiring = host.instance("retiring", 1);
    host.bad_idle(retiring, "retiring", 1);
    host.take();
    let leaked = host.instance("leaked", 1);
    host.bad_idle(leaked, "leaked", 1);
    host.engine.handle_destroy_failed(host.now, leaked).unwrap();
    let waiter = host.assign("unanswered", 1).waiting();
    let [Command::CreateSlot { slot: unanswered, .. }] = host.take()[1..] else { panic!("a waiter gets a start") };
    assert!(host.engine.handle_cancel(host.now, waiter));
    host.engine.handle_create_failed(host.now, unanswered, StartFailure::Unanswered, &mut host.out).unwrap();
    assert_eq!(host.snapshot().live.functions, 6);
    let refused = host.engine.function(&function("another", MB));
    assert_eq!(refused, Err(EngineError::TooManyFunctions { limit: 6 }));
    assert_eq!(host.snapshot().live.functions_refused, 1);
    // One of them is at rest as soon as its slot is gone.
    host.engine.handle_create_failed(host.now, starting, StartFailure::Refused, &mut host.out).unwrap();
    assert!(host.engine.function(&function("another", MB)).is_ok());
    assert!(!host.engine.knows_key("starting"));
}

#[test]
fn what_a_function_booked_stays_in_the_totals_when_it_is_given_up() {
    let mut host = few(4);
    for number in 0..200_u32 {
        let (key, memory_mb) = (format!("f{number}"), MB * (1 + number % 3));
        host.assign_of(&key, 1, memory_mb).waiting();
        let slot = host.one_create();
        host.advance(7);
        host.created(slot);
        host.take();
        host.ready(slot);
        host.take();
        host.advance(5);
        host.idle(slot, &key, 1);
        assert_eq!(host.assign_of(&key, 2, memory_mb), Assign::Warm(slot));
        host.bad_idle(slot, &key, 2);
        host.take();
        host.destroyed(slot);
    }
    let snapshot = host.snapshot();
    let totals = &snapshot.totals;
    for counter in [Counter::WarmStarts, Counter::Queued, Counter::ColdStarts, Counter::Starts, Counter::Destroyed] {
        assert_eq!(totals.count(counter), 200, "{counter:?}");
    }
    assert_eq!(totals.count(Counter::Idles), 400);
    assert_eq!(totals.slot_ns, [1_400_000_000, 0, 1_000_000_000, 0, 0]);
    let units: u128 = (0..200_u32).map(|number| u128::from(MB * (1 + number % 3))).sum();
    assert_eq!(totals.slot_mb_ns, [7_000_000 * units, 0, 5_000_000 * units, 0, 0]);
    assert_eq!(totals.wait_ns, [1_400_000_000, 0, 0]);
    assert_eq!((snapshot.live.functions, snapshot.live.functions_given_up), (4, 196));
}

#[test]
fn a_name_from_before_is_unknown_and_a_waiter_from_before_is_nobody_elses() {
    let mut host = few(1);
    let waiter = host.assign("a", 1).waiting();
    let (a, slot) = (host.function("a"), host.one_create());
    assert!(host.engine.handle_cancel(host.now, waiter));
    host.engine.handle_create_failed(host.now, slot, StartFailure::Refused, &mut host.out).unwrap();
    let next = host.assign("b", 2).waiting();
    assert_ne!(waiter, next);
    assert!(!host.engine.handle_cancel(host.now, waiter));
    host.take();
    let refused = host.engine.handle_assign(host.now, a, tag(3), Nanos::MAX, &mut host.out);
    assert_eq!((refused, host.take()), (Err(EngineError::FunctionGivenUp), vec![]));
    assert_eq!((host.engine.spec(a), host.engine.explain(host.now, a)), (None, None));
}

#[test]
fn an_instance_of_the_next_function_is_not_a_request_of_the_one_before() {
    let mut host = few(1);
    let a = host.function("a");
    let slot = host.instance("b", 1);
    host.idle(slot, "b", 1);
    let refused = host.engine.handle_assign(host.now, a, tag(2), Nanos::MAX, &mut host.out);
    assert_eq!(refused, Err(EngineError::FunctionGivenUp));
    assert_eq!(host.assign("b", 3), Assign::Warm(slot), "it was given back");
    assert_eq!([Counter::WarmStarts, Counter::Idles].map(|counter| host.totals().count(counter)), [1, 1], "and served nobody");
}

#[test]
fn a_function_begins_anew_in_a_place_that_was_another_ones() {
    let mut host = few(1);
    called(&mut host, "a");
    host.assign_of("b", 1, 2 * MB).waiting();
    let creates = host.take();
    assert!(matches!(creates[..], [Command::CreateSlot { memory_mb, .. }] if memory_mb == 2 * MB), "{creates:?}");
    let functions = host.engine.function_totals(host.now);
    assert_eq!(functions.len(), 1);
    assert_eq!((&*functions[0].spec.key, functions[0].totals.count(Counter::Starts), functions[0].waiting), ("b", 1, 1));
}

#[test]
fn versions_of_one_key_that_are_at_rest_give_way_to_newer_ones_and_those_in_use_do_not() {
    let mut host = few(1000);
    let version = |timeout_s| FunctionRef { key: "f", runtime: "go", timeout_s, memory_mb: MB };
    for timeout_s in 0..500 {
        assert!(host.engine.function(&version(timeout_s)).is_ok());
    }
    for timeout_s in 1000..1064 {
        let id = host.engine.function(&version(timeout_s)).unwrap();
        host.engine.handle_assign(host.now, id, tag(1), Nanos::MAX, &mut host.out).unwrap().waiting();
    }
    assert_eq!(host.engine.function(&version(2000)), Err(EngineError::TooManyVersions { limit: 64 }));
    assert!(host.engine.function(&function("another", MB)).is_ok());
}
