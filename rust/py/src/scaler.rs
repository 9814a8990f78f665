//! `Scaler`: one engine behind the wire format.
//!
//! # The GIL
//!
//! Assign, Idle and the platform's reports take about a microsecond and keep it; what walks over functions or slots (`tick`, `drain`,
//! `snapshot`) lets it go. No lock of the engine or of this file is ever held by a thread that waits for the GIL, so a thread
//! that waits for one of them with the GIL in its hand waits for a running thread.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::num::NonZeroU32;
use std::sync::Arc;

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Command, Engine, EngineConfig, EngineError, Nanos, SlotId, StartFailure, WaiterId};
use pilotlight_front::wire::{self, AssignReply};
use pilotlight_front::{Assigned, Caller, Service, ServiceConfig};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::commands::Outcome;
use crate::convert::Route;
use crate::errors::{InvalidRequest, config_error, engine_error, policy_error, refusal};
use crate::ledger;

/// One engine behind the wire format. Thread-safe; every method may be called from any thread.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct Scaler {
    pub(crate) service: Arc<Service>,
    pub(crate) route: Arc<Route>,
}

/// The call of a start that failed.
enum Stage {
    Create,
    Init,
}

#[pymethods]
impl Scaler {
    #[new]
    #[pyo3(signature = (
        *,
        policy = "level_gap",
        boot_id = random_boot_id(),
        assign_deadline_ns = 600_000_000_000,
        start_attempts = 3,
        max_functions = 100_000,
        max_waiting = 100_000,
        lease_factor = None,
        max_slots = None,
        max_memory_mb = None,
        max_starts_per_second = None,
    ))]
    #[expect(clippy::too_many_arguments, reason = "named in Python, where they are settings")]
    fn new(
        py: Python<'_>,
        policy: &str,
        boot_id: u32,
        assign_deadline_ns: u64,
        start_attempts: u32,
        max_functions: u32,
        max_waiting: u64,
        lease_factor: Option<f64>,
        max_slots: Option<u64>,
        max_memory_mb: Option<u64>,
        max_starts_per_second: Option<NonZeroU32>,
    ) -> PyResult<Self> {
        if start_attempts == 0 {
            return Err(config_error(py, "start_attempts is 0: a request needs at least 1".to_owned()));
        }
        if let Some(factor) = lease_factor.filter(|factor| !(1.0..).contains(factor)) {
            return Err(config_error(
                py,
                format!("lease_factor is {factor}: a lease is at least as long as the function's timeout, so 1 or more"),
            ));
        }
        let policy = PolicySpec::parse(policy).map_err(|error| policy_error(py, &error))?;
        let engine = EngineConfig {
            start_attempts,
            max_functions,
            max_waiting,
            lease_factor,
            max_slots,
            max_memory_mb,
            max_starts_per_second,
            ..EngineConfig::new(policy)
        };
        engine.check().map_err(|error| policy_error(py, &error))?;
        let service = Arc::new(Service::new(ServiceConfig { engine, boot_id, assign_deadline: Nanos(assign_deadline_ns) }));
        Ok(Self { route: Arc::new(Route::new(Arc::clone(&service))), service })
    }

    /// Serves an encoded AssignRequest: the encoded AssignReply when an instance was free, otherwise an Outcome.
    #[pyo3(signature = (now_ns, request, deadline_ns = None))]
    fn assign<'py>(&self, py: Python<'py>, now_ns: u64, request: &[u8], deadline_ns: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let assigned = self.service.assign(Nanos(now_ns), request, deadline_ns.map(Nanos), || Caller::Host);
        match assigned.map_err(refusal)? {
            (Assigned::Reply(reply), left) => self.route.answer(py, &reply, left),
            (Assigned::Waiting(waiter), left) => {
                let commands = self.route.commands(py, left)?.unbind();
                let outcome = Outcome { reply: None, waiter: Some(waiter.to_bits()), commands };
                Ok(Bound::new(py, outcome)?.into_any())
            }
        }
    }

    /// Serves an encoded IdleRequest: the encoded IdleReply, or an Outcome when there is something to carry out.
    fn idle<'py>(&self, py: Python<'py>, now_ns: u64, request: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let (reply, left) = self.service.idle(Nanos(now_ns), request).map_err(refusal)?;
        self.route.answer(py, &reply, left)
    }

    /// Forgets a waiting request whose client has gone; False: it was already woken (see `abandon`).
    fn cancel(&self, now_ns: u64, waiter: u64) -> bool {
        self.service.cancel(Nanos(now_ns), WaiterId::from_bits(waiter))
    }

    /// Takes back the instance of an AssignReply that could not be delivered.
    fn abandon<'py>(&self, py: Python<'py>, now_ns: u64, reply: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let reply: AssignReply = wire::decode("AssignReply", reply).map_err(InvalidRequest::new_err)?;
        if reply.assigment.is_none() {
            return Err(InvalidRequest::new_err("AssignReply.assigment is missing"));
        }
        self.route.commands(py, self.service.abandon(Nanos(now_ns), &reply))
    }

    /// Reports that CreateSlot succeeded after `create_ns`, also when it had been reported failed with `may_exist`.
    fn slot_created<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64, create_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, now_ns, |engine, now, issued| engine.handle_slot_created(now, SlotId::from_bits(slot), Nanos(create_ns), issued))
    }

    /// Reports that Init succeeded after `init_ns`.
    fn instance_ready<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64, init_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, now_ns, |engine, now, issued| engine.handle_instance_ready(now, SlotId::from_bits(slot), Nanos(init_ns), issued))
    }

    /// Reports that CreateSlot or Init failed; `may_exist` is of CreateSlot.
    #[pyo3(signature = (now_ns, slot, stage, reason, may_exist = false, throttled = false))]
    #[expect(clippy::too_many_arguments, reason = "named in Python")]
    fn start_failed<'py>(
        &self,
        py: Python<'py>,
        now_ns: u64,
        slot: u64,
        stage: &str,
        reason: &str,
        may_exist: bool,
        throttled: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let (now, slot) = (Nanos(now_ns), SlotId::from_bits(slot));
        let stage = match stage {
            "create" => Stage::Create,
            "init" => Stage::Init,
            _ => return Err(PyValueError::new_err(format!("stage is {stage:?}: allowed are \"create\" and \"init\""))),
        };
        let failure = match (may_exist, throttled) {
            (true, _) => StartFailure::Unanswered,
            (_, true) => StartFailure::Throttled,
            _ => StartFailure::Refused,
        };
        let report = |engine: &Engine, issued: &mut Vec<Command>| match stage {
            Stage::Create => engine.handle_create_failed(now, slot, failure, issued),
            Stage::Init => engine.handle_init_failed(now, slot, failure, issued),
        };
        // A throttle is nobody's failure: what is answered for failures is left as it is.
        let left = if throttled { self.service.report(now, report) } else { self.service.start_failed(now, slot, reason, report) };
        self.route.commands(py, left.map_err(engine_error)?)
    }

    /// Reports that DestroySlot succeeded or that the platform no longer knows the slot.
    fn slot_destroyed<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, now_ns, |engine, now, _| engine.handle_slot_destroyed(now, SlotId::from_bits(slot)))
    }

    /// Reports that DestroySlot failed; `tick` issues it again with growing pauses.
    fn destroy_failed<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, now_ns, |engine, now, _| engine.handle_destroy_failed(now, SlotId::from_bits(slot)))
    }

    /// Does what is due: deadlines, retirements, repeated destroys. Bounded work; call again while `next_wakeup_ns` is past.
    fn tick<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, now_ns, Engine::handle_tick)
    }

    /// When `tick` has something to do next; None: nothing is scheduled.
    fn next_wakeup_ns(&self) -> Option<u64> {
        self.service.engine().next_wakeup().map(|at| at.0)
    }

    /// Refuses new requests, answers waiting ones with an error, retires free instances; busy ones go when they end.
    fn drain<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, now_ns, Engine::handle_drain)
    }

    /// After the grace of a drain: destroys busy instances too.
    fn abandon_busy<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, now_ns, Engine::handle_drain_deadline)
    }

    /// Slots the ledger knows: issued, and not confirmed destroyed, refused or written off.
    #[getter]
    fn live_slots(&self) -> u64 {
        self.service.engine().live_slots()
    }

    /// The slots that `live_slots` counts, at most so many of them.
    fn slots(&self, most: usize) -> Vec<u64> {
        self.service.engine().slot_ids().take(most).map(SlotId::to_bits).collect()
    }

    /// Requests refused because all functions, or all versions of theirs, were in use.
    #[getter]
    fn functions_refused(&self) -> u64 {
        self.service.engine().functions_refused()
    }

    /// Copies the ledger: see docs/ledger.md for every key. `per_function` adds a list under "functions".
    #[pyo3(signature = (now_ns, per_function = false))]
    fn snapshot<'py>(&self, py: Python<'py>, now_ns: u64, per_function: bool) -> PyResult<Bound<'py, PyDict>> {
        let now = Nanos(now_ns);
        let engine = self.service.engine();
        let (snapshot, functions) = py.detach(|| (engine.snapshot(now), per_function.then(|| engine.function_totals(now))));
        let dict = ledger::whole(py, &snapshot, self.service.idle_unknown())?;
        if let Some(functions) = functions {
            let rows: Vec<_> = functions.iter().map(|function| ledger::of_function(py, function)).collect::<PyResult<_>>()?;
            dict.set_item("functions", rows)?;
        }
        Ok(dict)
    }
}

impl Scaler {
    /// Makes a platform's report that fits the engine or is refused.
    fn report<'py>(
        &self,
        py: Python<'py>,
        now_ns: u64,
        report: impl FnOnce(&Engine, Nanos, &mut Vec<Command>) -> Result<(), EngineError>,
    ) -> PyResult<Bound<'py, PyList>> {
        let now = Nanos(now_ns);
        let left = self.service.report(now, |engine, issued| report(engine, now, issued)).map_err(engine_error)?;
        self.route.commands(py, left)
    }

    /// Makes a call that may take long without the GIL.
    fn walk<'py>(
        &self,
        py: Python<'py>,
        now_ns: u64,
        call: impl FnOnce(&Engine, Nanos, &mut Vec<Command>) + Send,
    ) -> PyResult<Bound<'py, PyList>> {
        let now = Nanos(now_ns);
        let left = py.detach(|| self.route.dispatch.send(self.service.carry_out(now, |engine, issued| call(engine, now, issued))));
        self.route.convert(py, left)
    }
}

/// Draws 32 random bits: the standard library keys its hashers from the system's entropy.
#[expect(clippy::cast_possible_truncation, reason = "any 32 of the 64 bits")]
fn random_boot_id() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
