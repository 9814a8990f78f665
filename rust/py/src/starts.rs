//! The table of starts as Python lays it out.

use numpy::PyReadonlyArray1;
use pilotlight_sim::{StartRows, StartTable};
use pyo3::prelude::*;

use crate::simulate::{rows, sim_error};

/// Any object with these attributes.
#[derive(FromPyObject)]
pub(crate) struct Starts<'py> {
    stages: Vec<String>,
    create_stages: usize,
    durations_ns: PyReadonlyArray1<'py, u64>,
    first: PyReadonlyArray1<'py, u32>,
    count: PyReadonlyArray1<'py, u32>,
}

impl Starts<'_> {
    /// Copies the table out of the columns.
    pub(crate) fn table(self) -> PyResult<StartTable> {
        let functions = rows("first", &self.first)?.iter().zip(rows("count", &self.count)?);
        let functions = functions.map(|(&first, &count)| StartRows { first, count }).collect();
        let durations_ns = rows("durations_ns", &self.durations_ns)?.to_vec();
        StartTable::new(self.stages, self.create_stages, durations_ns, functions).map_err(sim_error)
    }
}
