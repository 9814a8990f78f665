//! `GrpcClient`: unary calls made by a thread that never takes the GIL, their outcomes taken in batches.

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_grpc::{Call, Client, HandOver, Outcome};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// A client of one gRPC server without TLS. It connects once made.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct GrpcClient {
    pub(crate) client: Arc<Client>,
    outcomes: Arc<HandOver<(u64, Outcome)>>,
}

/// A status, a reply, a text.
pub(crate) type Told = (&'static str, Option<Py<PyBytes>>, String);

#[pymethods]
impl GrpcClient {
    #[new]
    #[pyo3(signature = (address, *, keepalive_ns, concurrency))]
    fn new(address: String, keepalive_ns: u64, concurrency: usize) -> PyResult<Self> {
        let keep_alive = (keepalive_ns > 0).then(|| Duration::from_nanos(keepalive_ns));
        let client = Client::start(address, keep_alive, concurrency)?;
        Ok(Self { client: Arc::new(client), outcomes: Arc::new(HandOver::new()?) })
    }

    /// The descriptor that is readable when there are outcomes to take.
    fn fileno(&self) -> RawFd {
        self.outcomes.descriptor()
    }

    /// Makes a call; its outcomes carry the ticket.
    #[pyo3(signature = (ticket, path, message, *, urgent, within_ns, awaited_ns))]
    fn call(&self, ticket: u64, path: String, message: Vec<u8>, urgent: bool, within_ns: u64, awaited_ns: u64) {
        let (within, awaited) = (Duration::from_nanos(within_ns), Duration::from_nanos(awaited_ns));
        let outcomes = Arc::clone(&self.outcomes);
        let call = Call { path: path.into(), message, urgent, within, awaited };
        self.client.call(call, Box::new(move |outcome| outcomes.push(vec![(ticket, outcome)])));
    }

    /// Takes the outcomes that have come: ticket, and what was told.
    fn take(&self, py: Python<'_>) -> Vec<(u64, Told)> {
        self.outcomes.take().into_iter().map(|(ticket, outcome)| (ticket, told(py, outcome))).collect()
    }

    /// Whether the server answers.
    #[getter]
    fn answers(&self) -> bool {
        self.client.answers()
    }

    /// Ends the connection; calls under way lead to nothing any more.
    fn close(&self, py: Python<'_>) {
        py.detach(|| self.client.close());
    }
}

/// Python's form of an outcome: gRPC's status, or what became of the call instead; the reply of a good one; a text.
pub(crate) fn told(py: Python<'_>, outcome: Outcome) -> Told {
    match outcome {
        Outcome::Reply(reply) => ("OK", Some(PyBytes::new(py, &reply).unbind()), String::new()),
        Outcome::Failed(failure) => (failure.status, None, failure.message),
        Outcome::NotSent => ("NOT_SENT", None, String::new()),
        Outcome::NoTurn => ("NO_TURN", None, String::new()),
        Outcome::Unanswered => ("UNANSWERED", None, String::new()),
    }
}
