//! From what a service leaves for its host to what Python sees of it.

use std::sync::Arc;

use pilotlight_core::{FunctionId, SlotId, WakeError};
use pilotlight_front::{Dispatch, HostCommand, Service};
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

/// The way of one service's commands to Python.
pub(crate) struct Route {
    service: Arc<Service>,
    pub(crate) dispatch: Arc<Dispatch>,
}

impl Route {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service, dispatch: Arc::default() }
    }

    /// Returns a reply alone, or with the commands that came with it.
    pub(crate) fn answer<'py>(&self, py: Python<'py>, reply: &impl Message, left: Vec<HostCommand>) -> PyResult<Bound<'py, PyAny>> {
        let reply = encode(py, reply)?;
        if left.is_empty() {
            return Ok(reply.into_any());
        }
        let commands = self.commands(py, left)?;
        if commands.is_empty() {
            return Ok(reply.into_any());
        }
        Ok(Bound::new(py, Outcome { reply: Some(reply.unbind()), waiter: None, commands: commands.unbind() })?.into_any())
    }

    /// Has the courier carry out what it can, and returns the commands that are the host's, in their order.
    pub(crate) fn commands<'py>(&self, py: Python<'py>, left: Vec<HostCommand>) -> PyResult<Bound<'py, PyList>> {
        self.convert(py, self.dispatch.send(left))
    }

    /// Converts commands that are the host's.
    pub(crate) fn convert<'py>(&self, py: Python<'py>, left: Vec<HostCommand>) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for host_command in left {
            list.append(command(py, &self.service, host_command)?)?;
        }
        Ok(list)
    }
}

/// Converts one command.
pub(crate) fn command<'py>(py: Python<'py>, service: &Service, command: HostCommand) -> PyResult<Bound<'py, PyAny>> {
    Ok(match command {
        HostCommand::CreateSlot { slot, function, memory_mb } => {
            let key = service.spec(function).key.to_string();
            Bound::new(py, CreateSlot { slot: slot.to_bits(), memory_mb, key })?.into_any()
        }
        HostCommand::Init { slot, function } => Bound::new(py, init(service, slot, function))?.into_any(),
        HostCommand::DestroySlot { slot, reason } => {
            Bound::new(py, DestroySlot { slot: slot.to_bits(), reason: reason.as_str() })?.into_any()
        }
        HostCommand::Wake(woken) => Bound::new(py, wake(woken))?.into_any(),
    })
}

pub(crate) fn wake(pilotlight_front::Wake { waiter, answer }: pilotlight_front::Wake) -> Wake {
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
        WakeError::DeadlineExceeded | WakeError::NoRoom(_) => "deadline",
        WakeError::StartFailed => "start_failed",
        WakeError::Draining => "shutting_down",
    }
}
