//! What is measured of a function's demand, online and in bounded memory: idle gaps by level, arrivals, execution times.
//!
//! # Ordering
//!
//! Everything here is relaxed: measures, from which one event lost in a race between threads takes nothing. A single-threaded host gets
//! the same measures on every run.

mod gaps;
mod levels;
mod rates;

pub(crate) use gaps::{BINS, GapCounts, bin_middles_s, bin_of, bin_starts_s, every_bin};
pub(crate) use levels::{GROUPS, LeftAt, began, group_of, group_start};
pub(crate) use rates::Rates;
