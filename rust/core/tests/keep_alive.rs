//! Free instances go when their time is over: when, which and how many.
#![cfg(not(pilotlight_loom))]

mod support;

use pilotlight_core::{Account, Assign, Command, DestroyReason, Nanos};
use support::Host;

#[test]
fn keep_alive_ends_exactly_when_it_is_due() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slot = host.instance("f", 1);
    host.idle(slot, "f", 1);
    let due = host.now + Nanos::from_secs(2);
    assert_eq!(host.engine.next_wakeup(), Some(due));
    host.tick_at(Nanos(due.0 - 1));
    assert_eq!(host.take(), []);
    host.tick_at(due);
    assert_eq!(host.take(), [Command::DestroySlot { slot, reason: DestroyReason::KeepAliveOver }]);
    host.destroyed(slot);
    assert_eq!(host.totals().slot_ns[Account::Idle as usize], 2_000_000_000);
    assert_eq!(host.engine.live_slots(), 0);
}

#[test]
fn as_many_instances_go_as_are_overdue_and_the_rest_keep_their_time() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slots: Vec<_> = (0..3).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.advance(500);
    }
    host.take();
    let first_due = host.engine.next_wakeup().unwrap();
    for step in 0..3_u64 {
        let due = first_due + Nanos::from_millis(500 * step);
        assert_eq!(host.engine.next_wakeup(), Some(due));
        host.tick_at(due);
        assert_eq!(host.take().len(), 1, "one instance is overdue at step {step}");
    }
    let idle = host.totals().slot_ns[Account::Idle as usize];
    assert_eq!(idle, 3 * 2_000_000_000, "which instance goes makes no difference to the account");
}

#[test]
fn the_instance_freed_last_stays_longest_whoever_goes() {
    let mut host = Host::new("fixed:keep_alive=2s");
    let slots: Vec<_> = (0..4).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.advance(100);
    }
    let first_due = host.engine.next_wakeup().unwrap();
    host.tick_at(first_due);
    let Assign::Warm(taken) = host.assign("f", 9) else { panic!("three are free") };
    assert_ne!(taken, slots[3], "the one on top was retired");
    host.take();
    // The request took the window that began last; the two before it are still due at their own times.
    for step in 1..3 {
        assert_eq!(host.engine.next_wakeup(), Some(first_due + Nanos::from_millis(100 * step)));
        host.tick_at(host.engine.next_wakeup().unwrap());
        assert_eq!(host.take().len(), 1);
    }
}

#[test]
fn a_busy_instance_is_never_retired() {
    let mut host = Host::new("fixed:keep_alive=0s");
    let slot = host.instance("f", 1);
    host.tick_at(host.now + Nanos::from_secs(3600));
    assert_eq!(host.take(), []);
    host.idle(slot, "f", 1);
    host.tick_at(host.now);
    assert_eq!(host.take().len(), 1);
}

#[test]
fn sweeps_of_a_large_pool_are_paced() {
    const INSTANCES: u64 = 10_000;
    let mut host = Host::new("fixed:keep_alive=1s");
    let slots: Vec<_> = (0..INSTANCES).map(|request| host.instance("f", request)).collect();
    for (request, &slot) in slots.iter().enumerate() {
        host.idle(slot, "f", request as u64);
        host.now = host.now + Nanos(1);
    }
    let mut visits = 0;
    while let Some(next) = host.engine.next_wakeup() {
        host.tick_at(next);
        visits += 1;
        assert!(visits < 100, "one visit retires everything that became due since the last");
    }
    assert_eq!(host.take().len() as u64, INSTANCES);
}

#[test]
fn break_even_learns_what_a_start_takes() {
    let mut host = Host::new("break_even:lambda=1");
    let slot = host.instance("f", 1); // 100 ms create and 200 ms Init
    host.idle(slot, "f", 1);
    // 0.3 s · (1 + 1 / 0.125 GB)
    assert_eq!(host.engine.next_wakeup(), Some(host.now + Nanos::from_millis(2700)));
}
