//! The messages of both services that the core reads and writes, as in `proto/`.
//!
//! Fields that the core does not use are left out: decoding skips them.

use pilotlight_core::Ending;
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
    /// Like HTTP's: 200 is a success. 0 where the client says nothing.
    #[prost(int32, tag = "1")]
    pub status_code: i32,
    /// The instance is broken.
    #[prost(bool, optional, tag = "3")]
    pub need_destroy: Option<bool>,
}

impl Result {
    /// What it means for the instance: `need_destroy` destroys it, any status but 200 is a failure of its request.
    pub(crate) fn ending(&self) -> Ending {
        match (self.need_destroy, self.status_code) {
            (Some(true), _) => Ending::Destroy,
            (_, 0 | 200) => Ending::Good,
            _ => Ending::Failed,
        }
    }
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

/// Asks a platform for a slot.
#[derive(Clone, PartialEq, Message)]
pub struct CreateSlotRequest {
    /// The caller's name of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// The slot's size.
    #[prost(message, optional, tag = "2")]
    pub resource_config: Option<ResourceConfig>,
}

/// The size of a slot.
#[derive(Clone, PartialEq, Message)]
pub struct ResourceConfig {
    /// Its memory.
    #[prost(uint64, tag = "1")]
    pub memory_in_megabytes: u64,
}

/// The answer to a CreateSlot.
#[derive(Clone, PartialEq, Message)]
pub struct CreateSlotReply {
    /// A [`Status`].
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
    /// The slot.
    #[prost(message, optional, tag = "2")]
    pub slot: Option<Slot>,
}

/// A slot.
#[derive(Clone, PartialEq, Message)]
pub struct Slot {
    /// The platform's name of it.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its size.
    #[prost(message, optional, tag = "2")]
    pub resource_config: Option<ResourceConfig>,
}

/// Asks a platform to make a slot an instance.
#[derive(Clone, PartialEq, Message)]
pub struct InitRequest {
    /// The caller's name of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// The platform's name of the slot.
    #[prost(string, tag = "2")]
    pub slot_id: String,
    /// The scaler's name of the instance.
    #[prost(string, tag = "3")]
    pub instance_id: String,
    /// The function.
    #[prost(message, optional, tag = "4")]
    pub meta_data: Option<Meta>,
}

/// The answer to an Init.
#[derive(Clone, PartialEq, Message)]
pub struct InitReply {
    /// A [`Status`].
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
}

/// Gives a slot back.
#[derive(Clone, PartialEq, Message)]
pub struct DestroySlotRequest {
    /// The caller's name of the request.
    #[prost(string, tag = "1")]
    pub request_id: String,
    /// The platform's name of the slot.
    #[prost(string, tag = "2")]
    pub id: String,
    /// Why.
    #[prost(string, optional, tag = "3")]
    pub reason: Option<String>,
}

/// The answer to a DestroySlot.
#[derive(Clone, PartialEq, Message)]
pub struct DestroySlotReply {
    /// A [`Status`].
    #[prost(enumeration = "Status", tag = "1")]
    pub status: i32,
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
