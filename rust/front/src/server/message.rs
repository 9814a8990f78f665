//! A call's one message: a byte that says whether it is compressed, four with its length, and itself, cut into DATA frames anyhow.

use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use h2::RecvStream;

use super::status::{Code, Failure};

/// Longest request.
pub(super) const LONGEST: usize = 1 << 20;
const PREFIX: usize = 5;

/// Why there is no message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// The client is to be told.
    Failed(Failure),
    /// The stream or the connection has gone.
    Gone,
}

/// A message on its way in.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// What came, if it was not all at once.
    read: BytesMut,
}

impl Incoming {
    /// Reads on. Ready once the client has ended the stream, or cannot have sent one message any more.
    pub(super) fn poll(&mut self, body: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Bytes, Unread>> {
        loop {
            let Some(data) = ready!(body.poll_data(cx)) else {
                // Trailers of a request say nothing; a reset may follow its data.
                return Poll::Ready(self.end());
            };
            let Ok(data) = data else { return Poll::Ready(Err(Unread::Gone)) };
            // It fails only when the stream has gone, which the next poll says.
            let _ = body.flow_control().release_capacity(data.len());
            let ended = body.is_end_stream();
            if ended && self.read.is_empty() {
                return Poll::Ready(whole(data).map_err(Unread::Failed));
            }
            self.read.extend_from_slice(&data);
            if let Err(failure) = check(&self.read) {
                return Poll::Ready(Err(Unread::Failed(failure)));
            }
            if ended {
                return Poll::Ready(self.end());
            }
        }
    }

    /// Bytes held.
    pub(super) fn held(&self) -> usize {
        self.read.len()
    }

    fn end(&mut self) -> Result<Bytes, Unread> {
        whole(self.read.split().freeze()).map_err(Unread::Failed)
    }
}

/// Checks what can be checked of a message's beginning; returns its length with its prefix, if that is there.
fn check(read: &[u8]) -> Result<Option<usize>, Failure> {
    let Some((prefix, message)) = read.split_at_checked(PREFIX) else { return Ok(None) };
    match prefix[0] {
        0 => {}
        1 => return Err(Failure::new(Code::Unimplemented, "compressed messages are not supported: send them as identity")),
        flag => return Err(Failure::new(Code::Internal, format!("the message's compression flag is {flag}: allowed are 0 and 1"))),
    }
    let length = (&prefix[1..]).get_u32() as usize;
    if length > LONGEST {
        let text = format!("the message has {length} bytes: allowed are {LONGEST}");
        return Err(Failure::new(Code::ResourceExhausted, text));
    }
    if message.len() > length {
        return Err(Failure::new(Code::Internal, "more than one message came for a call that takes one"));
    }
    Ok(Some(PREFIX + length))
}

/// Takes the message out of a whole body.
fn whole(mut body: Bytes) -> Result<Bytes, Failure> {
    match check(&body)? {
        Some(length) if length == body.len() => {
            body.advance(PREFIX);
            Ok(body)
        }
        _ if body.is_empty() => Err(Failure::new(Code::Internal, "no message came for a call that takes one")),
        _ => Err(Failure::new(Code::Internal, "the stream ended inside the message")),
    }
}

/// Encodes a message with its prefix.
pub(super) fn encode(message: &impl prost::Message) -> Bytes {
    let length = message.encoded_len();
    let mut bytes = BytesMut::with_capacity(PREFIX + length);
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(length).expect("a reply is shorter than 4 GiB"));
    message.encode_raw(&mut bytes);
    bytes.freeze()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::{LONGEST, check, whole};
    use crate::server::status::Code;

    #[test]
    fn a_whole_body_is_its_message() {
        assert_eq!(whole(Bytes::from_static(b"\0\0\0\0\x02ab")), Ok(Bytes::from_static(b"ab")));
        assert_eq!(whole(Bytes::from_static(b"\0\0\0\0\0")), Ok(Bytes::new()));
    }

    #[test]
    fn anything_but_one_message_is_refused() {
        for (body, code) in [
            (&b""[..], Code::Internal),
            (b"\0\0\0", Code::Internal),
            (b"\0\0\0\0\x02a", Code::Internal),
            (b"\0\0\0\0\x01ab", Code::Internal),
            (b"\0\0\0\0\0\0\0\0\0\0", Code::Internal),
            (b"\x02\0\0\0\0", Code::Internal),
            (b"\x01\0\0\0\0", Code::Unimplemented),
        ] {
            assert_eq!(whole(Bytes::from_static(body)).unwrap_err().code, code, "{body:?}");
        }
    }

    #[test]
    fn a_message_is_refused_by_its_prefix() {
        assert_eq!(check(b"\0\0\x10\0\0"), Ok(Some(LONGEST + 5)));
        assert_eq!(check(b"\0\0\x10\0\x01").unwrap_err().code, Code::ResourceExhausted);
    }
}
