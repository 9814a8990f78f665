//! Threads on real hardware: the invariants hold under contention, and contention was there.
#![cfg(not(pilotlight_loom))]

mod support;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use pilotlight_core::{Assign, Command, Counter, Engine, FunctionId, Nanos, SlotId};
use support::{Host, ending, tag};

const THREADS: u64 = 4;
const ROUNDS: u64 = 20_000;
/// More than any pause the engine takes before it looks again, and less than a keep-alive that is to outlast the waiting.
const LOOK_AHEAD: Nanos = Nanos::from_millis(2);

/// What several threads share: the engine, who holds which slot, and the answers to waiting requests.
struct World {
    engine: Engine,
    holders: Vec<AtomicU32>,
    /// Answers by waiter sequence, put there by whichever thread's call produced the `Wake`.
    answers: Mutex<std::collections::HashMap<u64, SlotId>>,
    clock: AtomicU64,
    /// Threads inside the engine, and how often one met another there.
    inside: AtomicU64,
    met: AtomicU64,
}

impl World {
    fn now(&self) -> Nanos {
        Nanos(self.clock.fetch_add(1, Ordering::Relaxed))
    }

    /// Carries out commands: starts succeed at once, so every call may be made by any thread.
    fn carry_out(&self, mut commands: Vec<Command>) {
        while let Some(command) = commands.pop() {
            let (now, took) = (self.now(), Nanos(1));
            match command {
                Command::CreateSlot { slot, .. } => self.engine.handle_slot_created(now, slot, took, &mut commands).unwrap(),
                Command::Init { slot, .. } => self.engine.handle_instance_ready(now, slot, took, &mut commands).unwrap(),
                Command::DestroySlot { slot, .. } => self.engine.handle_slot_destroyed(now, slot).unwrap(),
                Command::Wake { waiter, result } => {
                    let slot = result.expect("nothing fails here");
                    assert!(self.answers.lock().unwrap().insert(waiter.to_bits(), slot).is_none(), "one answer a request");
                }
            }
        }
    }

    fn sweep(&self, after: Nanos) {
        let mut out = Vec::new();
        self.engine.handle_tick(self.now() + after, &mut out);
        self.carry_out(out);
    }

    fn drain(&self) {
        let mut out = Vec::new();
        self.engine.handle_drain(self.now(), &mut out);
        self.carry_out(out);
    }

    fn request(&self, (function, key): (FunctionId, &str), request: u64) {
        if self.inside.fetch_add(1, Ordering::Relaxed) > 0 {
            self.met.fetch_add(1, Ordering::Relaxed);
        }
        let mut out = Vec::new();
        let slot = match self.engine.handle_assign(self.now(), function, tag(request), Nanos::MAX, &mut out).unwrap() {
            Assign::Warm(slot) => slot,
            Assign::Waiting(waiter) => {
                self.carry_out(out);
                loop {
                    if let Some(slot) = self.answers.lock().unwrap().remove(&waiter.to_bits()) {
                        break slot;
                    }
                    // A start that waits for room is a matter of the tick.
                    self.sweep(LOOK_AHEAD);
                    std::hint::spin_loop();
                }
            }
        };
        assert_eq!(self.holders[slot.index()].fetch_add(1, Ordering::SeqCst), 0, "an instance serves one request at a time");
        self.holders[slot.index()].fetch_sub(1, Ordering::SeqCst);
        let mut out = Vec::new();
        let now = self.now();
        self.engine.handle_idle(now, slot, key, tag(request), ending(request.is_multiple_of(64)), &mut out);
        self.carry_out(out);
        if request.is_multiple_of(8) {
            self.sweep(Nanos::ZERO);
        }
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

impl World {
    fn new(host: Host) -> Self {
        Self {
            engine: host.engine,
            holders: (0..1 << 14).map(|_| AtomicU32::new(0)).collect(),
            answers: Mutex::default(),
            clock: AtomicU64::new(1_000_000_000),
            inside: AtomicU64::new(0),
            met: AtomicU64::new(0),
        }
    }

    /// Nothing was lost and nothing is left, given that everything free has been retired. `before`: requests that were there before the
    /// threads.
    fn check(&self, before: u64) {
        let requests = before + THREADS * ROUNDS;
        let snapshot = self.engine.snapshot(self.now());
        let totals = &snapshot.totals;
        assert_eq!(totals.count(Counter::Idles), requests);
        assert_eq!(totals.assigns(), requests);
        assert_eq!(totals.count(Counter::IdleDuplicates), 0);
        assert_eq!(snapshot.live.waiting, 0);
        assert_eq!(snapshot.live.slots, [0; 5], "every instance became free, and every free one was retired");
        assert_eq!(self.engine.live_slots(), 0);
        for function in self.engine.function_totals(Nanos::MAX) {
            assert_eq!(function.balance, 0, "no promise is left without an instance");
        }
        assert_eq!(totals.count(Counter::Starts), totals.count(Counter::Destroyed));
    }
}

#[test]
fn one_hot_function_keeps_its_invariants_under_contention() {
    // Threads may happen to run one after the other: until two met, nothing was tested.
    let met = (0..50).any(|_| storm("fixed:keep_alive=200ns", |world| world.sweep(Nanos::from_secs(3600))) > 0);
    assert!(met, "no two threads were ever inside at once");
}

#[test]
fn what_threads_teach_a_policy_at_once_takes_nobodys_instance_or_answer() {
    // It may want to keep an instance for ever, so the end is a drain.
    let met = (0..50).any(|_| storm("level_gap:lambda=contest", World::drain) > 0);
    assert!(met, "no two threads were ever inside at once");
}

/// Lets all threads at one function and checks the account; returns how often a thread met another inside the engine.
fn storm(policy: &str, end: impl Fn(&World)) -> u64 {
    let host = Host::new(policy);
    let function = host.function("f");
    let world = World::new(host);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let world = &world;
            scope.spawn(move || (0..ROUNDS).for_each(|round| world.request((function, "f"), thread << 32 | round)));
        }
    });
    end(&world);
    world.check(0);
    world.met.into_inner()
}

#[test]
fn requests_beside_the_sweep_of_thousands_of_instances_lose_nothing() {
    const FREE: u64 = 6_000;
    let met = (0..50).any(|_| {
        // The end comes while the threads are at it, and takes the sweep many steps.
        let mut host = Host::new("fixed:keep_alive=20us");
        let function = host.function("f");
        let slots: Vec<_> = (0..FREE).map(|request| host.instance("f", u64::MAX - request)).collect();
        host.now = Nanos(999_990_000);
        for (request, &slot) in slots.iter().enumerate() {
            host.idle(slot, "f", u64::MAX - request as u64);
            host.now = host.now + Nanos(3);
        }
        let world = World::new(host);
        std::thread::scope(|scope| {
            for thread in 0..THREADS {
                let world = &world;
                scope.spawn(move || (0..ROUNDS).for_each(|round| world.request((function, "f"), thread << 32 | round)));
            }
        });
        while world.engine.next_wakeup().is_some() {
            world.sweep(Nanos::from_secs(3600));
        }
        world.check(FREE);
        world.met.into_inner() > 0
    });
    assert!(met, "no two threads were ever inside at once");
}

#[test]
fn functions_that_evict_each_other_serve_everybody_within_the_limit() {
    let met = (0..50).any(|_| squeeze() > 0);
    assert!(met, "no two threads were ever inside at once");
}

/// Lets all threads at more functions than there is memory for; returns how often a thread met another inside the engine.
fn squeeze() -> u64 {
    const KEYS: [&str; 5] = ["a", "b", "c", "d", "e"];
    let host = Host::new("fixed:keep_alive=1h,memory=384MB");
    let functions = KEYS.map(|key| (host.function(key), key));
    let world = World::new(host);
    std::thread::scope(|scope| {
        for (place, thread) in (0..THREADS).enumerate() {
            let world = &world;
            scope.spawn(move || {
                // Each thread goes through the functions in an order of its own.
                let mut steps = [[0, 1, 2, 3, 4], [0, 2, 4, 1, 3], [4, 3, 2, 1, 0], [3, 1, 4, 2, 0]][place].into_iter().cycle();
                for round in 0..ROUNDS {
                    let function = functions[steps.next().expect("it cycles")];
                    world.request(function, thread << 32 | round);
                }
            });
        }
    });
    let snapshot = world.engine.snapshot(world.now());
    assert!(snapshot.live.peak_memory_mb <= 384, "{} MB", snapshot.live.peak_memory_mb);
    assert!(snapshot.totals.count(Counter::Evicted) > 0);
    world.sweep(Nanos::from_secs(2 * 3600));
    world.check(0);
    world.met.into_inner()
}
