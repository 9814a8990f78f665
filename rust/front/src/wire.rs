//! The messages of the Scaler service that the core reads and writes, as in `proto/`.
//!
//! Fields that the core does not use are left out: decoding skips them.

use prost::{DecodeError, Message};

/// Asks for an instance.
#[derive(Clone, PartialEq, Message)]
pub struct AssignRequest {
    /// The client's name of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// The function.
    #[prost(message, optional, tag = "3")]
    pub meta_data: Option<Meta>,
}

/// A function.
#[derive(Clone, PartialEq, Message)]
pub struct Meta {
    /// The function's key.
    #[prost(string, tag = "1")]
    pub key: String,
    /// The language runtime.
    #[prost(string, tag = "3")]
    pub runtime: String,
    /// How long one execution may take.
    #[prost(uint32, tag = "4")]
    pub timeout_in_secs: u32,
    /// The memory of its slots.
    #[prost(uint64, tag = "5")]
    pub memory_in_mb: u64,
}

/// The instance that a request got.
#[derive(Clone, PartialEq, Message)]
pub struct AssignReply {
    /// A [`Status`].
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
    /// Spelled as in the protocol.
    #[prost(message, optional, tag = "2")]
    pub assigment: Option<Assignment>,
}

/// A request bound to an instance.
#[derive(Clone, PartialEq, Message)]
pub struct Assignment {
    /// The client's name of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// The function's key.
    #[prost(string, tag = "2")]
    pub meta_key: String,
    /// The instance, see `instance_id`.
    #[prost(string, tag = "3")]
    pub instance_id: String,
}

/// Says that a request has ended.
#[derive(Clone, PartialEq, Message)]
pub struct IdleRequest {
    /// Spelled as in the protocol.
    #[prost(message, optional, tag = "1")]
    pub assigment: Option<Assignment>,
    /// How it ended.
    #[prost(message, optional, tag = "2")]
    pub result: Option<Result>,
}

/// How a request ended.
#[derive(Clone, PartialEq, Message)]
pub struct Result {
    /// The instance is broken.
    #[prost(bool, optional, tag = "3")]
    pub need_destroy: Option<bool>,
}

/// The answer to an Idle.
#[derive(Clone, PartialEq, Message)]
pub struct IdleReply {
    /// A [`Status`].
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
    /// What went wrong.
    #[prost(string, optional, tag = "3")]
    pub error_message: Option<String>,
}

/// The protocol's own status inside replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
pub enum Status {
    /// The call did what it asks.
    Ok = 0,
    /// Too many requests.
    Throttle = 1,
    /// The scaler cannot serve it.
    InternalError = 2,
    /// What it names does not exist.
    NotFound = 3,
    /// A field is not usable.
    InvalidArgument = 4,
    /// Spelled as in the protocol.
    InvalidAssigment = 5,
}

/// Decodes a message.
///
/// # Errors
///
/// Not an encoded message of that type; the text names it.
pub fn decode<M: Message + Default>(name: &str, bytes: &[u8]) -> std::result::Result<M, String> {
    M::decode(bytes).map_err(|error: DecodeError| format!("not an encoded {name}: {error}"))
}
