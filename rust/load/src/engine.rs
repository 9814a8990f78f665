//! Load on the engine itself, in this process: what a warm Assign and its Idle cost without any wire.

use std::iter::Cycle;
use std::slice::Chunks;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Assign, Command, Ending, Engine, EngineConfig, FunctionRef, Nanos, RequestTag, SlotId};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::mix::Zipf;

/// Pairs between two looks at the clock.
const BATCH: usize = 1024;
/// Functions picked beforehand, so that picking is not measured: at least so many, and so many for each function.
const PICKS: usize = 1 << 14;
const PICKS_PER_FUNCTION: usize = 4;
/// Pairs a function before anything is measured, and how long they may take: a policy that learns is to have learnt.
const WARM_UP_PAIRS: usize = 1_000;
const WARM_UP_LIMIT: Duration = Duration::from_secs(3);
/// Virtual time between two pairs of a thread.
const STEP: u64 = 1_000;

/// What is measured.
#[derive(Debug)]
pub struct EngineLoad {
    /// The engine's policy.
    pub policy: PolicySpec,
    /// Threads that call at once.
    pub threads: usize,
    /// Functions a thread.
    pub functions: usize,
    /// Whether all threads call the same ones.
    pub shared: bool,
    /// Exponent of Zipf's law over the functions of a thread.
    pub skew: f64,
    /// How long is measured.
    pub duration: Duration,
    /// Of the picks.
    pub seed: u64,
}

/// What was measured.
#[derive(Clone, Copy, Debug)]
pub struct EngineReport {
    /// Pairs of all threads.
    pub pairs: u64,
    /// Of them, those that found no free instance and waited for a start.
    pub waited: u64,
    /// The threads' time, summed.
    pub busy: Duration,
    /// Pairs a function and thread before anything was measured, on average.
    pub warm_up: f64,
}

impl EngineReport {
    /// What one pair took the thread that made it.
    #[must_use]
    pub fn pair_ns(&self) -> f64 {
        self.busy.as_nanos() as f64 / self.pairs as f64
    }
}

/// Runs warm pairs on all threads at once, some before anything is measured; functions have an instance for each thread that calls them.
///
/// # Panics
///
/// More functions than the engine takes.
#[must_use]
pub fn warm_pairs(load: EngineLoad) -> EngineReport {
    let engine = Engine::new(EngineConfig::new(load.policy));
    let sets = if load.shared { 1 } else { load.threads };
    let keys: Vec<Vec<String>> = (0..sets)
        .map(|set| (0..load.functions).map(|number| format!("pilotlight-bench-function-{set:02}-{number:06}")).collect())
        .collect();
    start_instances(&engine, &keys, if load.shared { load.threads } else { 1 });
    let barrier = Barrier::new(load.threads);
    let zipf = Zipf::new(load.functions, load.skew);
    let reports: Vec<EngineReport> = thread::scope(|scope| {
        let threads: Vec<_> = (0..load.threads)
            .map(|index| {
                let (engine, barrier, keys) = (&engine, &barrier, &keys[index % sets]);
                let mut random = ChaCha8Rng::seed_from_u64(load.seed.wrapping_add(index as u64));
                let count = PICKS.max(PICKS_PER_FUNCTION * load.functions);
                let picks: Vec<&str> = (0..count).map(|_| keys[zipf.pick(&mut random)].as_str()).collect();
                scope.spawn(move || {
                    let mut caller = Caller::new(engine, &picks, index as u64);
                    barrier.wait();
                    let wanted = (WARM_UP_PAIRS * load.functions) as u64;
                    let warm_up = caller.pairs(|pairs, passed| pairs >= wanted || passed >= WARM_UP_LIMIT);
                    barrier.wait();
                    let measured = caller.pairs(|_, passed| passed >= load.duration);
                    EngineReport { warm_up: warm_up.pairs as f64 / load.functions as f64, ..measured }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("the engine does not panic")).collect()
    });
    let sum = |pairs: fn(&EngineReport) -> u64| reports.iter().map(pairs).sum();
    EngineReport {
        pairs: sum(|report| report.pairs),
        waited: sum(|report| report.waited),
        busy: reports.iter().map(|report| report.busy).sum(),
        warm_up: reports.iter().map(|report| report.warm_up).sum::<f64>() / load.threads as f64,
    }
}

/// Gives every function its instances, all held at once so that none is used twice.
fn start_instances(engine: &Engine, keys: &[Vec<String>], instances: usize) {
    let mut out = Vec::new();
    for key in keys.iter().flatten() {
        let slots: Vec<SlotId> =
            (0..instances).map(|number| assign(engine, key, Nanos(1), RequestTag(number as u64), &mut out).0).collect();
        for (number, slot) in (0..).zip(slots) {
            engine.handle_idle(Nanos(1), slot, key, RequestTag(number), Ending::Good, &mut out);
        }
        out.clear();
    }
}

/// One thread's calls; its virtual time and its place in the picks go on from one stretch to the next.
struct Caller<'a> {
    engine: &'a Engine,
    batches: Cycle<Chunks<'a, &'a str>>,
    tag: u64,
    virtual_now: Nanos,
}

impl<'a> Caller<'a> {
    fn new(engine: &'a Engine, picks: &'a [&'a str], thread: u64) -> Self {
        Self { engine, batches: picks.chunks(BATCH).cycle(), tag: thread << 48, virtual_now: Nanos(STEP) }
    }

    /// Makes pairs until `enough` of their number and the time passed.
    fn pairs(&mut self, enough: impl Fn(u64, Duration) -> bool) -> EngineReport {
        let mut out = Vec::new();
        let (mut pairs, mut waited) = (0, 0);
        let began = Instant::now();
        for batch in &mut self.batches {
            for key in batch {
                self.tag += 1;
                self.virtual_now = Nanos(self.virtual_now.0 + STEP);
                let (slot, warm) = assign(self.engine, key, self.virtual_now, RequestTag(self.tag), &mut out);
                waited += u64::from(!warm);
                self.engine.handle_idle(self.virtual_now, slot, key, RequestTag(self.tag), Ending::Good, &mut out);
                out.clear();
            }
            pairs += batch.len() as u64;
            if enough(pairs, began.elapsed()) {
                break;
            }
        }
        EngineReport { pairs, waited, busy: began.elapsed(), warm_up: 0.0 }
    }
}

/// Returns an instance and whether it was free; a start is carried out at once.
fn assign(engine: &Engine, key: &str, now: Nanos, tag: RequestTag, out: &mut Vec<Command>) -> (SlotId, bool) {
    let wanted = FunctionRef { key, runtime: "python", timeout_s: 60, memory_mb: 128 };
    let function = engine.function(&wanted).expect("below the limit of functions");
    match engine.handle_assign(now, function, tag, Nanos::MAX, out).expect("the engine does not drain") {
        Assign::Warm(slot) => (slot, true),
        Assign::Waiting(_) => (start(engine, now, out), false),
    }
}

/// Carries out commands until somebody waiting has an instance.
fn start(engine: &Engine, now: Nanos, out: &mut Vec<Command>) -> SlotId {
    loop {
        let report = match out.remove(0) {
            Command::CreateSlot { slot, .. } => engine.handle_slot_created(now, slot, Nanos(1), out),
            Command::Init { slot, .. } => engine.handle_instance_ready(now, slot, Nanos(1), out),
            Command::DestroySlot { slot, .. } => engine.handle_slot_destroyed(now, slot),
            Command::Wake { result, .. } => return result.expect("no start fails here"),
        };
        report.expect("each command is answered once");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(threads: usize, shared: bool) -> EngineReport {
        warm_pairs(EngineLoad {
            policy: PolicySpec::parse("fixed").expect("a policy"),
            threads,
            functions: 10,
            shared,
            skew: 1.0,
            duration: Duration::from_millis(5),
            seed: 1,
        })
    }

    #[test]
    fn warm_pairs_never_wait() {
        for (threads, shared) in [(1, false), (2, false), (2, true)] {
            let report = load(threads, shared);
            assert!(report.pairs >= (threads * BATCH) as u64);
            assert_eq!(report.waited, 0, "{threads} threads, shared {shared}");
            assert!(report.warm_up >= WARM_UP_PAIRS as f64, "{} pairs a function", report.warm_up);
        }
    }
}
