//! Whether the server answers, as far as its connection and its calls tell.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::client::Outcome;

/// What anybody may read of it.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) answers: AtomicBool,
    /// Connections there have been.
    pub(crate) connections: AtomicU64,
}

/// Kept on the client's thread.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    connected: Cell<bool>,
    /// Since the last answer a call was not answered, or told that nobody is there to answer.
    silent: Cell<bool>,
    answered: Cell<u64>,
    told: Arc<Told>,
}

impl Standing {
    pub(crate) fn new(told: Arc<Told>) -> Self {
        Self { told, ..Self::default() }
    }

    pub(crate) fn connected(&self, connected: bool) {
        self.told.connections.fetch_add(connected.into(), Ordering::Relaxed);
        self.connected.set(connected);
        self.set_silent(false);
    }

    /// Calls answered so far: what a call that is being sent hands to `ended`.
    pub(crate) fn answered(&self) -> u64 {
        self.answered.get()
    }

    /// Notes what came of a call. No answer in its time means silence only if no later call got one.
    pub(crate) fn ended(&self, answered_before: u64, outcome: &Outcome) {
        match outcome {
            Outcome::NotSent | Outcome::NoTurn => {}
            Outcome::Unanswered => self.set_silent(self.silent.get() || self.answered.get() == answered_before),
            Outcome::Failed(failure) if failure.status == "DEADLINE_EXCEEDED" => self.ended(answered_before, &Outcome::Unanswered),
            // Somebody answers in the platform's place: a proxy, or another service.
            Outcome::Failed(failure) if ["UNAVAILABLE", "UNIMPLEMENTED"].contains(&failure.status) => self.set_silent(true),
            Outcome::Reply(_) | Outcome::Failed(_) => {
                self.answered.set(self.answered.get() + 1);
                self.set_silent(false);
            }
        }
    }

    fn set_silent(&self, silent: bool) {
        self.silent.set(silent);
        self.told.answers.store(self.connected.get() && !silent, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use bytes::Bytes;

    use super::{Standing, Told};
    use crate::client::Outcome;
    use crate::unary::Failure;

    fn failed(status: &'static str) -> Outcome {
        Outcome::Failed(Failure::new(status, ""))
    }

    #[test]
    fn a_server_answers_while_it_is_connected_and_its_last_call_was_answered() {
        let told = Arc::new(Told::default());
        let standing = Standing::new(Arc::clone(&told));
        let after = |outcome: &Outcome| {
            standing.ended(standing.answered(), outcome);
            told.answers.load(Ordering::Relaxed)
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
        assert!(!told.answers.load(Ordering::Relaxed));
    }

    #[test]
    fn one_lost_answer_beside_later_ones_is_no_silence() {
        let told = Arc::new(Told::default());
        let standing = Standing::new(Arc::clone(&told));
        standing.connected(true);
        let answered = standing.answered();
        standing.ended(standing.answered(), &Outcome::Reply(Bytes::new()));
        standing.ended(answered, &Outcome::Unanswered);
        assert!(told.answers.load(Ordering::Relaxed));
    }
}
