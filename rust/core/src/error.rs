//! What a host may have asked wrongly, or too much of.

use crate::ids::SlotId;

/// Errors of the engine's calls. None of them changes any state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The function table is full of functions that are in use.
    #[error("already {limit} functions with slots or requests: refusing a new one (raise max_functions)")]
    TooManyFunctions {
        /// The configured limit.
        limit: u32,
    },
    /// The key is in use with too many different settings.
    #[error(
        "already {limit} versions of one function with slots or requests: refusing a new one (its runtime, memory and timeout keep changing)"
    )]
    TooManyVersions {
        /// The limit.
        limit: u32,
    },
    /// The function has given its place in the table up: look it up again.
    #[error("the function is not known any more: its place was needed for another")]
    FunctionGivenUp,
    /// Too many requests wait.
    #[error("already {limit} requests waiting: refusing one more (raise max_waiting)")]
    TooManyWaiting {
        /// The configured limit.
        limit: u64,
    },
    /// Too many requests of one function wait for what is left to the others.
    #[error(
        "already {waiting} requests of this function waiting, its share of the {limit} that may wait: refusing one more (raise max_waiting)"
    )]
    TooManyWaitingOfFunction {
        /// Its requests that wait.
        waiting: u32,
        /// The configured limit, over all functions.
        limit: u64,
    },
    /// One slot of the function would exceed the memory limit.
    #[error("a slot of {memory_mb} MB exceeds the memory limit of {limit_mb} MB for all slots (raise {setting})")]
    TooLarge {
        /// Memory of the function's slots.
        memory_mb: u32,
        /// The configured limit.
        limit_mb: u64,
        /// What sets it.
        setting: &'static str,
    },
    /// `handle_drain` was called.
    #[error("the scaler is shutting down")]
    Draining,
    /// No slot has this id, or it is not in a state that the report fits.
    #[error("slot {}.{} is not known or not in that state", .0.index, .0.generation)]
    SlotNotFound(SlotId),
}

/// A policy specification that does not parse; the text names the part, what is wrong with it and what is allowed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy `{specification}`: {problem}")]
pub struct PolicyError {
    /// The whole specification as given.
    pub specification: String,
    /// What is wrong, and the remedy.
    pub problem: String,
}
