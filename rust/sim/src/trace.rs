//! What is simulated: requests as columns, functions as a table.

use pilotlight_core::Nanos;

use crate::error::SimError;

/// Requests in order of arrival, one row each, as columns of the same length.
#[derive(Clone, Copy, Debug)]
pub struct Trace<'a> {
    /// Moment of arrival in ns, ascending; any origin.
    pub arrival_ns: &'a [u64],
    /// Row of its function in the function table.
    pub function: &'a [u32],
    /// How long it executes, in ns.
    pub duration_ns: &'a [u64],
    /// It ends with `need_destroy`.
    pub bad: &'a [bool],
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

impl Trace<'_> {
    /// Number of requests.
    #[must_use]
    pub fn len(&self) -> usize {
        self.arrival_ns.len()
    }

    /// Are there no requests?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.arrival_ns.is_empty()
    }

    /// Checks that the columns fit each other and a function table of `functions` rows.
    ///
    /// # Errors
    ///
    /// [`SimError::ColumnLength`], [`SimError::Unsorted`] or [`SimError::UnknownFunction`], for the first row that is wrong.
    pub fn validate(&self, functions: usize) -> Result<(), SimError> {
        let expected = self.len();
        for (column, length) in [("function", self.function.len()), ("duration_ns", self.duration_ns.len()), ("bad", self.bad.len())] {
            if length != expected {
                return Err(SimError::ColumnLength { column, length, expected });
            }
        }
        if let Some(row) = self.arrival_ns.windows(2).position(|pair| pair[0] > pair[1]) {
            return Err(SimError::Unsorted { row: row + 1, arrival_ns: self.arrival_ns[row + 1] });
        }
        match self.function.iter().position(|&function| function as usize >= functions) {
            Some(row) => Err(SimError::UnknownFunction { row, function: self.function[row], functions }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Trace;

    const GOOD: Trace<'_> = Trace { arrival_ns: &[1, 1, 5], function: &[0, 1, 0], duration_ns: &[2, 0, 9], bad: &[false, true, false] };

    #[test]
    fn an_ascending_table_is_valid() {
        assert_eq!(GOOD.validate(2), Ok(()));
        assert_eq!(Trace { arrival_ns: &[], function: &[], duration_ns: &[], bad: &[] }.validate(0), Ok(()));
    }

    #[test]
    fn errors_name_the_row() {
        for (trace, expected) in [
            (Trace { bad: &[true], ..GOOD }, "column `bad` has 1 rows, `arrival_ns` has 3: every request needs a row in each"),
            (Trace { arrival_ns: &[1, 5, 4], ..GOOD }, "row 2 arrives at 4 ns, before the row above it: sort the trace by arrival"),
            (Trace { function: &[0, 1, 2], ..GOOD }, "row 2 is of function 2, but the function table has 2 rows"),
        ] {
            assert_eq!(trace.validate(2).unwrap_err().to_string(), expected);
        }
    }
}
