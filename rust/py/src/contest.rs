//! `ContestPlatform`: the contest's platform for `pilotlight replay`. Its thread never takes the GIL.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pilotlight_load::{ContestPlatform as Platform, Function, SlotAccount, Slots, TraceClock, Unusable};
use pyo3::prelude::*;

use crate::errors::LoadError;

/// The contest's platform service on a thread of its own, with the books of its slots. It listens once made.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct ContestPlatform {
    #[pyo3(get)]
    port: u16,
    slots: Slots,
    /// None once it is closed.
    platform: Mutex<Option<Platform>>,
}

#[pymethods]
impl ContestPlatform {
    #[new]
    #[expect(clippy::similar_names, reason = "named in Python, where they are settings")]
    #[pyo3(signature = (address = "127.0.0.1:0", *, now_ns, speed, create_ns, seed))]
    fn new(address: &str, now_ns: u64, speed: f64, create_ns: u64, seed: u64) -> PyResult<Self> {
        let platform = Platform::start(address, TraceClock::set(now_ns, speed), create_ns, seed)
            .map_err(|error| LoadError::new_err(error.to_string()))?;
        Ok(Self { port: platform.address().port(), slots: platform.slots(), platform: Mutex::new(Some(platform)) })
    }

    /// Sets what slots may be initialised for from now on.
    fn set_functions(&self, functions: HashMap<String, (u64, u64)>) {
        let functions = functions.into_iter().map(|(key, (memory_mb, init_ns))| (key, Function { memory_mb, init_ns }));
        self.slots.set_functions(functions.collect());
    }

    /// Tells what the slots came to, up to a moment.
    fn account(&self, now_ns: u64) -> (u128, u64, u64, u64, u64, u128) {
        let SlotAccount { held_mb_ns, live, created, destroyed_busy, answered, late_ns } = self.slots.account(now_ns);
        (held_mb_ns, live, created, destroyed_busy, answered, late_ns)
    }

    /// Begins an execution: its slot's id, or the kind of what is wrong and a text.
    fn begin_execution(&self, instance_id: &str, key: &str) -> (Option<&'static str>, String) {
        match self.slots.begin_execution(instance_id, key) {
            Ok(slot) => (None, slot),
            Err((Unusable::UnknownInstance, text)) => (Some("unknown_instance"), text),
            Err((Unusable::OtherFunction, text)) => (Some("other_function"), text),
            Err((Unusable::NotInitialised, text)) => (Some("not_initialised"), text),
            Err((Unusable::AlreadyAssigned, text)) => (Some("already_assigned"), text),
        }
    }

    /// Ends the execution on a slot.
    fn end_execution(&self, slot_id: &str) {
        self.slots.end_execution(slot_id);
    }

    /// Ends it; connections are cut, its books stay.
    fn close(&self, py: Python<'_>) {
        let platform = self.platform.lock().unwrap_or_else(PoisonError::into_inner).take();
        py.detach(|| drop(platform));
    }
}
