//! `Courier`: carries out a scaler's commands on a platform without Python, as long as all goes well.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_core::{Nanos, SlotId};
use pilotlight_front::server::Clock;
use pilotlight_front::{Calls, CourierConfig, Kind, Left};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert::{command, wake};
use crate::grpc_client::{GrpcClient, Told, told};
use crate::scaler::Scaler;

/// A command whose call did not end well.
#[pyclass(frozen, get_all, module = "pilotlight._core")]
pub(crate) struct LeftCall {
    pub(crate) command: Py<PyAny>,
    pub(crate) outcome: Told,
    pub(crate) begun_ns: u64,
}

/// The later outcome of a CreateSlot that was left unanswered.
#[pyclass(frozen, get_all, module = "pilotlight._core")]
pub(crate) struct LateOutcome {
    pub(crate) slot: u64,
    pub(crate) outcome: Told,
}

/// A report that the engine refused.
#[pyclass(frozen, get_all, module = "pilotlight._core")]
pub(crate) struct RefusedReport {
    pub(crate) reason: String,
}

/// Carries out a scaler's CreateSlot, Init and DestroySlot; also the platform's names of its slots, by slot.
#[pyclass(frozen, mapping, module = "pilotlight._core")]
pub(crate) struct Courier {
    inner: Arc<pilotlight_front::Courier>,
    scaler: Py<Scaler>,
}

#[pymethods]
impl Courier {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "named in Python, where they are settings")]
    #[pyo3(signature = (scaler, client, *, now_ns, create_ns, init_ns, destroy_ns, create_awaited_ns))]
    fn new(
        py: Python<'_>,
        scaler: Py<Scaler>,
        client: &GrpcClient,
        now_ns: u64,
        create_ns: u64,
        init_ns: u64,
        destroy_ns: u64,
        create_awaited_ns: u64,
    ) -> PyResult<Self> {
        let [create, init, destroy, create_awaited] = [create_ns, init_ns, destroy_ns, create_awaited_ns].map(Duration::from_nanos);
        let config = CourierConfig { create, init, destroy, create_awaited };
        let of = scaler.borrow(py);
        let (service, clock) = (Arc::clone(&of.service), Clock::set(Nanos(now_ns)));
        let courier = Arc::new(pilotlight_front::Courier::new(service, clock, Arc::clone(&client.client), config)?);
        if !of.route.dispatch.attach(Arc::clone(&courier)) {
            return Err(PyValueError::new_err("the scaler has a courier already"));
        }
        drop(of);
        Ok(Self { inner: courier, scaler })
    }

    /// The descriptor that is readable when something was left.
    fn fileno(&self) -> RawFd {
        self.inner.descriptor()
    }

    /// Takes what was left, in its order.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        let scaler = self.scaler.borrow(py);
        for left in self.inner.take() {
            match left {
                Left::Wake(woken) => list.append(wake(woken))?,
                Left::Call(_, host_command, outcome, begun) => {
                    let command = command(py, &scaler.service, host_command)?.unbind();
                    list.append(LeftCall { command, outcome: told(py, outcome), begun_ns: begun.0 })?;
                }
                Left::Late(slot, outcome) => list.append(LateOutcome { slot: slot.to_bits(), outcome: told(py, outcome) })?,
                Left::Refused(reason) => list.append(RefusedReport { reason })?,
            }
        }
        Ok(list)
    }

    /// Drops every later DestroySlot.
    fn leave_slots(&self) {
        self.inner.leave_slots();
    }

    /// Calls now, of CreateSlot, Init and DestroySlot; those that ended well, by duration; the sum of their seconds.
    fn calls(&self) -> [(u64, Vec<u64>, f64); 3] {
        Kind::ALL.map(|kind| {
            let calls = self.inner.calls(kind);
            (calls.in_flight, calls.by_duration.to_vec(), Duration::from_nanos(calls.total.0).as_secs_f64())
        })
    }

    /// Upper bounds of the durations that `calls` counts together, in seconds; longer ones are the last count.
    #[classattr]
    #[pyo3(name = "BOUNDS_S")]
    fn bounds_s() -> Vec<f64> {
        Calls::BOUNDS_MS.iter().map(|&bound| Duration::from_millis(bound).as_secs_f64()).collect()
    }

    fn __getitem__(&self, slot: u64) -> PyResult<String> {
        self.inner.name(SlotId::from_bits(slot)).ok_or_else(|| PyKeyError::new_err(slot))
    }

    /// Notes the platform's name of a slot; False: another slot has it.
    #[pyo3(signature = (slot, name, *, takes_over))]
    fn claim(&self, slot: u64, name: &str, takes_over: bool) -> bool {
        self.inner.claim(SlotId::from_bits(slot), name, takes_over)
    }

    fn __delitem__(&self, slot: u64) {
        self.inner.forget(SlotId::from_bits(slot));
    }

    fn __contains__(&self, slot: u64) -> bool {
        self.inner.name(SlotId::from_bits(slot)).is_some()
    }
}
