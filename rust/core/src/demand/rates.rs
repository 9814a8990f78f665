//! How fast requests come, how long they run, and how often they take their instance along.

use crate::nanos::Nanos;
use crate::sync::{AtomicF64, AtomicU32, AtomicU64, Ordering};

/// Arrivals over the last ten seconds and the last minute, and for how long they have gone on.
/// Executions: how long they lately took, how much they vary, and how many cost their instance.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Arrivals since the window began.
    count: AtomicU32,
    /// When the window began, in ns.
    began: AtomicU64,
    /// When the first request since the last long silence came, and when the last, in ns.
    first: AtomicU64,
    last: AtomicU64,
    /// Arrivals per second in the window before.
    before: AtomicF64,
    /// Arrivals per second, smoothed over a minute.
    slow: AtomicF64,
    /// Mean execution time in ns; 0: none ended yet.
    service_ns: AtomicU64,
    /// Mean square of the execution time, in s².
    square: AtomicF64,
    /// Executions that ended, at most [`REMEMBERED`].
    ended: AtomicU32,
    /// The share of executions whose instance was lost.
    lost: AtomicF64,
}

const WINDOW: Nanos = Nanos::from_secs(10);
const SLOW_S: f64 = 60.0;
/// Means are over about so many executions. Where one in a hundred takes ten times as long as the others, a mean over ten would be wrong
/// nearly always.
const REMEMBERED: u32 = 64;
/// A smaller share of lost instances is none.
const NEGLIGIBLE: f64 = 1e-3;

/// Requests that came without a silence of [`WINDOW`] between two.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spell {
    /// Seconds from the first to the last.
    pub(crate) lasted_s: f64,
    /// Seconds since the last.
    pub(crate) silent_s: f64,
}

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            began: AtomicU64::new(0),
            first: AtomicU64::new(0),
            last: AtomicU64::new(0),
            before: AtomicF64::new(0.0),
            slow: AtomicF64::new(0.0),
            service_ns: AtomicU64::new(0),
            square: AtomicF64::new(0.0),
            ended: AtomicU32::new(0),
            lost: AtomicF64::new(0.0),
        }
    }

    /// A request came.
    pub(crate) fn arrived(&self, now: Nanos) {
        let last = self.last.load(Ordering::Relaxed);
        self.last.store(now.0, Ordering::Relaxed);
        if last == 0 || now.since(Nanos(last)) >= WINDOW {
            self.first.store(now.0, Ordering::Relaxed);
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed) + 1;
        let began = self.began.load(Ordering::Relaxed);
        let lasted = now.since(Nanos(began));
        if lasted >= WINDOW && self.began.compare_exchange(began, now.0, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.count.store(0, Ordering::Relaxed);
            let rate = f64::from(count) / lasted.as_secs_f64();
            self.before.store(rate);
            let weight = 1.0 - (-lasted.as_secs_f64() / SLOW_S).exp();
            let slow = self.slow.load();
            self.slow.store(slow + weight * (rate - slow));
        }
    }

    /// A request ended after running this long. Its instance is taken to survive, unless
    /// [`Rates::lost`] follows.
    pub(crate) fn executed(&self, time: Nanos) {
        let ended = self.ended.load(Ordering::Relaxed) + 1;
        if ended <= REMEMBERED {
            self.ended.store(ended, Ordering::Relaxed);
            self.average(time, ended);
        } else {
            // Nearly always: to divide by this constant takes no division.
            self.average(time, REMEMBERED);
        }
    }

    /// Takes an execution into the means, as one of so many.
    #[inline]
    fn average(&self, time: Nanos, of: u32) {
        let (before, share) = (self.service_ns.load(Ordering::Relaxed), u64::from(of));
        self.service_ns.store((before - before / share + time.0 / share).max(1), Ordering::Relaxed);
        let square = self.square.load();
        self.square.store(square + (time.as_secs_f64().powi(2) - square) / f64::from(of));
        let lost = self.lost.load();
        if lost > 0.0 {
            let fewer = lost - lost / f64::from(of);
            self.lost.store(if fewer < NEGLIGIBLE { 0.0 } else { fewer });
        }
    }

    /// The instance of the request that ended last did not survive it.
    pub(crate) fn lost(&self) {
        // Between threads the share before may have been read late: it must not pass 1.
        self.lost.store((self.lost.load() + 1.0 / f64::from(self.remembered().max(1))).min(1.0));
    }

    /// The share of executions whose instance was lost.
    pub(crate) fn lost_share(&self) -> f64 {
        self.lost.load()
    }

    /// Executions that the means are over.
    pub(crate) fn remembered(&self) -> u32 {
        self.ended.load(Ordering::Relaxed)
    }

    /// The requests since the last long silence.
    pub(crate) fn spell(&self, now: Nanos) -> Spell {
        let [first, last] = [&self.first, &self.last].map(|moment| Nanos(moment.load(Ordering::Relaxed)));
        Spell { lasted_s: last.since(first).as_secs_f64(), silent_s: now.since(last).as_secs_f64() }
    }

    /// Mean execution time in seconds; `None` before the first request ended.
    pub(crate) fn service_s(&self) -> Option<f64> {
        let service = self.service_ns.load(Ordering::Relaxed);
        (service > 0).then(|| Nanos(service).as_secs_f64().max(1e-4))
    }

    /// The squared coefficient of variation of execution times: 0 if all take as long, 1 if they are exponential. 1 before the first ended.
    pub(crate) fn variation(&self) -> f64 {
        self.service_s().map_or(1.0, |mean| (self.square.load() / (mean * mean) - 1.0).max(0.0))
    }

    /// Arrivals per second over about the last ten seconds.
    pub(crate) fn lately(&self, now: Nanos) -> f64 {
        let lasted = now.since(Nanos(self.began.load(Ordering::Relaxed))).as_secs_f64();
        let count = f64::from(self.count.load(Ordering::Relaxed));
        let window = WINDOW.as_secs_f64();
        if lasted < window { (self.before.load() * (window - lasted) + count) / window } else { count / lasted }
    }

    /// Arrivals per second, the higher of the last ten seconds and about the last minute: a lull is not the end of a load.
    pub(crate) fn sustained(&self, now: Nanos) -> f64 {
        let (lately, slow) = (self.lately(now), self.slow.load());
        if slow <= lately {
            return lately;
        }
        let since = now.since(Nanos(self.began.load(Ordering::Relaxed))).as_secs_f64();
        lately.max(slow * (-since / SLOW_S).exp())
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::Rates;
    use crate::nanos::Nanos;

    #[test]
    fn a_steady_load_is_measured_and_then_fades() {
        let rates = Rates::new();
        for tick in 0..3_000 {
            rates.arrived(Nanos::from_millis(100 * tick));
        }
        let end = Nanos::from_secs(300);
        assert!((rates.lately(end) - 10.0).abs() < 0.5, "{}", rates.lately(end));
        let later = end + Nanos::from_secs(60);
        assert!(rates.lately(later) < 2.0);
        assert!(rates.sustained(later) > rates.lately(later));
    }

    #[test]
    fn execution_time_follows_what_runs_now() {
        let rates = Rates::new();
        assert_eq!(rates.service_s(), None);
        for time in [1, 3] {
            rates.executed(Nanos::from_secs(time));
        }
        assert!((rates.service_s().unwrap() - 2.0).abs() < 1e-6, "the first weighs no more than the second");
        for _ in 0..1_000 {
            rates.executed(Nanos::from_secs(1));
        }
        rates.executed(Nanos::from_secs(65));
        assert!((rates.service_s().unwrap() - 2.0).abs() < 1e-3);
    }

    #[test]
    fn lost_instances_are_a_share_of_executions_that_fades() {
        let rates = Rates::new();
        let execute = |lost: bool| {
            rates.executed(Nanos::from_secs(1));
            if lost {
                rates.lost();
            }
            rates.lost_share()
        };
        assert!((0..10).all(|_| execute(true) > 1.0 - 1e-9), "every one so far");
        (0..10).for_each(|_| _ = execute(false));
        assert!((execute(true) - 11.0 / 21.0).abs() < 1e-9, "the first weighs no more than the last");
        (0..500).for_each(|n| _ = execute(n % 10 == 0));
        assert!((execute(false) - 0.1).abs() < 0.02);
        (0..500).for_each(|_| _ = execute(false));
        assert!(execute(false) <= 0.0, "exactly none");
    }

    #[test]
    fn a_spell_begins_after_a_silence_and_lasts_until_the_last_request() {
        let rates = Rates::new();
        for second in [1, 4, 20, 25, 31] {
            rates.arrived(Nanos::from_secs(second));
        }
        let spell = rates.spell(Nanos::from_secs(33));
        assert!((spell.lasted_s - 11.0).abs() < 1e-9 && (spell.silent_s - 2.0).abs() < 1e-9, "{spell:?}");
    }

    #[test]
    fn steady_executions_do_not_vary_and_rare_long_ones_do() {
        let rates = Rates::new();
        for _ in 0..100 {
            rates.executed(Nanos::from_millis(100));
        }
        assert!(rates.variation() < 1e-6);
        for count in 0..300 {
            rates.executed(Nanos::from_millis(if count % 30 == 0 { 10_000 } else { 100 }));
        }
        assert!(rates.variation() > 4.0, "{}", rates.variation());
    }
}
