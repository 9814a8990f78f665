//! What a host may set on an engine.

use crate::nanos::Nanos;
use crate::policy::PolicySpec;

/// Settings of an engine. Fixed for its life.
#[derive(Debug)]
pub struct EngineConfig {
    /// What to keep and when to start.
    pub policy: PolicySpec,
    /// Starts of a function that may fail in a row before those who wait for one are answered with an error and further starts are paced. At
    /// least 1; default 3: one failure may be the platform's bad moment, three in a row are the function's fault.
    pub start_attempts: u32,
    /// Distinct functions before new ones are refused. Default 100,000, each some hundreds of bytes when idle.
    pub max_functions: u32,
    /// Requests waiting at once, over all functions, before new ones are refused. Default 100,000.
    pub max_waiting: u64,
    /// A busy instance is destroyed after this multiple of its function's timeout; the request may have ended without an Idle. At least 1;
    /// default none: instances are busy for as long as it takes. A function without a timeout has no lease.
    pub lease_factor: Option<f64>,
    /// Pause before a failed DestroySlot is issued again; doubles with each failure up to 64 times. Default 1 s.
    pub destroy_retry: Nanos,
}

impl EngineConfig {
    /// The defaults with a policy.
    #[must_use]
    pub fn new(policy: PolicySpec) -> Self {
        Self {
            policy,
            start_attempts: 3,
            max_functions: 100_000,
            max_waiting: 100_000,
            lease_factor: None,
            destroy_retry: Nanos::from_secs(1),
        }
    }
}
