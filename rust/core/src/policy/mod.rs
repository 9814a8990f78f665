//! Policies: what to keep, when to start, what to hold ready ahead of demand, what to give up first when memory is short.
//!
//! A [`Policy`] makes one [`FunctionPolicy`] for each function; the engine tells it how the function's demand moves and asks it four
//! questions. Everything a policy knows comes through these calls: it has no clock and sees no instance.
//!
//! A function's **demand** is the number of its requests that execute or wait. **Level k** is wanted while demand is k or more; each
//! level has its own idle gaps, and because the instance freed last is handed out first, one free instance stands for one gap.

mod break_even;
mod catalogue;
mod fixed;
mod floor;
mod fourier;
mod greedy_dual;
mod history;
mod hpa;
mod hybrid_histogram;
mod icebreaker;
mod idle_histogram;
mod knative;
mod level_gap;
mod lru;
mod lsth;
mod prewarm;
mod price;
mod profile;
mod seasonal_quantile;
mod spec;

use std::fmt::Debug;

pub use break_even::BreakEven;
pub use catalogue::{Grade, POLICIES, ParameterInfo, PolicyInfo, SHARED};
pub use fixed::Fixed;
pub use floor::Floor;
pub use fourier::Harmonics;
pub use greedy_dual::GreedyDual;
pub use hpa::Hpa;
pub use hybrid_histogram::HybridHistogram;
pub use icebreaker::IceBreaker;
pub use knative::Knative;
pub use level_gap::LevelGap;
pub use lru::Lru;
pub use lsth::Lsth;
pub use price::{Objective, Price};
pub use profile::{Class, Profiles};
pub use seasonal_quantile::SeasonalQuantile;
pub use spec::{Handoff, PolicySpec, Surplus};

use crate::nanos::Nanos;
use crate::table::FunctionSpec;

/// A way to scale, shared by all functions.
pub trait Policy: Debug + Send + Sync {
    /// Makes the part that looks after one function; called once for each.
    fn function(&self, spec: &FunctionSpec) -> Box<dyn FunctionPolicy>;

    /// How long until [`Policy::review`] is to be called next; `None`: never. Asked again after each review.
    fn review_every(&self) -> Option<Nanos> {
        None
    }

    /// Looks at what the run has cost so far.
    fn review(&self, _costs: &Costs) {}

    /// A request got its instance after waiting this long, or none within its deadline. Not called for requests that found a free one.
    fn waited(&self, _wait: Nanos) {}

    /// Does [`FunctionPolicy::priority`] differ between instances? If so, it is asked whenever one becomes free.
    fn ranks_instances(&self) -> bool {
        false
    }
}

/// What a run has cost so far: the ledger's sums over all functions, states still open included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// When.
    pub now: Nanos,
    /// Seconds that requests executed.
    pub execution_s: f64,
    /// The same weighted with memory, in GB·s.
    pub execution_gb_s: f64,
    /// GB·s of all slots, whatever they did.
    pub slot_gb_s: f64,
    /// Seconds that requests waited.
    pub wait_s: f64,
    /// Requests that got an instance.
    pub served: u64,
}

/// One function's part of a policy. Called from any number of threads; `demand_rose`, `demand_fell` and `keep_alive` are on the warm
/// path: a handful of operations, no lock that others hold for long, no allocation. `start`, `started` and `target` are called under the
/// function's lock, so one at a time.
pub trait FunctionPolicy: Debug + Send + Sync {
    /// Demand has just risen to `level`: that level's idle gap, if it had begun, is over.
    fn demand_rose(&self, _now: Nanos, _level: u32) {}

    /// Demand has just fallen from `level`: its idle gap begins. `execution`: how long the request ran; `None` if it left unserved.
    fn demand_fell(&self, _now: Nanos, _level: u32, _execution: Option<Nanos>) {}

    /// The execution whose end was told last cost its instance: its result was bad, or the instance
    /// is retired. On no warm path.
    fn instance_lost(&self) {}

    /// How long an instance that has just become free is kept. Zero retires it at the next tick.
    fn keep_alive(&self, free: &FreeInstance) -> Nanos;

    /// Is one more start wanted for the waiting requests? Asked when one begins to wait, again after each start until the answer is
    /// no, when a start fails, when a request is served while others wait, and at the moment of a [`Start::Later`].
    ///
    /// An answer of [`Start::Now`] may find no room under a memory limit; what is to be remembered of a start belongs into
    /// [`FunctionPolicy::started`]. The question may also be [hypothetical](Queue::hypothetical), and then nothing may be remembered of it.
    fn start(&self, queue: &Queue) -> Start {
        if queue.waiting > queue.starting { Start::Now } else { Start::Enough }
    }

    /// The start that the last answer of [`Start::Now`] wanted is made.
    fn started(&self) {}

    /// How many instances to have now whatever the demand, and when to ask again. Asked when a request begins to wait, when an
    /// execution cost its instance, and by timer.
    fn target(&self, _load: &Load) -> Target {
        Target::NONE
    }

    /// The value of keeping an instance that has just become free: under a memory limit the least valuable goes first.
    fn priority(&self, free: &FreeInstance) -> f64 {
        free.facts.now.as_secs_f64()
    }

    /// A free instance of this priority was given up because memory is short; `left`: instances the function still has.
    fn evicted(&self, _priority: f64, _left: u32) {}

    /// Why it decides as it does, as of `facts.now`: lines of text for a person.
    fn explain(&self, facts: &Facts) -> Vec<String>;
}

/// What every question comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The moment.
    pub now: Nanos,
    /// Memory of the function's slots in MB.
    pub memory_mb: u32,
    /// What a start takes: smoothed create plus Init time of the function, before its first Init that of all functions; zero before
    /// any start has finished.
    pub cold_start: Nanos,
}

impl Facts {
    /// Memory of the function's slots in GB.
    #[must_use]
    pub fn memory_gb(&self) -> f64 {
        f64::from(self.memory_mb) / 1024.0
    }
}

/// An instance that has just become free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeInstance {
    /// The moment and the function.
    pub facts: Facts,
    /// The demand level whose return would take this instance.
    pub level: u32,
}

/// A function's queue when one more start may be wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The moment and the function.
    pub facts: Facts,
    /// Requests that wait.
    pub waiting: u32,
    /// Starts in flight.
    pub starting: u32,
    /// Instances that execute a request.
    pub busy: u32,
    /// When the oldest waiting request that no start in flight will serve arrived. The present moment if there is none.
    pub uncovered_since: Nanos,
    /// Some of `starting` are not in flight: they found no room, and the question is what would be wanted if they had. Whatever the answer,
    /// no start follows from it.
    pub hypothetical: bool,
}

/// An answer to "is one more start wanted?".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Yes.
    Now,
    /// Not yet: ask again at this moment if the request still waits.
    Later(Nanos),
    /// No.
    Enough,
}

/// A function's instances and demand at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// The moment and the function.
    pub facts: Facts,
    /// Requests that execute or wait.
    pub demand: u32,
    /// Instances there are: busy, free and starting.
    pub instances: u32,
}

/// How many instances to have, whatever the demand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Instances: missing ones are started, and so many are never retired.
    pub instances: u32,
    /// When to ask again.
    pub again: Nanos,
}

impl Target {
    /// None, for ever.
    pub const NONE: Self = Self { instances: 0, again: Nanos::MAX };
}
