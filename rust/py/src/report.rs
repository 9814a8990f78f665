//! `SimReport`: a simulation's report as dicts and NumPy columns.

use numpy::IntoPyArray;
use pilotlight_core::{Account, Counter, Totals, WaitCause};
use pilotlight_sim::{Explanation, Report, RequestColumns, StageWaits, Waits};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::ledger;

/// What a simulation measured. Columns are NumPy arrays; times in ns, memory-time in GB·s.
#[pyclass(frozen, get_all, module = "pilotlight._core")]
pub(crate) struct SimReport {
    /// The same keys as `Scaler.snapshot`.
    ledger: Py<PyDict>,
    /// One row a function, in the order of the function table.
    functions: Py<PyDict>,
    /// One row a request when asked for: `wait_ns` uint64, `outcome` uint8 (0 warm, 1 cold start, 2 hand-off, 3 failed).
    requests: Option<Py<PyDict>>,
    /// `p50`, `p95`, `p99`, `max` over all answered requests (three significant digits).
    wait_quantiles_ns: Py<PyDict>,
    /// By stage of a start, and `queued`: seconds that a function's requests waited for cold starts, one row a function.
    stage_wait_s: Py<PyDict>,
    /// When asked for: `decisions` [(ns, text)], `left_out`, `accounts` [(ns, [text])] of one function.
    explanation: Option<Py<PyDict>>,
    peak_instances: u64,
    peak_memory_mb: u64,
    end_ns: u64,
    events: u64,
}

impl SimReport {
    pub(crate) fn new(py: Python<'_>, report: Report) -> PyResult<Self> {
        let live = &report.snapshot.live;
        Ok(Self {
            // No Idle of a simulation is of an unknown instance.
            ledger: ledger::whole(py, &report.snapshot, 0)?.unbind(),
            functions: function_columns(py, &report.functions)?.unbind(),
            requests: report.requests.map(|columns| request_columns(py, columns)).transpose()?,
            wait_quantiles_ns: quantiles(py, &report.waits)?.unbind(),
            stage_wait_s: stage_columns(py, &report.stage_waits, report.functions.len())?.unbind(),
            explanation: report.explanation.map(|explanation| explanation_dict(py, explanation)).transpose()?,
            peak_instances: live.peak_slots,
            peak_memory_mb: live.peak_memory_mb,
            end_ns: report.end_ns,
            events: report.events,
        })
    }
}

fn function_columns<'py>(py: Python<'py>, functions: &[Totals]) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    let counts = |value: &dyn Fn(&Totals) -> u64| functions.iter().map(value).collect::<Vec<_>>().into_pyarray(py);
    let amounts = |value: &dyn Fn(&Totals) -> f64| functions.iter().map(value).collect::<Vec<_>>().into_pyarray(py);
    dict.set_item("assigns", counts(&Totals::assigns))?;
    for &counter in Counter::ALL {
        dict.set_item(counter.as_str(), counts(&|totals| totals.count(counter)))?;
    }
    dict.set_item("failed", counts(&Totals::failed))?;
    dict.set_item("wait_s", amounts(&|totals| WaitCause::ALL.iter().map(|&cause| totals.wait_s(cause)).sum()))?;
    for cause in WaitCause::ALL {
        dict.set_item(format!("{}_wait_s", cause.as_str()), amounts(&|totals| totals.wait_s(cause)))?;
    }
    for account in Account::ALL {
        dict.set_item(format!("{}_gb_s", account.as_str()), amounts(&|totals| totals.gb_s(account)))?;
    }
    Ok(dict)
}

fn stage_columns<'py>(py: Python<'py>, waits: &StageWaits, functions: usize) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (stage, name) in waits.stages.iter().map(String::as_str).chain(["queued"]).enumerate() {
        let seconds = |function| waits.wait_ns(function, stage) as f64 / 1e9;
        dict.set_item(name, (0..functions).map(seconds).collect::<Vec<_>>().into_pyarray(py))?;
    }
    Ok(dict)
}

fn request_columns(py: Python<'_>, columns: RequestColumns) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("wait_ns", columns.wait_ns.into_pyarray(py))?;
    dict.set_item("outcome", columns.outcome.into_pyarray(py))?;
    Ok(dict.unbind())
}

fn explanation_dict(py: Python<'_>, explanation: Explanation) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    let decisions: Vec<_> = explanation.decisions.into_iter().map(|(at, text)| (at.0, text)).collect();
    let accounts: Vec<_> = explanation.accounts.into_iter().map(|(at, lines)| (at.0, lines)).collect();
    dict.set_item("decisions", decisions)?;
    dict.set_item("left_out", explanation.left_out)?;
    dict.set_item("accounts", accounts)?;
    Ok(dict.unbind())
}

fn quantiles<'py>(py: Python<'py>, waits: &Waits) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    for (name, share) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99)] {
        dict.set_item(name, waits.quantile_ns(share))?;
    }
    dict.set_item("max", waits.max_ns())?;
    Ok(dict)
}
