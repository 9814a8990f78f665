//! Starts that go wrong: failures, a platform that throttles, clients that gave up.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Assign, Command, Counter, DestroyReason, Nanos, SlotId, StartFailure, WaiterId, WakeError};
use support::{Host, Waiting};

fn wakes(commands: &[Command]) -> Vec<(WaiterId, Result<SlotId, WakeError>)> {
    commands
        .iter()
        .filter_map(|command| if let Command::Wake { waiter, result } = *command { Some((waiter, result)) } else { None })
        .collect()
}

fn creates(commands: &[Command]) -> Vec<SlotId> {
    commands.iter().filter_map(|command| if let Command::CreateSlot { slot, .. } = *command { Some(slot) } else { None }).collect()
}

fn fails(host: &mut Host, slot: SlotId) {
    host.engine.handle_create_failed(host.now, slot, StartFailure::Refused, &mut host.out).unwrap();
}

fn throttled(host: &mut Host, slot: SlotId) {
    host.engine.handle_create_failed(host.now, slot, StartFailure::Throttled, &mut host.out).unwrap();
}

/// Assigns, fails at once with `error`, and returns how the request fared.
fn refused_at_once(host: &mut Host, request: u64) -> bool {
    let waiter = host.assign("f", request).waiting();
    wakes(&host.take()) == [(waiter, Err(WakeError::StartFailed))]
}

/// Brings a function's starts to fail twice, as often as the test host lets them, with one request
/// waiting.
fn broken(host: &mut Host) {
    host.assign("f", 0).waiting();
    for _ in 0..2 {
        let slot = host.one_create();
        fails(host, slot);
    }
    assert_eq!(wakes(&host.take()).len(), 1);
}

#[test]
fn everybody_who_waits_for_a_start_learns_that_starts_keep_failing() {
    // level_gap lets the others wait without starts of their own.
    let mut host = Host::new("level_gap");
    let waiters: Vec<_> = (0..40).map(|request| host.assign("f", request).waiting()).collect();
    let mut failed = Vec::new();
    let mut starts = creates(&host.take());
    while let Some(slot) = starts.pop() {
        fails(&mut host, slot);
        let commands = host.take();
        starts.extend(creates(&commands));
        failed.extend(wakes(&commands).into_iter().map(|(waiter, _)| waiter));
    }
    failed.sort();
    assert_eq!(failed, waiters);
    assert!(host.totals().count(Counter::StartsFailed) < 10);
}

#[test]
fn while_starts_keep_failing_requests_are_refused_at_once_and_starts_are_paced() {
    let mut host = Host::new("fixed");
    broken(&mut host);
    let began = host.now;
    let mut started = Vec::new();
    for request in 1..=1200 {
        host.advance(100);
        host.assign("f", request).waiting();
        let commands = host.take();
        if let [slot] = creates(&commands)[..] {
            started.push(host.now.since(began).as_secs_f64());
            fails(&mut host, slot);
        }
        host.tick_at(host.now);
        host.take();
        assert_eq!(host.snapshot().live.waiting, 0, "nobody waits for nothing");
    }
    assert_eq!(started, [1.0, 3.0, 7.0, 15.0, 31.0, 61.0, 91.0]);
}

#[test]
fn one_start_that_succeeds_ends_the_pacing() {
    let mut host = Host::new("fixed:keep_alive=0s");
    broken(&mut host);
    host.advance(1000);
    let waiter = host.assign("f", 1).waiting();
    let slot = host.one_create();
    assert!(refused_at_once(&mut host, 2), "one start at a time");
    host.created(slot);
    host.take();
    host.ready(slot);
    assert_eq!(wakes(&host.take()), [(waiter, Ok(slot))]);
    for request in 3..6 {
        host.assign("f", request).waiting();
        assert_eq!(creates(&host.take()).len(), 1);
    }
}

#[test]
fn a_request_may_wait_for_a_busy_instance_or_a_start_under_way_although_others_failed() {
    let mut host = Host::new("fixed");
    let busy = host.instance("f", 1);
    let first = host.assign("f", 2).waiting();
    let [a, b] = [host.one_create(), {
        host.assign("f", 3).waiting();
        host.one_create()
    }];
    fails(&mut host, a);
    let again = host.one_create();
    fails(&mut host, b);
    assert_eq!(wakes(&host.take()), [], "one start and one busy instance for two who wait");
    fails(&mut host, again);
    assert_eq!(wakes(&host.take()), [(first, Err(WakeError::StartFailed))]);
    host.idle(busy, "f", 1);
    assert_eq!(wakes(&host.take()).len(), 1);
}

#[test]
fn targets_do_not_start_what_keeps_failing_any_faster() {
    let mut host = Host::new("floor:instances=3,keep_alive=1s");
    host.assign("f", 0).waiting();
    let mut starts = creates(&host.take());
    let mut issued = starts.len();
    for _ in 0..600 {
        for slot in std::mem::take(&mut starts) {
            fails(&mut host, slot);
        }
        host.advance(100);
        host.tick_at(host.now);
        starts = creates(&host.take());
        issued += starts.len();
    }
    assert!(issued <= 10, "{issued} starts in a minute");
}

#[test]
fn thousands_who_wait_are_refused_in_steps() {
    let mut host = Host::new("level_gap");
    for request in 0..5000 {
        host.assign("f", request).waiting();
    }
    let mut starts = creates(&host.take());
    let (mut refused, mut calls) = (0, 0);
    while refused < 5000 {
        if let Some(slot) = starts.pop() {
            fails(&mut host, slot);
        } else {
            host.tick_at(host.engine.next_wakeup().unwrap());
        }
        let commands = host.take();
        starts.extend(creates(&commands));
        assert!(wakes(&commands).len() <= 8 * 256 + 256);
        refused += wakes(&commands).len();
        calls += 1;
    }
    assert!(calls < 100, "{calls} calls");
}

/// Tries until it is served, a deadline's length and a pause after each error; returns how many
/// tries that took.
fn tries_of_an_impatient_client(policy: &str, pause: u64) -> u64 {
    let [create, init, deadline] = [1500, 300, 1000].map(Nanos::from_millis);
    let mut host = Host::new(policy);
    for attempt in 1..10 {
        let begun = host.now;
        if let Assign::Warm(_) = host.assign_until("f", attempt, begun + deadline) {
            return attempt;
        }
        let slot = host.one_create();
        host.tick_at(begun + deadline);
        assert_eq!(wakes(&host.take()).len(), 1);
        host.now = begun + create;
        host.engine.handle_slot_created(host.now, slot, create, &mut host.out).unwrap();
        if let [Command::Init { slot, .. }] = host.take()[..] {
            host.now = host.now + init;
            host.engine.handle_instance_ready(host.now, slot, init, &mut host.out).unwrap();
        }
        host.tick_at(begun + deadline + Nanos::from_millis(pause));
        host.take();
    }
    panic!("{policy}: never served when it tries again after {pause} ms");
}

#[test]
fn a_client_less_patient_than_a_start_is_served_by_its_third_try() {
    for policy in ["fixed", "fixed:keep_alive=0s", "break_even", "level_gap", "level_gap:lambda=contest"] {
        for pause in [1_000, 2_000, 10_000, 50_000, 600_000] {
            assert!(tries_of_an_impatient_client(policy, pause) <= 3, "{policy}, {pause} ms");
        }
    }
}

#[test]
fn clients_that_vanish_together_do_not_throw_their_starts_away() {
    let mut host = Host::new("fixed");
    let waiters: Vec<_> = (0..10).map(|request| host.assign("f", request).waiting()).collect();
    let starts = creates(&host.take());
    for waiter in waiters {
        assert!(host.engine.handle_cancel(host.now, waiter));
    }
    for &slot in &starts {
        host.created(slot);
    }
    let finished = host.take().iter().filter(|command| matches!(command, Command::Init { .. })).count();
    assert_eq!((starts.len(), finished), (10, 9), "the first request alone was asked for once only");
}

#[test]
fn a_start_for_one_client_that_vanished_once_is_given_back() {
    let mut host = Host::new("fixed");
    for request in 0..3 {
        let waiter = host.assign("f", request).waiting();
        let slot = host.one_create();
        assert!(host.engine.handle_cancel(host.now, waiter));
        host.created(slot);
        assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::Surplus }]);
        host.advance(3_601_000);
    }
}

#[test]
fn a_throttling_platform_is_asked_less_and_less_often_whatever_waits() {
    let mut host = Host::new("fixed");
    for request in 0..30 {
        host.assign("f", request).waiting();
        host.assign("g", 100 + request).waiting();
    }
    let mut issued = creates(&host.take());
    let mut times = Vec::new();
    while host.now < Nanos::from_secs(120) {
        for slot in std::mem::take(&mut issued) {
            throttled(&mut host, slot);
        }
        host.tick_at(host.engine.next_wakeup().unwrap().max(host.now));
        issued = creates(&host.take());
        times.extend(issued.iter().map(|_| host.now.as_secs_f64()));
    }
    assert!((11..=14).contains(&times.len()), "{times:?}");
    assert_eq!(host.totals().count(Counter::StartsFailed), 0);
    assert_eq!(host.snapshot().live.waiting, 60, "a throttle is nobody's fault: they wait until their deadlines");
}

/// Has f ask every millisecond and one request wait for g, on a platform that throttles all but
/// five starts a second, with ticks as late as a host's; returns how many starts each of them got
/// made.
fn made_for_each(init_throttled: bool) -> [usize; 2] {
    let mut host = Host::new("fixed");
    let (f, mut made, mut next_made) = (host.function("f"), [0, 0], Nanos::ZERO);
    for request in 0..30_000 {
        host.assign("f", request).waiting();
        if request == 100 {
            host.assign("g", 100_000).waiting();
        }
        host.advance(1);
        if request % 20 == 0 {
            host.tick_at(host.now);
        }
        for command in host.take() {
            match command {
                Command::CreateSlot { slot, .. } if init_throttled => host.created(slot),
                Command::CreateSlot { slot, .. } if host.now < next_made => throttled(&mut host, slot),
                Command::CreateSlot { slot, function, .. } => {
                    next_made = host.now + Nanos::from_millis(200);
                    made[usize::from(function != f)] += 1;
                    host.created(slot);
                }
                Command::Init { slot, .. } if init_throttled => {
                    made[0] += 1;
                    host.engine.handle_init_failed(host.now, slot, StartFailure::Throttled, &mut host.out).unwrap();
                }
                Command::Init { slot, .. } => host.ready(slot),
                Command::DestroySlot { slot, .. } => host.destroyed(slot),
                Command::Wake { .. } => {}
            }
        }
    }
    made
}

#[test]
fn functions_take_turns_while_the_platform_throttles() {
    let [f, g] = made_for_each(false);
    assert_eq!(g, 1);
    assert!(f > 60, "{f} in half a minute");
}

#[test]
fn a_platform_that_throttles_inits_is_asked_less_and_less_often_too() {
    let [inits, _] = made_for_each(true);
    assert!(inits < 40, "{inits} in half a minute");
}

#[test]
fn a_throttle_of_long_ago_is_forgotten() {
    let mut host = Host::new("fixed");
    for request in 0..8 {
        host.assign_until("f", request, host.now + Nanos::from_secs(1)).waiting();
        for slot in creates(&host.take()) {
            throttled(&mut host, slot);
        }
        host.tick_at(host.now + Nanos::from_secs(1));
    }
    host.now = host.now + Nanos::from_secs(3600);
    for request in 100..110 {
        host.assign("f", request).waiting();
    }
    assert_eq!(creates(&host.take()).len(), 10);
}

#[test]
fn a_slot_that_one_function_no_longer_needs_goes_to_one_whose_start_is_throttled() {
    let mut host = Host::new("fixed");
    let gone = host.assign("h", 0).waiting();
    let spare = host.one_create();
    host.assign("f", 1).waiting();
    let slot = host.one_create();
    throttled(&mut host, slot);
    host.assign("g", 2).waiting();
    assert!(host.engine.handle_cancel(host.now, gone));
    host.created(spare);
    assert!(matches!(host.take()[..], [Command::Init { slot, .. }] if slot == spare));
}

#[test]
fn a_request_bound_to_its_own_start_gets_another_one_after_a_throttle() {
    let mut host = Host::new("fixed:handoff=none");
    let waiters: Vec<_> = (0..3).map(|request| host.assign("f", request).waiting()).collect();
    let mut starts = creates(&host.take());
    for slot in std::mem::take(&mut starts) {
        throttled(&mut host, slot);
    }
    let mut served = Vec::new();
    while served.len() < 3 {
        host.tick_at(host.engine.next_wakeup().unwrap().max(host.now));
        let commands = host.take();
        for slot in creates(&commands) {
            host.created(slot);
            host.ready(slot);
        }
        served.extend(wakes(&host.take()).into_iter().map(|(waiter, result)| (waiter, result.is_ok())));
    }
    assert_eq!(served, waiters.iter().map(|&waiter| (waiter, true)).collect::<Vec<_>>());
}

#[test]
fn a_request_bound_to_its_own_start_gets_it_once_the_start_before_it_has_shown_that_starts_succeed() {
    let mut host = Host::new("fixed:handoff=none");
    broken(&mut host);
    host.advance(1000);
    host.assign("f", 1).waiting();
    let probe = host.one_create();
    host.advance(60_000);
    host.assign("f", 2).waiting();
    assert_eq!(host.take(), [], "one start at a time");
    host.created(probe);
    host.take();
    host.ready(probe);
    assert_eq!(creates(&host.take()).len(), 1);
}

#[test]
fn once_a_throttle_is_over_everybody_gets_a_start_within_seconds() {
    let mut host = Host::new("fixed");
    for request in 0..100 {
        host.assign("f", request).waiting();
    }
    for slot in creates(&host.take()) {
        throttled(&mut host, slot);
    }
    let mut made = 0;
    while made < 100 {
        host.tick_at(host.engine.next_wakeup().unwrap().max(host.now));
        for slot in creates(&host.take()) {
            host.created(slot);
            made += 1;
        }
    }
    assert!(host.now < Nanos::from_secs(2), "{:?}", host.now);
}
