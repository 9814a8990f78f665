//! A stream of requests from Python: an iterator of blocks of NumPy columns, asked for the next one while a run goes on.
//!
//! A block's columns are copied, 21 bytes a request: a run works without the GIL, and nothing but a copy lets it read arrays that Python
//! may drop. Beside what a request costs to play the copy does not show.

use std::fmt;

use numpy::{Element, PyReadonlyArray1};
use pilotlight_sim::{AsChunk, Chunk, SimError};
use pyo3::prelude::*;
use pyo3::types::PyIterator;

use crate::simulate::rows;

type Columns<'py> = (PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, u32>, PyReadonlyArray1<'py, u64>, PyReadonlyArray1<'py, bool>);

/// Why a run over blocks ended early.
pub(crate) enum Failure {
    /// What the simulator says.
    Sim(SimError),
    /// What the iterator raised, or the error that its block is none.
    Python(PyErr),
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Self {
        Self::Sim(error)
    }
}

/// A block of requests.
pub(crate) struct Block {
    arrival_ns: Vec<u64>,
    function: Vec<u32>,
    duration_ns: Vec<u64>,
    bad: Vec<bool>,
}

impl AsChunk for Block {
    fn as_chunk(&self) -> Chunk<'_> {
        Chunk { arrival_ns: &self.arrival_ns, function: &self.function, duration_ns: &self.duration_ns, bad: &self.bad }
    }
}

/// The blocks of an iterator; each step takes the GIL for as long as Python needs to make the next block.
pub(crate) struct Blocks {
    source: Py<PyIterator>,
}

impl fmt::Debug for Blocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocks").finish_non_exhaustive()
    }
}

impl Blocks {
    /// Begins to iterate over `blocks`.
    pub(crate) fn new(blocks: &Bound<'_, PyAny>) -> PyResult<Self> {
        Ok(Self { source: blocks.try_iter()?.unbind() })
    }
}

impl Iterator for Blocks {
    type Item = Result<Block, Failure>;

    fn next(&mut self) -> Option<Self::Item> {
        Python::attach(|py| {
            let block = self.source.bind(py).clone().next()?;
            Some(block.and_then(|block| copied(&block)).map_err(Failure::Python))
        })
    }
}

/// Copies the columns of one block.
fn copied(block: &Bound<'_, PyAny>) -> PyResult<Block> {
    let (arrival_ns, function, duration_ns, bad): Columns<'_> = block.extract()?;
    Ok(Block {
        arrival_ns: column("arrival_ns", &arrival_ns)?,
        function: column("function", &function)?,
        duration_ns: column("duration_ns", &duration_ns)?,
        bad: column("bad", &bad)?,
    })
}

fn column<T: Element + Copy>(name: &str, array: &PyReadonlyArray1<'_, T>) -> PyResult<Vec<T>> {
    rows(name, array).map(<[T]>::to_vec)
}
