//! What a host may set on an engine.

use crate::nanos::Nanos;
use crate::policy::PolicySpec;

/// Settings of an engine. Fixed for its life.
#[derive(Debug)]
pub struct EngineConfig {
    /// What to keep and when to start.
    pub policy: PolicySpec,
    /// Starts that may fail while a request is the oldest before it is answered with an error. At least 1; default 3: one
    /// failure may be the platform's bad moment, three in a row are the function's fault.
    pub start_attempts: u32,
    /// Distinct functions before new ones are refused. Default 100,000, each some hundreds of bytes when idle.
    pub max_functions: u32,
    /// Requests waiting at once, over all functions, before new ones are refused. Default 100,000.
    pub max_waiting: u64,
    /// Pause before a failed DestroySlot is issued again; doubles with each failure up to 64 times. Default 1 s.
    pub destroy_retry: Nanos,
}

impl EngineConfig {
    /// The defaults with a policy.
    #[must_use]
    pub fn new(policy: PolicySpec) -> Self {
        Self { policy, start_attempts: 3, max_functions: 100_000, max_waiting: 100_000, destroy_retry: Nanos::from_secs(1) }
    }
}
