//! Policies: what to keep and when to start. Plain arithmetic over facts; no atomics, no clock, no state of the engine's.

mod break_even;
mod fixed;
mod spec;

use std::fmt::Debug;

pub use break_even::BreakEven;
pub use fixed::Fixed;
pub use spec::{Handoff, POLICIES, ParameterInfo, PolicyInfo, PolicySpec, SHARED, Surplus};

use crate::nanos::Nanos;

/// What a policy may know of an instance that has just become free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreeInstance {
    /// Memory of its slot in MB.
    pub memory_mb: u32,
    /// What replacing it would take: smoothed create plus Init time of its function.
    pub cold_start: Nanos,
}

/// What a policy may know of a function's queue when it may want another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queue {
    /// Requests that wait, the newest included.
    pub waiting: u32,
    /// Starts in flight.
    pub starting: u32,
}

/// The two decisions of a scaler. Called on the warm path: keep them to a handful of operations and free of allocation.
pub trait Policy: Debug + Send + Sync {
    /// How long a free instance is kept before it is retired. Zero retires it at the next tick.
    fn keep_alive(&self, instance: &FreeInstance) -> Nanos;

    /// Is one more start wanted? Asked again after every start until the answer is no. By default every waiting request has one.
    fn wants_start(&self, queue: &Queue) -> bool {
        queue.waiting > queue.starting
    }
}
