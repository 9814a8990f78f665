//! From the engine's commands and answers to what the host gets.

use pilotlight_core::{Command, FunctionId, FunctionSpec, SlotId, WaiterId, WakeError};
use prost::Message;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::commands::{CreateSlot, DestroySlot, Init, Outcome, Wake};
use crate::instance_id;
use crate::scaler::Scaler;
use crate::waiting::{Request, Verdict};
use crate::wire::{AssignReply, Assignment, Status};

impl Scaler {
    /// Makes the reply that gives a request its instance.
    pub(crate) fn assigned(&self, request_id: String, meta_key: String, slot: SlotId) -> AssignReply {
        let instance_id = instance_id::encode(self.boot_id, slot);
        AssignReply { status: Status::Ok.into(), assigment: Some(Assignment { request_id, meta_key, instance_id }) }
    }

    /// Returns a reply alone, or with the commands that came with it.
    pub(crate) fn answer<'py>(&self, py: Python<'py>, reply: Bound<'py, PyBytes>, issued: Vec<Command>) -> PyResult<Bound<'py, PyAny>> {
        if issued.is_empty() {
            return Ok(reply.into_any());
        }
        let commands = self.commands(py, issued, None)?.unbind();
        Ok(Bound::new(py, Outcome { reply: Some(reply.unbind()), waiter: None, commands })?.into_any())
    }

    /// Converts commands, in their order. `failure` is the text of the failed start that issued them.
    ///
    /// A Wake whose Assign is still on its way out of the engine is left to that one, see `waiting`.
    pub(crate) fn commands<'py>(&self, py: Python<'py>, issued: Vec<Command>, failure: Option<&str>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for command in issued {
            match command {
                Command::CreateSlot { slot, function, memory_mb } => {
                    let key = self.spec(function).key.to_string();
                    list.append(CreateSlot { slot: slot.to_bits(), memory_mb, key })?;
                }
                Command::Init { slot, function } => list.append(self.init(slot, function))?,
                Command::DestroySlot { slot, reason } => {
                    list.append(DestroySlot { slot: slot.to_bits(), reason: reason.as_str() })?;
                }
                Command::Wake { waiter, result } => {
                    let verdict = result.map_err(|error| (error, explain(error, failure)));
                    if let Some((request, verdict)) = self.waiting.wake(waiter, verdict) {
                        list.append(self.wake(waiter, request, verdict))?;
                    }
                }
            }
        }
        Ok(list)
    }

    /// Makes the Wake of a request whose verdict is known.
    pub(crate) fn wake(&self, waiter: WaiterId, request: Request, verdict: Verdict) -> Wake {
        let waiter = waiter.to_bits();
        match verdict {
            Ok(slot) => {
                let key = self.spec(request.function).key.to_string();
                let reply = self.assigned(request.request_id, key, slot).encode_to_vec();
                Wake { waiter, reply: Some(reply), error: None }
            }
            Err((error, text)) => Wake { waiter, reply: None, error: Some((kind(error), text)) },
        }
    }

    fn init(&self, slot: SlotId, function: FunctionId) -> Init {
        let spec = self.spec(function);
        Init {
            slot: slot.to_bits(),
            instance_id: instance_id::encode(self.boot_id, slot),
            key: spec.key.to_string(),
            runtime: spec.runtime.to_string(),
            timeout_s: spec.timeout_s,
            memory_mb: spec.memory_mb,
        }
    }

    fn spec(&self, function: FunctionId) -> &FunctionSpec {
        self.engine.spec(function).expect("the engine names only functions of its own")
    }
}

/// Python's name of an error.
fn kind(error: WakeError) -> &'static str {
    match error {
        WakeError::DeadlineExceeded => "deadline",
        WakeError::StartFailed => "start_failed",
        WakeError::Draining => "shutting_down",
    }
}

fn explain(error: WakeError, failure: Option<&str>) -> String {
    match (error, failure) {
        (WakeError::StartFailed, Some(reason)) => format!("{error}: {reason}"),
        _ => error.to_string(),
    }
}
