//! The exceptions of the core, and the one mapping from the engine's errors to them.

use pilotlight_core::{EngineError, PolicyError};
use pilotlight_front::Refusal;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyValueError};
use pyo3::prelude::*;
use pyo3::sync::PyOnceLock;
use pyo3::types::{PyDict, PyType};

create_exception!(pilotlight._core, PilotlightError, PyException, "Base of every error Pilotlight raises.");
create_exception!(
    pilotlight._core,
    InvalidRequest,
    PilotlightError,
    "The request's bytes or fields are not usable; the text names the field."
);
create_exception!(
    pilotlight._core,
    InstanceNotFound,
    PilotlightError,
    "An Idle names an instance that this scaler never handed out, or no longer has."
);
create_exception!(
    pilotlight._core,
    SlotNotFound,
    PilotlightError,
    "A host's report names a slot that is not known or not in a state that the report fits; nothing changed."
);
create_exception!(
    pilotlight._core,
    Overloaded,
    PilotlightError,
    "A configured limit (functions, waiting requests) is reached; retry later."
);
create_exception!(pilotlight._core, Draining, PilotlightError, "The scaler is shutting down and takes no new requests.");
create_exception!(pilotlight._core, LoadError, PilotlightError, "A target cannot be measured; the text says why and what to look at.");

/// The exception class `ConfigError`. It has two bases, which `create_exception!` cannot give it.
pub(crate) fn config_error_type(py: Python<'_>) -> PyResult<&Bound<'_, PyType>> {
    static CLASS: PyOnceLock<Py<PyType>> = PyOnceLock::new();
    let class = CLASS.get_or_try_init(py, || {
        let bases = (py.get_type::<PilotlightError>(), py.get_type::<PyValueError>());
        let body = PyDict::new(py);
        body.set_item("__module__", "pilotlight._core")?;
        body.set_item("__doc__", "A policy specification or a setting is wrong; the text names it, its value and what is allowed.")?;
        let class = py.get_type::<PyType>().call1(("ConfigError", bases, body))?;
        PyResult::Ok(class.cast_into::<PyType>()?.unbind())
    })?;
    Ok(class.bind(py))
}

/// Makes a `ConfigError`.
pub(crate) fn config_error(py: Python<'_>, text: String) -> PyErr {
    match config_error_type(py) {
        Ok(class) => PyErr::from_type(class.clone(), text),
        Err(error) => error,
    }
}

/// Makes the exception of a policy that does not parse.
pub(crate) fn policy_error(py: Python<'_>, error: &PolicyError) -> PyErr {
    config_error(py, error.to_string())
}

/// Makes the exception of an engine's error.
#[expect(clippy::needless_pass_by_value, reason = "the form that `map_err` calls")]
pub(crate) fn engine_error(error: EngineError) -> PyErr {
    let text = error.to_string();
    match error {
        EngineError::TooManyFunctions { .. }
        | EngineError::TooManyVersions { .. }
        | EngineError::TooManyWaiting { .. }
        | EngineError::TooManyWaitingOfFunction { .. }
        | EngineError::FunctionGivenUp => Overloaded::new_err(text),
        EngineError::TooLarge { .. } => InvalidRequest::new_err(text),
        EngineError::Draining => Draining::new_err(text),
        EngineError::SlotNotFound(_) => SlotNotFound::new_err(text),
    }
}

/// Makes the exception of a refused call.
pub(crate) fn refusal(refusal: Refusal) -> PyErr {
    match refusal {
        Refusal::InvalidRequest(text) => InvalidRequest::new_err(text),
        Refusal::InstanceNotFound(text) => InstanceNotFound::new_err(text),
        Refusal::Engine(error) => engine_error(error),
    }
}
