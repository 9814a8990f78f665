//! The policies there are, for listings.

use pilotlight_core::policy::{POLICIES, ParameterInfo, PolicyInfo, SHARED};
use pyo3::prelude::*;
use pyo3::types::PyDict;

/// Lists the policies: `name`, `summary`, `source`, `grade`, `grade_meaning`, `parameters` (list of `name`, `default`, `unit`, `summary`).
#[pyfunction]
pub(crate) fn policies(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    POLICIES.iter().map(|info| policy(py, info)).collect()
}

fn policy<'py>(py: Python<'py>, info: &PolicyInfo) -> PyResult<Bound<'py, PyDict>> {
    let parameters: Vec<_> = info.parameters.iter().chain(SHARED).map(|info| parameter(py, info)).collect::<PyResult<_>>()?;
    let dict = PyDict::new(py);
    dict.set_item("name", info.name)?;
    dict.set_item("summary", info.summary)?;
    dict.set_item("source", info.source)?;
    dict.set_item("grade", info.grade.to_string())?;
    dict.set_item("grade_meaning", info.grade.meaning())?;
    dict.set_item("parameters", parameters)?;
    Ok(dict)
}

fn parameter<'py>(py: Python<'py>, info: &ParameterInfo) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("name", info.name)?;
    dict.set_item("default", info.default)?;
    dict.set_item("unit", info.unit)?;
    dict.set_item("summary", info.summary)?;
    Ok(dict)
}
