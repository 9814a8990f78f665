//! The simulator over NumPy columns, read in place, or over blocks of them; run without the GIL.
//!
//! Nobody may write to the columns while a run reads them.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use numpy::{Element, IntoPyArray, PyReadonlyArray1};
use pilotlight_core::Nanos;
use pilotlight_core::policy::PolicySpec;
use pilotlight_front::memory_mb_from;
use pilotlight_sim::{AsChunk, Chunk, FunctionModel, Options, SimError};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::blocks::{Blocks, Failure};
use crate::errors::{engine_error, policy_error};
use crate::report::SimReport;
use crate::starts::Starts;

/// Run time between two calls of the progress callback.
const PROGRESS_PAUSE: Duration = Duration::from_millis(100);

/// Runs the engine over a trace in virtual time, without the GIL.
#[pyfunction]
#[pyo3(signature = (
    *, arrival_ns = None, function = None, duration_ns = None, bad = None, blocks = None,
    keys, memory_mb, create_ns, init_ns, policy, tail_ns,
    starts = None, create_failure = 0.0, init_failure = 0.0, seed = 0, per_request = false, explain = None,
    series_ns = None, progress = None,
))]
#[expect(clippy::too_many_arguments, reason = "columns and options, all by keyword")]
#[expect(clippy::needless_pass_by_value, reason = "arguments arrive by value")]
pub(crate) fn simulate(
    py: Python<'_>,
    arrival_ns: Option<PyReadonlyArray1<'_, u64>>,
    function: Option<PyReadonlyArray1<'_, u32>>,
    duration_ns: Option<PyReadonlyArray1<'_, u64>>,
    bad: Option<PyReadonlyArray1<'_, bool>>,
    blocks: Option<&Bound<'_, PyAny>>,
    keys: Vec<String>,
    memory_mb: PyReadonlyArray1<'_, u64>,
    create_ns: PyReadonlyArray1<'_, u64>,
    init_ns: PyReadonlyArray1<'_, u64>,
    policy: &str,
    tail_ns: u64,
    starts: Option<Starts<'_>>,
    create_failure: f64,
    init_failure: f64,
    seed: u64,
    per_request: bool,
    explain: Option<usize>,
    series_ns: Option<u64>,
    progress: Option<Py<PyAny>>,
) -> PyResult<SimReport> {
    let policy = PolicySpec::parse(policy).map_err(|error| policy_error(py, &error))?;
    let starts = starts.map(Starts::table).transpose()?;
    let series = series_ns.map(Nanos);
    let options = Options { policy, tail: Nanos(tail_ns), create_failure, init_failure, seed, starts, per_request, explain, series };
    let functions = function_table(keys, &memory_mb, &create_ns, &init_ns)?;
    match (&arrival_ns, &function, &duration_ns, &bad, blocks) {
        (Some(arrival_ns), Some(function), Some(duration_ns), Some(bad), None) => {
            let requests = chunk(arrival_ns, function, duration_ns, bad)?;
            play(py, [Ok(requests)], &functions, options, progress.as_ref())
        }
        (None, None, None, None, Some(blocks)) => play(py, Blocks::new(blocks)?, &functions, options, progress.as_ref()),
        _ => Err(neither_nor()),
    }
}

/// Plays requests without the GIL; now and then, tells how far it is.
fn play<C: AsChunk>(
    py: Python<'_>,
    requests: impl IntoIterator<Item = Result<C, Failure>> + Send,
    functions: &[FunctionModel],
    options: Options,
    progress: Option<&Py<PyAny>>,
) -> PyResult<SimReport> {
    if let Some(row) = options.explain.filter(|&row| row >= functions.len()) {
        return Err(PyValueError::new_err(format!("explain is row {row}, the function table has {}", functions.len())));
    }
    let mut told = Instant::now();
    let mut stop = None;
    let result = py.detach(|| {
        pilotlight_sim::simulate(requests, functions, options, &mut |played| {
            if told.elapsed() < PROGRESS_PAUSE {
                return ControlFlow::Continue(());
            }
            let outcome = Python::attach(|py| tell(py, progress, played));
            told = Instant::now();
            stop = outcome.err();
            if stop.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
    });
    match stop {
        Some(error) => Err(error),
        None => SimReport::new(py, result.map_err(failure)?),
    }
}

/// Returns the least memory-time with which nobody waits, the future known.
#[pyfunction]
#[pyo3(signature = (
    *, arrival_ns = None, function = None, duration_ns = None, bad = None, blocks = None, memory_mb, create_ns, init_ns
))]
#[expect(clippy::too_many_arguments, reason = "columns, all by keyword")]
#[expect(clippy::needless_pass_by_value, reason = "arguments arrive by value")]
pub(crate) fn clairvoyant<'py>(
    py: Python<'py>,
    arrival_ns: Option<PyReadonlyArray1<'py, u64>>,
    function: Option<PyReadonlyArray1<'py, u32>>,
    duration_ns: Option<PyReadonlyArray1<'py, u64>>,
    bad: Option<PyReadonlyArray1<'py, bool>>,
    blocks: Option<&Bound<'py, PyAny>>,
    memory_mb: PyReadonlyArray1<'py, u64>,
    create_ns: PyReadonlyArray1<'py, u64>,
    init_ns: PyReadonlyArray1<'py, u64>,
) -> PyResult<Bound<'py, PyDict>> {
    // The bound asks for no names.
    let functions = function_table(vec![String::new(); memory_mb.len()?], &memory_mb, &create_ns, &init_ns)?;
    match (&arrival_ns, &function, &duration_ns, &bad, blocks) {
        (Some(arrival_ns), Some(function), Some(duration_ns), Some(bad), None) => {
            least(py, [Ok(chunk(arrival_ns, function, duration_ns, bad)?)], &functions)
        }
        (None, None, None, None, Some(blocks)) => least(py, Blocks::new(blocks)?, &functions),
        _ => Err(neither_nor()),
    }
}

/// Computes the bound without the GIL.
fn least<'py, C: AsChunk>(
    py: Python<'py>,
    requests: impl IntoIterator<Item = Result<C, Failure>> + Send,
    functions: &[FunctionModel],
) -> PyResult<Bound<'py, PyDict>> {
    let bound = py.detach(|| pilotlight_sim::clairvoyant(requests, functions)).map_err(failure)?;
    let dict = PyDict::new(py);
    dict.set_item("slot_gb_s", bound.slot_gb_s)?;
    dict.set_item("busy_gb_s", bound.busy_gb_s)?;
    dict.set_item("functions", bound.per_function.into_pyarray(py))?;
    Ok(dict)
}

/// Tells the caller how far the run is; an error, also a pressed Ctrl-C, ends it.
fn tell(py: Python<'_>, progress: Option<&Py<PyAny>>, played: u64) -> PyResult<()> {
    py.check_signals()?;
    progress.map_or(Ok(()), |progress| progress.call1(py, (played,)).map(drop))
}

fn chunk<'a>(
    arrival_ns: &'a PyReadonlyArray1<'_, u64>,
    function: &'a PyReadonlyArray1<'_, u32>,
    duration_ns: &'a PyReadonlyArray1<'_, u64>,
    bad: &'a PyReadonlyArray1<'_, bool>,
) -> PyResult<Chunk<'a>> {
    Ok(Chunk {
        arrival_ns: rows("arrival_ns", arrival_ns)?,
        function: rows("function", function)?,
        duration_ns: rows("duration_ns", duration_ns)?,
        bad: rows("bad", bad)?,
    })
}

fn function_table(
    keys: Vec<String>,
    memory_mb: &PyReadonlyArray1<'_, u64>,
    create_ns: &PyReadonlyArray1<'_, u64>,
    init_ns: &PyReadonlyArray1<'_, u64>,
) -> PyResult<Vec<FunctionModel>> {
    let memory_mb = rows("memory_mb", memory_mb)?;
    let create_ns = rows("create_ns", create_ns)?;
    let init_ns = rows("init_ns", init_ns)?;
    for (column, length) in [("memory_mb", memory_mb.len()), ("create_ns", create_ns.len()), ("init_ns", init_ns.len())] {
        if length != keys.len() {
            let text = format!("column `{column}` has {length} rows, the function table has {}", keys.len());
            return Err(PyValueError::new_err(text));
        }
    }
    keys.into_iter()
        .zip(memory_mb)
        .zip(create_ns.iter().zip(init_ns))
        .enumerate()
        .map(|(row, ((key, &memory_mb), (&create, &init)))| {
            let memory_mb = memory_mb_from(memory_mb)
                .map_err(|problem| PyValueError::new_err(format!("row {row} of the function table: memory_mb {problem}")))?;
            Ok(FunctionModel { key, memory_mb, create: Nanos(create), init: Nanos(init) })
        })
        .collect()
}

fn neither_nor() -> PyErr {
    PyValueError::new_err("give the requests either as `arrival_ns`, `function`, `duration_ns` and `bad` or as `blocks`")
}

/// Returns a column's rows in place.
pub(crate) fn rows<'a, T: Element>(column: &str, array: &'a PyReadonlyArray1<'_, T>) -> PyResult<&'a [T]> {
    let text = || format!("column `{column}` is not contiguous and aligned: pass numpy.ascontiguousarray of it");
    array.as_slice().map_err(|_| PyValueError::new_err(text()))
}

fn failure(failure: Failure) -> PyErr {
    match failure {
        Failure::Sim(error) => sim_error(error),
        Failure::Python(error) => error,
    }
}

pub(crate) fn sim_error(error: SimError) -> PyErr {
    match error {
        SimError::Engine(error) => engine_error(error),
        SimError::ColumnLength { .. }
        | SimError::Unsorted { .. }
        | SimError::UnknownFunction { .. }
        | SimError::DuplicateFunction { .. }
        | SimError::Probability { .. }
        | SimError::StartTable { .. }
        | SimError::Interrupted => PyValueError::new_err(error.to_string()),
    }
}
