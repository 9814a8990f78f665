//! `Scaler`: one engine behind the wire format.
//!
//! # The GIL
//!
//! Assign, Idle and the platform's reports take about a microsecond and keep it; what walks over functions or slots (`tick`, `drain`,
//! `snapshot`) lets it go. No lock of the engine or of this file is ever held by a thread that waits for the GIL, so a thread
//! that waits for one of them with the GIL in its hand waits for a running thread.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{Assign, Command, Engine, EngineConfig, EngineError, FunctionRef, Idle, Nanos, RequestTag, SlotId, WaiterId};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};

use crate::commands::Outcome;
use crate::errors::{InstanceNotFound, InvalidRequest, config_error, engine_error, policy_error};
use crate::memory::memory_mb_from;
use crate::waiting::{Request, Waiting};
use crate::wire::{self, AssignReply, AssignRequest, Assignment, IdleReply, IdleRequest, Status};
use crate::{instance_id, ledger};

/// Longest key, runtime or request id.
const MAX_TEXT_BYTES: usize = 1024;

/// One engine behind the wire format. Thread-safe; every method may be called from any thread.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct Scaler {
    pub(crate) engine: Engine,
    pub(crate) boot_id: u32,
    pub(crate) waiting: Waiting,
    assign_deadline: Nanos,
    /// Makes request tags. Its key is random: a client cannot choose request ids that share a tag.
    tags: foldhash::quality::RandomState,
    /// Idles that named a function or an instance that is unknown. The engine has no function to count them under.
    idle_unknown: AtomicU64,
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
    ))]
    fn new(
        py: Python<'_>,
        policy: &str,
        boot_id: u32,
        assign_deadline_ns: u64,
        start_attempts: u32,
        max_functions: u32,
        max_waiting: u64,
    ) -> PyResult<Self> {
        if start_attempts == 0 {
            return Err(config_error(py, "start_attempts is 0: a request needs at least 1".to_owned()));
        }
        let policy = PolicySpec::parse(policy).map_err(|error| policy_error(py, &error))?;
        Ok(Self {
            engine: Engine::new(EngineConfig { start_attempts, max_functions, max_waiting, ..EngineConfig::new(policy) }),
            boot_id,
            waiting: Waiting::default(),
            assign_deadline: Nanos(assign_deadline_ns),
            tags: foldhash::quality::RandomState::default(),
            idle_unknown: AtomicU64::new(0),
        })
    }

    /// Serves an encoded AssignRequest: the encoded AssignReply when an instance was free, otherwise an Outcome.
    #[pyo3(signature = (now_ns, request, deadline_ns = None))]
    fn assign<'py>(&self, py: Python<'py>, now_ns: u64, request: &[u8], deadline_ns: Option<u64>) -> PyResult<Bound<'py, PyAny>> {
        let now = Nanos(now_ns);
        let deadline = deadline_ns.map_or(Nanos::MAX, Nanos).min(now + self.assign_deadline);
        let AssignRequest { request_id, meta_data } = wire::decode("AssignRequest", request).map_err(InvalidRequest::new_err)?;
        let meta = meta_data.ok_or_else(|| InvalidRequest::new_err("AssignRequest.meta_data is missing"))?;
        check_length("request_id", &request_id)?;
        let function = self.engine.function(&function_ref(&meta)?).map_err(engine_error)?;
        let mut issued = Vec::new();
        match self.engine.handle_assign(now, function, self.tag(&request_id), deadline, &mut issued).map_err(engine_error)? {
            Assign::Warm(slot) => {
                let reply = wire::encode(py, &self.assigned(request_id, meta.key, slot))?;
                self.answer(py, reply, issued)
            }
            Assign::Waiting(waiter) => {
                let met = self.waiting.enter(waiter, Request { request_id, function });
                let commands = self.commands(py, issued, None)?;
                if let Some((request, verdict)) = met {
                    commands.append(self.wake(waiter, request, verdict))?;
                }
                let outcome = Outcome { reply: None, waiter: Some(waiter.to_bits()), commands: commands.unbind() };
                Ok(Bound::new(py, outcome)?.into_any())
            }
        }
    }

    /// Serves an encoded IdleRequest: the encoded IdleReply, or an Outcome when there is something to carry out.
    fn idle<'py>(&self, py: Python<'py>, now_ns: u64, request: &[u8]) -> PyResult<Bound<'py, PyAny>> {
        let IdleRequest { assigment, result } = wire::decode("IdleRequest", request).map_err(InvalidRequest::new_err)?;
        let assignment = assigment.ok_or_else(|| InvalidRequest::new_err("IdleRequest.assigment is missing"))?;
        let bad = result.and_then(|result| result.need_destroy).unwrap_or(false);
        let tag = self.tag(&assignment.request_id);
        let mut issued = Vec::new();
        let ended = instance_id::decode(self.boot_id, &assignment.instance_id).map_or(Idle::Unknown, |instance| {
            self.engine.handle_idle(Nanos(now_ns), instance, &assignment.meta_key, tag, bad, &mut issued)
        });
        let reply = match ended {
            Idle::Ended | Idle::Duplicate => IdleReply { status: Status::Ok.into(), error_message: None },
            Idle::Unknown => self.unknown_idle(&assignment)?,
        };
        self.answer(py, wire::encode(py, &reply)?, issued)
    }

    /// Forgets a waiting request whose client has gone; False: it was already woken (see `abandon`).
    fn cancel(&self, now_ns: u64, waiter: u64) -> bool {
        let waiter = WaiterId::from_bits(waiter);
        let cancelled = self.engine.handle_cancel(Nanos(now_ns), waiter);
        if cancelled {
            self.waiting.forget(waiter);
        }
        cancelled
    }

    /// Takes back the instance of an AssignReply that could not be delivered.
    fn abandon<'py>(&self, py: Python<'py>, now_ns: u64, reply: &[u8]) -> PyResult<Bound<'py, PyList>> {
        let reply: AssignReply = wire::decode("AssignReply", reply).map_err(InvalidRequest::new_err)?;
        let assignment = reply.assigment.ok_or_else(|| InvalidRequest::new_err("AssignReply.assigment is missing"))?;
        let mut issued = Vec::new();
        // An instance that is gone already, as after `abandon_busy`, leaves nothing to take back.
        if let Some(instance) = instance_id::decode(self.boot_id, &assignment.instance_id) {
            self.engine.handle_abandon(Nanos(now_ns), instance, self.tag(&assignment.request_id), &mut issued);
        }
        self.commands(py, issued, None)
    }

    /// Reports that CreateSlot succeeded after `create_ns`, also when it had been reported failed with `may_exist`.
    fn slot_created<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64, create_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, None, |issued| self.engine.handle_slot_created(Nanos(now_ns), SlotId::from_bits(slot), Nanos(create_ns), issued))
    }

    /// Reports that Init succeeded after `init_ns`.
    fn instance_ready<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64, init_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, None, |issued| self.engine.handle_instance_ready(Nanos(now_ns), SlotId::from_bits(slot), Nanos(init_ns), issued))
    }

    /// Reports that CreateSlot or Init failed.
    #[pyo3(signature = (now_ns, slot, stage, reason, may_exist = false))]
    fn start_failed<'py>(
        &self,
        py: Python<'py>,
        now_ns: u64,
        slot: u64,
        stage: &str,
        reason: &str,
        may_exist: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        let (now, slot) = (Nanos(now_ns), SlotId::from_bits(slot));
        match stage {
            "create" => self.report(py, Some(reason), |issued| self.engine.handle_create_failed(now, slot, may_exist, issued)),
            "init" => self.report(py, Some(reason), |issued| self.engine.handle_init_failed(now, slot, issued)),
            _ => Err(PyValueError::new_err(format!("stage is {stage:?}: allowed are \"create\" and \"init\""))),
        }
    }

    /// Reports that DestroySlot succeeded or that the platform no longer knows the slot.
    fn slot_destroyed<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, None, |_| self.engine.handle_slot_destroyed(Nanos(now_ns), SlotId::from_bits(slot)))
    }

    /// Reports that DestroySlot failed; `tick` issues it again with growing pauses.
    fn destroy_failed<'py>(&self, py: Python<'py>, now_ns: u64, slot: u64) -> PyResult<Bound<'py, PyList>> {
        self.report(py, None, |_| self.engine.handle_destroy_failed(Nanos(now_ns), SlotId::from_bits(slot)))
    }

    /// Does what is due: deadlines, retirements, repeated destroys. Bounded work; call again while `next_wakeup_ns` is past.
    fn tick<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, |issued| self.engine.handle_tick(Nanos(now_ns), issued))
    }

    /// When `tick` has something to do next; None: nothing is scheduled.
    fn next_wakeup_ns(&self) -> Option<u64> {
        self.engine.next_wakeup().map(|at| at.0)
    }

    /// Refuses new requests, answers waiting ones with an error, retires free instances; busy ones go when they end.
    fn drain<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, |issued| self.engine.handle_drain(Nanos(now_ns), issued))
    }

    /// After the grace of a drain: destroys busy instances too.
    fn abandon_busy<'py>(&self, py: Python<'py>, now_ns: u64) -> PyResult<Bound<'py, PyList>> {
        self.walk(py, |issued| self.engine.handle_drain_deadline(Nanos(now_ns), issued))
    }

    /// Slots the ledger knows: issued and not confirmed destroyed.
    #[getter]
    fn live_slots(&self) -> u64 {
        self.engine.live_slots()
    }

    /// Copies the ledger: see docs/ledger.md for every key. `per_function` adds a list under "functions".
    #[pyo3(signature = (now_ns, per_function = false))]
    fn snapshot<'py>(&self, py: Python<'py>, now_ns: u64, per_function: bool) -> PyResult<Bound<'py, PyDict>> {
        let now = Nanos(now_ns);
        let (snapshot, functions) = py.detach(|| (self.engine.snapshot(now), per_function.then(|| self.engine.function_totals(now))));
        let dict = ledger::whole(py, &snapshot, self.idle_unknown.load(Ordering::Relaxed))?;
        if let Some(functions) = functions {
            let rows: Vec<_> = functions.iter().map(|function| ledger::of_function(py, function)).collect::<PyResult<_>>()?;
            dict.set_item("functions", rows)?;
        }
        Ok(dict)
    }
}

impl Scaler {
    /// Reduces a request id to what the engine remembers of it.
    fn tag(&self, request_id: &str) -> RequestTag {
        RequestTag(self.tags.hash_one(request_id))
    }

    /// Answers an Idle that the engine knows no instance for, as the protocol's clients expect it.
    fn unknown_idle(&self, assignment: &Assignment) -> PyResult<IdleReply> {
        self.idle_unknown.fetch_add(1, Ordering::Relaxed);
        let Assignment { meta_key, instance_id, .. } = assignment;
        if self.engine.knows_key(meta_key) {
            return Err(InstanceNotFound::new_err(format!("function `{meta_key}` has no instance `{instance_id}`")));
        }
        let text = format!("function `{meta_key}` was never assigned an instance");
        Ok(IdleReply { status: Status::InternalError.into(), error_message: Some(text) })
    }

    /// Makes a platform's report that fits the engine or is refused.
    fn report<'py>(
        &self,
        py: Python<'py>,
        failure: Option<&str>,
        handle: impl FnOnce(&mut Vec<Command>) -> Result<(), EngineError>,
    ) -> PyResult<Bound<'py, PyList>> {
        let mut issued = Vec::new();
        handle(&mut issued).map_err(engine_error)?;
        self.commands(py, issued, failure)
    }

    /// Makes a call that may take long without the GIL.
    fn walk<'py>(&self, py: Python<'py>, handle: impl FnOnce(&mut Vec<Command>) + Send) -> PyResult<Bound<'py, PyList>> {
        let issued = py.detach(|| {
            let mut issued = Vec::new();
            handle(&mut issued);
            issued
        });
        self.commands(py, issued, None)
    }
}

/// Checks a request's function.
fn function_ref(meta: &wire::Meta) -> PyResult<FunctionRef<'_>> {
    if meta.key.is_empty() {
        return Err(InvalidRequest::new_err("AssignRequest.meta_data.key is empty"));
    }
    check_length("meta_data.key", &meta.key)?;
    check_length("meta_data.runtime", &meta.runtime)?;
    let memory_mb = memory_mb_from(meta.memory_in_mb)
        .map_err(|problem| InvalidRequest::new_err(format!("AssignRequest.meta_data.memory_in_mb {problem}")))?;
    Ok(FunctionRef { key: &meta.key, runtime: &meta.runtime, timeout_s: meta.timeout_in_secs, memory_mb })
}

/// Refuses texts that nobody needs and that would be kept: the limits on functions and waiting requests bound memory only with them.
fn check_length(field: &str, text: &str) -> PyResult<()> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(InvalidRequest::new_err(format!("AssignRequest.{field} has {} bytes: allowed are {MAX_TEXT_BYTES}", text.len())))
}

/// Draws 32 random bits: the standard library keys its hashers from the system's entropy.
#[expect(clippy::cast_possible_truncation, reason = "any 32 of the 64 bits")]
fn random_boot_id() -> u32 {
    RandomState::new().build_hasher().finish() as u32
}
