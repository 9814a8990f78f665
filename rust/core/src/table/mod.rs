//! The two tables of the engine: functions and slots, both addressed by index, both growing without ever moving an entry.

mod chunked;
mod clock;
mod functions;
mod slots;

pub(crate) use clock::Span;
pub(crate) use functions::{Cold, Function, FunctionTable};
pub use functions::{FunctionRef, FunctionSpec};
pub(crate) use slots::{Slot, SlotAccount, SlotTable, State, Word};
