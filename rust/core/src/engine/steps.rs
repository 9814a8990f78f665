//! What ticks do is done in bounded steps, and comes to what it would come to in one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use proptest::prelude::*;

use super::work::Work;
use super::{Assign, Ending, Engine, Idle, LOOK_AGAIN};
use crate::command::Command;
use crate::config::EngineConfig;
use crate::ids::{FunctionId, RequestTag, SlotId};
use crate::nanos::Nanos;
use crate::policy::{Facts, FreeInstance, FunctionPolicy, Load, Policy, PolicySpec, Queue, Start, Target};
use crate::pool::{Below, Descent};
use crate::sync::Ordering::Relaxed;
use crate::table::{FunctionRef, FunctionSpec};

/// What a step may do, in units of [`Work`], and so how many instances it may retire or requests it may answer.
const STEP: u32 = 2048;
const CHANGES: usize = STEP as usize / 8 + 1;

/// Keeps each instance as long as the test says, holds a target, and starts nothing before its time.
#[derive(Clone, Debug)]
struct Told {
    keep_alive: Arc<Mutex<Nanos>>,
    target: u32,
    starts_from: Nanos,
}

impl Policy for Told {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(self.clone())
    }
}

impl FunctionPolicy for Told {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        *self.keep_alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, queue: &Queue) -> Start {
        if queue.facts.now >= self.starts_from && queue.waiting > queue.starting { Start::Now } else { Start::Enough }
    }

    fn target(&self, _: &Load) -> Target {
        Target { instances: self.target, again: Nanos::MAX }
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        Vec::new()
    }
}

/// One function and its platform, on which everything succeeds at once.
struct World {
    engine: Engine,
    function: FunctionId,
    told: Told,
    now: Nanos,
    requests: u64,
    executing: VecDeque<(u64, SlotId)>,
}

impl World {
    fn new(target: u32) -> Self {
        Self::starting_from(Nanos::ZERO, target)
    }

    fn starting_from(starts_from: Nanos, target: u32) -> Self {
        let told = Told { keep_alive: Arc::default(), target, starts_from };
        let policy = PolicySpec { policy: Box::new(told.clone()), ..PolicySpec::parse("fixed").unwrap() };
        let engine = Engine::new(EngineConfig::new(policy));
        let function = engine.function(&FunctionRef { key: "f", runtime: "go", timeout_s: 60, memory_mb: 128 }).unwrap();
        Self { engine, function, told, now: Nanos::from_secs(1), requests: 0, executing: VecDeque::new() }
    }

    /// A request comes; `true`: it found a free instance.
    fn assign(&mut self) -> bool {
        let (mut out, request) = (Vec::new(), self.requests);
        self.requests += 1;
        let assigned = self.engine.handle_assign(self.now, self.function, RequestTag(request), Nanos::MAX, &mut out).unwrap();
        if let Assign::Warm(slot) = assigned {
            self.executing.push_back((request, slot));
        }
        while let Some(command) = out.pop() {
            match command {
                Command::CreateSlot { slot, .. } => self.engine.handle_slot_created(self.now, slot, Nanos(1), &mut out).unwrap(),
                Command::Init { slot, .. } => self.engine.handle_instance_ready(self.now, slot, Nanos(1), &mut out).unwrap(),
                Command::Wake { result, .. } => self.executing.push_back((request, result.unwrap())),
                Command::DestroySlot { .. } => panic!("nothing is due"),
            }
        }
        matches!(assigned, Assign::Warm(_))
    }

    /// The oldest request ends, and its instance is kept so long.
    fn end(&mut self, keep_alive: Nanos) -> bool {
        *self.told.keep_alive.lock().unwrap_or_else(PoisonError::into_inner) = keep_alive;
        let Some((request, slot)) = self.executing.pop_front() else { return false };
        assert_eq!(self.engine.handle_end(self.now, slot, RequestTag(request), Ending::Good, &mut Vec::new()), Idle::Ended);
        true
    }

    /// So many free instances, kept so long.
    fn with_free(instances: u64, keep_alive: Nanos) -> Self {
        let mut world = Self::new(0);
        for _ in 0..instances {
            world.assign();
        }
        while world.end(keep_alive) {}
        world
    }

    fn is_due(&self) -> bool {
        self.engine.next_wakeup().is_some_and(|at| at <= self.now)
    }

    /// A tick of so much work; returns how many instances it retired.
    fn tick(&mut self, units: u32) -> usize {
        let mut out = Vec::new();
        self.engine.tick(self.now, &mut Work::units(units), &mut out);
        for &command in &out {
            let Command::DestroySlot { slot, .. } = command else { panic!("nothing else is due: {command:?}") };
            self.engine.handle_slot_destroyed(self.now, slot).unwrap();
        }
        out.len()
    }

    /// Free instances whose keep-alive is over, and those that are to be.
    fn overdue(&self) -> usize {
        let cold = self.engine.functions.at(self.function.index).cold.lock().unwrap();
        let moving = cold.descent.iter().flat_map(|descent| descent.homeless()).collect::<Vec<_>>();
        drop(cold);
        self.dues().into_iter().chain(moving).filter(|&due| due <= self.now).count()
    }

    /// Ends of keep-alives of the free instances, from the top of the stack down.
    fn dues(&self) -> Vec<Nanos> {
        let pool = &self.engine.functions.at(self.function.index).pool;
        let mut descent = Descent::new(self.now, self.function.index, pool);
        let mut dues = Vec::new();
        while let Below::Instance(_, slot) = descent.below(pool, &self.engine.slots) {
            dues.push(Nanos(slot.due.load(Relaxed)));
        }
        dues
    }
}

#[test]
fn a_step_retires_and_looks_at_no_more_than_its_share_of_100_000_overdue_instances() {
    const INSTANCES: usize = 100_000;
    let mut world = World::with_free(INSTANCES as u64, Nanos::from_secs(1));
    world.now = Nanos::from_secs(3);
    let (mut steps, mut retired) = (0, 0);
    while world.is_due() {
        let step = world.tick(STEP);
        assert!(step <= CHANGES, "{step} retired in a step");
        retired += step;
        steps += 1;
    }
    // A look and a change each.
    assert_eq!((retired, steps), (INSTANCES, INSTANCES.div_ceil(STEP.div_ceil(9) as usize)));
    assert_eq!(world.engine.next_wakeup(), None);
}

#[test]
fn a_step_looks_at_no_more_than_its_share_when_nothing_is_overdue() {
    const INSTANCES: usize = 100_000;
    let mut world = World::with_free(INSTANCES as u64, Nanos::from_secs(60));
    let due = world.engine.next_wakeup();
    world.engine.arm(world.function, world.engine.functions.at(world.function.index), world.now);
    let mut steps = 0;
    while world.is_due() {
        assert_eq!(world.tick(STEP), 0);
        steps += 1;
    }
    assert_eq!(steps, INSTANCES / STEP as usize + 1);
    assert_eq!(world.engine.next_wakeup(), due);
}

#[test]
fn functions_with_much_to_do_take_turns_and_a_tick_ends_all_the_same() {
    let mut world = World::with_free(10_000, Nanos::from_secs(1));
    let many = world.function;
    world.function = world.engine.function(&FunctionRef { key: "g", runtime: "go", timeout_s: 60, memory_mb: 128 }).unwrap();
    world.now = Nanos::from_secs(2);
    world.assign();
    world.end(Nanos::ZERO);
    let retired = world.tick(2 * STEP);
    assert!(retired <= 2 * CHANGES, "{retired} retired in a tick");
    assert_eq!(world.dues(), [], "one step of the other function was as long as it had to wait");
    assert!(world.engine.functions.at(many.index).pool.balance() > 9_000);
}

#[test]
fn overdue_requests_are_answered_a_bounded_number_at_a_time_and_nothing_is_started_for_them() {
    const REQUESTS: u64 = 5_000;
    let deadline = Nanos::from_secs(5);
    let world = World::starting_from(deadline, 0);
    let (engine, mut out) = (&world.engine, Vec::new());
    for request in 0..REQUESTS {
        engine.handle_assign(world.now, world.function, RequestTag(request), deadline, &mut out).unwrap();
    }
    let mut answered = 0;
    while engine.next_wakeup().is_some_and(|at| at <= deadline) {
        engine.tick(deadline, &mut Work::units(STEP), &mut out);
        assert!(out.len() <= CHANGES, "{} answered in a step", out.len());
        assert!(out.iter().all(|command| matches!(command, Command::Wake { result: Err(_), .. })));
        answered += out.drain(..).count();
    }
    assert_eq!(answered as u64, REQUESTS);
}

#[test]
fn a_policy_that_wants_a_thousand_starts_at_once_gets_them_a_bounded_number_at_a_time() {
    const WANTED: u32 = 1_000;
    let from = Nanos::from_secs(5);
    // Once for requests that wait, once ahead of them.
    for (target, requests) in [(0, WANTED), (WANTED, 1)] {
        let world = World::starting_from(if target == 0 { from } else { Nanos::ZERO }, target);
        let (engine, mut out) = (&world.engine, Vec::new());
        for request in 0..requests {
            engine.handle_assign(world.now, world.function, RequestTag(request.into()), Nanos::MAX, &mut out).unwrap();
        }
        engine.arm(world.function, engine.functions.at(world.function.index), from);
        let mut started = 0;
        loop {
            assert!(out.len() <= 257, "{} at once", out.len());
            started += out.drain(..).filter(|command| matches!(command, Command::CreateSlot { .. })).count();
            if engine.next_wakeup().is_none_or(|at| at > from) {
                break;
            }
            // One timer.
            engine.tick(from, &mut Work::units(1), &mut out);
        }
        assert_eq!(started, WANTED as usize);
    }
}

#[test]
fn a_tick_over_many_functions_that_want_many_starts_issues_a_bounded_number() {
    const FUNCTIONS: usize = 40;
    const WANTED: usize = 1_000;
    let (world, mut out) = (World::new(u32::try_from(WANTED).unwrap()), Vec::new());
    let engine = &world.engine;
    for number in 0..FUNCTIONS {
        let key = format!("f{number}");
        let function = engine.function(&FunctionRef { key: &key, runtime: "go", timeout_s: 60, memory_mb: 128 }).unwrap();
        engine.arm(function, engine.functions.at(function.index), world.now);
    }
    let mut started = 0;
    while world.is_due() {
        engine.handle_tick(world.now, &mut out);
        // Eight steps' worth, and what the last function gets before its lock is let go.
        assert!(out.len() <= 8 * STEP as usize / 8 + 512, "{} in a tick", out.len());
        assert!(out.iter().all(|command| matches!(command, Command::CreateSlot { .. })));
        started += out.drain(..).count();
    }
    assert_eq!(started, FUNCTIONS * WANTED);
}

/// What happens to one function.
#[derive(Clone, Copy, Debug)]
enum Event {
    Assign,
    End { keep_ms: u64 },
    Wait { millis: u64 },
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        3 => Just(Event::Assign),
        4 => (0..40_u64).prop_map(|keep_ms| Event::End { keep_ms }),
        2 => (1..12_u64).prop_map(|millis| Event::Wait { millis }),
    ];
    prop::collection::vec(event, 1..300)
}

/// The rule without bounds: overdue times leave the list, those nearest the top first, while there are more instances than the target
/// holds.
fn retire(dues: &mut Vec<Nanos>, spare: usize, now: Nanos) -> usize {
    let before = dues.len();
    for _ in 0..spare {
        let Some(overdue) = dues.iter().position(|&due| due <= now) else { break };
        dues.remove(overdue);
    }
    before - dues.len()
}

proptest! {
    #[test]
    fn small_steps_come_to_what_one_unbounded_step_would(events in events(), target in 0..6_u32, units in 1..60_u32) {
        let mut world = World::new(target);
        // From the top down.
        let mut dues: Vec<Nanos> = Vec::new();
        for event in events {
            match event {
                Event::Assign => {
                    let warm = world.assign();
                    prop_assert_eq!(warm, !dues.is_empty());
                    if warm {
                        dues.remove(0);
                    } else {
                        // Those started ahead for the target are free.
                        dues = world.dues();
                    }
                }
                Event::End { keep_ms } => {
                    let keep_alive = Nanos::from_millis(keep_ms);
                    if world.end(keep_alive) {
                        dues.insert(0, world.now + keep_alive);
                    }
                }
                Event::Wait { millis } => {
                    world.now = world.now + Nanos::from_millis(millis);
                    let mut retired = 0;
                    while world.is_due() {
                        retired += world.tick(units);
                    }
                    let spare = (dues.len() + world.executing.len()).saturating_sub(target as usize);
                    prop_assert_eq!(retired, retire(&mut dues, spare, world.now));
                }
            }
            prop_assert_eq!(world.dues(), dues.clone());
            let next = dues.iter().copied().filter(|&due| due > world.now).min();
            prop_assert!(next.is_none_or(|due| world.engine.next_wakeup().is_some_and(|at| at <= due)));
        }
    }

    #[test]
    fn requests_between_steps_leave_no_instance_without_its_end(events in events(), units in 1..12_u32) {
        let mut world = World::new(0);
        for event in events {
            match event {
                Event::Assign => {
                    world.assign();
                }
                Event::End { keep_ms } => {
                    world.end(Nanos::from_millis(keep_ms));
                }
                Event::Wait { millis } => {
                    world.now = world.now + Nanos::from_millis(millis);
                    // One step of perhaps many.
                    let overdue = world.overdue();
                    prop_assert!(world.tick(units) <= overdue);
                }
            }
            // Overdue or not, it will be looked at.
            let soon = world.now + LOOK_AGAIN;
            prop_assert!(world.dues().iter().all(|&due| world.engine.next_wakeup().is_some_and(|at| at <= due.max(soon))));
        }
        while world.end(Nanos::ZERO) {}
        // After the pause before it looks again.
        world.now = world.now + Nanos::from_secs(1);
        while world.is_due() {
            world.tick(units);
        }
        prop_assert_eq!(world.dues(), []);
        prop_assert_eq!(world.engine.live_slots(), 0);
    }
}
