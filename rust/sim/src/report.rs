//! What a simulation measured.

use hdrhistogram::Histogram;
use pilotlight_core::{Account, Nanos, Snapshot, Totals};

use crate::diary::Explanation;
use crate::series::Series;
use crate::shortage::Shortage;
use crate::starts::StageWaits;

/// What a run measured, as of its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The ledger over all functions, with the most instances and memory there ever were.
    pub snapshot: Snapshot,
    /// The ledger of each function, in the order of the function table.
    pub functions: Vec<Totals>,
    /// How long requests waited.
    pub waits: Waits,
    /// What became of each request, if asked for.
    pub requests: Option<RequestColumns>,
    /// How long requests waited for cold starts, by stage.
    pub stage_waits: StageWaits,
    /// The decisions for one function with their reasons, if asked for.
    pub explanation: Option<Explanation>,
    /// The ledger over time, if asked for.
    pub series: Option<Series>,
    /// With the series: how many requests found no free instance, by [`Shortage`].
    pub shortages: Option<[u64; Shortage::ALL.len()]>,
    /// How long the requests that still waited when the run ended had waited, in ns; the ledger has them not.
    pub unfinished_wait_ns: u64,
    /// When the run ended, on the trace's clock; 0 for an empty trace.
    pub end_ns: u64,
    /// Arrivals, ends of requests, platform answers and ticks that were played.
    pub events: u64,
}

impl Report {
    /// Requests that still executed or waited when the run ended.
    #[must_use]
    pub fn unfinished(&self) -> u64 {
        self.snapshot.live.slots[Account::Busy as usize] + self.snapshot.live.waiting
    }
}

/// How a request got its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Outcome {
    /// One was free.
    Warm = 0,
    /// It waited for one that had just been started.
    ColdStart = 1,
    /// It waited for one that another request had used.
    Handoff = 2,
    /// It got none: its starts failed, or it still waited when the run ended.
    Failed = 3,
}

/// What became of each request: one row each, in the trace's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestColumns {
    /// Time from arrival until it got its instance, or was told that it gets none, or the run ended; in ns.
    pub wait_ns: Vec<u64>,
    /// An [`Outcome`] by number.
    pub outcome: Vec<u8>,
}

/// The distribution of waiting times over all requests that got an instance, those that waited 0 ns included.
#[derive(Clone, Debug, PartialEq)]
pub struct Waits {
    histogram: Histogram<u64>,
    longest: u64,
}

impl Waits {
    /// Significant decimal digits of a quantile.
    const DIGITS: u8 = 3;
    /// The shortest time of [`Waits::longer_than`], in seconds.
    const SHORTEST_S: f64 = 1e-6;

    /// Number of requests.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.histogram.len()
    }

    /// The time that a share `q` (0 to 1) of the requests did not exceed, in ns, to three significant digits; 0 if there are none.
    #[must_use]
    pub fn quantile_ns(&self, q: f64) -> u64 {
        // The histogram answers with the upper edge of a bin, which may lie past everything in it.
        self.histogram.value_at_quantile(q).min(self.longest)
    }

    /// How many requests waited longer than each of some times: (ns, requests), times ascending by the same factor, `per_decade` of them
    /// to a factor of ten, from a microsecond to the longest wait. To three significant digits.
    #[must_use]
    pub fn longer_than(&self, per_decade: u32) -> Vec<(u64, u64)> {
        let step = 10_f64.powf(f64::from(per_decade).recip());
        let times = std::iter::successors(Some(Self::SHORTEST_S), |time| Some(time * step)).map(|time| Nanos::from_secs_f64(time).0);
        let times = times.take_while(|&time| time < self.longest).chain([self.longest]);
        times.map(|time| (time, self.count() - self.histogram.count_between(0, time))).collect()
    }

    /// The longest time, in ns, exact; 0 if there are no requests.
    #[must_use]
    pub fn max_ns(&self) -> u64 {
        self.longest
    }
}

/// Collects what becomes of requests.
#[derive(Debug)]
pub(crate) struct Recorder {
    waits: Waits,
    /// Requests that waited 0 ns: most, so the histogram is told of them at the end.
    unwaited: u64,
    requests: Option<RequestColumns>,
}

impl Recorder {
    pub(crate) fn new(per_request: bool) -> Self {
        let histogram = Histogram::new(Waits::DIGITS).expect("three digits are allowed");
        Self {
            waits: Waits { histogram, longest: 0 },
            unwaited: 0,
            requests: per_request.then(|| RequestColumns { wait_ns: Vec::new(), outcome: Vec::new() }),
        }
    }

    /// Makes room for so many more requests.
    pub(crate) fn expect(&mut self, requests: usize) {
        if let Some(columns) = &mut self.requests {
            let all = columns.wait_ns.len() + requests;
            columns.wait_ns.resize(all, 0);
            columns.outcome.resize(all, Outcome::Failed as u8);
        }
    }

    /// Notes the end of a request's wait. `request`: its row.
    pub(crate) fn record(&mut self, request: u64, outcome: Outcome, wait: Nanos) {
        if wait == Nanos::ZERO && outcome != Outcome::Failed {
            self.unwaited += 1;
        } else if outcome != Outcome::Failed {
            self.waits.histogram.record(wait.0).expect("the histogram resizes itself");
            self.waits.longest = self.waits.longest.max(wait.0);
        }
        if let Some(columns) = &mut self.requests {
            let row = usize::try_from(request).expect("the columns hold it");
            columns.wait_ns[row] = wait.0;
            columns.outcome[row] = outcome as u8;
        }
    }

    pub(crate) fn finish(mut self) -> (Waits, Option<RequestColumns>) {
        self.waits.histogram.record_n(0, self.unwaited).expect("0 is in range");
        (self.waits, self.requests)
    }
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Recorder};
    use pilotlight_core::Nanos;

    #[test]
    fn quantiles_hold_three_digits_and_never_exceed_the_longest_wait() {
        let mut recorder = Recorder::new(false);
        for request in 0..1_000 {
            recorder.record(request, Outcome::ColdStart, Nanos(1_000_003 * request));
        }
        recorder.record(0, Outcome::Failed, Nanos::MAX);
        let (waits, columns) = recorder.finish();
        assert_eq!((waits.count(), columns), (1_000, None));
        for (q, exact) in [(0.5, 499.0 * 1_000_003.0), (0.99, 989.0 * 1_000_003.0)] {
            let error = waits.quantile_ns(q) as f64 / exact - 1.0;
            assert!(error.abs() < 1e-3, "{q}: {error}");
        }
        assert_eq!(waits.max_ns(), 999 * 1_000_003);
        assert_eq!(waits.quantile_ns(1.0), waits.max_ns());
    }

    #[test]
    fn the_longest_possible_wait_is_recorded() {
        let mut recorder = Recorder::new(true);
        recorder.expect(1);
        recorder.record(0, Outcome::Handoff, Nanos::MAX);
        assert_eq!(recorder.finish().0.max_ns(), u64::MAX);
    }

    #[test]
    fn nobody_waited_for_nothing() {
        let (waits, _) = Recorder::new(false).finish();
        assert_eq!((waits.quantile_ns(0.99), waits.max_ns()), (0, 0));
    }
}
