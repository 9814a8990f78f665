//! Pilotlight's simulator: the engine over a trace in virtual time, and the least cost that was possible for that trace.
//!
//! [`simulate`] is a host like the server: it calls the same engine, carries out its commands on a model of a platform, and reports
//! back. Only the clock differs. A run is a function of its arguments: same trace, functions and options, same report, to the last
//! nanosecond, on any machine. It uses one thread; run several at once for several policies.
//!
//! # The trace
//!
//! Requests come as an iterator of chunks of columns, each a `Result`, so that they may be read, converted or generated while the run
//! goes on; how they are cut into chunks changes nothing. A run holds one chunk at a time and what is under way: requests that execute or
//! wait, slots, functions. Runs that share a trace in memory iterate over `Ok(&chunk)` or `Ok(Arc::clone(&chunk))`.
//!
//! # Order of things at one moment
//!
//! 1. Requests end, then Inits are answered, then each CreateSlot: what frees an instance comes before what would ask for another.
//!    Among equals, what was scheduled first comes first.
//! 2. The engine's tick. A keep-alive that is over at the moment of an arrival is over for it: a free instance is there for gaps
//!    *shorter* than its keep-alive.
//! 3. Requests arrive, in the trace's order.
//!
//! # The platform
//!
//! CreateSlot and Init take what the function table says, or what is drawn from a [`StartTable`], and then succeed or fail, by a seeded
//! draw; DestroySlot is immediate and never fails. There is no limit on slots. Requests wait as long as it takes.
//!
//! # The end
//!
//! A run ends a fixed time after the last arrival; what happens at that very moment still happens, then the ledger is read. Free
//! instances cost until then, and requests that still execute count as far as they got. Requests that still wait got nothing: the
//! ledger books a wait when it is over, so theirs is in [`RequestColumns`] only.

#![forbid(unsafe_code)]

mod bound;
mod diary;
mod error;
mod platform;
mod queue;
mod report;
mod run;
mod series;
mod shortage;
mod starts;
mod trace;

pub use bound::{Bound, clairvoyant};
pub use diary::Explanation;
pub use error::SimError;
pub use report::{Outcome, Report, RequestColumns, Waits};
pub use run::{Options, simulate};
pub use series::Series;
pub use shortage::Shortage;
pub use starts::{StageWaits, StartRows, StartTable};
pub use trace::{AsChunk, Chunk, FunctionModel};
