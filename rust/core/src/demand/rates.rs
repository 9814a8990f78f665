//! How fast requests come and how long they run.

use crate::nanos::Nanos;
use crate::sync::{AtomicF64, AtomicU32, AtomicU64, Ordering};

/// Arrivals over the last ten seconds and the last minute, and how long executions lately took and how much they vary.
#[derive(Debug)]
pub(crate) struct Rates {
    /// Arrivals since the window began.
    count: AtomicU32,
    /// When the window began, in ns.
    began: AtomicU64,
    /// Arrivals per second in the window before.
    before: AtomicF64,
    /// Arrivals per second, smoothed over a minute.
    slow: AtomicF64,
    /// Mean execution time in ns; 0: none ended yet.
    service_ns: AtomicU64,
    /// Mean square of the execution time, in s².
    square: AtomicF64,
    /// Executions that ended, as far as there are fewer than [`REMEMBERED`].
    ended: AtomicU32,
}

const WINDOW: Nanos = Nanos::from_secs(10);
const SLOW_S: f64 = 60.0;
/// Means are over about so many executions. Where one in a hundred takes ten times as long as the others, a mean over ten would be wrong
/// nearly always.
const REMEMBERED: u32 = 64;

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            began: AtomicU64::new(0),
            before: AtomicF64::new(0.0),
            slow: AtomicF64::new(0.0),
            service_ns: AtomicU64::new(0),
            square: AtomicF64::new(0.0),
            ended: AtomicU32::new(0),
        }
    }

    /// A request came.
    pub(crate) fn arrived(&self, now: Nanos) {
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

    /// A request ended after running this long.
    pub(crate) fn executed(&self, time: Nanos) {
        let ended = self.ended.load(Ordering::Relaxed) + 1;
        if ended < REMEMBERED {
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
