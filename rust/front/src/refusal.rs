//! Why a call gets no reply.

use pilotlight_core::{EngineError, WakeError};

/// A call that is refused at once. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request's bytes or fields are not usable; the text names the field.
    #[error("{0}")]
    InvalidRequest(String),
    /// An Idle names an instance that this service never handed out, or no longer has.
    #[error("{0}")]
    InstanceNotFound(String),
    /// The engine takes no such request, or no more of them.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A request that waited and gets no instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Unserved {
    /// Why, in kind.
    pub error: WakeError,
    /// The same for the client, with the platform's words where there are any.
    pub text: String,
}
