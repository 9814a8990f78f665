//! The engine against the sequential reference, under limits and without: any order of any calls, command by command, ledger to the
//! nanosecond.
#![cfg(not(pilotlight_loom))]

#[path = "support/reference.rs"]
mod reference;
mod support;

use std::collections::HashMap;
use std::num::NonZeroU32;

use pilotlight_core::{Assign, Command, Counter, Ending, EngineError, Idle, Nanos, SlotId, StartFailure, WaiterId, WakeError};
use proptest::prelude::*;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};
use reference::{Did, Policy, Reference, State};
use support::{Host, tag};

const KEYS: [&str; 3] = ["f", "g", "big"];
const MEMORIES: [u32; 3] = [128, 128, 512];
/// Moments at which things happen are multiples of 4 ns; these lengths keep ends of keep-alive, deadlines and retries apart.
const STEP: u64 = 4;
const KEEP_ALIVE: u64 = 400_000_000;
const DEADLINE: u64 = 1_000_000_001;
const RETRY: u64 = 300_000_002;

/// One call. Numbers choose among what is there, modulo how much there is; a choice of nothing is no call.
#[derive(Clone, Debug)]
enum Call {
    Assign {
        function: usize,
    },
    Idle {
        busy: usize,
        ending: Ending,
    },
    LateIdle {
        slot: usize,
        request: u64,
    },
    Cancel {
        function: usize,
        waiter: usize,
    },
    Created {
        nth: usize,
    },
    CreateFailed {
        nth: usize,
        failure: StartFailure,
    },
    Ready {
        nth: usize,
    },
    InitFailed {
        nth: usize,
        failure: StartFailure,
    },
    Destroyed {
        nth: usize,
    },
    DestroyFailed {
        nth: usize,
    },
    /// All that the platform was asked for succeeds.
    Settle,
    Wait {
        millis: u64,
    },
    Drain,
}

#[derive(Clone, Debug)]
struct Model {
    reference: Reference,
    requests: u64,
    call: Option<Call>,
}

impl Model {
    fn nth(&self, nth: usize, wanted: impl Fn(State) -> bool) -> Option<usize> {
        let found: Vec<_> = (0..self.reference.slots.len()).filter(|&slot| wanted(self.reference.slots[slot].state)).collect();
        (!found.is_empty()).then(|| found[nth % found.len()])
    }

    /// A report of success that the platform owes.
    fn owed(&self) -> Option<Call> {
        self.reference.slots.iter().find_map(|slot| match slot.state {
            State::Creating | State::Abandoned => Some(Call::Created { nth: 0 }),
            State::Initialising => Some(Call::Ready { nth: 0 }),
            State::Retiring | State::Leaked { .. } => Some(Call::Destroyed { nth: 0 }),
            _ => None,
        })
    }
}

impl ReferenceStateMachine for Model {
    type State = Self;
    type Transition = Call;

    fn init_state() -> BoxedStrategy<Self> {
        // Without a target, and with one; with memory for everything, and for a few slots; and the same of slots and of starts a second.
        let floor = prop_oneof![Just(0_usize), 1..4_usize];
        let memory_mb = prop_oneof![Just(None), (4..14_u64).prop_map(|units| Some(128 * units))];
        let max_slots = prop_oneof![3 => Just(None), 1 => (2..12_u64).prop_map(Some)];
        let starts_per_second = prop_oneof![3 => Just(None), 1 => prop::sample::select(vec![1_u64, 4, 10]).prop_map(Some)];
        (floor, memory_mb, max_slots, starts_per_second)
            .prop_map(|(floor, memory_mb, max_slots, starts_per_second)| {
                let policy = Policy { keep_alive: KEEP_ALIVE, floor, memory_mb, max_slots, starts_per_second };
                Self { reference: Reference::new(&MEMORIES, policy, RETRY), requests: 0, call: None }
            })
            .boxed()
    }

    fn transitions(_: &Self) -> BoxedStrategy<Call> {
        let nth = 0..8_usize;
        let ending = prop_oneof![6 => Just(Ending::Good), 3 => Just(Ending::Failed), 1 => Just(Ending::Destroy)];
        let failure = prop_oneof![Just(StartFailure::Refused), Just(StartFailure::Throttled), Just(StartFailure::Unanswered)];
        let failed = prop_oneof![2 => Just(StartFailure::Refused), 1 => Just(StartFailure::Throttled)];
        prop_oneof![
            8 => (0..KEYS.len()).prop_map(|function| Call::Assign { function }),
            6 => (nth.clone(), ending).prop_map(|(busy, ending)| Call::Idle { busy, ending }),
            1 => (nth.clone(), 0..40_u64).prop_map(|(slot, request)| Call::LateIdle { slot, request }),
            1 => (0..KEYS.len(), nth.clone()).prop_map(|(function, waiter)| Call::Cancel { function, waiter }),
            6 => nth.clone().prop_map(|nth| Call::Created { nth }),
            1 => (nth.clone(), failure).prop_map(|(nth, failure)| Call::CreateFailed { nth, failure }),
            6 => nth.clone().prop_map(|nth| Call::Ready { nth }),
            1 => (nth.clone(), failed).prop_map(|(nth, failure)| Call::InitFailed { nth, failure }),
            3 => nth.clone().prop_map(|nth| Call::Destroyed { nth }),
            1 => nth.prop_map(|nth| Call::DestroyFailed { nth }),
            4 => Just(Call::Settle),
            4 => (1..600_u64).prop_map(|millis| Call::Wait { millis }),
            1 => (1..12_000_u64).prop_map(|millis| Call::Wait { millis }),
        ]
        .prop_flat_map(|call| prop_oneof![150 => Just(call), 1 => Just(Call::Drain)])
        .boxed()
    }

    /// Steps the reference alone; where the engine is tested, both are stepped side by side, so that both see each tick.
    fn apply(mut state: Self, call: &Call) -> Self {
        state.call = Some(call.clone());
        run(&mut state, None);
        state
    }
}

/// The engine with the names that the reference uses.
struct Sut {
    host: Host,
    ids: Vec<SlotId>,
    waiters: HashMap<u64, WaiterId>,
    duplicates: u64,
}

impl Sut {
    fn ordinal(&self, id: SlotId) -> usize {
        self.ids.iter().rposition(|&known| known == id).expect("a slot the engine has announced")
    }

    /// What the engine did, in the reference's terms.
    fn did(&mut self) -> Vec<Did> {
        let commands = self.host.take();
        let mut did: Vec<_> = commands.into_iter().map(|command| self.translate(command)).collect();
        did.sort();
        did
    }

    fn translate(&mut self, command: Command) -> Did {
        match command {
            Command::CreateSlot { slot, .. } => {
                self.ids.push(slot);
                Did::Create(self.ids.len() - 1)
            }
            Command::Init { slot, function } => Did::Init(self.ordinal(slot), function.index()),
            Command::DestroySlot { slot, .. } => Did::Destroy(self.ordinal(slot)),
            Command::Wake { waiter, result } => {
                let request = *self.waiters.iter().find(|(_, known)| **known == waiter).expect("a waiter the engine has named").0;
                self.waiters.remove(&request);
                match result {
                    Ok(slot) => Did::Serve(request, self.ordinal(slot)),
                    Err(WakeError::DeadlineExceeded | WakeError::NoRoom(_)) => Did::Refuse(request, "deadline"),
                    Err(WakeError::StartFailed) => Did::Refuse(request, "start failed"),
                    Err(WakeError::Draining) => Did::Refuse(request, "draining"),
                }
            }
        }
    }
}

/// Makes the model's pending call on the reference and, if given, on the engine, comparing what they did.
fn run(model: &mut Model, mut sut: Option<&mut Sut>) {
    let call = model.call.take().expect("a call is pending");
    pass(model, sut.as_deref_mut(), STEP);
    match call {
        Call::Assign { function } => assign(model, sut.as_deref_mut(), function),
        Call::Idle { busy, ending } => {
            let Some(slot) = model.nth(busy, |state| matches!(state, State::Busy { .. })) else { return };
            let State::Busy { request } = model.reference.slots[slot].state else { unreachable!() };
            let key = KEYS[model.reference.slots[slot].function];
            model.reference.idle(slot, ending);
            if let Some(sut) = &mut sut {
                let (id, host) = (sut.ids[slot], &mut sut.host);
                let idle = host.engine.handle_idle(host.now, id, key, tag(request), ending, &mut host.out);
                assert_eq!(idle, Idle::Ended);
            }
        }
        Call::LateIdle { slot, request } => {
            let holds = |state| state == State::Busy { request };
            let Some(slot) = model.nth(slot, |state| !holds(state)) else { return };
            if let Some(sut) = &mut sut {
                let key = KEYS[model.reference.slots[slot].function];
                let idle = sut.host.idle(sut.ids[slot], key, request);
                assert_ne!(idle, Idle::Ended);
                sut.duplicates += u64::from(idle == Idle::Duplicate);
            }
        }
        Call::Cancel { function, waiter } => {
            let waiters = &model.reference.functions[function].waiters;
            let Some(&(request, ..)) = waiters.get(waiter % waiters.len().max(1)) else { return };
            model.reference.cancel(function, request);
            if let Some(sut) = &mut sut {
                let waiter = sut.waiters.remove(&request).expect("it waits");
                assert!(sut.host.engine.handle_cancel(sut.host.now, waiter));
            }
        }
        Call::Settle => {
            while let Some(report) = model.owed() {
                platform_reports(model, sut.as_deref_mut(), &report);
                compare(model, sut.as_deref_mut());
                pass(model, sut.as_deref_mut(), STEP);
            }
        }
        Call::Wait { millis } => pass(model, sut.as_deref_mut(), millis * 1_000_000),
        Call::Drain => {
            model.reference.drain();
            if let Some(sut) = &mut sut {
                sut.host.engine.handle_drain(sut.host.now, &mut sut.host.out);
            }
        }
        report => platform_reports(model, sut.as_deref_mut(), &report),
    }
    compare(model, sut);
}

fn assign(model: &mut Model, sut: Option<&mut Sut>, function: usize) {
    let request = model.requests;
    model.requests += 1;
    let deadline = model.reference.now + DEADLINE;
    if model.reference.draining {
        if let Some(sut) = sut {
            let (id, host) = (sut.host.engine.function(&support::function(KEYS[function], MEMORIES[function])).unwrap(), &mut sut.host);
            let refused = host.engine.handle_assign(host.now, id, tag(request), Nanos(deadline), &mut host.out);
            assert_eq!(refused, Err(EngineError::Draining));
        }
        return;
    }
    let expected = model.reference.assign(function, request, deadline);
    let Some(sut) = sut else { return };
    let id = sut.host.engine.function(&support::function(KEYS[function], MEMORIES[function])).unwrap();
    let host = &mut sut.host;
    match host.engine.handle_assign(host.now, id, tag(request), Nanos(deadline), &mut host.out).unwrap() {
        Assign::Warm(slot) => assert_eq!(Some(sut.ordinal(slot)), expected),
        Assign::Waiting(waiter) => {
            assert_eq!(expected, None);
            sut.waiters.insert(request, waiter);
        }
    }
}

fn platform_reports(model: &mut Model, sut: Option<&mut Sut>, report: &Call) {
    let creating = |state| matches!(state, State::Creating | State::Abandoned);
    let slot = match *report {
        Call::Created { nth } | Call::CreateFailed { nth, .. } => model.nth(nth, creating),
        Call::Ready { nth } | Call::InitFailed { nth, .. } => model.nth(nth, |state| state == State::Initialising),
        Call::Destroyed { nth } => model.nth(nth, |state| matches!(state, State::Retiring | State::Leaked { .. })),
        Call::DestroyFailed { nth } => model.nth(nth, |state| state == State::Retiring),
        _ => unreachable!("handled by the caller"),
    };
    let Some(slot) = slot else { return };
    match *report {
        Call::Created { .. } => model.reference.created(slot, 1),
        Call::CreateFailed { failure, .. } => model.reference.create_failed(slot, failure),
        Call::Ready { .. } => model.reference.ready(slot),
        Call::InitFailed { failure, .. } => model.reference.init_failed(slot, failure),
        Call::Destroyed { .. } => model.reference.destroyed(slot),
        _ => model.reference.destroy_failed(slot),
    }
    let Some(sut) = sut else { return };
    let (id, now, engine, out) = (sut.ids[slot], sut.host.now, &sut.host.engine, &mut sut.host.out);
    match *report {
        Call::Created { .. } => engine.handle_slot_created(now, id, Nanos(1), out),
        Call::CreateFailed { failure, .. } => engine.handle_create_failed(now, id, failure, out),
        Call::Ready { .. } => engine.handle_instance_ready(now, id, Nanos(1), out),
        Call::InitFailed { failure, .. } => engine.handle_init_failed(now, id, failure, out),
        Call::Destroyed { .. } => engine.handle_slot_destroyed(now, id),
        _ => engine.handle_destroy_failed(now, id),
    }
    .unwrap();
}

/// Lets time pass, ticking both exactly when something is due.
fn pass(model: &mut Model, mut sut: Option<&mut Sut>, nanos: u64) {
    let until = model.reference.now + nanos / STEP * STEP;
    while let Some(due) = model.reference.next_due().filter(|&due| due <= until) {
        model.reference.pass(due);
        model.reference.tick();
        if let Some(sut) = &mut sut {
            assert!(sut.host.engine.next_wakeup().is_some_and(|at| at.0 <= due), "the engine wants to be woken in time");
            sut.host.tick_at(Nanos(due));
        }
        compare(model, sut.as_deref_mut());
    }
    model.reference.pass(until);
    if let Some(sut) = sut {
        sut.host.now = Nanos(until);
    }
}

fn compare(model: &mut Model, sut: Option<&mut Sut>) {
    let mut expected = std::mem::take(&mut model.reference.did);
    expected.sort();
    let Some(sut) = sut else { return };
    assert_eq!(sut.did(), expected);
    let snapshot = sut.host.snapshot();
    assert_eq!(snapshot.live.slots, model.reference.counts());
    assert_eq!(snapshot.totals.slot_ns, model.reference.booked);
    let ends = [Counter::Destroyed, Counter::NeverCreated, Counter::WrittenOff].map(|end| snapshot.totals.count(end));
    assert_eq!(ends, model.reference.ends);
    assert_eq!(snapshot.totals.count(Counter::Starts), ends.iter().sum::<u64>() + snapshot.live.slots.iter().sum::<u64>());
    assert_eq!(snapshot.totals.count(Counter::IdleDuplicates), sut.duplicates);
    assert_eq!(sut.host.engine.live_slots(), model.reference.counts().iter().sum::<u64>());
    assert!(model.reference.policy.memory_mb.is_none_or(|limit| snapshot.live.peak_memory_mb <= limit));
    assert!(model.reference.policy.max_slots.is_none_or(|limit| snapshot.live.peak_slots <= limit));
    let functions = sut.host.engine.function_totals(sut.host.now);
    for (number, &whole) in snapshot.totals.counts.iter().enumerate() {
        assert_eq!(functions.iter().map(|function| function.totals.counts[number]).sum::<u64>(), whole);
    }
    for function in functions {
        let expected = &model.reference.functions[function.id.index()];
        assert_eq!(function.waiting as usize, expected.waiters.len());
        let balance = [expected.free.len(), expected.waiters.len()].map(|count| i64::try_from(count).unwrap());
        assert_eq!(function.balance, balance[0] - balance[1]);
        assert!(expected.free.is_empty() || expected.waiters.is_empty());
    }
}

struct Machine {
    model: Model,
    sut: Sut,
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Model;

    fn init_test(model: &Model) -> Self {
        let Policy { floor, memory_mb, max_slots, starts_per_second, .. } = model.reference.policy;
        let memory = memory_mb.map_or_else(String::new, |memory_mb| format!(",memory={memory_mb}MB"));
        let policy = match floor {
            0 => format!("fixed:keep_alive=400ms{memory}"),
            floor => format!("floor:instances={floor},keep_alive=400ms{memory}"),
        };
        let host = Host::with(&policy, |config| {
            config.destroy_retry = Nanos(RETRY);
            config.max_slots = max_slots;
            config.max_starts_per_second = starts_per_second.and_then(|starts| NonZeroU32::new(starts.try_into().unwrap()));
        });
        for (key, memory_mb) in KEYS.into_iter().zip(MEMORIES) {
            host.engine.function(&support::function(key, memory_mb)).unwrap();
        }
        Self { model: model.clone(), sut: Sut { host, ids: Vec::new(), waiters: HashMap::new(), duplicates: 0 } }
    }

    fn apply(mut machine: Self, _: &Model, call: Call) -> Self {
        machine.model.call = Some(call);
        run(&mut machine.model, Some(&mut machine.sut));
        machine
    }
}

prop_state_machine! {
    #![proptest_config(ProptestConfig { cases: 800, ..ProptestConfig::default() })]

    #[test]
    fn the_engine_does_what_the_sequential_reference_does(sequential 1..120 => Machine);
}
