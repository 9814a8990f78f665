//! What the engine allocates, counted by the allocator: nothing for a warm request, a few hundred bytes for an idle function, a cache line
//! or two for an instance.
#![cfg(not(pilotlight_loom))]

mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use pilotlight_core::{Assign, Command, Ending, FunctionId, Idle, Nanos};
use support::{Host, Waiting, function, tag};

/// The system's allocator, with an account for each thread.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
    /// Bytes allocated less bytes freed.
    static LIVE: Cell<i64> = const { Cell::new(0) };
}

fn book(allocations: u64, bytes: i64) {
    ALLOCATIONS.set(ALLOCATIONS.get() + allocations);
    LIVE.set(LIVE.get() + bytes);
}

fn bytes(layout: Layout) -> i64 {
    i64::try_from(layout.size()).unwrap_or(i64::MAX)
}

// SAFETY: every call is passed on to the system's allocator unchanged; the accounts are plain cells that neither allocate nor unwind.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        book(1, bytes(layout));
        // SAFETY: the caller keeps the contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        book(0, -bytes(layout));
        // SAFETY: the caller keeps the contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_warm_request_allocates_nothing() {
    for policy in ["fixed", "break_even", "level_gap", "level_gap:lambda=contest"] {
        let mut host = Host::new(policy);
        let slot = host.instance("f", 0);
        host.idle(slot, "f", 0);
        let wanted = function("f", support::MB);
        let before = ALLOCATIONS.get();
        for request in 1..=20_000 {
            host.now = host.now + Nanos(1_000);
            let id = host.engine.function(&wanted).unwrap();
            let assigned = host.engine.handle_assign(host.now, id, tag(request), Nanos::MAX, &mut host.out);
            assert_eq!(assigned, Ok(Assign::Warm(slot)));
            assert_eq!(host.idle(slot, "f", request), Idle::Ended);
        }
        assert_eq!(ALLOCATIONS.get() - before, 0, "{policy}");
    }
}

/// Sends each function so many requests at once, each served by whatever instance the policy starts for it; all are free in the end.
fn serve_each(host: &mut Host, functions: &[FunctionId], requests: u64) {
    let mut served = Vec::new();
    for &id in functions {
        for _ in 0..requests {
            host.engine.handle_assign(host.now, id, tag(0), Nanos::MAX, &mut host.out).unwrap();
        }
        loop {
            match host.out.pop() {
                Some(Command::CreateSlot { slot, .. }) => host.created(slot),
                Some(Command::Init { slot, .. }) => host.ready(slot),
                Some(Command::Wake { result, .. }) => served.push(result.unwrap()),
                Some(Command::DestroySlot { .. }) => unreachable!("all are wanted"),
                // Nobody ends before all are started.
                None => match served.pop() {
                    Some(slot) => assert_eq!(host.engine.handle_end(host.now, slot, tag(0), Ending::Good, &mut host.out), Idle::Ended),
                    None => break,
                },
            }
        }
    }
}

fn functions(host: &Host, count: u64) -> Vec<FunctionId> {
    (0..count).map(|number| host.function(&format!("function-{number}"))).collect()
}

/// Bytes that stay allocated by what a call does, per piece.
fn bytes_each(pieces: u64, call: impl FnOnce()) -> u64 {
    let before = LIVE.get();
    call();
    u64::try_from(LIVE.get() - before).unwrap() / pieces
}

#[test]
fn a_hundred_thousand_functions_and_a_million_instances_hold() {
    const FUNCTIONS: u64 = 100_000;
    const EACH: u64 = 10;
    let mut host = Host::with("fixed:keep_alive=1h", |config| config.max_waiting = 2 * EACH);
    let mut ids = Vec::new();
    let function = bytes_each(FUNCTIONS, || ids = functions(&host, FUNCTIONS));
    assert!(function <= 1_200, "{function} bytes a function");
    let instance = bytes_each(FUNCTIONS * EACH, || serve_each(&mut host, &ids, EACH));
    assert!(instance <= 128, "{instance} bytes an instance, what its function kept of the queue included");
    assert_eq!(host.engine.live_slots(), FUNCTIONS * EACH);
}

#[test]
fn a_function_that_was_called_and_is_idle_takes_less_than_4_kib_with_the_default_policy() {
    const FUNCTIONS: u64 = 5_000;
    let mut host = Host::new("level_gap");
    let each = bytes_each(FUNCTIONS, || {
        let ids = functions(&host, FUNCTIONS);
        serve_each(&mut host, &ids, 3);
    });
    assert!(each <= 4_096, "{each} bytes a function");
}

#[test]
fn functions_that_come_once_and_go_take_no_more_memory_the_more_there_were() {
    let mut host = Host::with("level_gap", |config| config.max_functions = 100);
    let mut come_and_go = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            let key = format!("function-{number}");
            let slot = host.instance(&key, number);
            host.bad_idle(slot, &key, number);
            host.take();
            host.destroyed(slot);
        }
    };
    come_and_go(0..2_000);
    let before = LIVE.get();
    come_and_go(2_000..52_000);
    // What maps have yet to let go of differs from moment to moment, either way.
    let more = LIVE.get() - before;
    assert!(more <= 2 * 50_000, "{more} bytes more after 50,000 functions that have gone");
}

#[test]
fn a_queue_whose_requests_all_give_up_leaves_no_memory_taken() {
    const FUNCTIONS: u64 = 1_000;
    const EACH: u64 = 100;
    // Room for one instance: the queue is all that a function could keep.
    let mut host = Host::with("fixed:memory=128MB", |config| config.max_waiting = 2 * EACH);
    let ids = functions(&host, FUNCTIONS);
    let each = bytes_each(FUNCTIONS, || {
        for id in ids {
            let assign = |_| host.engine.handle_assign(host.now, id, tag(0), Nanos::MAX, &mut host.out).unwrap().waiting();
            let waiters: Vec<_> = (0..EACH).map(assign).collect();
            assert!(waiters.into_iter().all(|waiter| host.engine.handle_cancel(host.now, waiter)));
        }
    });
    assert!(each <= 500, "{each} bytes a function");
}
