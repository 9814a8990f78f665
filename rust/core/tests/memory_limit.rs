//! A limit on memory: free instances give way to starts, busy ones never do, and whoever finds no room waits for it.
#![cfg(not(pilotlight_loom))]

#[path = "support/play.rs"]
mod play;
mod support;

use std::sync::{Arc, Mutex};

use pilotlight_core::policy::{Facts, FreeInstance, FunctionPolicy, Policy, PolicySpec, Queue, Start};
use pilotlight_core::{Assign, Command, Counter, DestroyReason, EngineError, FunctionRef, FunctionSpec, Nanos};
use play::Play;
use proptest::prelude::*;
use support::{Host, MB, Waiting};

/// An instance that has served a request and is free.
fn freed(host: &mut Host, key: &str, request: u64) -> pilotlight_core::SlotId {
    let slot = host.instance(key, request);
    host.advance(10);
    host.idle(slot, key, request);
    assert_eq!(host.take(), []);
    slot
}

/// Lets the engine do what is due now.
fn settle(host: &mut Host) {
    while host.engine.next_wakeup().is_some_and(|at| at <= host.now) {
        host.tick_at(host.now);
    }
}

#[test]
fn a_start_evicts_the_instance_used_least_recently_and_follows_once_it_is_gone() {
    let mut host = Host::new("lru:memory=256MB");
    let old = freed(&mut host, "a", 1);
    let _new = freed(&mut host, "b", 2);
    let waiter = host.assign("c", 3).waiting();
    assert_eq!(host.take(), [Command::DestroySlot { slot: old, reason: DestroyReason::MemoryPressure }]);
    settle(&mut host);
    assert_eq!(host.take(), [], "its memory is not released yet, and nothing more is given up for the same start");
    host.destroyed(old);
    settle(&mut host);
    let slot = host.one_create();
    host.created(slot);
    host.take();
    host.ready(slot);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(slot) }]);
    assert_eq!(host.totals().count(Counter::Evicted), 1);
    assert_eq!(host.totals().count(Counter::Retired), 0);
    assert_eq!(host.snapshot().live.peak_memory_mb, 256);
}

#[test]
fn a_burst_makes_room_for_all_its_starts_at_once() {
    let mut host = Host::new("lru:memory=512MB");
    let others = ["a", "b", "c", "d"].map(|key| freed(&mut host, key, 1));
    let mut evicted = Vec::new();
    for request in 2..5 {
        host.assign("e", request).waiting();
        evicted.extend(host.take());
    }
    let expected = others[..3].iter().map(|&slot| Command::DestroySlot { slot, reason: DestroyReason::MemoryPressure });
    assert_eq!(evicted, expected.collect::<Vec<_>>(), "one for each request, before the first is gone");
    for slot in &others[..3] {
        host.destroyed(*slot);
    }
    settle(&mut host);
    let creates = host.take();
    assert!(creates.len() == 3 && creates.iter().all(|command| matches!(command, Command::CreateSlot { .. })), "{creates:?}");
}

/// Wants a start for each request, and notes what it is asked and told.
#[derive(Clone, Debug, Default)]
struct Noting(Arc<Mutex<Vec<Noted>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Noted {
    Asked { starting: u32, hypothetical: bool },
    Started,
}

impl Policy for Noting {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(self.clone())
    }
}

impl FunctionPolicy for Noting {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        Nanos::MAX
    }

    fn start(&self, queue: &Queue) -> Start {
        let Queue { waiting, starting, hypothetical, .. } = *queue;
        self.0.lock().unwrap().push(Noted::Asked { starting, hypothetical });
        if waiting > starting { Start::Now } else { Start::Enough }
    }

    fn started(&self) {
        self.0.lock().unwrap().push(Noted::Started);
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        Vec::new()
    }
}

#[test]
fn a_policy_is_told_of_the_starts_that_are_made_and_which_questions_are_hypothetical() {
    let policy = Noting::default();
    let spec = PolicySpec { policy: Box::new(policy.clone()), ..PolicySpec::parse("lru:memory=128MB").unwrap() };
    let mut host = Host::with("fixed", |config| config.policy = spec);
    let asked = |starting, hypothetical| Noted::Asked { starting, hypothetical };
    let noted = || std::mem::take(&mut *policy.0.lock().unwrap());
    host.assign("f", 1).waiting();
    assert_eq!(noted(), [asked(0, false), Noted::Started, asked(1, false)]);
    host.assign("f", 2).waiting();
    assert_eq!(noted(), [asked(1, false)], "refused, and no other is thought of");
    host.assign("f", 3).waiting();
    assert_eq!(noted(), [asked(1, false), asked(2, true)], "refused, and so would be the next");
}

#[test]
fn room_that_is_being_made_for_other_reasons_is_waited_for() {
    let mut host = Host::new("lru:memory=256MB");
    let _kept = freed(&mut host, "a", 1);
    let bad = host.instance("b", 2);
    host.bad_idle(bad, "b", 2);
    host.take();
    host.assign("c", 3).waiting();
    assert_eq!(host.take(), [], "the bad instance's memory will do");
    host.destroyed(bad);
    settle(&mut host);
    host.one_create();
}

#[test]
fn room_that_a_failed_destroy_has_not_made_is_made_elsewhere() {
    let mut host = Host::new("lru:memory=256MB");
    let kept = freed(&mut host, "a", 1);
    let bad = host.instance("b", 2);
    host.bad_idle(bad, "b", 2);
    host.assign("c", 3).waiting();
    host.take();
    host.engine.handle_destroy_failed(host.now, bad).unwrap();
    settle(&mut host);
    assert_eq!(host.take(), [Command::DestroySlot { slot: kept, reason: DestroyReason::MemoryPressure }]);
}

#[test]
fn an_instance_used_again_is_as_recent_as_its_last_use() {
    let mut host = Host::new("lru:memory=256MB");
    let first = freed(&mut host, "a", 1);
    let second = freed(&mut host, "b", 2);
    assert_eq!(host.assign("a", 3), Assign::Warm(first));
    host.advance(10);
    host.idle(first, "a", 3);
    host.assign("c", 4).waiting();
    assert_eq!(host.take(), [Command::DestroySlot { slot: second, reason: DestroyReason::MemoryPressure }]);
}

#[test]
fn of_one_functions_instances_the_top_goes_and_the_others_take_over_its_worth() {
    let mut host = Host::new("lru:memory=384MB");
    let [a1, a2] = [host.instance("a", 1), host.instance("a", 2)];
    host.idle(a1, "a", 1);
    host.advance(10);
    let b = freed(&mut host, "b", 3);
    host.advance(10);
    host.idle(a2, "a", 2);
    // By last use: a1, b, a2. The least recent goes: a has one instance left, as good as a2, so that b is next.
    for (request, expected) in [(4, a2), (5, b), (6, a1)] {
        host.assign("c", request).waiting();
        assert_eq!(host.take(), [Command::DestroySlot { slot: expected, reason: DestroyReason::MemoryPressure }]);
        host.destroyed(expected);
        settle(&mut host);
        host.one_create();
    }
}

#[test]
fn greedy_dual_gives_up_what_is_cheap_to_start_for_its_size() {
    let mut host = Host::new("greedy_dual:memory=768MB");
    let small = freed(&mut host, "a", 1);
    host.assign_of("big", 2, 512).waiting();
    let big = host.one_create();
    host.created(big);
    host.ready(big);
    host.take();
    host.advance(10);
    host.idle(big, "big", 2);
    // The big one was used last, but holds four times the memory for the same start.
    assert_eq!(host.take(), []);
    host.assign_of("c", 3, 256).waiting();
    assert_eq!(host.take(), [Command::DestroySlot { slot: big, reason: DestroyReason::MemoryPressure }]);
    assert_eq!(host.assign("a", 4), Assign::Warm(small));
}

#[test]
fn busy_instances_stay_and_the_request_waits_for_the_first_that_becomes_free() {
    let mut host = Host::new("lru:memory=128MB");
    let busy = host.instance("a", 1);
    let waiter = host.assign("b", 2).waiting();
    assert_eq!(host.take(), []);
    host.idle(busy, "a", 1);
    settle(&mut host);
    assert_eq!(host.take(), [Command::DestroySlot { slot: busy, reason: DestroyReason::MemoryPressure }]);
    host.destroyed(busy);
    settle(&mut host);
    let slot = host.one_create();
    host.created(slot);
    host.take();
    host.ready(slot);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(slot) }]);
}

#[test]
fn an_instance_freed_for_its_own_function_is_not_given_up_for_another() {
    let mut host = Host::new("lru:memory=128MB");
    let slot = host.instance("a", 1);
    host.assign("b", 2).waiting();
    let own = host.assign("a", 3).waiting();
    host.idle(slot, "a", 1);
    settle(&mut host);
    assert_eq!(host.take(), [Command::Wake { waiter: own, result: Ok(slot) }]);
}

#[test]
fn a_large_start_is_not_passed_over_by_small_ones() {
    let mut host = Host::new("lru:memory=512MB");
    let slots = [1, 2, 3, 4].map(|request| host.instance("a", request));
    host.assign_of("big", 5, 512).waiting();
    host.assign("small", 6).waiting();
    for (request, slot) in (1..).zip(slots) {
        host.idle(slot, "a", request);
        settle(&mut host);
        assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::MemoryPressure }]);
        host.destroyed(slot);
        settle(&mut host);
    }
    let commands = host.take();
    assert!(matches!(commands[..], [Command::CreateSlot { memory_mb: 512, .. }]), "{commands:?}");
}

#[test]
fn whoever_gives_up_waiting_lets_the_next_in() {
    let mut host = Host::new("lru:memory=512MB");
    let [a, _b] = [host.instance("a", 1), host.instance("b", 2)];
    let big = host.assign_of("big", 3, 512).waiting();
    host.assign("c", 4).waiting();
    assert_eq!(host.take(), [], "there is room for c, but big came first");
    assert!(host.engine.handle_cancel(host.now, big));
    settle(&mut host);
    host.one_create();
    host.idle(a, "a", 1);
    settle(&mut host);
    assert_eq!(host.take(), []);
}

#[test]
fn a_deadline_ends_the_wait_for_room_too() {
    let mut host = Host::new("lru:memory=128MB");
    let _busy = host.instance("a", 1);
    let deadline = host.now + Nanos::from_secs(1);
    let first = host.assign_until("b", 2, deadline).waiting();
    let second = host.assign_until("c", 3, deadline).waiting();
    host.tick_at(deadline);
    settle(&mut host);
    let answered: Vec<_> = host
        .take()
        .into_iter()
        .map(|command| matches!(command, Command::Wake { waiter, .. } if waiter == first || waiter == second))
        .collect();
    assert_eq!(answered, [true, true]);
    assert_eq!(host.engine.next_wakeup(), None, "nobody waits for room any more");
}

#[test]
fn what_a_target_holds_is_never_given_up() {
    let mut host = Host::new("floor:instances=1,keep_alive=1h,memory=256MB");
    let floor = freed(&mut host, "a", 1);
    let busy = host.instance("b", 2);
    host.assign("c", 3).waiting();
    settle(&mut host);
    assert_eq!(host.take(), []);
    assert_eq!(host.assign("a", 4), Assign::Warm(floor));
    host.idle(busy, "b", 2);
    settle(&mut host);
    assert_eq!(host.take(), [], "b has its floor too");
}

#[test]
fn a_function_larger_than_the_limit_is_refused() {
    let host = Host::new("lru:memory=1GB");
    let refused = host.engine.function(&FunctionRef { key: "f", runtime: "", timeout_s: 0, memory_mb: 1025 });
    assert_eq!(refused, Err(EngineError::TooLarge { memory_mb: 1025, limit_mb: 1024, setting: "the policy's memory" }));
    assert!(refused.unwrap_err().to_string().contains("1025 MB exceeds the memory limit of 1024 MB"));
}

#[test]
fn a_cancelled_start_goes_to_a_function_that_waits_for_room() {
    let mut host = Host::new("lru:memory=256MB");
    let slot = host.instance("a", 1);
    host.assign("a", 2).waiting();
    let surplus = host.one_create();
    let waiter = host.assign("b", 3).waiting();
    host.idle(slot, "a", 1);
    host.take();
    host.created(surplus);
    assert_eq!(host.take(), [Command::Init { slot: surplus, function: host.function("b") }]);
    host.ready(surplus);
    assert_eq!(host.take(), [Command::Wake { waiter, result: Ok(surplus) }]);
    settle(&mut host);
    assert_eq!(host.take(), []);
}

#[test]
fn without_a_limit_nothing_is_given_up() {
    let mut play = Play::new("lru");
    for call in 0..100 {
        play.call(f64::from(call), &format!("f{call}"), 0.1);
    }
    play.until(200.0);
    assert_eq!((play.slots(), play.count(Counter::Evicted)), (100, 0));
}

#[test]
fn greedy_dual_needs_fewer_cold_starts_than_lru_where_sizes_differ_and_more_memory_means_fewer() {
    // Every second request is to one of eight small functions, the others to thirty large ones in turn.
    let cold_starts = |policy: &str| {
        let mut play = Play::new(policy);
        for call in 0..2_000_u32 {
            let (key, memory_mb) = if call.is_multiple_of(2) { (call / 2 % 8, MB) } else { (8 + call / 2 % 30, 4 * MB) };
            play.call_of(f64::from(call), &format!("f{key}"), 0.1, memory_mb);
        }
        play.until(2_100.0);
        assert_eq!(play.count(Counter::Idles), 2_000);
        play.count(Counter::ColdStarts)
    };
    let [greedy, lru] =
        ["greedy_dual", "lru"].map(|policy| ["2GB", "4GB", "16GB"].map(|memory| cold_starts(&format!("{policy}:memory={memory}"))));
    assert!(greedy[0] < lru[0] && greedy[1] <= lru[1], "{greedy:?} {lru:?}");
    assert!(greedy.is_sorted_by(|less, more| less > more), "{greedy:?}");
    assert_eq!([greedy[2], lru[2]], [38, 38], "room for all: each starts once");
}

/// Policies that keep, that let go, that start ahead of demand.
const POLICIES: [&str; 7] =
    ["lru", "greedy_dual", "fixed:keep_alive=1s", "knative", "break_even", "level_gap", "hybrid_histogram:bin=100ms"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn memory_stays_below_the_limit_and_everybody_is_served(
        calls in prop::collection::vec((0..2_000_u32, 0..6_u32, 1..800_u32), 1..80),
        policy in prop::sample::select(&POLICIES[..]),
        limit in 4..10_u32,
    ) {
        let mut calls = calls;
        calls.sort_unstable();
        let separator = if policy.contains(':') { ',' } else { ':' };
        let mut play = Play::new(&format!("{policy}{separator}memory={}MB", limit * MB));
        for &(at, function, executes) in &calls {
            // Sizes of one to four units.
            play.call_of(f64::from(at) / 100.0, &format!("f{function}"), f64::from(executes) / 1000.0, MB * (1 + function % 4));
        }
        play.until(2_000.0);
        let snapshot = play.host.snapshot();
        prop_assert!(snapshot.live.peak_memory_mb <= u64::from(limit * MB));
        prop_assert_eq!(snapshot.totals.count(Counter::Idles), calls.len() as u64);
        prop_assert_eq!(snapshot.live.waiting, 0);
    }
}
