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
fn a_replacement_that_does_well_ends_the_pacing() {
    let mut host = Host::new("fixed");
    let mut request = 0;
    for _ in 0..10 {
        let mut slot = host.instance("f", request);
        end(&mut host, slot, request, Ending::Good);
        // Dead from now on, and no other instance to compare it with.
        for _ in 0..3 {
            request += 1;
            let Assign::Warm(warm) = host.assign("f", request) else { panic!("it is free") };
            slot = warm;
            end(&mut host, slot, request, Ending::Failed);
        }
        assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::Failing }]);
        host.destroyed(slot);
        request += 1;
    }
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
fn without_a_timeout_or_a_factor_there_is_no_lease_but_who_is_busy_too_long_is_seen() {
    let mut host = Host::new("fixed");
    host.instance("f", 1);
    host.advance(61_000);
    let live = host.snapshot().live;
    assert_eq!((live.longest_busy, live.past_timeout), (Nanos::from_secs(61), 1));
    assert_eq!(host.engine.next_wakeup(), None);
}
