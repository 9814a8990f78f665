//! A connection that is made again whenever it ends.
//!
//! It counts as up once the server has answered a ping on it: what is sent before may lie in the queue of a socket that nobody accepts.

use std::cell::Cell;
use std::future::pending;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use h2::{Ping, PingPong};
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::standing::Standing;
use crate::turns::Turns;

/// Room for every reply in flight: a connection never waits for its window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// How long a connection may take to be up, and the answer to a ping to come: gRPC's default.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between attempts to connect, doubling up to the second.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];

/// A connection that is up; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Up {
    number: u64,
    pub(crate) sender: SendRequest<Bytes>,
    /// As many as the server takes at once.
    pub(crate) streams: Rc<Turns>,
}

/// Where callers find the connection, and say that it takes no more calls.
#[derive(Debug)]
pub(crate) struct Connection {
    state: watch::Sender<Option<Up>>,
    /// The highest number of a connection that took no call any more.
    spent: Cell<u64>,
    noticed: Notify,
    pub(crate) standing: Standing,
}

impl Connection {
    pub(crate) fn new(standing: Standing) -> Self {
        Self { state: watch::Sender::new(None), spent: Cell::new(0), noticed: Notify::new(), standing }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.state.borrow().is_some()
    }

    /// Waits until there is a connection.
    pub(crate) async fn up(&self) -> Up {
        let mut state = self.state.subscribe();
        let up = state.wait_for(Option::is_some).await;
        up.expect("the sender is borrowed").clone().expect("waited for")
    }

    /// Notes that a connection takes no more calls, and waits until it is nobody's any more.
    pub(crate) async fn gone(&self, up: &Up) {
        let mut state = self.state.subscribe();
        self.spent.set(self.spent.get().max(up.number));
        self.noticed.notify_one();
        let replaced = state.wait_for(|state| state.as_ref().is_none_or(|current| current.number != up.number));
        drop(replaced.await);
    }

    /// Connects, again and again. Needs a `LocalSet`.
    pub(crate) async fn keep_up(&self, address: &str, keep_alive: Option<Duration>) {
        let mut pause = PAUSES[0];
        for number in 1.. {
            let begun = Instant::now();
            // Whatever was wrong, the next attempt may find it better; calls say themselves what they wait for.
            if let Ok(Ok(link)) = timeout(PATIENCE, Link::connect(address)).await {
                pause = PAUSES[0];
                self.hold(number, link, keep_alive).await;
            }
            if begun.elapsed() < PAUSES[1] {
                sleep(pause).await;
                pause = PAUSES[1].min(pause * 2);
            }
        }
    }

    /// Offers a connection until it ends, takes no more calls, or does not answer.
    async fn hold(&self, number: u64, mut link: Link, keep_alive: Option<Duration>) {
        // The server's settings came before its answer to the ping.
        let streams = Turns::new(link.sender.current_max_send_streams());
        self.standing.connected(true);
        self.state.send_replace(Some(Up { number, sender: link.sender.clone(), streams }));
        tokio::select! {
            _ = link.driver.join_next() => {}
            () = self.told(number) => link.driver.detach_all(), // it goes on until its calls are over
            () = silence(&mut link.pings, keep_alive) => {}
        }
        self.standing.connected(false);
        self.state.send_replace(None);
    }

    async fn told(&self, number: u64) {
        while self.spent.get() < number {
            self.noticed.notified().await;
        }
    }
}

/// A connection and the task that drives it; dropping this ends both.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Bytes>,
    pings: PingPong,
    driver: JoinSet<()>,
}

impl Link {
    async fn connect(address: &str) -> io::Result<Self> {
        let stream = reach(address).await?;
        stream.set_nodelay(true)?;
        let (sender, mut connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(io::Error::other)?;
        let mut pings = connection.ping_pong().expect("asked for once");
        let mut driver = JoinSet::new();
        driver.spawn_local(async move {
            // The calls on it hear why it ended.
            let _ = connection.await;
        });
        pings.ping(Ping::opaque()).await.map_err(io::Error::other)?;
        Ok(Self { sender, pings, driver })
    }
}

/// Connects to whichever of a host's addresses answers first, in their order.
async fn reach(address: &str) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in lookup_host(address).await? {
        match timeout(PATIENCE / 4, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

/// Returns when a ping was not answered in time; never without a pause to send them in.
async fn silence(pings: &mut PingPong, pause: Option<Duration>) {
    let Some(pause) = pause else { return pending().await };
    loop {
        sleep(pause).await;
        match timeout(PATIENCE, pings.ping(Ping::opaque())).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return pending().await, // the connection has ended, which its driver says
            Err(_) => return,
        }
    }
}
