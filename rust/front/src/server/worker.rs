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

use super::answers::Answers;
use super::connection::{self, Settings};
use super::listener::Accepted;
use super::outbox::Outbox;
use super::shared::Shared;

/// What a worker works with.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) settings: Settings,
    pub(super) shared: Arc<Shared>,
    pub(super) accepted: UnboundedReceiver<Accepted>,
    pub(super) stage: watch::Receiver<Stage>,
}

/// How far the server is on its way out.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stage {
    Serving,
    /// Connections that were there when this began are asked to go; those that come now are for what their clients still have to give back.
    Draining,
    /// All are asked to go; open calls get this long.
    Closing(Duration),
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
        let (mut leave, mut told) = watch::channel(false);
        let (mut connections, answers) = (JoinSet::new(), Answers::new());
        let grace = loop {
            tokio::select! {
                Some((socket, share)) = self.accepted.recv() => {
                    let Ok(socket) = TcpStream::from_std(socket) else { continue };
                    let (settings, told) = (self.settings.clone(), told.clone());
                    let outbox = Outbox::new(Arc::clone(&self.shared), answers.clone());
                    connections.spawn(async move {
                        let _share = share;
                        connection::serve(socket, settings, outbox, told).await;
                    });
                }
                Some(_) = connections.join_next() => {}
                stage = next(&mut self.stage) => match stage {
                    Stage::Serving => {}
                    Stage::Draining => {
                        leave.send_replace(true);
                        (leave, told) = watch::channel(false);
                    }
                    Stage::Closing(grace) => break grace,
                },
            }
        };
        leave.send_replace(true);
        let _ = timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    }
}

/// Waits for the server's next stage. One that is gone gives no grace.
async fn next(stage: &mut watch::Receiver<Stage>) -> Stage {
    match stage.changed().await {
        Ok(()) => *stage.borrow_and_update(),
        Err(_) => Stage::Closing(Duration::ZERO),
    }
}
