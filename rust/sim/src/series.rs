//! How a run went: the ledger at the ends of equal spans of time.
//!
//! What a span saw is the difference of two ledgers, so means over it are exact, and all spans together are the ledger of the run. Kept
//! on request: reading the ledger costs a pass over functions and slots.

use pilotlight_core::{Engine, Nanos, Totals};

/// The ledger at the end of each span of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Series {
    /// Moments in ascending order, a span apart; the last one is the run's end.
    pub ends: Vec<Nanos>,
    /// The ledger at each of them, everything that happened at that moment included.
    pub totals: Vec<Totals>,
}

/// Reads the ledger while the run goes on.
#[derive(Debug)]
pub(crate) struct Sampler {
    span: Nanos,
    due: Nanos,
    series: Series,
}

impl Sampler {
    /// `span`: at least a nanosecond.
    pub(crate) fn new(span: Nanos) -> Self {
        let span = span.max(Nanos(1));
        Self { span, due: span, series: Series::default() }
    }

    /// Reads the ledger at the ends of the spans that are over, before what happens at `time` does.
    pub(crate) fn reach(&mut self, time: Nanos, engine: &Engine) {
        while self.due < time {
            self.read(self.due, engine);
            self.due = self.due + self.span;
        }
    }

    pub(crate) fn finish(mut self, end: Nanos, engine: &Engine) -> Series {
        self.reach(end, engine);
        self.read(end, engine);
        self.series
    }

    fn read(&mut self, at: Nanos, engine: &Engine) {
        self.series.ends.push(at);
        self.series.totals.push(engine.snapshot(at).totals);
    }
}
