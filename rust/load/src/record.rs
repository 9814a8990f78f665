//! What is kept of every call: exact counts and HDR histograms (three significant digits) of nanoseconds.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// Three significant digits: every percentile is within 0.1 %.
const DIGITS: u8 = 3;

/// Latencies in nanoseconds; grows to any range.
pub type Latencies = Histogram<u64>;

/// All calls that were due in one stretch of the run.
#[derive(Clone, Debug)]
pub struct Window {
    /// Assigns of functions that were called before.
    pub assign: Latencies,
    /// Idles.
    pub idle: Latencies,
    /// Assigns of functions never called before.
    pub cold: Latencies,
    /// Calls that failed, by what they failed with.
    pub failures: BTreeMap<String, u64>,
}

/// Everything measured in one run.
#[derive(Clone, Debug)]
pub struct Recording {
    /// The load; of a run with a storm only what was due before it.
    pub measured: Window,
    /// The load due from the storm's begin to the run's end.
    pub beside_storm: Window,
    /// The storm's own calls.
    pub storm: Window,
    /// How late the client itself issued the measured calls of an open loop. It is part of their latency.
    pub lag: Latencies,
}

impl Window {
    fn new() -> Self {
        Self { assign: latencies(), idle: latencies(), cold: latencies(), failures: BTreeMap::new() }
    }

    fn add(&mut self, other: &Self) {
        self.assign += &other.assign;
        self.idle += &other.idle;
        self.cold += &other.cold;
        for (failure, count) in &other.failures {
            *self.failures.entry(failure.clone()).or_default() += count;
        }
    }
}

impl Recording {
    pub(crate) fn new() -> Self {
        Self { measured: Window::new(), beside_storm: Window::new(), storm: Window::new(), lag: latencies() }
    }

    /// Adds another thread's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.measured.add(&other.measured);
        self.beside_storm.add(&other.beside_storm);
        self.storm.add(&other.storm);
        self.lag += &other.lag;
    }
}

fn latencies() -> Latencies {
    Histogram::new(DIGITS).expect("between 0 and 5 digits")
}

/// Whose call it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Warm,
    Cold,
    Storm,
}

/// Which of a request's two calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Assign,
    Idle,
}

/// The run's stretches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) start: Instant,
    pub(crate) measure: Instant,
    /// When the storm begins; of a run without one, the end.
    pub(crate) storm: Instant,
    pub(crate) end: Instant,
}

/// One thread's recording; both calls of a request belong where the request was due.
#[derive(Debug)]
pub(crate) struct Recorder {
    times: Times,
    pub(crate) recording: Recording,
}

impl Recorder {
    pub(crate) fn new(times: Times) -> Self {
        Self { times, recording: Recording::new() }
    }

    /// Keeps an answered call.
    pub(crate) fn answered(&mut self, origin: Origin, step: Step, due: Instant, latency: Duration) {
        let Some(window) = self.window(origin, due) else { return };
        let latencies = match (step, origin) {
            (Step::Idle, _) => &mut window.idle,
            (Step::Assign, Origin::Cold) => &mut window.cold,
            (Step::Assign, _) => &mut window.assign,
        };
        record(latencies, latency);
    }

    /// Counts a call that failed.
    pub(crate) fn failed(&mut self, origin: Origin, due: Instant, failure: &str) {
        let Some(window) = self.window(origin, due) else { return };
        match window.failures.get_mut(failure) {
            Some(count) => *count += 1,
            None => drop(window.failures.insert(failure.to_owned(), 1)),
        }
    }

    /// Keeps how late a call was issued.
    pub(crate) fn lagged(&mut self, due: Instant, lag: Duration) {
        if (self.times.measure..self.times.storm).contains(&due) {
            record(&mut self.recording.lag, lag);
        }
    }

    fn window(&mut self, origin: Origin, due: Instant) -> Option<&mut Window> {
        match due {
            _ if origin == Origin::Storm => Some(&mut self.recording.storm),
            due if due < self.times.measure => None,
            due if due < self.times.storm => Some(&mut self.recording.measured),
            _ => Some(&mut self.recording.beside_storm),
        }
    }
}

fn record(latencies: &mut Latencies, latency: Duration) {
    let nanoseconds = u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX);
    latencies.record(nanoseconds).expect("it grows to any value");
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn calls_count_where_they_were_due() {
        let start = Instant::now();
        let times = Times { start, measure: start + SECOND, storm: start + SECOND * 2, end: start + SECOND * 3 };
        let mut recorder = Recorder::new(times);
        recorder.answered(Origin::Warm, Step::Assign, start, SECOND * 9);
        recorder.answered(Origin::Warm, Step::Assign, times.measure, SECOND);
        recorder.answered(Origin::Cold, Step::Assign, times.measure, SECOND);
        recorder.answered(Origin::Warm, Step::Idle, times.storm, SECOND);
        recorder.answered(Origin::Storm, Step::Assign, times.storm, SECOND);
        recorder.failed(Origin::Warm, times.storm, "UNAVAILABLE");
        for due in [start, times.measure, times.storm] {
            recorder.lagged(due, SECOND);
        }
        let Recording { measured, beside_storm, storm, lag } = recorder.recording;
        assert_eq!((measured.assign.len(), measured.cold.len(), measured.idle.len()), (1, 1, 0));
        assert_eq!((beside_storm.assign.len(), beside_storm.idle.len(), storm.assign.len()), (0, 1, 1));
        assert_eq!((beside_storm.failures["UNAVAILABLE"], lag.len()), (1, 1));
        assert!(measured.assign.value_at_quantile(0.5) >= 1_000_000_000);
    }
}
