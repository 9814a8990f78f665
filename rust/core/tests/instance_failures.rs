//! Instances that go wrong: they fail request after request, or their Idle never comes.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Account, Assign, Command, Counter, DestroyReason, Ending, Idle, Nanos, SlotId};
use support::{Host, Waiting, tag};

fn creates(commands: &[Command]) -> Vec<SlotId> {
    commands.iter().filter_map(|command| if let Command::CreateSlot { slot, .. } = *command { Some(slot) } else { None }).collect()
}

fn end(host: &mut Host, slot: SlotId, request: u64, ending: Ending) {
    assert_eq!(host.engine.handle_idle(host.now, slot, "f", tag(request), ending, &mut host.out), Idle::Ended);
}

/// Two free instances, the first of which is on top of the stack.
fn two_free(host: &mut Host) -> [SlotId; 2] {
    let [dead, well] = [host.instance("f", 1), host.instance("f", 2)];
    end(host, well, 2, Ending::Good);
    end(host, dead, 1, Ending::Good);
    [dead, well]
}

#[test]
fn an_instance_that_fails_three_times_in_a_row_beside_one_that_does_not_is_replaced() {
    let mut host = Host::new("fixed");
    let [dead, well] = two_free(&mut host);
    for request in 0..3 {
        assert_eq!(host.assign("f", request), Assign::Warm(dead));
        assert_eq!(host.take(), []);
        end(&mut host, dead, request, Ending::Failed);
    }
    assert_eq!(host.take(), [Command::DestroySlot { slot: dead, reason: DestroyReason::Failing }]);
    assert_eq!(host.assign("f", 3), Assign::Warm(well));
    assert_eq!(host.totals().count(Counter::Replaced), 1);
}

#[test]
fn failures_with_a_success_between_them_replace_nothing() {
    let mut host = Host::new("fixed");
    let [instance, _] = two_free(&mut host);
    for request in 0..30 {
        assert_eq!(host.assign("f", request), Assign::Warm(instance));
        end(&mut host, instance, request, if request % 3 == 2 { Ending::Good } else { Ending::Failed });
    }
    assert_eq!(host.take(), []);
}

#[test]
fn instances_that_a_platform_restart_took_are_all_replaced_after_three_failures_each() {
    let mut host = Host::new("fixed");
    let dead: Vec<_> = (0..5).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in dead.iter().enumerate() {
        end(&mut host, slot, request as u64, Ending::Good);
    }
    let mut failed = 0;
    while let Assign::Warm(slot) = host.assign("f", 100 + failed) {
        end(&mut host, slot, 100 + failed, Ending::Failed);
        failed += 1;
    }
    assert_eq!(failed, 15);
}

#[test]
fn a_function_that_always_fails_does_not_start_anew_for_every_three_requests() {
    let mut host = Host::new("fixed");
    let mut slot = host.instance("f", 0);
    end(&mut host, slot, 0, Ending::Failed);
    for request in 1..1200 {
        host.advance(100);
        if let Assign::Waiting(_) = host.assign("f", request) {
            slot = host
                .take()
                .iter()
                .find_map(|command| if let Command::CreateSlot { slot, .. } = command { Some(*slot) } else { None })
                .unwrap();
            host.created(slot);
            host.ready(slot);
        }
        host.take();
        end(&mut host, slot, request, Ending::Failed);
    }
    let replaced = host.totals().count(Counter::Replaced);
    assert!((2..=8).contains(&replaced), "{replaced} in two minutes");
}

#[test]
fn a_lone_instance_that_dies_now_and_then_is_replaced_each_time() {
    let mut host = Host::new("fixed:keep_alive=1h");
    for death in 0..10 {
        let mut slot = host.instance("f", 10 * death);
        end(&mut host, slot, 10 * death, Ending::Good);
        for request in 10 * death + 1..10 * death + 4 {
            let Assign::Warm(warm) = host.assign("f", request) else { panic!("it is free") };
            slot = warm;
            end(&mut host, slot, request, Ending::Failed);
        }
        assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::Failing }]);
        host.destroyed(slot);
        host.advance(60_000);
    }
}

/// Runs so many instances at 100 requests a second for a minute, a share of which fails at random;
/// returns how many are replaced.
fn replaced(instances: u64, failing_percent: u64) -> u64 {
    let mut host = Host::new("fixed:keep_alive=1h");
    let mut busy: std::collections::VecDeque<_> = (0..instances).map(|request| (host.instance("f", request), request)).collect();
    let mut random = 1_u64;
    for request in instances..6_000 {
        host.advance(10);
        let (slot, ended) = busy.pop_front().unwrap();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let failed = (random >> 33) % 100 < failing_percent;
        end(&mut host, slot, ended, if failed { Ending::Failed } else { Ending::Good });
        let next = match host.assign("f", request) {
            Assign::Warm(slot) => slot,
            Assign::Waiting(_) => {
                let commands = host.take();
                let [slot] = creates(&commands)[..] else { panic!("{commands:?}") };
                host.created(slot);
                host.ready(slot);
                slot
            }
        };
        host.take();
        busy.push_back((next, request));
    }
    host.totals().count(Counter::Replaced)
}

#[test]
fn a_function_whose_requests_fail_at_random_keeps_its_instances() {
    for (instances, percent, most) in [(1, 50, 8), (1, 90, 8), (10, 10, 6), (10, 50, 30), (10, 90, 30)] {
        let replaced = replaced(instances, percent);
        assert!(replaced <= most, "{replaced} of {instances} at {percent} %");
    }
}

#[test]
fn many_instances_that_all_died_at_once_are_replaced_within_a_minute() {
    let mut host = Host::new("fixed:keep_alive=1h");
    let dead: Vec<_> = (0..50).map(|request| (host.instance("f", request), request)).collect();
    let (mut alive, mut busy) = (std::collections::HashSet::new(), dead);
    let mut request = 100;
    while alive.len() < 50 && host.now < Nanos::from_secs(60) {
        host.advance(100);
        for (slot, ended) in std::mem::take(&mut busy) {
            end(&mut host, slot, ended, if alive.contains(&slot) { Ending::Good } else { Ending::Failed });
        }
        for _ in 0..50 {
            request += 1;
            let slot = match host.assign("f", request) {
                Assign::Warm(slot) => slot,
                Assign::Waiting(_) => {
                    let commands = host.take();
                    let Some(&slot) = creates(&commands).first() else { continue };
                    host.created(slot);
                    host.ready(slot);
                    alive.insert(slot);
                    slot
                }
            };
            busy.push((slot, request));
        }
        host.take();
    }
    assert_eq!(alive.len(), 50, "at {:?}", host.now);
}

fn leased(timeouts: f64) -> Host {
    Host::with("fixed", |config| config.lease_factor = Some(timeouts))
}

#[test]
fn a_busy_instance_without_an_idle_is_destroyed_after_its_lease_and_not_handed_out_again() {
    // The test functions' timeout is 60 s.
    let mut host = leased(2.0);
    let slot = host.instance("f", 1);
    let waiter = host.assign("f", 2).waiting();
    host.take();
    while host.now <= Nanos::from_secs(125) {
        host.tick_at(host.engine.next_wakeup().unwrap());
        if let [destroy, ..] = host.take()[..] {
            assert_eq!(destroy, Command::DestroySlot { slot, reason: DestroyReason::LeaseExpired });
            break;
        }
    }
    assert!((Nanos::from_secs(120)..=Nanos::from_secs(122)).contains(&host.now), "{:?}", host.now);
    assert_eq!(host.engine.handle_idle(host.now, slot, "f", tag(1), Ending::Good, &mut host.out), Idle::Duplicate);
    assert!(host.engine.handle_cancel(host.now, waiter));
    let totals = host.totals();
    assert_eq!((totals.count(Counter::LeasesExpired), totals.count(Counter::Idles), totals.count(Counter::IdleDuplicates)), (1, 0, 1));
    assert_eq!(host.snapshot().live.slots[Account::Busy as usize], 0);
}

#[test]
fn those_who_wait_for_an_instance_whose_lease_expires_get_a_start() {
    let mut host = Host::with("level_gap", |config| config.lease_factor = Some(1.0));
    host.instance("f", 1);
    let mut now = host.now;
    host.assign("f", 2).waiting();
    let mut started = creates(&host.take()).len();
    while host.totals().count(Counter::LeasesExpired) == 0 {
        now = host.engine.next_wakeup().unwrap().max(now);
        host.tick_at(now);
        started += creates(&host.take()).len();
    }
    assert!(started >= 1);
}

#[test]
fn an_instance_started_ahead_of_demand_has_a_lease_too() {
    let mut host = Host::with("floor:instances=1,keep_alive=1s", |config| config.lease_factor = Some(1.0));
    let waiter = host.assign("f", 1).waiting();
    let [slot] = creates(&host.take())[..] else { panic!("one start") };
    assert!(host.engine.handle_cancel(host.now, waiter));
    host.engine.handle_create_failed(host.now, slot, pilotlight_core::StartFailure::Refused, &mut host.out).unwrap();
    while host.totals().count(Counter::LeasesExpired) == 0 {
        host.tick_at(host.engine.next_wakeup().unwrap().max(host.now));
        for command in host.take() {
            match command {
                Command::CreateSlot { slot, .. } => host.created(slot),
                Command::Init { slot, .. } => {
                    host.ready(slot);
                    if host.totals().count(Counter::WarmStarts) == 0 {
                        assert!(matches!(host.assign("f", 2), Assign::Warm(_)));
                    }
                }
                _ => {}
            }
            assert!(host.now < Nanos::from_secs(100), "no lease");
        }
    }
}

#[test]
fn without_a_timeout_or_a_factor_there_is_no_lease_but_who_is_busy_too_long_is_seen() {
    let mut host = Host::new("fixed");
    host.instance("f", 1);
    host.advance(61_000);
    let live = host.snapshot().live;
    assert_eq!((live.longest_busy, live.past_timeout), (Nanos::from_secs(61), 1));
    assert_eq!(host.engine.next_wakeup(), None);
}
