//! A whole run: warm instances, threads, the measured time, the report.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use crate::config::LoadConfig;
use crate::error::LoadError;
use crate::mix::functions;
use crate::pair::Control;
use crate::prewarm::prewarm;
use crate::record::{Recording, Times};
use crate::usage::Usage;
use crate::worker::Worker;

/// Between the moment all threads are connected and the first call.
const LEAD: Duration = Duration::from_millis(20);
/// Between two looks at clock and threads.
const POLL: Duration = Duration::from_millis(10);

/// Runs of this process: their fresh functions must not be each other's.
static RUNS: AtomicU64 = AtomicU64::new(0);

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Progress {
    /// Warm instances made.
    Prewarm(u64),
    /// Calls answered, and the share of warm-up and measured time that has passed.
    Load {
        /// Calls, of all phases.
        calls: u64,
        /// 0 to 1.
        share: f64,
    },
}

/// What a run measured.
#[derive(Debug)]
pub struct LoadReport {
    /// Every call.
    pub recording: Recording,
    /// The measured time; of a run with a storm only what was before it. So are calls and usages.
    pub duration: Duration,
    /// Calls of every kind that were answered within that time; failed ones are left out.
    pub calls: u64,
    /// The scaler's process at the begin and the end of that time.
    pub target: Option<[Usage; 2]>,
    /// This process at the same moments.
    pub client: [Usage; 2],
}

/// What is read at one edge of the measured time.
struct Edge {
    moment: Instant,
    calls: u64,
    target: Option<Usage>,
    client: Usage,
}

/// Puts the load on the target; blocks until it is over. `progress` is called every few milliseconds; false ends the run.
///
/// # Errors
///
/// A setting is out of range, the target is no Scaler or goes away, or `progress` said so.
///
/// # Panics
///
/// A client thread panicked.
pub fn run(config: &LoadConfig, progress: &mut dyn FnMut(Progress) -> bool) -> Result<LoadReport, LoadError> {
    config.validate()?;
    if let Some(pid) = config.pid {
        Usage::of(pid).map_err(|source| LoadError::Usage { pid, source })?;
    }
    let functions: Arc<[_]> = functions(config.mix.functions).into();
    prewarm(config, &functions, &mut |ready| if progress(Progress::Prewarm(ready)) { Ok(()) } else { Err(LoadError::Interrupted) })?;

    let control = Arc::new(Control::default());
    let (ready, readiness) = channel();
    let mut threads = Vec::new();
    let mark = format!("{:x}-{:x}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let stormy = config.storm.map(|storm| (config.threads, Some(storm)));
    for (index, storm) in (0..config.threads).map(|index| (index, None)).chain(stormy) {
        let (functions, control) = (Arc::clone(&functions), Arc::clone(&control));
        let worker = Worker { index, config: config.clone(), functions, control, storm, mark: mark.clone() };
        let ready = ready.clone();
        let (times, go) = channel();
        let name = format!("load-{index}");
        let spawned = thread::Builder::new().name(name).spawn(move || worker.drive(&ready, &go));
        threads.push((times, spawned.map_err(LoadError::system("cannot start a thread"))?));
    }
    // Closing a thread's channel ends it: that happens to all when one could not connect.
    drop(ready);
    for _ in &threads {
        readiness.recv().map_err(|_| LoadError::Interrupted)??;
    }
    let times = times(config);
    let handles: Vec<_> = threads
        .into_iter()
        .map(|(go, handle)| {
            // A thread that is gone tells why when it is joined.
            let _ = go.send(times);
            handle
        })
        .collect();
    let (begin, end) = follow(config, times, &control, progress, &|| handles.iter().all(thread::JoinHandle::is_finished));
    let mut recording = Recording::new();
    for handle in handles {
        recording.add(&handle.join().expect("a client thread does not panic")?);
    }
    let (Some(begin), Some(end)) = (begin, end) else { return Err(LoadError::Interrupted) };
    Ok(LoadReport {
        recording,
        duration: end.moment - begin.moment,
        calls: end.calls - begin.calls,
        target: begin.target.zip(end.target).map(|(begin, end)| [begin, end]),
        client: [begin.client, end.client],
    })
}

fn times(config: &LoadConfig) -> Times {
    let start = Instant::now() + LEAD;
    let measure = start + config.warm_up;
    let end = measure + config.duration;
    Times { start, measure, storm: if config.storm.is_some() { measure + config.duration / 2 } else { end }, end }
}

/// Reads both edges of the measured time, which a storm ends, tells how far the run is, and returns when the threads are over.
fn follow(
    config: &LoadConfig,
    times: Times,
    control: &Control,
    progress: &mut dyn FnMut(Progress) -> bool,
    over: &dyn Fn() -> bool,
) -> (Option<Edge>, Option<Edge>) {
    let (mut begin, mut end) = (None, None);
    let total = times.end - times.start;
    while !over() {
        let now = Instant::now();
        let next = [times.measure, times.storm].into_iter().map(|moment| moment.saturating_duration_since(now));
        thread::sleep(next.filter(|wait| !wait.is_zero()).fold(POLL, Duration::min));
        let now = Instant::now();
        if begin.is_none() && now >= times.measure {
            begin = Some(edge(config, control));
        }
        if end.is_none() && now >= times.storm {
            end = Some(edge(config, control));
        }
        let share = (now.saturating_duration_since(times.start).as_secs_f64() / total.as_secs_f64()).min(1.0);
        if !progress(Progress::Load { calls: control.answered.load(Ordering::Relaxed), share }) {
            control.stop.store(true, Ordering::Relaxed);
        }
    }
    (begin, end.or_else(|| (Instant::now() >= times.storm).then(|| edge(config, control))))
}

fn edge(config: &LoadConfig, control: &Control) -> Edge {
    Edge {
        moment: Instant::now(),
        calls: control.answered.load(Ordering::Relaxed),
        target: config.pid.and_then(|pid| Usage::of(pid).ok()),
        client: Usage::of(std::process::id()).unwrap_or_default(),
    }
}
