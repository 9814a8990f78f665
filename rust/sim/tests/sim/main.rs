//! The simulator from outside: hand-worked runs, and claims that hold for every run.

mod bound;
mod level_gap;
mod memory;
mod properties;
mod scenarios;
mod series;
mod starts;

use std::ops::ControlFlow;

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Account, Nanos, Totals, WaitCause};
use pilotlight_sim::{AsChunk, Bound, Chunk, FunctionModel, Options, Report, SimError, clairvoyant, simulate};

/// A request: arrival, function, duration, bad.
type Request = (u64, u32, u64, bool);

/// A chunk that owns its columns.
#[derive(Clone, Debug, Default)]
struct Columns {
    arrival_ns: Vec<u64>,
    function: Vec<u32>,
    duration_ns: Vec<u64>,
    bad: Vec<bool>,
}

impl AsChunk for Columns {
    fn as_chunk(&self) -> Chunk<'_> {
        Chunk { arrival_ns: &self.arrival_ns, function: &self.function, duration_ns: &self.duration_ns, bad: &self.bad }
    }
}

impl FromIterator<Request> for Columns {
    fn from_iter<I: IntoIterator<Item = Request>>(requests: I) -> Self {
        let mut columns = Self::default();
        for (arrival, function, duration, bad) in requests {
            columns.arrival_ns.push(arrival);
            columns.function.push(function);
            columns.duration_ns.push(duration);
            columns.bad.push(bad);
        }
        columns
    }
}

fn options(policy: &str, tail: u64) -> Options {
    Options {
        policy: PolicySpec::parse(policy).unwrap(),
        tail: Nanos(tail),
        create_failure: 0.0,
        init_failure: 0.0,
        seed: 1,
        starts: None,
        per_request: true,
        explain: None,
        series: None,
    }
}

fn run(requests: &[Request], functions: &[FunctionModel], options: Options) -> Report {
    run_in_chunks(requests, requests.len(), functions, options)
}

/// Runs requests cut into chunks of a length, each dropped before the next is made.
fn run_in_chunks(requests: &[Request], length: usize, functions: &[FunctionModel], options: Options) -> Report {
    simulate(chunks(requests, length), functions, options, &mut |_| ControlFlow::Continue(())).unwrap()
}

fn chunks(requests: &[Request], length: usize) -> impl Iterator<Item = Result<Columns, SimError>> {
    requests.chunks(length.max(1)).map(|rows| Ok(rows.iter().copied().collect()))
}

fn bound(requests: &[Request], functions: &[FunctionModel]) -> Bound {
    clairvoyant(chunks(requests, requests.len()), functions).unwrap()
}

/// Slot time by state: starting, idle, busy, retiring, leaked.
fn slot_ns(totals: &Totals) -> [u64; Account::ALL.len()] {
    totals.slot_ns.map(|time| u64::try_from(time).unwrap())
}

/// Time waited by cause: cold start, hand-off, failed.
fn wait_ns(totals: &Totals) -> [u64; WaitCause::ALL.len()] {
    totals.wait_ns.map(|time| u64::try_from(time).unwrap())
}

/// Wait and outcome of each request.
fn rows(report: &Report) -> Vec<(u64, u8)> {
    let columns = report.requests.as_ref().unwrap();
    columns.wait_ns.iter().copied().zip(columns.outcome.iter().copied()).collect()
}
