//! The clairvoyant bound: the least memory-time with which nobody would have waited.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pilotlight_core::Nanos;

use crate::error::SimError;
use crate::trace::{AsChunk, Checker, FunctionModel};

/// The least memory-time in slots with which every request of a trace starts to execute when it arrives.
#[derive(Clone, Debug, PartialEq)]
pub struct Bound {
    /// All of it, in GB·s.
    pub slot_gb_s: f64,
    /// The part in which requests execute, in GB·s.
    pub busy_gb_s: f64,
    /// All of it, by row of the function table, in GB·s.
    pub per_function: Vec<f64>,
}

/// Computes the bound, the future known.
///
/// A request runs on an instance that an earlier one of its function has left, which costs its memory for the gap between the two, or on one
/// started just in time, which costs its memory for a start (create and Init). Each instance serves one request after another until
/// one ends badly, and nothing is kept after its last. The cheapest such plan hands every request **the instance freed last**, and
/// keeps it if the gap is shorter than a start. Suppose a plan of least cost crosses that rule; swapping the two instances turns two
/// gaps into a longer and a shorter one of the same sum, and `min(gap, start)` is concave, so the swap costs nothing.
///
/// Without bad results this is the same as a charge of `min(gap, start)` for every idle gap of every demand level.
///
/// It is exact for a platform without limits on which starts take what the function table says. Durations count in full, also of
/// requests that a simulation would leave unfinished. Requests that arrive at the same moment are served in the trace's order.
///
/// Cost: O(n log n) time for n requests; memory for one chunk and as many instances as ever execute at once.
///
/// # Source
///
/// The offline optimum of ski rental (Karlin, Manasse, Rudolph, Sleator, "Competitive snoopy caching", Algorithmica 3, 1988), per gap.
///
/// # Errors
///
/// The first that the chunks yield; [`SimError::ColumnLength`], [`SimError::Unsorted`] or [`SimError::UnknownFunction`] of a chunk that
/// is wrong.
pub fn clairvoyant<C: AsChunk, E: From<SimError>>(
    chunks: impl IntoIterator<Item = Result<C, E>>,
    functions: &[FunctionModel],
) -> Result<Bound, E> {
    let mut demands: Vec<_> = functions.iter().map(|function| Demand::new(function.cold_start())).collect();
    let mut checker = Checker::new(functions.len());
    for chunk in chunks {
        let chunk = chunk?;
        let chunk = chunk.as_chunk();
        checker.check(&chunk)?;
        for request in chunk.requests() {
            demands[request.function as usize].arrive(request.arrival, request.duration, request.bad);
        }
    }
    Ok(Bound::new(functions, &demands))
}

impl Bound {
    fn new(functions: &[FunctionModel], demands: &[Demand]) -> Self {
        let memory_time = |part: fn(&Demand) -> u128| {
            functions.iter().zip(demands).map(move |(function, demand)| u128::from(function.memory_mb) * part(demand))
        };
        Self {
            slot_gb_s: gb_s(memory_time(|demand| demand.held_ns + demand.busy_ns).sum()),
            busy_gb_s: gb_s(memory_time(|demand| demand.busy_ns).sum()),
            per_function: memory_time(|demand| demand.held_ns + demand.busy_ns).map(gb_s).collect(),
        }
    }
}

/// The demand for one function as its requests arrive.
struct Demand {
    /// What a start takes.
    start: Nanos,
    /// Ends of the requests that execute, and whether they end badly.
    executing: BinaryHeap<Reverse<(Nanos, bool)>>,
    /// When the instances that nobody uses became free, the last one on top.
    free: Vec<Nanos>,
    /// Time of starts and gaps.
    held_ns: u128,
    /// Time of execution.
    busy_ns: u128,
}

impl Demand {
    fn new(start: Nanos) -> Self {
        Self { start, executing: BinaryHeap::new(), free: Vec::new(), held_ns: 0, busy_ns: 0 }
    }

    fn arrive(&mut self, now: Nanos, duration: Nanos, bad: bool) {
        while let Some(&Reverse((end, bad))) = self.executing.peek()
            && end <= now
        {
            self.executing.pop();
            if !bad {
                self.free.push(end);
            }
        }
        let gap = self.free.pop().map_or(Nanos::MAX, |freed| now.since(freed));
        self.held_ns += u128::from(gap.min(self.start).0);
        self.busy_ns += u128::from(duration.0);
        self.executing.push(Reverse((now + duration, bad)));
    }
}

fn gb_s(mb_ns: u128) -> f64 {
    mb_ns as f64 / 1024.0 / 1e9
}
