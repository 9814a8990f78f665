//! Pilotlight's engine: for each request it hands out an instance, takes it back, and decides what to keep, start and retire.
//!
//! # Contract
//!
//! The engine does no I/O, reads no clock, spawns no thread and logs nothing. A **host** calls `handle_*` with the present moment on its
//! monotonic clock and a buffer, carries out every [`Command`] that was appended to the buffer, and reports the outcome by the call
//! the command names. In between it calls [`Engine::handle_tick`] when [`Engine::next_wakeup`] has come. The order of calls is free; a
//! report that fits nothing the engine knows is answered with [`EngineError::SlotNotFound`] and changes nothing. Whether the host
//! is a server or a simulator, the same code decides.
//!
//! Every method takes `&self` and may be called from any number of threads. Hosts' clocks may run slightly apart: times saturate. A clock
//! may begin wherever it likes, but stands still in the ledger once it shows more than 73 years. A single-threaded host that makes the same
//! calls gets the same commands and the same ledger, to the last nanosecond.
//!
//! # What it guarantees
//!
//! 1. A slot is in the ledger from CreateSlot's issue until its end is confirmed.
//! 2. An instance serves one request at a time and only its own function.
//! 3. At rest, a function never has both a free instance and a waiting request (unless `handoff=none` asks for that).
//! 4. A late, duplicate or unknown Idle changes nothing but its own reply.
//! 5. Every Assign is answered once: now, or by one `Wake`.
//! 6. Retiring never takes a busy instance (only [`Engine::handle_drain_deadline`] does).
//!
//! # What is linearizable
//!
//! Handing out and taking back instances ([`Engine::handle_assign`], [`Engine::handle_idle`]); the ledger's copies are snapshots.

#![forbid(unsafe_code)]

mod command;
mod config;
mod demand;
mod engine;
mod error;
mod ids;
mod ledger;
mod nanos;
pub mod policy;
mod pool;
mod sync;
mod table;

pub use command::{Bound, Command, DestroyReason, Shortage, WakeError};
pub use config::EngineConfig;
pub use engine::{Assign, Ending, Engine, FunctionTotals, Idle, Live, Snapshot, StartFailure};
pub use error::{EngineError, PolicyError};
pub use ids::{FunctionId, RequestTag, SlotId, WaiterId};
pub use ledger::{Account, Counter, Totals, WaitCause};
pub use nanos::Nanos;
pub use table::{FunctionRef, FunctionSpec};
