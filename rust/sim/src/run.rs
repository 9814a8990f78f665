//! The run: the engine's host in virtual time.

use std::collections::HashMap;
use std::ops::ControlFlow;

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Assign, Command, Engine, EngineConfig, FunctionId, FunctionRef, Idle, Nanos, RequestTag, SlotId, WaiterId};

use crate::diary::Diary;
use crate::error::SimError;
use crate::platform::Platform;
use crate::queue::{Event, EventQueue, Kind};
use crate::report::{Outcome, Recorder, Report};
use crate::trace::{FunctionModel, Trace};

/// Requests between two calls of the progress callback.
const PROGRESS_EVERY: usize = 1 << 16;

/// How to run a simulation.
#[derive(Debug)]
pub struct Options {
    /// The policy to run.
    pub policy: PolicySpec,
    /// The run ends this long after the last arrival.
    pub tail: Nanos,
    /// Probability that a CreateSlot fails, after its full duration.
    pub create_failure: f64,
    /// Probability that an Init fails, after its full duration.
    pub init_failure: f64,
    /// Seed of the draws of failures.
    pub seed: u64,
    /// Keep what became of each request.
    pub per_request: bool,
    /// The function, by its row, whose decisions are to be written down with their reasons; a row that does not exist has none.
    pub explain: Option<usize>,
}

/// Plays a trace through the engine in virtual time.
///
/// `progress` is called every 65,536 requests with how many have arrived; [`ControlFlow::Break`] ends the run.
///
/// # Errors
///
/// Any [`SimError`]: the trace, the function table or a probability is wrong, or `progress` asked to stop.
///
/// # Panics
///
/// If the engine breaks its contract with its host.
pub fn simulate(
    trace: &Trace<'_>,
    functions: &[FunctionModel],
    options: Options,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Report, SimError> {
    trace.validate(functions.len())?;
    let end = trace.arrival_ns.last().map_or(Nanos::ZERO, |&last| Nanos(last) + options.tail);
    let mut run = Run::new(trace, functions, options)?;
    run.play(end, progress)?;
    Ok(run.finish(end))
}

/// What the clock moves on to. At one moment, steps come in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Event,
    Tick,
    Arrival,
}

struct Run<'a> {
    trace: &'a Trace<'a>,
    functions: &'a [FunctionModel],
    /// The engine's name of each row of the function table.
    ids: Vec<FunctionId>,
    engine: Engine,
    platform: Platform,
    queue: EventQueue,
    now: Nanos,
    /// Requests that have arrived: the next one's row.
    arrived: usize,
    /// By slot index: the request that a busy slot serves; the function that a starting one's answer is for.
    subjects: Vec<usize>,
    /// Requests that wait.
    waiting: HashMap<WaiterId, usize, foldhash::fast::RandomState>,
    recorder: Recorder,
    diary: Option<Diary>,
    commands: Vec<Command>,
    events: u64,
}

impl<'a> Run<'a> {
    fn new(trace: &'a Trace<'a>, functions: &'a [FunctionModel], options: Options) -> Result<Self, SimError> {
        let platform = Platform::new(options.create_failure, options.init_failure, options.seed)?;
        let config = EngineConfig { max_functions: u32::MAX, max_waiting: u64::MAX, ..EngineConfig::new(options.policy) };
        let engine = Engine::new(config);
        let mut ids = Vec::with_capacity(functions.len());
        for (row, function) in functions.iter().enumerate() {
            let id = engine.function(&FunctionRef { key: &function.key, runtime: "", timeout_s: 0, memory_mb: function.memory_mb })?;
            if id.index() != row {
                return Err(SimError::DuplicateFunction { first: id.index(), second: row, key: function.key.clone() });
            }
            ids.push(id);
        }
        let diary = options.explain.and_then(|row| ids.get(row)).map(|&function| Diary::new(function));
        Ok(Self {
            trace,
            functions,
            ids,
            engine,
            platform,
            queue: EventQueue::default(),
            now: Nanos::ZERO,
            arrived: 0,
            subjects: Vec::new(),
            waiting: HashMap::default(),
            recorder: Recorder::new(trace.len(), options.per_request),
            diary,
            commands: Vec::new(),
            events: 0,
        })
    }

    fn play(&mut self, end: Nanos, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<(), SimError> {
        while let Some((time, step)) = self.next_step()
            && time <= end
        {
            // A timer may be set for a moment that has passed.
            self.now = self.now.max(time);
            self.events += 1;
            match step {
                Step::Event => self.happen(),
                Step::Tick => {
                    self.engine.handle_tick(self.now, &mut self.commands);
                    self.carry_out(Outcome::Handoff);
                }
                Step::Arrival => {
                    self.arrive()?;
                    if self.arrived.is_multiple_of(PROGRESS_EVERY) && progress(self.arrived as u64).is_break() {
                        return Err(SimError::Interrupted);
                    }
                }
            }
        }
        Ok(())
    }

    fn next_step(&self) -> Option<(Nanos, Step)> {
        let event = self.queue.next_time().map(|time| (time, Step::Event));
        let tick = self.engine.next_wakeup().map(|time| (time, Step::Tick));
        let arrival = self.trace.arrival_ns.get(self.arrived).map(|&time| (Nanos(time), Step::Arrival));
        [event, tick, arrival].into_iter().flatten().min()
    }

    fn arrive(&mut self) -> Result<(), SimError> {
        let request = self.arrived;
        self.arrived += 1;
        let function = self.ids[self.trace.function[request] as usize];
        match self.engine.handle_assign(self.now, function, RequestTag(request as u64), Nanos::MAX, &mut self.commands)? {
            Assign::Warm(slot) => self.serve(request, slot, Outcome::Warm),
            Assign::Waiting(waiter) => {
                self.waiting.insert(waiter, request);
                self.carry_out(Outcome::Handoff);
            }
        }
        Ok(())
    }

    /// Reports the next event to the engine.
    fn happen(&mut self) {
        let Some(Event { kind, slot, .. }) = self.queue.pop() else { return };
        let (now, engine, out) = (self.now, &self.engine, &mut self.commands);
        let subject = self.subjects[slot.index()];
        let accepted = match kind {
            Kind::RequestEnded => {
                let key = &self.functions[self.trace.function[subject] as usize].key;
                let ended = engine.handle_idle(now, slot, key, RequestTag(subject as u64), self.trace.bad[subject], out);
                assert_eq!(ended, Idle::Ended, "the request had the instance");
                Ok(())
            }
            Kind::InstanceReady => engine.handle_instance_ready(now, slot, self.functions[subject].init, out),
            Kind::InitFailed => engine.handle_init_failed(now, slot, out),
            Kind::SlotCreated => engine.handle_slot_created(now, slot, self.functions[subject].create, out),
            Kind::CreateFailed => engine.handle_create_failed(now, slot, false, out),
        };
        accepted.expect("the engine asked for this start");
        self.carry_out(if kind == Kind::InstanceReady { Outcome::ColdStart } else { Outcome::Handoff });
    }

    /// Carries out the engine's commands. `woken` is what it means for a request to get its instance now.
    fn carry_out(&mut self, woken: Outcome) {
        if self.commands.is_empty() {
            return;
        }
        let mut commands = std::mem::take(&mut self.commands);
        for command in commands.drain(..) {
            if let Some(diary) = &mut self.diary {
                diary.note(self.now, &command, &self.engine, woken);
            }
            match command {
                Command::CreateSlot { slot, function, .. } => {
                    let (took, kind) = (self.functions[function.index()].create, self.platform.create());
                    self.schedule(took, kind, slot, function.index());
                }
                Command::Init { slot, function } => {
                    let (took, kind) = (self.functions[function.index()].init, self.platform.init());
                    self.schedule(took, kind, slot, function.index());
                }
                Command::DestroySlot { slot, .. } => {
                    self.engine.handle_slot_destroyed(self.now, slot).expect("the engine asked for this destroy");
                }
                Command::Wake { waiter, result } => {
                    let request = self.waiting.remove(&waiter).expect("a request is woken once");
                    match result {
                        Ok(slot) => self.serve(request, slot, woken),
                        Err(_) => self.recorder.record(request, Outcome::Failed, self.waited(request)),
                    }
                }
            }
        }
        self.commands = commands;
    }

    /// Lets a request execute on the instance it got.
    fn serve(&mut self, request: usize, slot: SlotId, outcome: Outcome) {
        self.recorder.record(request, outcome, self.waited(request));
        self.schedule(Nanos(self.trace.duration_ns[request]), Kind::RequestEnded, slot, request);
    }

    fn schedule(&mut self, after: Nanos, kind: Kind, slot: SlotId, subject: usize) {
        if self.subjects.len() <= slot.index() {
            self.subjects.resize(slot.index() + 1, 0);
        }
        self.subjects[slot.index()] = subject;
        self.queue.schedule(self.now + after, kind, slot);
    }

    fn waited(&self, request: usize) -> Nanos {
        self.now.since(Nanos(self.trace.arrival_ns[request]))
    }

    fn finish(mut self, end: Nanos) -> Report {
        self.now = end;
        for &request in self.waiting.values() {
            self.recorder.record(request, Outcome::Failed, self.waited(request));
        }
        let explanation = self.diary.map(|diary| diary.finish(end, &self.engine));
        let (waits, requests) = self.recorder.finish();
        Report {
            snapshot: self.engine.snapshot(end),
            functions: self.engine.function_totals(end).into_iter().map(|function| function.totals).collect(),
            waits,
            requests,
            explanation,
            end_ns: end.0,
            events: self.events,
        }
    }
}
