//! Why a call gets no reply.

use pilotlight_core::{EngineError, WakeError};

/// Longest text that says why. It may hold what a client or a platform sent, and a client drops a reply whose headers are too long.
const LONGEST_TEXT: usize = 1024;

/// Cuts a text between two characters.
pub(crate) fn cut(text: &str) -> &str {
    let ends = text.char_indices().map(|(start, character)| start + character.len_utf8());
    &text[..ends.take_while(|&end| end <= LONGEST_TEXT).last().unwrap_or(0)]
}

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

#[cfg(test)]
mod tests {
    use super::{LONGEST_TEXT, cut};

    #[test]
    fn a_long_text_is_cut_between_characters() {
        assert_eq!(cut("short"), "short");
        assert_eq!(cut(&"x".repeat(LONGEST_TEXT + 1)).len(), LONGEST_TEXT);
        assert_eq!(cut(&format!("x{}", "ü".repeat(LONGEST_TEXT))).len(), LONGEST_TEXT - 1);
    }
}
