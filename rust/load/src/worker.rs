//! One client thread: its connections, its schedule, its recording. A storm has a thread to itself, because warm calls are not to wait
//! for their client to be through with the storm's replies.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::{Builder, Runtime};
use tokio::task::{LocalSet, spawn_local};

use crate::client::Channel;
use crate::config::{LoadConfig, Loop, Spacing, Storm};
use crate::error::LoadError;
use crate::mix::{Function, Zipf};
use crate::pace::Pacer;
use crate::pair::{Control, Shared, request};
use crate::record::{Origin, Recorder, Recording, Times};
use crate::schedule::Schedule;

/// How often a thread looks whether its load is over.
const POLL: Duration = Duration::from_millis(5);
/// Ready tasks run between two looks at sockets and timers: few, so that the schedule is kept under load.
const EVENT_INTERVAL: u32 = 13;

/// What a thread is given.
#[derive(Debug)]
pub(crate) struct Worker {
    pub(crate) index: usize,
    pub(crate) config: LoadConfig,
    pub(crate) functions: Arc<[Function]>,
    pub(crate) control: Arc<Control>,
    /// The storm, on the one thread that makes it and nothing else.
    pub(crate) storm: Option<Storm>,
    /// Makes the keys of fresh functions unlike any other run's.
    pub(crate) mark: String,
}

/// Where requests come from on one thread.
struct Source {
    channels: Vec<Channel>,
    functions: Arc<[Function]>,
    zipf: Zipf,
    cold_share: f64,
    mark: String,
    issued: u64,
    random: ChaCha8Rng,
}

impl Source {
    /// Issues one request of the load.
    fn next(&mut self) -> (Channel, Function, Origin) {
        let channel = self.channel();
        if self.cold_share > 0.0 && self.random.random_bool(self.cold_share) {
            return (channel, Function::new(format!("pilotlight-bench-cold-{}-{}", self.mark, self.issued)), Origin::Cold);
        }
        let number = self.zipf.pick(&mut self.random);
        (channel, self.functions[number].clone(), Origin::Warm)
    }

    fn channel(&mut self) -> Channel {
        self.issued += 1;
        let index = usize::try_from(self.issued).expect("64-bit") % self.channels.len();
        self.channels[index].clone()
    }
}

impl Worker {
    /// Connects, reports, waits for the times, puts on the load and returns what it saw.
    pub(crate) fn drive(self, ready: &Sender<Result<(), LoadError>>, go: &Receiver<Times>) -> Result<Recording, LoadError> {
        let runtime = runtime()?;
        let tasks = LocalSet::new();
        let lost = Rc::new(RefCell::new(None));
        let channels = match tasks.block_on(&runtime, self.connect(&lost)) {
            Ok(channels) => channels,
            Err(error) => {
                let told = ready.send(Err(error));
                return told.map(|()| Recording::new()).map_err(|_| LoadError::Interrupted);
            }
        };
        // Whoever started this is gone only when the run has failed elsewhere.
        if ready.send(Ok(())).is_err() {
            return Err(LoadError::Interrupted);
        }
        let times = go.recv().map_err(|_| LoadError::Interrupted)?;
        let shared = Rc::new(Shared {
            recorder: RefCell::new(Recorder::new(times)),
            outstanding: Cell::new(0),
            number: Cell::new((self.index as u64) << 48),
            hold: self.config.mix.hold,
            control: Arc::clone(&self.control),
        });
        let load = self.load(&shared, channels, times);
        tasks.block_on(&runtime, async {
            tokio::select! {
                outcome = load => outcome,
                reason = watch(&lost) => Err(self.lost(reason)),
                () = stopped(&self.control) => Err(LoadError::Interrupted),
            }
        })?;
        // What is still under way is dropped, and recorded as unfinished.
        drop(tasks);
        let recorder = shared.recorder.replace(Recorder::new(times));
        Ok(recorder.recording)
    }

    async fn connect(&self, lost: &Rc<RefCell<Option<String>>>) -> Result<Vec<Channel>, LoadError> {
        let (threads, all) = (self.config.threads, self.config.connections);
        let own = if self.storm.is_some() { 1 } else { all / threads + usize::from(self.index < all % threads) };
        let mut channels = Vec::with_capacity(own);
        for _ in 0..own {
            let (lost, storms) = (Rc::clone(lost), self.storm.is_some());
            // Calls that a storm breaks are its result; the load's would measure nothing any more.
            let told = move |reason| {
                if !storms {
                    *lost.borrow_mut() = Some(reason);
                }
            };
            channels.push(Channel::connect(&self.config.target, told).await?);
        }
        Ok(channels)
    }

    async fn load(&self, shared: &Rc<Shared>, channels: Vec<Channel>, times: Times) -> Result<(), LoadError> {
        let seed = self.config.seed.wrapping_add((self.index as u64) << 32);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        // A connection closes with its last channel: none may before the last call is over.
        let open = channels.clone();
        let source = Source {
            channels,
            functions: Arc::clone(&self.functions),
            zipf: Zipf::new(self.functions.len(), self.config.mix.skew),
            cold_share: self.config.mix.cold_share,
            mark: format!("{}-{}", self.mark, self.index),
            issued: 0,
            random: ChaCha8Rng::seed_from_u64(random.random()),
        };
        match (self.storm, self.config.arrivals) {
            (Some(storm), _) => self.storm(shared, &open[0], storm, times).await?,
            (None, Loop::Closed { streams }) => self.closed(shared, source, streams, times).await?,
            (None, Loop::Open { rate, spacing }) => self.open(shared, source, random, (rate, spacing), times).await?,
        }
        self.drain(shared, times).await;
        drop(open);
        Ok(())
    }

    /// Starts the callers and waits until they have stopped.
    async fn closed(&self, shared: &Rc<Shared>, source: Source, streams: usize, times: Times) -> Result<(), LoadError> {
        let callers = streams * source.channels.len();
        let source = Rc::new(RefCell::new(source));
        let pacer = Pacer::new()?;
        pacer.until(times.start).await?;
        for _ in 0..callers {
            let (shared, source) = (Rc::clone(shared), Rc::clone(&source));
            spawn_local(async move {
                loop {
                    let due = Instant::now();
                    if due >= times.end {
                        break;
                    }
                    let (channel, function, origin) = source.borrow_mut().next();
                    request(Rc::clone(&shared), channel, function, origin, due).await;
                }
            });
        }
        pacer.until(times.end).await
    }

    /// Issues requests as the schedule says, whatever became of the earlier ones.
    async fn open(
        &self,
        shared: &Rc<Shared>,
        mut source: Source,
        mut random: ChaCha8Rng,
        (rate, spacing): (f64, Spacing),
        times: Times,
    ) -> Result<(), LoadError> {
        // Two calls a request; the threads share the rate and interleave.
        let requests = rate / 2.0;
        let own = requests / self.config.threads as f64;
        let mut schedule = Schedule::new(own, spacing, Duration::from_secs_f64(self.index as f64 / requests));
        let pacer = Pacer::new()?;
        loop {
            let due = times.start + schedule.next(&mut random);
            if due >= times.end {
                return pacer.until(times.end).await;
            }
            pacer.until(due).await?;
            shared.recorder.borrow_mut().lagged(due, Instant::now().saturating_duration_since(due));
            let (channel, function, origin) = source.next();
            spawn_local(request(Rc::clone(shared), channel, function, origin, due));
        }
    }

    /// Issues the storm's requests, evenly spread, on one connection.
    async fn storm(&self, shared: &Rc<Shared>, channel: &Channel, storm: Storm, times: Times) -> Result<(), LoadError> {
        let pacer = Pacer::new()?;
        for number in 0..storm.requests {
            let share = number as f64 / storm.requests as f64;
            let due = times.storm + storm.duration.mul_f64(share);
            pacer.until(due).await?;
            let function = Function::new(format!("pilotlight-bench-storm-{}-{:06}", self.mark, number % storm.functions));
            spawn_local(request(Rc::clone(shared), channel.clone(), function, Origin::Storm, due));
        }
        pacer.until(times.end).await
    }

    /// Waits until every request is over or the grace has passed.
    async fn drain(&self, shared: &Rc<Shared>, times: Times) {
        let limit = times.end + self.config.grace;
        while shared.outstanding.get() > 0 && Instant::now() < limit {
            tokio::time::sleep(POLL).await;
        }
    }

    fn lost(&self, reason: String) -> LoadError {
        LoadError::Lost { target: self.config.target.clone(), calls: self.control.answered.load(Ordering::Relaxed), reason }
    }
}

/// Makes the runtime that a client thread runs on.
pub(crate) fn runtime() -> Result<Runtime, LoadError> {
    Builder::new_current_thread().enable_all().event_interval(EVENT_INTERVAL).build().map_err(LoadError::system("cannot start a runtime"))
}

async fn watch(lost: &RefCell<Option<String>>) -> String {
    loop {
        if let Some(reason) = lost.borrow_mut().take() {
            return reason;
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn stopped(control: &Control) {
    while !control.stop.load(Ordering::Relaxed) {
        tokio::time::sleep(POLL).await;
    }
}
