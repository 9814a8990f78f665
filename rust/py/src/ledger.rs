//! The ledger as a dict. Every key is described in `docs/ledger.md`.

use pilotlight_core::{Account, Counter, FunctionTotals, Snapshot, Totals, WaitCause};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Makes the dict of a whole ledger.
pub(crate) fn whole<'py>(py: Python<'py>, snapshot: &Snapshot, idle_unknown: u64) -> PyResult<Bound<'py, PyDict>> {
    let live = &snapshot.live;
    let dict = PyDict::new(py);
    add_totals(&dict, &snapshot.totals)?;
    dict.set_item("idle_unknown", idle_unknown)?;
    dict.set_item("functions_count", live.functions)?;
    dict.set_item("functions_given_up", live.functions_given_up)?;
    dict.set_item("functions_refused", live.functions_refused)?;
    dict.set_item("waiting", live.waiting)?;
    dict.set_item("longest_busy_s", live.longest_busy.as_secs_f64())?;
    dict.set_item("past_timeout", live.past_timeout)?;
    dict.set_item("live_slots", live.slots.iter().sum::<u64>())?;
    dict.set_item("peak_slots", live.peak_slots)?;
    dict.set_item("peak_memory_mb", live.peak_memory_mb)?;
    let slots = PyDict::new(py);
    for account in Account::ALL {
        slots.set_item(account.as_str(), live.slots[account as usize])?;
    }
    dict.set_item("slots", slots)?;
    Ok(dict)
}

/// Makes the dict of one function's ledger.
pub(crate) fn of_function<'py>(py: Python<'py>, function: &FunctionTotals) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("key", &*function.spec.key)?;
    dict.set_item("runtime", &*function.spec.runtime)?;
    dict.set_item("timeout_s", function.spec.timeout_s)?;
    dict.set_item("memory_mb", function.spec.memory_mb)?;
    dict.set_item("balance", function.balance)?;
    dict.set_item("waiting", function.waiting)?;
    add_totals(&dict, &function.totals)?;
    Ok(dict)
}

fn add_totals(dict: &Bound<'_, PyDict>, totals: &Totals) -> PyResult<()> {
    let py = dict.py();
    for &counter in Counter::ALL {
        dict.set_item(counter.as_str(), totals.count(counter))?;
    }
    dict.set_item("assigns", totals.assigns())?;
    dict.set_item("failed", totals.failed())?;
    let wait_s = PyDict::new(py);
    for cause in WaitCause::ALL {
        wait_s.set_item(cause.as_str(), totals.wait_s(cause))?;
    }
    dict.set_item("wait_s", wait_s)?;
    let gb_s = PyDict::new(py);
    for account in Account::ALL {
        gb_s.set_item(account.as_str(), totals.gb_s(account))?;
    }
    dict.set_item("gb_s", gb_s)
}
