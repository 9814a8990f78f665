//! What a host may set on an engine.

use std::num::NonZeroU32;

use crate::error::PolicyError;
use crate::nanos::Nanos;
use crate::policy::{Handoff, PolicySpec};

/// Settings of an engine. Fixed for its life.
#[derive(Debug)]
pub struct EngineConfig {
    /// What to keep and when to start.
    pub policy: PolicySpec,
    /// Starts of a function that may fail in a row before those who wait for one are answered with an error and further starts are paced. At
    /// least 1; default 3: one failure may be the platform's bad moment, three in a row are the function's fault.
    pub start_attempts: u32,
    /// Distinct functions known at once. Those at rest give way to new ones; when all are in use, new ones are refused. Default 100,000,
    /// each some hundreds of bytes when idle.
    pub max_functions: u32,
    /// Requests waiting at once, over all functions, before new ones are refused. Default 100,000. Of one function, four times as many as
    /// may still come.
    pub max_waiting: u64,
    /// A busy instance is destroyed after this multiple of its function's timeout; the request may have ended without an Idle. At least 1;
    /// default none: instances are busy for as long as it takes. A function without a timeout has no lease.
    pub lease_factor: Option<f64>,
    /// Slots at once, whatever their state; starts wait for room. Default none. Of one function, four times as many as are left. Like the
    /// two below it needs `handoff=oldest`: a request bound to its own start waits for nothing else.
    pub max_slots: Option<u64>,
    /// Memory of all slots in MB, likewise. Default none. The policy's own limit holds beside it.
    pub max_memory_mb: Option<u64>,
    /// Starts a second, of which as many may come at once as come in a second; others wait. Default none.
    pub max_starts_per_second: Option<NonZeroU32>,
    /// Pause before a failed DestroySlot is issued again; doubles with each failure up to 64 times. Default 1 s.
    pub destroy_retry: Nanos,
}

impl EngineConfig {
    /// Finds settings that do not go together.
    ///
    /// # Errors
    ///
    /// [`PolicyError`]: limits that starts wait under, and a policy whose requests wait for nothing but their own start.
    pub fn check(&self) -> Result<(), PolicyError> {
        let limited = self.max_slots.is_some() || self.max_memory_mb.is_some() || self.max_starts_per_second.is_some();
        if !limited || self.policy.handoff == Handoff::Oldest {
            return Ok(());
        }
        let problem =
            "max_slots, max_memory and max_starts_per_second need handoff=oldest: a request bound to its own start cannot wait for room";
        Err(PolicyError { specification: self.policy.text.clone(), problem: problem.to_owned() })
    }

    /// The defaults with a policy.
    #[must_use]
    pub fn new(policy: PolicySpec) -> Self {
        Self {
            policy,
            start_attempts: 3,
            max_functions: 100_000,
            max_waiting: 100_000,
            lease_factor: None,
            max_slots: None,
            max_memory_mb: None,
            max_starts_per_second: None,
            destroy_retry: Nanos::from_secs(1),
        }
    }
}
