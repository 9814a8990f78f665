//! A thread with an event loop of its own: a connection stays with the thread it was dealt to.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::connection::{self, Settings};
use super::listener::Accepted;
use super::shared::Shared;

/// What a worker works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) accepted: UnboundedReceiver<Accepted>,
    /// The grace that open calls get, once the server closes.
    pub(super) closing: watch::Receiver<Option<Duration>>,
}

/// Makes a worker's event loop.
pub(super) fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

impl Worker {
    /// Starts the thread. It ends, and every connection with it, when the server has closed.
    pub(super) fn start(self, number: usize, runtime: Runtime) -> io::Result<JoinHandle<()>> {
        thread::Builder::new().name(format!("pilotlight-{number}")).spawn(move || runtime.block_on(self.work()))
    }

    async fn work(mut self) {
        let (close, closed) = watch::channel(false);
        let mut connections = JoinSet::new();
        let grace = loop {
            tokio::select! {
                accepted = self.accepted.recv() => {
                    let Some((socket, share)) = accepted else { break self.grace().await };
                    let Ok(socket) = TcpStream::from_std(socket) else { continue };
                    let (settings, shared, closed) = (self.settings.clone(), Arc::clone(&self.shared), closed.clone());
                    connections.spawn(async move {
                        let _share = share;
                        connection::serve(socket, settings, shared, closed).await;
                    });
                }
                Some(_) = connections.join_next() => {}
                grace = Self::told(&mut self.closing) => break grace,
            }
        };
        // Nobody listens if every connection has ended already.
        let _ = close.send(true);
        let _ = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    }

    async fn grace(&mut self) -> Duration {
        Self::told(&mut self.closing).await
    }

    async fn told(closing: &mut watch::Receiver<Option<Duration>>) -> Duration {
        closing.wait_for(Option::is_some).await.ok().and_then(|grace| *grace).unwrap_or_default()
    }
}
