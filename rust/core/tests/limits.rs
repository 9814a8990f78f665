//! Limits on all slots together: who goes ahead of whom, what one function may have of them, how fast starts follow each other.
#![cfg(not(pilotlight_loom))]

#[path = "support/play.rs"]
mod play;
mod support;

use std::num::NonZeroU32;

use pilotlight_core::{
    Bound, Command, Counter, DestroyReason, EngineConfig, EngineError, FunctionRef, Idle, Nanos, Shortage, SlotId, WakeError,
};
use play::Play;
use support::{Host, Waiting, tag};

fn settle(host: &mut Host) {
    while host.engine.next_wakeup().is_some_and(|at| at <= host.now) {
        host.tick_at(host.now);
    }
}

fn creates(host: &mut Host) -> Vec<u32> {
    let memory = |command| if let Command::CreateSlot { memory_mb, .. } = command { Some(memory_mb) } else { None };
    host.take().into_iter().filter_map(memory).collect()
}

/// Keys of the functions that starts were issued for, in order.
fn started(host: &mut Host) -> Vec<String> {
    let key = |command| match command {
        Command::CreateSlot { function, .. } => host.engine.spec(function).map(|spec| spec.key.to_string()),
        _ => None,
    };
    std::mem::take(&mut host.out).into_iter().filter_map(key).collect()
}

/// Room for eight units: five instances of "old" are busy, a function of five units waits, and three instances of "small" are busy that
/// went ahead of it.
fn overtaken() -> (Host, [SlotId; 5], [SlotId; 3]) {
    let mut host = Host::new("lru:memory=1GB");
    let old = [0, 1, 2, 3, 4].map(|request| host.instance("old", request));
    host.assign_of("big", 10, 5 * support::MB).waiting();
    assert_eq!(host.take(), []);
    let small = [20, 21, 22].map(|request| host.instance("small", request));
    (host, old, small)
}

#[test]
fn small_starts_go_ahead_of_a_large_one_that_could_not_have_their_room() {
    for policy in ["lru", "fixed:keep_alive=1s", "break_even", "level_gap", "greedy_dual"] {
        let separator = if policy.contains(':') { ',' } else { ':' };
        let mut play = Play::new(&format!("{policy}{separator}memory=1GB"));
        play.call_of(0.0, "busy", 400.0, 800);
        play.call_of(1.0, "waiting", 1.0, 800);
        for second in 2..302 {
            play.call_of(f64::from(second), "small", 0.3, 100);
        }
        play.until(310.0);
        assert_eq!(play.count(Counter::Idles), 300, "{policy}: all small ones are served while the large one waits");
        play.until(500.0);
        assert_eq!(play.count(Counter::Idles), 302, "{policy}: and the large one when the other is over");
        assert!(play.totals().wait_s(pilotlight_core::WaitCause::ColdStart) < 500.0, "{policy}: it did not wait for them");
    }
}

#[test]
fn what_went_ahead_leaves_the_first_its_room_beside_it() {
    let (mut host, ..) = overtaken();
    assert_eq!(host.snapshot().live.peak_memory_mb, 1024);
    let mut host_of_less = Host::new("lru:memory=1GB");
    for request in 0..4 {
        host_of_less.instance("old", request);
    }
    host_of_less.assign_of("big", 10, 6 * support::MB).waiting();
    for request in 20..23 {
        host_of_less.assign("small", request).waiting();
    }
    assert_eq!(creates(&mut host_of_less), [support::MB; 2], "a third would fit, but not beside the first");
    host.assign("small", 23).waiting();
    assert_eq!(creates(&mut host), []);
}

#[test]
fn what_went_ahead_goes_when_its_request_ends_once_it_alone_is_in_the_way() {
    let (mut host, old, small) = overtaken();
    let own = host.assign("small", 30).waiting();
    for request in [0, 1] {
        host.idle(old[request], "old", request as u64);
        settle(&mut host);
        assert_eq!(host.take(), [Command::DestroySlot { slot: old[request], reason: DestroyReason::MemoryPressure }]);
        host.destroyed(old[request]);
        settle(&mut host);
        assert_eq!(host.take(), [], "the room is the first's, not small's");
    }
    // Without small's instances the first would have its room now.
    for (place, request) in (20..23).enumerate() {
        assert_eq!(host.idle(small[place], "small", request), Idle::Ended);
        settle(&mut host);
        assert_eq!(host.take(), [Command::DestroySlot { slot: small[place], reason: DestroyReason::MemoryPressure }], "not handed on");
        host.destroyed(small[place]);
        settle(&mut host);
    }
    assert_eq!(creates(&mut host), [5 * support::MB], "after one execution of what went ahead");
    assert_eq!(host.totals().count(Counter::Evicted), 5);
    // Small's own request has its turn next.
    host.idle(old[2], "old", 2);
    settle(&mut host);
    host.take();
    host.destroyed(old[2]);
    settle(&mut host);
    let again = host.one_create();
    host.created(again);
    host.take();
    host.ready(again);
    assert_eq!(host.take(), [Command::Wake { waiter: own, result: Ok(again) }]);
}

#[test]
fn nothing_goes_ahead_when_what_is_leaving_suffices_for_the_first_without_it() {
    let mut host = Host::new("lru:memory=1GB");
    let old = [0, 1, 2, 3, 4, 5].map(|request| host.instance("old", request));
    host.assign_of("big", 10, 6 * support::MB).waiting();
    for (request, &slot) in (0..4).zip(&old) {
        host.idle(slot, "old", request);
    }
    settle(&mut host);
    assert_eq!(host.take().len(), 4, "two are busy, four are leaving: six units for the first");
    host.assign("small", 20).waiting();
    assert_eq!(host.take(), [], "two are free, but the first needs them beside the four");
}

#[test]
fn room_that_is_left_beside_the_first_goes_to_the_smallest_without_a_new_request() {
    let mut host = Host::new("lru:memory=1GB");
    host.assign_of("busy", 0, 640).waiting();
    host.take();
    let filling = [1, 2, 3].map(|request| host.instance("filling", request));
    host.assign_of("big", 10, 640).waiting();
    host.assign("small", 20).waiting();
    assert_eq!(host.take(), []);
    host.idle(filling[0], "filling", 1);
    settle(&mut host);
    assert_eq!(host.take(), [Command::DestroySlot { slot: filling[0], reason: DestroyReason::MemoryPressure }]);
    host.destroyed(filling[0]);
    settle(&mut host);
    assert_eq!(creates(&mut host), [support::MB]);
}

type Limit = fn(&mut EngineConfig);

fn limited(adjust: impl FnOnce(&mut EngineConfig)) -> Host {
    Host::with("fixed", adjust)
}

#[test]
fn forty_thousand_requests_at_once_start_as_many_slots_as_there_may_be() {
    for (functions, slots) in [(40_000, 1000), (400, 1000), (1, 801)] {
        let mut host = limited(|config| {
            config.max_slots = Some(1000);
            config.max_waiting = 400_000;
        });
        for request in 0..40_000 {
            host.assign(&format!("f{}", request % functions), request).waiting();
        }
        settle(&mut host);
        assert_eq!(host.engine.live_slots(), slots, "{functions} functions");
        assert_eq!(host.snapshot().live.waiting, 40_000);
    }
}

#[test]
fn requests_beyond_the_limit_on_slots_wait_for_those_that_become_free() {
    let mut play = Play::with("fixed:keep_alive=1h", |config| config.max_slots = Some(3));
    for request in 0..60 {
        play.call(0.0, &format!("f{}", request % 6), 0.5);
    }
    play.until(100.0);
    assert_eq!(play.count(Counter::Idles), 60);
    assert_eq!(play.host.snapshot().live.peak_slots, 3);
}

#[test]
fn of_two_limits_on_memory_the_smaller_holds_and_is_named() {
    let refused = |policy: &str, max_memory_mb| {
        let host = Host::with(policy, |config| config.max_memory_mb = max_memory_mb);
        host.engine.function(&FunctionRef { key: "f", runtime: "", timeout_s: 0, memory_mb: 2049 }).unwrap_err()
    };
    assert!(refused("lru:memory=1GB", Some(2048)).to_string().ends_with("of 1024 MB for all slots (raise the policy's memory)"));
    assert!(refused("lru:memory=2GB", Some(1024)).to_string().ends_with("of 1024 MB for all slots (raise max_memory)"));
    assert!(refused("lru", Some(2048)).to_string().ends_with("of 2048 MB for all slots (raise max_memory)"));
}

#[test]
fn a_function_that_hangs_leaves_places_in_the_queue_to_others() {
    let mut host = limited(|config| config.max_waiting = 100);
    let hangs = host.function("hangs");
    let waits = (0..100).take_while(|&request| host.engine.handle_assign(host.now, hangs, tag(request), Nanos::MAX, &mut host.out).is_ok());
    assert_eq!(waits.count(), 81);
    let refused = host.engine.handle_assign(host.now, hangs, tag(100), Nanos::MAX, &mut host.out).unwrap_err();
    assert_eq!(refused, EngineError::TooManyWaitingOfFunction { waiting: 81, limit: 100 });
    assert!(refused.to_string().contains("81") && refused.to_string().ends_with("(raise max_waiting)"), "{refused}");
    // Whoever else comes is served, and a second that hangs leaves something too.
    for request in 200..216 {
        host.assign("hangs, too", request).waiting();
    }
    host.assign("works", 300).waiting();
    assert_eq!(host.snapshot().live.waiting, 98);
}

#[test]
fn a_function_that_hangs_leaves_slots_and_memory_to_others() {
    for limit in [|config: &mut EngineConfig| config.max_slots = Some(10), |config: &mut EngineConfig| config.max_memory_mb = Some(1280)] {
        let mut host = limited(limit);
        for request in 0..100 {
            host.assign("hangs", request).waiting();
        }
        settle(&mut host);
        assert_eq!(creates(&mut host).len(), 9);
        host.assign("works", 200).waiting();
        assert_eq!(started(&mut host), ["works"], "it has no queue to stand in");
        // What is over its share looks again by itself.
        assert!(host.engine.next_wakeup().is_some());
    }
}

#[test]
fn starts_over_the_rate_are_delayed_and_none_is_lost() {
    let mut host = limited(|config| config.max_starts_per_second = NonZeroU32::new(4));
    for request in 0..10 {
        host.assign("f", request).waiting();
    }
    let mut issued = vec![(0, creates(&mut host).len())];
    while let Some(at) = host.engine.next_wakeup().filter(|&at| at < Nanos::from_secs(60)) {
        host.tick_at(at);
        let count = creates(&mut host).len();
        if count > 0 {
            issued.push((at.0 / 1_000_000, count));
        }
    }
    assert_eq!(issued, [(0, 4), (250, 1), (500, 1), (750, 1), (1000, 1), (1250, 1), (1500, 1)]);
}

#[test]
fn functions_take_turns_at_starts_and_at_room() {
    let mut host = limited(|config| config.max_starts_per_second = NonZeroU32::new(1));
    for request in 0..5 {
        host.assign("many", request).waiting();
    }
    host.assign("few", 10).waiting();
    let mut order = started(&mut host);
    while order.len() < 6 {
        let at = host.engine.next_wakeup().unwrap();
        host.tick_at(at);
        order.extend(started(&mut host));
    }
    assert_eq!(order, ["many", "many", "few", "many", "many", "many"]);
}

#[test]
fn a_request_whose_start_got_nothing_by_its_deadline_is_told_which_limit_it_was() {
    let cases: [(Limit, Shortage); 3] = [
        (|config| config.max_slots = Some(1), Shortage { bound: Bound::Slots, limit: 1, setting: "max_slots" }),
        (|config| config.max_memory_mb = Some(200), Shortage { bound: Bound::Memory, limit: 200, setting: "max_memory" }),
        (
            |config| config.max_starts_per_second = NonZeroU32::new(1),
            Shortage { bound: Bound::Starts, limit: 1, setting: "max_starts_per_second" },
        ),
    ];
    for (limit, shortage) in cases {
        let mut host = limited(limit);
        host.assign("f", 1).waiting();
        let waiter = host.assign_until("g", 2, Nanos::from_millis(500)).waiting();
        host.take();
        host.tick_at(Nanos::from_millis(500));
        assert_eq!(host.take(), [Command::Wake { waiter, result: Err(WakeError::NoRoom(shortage)) }]);
        assert_eq!(host.totals().count(Counter::Expired), 1);
        let text = WakeError::NoRoom(shortage).to_string();
        assert!(text.contains(&shortage.limit.to_string()) && text.contains(shortage.setting), "{text}");
    }
}
