//! What may be wrong with a simulation's input.

use pilotlight_core::EngineError;

/// Errors of a simulation. Rows count from 0, those of requests from the first of the first chunk.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum SimError {
    /// A chunk's columns are not one table.
    #[error("column `{column}` has {length} rows from row {first} on, `arrival_ns` has {expected}: every request needs a row in each")]
    ColumnLength {
        /// Name of the column.
        column: &'static str,
        /// Its rows.
        length: usize,
        /// Rows of `arrival_ns`.
        expected: usize,
        /// The chunk's first row.
        first: u64,
    },
    /// A request arrives before the one in the row above it.
    #[error("row {row} arrives at {arrival_ns} ns, before the row above it: sort the trace by arrival")]
    Unsorted {
        /// The later row.
        row: u64,
        /// Its arrival.
        arrival_ns: u64,
    },
    /// A request is of no function of the table.
    #[error("row {row} is of function {function}, but the function table has {functions} rows")]
    UnknownFunction {
        /// The request's row.
        row: u64,
        /// Its function.
        function: u32,
        /// Rows of the function table.
        functions: usize,
    },
    /// Two rows of the function table are one function to the engine.
    #[error("rows {first} and {second} of the function table are both `{key}` with the same memory: keep one")]
    DuplicateFunction {
        /// The earlier row.
        first: usize,
        /// The later row.
        second: usize,
        /// Their key.
        key: String,
    },
    /// Not a probability.
    #[error("{option} is {value}, but a probability lies between 0 and 1")]
    Probability {
        /// Name of the option.
        option: &'static str,
        /// Its value.
        value: f64,
    },
    /// The table of starts does not fit itself, or the functions.
    #[error("start table: {problem}")]
    StartTable {
        /// What is wrong with it.
        problem: String,
    },
    /// The engine refused a function or a request: one of its limits is reached.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The progress callback asked to stop.
    #[error("the simulation was interrupted")]
    Interrupted,
}
