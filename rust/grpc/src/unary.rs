//! The answer to a unary call, as gRPC over HTTP/2 lays it out: headers, one message, trailers with the status.

use bytes::{Bytes, BytesMut};
use h2::Reason;
use h2::client::ResponseFuture;
use http::HeaderMap;

use crate::frame::unframe;

/// Names of gRPC's status codes.
const STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Why a call has no usable reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name of gRPC's status code, or of what the caller saw instead.
    pub status: &'static str,
    /// The server's text, or ours.
    pub message: String,
    /// The server has said goodbye and will not look at the call.
    pub unprocessed: bool,
}

impl Failure {
    /// A failure of a call that the server may have carried out.
    pub fn new(status: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), unprocessed: false }
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        // gRPC's table, but for a refused stream: it was certainly not looked at, and whoever may repeat the call should know.
        let status = match error.reason().filter(|_| error.is_reset()) {
            None => "UNAVAILABLE",
            Some(Reason::REFUSED_STREAM | Reason::ENHANCE_YOUR_CALM) => "RESOURCE_EXHAUSTED",
            Some(Reason::CANCEL) => "CANCELLED",
            Some(Reason::INADEQUATE_SECURITY) => "PERMISSION_DENIED",
            Some(_) => "INTERNAL",
        };
        // A stream ends with a goodbye only if its number is above the last that the server looks at.
        Self { unprocessed: error.is_remote() && error.is_go_away(), ..Self::new(status, error.to_string()) }
    }
}

/// Returns the message of a response whose status is OK.
///
/// # Errors
///
/// The call failed, its connection ended, or the response is none of gRPC's.
pub async fn receive(response: ResponseFuture) -> Result<Bytes, Failure> {
    let (head, mut body) = response.await?.into_parts();
    if head.status != 200 {
        let status = match head.status.as_u16() {
            400 => "INTERNAL",
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "UNIMPLEMENTED",
            429 | 502..=504 => "UNAVAILABLE",
            _ => "UNKNOWN",
        };
        return Err(Failure::new(status, format!("HTTP status {}", head.status.as_u16())));
    }
    if head.headers.contains_key("grpc-status") {
        outcome(&head.headers)?;
    }
    let mut received = Bytes::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        received = if received.is_empty() { chunk } else { BytesMut::from_iter([received, chunk].concat()).freeze() };
    }
    match body.trailers().await? {
        Some(trailers) => outcome(&trailers)?,
        None if head.headers.contains_key("grpc-status") => {}
        None => return Err(Failure::new("INTERNAL", "the response has no grpc-status")),
    }
    unframe(received).map_err(|text| Failure::new("INTERNAL", text))
}

fn outcome(headers: &HeaderMap) -> Result<(), Failure> {
    let code = headers.get("grpc-status").map(http::HeaderValue::as_bytes);
    if code == Some(b"0") {
        return Ok(());
    }
    let number = code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse::<usize>().ok());
    let message = headers.get("grpc-message").map_or_else(String::new, |text| percent_decoded(text.as_bytes()));
    Err(Failure::new(number.and_then(|number| STATUS.get(number).copied()).unwrap_or("UNKNOWN"), message))
}

/// Reads the value of `grpc-message`: `%XX` is a byte of its UTF-8; what does not parse stays as it is.
fn percent_decoded(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|_| first == b'%').and_then(|digits| std::str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::percent_decoded;

    #[test]
    fn a_message_is_read_as_it_was_meant() {
        assert_eq!(percent_decoded(b"f%C3%BCr 100%25"), "für 100%");
        assert_eq!(percent_decoded(b"50% of %zz %4"), "50% of %zz %4");
    }
}
