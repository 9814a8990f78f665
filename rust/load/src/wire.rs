//! The messages of both services as the load sees them, and gRPC's framing.
//!
//! Strings and sub-messages are length-delimited like bytes, so what is only passed on is declared as bytes and never parsed or copied.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

/// gRPC's prefix: a compression flag and a big-endian length.
const PREFIX: usize = 5;

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
pub(crate) struct CreateSlotReply {
    #[prost(message, optional, tag = "2")]
    pub(crate) slot: Option<Slot>,
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
pub(crate) struct InitReply {
    #[prost(uint64, tag = "2")]
    pub(crate) create_time: u64,
    #[prost(uint64, tag = "3")]
    pub(crate) init_duration_in_ms: u64,
}

/// Encodes a message with gRPC's prefix.
pub(crate) fn frame(message: &impl Message) -> Bytes {
    let length = message.encoded_len();
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("a message is short"));
    message.encode(&mut frame).expect("the buffer has room");
    frame.freeze()
}

/// Takes gRPC's prefix off; the text says what is wrong with it.
pub(crate) fn unframe(mut body: Bytes) -> Result<Bytes, &'static str> {
    if body.len() < PREFIX {
        return Err("the body is shorter than gRPC's prefix");
    }
    let prefix = body.split_to(PREFIX);
    if prefix[0] != 0 {
        return Err("the message is compressed, which was not offered");
    }
    let length = u32::from_be_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
    if usize::try_from(length) == Ok(body.len()) { Ok(body) } else { Err("the body is not one message of the length its prefix says") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frame_round_trips() {
        let reply = IdleReply { status: 4, error_message: Some("no".to_owned()) };
        let message = unframe(frame(&reply)).expect("a frame");
        assert_eq!(IdleReply::decode(message).expect("a message"), reply);
    }

    #[test]
    fn broken_frames_are_refused() {
        for body in [&b"\0\0\0"[..], b"\x01\0\0\0\x01x", b"\0\0\0\0\x02x", b"\0\0\0\0\x01xy"] {
            assert!(unframe(Bytes::from_static(body)).is_err(), "{body:?}");
        }
    }
}
