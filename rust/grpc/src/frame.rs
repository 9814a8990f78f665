//! gRPC's framing: a compression flag, a big-endian length, the message.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;

const PREFIX: usize = 5;

/// Encodes a message with gRPC's prefix.
///
/// # Panics
///
/// The message has 4 GiB or more.
pub fn frame(message: &impl Message) -> Bytes {
    let mut frame = prefixed(message.encoded_len());
    message.encode(&mut frame).expect("the buffer has room");
    frame.freeze()
}

/// Puts gRPC's prefix before a message that is encoded already.
///
/// # Panics
///
/// The message has 4 GiB or more.
#[must_use]
pub fn frame_encoded(message: &[u8]) -> Bytes {
    let mut frame = prefixed(message.len());
    frame.put_slice(message);
    frame.freeze()
}

fn prefixed(length: usize) -> BytesMut {
    let mut frame = BytesMut::with_capacity(PREFIX + length);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(length).expect("a message is short"));
    frame
}

/// Takes gRPC's prefix off.
///
/// # Errors
///
/// The text says what is wrong with it.
pub fn unframe(mut body: Bytes) -> Result<Bytes, &'static str> {
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
    use bytes::Bytes;

    use super::{frame, frame_encoded, unframe};

    #[test]
    fn frame_round_trips() {
        assert_eq!(unframe(frame(&"text".to_owned())).expect("a frame"), Bytes::from_static(b"\x0a\x04text"));
        assert_eq!(unframe(frame_encoded(b"message")).expect("a frame"), Bytes::from_static(b"message"));
    }

    #[test]
    fn broken_frames_are_refused() {
        for body in [&b"\0\0\0"[..], b"\x01\0\0\0\x01x", b"\0\0\0\0\x02x", b"\0\0\0\0\x01xy"] {
            assert!(unframe(Bytes::from_static(body)).is_err(), "{body:?}");
        }
    }
}
