//! What the benchmarks share: an engine with warm instances, and a storm beside it.

use std::sync::atomic::{AtomicBool, Ordering};

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Assign, Command, Ending, Engine, EngineConfig, FunctionId, FunctionRef, Idle, Nanos, RequestTag};

/// A well-mixed number for each counter (splitmix64).
#[must_use]
pub fn mix(counter: u64) -> u64 {
    let mut z = counter.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// One of `count` numbers for each counter.
///
/// # Panics
///
/// Never: it is below `count`.
#[must_use]
pub fn pick(counter: u64, count: u32) -> usize {
    usize::try_from(mix(counter) % u64::from(count)).expect("below 2^32")
}

/// An engine whose functions have free instances.
#[derive(Debug)]
pub struct Warm {
    /// The engine.
    pub engine: Engine,
    keys: Vec<String>,
}

fn wanted(key: &str) -> FunctionRef<'_> {
    FunctionRef { key, runtime: "go", timeout_s: 60, memory_mb: 128 }
}

/// Carries out the last command, which is for the platform; it succeeds.
fn report(engine: &Engine, now: Nanos, out: &mut Vec<Command>) {
    match out.pop() {
        Some(Command::CreateSlot { slot, .. }) => engine.handle_slot_created(now, slot, Nanos(1), out).expect("it is being created"),
        Some(Command::Init { slot, .. }) => engine.handle_instance_ready(now, slot, Nanos(1), out).expect("it is being initialised"),
        Some(Command::DestroySlot { slot, .. }) => engine.handle_slot_destroyed(now, slot).expect("it is being destroyed"),
        Some(Command::Wake { .. }) | None => unreachable!("the caller looked"),
    }
}

/// Carries out commands at once: every start succeeds, whoever waited runs for no time.
fn carry_out(engine: &Engine, now: Nanos, request: RequestTag, out: &mut Vec<Command>) {
    while let Some(command) = out.last() {
        if let Command::Wake { result, .. } = *command {
            out.pop();
            engine.handle_end(now, result.expect("starts succeed"), request, Ending::Good, out);
        } else {
            report(engine, now, out);
        }
    }
}

impl Warm {
    /// Starts `each` instances for each of so many functions.
    ///
    /// # Panics
    ///
    /// If `policy` does not parse.
    #[must_use]
    pub fn new(policy: &str, functions: u32, each: u32) -> Self {
        let config = EngineConfig { max_functions: u32::MAX, ..EngineConfig::new(PolicySpec::parse(policy).expect("a valid policy")) };
        let engine = Engine::new(config);
        let keys: Vec<_> = (0..functions).map(|number| format!("function-{number}")).collect();
        for key in &keys {
            let id = engine.function(&wanted(key)).expect("no limit");
            let (mut out, mut slots, tag) = (Vec::new(), Vec::new(), RequestTag(0));
            for _ in 0..each {
                engine.handle_assign(Nanos(1), id, tag, Nanos::MAX, &mut out).expect("below the limit");
            }
            // Nobody ends before all are started, so that there are as many instances as the policy lets there be.
            while let Some(command) = out.last() {
                if let Command::Wake { result, .. } = *command {
                    out.pop();
                    slots.push(result.expect("starts succeed"));
                } else {
                    report(&engine, Nanos(2), &mut out);
                }
            }
            for slot in slots {
                engine.handle_end(Nanos(4), slot, tag, Ending::Good, &mut out);
                carry_out(&engine, Nanos(4), tag, &mut out);
            }
        }
        Self { engine, keys }
    }

    /// One request: the function is found by its key, a free instance handed out and taken back.
    ///
    /// # Panics
    ///
    /// If none is free.
    pub fn pair(&self, function: usize, request: u64) {
        let (key, now, tag) = (&self.keys[function], Nanos(1_000 * request), RequestTag(request));
        let mut out = Vec::new();
        let id = self.engine.function(&wanted(key)).expect("known");
        let Ok(Assign::Warm(slot)) = self.engine.handle_assign(now, id, tag, Nanos::MAX, &mut out) else { panic!("one is free") };
        assert_eq!(self.engine.handle_idle(now, slot, key, tag, Ending::Good, &mut out), Idle::Ended);
    }

    /// Runs something while another thread asks for instances of so many other functions, one request after the other, and starts and
    /// retires them.
    ///
    /// # Panics
    ///
    /// If the engine refuses one.
    pub fn while_storming<T>(&self, functions: u32, run: impl FnOnce() -> T) -> T {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let ids: Vec<FunctionId> =
                    (0..functions).map(|number| self.engine.function(&wanted(&format!("storm-{number}"))).expect("no limit")).collect();
                let (mut out, now) = (Vec::new(), Nanos(1));
                for (request, &id) in (0..).zip(ids.iter().cycle()) {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    let tag = RequestTag(request);
                    match self.engine.handle_assign(now, id, tag, Nanos::MAX, &mut out).expect("below the limit") {
                        // `bad`: the instance is destroyed, so that the next request finds none again.
                        Assign::Warm(slot) => drop(self.engine.handle_end(now, slot, tag, Ending::Destroy, &mut out)),
                        Assign::Waiting(_) => carry_out(&self.engine, now, tag, &mut out),
                    }
                    carry_out(&self.engine, now, tag, &mut out);
                }
            });
            let result = run();
            over.store(true, Ordering::Relaxed);
            result
        })
    }
}
