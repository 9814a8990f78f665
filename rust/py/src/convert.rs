//! From what a service leaves for its host to what Python sees of it.

use pilotlight_core::{FunctionId, SlotId, WakeError};
use pilotlight_front::{HostCommand, Service};
use prost::Message;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

use crate::commands::{CreateSlot, DestroySlot, Init, Outcome, Wake};

/// Encodes a message straight into a bytes object.
pub(crate) fn encode<'py>(py: Python<'py>, message: &impl Message) -> PyResult<Bound<'py, PyBytes>> {
    PyBytes::new_with(py, message.encoded_len(), |mut buffer| {
        message.encode(&mut buffer).expect("the buffer has the message's length");
        Ok(())
    })
}

/// Returns a reply alone, or with the commands that came with it.
pub(crate) fn answer<'py>(py: Python<'py>, service: &Service, reply: &impl Message, left: Vec<HostCommand>) -> PyResult<Bound<'py, PyAny>> {
    let reply = encode(py, reply)?;
    if left.is_empty() {
        return Ok(reply.into_any());
    }
    let commands = commands(py, service, left)?.unbind();
    Ok(Bound::new(py, Outcome { reply: Some(reply.unbind()), waiter: None, commands })?.into_any())
}

/// Converts commands, in their order.
pub(crate) fn commands<'py>(py: Python<'py>, service: &Service, left: Vec<HostCommand>) -> PyResult<Bound<'py, PyList>> {
    let list = PyList::empty(py);
    for command in left {
        match command {
            HostCommand::CreateSlot { slot, function, memory_mb } => {
                let key = service.spec(function).key.to_string();
                list.append(CreateSlot { slot: slot.to_bits(), memory_mb, key })?;
            }
            HostCommand::Init { slot, function } => list.append(init(service, slot, function))?,
            HostCommand::DestroySlot { slot, reason } => {
                list.append(DestroySlot { slot: slot.to_bits(), reason: reason.as_str() })?;
            }
            HostCommand::Wake(woken) => list.append(wake(woken))?,
        }
    }
    Ok(list)
}

fn wake(pilotlight_front::Wake { waiter, answer }: pilotlight_front::Wake) -> Wake {
    let waiter = waiter.to_bits();
    match answer {
        Ok(reply) => Wake { waiter, reply: Some(reply.encode_to_vec()), error: None },
        Err(unserved) => Wake { waiter, reply: None, error: Some((kind(unserved.error), unserved.text)) },
    }
}

fn init(service: &Service, slot: SlotId, function: FunctionId) -> Init {
    let spec = service.spec(function);
    Init {
        slot: slot.to_bits(),
        instance_id: service.instance_id(slot),
        key: spec.key.to_string(),
        runtime: spec.runtime.to_string(),
        timeout_s: spec.timeout_s,
        memory_mb: spec.memory_mb,
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
