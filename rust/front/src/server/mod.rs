//! `Server`: the Scaler service over HTTP/2 on threads of its own.
//!
//! A warm call is read, decided and answered by the thread that has its connection; nothing of it leaves that thread. What the engine
//! wants of a platform goes to the service's courier, or to the host through [`HandOver`]; whoever frees or finishes an instance tells
//! the request that waits for it, and its thread answers. The caller owns the cold path; this server owns sockets and clients.

mod answers;
mod call;
mod clock;
mod connection;
mod frames;
mod keep_alive;
mod listener;
mod message;
mod other;
mod outbox;
mod request;
mod response;
mod shared;
mod slow;
mod socket;
mod status;
mod timeout;
mod worker;

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use pilotlight_grpc::HandOver;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use self::connection::Settings;
use self::other::{Others, PLATFORM, SERVICES};
use self::shared::Shared;
use self::worker::{Stage, Worker};
use crate::dispatch::Dispatch;
use crate::service::Service;
use crate::settle::HostCommand;

pub use self::clock::Clock;

/// Settings of a [`Server`].
#[derive(Clone, Debug)]
pub struct ServerConfig {
    /// `host:port`; port 0 lets the system choose.
    pub address: String,
    /// Threads that serve connections; at least 1.
    pub threads: usize,
    /// Silence before a client is pinged; `None`: never.
    pub keep_alive: Option<Duration>,
    /// Connections open at once; further ones are closed as they come.
    pub max_connections: usize,
    /// Calls open at once on one connection, and over all connections those that are read or delivered in pieces. On a connection, five of
    /// six may be requests that wait.
    pub max_calls: u32,
    /// What Assign and Idle must carry as `authorization`, if anything.
    pub authorization: Option<Vec<u8>>,
    /// Encoded `FileDescriptorProto`s for reflection.
    pub descriptors: Vec<Vec<u8>>,
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen: {0}")]
    Listen(io::Error),
    /// The system gives no thread or no event loop.
    #[error("cannot start a thread: {0}")]
    Thread(#[from] io::Error),
    /// A descriptor for reflection is not usable.
    #[error("{0}")]
    Descriptor(String),
}

/// A server that listens. Dropping it closes it without grace.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: AbortHandle,
    main: Handle,
    stage: watch::Sender<Stage>,
    threads: Vec<JoinHandle<()>>,
}

impl Server {
    /// Listens and serves. Commands go where `dispatch` sends them, and what is the host's to `hand_over`.
    ///
    /// # Errors
    ///
    /// See [`StartError`].
    pub fn start(
        config: &ServerConfig,
        service: Arc<Service>,
        clock: Clock,
        dispatch: Arc<Dispatch>,
        hand_over: Arc<HandOver<HostCommand>>,
    ) -> Result<Self, StartError> {
        let others = Others::new(&config.descriptors).map_err(StartError::Descriptor)?;
        let shared = Arc::new(Shared::new(service, clock, dispatch, hand_over, others, config));
        let runtimes = (0..config.threads.max(1)).map(|_| worker::runtime()).collect::<io::Result<Vec<_>>>()?;
        let main = runtimes[0].handle().clone();
        let addresses: Vec<_> = config.address.to_socket_addrs().map_err(StartError::Listen)?.collect();
        let (listener, address) = {
            let _in_its_context = main.enter();
            let listener = listener::bind(&addresses).map_err(StartError::Listen)?;
            let address = listener.local_addr().map_err(StartError::Listen)?;
            (listener, address)
        };
        main.block_on(shared.others.set_health(SERVICES, true));
        let (stage, staged) = watch::channel(Stage::Serving);
        let (mut workers, mut threads) = (Vec::new(), Vec::new());
        for (number, runtime) in runtimes.into_iter().enumerate() {
            let (sender, accepted) = mpsc::unbounded_channel();
            workers.push(sender);
            let settings = Settings::new(config.max_calls, config.keep_alive);
            let worker = Worker { settings, shared: Arc::clone(&shared), accepted, stage: staged.clone() };
            threads.push(worker.start(number, runtime)?);
        }
        let accepting = main.spawn(listener::accept(listener, shared.connections.clone(), workers)).abort_handle();
        Ok(Self { address, shared, accepting, main, stage, threads })
    }

    /// Where it listens, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Connections open now.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.shared.connections.taken()
    }

    /// Turns health to `NOT_SERVING` and asks clients to go (GOAWAY). Calls are answered as before, and so are those on new connections: an
    /// instance that is out comes back on one.
    pub fn begin_shutdown(&self) {
        self.main.block_on(self.shared.others.set_health(SERVICES, false));
        self.set_platform_health(false);
        self.stage.send_replace(Stage::Draining);
    }

    /// Says what health answers for the platform behind this server.
    pub fn set_platform_health(&self, serving: bool) {
        self.main.block_on(self.shared.others.set_health([PLATFORM], serving));
    }

    /// Accepts nothing more, asks all clients to go, gives open calls some time to end, and ends what is left.
    pub fn close(&mut self, grace: Duration) {
        self.accepting.abort();
        self.stage.send_replace(Stage::Closing(grace));
        for thread in self.threads.drain(..) {
            // A thread that panicked has ended too.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.close(Duration::ZERO);
    }
}
