//! Whether the server answers, as far as its connection and its calls tell.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::client::Outcome;

/// Kept on the client's thread; anyone may read what it came to.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    connected: Cell<bool>,
    /// Since the last answer a call was not answered, or told that nobody is there to answer.
    silent: Cell<bool>,
    /// Calls answered.
    answered: Cell<u64>,
    answers: Arc<AtomicBool>,
}

impl Standing {
    pub(crate) fn new(answers: Arc<AtomicBool>) -> Self {
        Self { answers, ..Self::default() }
    }

    pub(crate) fn connected(&self, connected: bool) {
        self.connected.set(connected);
        self.silent.set(false);
        self.publish();
    }

    /// What a call that is being sent hands to `ended`.
    pub(crate) fn sent(&self) -> u64 {
        self.answered.get()
    }

    /// Notes what came of a call. No answer in time means silence only if no later call got one.
    pub(crate) fn ended(&self, sent: u64, outcome: &Outcome) {
        let silent = match outcome {
            Outcome::NotSent | Outcome::NoTurn => return,
            Outcome::Unanswered => true,
            Outcome::Reply(_) => false,
            Outcome::Failed(failure) => match failure.status {
                "DEADLINE_EXCEEDED" => true,
                // Somebody answers in the platform's place: a proxy, or another service.
                "UNAVAILABLE" | "UNIMPLEMENTED" => return self.set_silent(true),
                _ => false,
            },
        };
        if !silent {
            self.answered.set(self.answered.get() + 1);
        }
        if !silent || self.answered.get() == sent {
            self.set_silent(silent);
        }
    }

    fn set_silent(&self, silent: bool) {
        self.silent.set(silent);
        self.publish();
    }

    fn publish(&self) {
        self.answers.store(self.connected.get() && !self.silent.get(), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use bytes::Bytes;

    use super::Standing;
    use crate::client::Outcome;
    use crate::unary::Failure;

    fn failed(status: &'static str) -> Outcome {
        Outcome::Failed(Failure::new(status, ""))
    }

    #[test]
    fn a_server_answers_while_it_is_connected_and_its_last_call_was_answered() {
        let answers = Arc::new(AtomicBool::new(false));
        let standing = Standing::new(Arc::clone(&answers));
        let after = |outcome: &Outcome| {
            standing.ended(standing.sent(), outcome);
            answers.load(Ordering::Relaxed)
        };
        assert!(!after(&Outcome::NotSent));
        standing.connected(true);
        for silent in [Outcome::Unanswered, failed("DEADLINE_EXCEEDED"), failed("UNAVAILABLE"), failed("UNIMPLEMENTED")] {
            assert!(!after(&silent), "{silent:?}");
            assert!(!after(&Outcome::NoTurn), "a call that was not sent changes nothing");
            assert!(after(&Outcome::Reply(Bytes::new())));
            assert!(after(&failed("INTERNAL")), "a refusal is an answer");
        }
        standing.connected(false);
        assert!(!answers.load(Ordering::Relaxed));
    }

    #[test]
    fn one_lost_answer_beside_later_ones_is_no_silence() {
        let answers = Arc::new(AtomicBool::new(false));
        let standing = Standing::new(Arc::clone(&answers));
        standing.connected(true);
        let sent = standing.sent();
        standing.ended(standing.sent(), &Outcome::Reply(Bytes::new()));
        standing.ended(sent, &Outcome::Unanswered);
        assert!(answers.load(Ordering::Relaxed));
    }
}
