//! The run: the engine's host in virtual time.

use std::collections::VecDeque;
use std::ops::ControlFlow;

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{
    Assign, Command, Ending, Engine, EngineConfig, FunctionId, FunctionRef, Idle, Nanos, RequestTag, SlotId, StartFailure, WaiterId,
};

use crate::diary::Diary;
use crate::error::SimError;
use crate::platform::Platform;
use crate::queue::{EventQueue, Kind};
use crate::report::{Outcome, Recorder, Report};
use crate::series::Sampler;
use crate::shortage::Shortages;
use crate::starts::{StartTable, Starts};
use crate::trace::{AsChunk, Checker, Chunk, FunctionModel, Request};

/// Requests between two calls of the progress callback.
const PROGRESS_EVERY: u64 = 1 << 16;

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
    /// Seed of the draws of failures and of starts.
    pub seed: u64,
    /// How long starts take; `None`: always what the function table says.
    pub starts: Option<StartTable>,
    /// Keep what became of each request.
    pub per_request: bool,
    /// The function, by its row, whose decisions are to be written down with their reasons; a row that does not exist has none.
    pub explain: Option<usize>,
    /// Keep the ledger over time, in spans this long, and count why requests found no instance.
    pub series: Option<Nanos>,
}

/// Plays requests through the engine in virtual time.
///
/// `chunks`: the requests, in order of arrival; see [`Chunk`]. `progress` is called every 65,536 requests with how many have arrived;
/// [`ControlFlow::Break`] ends the run.
///
/// # Errors
///
/// The first that the chunks yield, or any [`SimError`]: a chunk, the function table or a probability is wrong, or `progress` asked to stop.
///
/// # Panics
///
/// If the engine breaks its contract with its host.
pub fn simulate<C: AsChunk, E: From<SimError>>(
    chunks: impl IntoIterator<Item = Result<C, E>>,
    functions: &[FunctionModel],
    options: Options,
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<Report, E> {
    let tail = options.tail;
    let mut checker = Checker::new(functions.len());
    let mut run = Run::new(functions, options)?;
    for chunk in chunks {
        let chunk = chunk?;
        let chunk = chunk.as_chunk();
        checker.check(&chunk)?;
        run.play(chunk, progress)?;
    }
    let end = checker.last_arrival().map_or(Nanos::ZERO, |last| last + tail);
    run.advance(end);
    Ok(run.finish(end))
}

/// What a busy or starting slot is occupied with.
#[derive(Clone, Copy, Debug)]
struct Subject {
    slot: SlotId,
    /// The function that it serves, or starts for.
    function: u32,
    /// The row of the request that it serves.
    request: u64,
    /// The request ends with `need_destroy`.
    bad: bool,
}

impl Subject {
    /// A start serves nobody yet.
    fn start(slot: SlotId, function: FunctionId) -> Self {
        let function = u32::try_from(function.index()).expect("function tables are limited");
        Self { slot, function, request: 0, bad: false }
    }
}

/// A request that waits.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    row: u64,
    request: Request,
}

/// What is noted of a run's course, on request.
struct Course {
    sampler: Sampler,
    shortages: Shortages,
}

struct Run {
    /// The engine's name of each row of the function table.
    ids: Vec<FunctionId>,
    engine: Engine,
    platform: Platform,
    starts: Starts,
    queue: EventQueue,
    now: Nanos,
    /// Requests that have arrived: the next one's row.
    arrived: u64,
    /// By slot index.
    subjects: Vec<Subject>,
    /// By function, in order of arrival.
    waiting: Vec<VecDeque<(WaiterId, Waiting)>>,
    recorder: Recorder,
    diary: Option<Diary>,
    course: Option<Course>,
    commands: Vec<Command>,
    events: u64,
}

impl Run {
    fn new(functions: &[FunctionModel], options: Options) -> Result<Self, SimError> {
        let platform = Platform::new(options.create_failure, options.init_failure, options.seed)?;
        let config = EngineConfig { max_functions: u32::MAX, max_waiting: u64::MAX, ..EngineConfig::new(options.policy) };
        let engine = Engine::new(config);
        let mut ids = Vec::with_capacity(functions.len());
        for (row, function) in functions.iter().enumerate() {
            let wanted = FunctionRef { key: &function.key, runtime: "", timeout_s: 0, memory_mb: function.memory_mb };
            let id = engine.function(&wanted).map_err(SimError::Engine)?;
            if id.index() != row {
                return Err(SimError::DuplicateFunction { first: id.index(), second: row, key: function.key.clone() });
            }
            ids.push(id);
        }
        let table = options.starts.unwrap_or_else(|| StartTable::constant(functions));
        if table.functions() != functions.len() {
            let problem = format!("it has {} functions, the function table {}", table.functions(), functions.len());
            return Err(SimError::StartTable { problem });
        }
        let diary = options.explain.and_then(|row| ids.get(row)).map(|&function| Diary::new(function));
        let course = options.series.map(|span| Course { sampler: Sampler::new(span), shortages: Shortages::new(functions.len()) });
        Ok(Self {
            ids,
            engine,
            platform,
            starts: Starts::new(table, options.seed),
            queue: EventQueue::default(),
            now: Nanos::ZERO,
            arrived: 0,
            subjects: Vec::new(),
            waiting: functions.iter().map(|_| VecDeque::new()).collect(),
            recorder: Recorder::new(options.per_request),
            diary,
            course,
            commands: Vec::new(),
            events: 0,
        })
    }

    /// Plays a chunk of requests, and whatever else happens until the last of them arrives.
    fn play(&mut self, chunk: Chunk<'_>, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<(), SimError> {
        self.recorder.expect(chunk.arrival_ns.len());
        for request in chunk.requests() {
            self.advance(request.arrival);
            self.arrive(request)?;
            if self.arrived.is_multiple_of(PROGRESS_EVERY) && progress(self.arrived).is_break() {
                return Err(SimError::Interrupted);
            }
        }
        Ok(())
    }

    /// Lets everything happen that happens until a moment, and at it. Events come before ticks of the same time.
    fn advance(&mut self, until: Nanos) {
        loop {
            let event = self.queue.next_time().filter(|&time| time <= until);
            let tick = self.engine.next_wakeup().filter(|&time| time <= until);
            let (time, is_event) = match (event, tick) {
                (Some(event), Some(tick)) if tick < event => (tick, false),
                (Some(event), _) => (event, true),
                (None, Some(tick)) => (tick, false),
                (None, None) => return,
            };
            // A timer may be set for a moment that has passed.
            self.move_on(time);
            self.events += 1;
            if is_event {
                self.happen();
            } else {
                self.engine.handle_tick(self.now, &mut self.commands);
                self.carry_out(Outcome::Handoff);
            }
        }
    }

    /// Moves the clock; it never goes back.
    fn move_on(&mut self, time: Nanos) {
        if let Some(course) = &mut self.course {
            course.sampler.reach(time, &self.engine);
        }
        self.now = self.now.max(time);
    }

    fn arrive(&mut self, request: Request) -> Result<(), SimError> {
        let row = self.arrived;
        self.arrived += 1;
        self.events += 1;
        self.move_on(request.arrival);
        let function = self.ids[request.function as usize];
        let assigned = self.engine.handle_assign(self.now, function, RequestTag(row), Nanos::MAX, &mut self.commands)?;
        if let Some(course) = &mut self.course {
            course.shortages.arrived(function.index(), matches!(assigned, Assign::Waiting(_)));
        }
        match assigned {
            Assign::Warm(slot) => self.serve(&Waiting { row, request }, slot, Outcome::Warm),
            Assign::Waiting(waiter) => {
                self.waiting[function.index()].push_back((waiter, Waiting { row, request }));
                self.carry_out(Outcome::Handoff);
            }
        }
        Ok(())
    }

    /// Reports the next event to the engine.
    fn happen(&mut self) {
        let Some((kind, slot)) = self.queue.pop() else { return };
        let (now, engine, out) = (self.now, &self.engine, &mut self.commands);
        let subject = self.subjects[slot];
        let slot = subject.slot;
        let accepted = match kind {
            Kind::RequestEnded => {
                let ending = if subject.bad { Ending::Destroy } else { Ending::Good };
                let ended = engine.handle_end(now, slot, RequestTag(subject.request), ending, out);
                assert_eq!(ended, Idle::Ended, "the request had the instance");
                if let Some(course) = &mut self.course {
                    course.shortages.left(subject.function as usize);
                }
                Ok(())
            }
            Kind::InstanceReady => {
                if let Some(course) = &mut self.course {
                    course.shortages.ready(subject.function as usize);
                }
                engine.handle_instance_ready(now, slot, self.starts.initialised(slot), out)
            }
            Kind::InitFailed => engine.handle_init_failed(now, slot, StartFailure::Refused, out),
            Kind::SlotCreated => engine.handle_slot_created(now, slot, self.starts.created(slot), out),
            Kind::CreateFailed => engine.handle_create_failed(now, slot, StartFailure::Refused, out),
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
                    let (took, kind) = (self.starts.create(self.now, slot, function), self.platform.create());
                    self.schedule(took, kind, Subject::start(slot, function));
                }
                Command::Init { slot, function } => {
                    let (took, kind) = (self.starts.init(self.now, slot, function), self.platform.init());
                    self.schedule(took, kind, Subject::start(slot, function));
                }
                Command::DestroySlot { slot, reason } => {
                    if let Some(course) = &mut self.course {
                        course.shortages.destroyed(self.subjects[slot.index()].function as usize, reason);
                    }
                    self.engine.handle_slot_destroyed(self.now, slot).expect("the engine asked for this destroy");
                }
                Command::Wake { waiter, result } => {
                    let waiting = self.woken(waiter);
                    match result {
                        Ok(slot) => self.serve(&waiting, slot, woken),
                        Err(_) => self.give_up(&waiting),
                    }
                }
            }
        }
        self.commands = commands;
    }

    /// Takes a request out of those that wait: nearly always the oldest of its function.
    fn woken(&mut self, waiter: WaiterId) -> Waiting {
        let queue = &mut self.waiting[waiter.function_index()];
        let place = queue.iter().position(|(known, _)| *known == waiter).expect("a request is woken once");
        queue.remove(place).expect("it is there").1
    }

    /// Lets a request execute on the instance it got.
    fn serve(&mut self, &Waiting { row, request }: &Waiting, slot: SlotId, outcome: Outcome) {
        self.recorder.record(row, outcome, self.now.since(request.arrival));
        if outcome == Outcome::ColdStart {
            self.starts.book(slot, request.function as usize, request.arrival, self.now);
        }
        let subject = Subject { slot, function: request.function, request: row, bad: request.bad };
        self.schedule(request.duration, Kind::RequestEnded, subject);
    }

    /// Lets a request go without an instance.
    fn give_up(&mut self, &Waiting { row, request }: &Waiting) {
        self.recorder.record(row, Outcome::Failed, self.now.since(request.arrival));
        if let Some(course) = &mut self.course {
            course.shortages.left(request.function as usize);
        }
    }

    fn schedule(&mut self, after: Nanos, kind: Kind, subject: Subject) {
        let place = subject.slot.index();
        match self.subjects.get_mut(place) {
            Some(before) => *before = subject,
            // Indices in between are of slots that are on their way here.
            None => self.subjects.resize(place + 1, subject),
        }
        self.queue.schedule(self.now + after, kind, u32::try_from(place).expect("an index has 32 bits"));
    }

    fn finish(mut self, end: Nanos) -> Report {
        let mut unfinished_wait_ns: u64 = 0;
        for (_, waiting) in self.waiting.iter().flatten() {
            let waited = end.since(waiting.request.arrival);
            unfinished_wait_ns = unfinished_wait_ns.saturating_add(waited.0);
            self.recorder.record(waiting.row, Outcome::Failed, waited);
        }
        let explanation = self.diary.map(|diary| diary.finish(end, &self.engine));
        let course = self.course.map(|course| (course.sampler.finish(end, &self.engine), course.shortages.counts()));
        let (series, shortages) = course.unzip();
        let (waits, requests) = self.recorder.finish();
        Report {
            snapshot: self.engine.snapshot(end),
            functions: self.engine.function_totals(end).into_iter().map(|function| function.totals).collect(),
            waits,
            requests,
            stage_waits: self.starts.finish(),
            explanation,
            series,
            shortages,
            unfinished_wait_ns,
            end_ns: end.0,
            events: self.events,
        }
    }
}
