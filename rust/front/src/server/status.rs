//! How a call can end other than well: gRPC's status codes, and the one mapping from our errors to them.

use pilotlight_core::{EngineError, WakeError};

use crate::refusal::{Refusal, Unserved, cut};

/// gRPC's status codes that this server uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    Unknown = 2,
    InvalidArgument = 3,
    DeadlineExceeded = 4,
    NotFound = 5,
    ResourceExhausted = 8,
    Unimplemented = 12,
    Internal = 13,
    Unavailable = 14,
    Unauthenticated = 16,
}

impl Code {
    /// The value of `grpc-status`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "2",
            Self::InvalidArgument => "3",
            Self::DeadlineExceeded => "4",
            Self::NotFound => "5",
            Self::ResourceExhausted => "8",
            Self::Unimplemented => "12",
            Self::Internal => "13",
            Self::Unavailable => "14",
            Self::Unauthenticated => "16",
        }
    }
}

/// A call's end without a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) code: Code,
    pub(super) text: String,
}

impl Failure {
    pub(super) fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let code = match &refusal {
            Refusal::InvalidRequest(_) | Refusal::Engine(EngineError::TooLarge { .. }) => Code::InvalidArgument,
            Refusal::InstanceNotFound(_) => Code::NotFound,
            Refusal::Engine(
                EngineError::TooManyFunctions { .. }
                | EngineError::TooManyVersions { .. }
                | EngineError::TooManyWaiting { .. }
                | EngineError::TooManyWaitingOfFunction { .. }
                | EngineError::FunctionGivenUp,
            ) => Code::ResourceExhausted,
            Refusal::Engine(EngineError::Draining) => Code::Unavailable,
            Refusal::Engine(EngineError::SlotNotFound(_)) => Code::Internal,
        };
        Self::new(code, refusal.to_string())
    }
}

impl From<Unserved> for Failure {
    fn from(unserved: Unserved) -> Self {
        let code = match unserved.error {
            WakeError::DeadlineExceeded | WakeError::NoRoom(_) => Code::DeadlineExceeded,
            WakeError::StartFailed | WakeError::Draining => Code::Unavailable,
        };
        Self::new(code, unserved.text)
    }
}

/// Writes a text as the value of `grpc-message`: printable ASCII but `%` as it is, the other bytes of its UTF-8 as `%XX`.
pub(super) fn percent_encoded(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let text = cut(text);
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            encoded.extend([byte >> 4, byte & 0xf].map(|digit| char::from(DIGITS[usize::from(digit)])));
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::percent_encoded;

    #[test]
    fn only_printable_ascii_stays_as_it_is() {
        assert_eq!(percent_encoded("a b~"), "a b~");
        assert_eq!(percent_encoded("100%\n"), "100%25%0A");
        assert_eq!(percent_encoded("für"), "f%C3%BCr");
    }

    #[test]
    fn a_long_text_is_cut_before_it_is_encoded() {
        assert_eq!(percent_encoded(&"ü".repeat(100_000)).len(), 512 * 6);
    }
}
