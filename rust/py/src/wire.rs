//! The messages of the Scaler service that the core reads and writes, as in `proto/`.
//!
//! Fields that the core does not use are left out: decoding skips them.

use prost::{DecodeError, Message};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Asks for an instance.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AssignRequest {
    #[prost(string, tag = "1")]
    pub(crate) request_id: String,
    #[prost(message, optional, tag = "3")]
    pub(crate) meta_data: Option<Meta>,
}

/// A function.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Meta {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(string, tag = "3")]
    pub(crate) runtime: String,
    #[prost(uint32, tag = "4")]
    pub(crate) timeout_in_secs: u32,
    #[prost(uint64, tag = "5")]
    pub(crate) memory_in_mb: u64,
}

/// The instance that a request got.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct AssignReply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    /// Spelled as in the protocol.
    #[prost(message, optional, tag = "2")]
    pub(crate) assigment: Option<Assignment>,
}

/// A request bound to an instance.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Assignment {
    #[prost(string, tag = "1")]
    pub(crate) request_id: String,
    #[prost(string, tag = "2")]
    pub(crate) meta_key: String,
    #[prost(string, tag = "3")]
    pub(crate) instance_id: String,
}

/// Says that a request has ended.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct IdleRequest {
    /// Spelled as in the protocol.
    #[prost(message, optional, tag = "1")]
    pub(crate) assigment: Option<Assignment>,
    #[prost(message, optional, tag = "2")]
    pub(crate) result: Option<Result>,
}

/// How a request ended.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Result {
    #[prost(bool, optional, tag = "3")]
    pub(crate) need_destroy: Option<bool>,
}

/// The answer to an Idle.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct IdleReply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    #[prost(string, optional, tag = "3")]
    pub(crate) error_message: Option<String>,
}

/// The protocol's own status inside replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
pub(crate) enum Status {
    Ok = 0,
    Throttle = 1,
    InternalError = 2,
    NotFound = 3,
    InvalidArgument = 4,
    /// Spelled as in the protocol.
    InvalidAssigment = 5,
}

/// Decodes a message; the error text names its type.
pub(crate) fn decode<M: Message + Default>(name: &str, bytes: &[u8]) -> std::result::Result<M, String> {
    M::decode(bytes).map_err(|error: DecodeError| format!("not an encoded {name}: {error}"))
}

/// Encodes a message straight into a bytes object.
pub(crate) fn encode<'py>(py: Python<'py>, message: &impl Message) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, message.encoded_len(), |mut buffer| {
        message.encode(&mut buffer).expect("the buffer has the message's length");
        Ok(())
    })
}
