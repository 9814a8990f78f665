//! `SimReport`: a simulation's report as dicts and NumPy columns.

use numpy::IntoPyArray;
use pilotlight_core::{Account, Counter, Totals, WaitCause};
use pilotlight_sim::{Explanation, Report, RequestColumns, Series, Shortage, StageWaits, Waits};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::ledger;

/// Points to a decade of the distribution of waits.
const WAITS_PER_DECADE: u32 = 24;

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
    /// How many answered requests waited longer: `wait_ns` and `longer`, both uint64; times ascend by the same factor.
    waits: Py<PyDict>,
    /// When asked for: one row a span, see `series_columns`.
    series: Option<Py<PyDict>>,
    /// With the series: how many requests found no free instance, by why.
    shortages: Option<Py<PyDict>>,
    /// When asked for: `decisions` [(ns, text)], `left_out`, `accounts` [(ns, [text])] of one function.
    explanation: Option<Py<PyDict>>,
    unfinished_wait_ns: u64,
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
            waits: wait_columns(py, &report.waits)?.unbind(),
            series: report.series.map(|series| series_columns(py, &series)).transpose()?,
            shortages: report.shortages.map(|counts| shortage_dict(py, counts)).transpose()?,
            explanation: report.explanation.map(|explanation| explanation_dict(py, explanation)).transpose()?,
            unfinished_wait_ns: report.unfinished_wait_ns,
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

fn wait_columns<'py>(py: Python<'py>, waits: &Waits) -> PyResult<Bound<'py, PyDict>> {
    let (wait_ns, longer): (Vec<u64>, Vec<u64>) = waits.longer_than(WAITS_PER_DECADE).into_iter().unzip();
    let dict = PyDict::new(py);
    dict.set_item("wait_ns", wait_ns.into_pyarray(py))?;
    dict.set_item("longer", longer.into_pyarray(py))?;
    Ok(dict)
}

/// Lays a series out by span: `end_ns`, what was counted, what was waited, and the mean number and memory of slots by state.
fn series_columns(py: Python<'_>, series: &Series) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    let ends: Vec<u64> = series.ends.iter().map(|end| end.0).collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    let spans_ns: Vec<f64> = ends.iter().zip(starts).map(|(end, start)| (end - start).max(1) as f64).collect();
    let differences = |value: &dyn Fn(&Totals) -> f64| -> Vec<f64> {
        let values: Vec<f64> = series.totals.iter().map(value).collect();
        let before = std::iter::once(0.0).chain(values.iter().copied());
        values.iter().zip(before).map(|(value, before)| value - before).collect()
    };
    let means = |value: &dyn Fn(&Totals) -> f64| -> Vec<f64> {
        differences(value).into_iter().zip(&spans_ns).map(|(difference, span)| difference / span).collect()
    };
    for (name, value) in [("assigns", &Totals::assigns as &dyn Fn(&Totals) -> u64), ("failed", &Totals::failed)] {
        dict.set_item(name, differences(&|totals| value(totals) as f64).into_pyarray(py))?;
    }
    for &counter in Counter::ALL {
        dict.set_item(counter.as_str(), differences(&|totals| totals.count(counter) as f64).into_pyarray(py))?;
    }
    let wait_s = |totals: &Totals| WaitCause::ALL.iter().map(|&cause| totals.wait_s(cause)).sum();
    dict.set_item("wait_s", differences(&wait_s).into_pyarray(py))?;
    for account in Account::ALL {
        let (slots, memory) = (|totals: &Totals| totals.slot_ns[account as usize] as f64, |totals: &Totals| totals.gb_s(account) * 1e9);
        dict.set_item(format!("{}_slots", account.as_str()), means(&slots).into_pyarray(py))?;
        dict.set_item(format!("{}_gb", account.as_str()), means(&memory).into_pyarray(py))?;
    }
    dict.set_item("end_ns", ends.into_pyarray(py))?;
    Ok(dict.unbind())
}

fn shortage_dict(py: Python<'_>, counts: [u64; Shortage::ALL.len()]) -> PyResult<Py<PyDict>> {
    let dict = PyDict::new(py);
    for shortage in Shortage::ALL {
        dict.set_item(shortage.as_str(), counts[shortage as usize])?;
    }
    Ok(dict.unbind())
}
