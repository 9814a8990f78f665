//! What has gone wrong with a function lately: circuit breaker, pacing, and clients that gave up.
//!
//! Plain data behind the function's lock. A function without trouble has none of it.

use crate::nanos::Nanos;

/// Exponential backoff: one attempt a pause, and each attempt doubles the next pause from 1 s to 30
/// s.
///
/// The pause doubles when an attempt is made, not when it fails: attempts that fail late, or
/// several at once, double nothing twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pacing {
    pause: Nanos,
    until: Nanos,
}

impl Pacing {
    const FIRST: Nanos = Nanos::from_secs(1);
    const LONGEST: Nanos = Nanos::from_secs(30);

    /// Begins with the first pause.
    pub(crate) fn begin(&mut self, now: Nanos) {
        *self = Self { pause: Self::FIRST, until: now + Self::FIRST };
    }

    /// An attempt is made now; each 30 s for which none was wanted have halved the pause. Where
    /// `among` attempt for themselves, each has its pause.
    pub(crate) fn attempt(&mut self, now: Nanos, among: u32) {
        let halved = self.pause.0.checked_shr(u32::try_from(now.since(self.until).0 / Self::LONGEST.0).unwrap_or(u32::MAX)).unwrap_or(0);
        self.pause = Nanos(2 * halved).clamp(Self::FIRST, Self::LONGEST);
        self.until = now + Nanos(self.pause.0 / u64::from(among.max(1)));
    }

    /// When the next attempt may be made.
    pub(crate) fn until(&self) -> Nanos {
        self.until
    }
}

/// What has gone wrong with a function, and what is therefore done more slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// Starts that failed since the last one that succeeded.
    failed_starts: u32,
    /// Of starts, once too many have failed in a row.
    starts: Pacing,
    /// Requests that left without an instance while starts for them were under way, lately and not
    /// yet made up for.
    unserved: u32,
    /// When the last of them left.
    unserved_at: Nanos,
    /// How long after the one before.
    unserved_every: Nanos,
    /// A start is being finished for a client that is expected back.
    expects: bool,
    /// Of instances that are replaced although no other instance of the function does better.
    pub(crate) replacements: Pacing,
}

/// Requests that left unserved are counted together when no more than this lies between them.
const LATELY: Nanos = Nanos::from_secs(3600);

impl Trouble {
    /// A start failed; `attempts` in a row open the circuit breaker.
    pub(crate) fn start_failed(&mut self, now: Nanos, attempts: u32) {
        self.failed_starts = self.failed_starts.saturating_add(1);
        if self.failed_starts == attempts {
            self.starts.begin(now);
        }
    }

    /// A start succeeded, which closes the circuit breaker.
    pub(crate) fn start_succeeded(&mut self) {
        (self.failed_starts, self.starts) = (0, Pacing::default());
    }

    /// A start is made.
    pub(crate) fn started(&mut self, now: Nanos, attempts: u32) {
        if self.failed_starts >= attempts {
            self.starts.attempt(now, 1);
        }
    }

    /// Circuit breaker: when the next start may be made, if too many have failed in a row.
    pub(crate) fn starts_paced_until(&self, attempts: u32) -> Option<Nanos> {
        (self.failed_starts >= attempts).then(|| self.starts.until())
    }

    /// A request left without an instance while a start for it was under way.
    pub(crate) fn left_unserved(&mut self, now: Nanos) {
        self.unserved_every = now.since(self.unserved_at);
        if self.unserved_every > LATELY {
            self.unserved = 0;
        }
        self.unserved = self.unserved.saturating_add(1);
        self.unserved_at = now;
    }

    /// Is a start that took `took` so far, and that nobody waits for, to be finished? So it is if
    /// its function was asked for again after a request had left unserved: the client comes back,
    /// and would never be served by starts that are thrown away.
    pub(crate) fn finishes_start(&mut self, now: Nanos, took: Nanos) -> bool {
        let asked_again = self.unserved >= 2 && now.since(self.unserved_at) <= LATELY.max(took);
        if asked_again {
            self.unserved -= 1;
            self.expects = true;
        }
        asked_again
    }

    /// Until when the instance of such a start is kept at least: a quarter longer than the time
    /// between the client's last two tries.
    pub(crate) fn expects_until(&mut self) -> Option<Nanos> {
        std::mem::take(&mut self.expects).then(|| self.unserved_at + Nanos(self.unserved_every.0 / 4 * 5))
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Nanos, Pacing, Trouble};

    const SECOND: Nanos = Nanos::from_secs(1);

    #[test]
    fn pauses_double_from_one_second_to_thirty() {
        let (mut pacing, mut now) = (Pacing::default(), Nanos(5));
        pacing.begin(now);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            pauses.push(pacing.until().since(now).0 / SECOND.0);
            now = pacing.until();
            pacing.attempt(now, 1);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
        pacing.attempt(pacing.until() + Nanos::from_secs(95), 1);
        assert_eq!(pacing.pause, Nanos(2 * 30 * SECOND.0 / 8), "a minute and a half without a wish");
        let until = pacing.until();
        pacing.attempt(until, 5);
        assert_eq!(pacing.until().since(until), Nanos(pacing.pause.0 / 5), "five have a pause each");
    }

    #[test]
    fn failures_in_a_row_pace_starts_and_one_success_ends_it() {
        let mut trouble = Trouble::default();
        for _ in 0..2 {
            trouble.start_failed(SECOND, 3);
        }
        assert_eq!(trouble.starts_paced_until(3), None);
        for _ in 0..5 {
            trouble.start_failed(SECOND, 3);
        }
        assert_eq!(trouble.starts_paced_until(3), Some(Nanos::from_secs(2)), "failures of the same moment count once");
        trouble.start_succeeded();
        assert_eq!(trouble, Trouble::default());
    }

    #[test]
    fn a_start_is_finished_for_a_function_that_was_asked_for_again_and_each_request_finishes_one() {
        let mut trouble = Trouble::default();
        trouble.left_unserved(SECOND);
        assert!(!trouble.finishes_start(SECOND, SECOND), "asked for once");
        trouble.left_unserved(Nanos::from_secs(4));
        assert!(trouble.finishes_start(Nanos::from_secs(5), SECOND));
        assert_eq!(trouble.expects_until(), Some(Nanos(7_750_000_000)), "the tries were three seconds apart");
        assert_eq!(trouble.expects_until(), None);
        assert!(!trouble.finishes_start(Nanos::from_secs(5), SECOND));
        trouble.left_unserved(Nanos::from_secs(10_000));
        trouble.left_unserved(Nanos::from_secs(10_001));
        assert!(!trouble.finishes_start(Nanos::from_secs(20_000), SECOND), "that was long ago");
        assert!(trouble.finishes_start(Nanos::from_secs(20_000), Nanos::from_secs(15_000)), "but the start took longer");
    }
}
