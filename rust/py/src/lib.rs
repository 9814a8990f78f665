//! `pilotlight._core`: the engine behind its wire format, and the simulator, for Python.
//!
//! Conversions only: nothing here decides. The contract is `python/pilotlight/_core.pyi`. The module holds no Python state of its own, so
//! it supports free-threaded interpreters; where it counts on a lock instead of the GIL, the place says so.

mod blocks;
mod commands;
mod contest;
mod convert;
mod courier;
mod errors;
mod grpc_client;
mod ledger;
mod load;
mod native;
mod policies;
mod report;
mod scaler;
mod simulate;
mod starts;

/// The compiled core: the engine behind its wire format, and the simulator.
#[pyo3::pymodule]
mod _core {
    use pyo3::prelude::*;

    #[pymodule_export]
    use super::commands::{CreateSlot, DestroySlot, Init, Outcome, Wake};
    #[pymodule_export]
    use super::contest::ContestPlatform;
    #[pymodule_export]
    use super::courier::{Courier, LateOutcome, LeftCall, RefusedReport};
    #[pymodule_export]
    use super::errors::{Draining, InstanceNotFound, InvalidRequest, LoadError, Overloaded, PilotlightError, SlotNotFound};
    #[pymodule_export]
    use super::grpc_client::GrpcClient;
    #[pymodule_export]
    use super::load::{InstantPlatform, load_engine, load_grpc};
    #[pymodule_export]
    use super::native::NativeServer;
    #[pymodule_export]
    use super::policies::policies;
    #[pymodule_export]
    use super::report::SimReport;
    #[pymodule_export]
    use super::scaler::Scaler;
    #[pymodule_export]
    use super::simulate::{clairvoyant, simulate};

    #[pymodule_export]
    #[expect(non_upper_case_globals, reason = "Python's name for it")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        let py = module.py();
        module.add("ConfigError", super::errors::config_error_type(py)?)?;
        let command = py.get_type::<CreateSlot>().bitor(py.get_type::<Init>())?;
        module.add("Command", command.bitor(py.get_type::<DestroySlot>())?.bitor(py.get_type::<Wake>())?)
    }
}
