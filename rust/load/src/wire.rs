//! The messages of both services as the load sees them.
//!
//! Strings and sub-messages are length-delimited like bytes, so what is only passed on is declared as bytes and never parsed or copied.

use bytes::Bytes;
use prost::Message;

/// A function, as every request that calls it describes it.
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

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AssignRequest {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request_id: Bytes,
    #[prost(uint64, tag = "2")]
    pub(crate) timestamp: u64,
    /// An encoded `Meta`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) meta_data: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AssignReply {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
    /// An encoded `Assignment`, spelled as in the protocol.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) assigment: Option<Bytes>,
    #[prost(string, optional, tag = "3")]
    pub(crate) error_message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Assignment {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) request_id: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) meta_key: Bytes,
    #[prost(bytes = "bytes", tag = "3")]
    pub(crate) instance_id: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IdleRequest {
    /// An encoded `Assignment`, spelled as in the protocol.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) assigment: Option<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub(crate) result: Option<ExecutionResult>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ExecutionResult {
    #[prost(int32, tag = "1")]
    pub(crate) status_code: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) duration_in_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct IdleReply {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
    #[prost(string, optional, tag = "3")]
    pub(crate) error_message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateSlotRequest {
    /// An encoded `ResourceConfig`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) resource_config: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResourceConfig {
    #[prost(uint64, tag = "1")]
    pub(crate) memory_in_megabytes: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct CreateSlotReply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    #[prost(message, optional, tag = "2")]
    pub(crate) slot: Option<Slot>,
    #[prost(string, optional, tag = "3")]
    pub(crate) error_message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Slot {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    /// An encoded `ResourceConfig`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) resource_config: Option<Bytes>,
    #[prost(uint64, tag = "3")]
    pub(crate) create_time: u64,
    #[prost(uint64, tag = "4")]
    pub(crate) create_duration_in_ms: u64,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InitRequest {
    #[prost(string, tag = "2")]
    pub(crate) slot_id: String,
    #[prost(string, tag = "3")]
    pub(crate) instance_id: String,
    #[prost(message, optional, tag = "4")]
    pub(crate) meta_data: Option<Meta>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct InitReply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    #[prost(uint64, tag = "2")]
    pub(crate) create_time: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) init_duration_in_ms: u64,
    #[prost(string, optional, tag = "4")]
    pub(crate) error_message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DestroySlotRequest {
    #[prost(string, tag = "2")]
    pub(crate) id: String,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct DestroySlotReply {
    #[prost(enumeration = "Status", tag = "1")]
    pub(crate) status: i32,
    #[prost(string, optional, tag = "2")]
    pub(crate) error_message: Option<String>,
}

/// The protocol's own status inside replies, as far as a platform uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
pub(crate) enum Status {
    Ok = 0,
    NotFound = 3,
    InvalidArgument = 4,
}
