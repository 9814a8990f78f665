//! The two tables of the engine: functions and slots, both addressed by index, both growing without ever moving an entry.

mod chunked;
mod clock;
mod function;
mod functions;
mod slots;
mod trouble;

pub(crate) use clock::Span;
pub(crate) use function::{Cold, Function};
pub use function::{FunctionRef, FunctionSpec};
pub(crate) use functions::FunctionTable;
pub(crate) use slots::{FAILURES, Slot, SlotAccount, SlotTable, State, Word};
