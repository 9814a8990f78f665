//! `NativeServer`: the HTTP/2 server of `pilotlight-front` on a scaler's engine. Its threads never take the GIL.

use std::os::fd::RawFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilotlight_core::Nanos;
use pilotlight_front::HostCommand;
use pilotlight_front::server::{Clock, Server, ServerConfig, StartError};
use pilotlight_grpc::HandOver;
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyList;

use crate::convert::Route;
use crate::scaler::Scaler;

/// The Scaler service answered by threads of its own. It listens once made.
#[pyclass(frozen, module = "pilotlight._core")]
pub(crate) struct NativeServer {
    route: Arc<Route>,
    hand_over: Arc<HandOver<HostCommand>>,
    server: Mutex<Server>,
    #[pyo3(get)]
    port: u16,
}

#[pymethods]
impl NativeServer {
    #[new]
    #[expect(clippy::too_many_arguments, reason = "named in Python, where they are settings")]
    #[pyo3(signature = (scaler, *, now_ns, address, threads, keepalive_ns, max_connections, max_calls, descriptors, authorization = None))]
    fn new(
        py: Python<'_>,
        scaler: &Scaler,
        now_ns: u64,
        address: String,
        threads: usize,
        keepalive_ns: u64,
        max_connections: usize,
        max_calls: u32,
        descriptors: Vec<Vec<u8>>,
        authorization: Option<Vec<u8>>,
    ) -> PyResult<Self> {
        let clock = Clock::set(Nanos(now_ns));
        let keep_alive = (keepalive_ns > 0).then(|| Duration::from_nanos(keepalive_ns));
        let config = ServerConfig { address, threads, keep_alive, max_connections, max_calls, authorization, descriptors };
        let hand_over = Arc::new(HandOver::new()?);
        let service = Arc::clone(&scaler.service);
        let dispatch = Arc::clone(&scaler.route.dispatch);
        let server = py.detach(|| Server::start(&config, service, clock, dispatch, Arc::clone(&hand_over))).map_err(start_error)?;
        let port = server.address().port();
        Ok(Self { route: Arc::clone(&scaler.route), hand_over, server: Mutex::new(server), port })
    }

    /// The descriptor that is readable when there are commands to take.
    fn fileno(&self) -> RawFd {
        self.hand_over.descriptor()
    }

    /// Takes the commands that calls have led to.
    fn take_commands<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        self.route.convert(py, self.hand_over.take())
    }

    /// Turns health `NOT_SERVING`; calls are answered as before.
    fn begin_shutdown(&self, py: Python<'_>) {
        py.detach(|| self.lock().begin_shutdown());
    }

    /// Says what health answers for the platform; before `begin_shutdown`.
    fn set_platform_health(&self, py: Python<'_>, serving: bool) {
        py.detach(|| self.lock().set_platform_health(serving));
    }

    /// Accepts nothing more, gives open calls this long to end, then ends them; blocks until all threads have ended.
    fn close(&self, py: Python<'_>, grace_ns: u64) {
        py.detach(|| self.lock().close(Duration::from_nanos(grace_ns)));
    }
}

impl NativeServer {
    /// Nobody waits for the GIL with this lock in hand.
    fn lock(&self) -> MutexGuard<'_, Server> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_error(error: StartError) -> PyErr {
    match error {
        StartError::Listen(error) => error.into(),
        StartError::Thread(_) => PyRuntimeError::new_err(error.to_string()),
        StartError::Descriptor(_) => PyValueError::new_err(error.to_string()),
    }
}
