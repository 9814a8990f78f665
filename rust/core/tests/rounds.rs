//! The engine under threads against plain arithmetic: random calls at once, then rest, then the account.
//!
//! A history is a number of rounds. In a round every thread makes random calls, all at one moment; between rounds nothing happens and time
//! passes. So whatever order the calls of a round took effect in, what holds between rounds, and for how long, is known to the
//! nanosecond: the ledger must say the same.
#![cfg(not(pilotlight_loom))]

mod support;

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use pilotlight_core::{Account, Assign, Command, Counter, Ending, FunctionId, Idle, Nanos, SlotId, StartFailure, WaiterId};
use proptest::prelude::*;
use support::{Host, ending, tag};

const KEYS: [&str; 3] = ["f", "g", "big"];
const MEMORIES: [u32; 3] = [128, 128, 256];
const POLICIES: [&str; 6] = [
    "fixed:keep_alive=20ms",
    "fixed:keep_alive=20ms,handoff=none",
    "floor:instances=2,keep_alive=10ms",
    "lru:memory=1024MB",
    "greedy_dual:memory=768MB",
    "level_gap",
];
const LIMIT_MB: u64 = 1024;
/// Copies of the ledger that are made during a round.
const LOOKS: usize = 5;

/// One call of a thread. Numbers choose among what is there, modulo how much there is; a choice of nothing is no call.
#[derive(Clone, Debug)]
enum Call {
    Assign {
        function: usize,
    },
    Idle {
        nth: usize,
        bad: bool,
    },
    LateIdle {
        nth: usize,
    },
    Cancel {
        nth: usize,
    },
    /// Carry out a command that waits for the platform: it succeeds, or fails.
    Report {
        fails: bool,
    },
    Tick,
}

#[derive(Clone, Debug)]
struct Round {
    threads: Vec<Vec<Call>>,
    then_ms: u64,
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let call = prop_oneof![
        8 => (0..KEYS.len()).prop_map(|function| Call::Assign { function }),
        7 => (0..8_usize, prop::bool::weighted(0.1)).prop_map(|(nth, bad)| Call::Idle { nth, bad }),
        1 => (0..8_usize).prop_map(|nth| Call::LateIdle { nth }),
        2 => (0..8_usize).prop_map(|nth| Call::Cancel { nth }),
        12 => prop::bool::weighted(0.1).prop_map(|fails| Call::Report { fails }),
        1 => Just(Call::Tick),
    ];
    prop::collection::vec(call, 10..60)
}

fn rounds() -> impl Strategy<Value = Vec<Round>> {
    let round = (prop::collection::vec(calls(), 3), 1..30_u64).prop_map(|(threads, then_ms)| Round { threads, then_ms });
    prop::collection::vec(round, 1..6)
}

/// What threads share beside the engine. Its lock is never held during a call.
#[derive(Default)]
struct Shared {
    /// Commands that wait for the platform.
    commands: VecDeque<Command>,
    /// Who executes: slot, function, request.
    executing: Vec<(SlotId, usize, u64)>,
    /// Who waits, and answers that came before their waiter was noted.
    waiting: HashMap<WaiterId, (usize, u64)>,
    answered: HashMap<WaiterId, Option<SlotId>>,
    requests: u64,
    cancelled: u64,
    refused: u64,
    ended: u64,
}

struct World {
    host: Host,
    ids: [FunctionId; KEYS.len()],
    shared: Mutex<Shared>,
}

impl World {
    fn new(policy: &str) -> Self {
        let host = Host::new(policy);
        let ids = std::array::from_fn(|function| host.engine.function(&support::function(KEYS[function], MEMORIES[function])).unwrap());
        Self { host, ids, shared: Mutex::default() }
    }

    fn with<T>(&self, look: impl FnOnce(&mut Shared) -> T) -> T {
        look(&mut self.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn make(&self, now: Nanos, call: &Call) {
        let (engine, mut out) = (&self.host.engine, Vec::new());
        match *call {
            Call::Assign { function } => self.assign(now, function, &mut out),
            Call::Idle { nth, bad } => {
                let Some((slot, function, request)) = self.with(|shared| choose(&mut shared.executing, nth)) else { return };
                assert_eq!(engine.handle_idle(now, slot, KEYS[function], tag(request), ending(bad), &mut out), Idle::Ended);
                self.with(|shared| shared.ended += 1);
            }
            Call::LateIdle { nth } => {
                let held = self.with(|shared| shared.executing.get(nth % shared.executing.len().max(1)).copied());
                let Some((slot, function, _)) = held else { return };
                // Between the look and the call the slot may have ended, but no request has this number.
                assert_ne!(engine.handle_idle(now, slot, KEYS[function], tag(u64::MAX), Ending::Good, &mut out), Idle::Ended);
            }
            Call::Cancel { nth } => {
                let found = self.with(|shared| shared.waiting.keys().copied().nth(nth % shared.waiting.len().max(1)));
                let Some(waiter) = found else { return };
                if engine.handle_cancel(now, waiter) {
                    self.with(|shared| {
                        shared.waiting.remove(&waiter).expect("a cancelled request gets no answer");
                        shared.cancelled += 1;
                    });
                }
            }
            Call::Report { fails } => {
                let Some(command) = self.with(|shared| shared.commands.pop_front()) else { return };
                self.report(now, command, fails, &mut out);
            }
            Call::Tick => engine.handle_tick(now, &mut out),
        }
        self.take(out);
    }

    fn assign(&self, now: Nanos, function: usize, out: &mut Vec<Command>) {
        let request = self.with(|shared| {
            shared.requests += 1;
            shared.requests
        });
        match self.host.engine.handle_assign(now, self.ids[function], tag(request), Nanos::MAX, out).unwrap() {
            Assign::Warm(slot) => self.with(|shared| shared.hold(slot, function, request)),
            Assign::Waiting(waiter) => self.with(|shared| match shared.answered.remove(&waiter) {
                Some(answer) => shared.answer((function, request), answer),
                None => assert_eq!(shared.waiting.insert(waiter, (function, request)), None),
            }),
        }
    }

    fn report(&self, now: Nanos, command: Command, fails: bool, out: &mut Vec<Command>) {
        let (engine, took) = (&self.host.engine, Nanos::from_millis(5));
        let accepted = match (command, fails) {
            (Command::CreateSlot { slot, .. }, false) => engine.handle_slot_created(now, slot, took, out),
            (Command::CreateSlot { slot, .. }, true) => engine.handle_create_failed(now, slot, StartFailure::Refused, out),
            (Command::Init { slot, .. }, false) => engine.handle_instance_ready(now, slot, took, out),
            (Command::Init { slot, .. }, true) => engine.handle_init_failed(now, slot, StartFailure::Refused, out),
            (Command::DestroySlot { slot, .. }, false) => engine.handle_slot_destroyed(now, slot),
            (Command::DestroySlot { slot, .. }, true) => engine.handle_destroy_failed(now, slot),
            (Command::Wake { .. }, _) => unreachable!("answers are taken at once"),
        };
        accepted.expect("the engine asked for it");
    }

    fn take(&self, commands: Vec<Command>) {
        self.with(|shared| {
            for command in commands {
                let Command::Wake { waiter, result } = command else {
                    shared.commands.push_back(command);
                    continue;
                };
                match shared.waiting.remove(&waiter) {
                    Some(request) => shared.answer(request, result.ok()),
                    None => assert_eq!(shared.answered.insert(waiter, result.ok()), None, "one answer a request"),
                }
            }
        });
    }

    /// Checks what must hold of copies made while others call: no time is in them that has not passed. Returns the largest counts seen.
    fn look(&self, now: Nanos, booked: &[u128; Account::ALL.len()]) -> Vec<u64> {
        let mut largest = Vec::new();
        for _ in 0..LOOKS {
            let whole = self.host.engine.snapshot(now).totals;
            largest.resize(whole.counts.len(), 0);
            largest.iter_mut().zip(whole.counts).for_each(|(largest, count)| *largest = count.max(*largest));
            let functions = self.host.engine.function_totals(now);
            for account in Account::ALL.map(|account| account as usize) {
                let sum: u128 = functions.iter().map(|function| function.totals.slot_ns[account]).sum();
                assert!(sum.max(whole.slot_ns[account]) <= booked[account], "{account}");
            }
        }
        largest
    }

    /// Checks what must hold at rest; `booked`: slot time by account that has passed in all rests so far.
    fn check(&self, now: Nanos, booked: &[u128; Account::ALL.len()]) {
        let (snapshot, functions) = (self.host.engine.snapshot(now), self.host.engine.function_totals(now));
        let totals = &snapshot.totals;
        self.with(|shared| {
            assert_eq!(totals.assigns(), shared.requests);
            assert_eq!(totals.count(Counter::Idles), shared.ended);
            assert_eq!(totals.count(Counter::Cancelled), shared.cancelled);
            assert_eq!(totals.failed(), shared.cancelled + shared.refused);
            assert_eq!(snapshot.live.slots[Account::Busy as usize], shared.executing.len() as u64);
            assert_eq!(snapshot.live.waiting, shared.waiting.len() as u64);
            assert!(shared.answered.is_empty());
            for (place, function) in functions.iter().enumerate() {
                let waiting = shared.waiting.values().filter(|request| request.0 == place).count();
                assert_eq!(function.waiting as usize, waiting);
            }
        });
        let ended = totals.count(Counter::Destroyed) + totals.count(Counter::NeverCreated);
        assert_eq!(snapshot.live.slots.iter().sum::<u64>(), totals.count(Counter::Starts) - ended);
        assert_eq!(self.host.engine.live_slots(), snapshot.live.slots.iter().sum::<u64>());
        assert_eq!(totals.slot_ns, *booked);
    }

    /// Free instances and waiting requests exclude each other, and the promises are as many as the free instances.
    fn check_pairs(&self, now: Nanos, bound: bool) {
        let mut free = 0;
        for function in self.host.engine.function_totals(now) {
            if bound {
                free += function.balance;
                continue;
            }
            assert!(function.balance <= 0 || function.waiting == 0, "{} free beside {} waiting", function.balance, function.waiting);
            assert_eq!(function.balance.min(0), -i64::from(function.waiting));
            free += function.balance.max(0);
        }
        assert_eq!(self.host.engine.snapshot(now).live.slots[Account::Idle as usize], u64::try_from(free).unwrap());
    }
}

impl Shared {
    fn hold(&mut self, slot: SlotId, function: usize, request: u64) {
        assert!(self.executing.iter().all(|held| held.0 != slot), "an instance serves one request at a time");
        self.executing.push((slot, function, request));
    }

    fn answer(&mut self, (function, request): (usize, u64), answer: Option<SlotId>) {
        match answer {
            Some(slot) => self.hold(slot, function, request),
            None => self.refused += 1,
        }
    }
}

fn choose<T>(among: &mut Vec<T>, nth: usize) -> Option<T> {
    (!among.is_empty()).then(|| among.swap_remove(nth % among.len()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_threads_do_at_once_the_account_is_right_at_rest(policy in prop::sample::select(&POLICIES[..]), rounds in rounds()) {
        let world = World::new(policy);
        let (mut now, mut booked) = (Nanos::from_secs(1), [0; Account::ALL.len()]);
        for round in &rounds {
            let seen = std::thread::scope(|scope| {
                for calls in &round.threads {
                    let world = &world;
                    scope.spawn(move || calls.iter().for_each(|call| world.make(now, call)));
                }
                scope.spawn(|| world.look(now, &booked)).join().unwrap()
            });
            world.check(now, &booked);
            let counts = world.host.engine.snapshot(now).totals.counts;
            prop_assert!(seen.iter().zip(&counts).all(|(seen, count)| seen <= count), "{seen:?} came to {counts:?}");
            world.check_pairs(now, policy.contains("handoff=none"));
            let live = world.host.engine.snapshot(now).live;
            if policy.contains("memory") {
                prop_assert!(live.peak_memory_mb <= LIMIT_MB, "{} MB", live.peak_memory_mb);
            }
            let rest = Nanos::from_millis(round.then_ms);
            now = now + rest;
            for (sum, slots) in booked.iter_mut().zip(live.slots) {
                *sum += u128::from(slots) * u128::from(rest.0);
            }
            world.check(now, &booked);
        }
    }
}
