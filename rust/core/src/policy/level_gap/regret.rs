//! Regret: whether one instance more would have paid for itself, by what really waited.
//!
//! What a start would save is foreseen from a queue and a rate; a function that always runs a little short of instances keeps a queue that
//! never looks worth a start and never goes away. So the other side is added up as well: with an instance more since the queue began,
//! so many of the requests that wait would have been served by now, and it would have been held all the time. Once the difference would
//! have paid for the start, the start is made: as with any ski to rent or to buy, waiting any longer for certainty would cost more than
//! being wrong.

use super::Function;
use super::survival::Survival;
use crate::nanos::Nanos;
use crate::policy::Queue;
use crate::sync::{AtomicBool, AtomicF64, AtomicU64, Ordering};

impl Function {
    /// Would one instance more have paid by now for a start of this cost?
    pub(super) fn regrets(&self, queue: &Queue, cost: f64, survival: Survival) -> bool {
        let Queue { facts, waiting, starting, uncovered_since, .. } = *queue;
        let uncovered = Uncovered { now: facts.now, waiting: waiting.saturating_sub(starting), since: uncovered_since };
        self.rates.service_s().is_some_and(|execution_s| {
            let missing = Missing { execution_s, serves: survival.serves(), cost, memory_gb: self.memory_gb, lambda: self.lambda() };
            self.regret.look(uncovered, &missing)
        })
    }
}

/// A queue that no start in flight is for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Uncovered {
    /// The moment.
    pub(super) now: Nanos,
    /// Requests in it.
    pub(super) waiting: u32,
    /// When the oldest of them arrived.
    pub(super) since: Nanos,
}

/// The instance that is not there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Missing {
    /// Seconds a request executes.
    pub(super) execution_s: f64,
    /// Requests it would serve before it is lost.
    pub(super) serves: f64,
    /// GB·s that its start costs.
    pub(super) cost: f64,
    /// Its memory.
    pub(super) memory_gb: f64,
    /// GB·s a second of waiting is worth.
    pub(super) lambda: f64,
}

/// The account of the instance that is not there. Atomic to be readable at any time; it is written by one thread at a time, since the
/// engine asks for starts under the function's lock.
#[derive(Debug, Default)]
pub(super) struct Regret {
    /// In ns.
    looked_at: AtomicU64,
    /// Requests that waited at that time.
    waiting: AtomicF64,
    /// How many of them it would have served by then.
    served: AtomicF64,
    /// GB·s it would have saved, never less than none: it would not have been kept at a loss.
    saved: AtomicF64,
    /// As of then it would have paid for its start.
    pays: AtomicBool,
}

impl Regret {
    /// Brings the account up to date; `true`: one instance more would have paid for its start.
    ///
    /// To be called whenever the queue may have changed.
    pub(super) fn look(&self, queue: Uncovered, missing: &Missing) -> bool {
        let Missing { execution_s, serves, cost, memory_gb, lambda } = *missing;
        let (waited, mut served_before, mut saved) = (self.waiting.load(), self.served.load(), self.saved.load());
        let mut looked_at = Nanos(self.looked_at.load(Ordering::Relaxed));
        self.looked_at.store(queue.now.0, Ordering::Relaxed);
        if queue.waiting == 0 && waited <= 0.0 && saved <= 0.0 {
            // Nothing to regret before, nothing now.
            self.pays.store(false, Ordering::Relaxed);
            return false;
        }
        if waited <= 0.0 || queue.since > looked_at {
            // The queue was gone in between.
            let alone = queue.since.since(looked_at).as_secs_f64();
            saved = (saved - memory_gb * alone).max(0.0);
            served_before = 0.0;
            looked_at = looked_at.max(queue.since);
        }
        let waiting = f64::from(queue.waiting);
        let passed = queue.now.since(looked_at).as_secs_f64();
        let most = if waited > 0.0 { waited } else { waiting }.min(serves);
        let served = (served_before + passed / execution_s).min(most);
        let not_waiting = 0.5 * (served_before + served);
        saved = (saved + (lambda * not_waiting - memory_gb) * passed).max(0.0);
        let pays = queue.waiting > 0 && saved > cost;
        self.waiting.store(waiting);
        self.served.store(served.min(waiting));
        self.saved.store(saved);
        self.pays.store(pays, Ordering::Relaxed);
        pays
    }

    /// A start is made. If it is paid for, a new account is opened for the next.
    pub(super) fn started(&self) {
        if self.pays.load(Ordering::Relaxed) {
            self.pays.store(false, Ordering::Relaxed);
            self.waiting.store(self.waiting.load() - 1.0);
            self.served.store(0.0);
            self.saved.store(0.0);
        }
    }

    /// GB·s that one instance more would have saved so far.
    pub(super) fn saved(&self) -> f64 {
        self.saved.load()
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Missing, Regret, Uncovered};
    use crate::nanos::Nanos;
    use crate::policy::{Facts, FunctionPolicy, PolicySpec, Queue, Start};
    use crate::table::FunctionSpec;

    const MISSING: Missing = Missing { execution_s: 1.0, serves: f64::INFINITY, cost: 2.0, memory_gb: 1.0, lambda: 1.0 };
    const QUICK: Missing = Missing { execution_s: 0.1, ..MISSING };

    fn tenths(count: u64) -> Nanos {
        Nanos::from_millis(100 * count)
    }

    #[test]
    fn a_queue_that_stays_is_regretted_once_an_instance_would_have_paid() {
        let regret = Regret::default();
        let queue = |n| Uncovered { now: tenths(n), waiting: 5, since: tenths(n.saturating_sub(3)) };
        // After a second it has served one, and saves as much as it holds; (t − 1)²/2 more than that, 2 GB·s at t = 3.
        let paid = (0..100).find(|&n| regret.look(queue(n), &MISSING)).unwrap();
        assert!((30..=31).contains(&paid), "after {paid} tenths of a second");
        assert!(regret.look(queue(paid + 1), &MISSING), "no start was made: it still pays");
        regret.started();
        assert!((paid + 2..paid + 20).all(|n| !regret.look(queue(n), &MISSING)), "the next one has its own account");
    }

    /// A function whose requests run for a second, and the question of its queue of five that is not worth a start at a glance.
    fn short_of_instances() -> (Box<dyn FunctionPolicy>, impl Fn(u64) -> Queue) {
        let spec = FunctionSpec { key: "f".into(), runtime: "go".into(), timeout_s: 60, memory_mb: 1024 };
        let function = PolicySpec::parse("level_gap:lambda=1").unwrap().policy.function(&spec);
        function.demand_rose(Nanos::ZERO, 1);
        function.demand_fell(tenths(10), 1, Some(tenths(10)));
        let queue = |n: u64| {
            let facts = Facts { now: tenths(1000 + n), memory_mb: 1024, cold_start: tenths(20) };
            Queue { facts, waiting: 5, starting: 0, busy: 5, uncovered_since: tenths(1000 + n.saturating_sub(3)), hypothetical: false }
        };
        (function, queue)
    }

    #[test]
    fn a_start_that_found_no_room_is_still_regretted() {
        let (function, queue) = short_of_instances();
        let paid = (0..100).find(|&n| function.start(&queue(n)) == Start::Now).unwrap();
        assert!((30..=31).contains(&paid), "after {paid} tenths of a second");
        assert_eq!(function.start(&queue(paid + 1)), Start::Now);
        function.started();
        assert!(matches!(function.start(&queue(paid + 2)), Start::Later(_)));
    }

    #[test]
    fn a_hypothetical_question_is_forgotten() {
        let ((function, queue), (questioned, _)) = (short_of_instances(), short_of_instances());
        let mut regretted = 0;
        for n in 0..200 {
            let answer = function.start(&queue(n));
            assert_eq!(questioned.start(&queue(n)), answer, "after {n} tenths of a second");
            for starting in 1..5 {
                let thought = questioned.start(&Queue { starting, hypothetical: true, ..queue(n) });
                assert!(matches!(thought, Start::Later(_)), "the account pays for one");
            }
            if answer == Start::Now && n % 2 == 0 {
                function.started();
                questioned.started();
                regretted += 1;
            }
        }
        assert!(regretted > 1, "{regretted}");
    }

    #[test]
    fn requests_that_wait_now_and_then_are_not() {
        let regret = Regret::default();
        for n in 0..1000 {
            let arrived = tenths(10 * n);
            let ends = arrived + Nanos::from_millis(300);
            assert!(!regret.look(Uncovered { now: arrived, waiting: 3, since: arrived }, &QUICK));
            assert!(!regret.look(Uncovered { now: ends, waiting: 0, since: ends }, &QUICK));
        }
        assert!(regret.saved() < 1.0, "{}", regret.saved());
    }

    #[test]
    fn an_instance_that_would_be_lost_saves_no_more_than_it_serves() {
        let (regret, short_lived) = (Regret::default(), Missing { serves: 1.0, ..MISSING });
        let queue = |n| Uncovered { now: tenths(n), waiting: 5, since: Nanos::ZERO };
        assert!((0..1000).all(|n| !regret.look(queue(n), &short_lived)), "one request that does not wait is worth what it holds");
    }

    #[test]
    fn a_price_of_nothing_regrets_nothing() {
        let regret = Regret::default();
        let free = Missing { lambda: 0.0, ..QUICK };
        assert!((0..1000).all(|n| !regret.look(Uncovered { now: tenths(n), waiting: 50, since: Nanos::ZERO }, &free)));
    }
}
