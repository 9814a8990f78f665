//! One connection, one task: takes in what has come, answers it, and sends all answers with as few writes as they fit into.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::RecvStream;
use h2::server::{Builder, Connection, SendResponse};
use http::Request;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;

use super::call::{self, Call};
use super::keep_alive::KeepAlive;
use super::other;
use super::outbox::{Outbox, Payload};
use super::request::{self, Wanted};
use super::response::{fail, refuse_http};
use super::shared::Shared;
use super::slow;
use super::socket::Socket;

/// How long a client may take to say that it speaks HTTP/2.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(20);

/// Requests taken in before the first of them is answered.
const LARGEST_BATCH: usize = 128;

/// Bytes that a client may send ahead: on one stream a whole message with its prefix, on a connection several.
const STREAM_WINDOW: u32 = (1 << 20) + 5;
const CONNECTION_WINDOW: u32 = 4 << 20;

/// Longest header list, as HTTP/2 counts it; a longer one gets status 431.
const LONGEST_HEADERS: u32 = 16 << 10;

/// Requests that a client may take back before they were looked at: those are work for nothing. More lose it its connection, with whatever
/// else goes on there, so a crowd that is cancelled as soon as it was sent must be fewer.
const MOST_RAPID_RESETS: usize = 512;

/// Streams that were reset here whose late frames are let pass, for a second. A frame of one that is forgotten counts as an attack, and the
/// 1,024th of a connection's life ends it.
const MOST_REMEMBERED_RESETS: usize = 1024;

/// How connections behave.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    builder: Builder,
    keep_alive: Option<Duration>,
}

impl Settings {
    /// `streams`: calls open at once on one connection.
    pub(super) fn new(streams: u32, keep_alive: Option<Duration>) -> Self {
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_header_list_size(LONGEST_HEADERS)
            .max_concurrent_streams(streams)
            .max_pending_accept_reset_streams(MOST_RAPID_RESETS)
            .max_concurrent_reset_streams(MOST_REMEMBERED_RESETS);
        Self { builder, keep_alive }
    }
}

/// Serves a connection until it ends. Once `leave` is true its client is asked to go: calls that are under way may end, and so may those that
/// it makes before it has heard.
pub(super) async fn serve(socket: TcpStream, settings: Settings, outbox: Outbox, mut leave: watch::Receiver<bool>) {
    // Only clients are hurt by a refusal, and they see the same error on a later write.
    let _ = socket.set_nodelay(true);
    let (shared, outbox) = (Arc::clone(&outbox.shared), Arc::new(outbox));
    let handshake = timeout(HANDSHAKE_PATIENCE, settings.builder.handshake(Socket::new(socket, Arc::clone(&outbox))));
    let Ok(Ok(mut connection)) = handshake.await else { return };
    let pings = connection.ping_pong();
    let driver = Driver {
        connection,
        shared,
        outbox,
        keep_alive: settings.keep_alive.zip(pings).map(|(pause, pings)| KeepAlive::new(pings, pause)),
        batch: Vec::new(),
        leave: Some(Box::pin(async move {
            // An error: the server has gone already.
            let _ = leave.wait_for(|leave| *leave).await;
        })),
    };
    let mut driver = driver;
    poll_fn(|cx| driver.poll(cx)).await;
}

struct Driver {
    connection: Connection<Socket<TcpStream>, Payload>,
    shared: Arc<Shared>,
    outbox: Arc<Outbox>,
    keep_alive: Option<KeepAlive>,
    batch: Vec<(Request<RecvStream>, SendResponse<Payload>)>,
    leave: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Driver {
    /// Ready once the connection has ended, or its peer is found dead.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.leave.as_mut().is_some_and(|leave| leave.as_mut().poll(cx).is_ready()) {
            self.leave = None;
            self.connection.graceful_shutdown();
        }
        loop {
            let ended = self.take_in(cx);
            if self.batch.is_empty() {
                if ended || self.keep_alive.as_mut().is_some_and(|keep_alive| keep_alive.poll(cx).is_ready()) {
                    return Poll::Ready(());
                }
                return Poll::Pending;
            }
            if let Some(keep_alive) = &mut self.keep_alive {
                keep_alive.heard();
            }
            let mut batch = std::mem::take(&mut self.batch);
            for (request, respond) in batch.drain(..) {
                self.begin(request, respond, cx);
            }
            self.batch = batch;
        }
    }

    /// Gathers the requests that have come, and sends what is to be sent; true: the connection has ended.
    ///
    /// Taking a request makes the connection write whatever was answered before, so all are taken before any is answered.
    fn take_in(&mut self, cx: &mut Context<'_>) -> bool {
        while self.batch.len() < LARGEST_BATCH {
            match self.connection.poll_accept(cx) {
                Poll::Ready(Some(Ok(request))) => self.batch.push(request),
                Poll::Ready(Some(Err(_)) | None) => return true,
                Poll::Pending => break,
            }
        }
        false
    }

    fn begin(&mut self, request: Request<RecvStream>, mut respond: SendResponse<Payload>, cx: &mut Context<'_>) {
        let (head, body) = request.into_parts();
        match request::read(&head, self.shared.authorization.as_deref(), || self.shared.clock.now()) {
            Wanted::Call { rpc, deadline } => {
                let call = Call { rpc, deadline, respond, outbox: Arc::clone(&self.outbox) };
                call::serve(&self.shared, call, body, cx);
            }
            Wanted::Other => other::serve(&self.shared, Request::from_parts(head, body), respond),
            Wanted::Failed(failure) => {
                fail(&mut respond, &failure);
                slow::discard(&self.shared, body);
            }
            Wanted::NotGrpc(status) => {
                refuse_http(&mut respond, status);
                slow::discard(&self.shared, body);
            }
        }
    }
}
