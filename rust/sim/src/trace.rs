//! What is simulated: requests as a stream of chunks, functions as a table.
//!
//! A chunk is columns that somebody else owns: slices, Arrow arrays, rows of a file just read. The simulator looks at one chunk at a time
//! and keeps nothing of it but the requests that are under way, so a trace need not fit into memory, and runs may share one that does.

use std::iter::zip;
use std::sync::Arc;

use pilotlight_core::Nanos;

use crate::error::SimError;

/// Consecutive requests in order of arrival, one row each, as columns of the same length.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Moment of arrival in ns, ascending, also from chunk to chunk; any origin.
    pub arrival_ns: &'a [u64],
    /// Row of its function in the function table.
    pub function: &'a [u32],
    /// How long it executes, in ns.
    pub duration_ns: &'a [u64],
    /// It ends with `need_destroy`.
    pub bad: &'a [bool],
}

/// What holds the columns of a chunk: borrowed slices, an owned batch, or one that several runs share.
pub trait AsChunk {
    /// The columns.
    fn as_chunk(&self) -> Chunk<'_>;
}

impl AsChunk for Chunk<'_> {
    fn as_chunk(&self) -> Chunk<'_> {
        *self
    }
}

impl<T: AsChunk + ?Sized> AsChunk for &T {
    fn as_chunk(&self) -> Chunk<'_> {
        (**self).as_chunk()
    }
}

impl<T: AsChunk + ?Sized> AsChunk for Arc<T> {
    fn as_chunk(&self) -> Chunk<'_> {
        (**self).as_chunk()
    }
}

/// A row of a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) arrival: Nanos,
    pub(crate) duration: Nanos,
    pub(crate) function: u32,
    pub(crate) bad: bool,
}

impl<'a> Chunk<'a> {
    /// Its rows, from the first to the last.
    pub(crate) fn requests(self) -> impl Iterator<Item = Request> + use<'a> {
        zip(zip(self.arrival_ns, self.duration_ns), zip(self.function, self.bad))
            .map(|((&arrival, &duration), (&function, &bad))| Request { arrival: Nanos(arrival), duration: Nanos(duration), function, bad })
    }
}

/// Checks chunks as they come. Errors name the row, counted from the first chunk's first.
#[derive(Debug)]
pub(crate) struct Checker {
    /// Rows of the function table.
    functions: usize,
    /// Rows of all chunks before.
    rows: u64,
    last_arrival: u64,
}

impl Checker {
    pub(crate) fn new(functions: usize) -> Self {
        Self { functions, rows: 0, last_arrival: 0 }
    }

    /// Moment of the last arrival; `None` if there were no requests.
    pub(crate) fn last_arrival(&self) -> Option<Nanos> {
        (self.rows > 0).then_some(Nanos(self.last_arrival))
    }

    /// Checks that the next chunk's columns fit each other, its requests follow those before, and their functions exist.
    pub(crate) fn check(&mut self, chunk: &Chunk<'_>) -> Result<(), SimError> {
        let expected = chunk.arrival_ns.len();
        for (column, length) in [("function", chunk.function.len()), ("duration_ns", chunk.duration_ns.len()), ("bad", chunk.bad.len())] {
            if length != expected {
                return Err(SimError::ColumnLength { column, length, expected, first: self.rows });
            }
        }
        let mut last = self.last_arrival;
        for (row, &arrival_ns) in (self.rows..).zip(chunk.arrival_ns) {
            if arrival_ns < last {
                return Err(SimError::Unsorted { row, arrival_ns });
            }
            last = arrival_ns;
        }
        if let Some(at) = chunk.function.iter().position(|&function| function as usize >= self.functions) {
            let row = self.rows + at as u64;
            return Err(SimError::UnknownFunction { row, function: chunk.function[at], functions: self.functions });
        }
        self.last_arrival = last;
        self.rows += expected as u64;
        Ok(())
    }
}

/// A row of the function table: a function and what the platform needs to start an instance of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionModel {
    /// Its key. Functions of one key must differ in memory.
    pub key: String,
    /// Memory of its slots in MB.
    pub memory_mb: u32,
    /// Duration of a CreateSlot that it asked for.
    pub create: Nanos,
    /// Duration of its Init.
    pub init: Nanos,
}

impl FunctionModel {
    /// Duration of a whole start.
    #[must_use]
    pub fn cold_start(&self) -> Nanos {
        self.create + self.init
    }
}

#[cfg(test)]
mod tests {
    use super::{Checker, Chunk};
    use pilotlight_core::Nanos;

    const GOOD: Chunk<'_> = Chunk { arrival_ns: &[1, 1, 5], function: &[0, 1, 0], duration_ns: &[2, 0, 9], bad: &[false, true, false] };
    const NONE: Chunk<'_> = Chunk { arrival_ns: &[], function: &[], duration_ns: &[], bad: &[] };

    #[test]
    fn ascending_rows_of_known_functions_are_accepted() {
        let mut checker = Checker::new(2);
        assert_eq!(checker.check(&NONE), Ok(()));
        assert_eq!(checker.last_arrival(), None);
        assert_eq!(checker.check(&GOOD), Ok(()));
        assert_eq!(checker.check(&NONE), Ok(()));
        assert_eq!(checker.last_arrival(), Some(Nanos(5)));
    }

    #[test]
    fn errors_name_the_row_across_chunks() {
        for (chunk, expected) in [
            (
                Chunk { bad: &[true], ..GOOD },
                "column `bad` has 1 rows from row 3 on, `arrival_ns` has 3: every request needs a row in each",
            ),
            (Chunk { arrival_ns: &[5, 7, 6], ..GOOD }, "row 5 arrives at 6 ns, before the row above it: sort the trace by arrival"),
            (GOOD, "row 3 arrives at 1 ns, before the row above it: sort the trace by arrival"),
            (Chunk { arrival_ns: &[5, 5, 5], function: &[0, 1, 2], ..GOOD }, "row 5 is of function 2, but the function table has 2 rows"),
        ] {
            let mut checker = Checker::new(2);
            checker.check(&GOOD).unwrap();
            assert_eq!(checker.check(&chunk).unwrap_err().to_string(), expected);
        }
    }
}
