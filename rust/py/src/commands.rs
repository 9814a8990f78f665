//! The engine's commands, and what an Assign or Idle led to, as Python sees them.

use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList};

/// Command: ask the platform for a slot of `memory_mb`; answer with `slot_created` or `start_failed`.
#[pyclass(frozen, eq, hash, get_all, module = "pilotlight._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct CreateSlot {
    pub(crate) slot: u64,
    pub(crate) memory_mb: u32,
    /// The function that asked; the slot may end up with another one of the same memory.
    pub(crate) key: String,
}

#[pymethods]
impl CreateSlot {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str, &'static str) = ("slot", "memory_mb", "key");

    fn __repr__(&self) -> String {
        format!("CreateSlot(slot={}, memory_mb={}, key={:?})", self.slot, self.memory_mb, self.key)
    }
}

/// Command: make the slot an instance of the function; answer with `instance_ready` or `start_failed`.
#[pyclass(frozen, eq, hash, get_all, module = "pilotlight._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Init {
    pub(crate) slot: u64,
    pub(crate) instance_id: String,
    pub(crate) key: String,
    pub(crate) runtime: String,
    pub(crate) timeout_s: u32,
    pub(crate) memory_mb: u32,
}

#[pymethods]
impl Init {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str) =
        ("slot", "instance_id", "key", "runtime", "timeout_s", "memory_mb");

    fn __repr__(&self) -> String {
        format!(
            "Init(slot={}, instance_id={:?}, key={:?}, runtime={:?}, timeout_s={}, memory_mb={})",
            self.slot, self.instance_id, self.key, self.runtime, self.timeout_s, self.memory_mb
        )
    }
}

/// Command: give the slot back; answer with `slot_destroyed` or `destroy_failed`.
#[pyclass(frozen, eq, hash, get_all, module = "pilotlight._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct DestroySlot {
    pub(crate) slot: u64,
    pub(crate) reason: &'static str,
}

#[pymethods]
impl DestroySlot {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str) = ("slot", "reason");

    fn __repr__(&self) -> String {
        format!("DestroySlot(slot={}, reason={:?})", self.slot, self.reason)
    }
}

/// Command: answer a waiting Assign. Exactly one of `reply` and `error` is set.
#[pyclass(frozen, eq, hash, get_all, module = "pilotlight._core")]
#[derive(PartialEq, Eq, Hash)]
pub(crate) struct Wake {
    pub(crate) waiter: u64,
    /// An encoded AssignReply.
    pub(crate) reply: Option<Vec<u8>>,
    /// What went wrong, and the text for the client.
    pub(crate) error: Option<(&'static str, String)>,
}

#[pymethods]
impl Wake {
    #[classattr]
    #[pyo3(name = "__match_args__")]
    const MATCH_ARGS: (&'static str, &'static str, &'static str) = ("waiter", "reply", "error");

    fn __repr__(&self) -> String {
        match &self.error {
            Some((kind, text)) => format!("Wake(waiter={}, reply=None, error=({kind:?}, {text:?}))", self.waiter),
            None => format!("Wake(waiter={}, reply=<{} bytes>, error=None)", self.waiter, self.reply.as_ref().map_or(0, Vec::len)),
        }
    }
}

/// What an Assign or Idle led to when more than a reply is to be done.
#[pyclass(frozen, get_all, module = "pilotlight._core")]
pub(crate) struct Outcome {
    /// The encoded reply to send now; None: the request waits for a Wake of `waiter`.
    pub(crate) reply: Option<Py<PyBytes>>,
    pub(crate) waiter: Option<u64>,
    pub(crate) commands: Py<PyList>,
}

#[pymethods]
impl Outcome {
    fn __repr__(&self, py: Python<'_>) -> PyResult<String> {
        let reply = match &self.reply {
            Some(reply) => format!("<{} bytes>", reply.as_bytes(py).len()),
            None => "None".to_owned(),
        };
        let waiter = self.waiter.map_or("None".to_owned(), |waiter| waiter.to_string());
        Ok(format!("Outcome(reply={reply}, waiter={waiter}, commands={})", self.commands.bind(py).repr()?))
    }
}
