//! How fast requests come and how long they run.

use crate::nanos::Nanos;
use crate::sync::{AtomicF64, AtomicU32, AtomicU64, Ordering};

/// Arrivals over the last ten seconds and the last minute, and a smoothed execution time.
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
    /// Smoothed execution time in ns; 0: none ended yet.
    service_ns: AtomicU64,
}

const WINDOW: Nanos = Nanos::from_secs(10);
const SLOW_S: f64 = 60.0;

impl Rates {
    pub(crate) fn new() -> Self {
        Self {
            count: AtomicU32::new(0),
            began: AtomicU64::new(0),
            before: AtomicF64::new(0.0),
            slow: AtomicF64::new(0.0),
            service_ns: AtomicU64::new(0),
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
        let before = self.service_ns.load(Ordering::Relaxed);
        let after = if before == 0 { time.0 } else { before - before / 10 + time.0 / 10 };
        self.service_ns.store(after.max(1), Ordering::Relaxed);
    }

    /// Smoothed execution time in seconds; `None` before the first request ended.
    pub(crate) fn service_s(&self) -> Option<f64> {
        let service = self.service_ns.load(Ordering::Relaxed);
        (service > 0).then(|| Nanos(service).as_secs_f64().max(1e-4))
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
        let since = now.since(Nanos(self.began.load(Ordering::Relaxed))).as_secs_f64();
        self.lately(now).max(self.slow.load() * (-since / SLOW_S).exp())
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
        for _ in 0..100 {
            rates.executed(Nanos::from_secs(1));
        }
        rates.executed(Nanos::from_secs(11));
        assert!((rates.service_s().unwrap() - 2.0).abs() < 1e-6);
    }
}
