//! What calls cost, counted rather than timed: locks taken, read-modify-writes made, commands issued, questions put to the policy.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{Assign, Ending, Engine, Idle};
use crate::command::Command;
use crate::config::EngineConfig;
use crate::ids::{FunctionId, RequestTag, SlotId};
use crate::nanos::Nanos;
use crate::policy::{Facts, FreeInstance, FunctionPolicy, Load, Policy, PolicySpec, Queue, Start, Target};
use crate::sync::{locks_taken, read_modify_writes};
use crate::table::{FunctionRef, FunctionSpec};

fn function(engine: &Engine, key: &str) -> FunctionId {
    engine.function(&FunctionRef { key, runtime: "go", timeout_s: 60, memory_mb: 128 }).unwrap()
}

/// An engine in which function "f" has two free instances, each of which has served a request: one stays when the other is taken.
fn warm(policy: &str) -> (Engine, FunctionId) {
    let engine = Engine::new(EngineConfig::new(PolicySpec::parse(policy).unwrap()));
    let (id, mut out) = (function(&engine, "f"), Vec::new());
    let slots = [0, 1].map(|request| {
        engine.handle_assign(Nanos(1), id, RequestTag(request), Nanos::MAX, &mut out).unwrap();
        let Some(Command::CreateSlot { slot, .. }) = out.pop() else { panic!("a waiter gets a start") };
        engine.handle_slot_created(Nanos(2), slot, Nanos(1), &mut out).unwrap();
        engine.handle_instance_ready(Nanos(3), slot, Nanos(1), &mut out).unwrap();
        slot
    });
    for (request, slot) in (0..).zip(slots) {
        assert_eq!(engine.handle_idle(Nanos(4), slot, "f", RequestTag(request), Ending::Good, &mut out), Idle::Ended);
    }
    (engine, id)
}

/// Locks taken and read-modify-writes made by so many warm pairs, a microsecond each.
fn cost_of_warm_pairs(policy: &str, pairs: u64) -> (u64, u64) {
    let (engine, id) = warm(policy);
    let mut out = Vec::new();
    let before = (locks_taken(), read_modify_writes());
    for request in 1..=pairs {
        let (now, tag) = (Nanos(1_000 * request), RequestTag(request));
        assert_eq!(engine.function(&FunctionRef { key: "f", runtime: "go", timeout_s: 60, memory_mb: 128 }), Ok(id));
        let Ok(Assign::Warm(slot)) = engine.handle_assign(now, id, tag, Nanos::MAX, &mut out) else { panic!("one is free") };
        assert_eq!(engine.handle_idle(now, slot, "f", tag, Ending::Good, &mut out), Idle::Ended);
    }
    assert_eq!(out, []);
    (locks_taken() - before.0, read_modify_writes() - before.1)
}

#[test]
fn a_warm_request_takes_no_lock() {
    for policy in ["fixed", "break_even:lambda=contest"] {
        assert_eq!(cost_of_warm_pairs(policy, 10_000).0, 0, "{policy}");
    }
}

/// Each of them waits for the cache line, whoever else has it: the hand-off word down and, after the demand, up; the stack's head down and
/// up; the slot's word, which a late twin of the Idle may want to change too.
#[test]
fn a_warm_pair_makes_six_read_modify_writes_and_two_more_for_what_level_gap_measures() {
    assert_eq!(cost_of_warm_pairs("fixed", 10_000).1, 60_000);
    let measured = cost_of_warm_pairs("level_gap", 10_000).1 - 60_000;
    assert!((19_000..22_000).contains(&measured), "{measured} in 10,000 pairs");
}

#[test]
fn level_gap_takes_a_lock_of_the_functions_own_only_when_a_gap_longer_than_a_start_ends() {
    let (locks, _) = cost_of_warm_pairs("level_gap", 10_000);
    assert!((1..400).contains(&locks), "{locks} in 10,000 requests");
}

/// Keeps instances as `fixed` does, and counts what it is asked.
#[derive(Debug)]
struct Asked(Arc<AtomicU64>);

impl Policy for Asked {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(Self(Arc::clone(&self.0)))
    }
}

impl FunctionPolicy for Asked {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        self.0.fetch_add(1, Relaxed);
        Nanos::from_secs(60)
    }

    fn start(&self, queue: &Queue) -> Start {
        self.0.fetch_add(1, Relaxed);
        if queue.waiting > queue.starting { Start::Now } else { Start::Enough }
    }

    fn target(&self, _: &Load) -> Target {
        self.0.fetch_add(1, Relaxed);
        Target::NONE
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        Vec::new()
    }
}

/// A storm's engine, and the most that one call has cost.
struct Storm {
    engine: Engine,
    asked: Arc<AtomicU64>,
    out: Vec<Command>,
    most: Cost,
    sum: Cost,
    calls: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    locks: u64,
    commands: u64,
    questions: u64,
}

impl Storm {
    fn new() -> Self {
        let asked = Arc::default();
        let policy = PolicySpec { policy: Box::new(Asked(Arc::clone(&asked))), ..PolicySpec::parse("fixed").unwrap() };
        let engine = Engine::new(EngineConfig::new(policy));
        Self { engine, asked, out: Vec::new(), most: Cost::default(), sum: Cost::default(), calls: 0 }
    }

    fn count(&mut self, call: impl FnOnce(&Engine, &mut Vec<Command>)) {
        let before = (locks_taken(), self.out.len(), self.asked.load(Relaxed));
        call(&self.engine, &mut self.out);
        let cost = Cost {
            locks: locks_taken() - before.0,
            commands: (self.out.len() - before.1) as u64,
            questions: self.asked.load(Relaxed) - before.2,
        };
        let Cost { locks, commands, questions } = self.most;
        self.most = Cost { locks: locks.max(cost.locks), commands: commands.max(cost.commands), questions: questions.max(cost.questions) };
        self.sum.locks += cost.locks;
        self.calls += 1;
    }

    /// The most that one call has cost since the last time this was asked.
    fn most_of_phase(&mut self) -> Cost {
        std::mem::take(&mut self.most)
    }

    fn starts(&mut self) -> Vec<SlotId> {
        let created = |command| if let Command::CreateSlot { slot, .. } = command { Some(slot) } else { None };
        self.out.drain(..).filter_map(created).collect()
    }
}

/// 5,000 requests of 500 functions that have no instance, within a second; half the slots come, run one request after the other, and
/// make the rest of the starts surplus.
#[test]
fn a_storm_of_cold_starts_costs_each_call_a_few_locks_commands_and_questions() {
    const FUNCTIONS: u64 = 500;
    const REQUESTS: u64 = 5_000;
    let mut storm = Storm::new();
    let ids: Vec<_> = (0..FUNCTIONS).map(|number| function(&storm.engine, &number.to_string())).collect();
    for request in 0..REQUESTS {
        let (now, id) = (Nanos(request * 200_000), ids[usize::try_from(request % FUNCTIONS).unwrap()]);
        storm.count(|engine, out| {
            engine.handle_assign(now, id, RequestTag(request), Nanos::from_secs(600), out).unwrap();
        });
    }
    let most = storm.most_of_phase();
    assert!(most.locks <= 4 && most.commands <= 1 && most.questions <= 3, "an Assign that finds nothing: {most:?}");

    let mut now = Nanos::from_secs(1);
    let starts = storm.starts();
    assert_eq!(starts.len() as u64, REQUESTS);
    let (early, late) = starts.split_at(starts.len() / 2);
    for &slot in early {
        now = now + Nanos(20_000);
        storm.count(|engine, out| engine.handle_slot_created(now, slot, now, out).unwrap());
        storm.count(|engine, out| engine.handle_instance_ready(now, slot, now, out).unwrap());
    }
    let served: Vec<_> = storm
        .out
        .drain(..)
        .filter_map(|command| if let Command::Wake { result: Ok(slot), .. } = command { Some(slot) } else { None })
        .collect();
    assert_eq!(served.len(), early.len());
    let most = storm.most_of_phase();
    assert!(most.commands <= 2 && most.questions <= 3, "a slot that is created or ready: {most:?}");
    for (request, &slot) in (0..).zip(&served) {
        now = now + Nanos(20_000);
        storm.count(|engine, out| {
            assert_eq!(engine.handle_end(now, slot, RequestTag(request), Ending::Good, out), Idle::Ended);
        });
    }
    let most = storm.most_of_phase();
    assert!(most.locks <= 4 && most.commands <= 1 && most.questions <= 3, "an Idle that finds a waiter: {most:?}");
    for &slot in late {
        now = now + Nanos(20_000);
        storm.count(|engine, out| engine.handle_slot_created(now, slot, now, out).unwrap());
    }
    let most = storm.most_of_phase();
    assert!(most.commands <= 2 && most.questions <= 3, "a slot that nobody needs: {most:?}");
    // A created slot that nobody needs is offered to those who asked for one, each of whom is asked at most once for having asked.
    assert!(storm.sum.locks <= 6 * storm.calls, "{} locks in {} calls", storm.sum.locks, storm.calls);
}
