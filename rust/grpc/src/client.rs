//! `Client`: unary calls on one connection, made by a thread of its own.
//!
//! Every call leads to exactly one final [`Outcome`]: within its time if it was not sent by then, within its longest time in any case. A
//! call that was sent and has no answer within its time, but is awaited longer, leads to [`Outcome::Unanswered`] before. The caller hears
//! of both on the client's thread, where it must not block.

use std::borrow::Cow;
use std::io;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Request};
use rustix::process::setpriority_process;
use tokio::runtime::Builder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::{LocalSet, spawn_local};
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout_at};

use crate::connection::Connection;
use crate::frame::frame_encoded;
use crate::standing::{Standing, Told};
use crate::turns::Turns;
use crate::unary::{Failure, receive};

/// How much the thread yields to those that answer warm calls; see `nice(1)`.
const NICENESS: i32 = 5;

/// One call.
#[derive(Clone, Debug)]
pub struct Call {
    /// `/package.Service/Method`.
    pub path: Cow<'static, str>,
    /// The encoded request.
    pub message: Vec<u8>,
    /// Whether it comes before those that are not: what goes on with a start must not wait for others to begin.
    pub urgent: bool,
    /// Time for it to be sent and answered.
    pub within: Duration,
    /// Time after which a call that was sent is given up, and cancelled on the wire. Not below `within`.
    pub awaited: Duration,
}

/// Is told what came of a call.
pub type Done = Box<dyn FnMut(Outcome) + Send>;

/// What came of a call.
#[derive(Debug)]
pub enum Outcome {
    /// The encoded reply.
    Reply(Bytes),
    /// A status other than OK, a connection lost meanwhile, or no answer.
    Failed(Failure),
    /// There was no connection within its time: the server has not seen the call.
    NotSent,
    /// Its turn among the calls in flight did not come within its time: the server has not seen the call.
    NoTurn,
    /// Not final: it was sent and not answered within its time, and is awaited.
    Unanswered,
}

/// A client of one server; dropping it ends its thread and its connection.
#[derive(Debug)]
pub struct Client {
    /// `None`: it is closing.
    calls: Mutex<Option<UnboundedSender<(Call, Done)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    told: Arc<Told>,
}

impl Client {
    /// Starts the thread, which connects at once; `keep_alive` is the pause between pings, `concurrency` bounds the calls in flight.
    ///
    /// # Errors
    ///
    /// The system gives no thread or no event loop.
    pub fn start(address: String, keep_alive: Option<Duration>, concurrency: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build()?;
        let (calls, received) = unbounded_channel();
        let told = Arc::<Told>::default();
        let standing = Standing::new(Arc::clone(&told));
        let work = move || {
            // Refused, it is a thread like any other.
            let _ = setpriority_process(None, NICENESS);
            let line = Line { address, connection: Connection::new(standing), turns: Turns::new(concurrency) };
            LocalSet::new().block_on(&runtime, work(Rc::new(line), keep_alive, received));
            // Whoever joins this thread must not wait for a name that is being looked up.
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("pilotlight-grpc".to_owned()).spawn(work)?;
        Ok(Self { calls: Mutex::new(Some(calls)), thread: Mutex::new(Some(thread)), told })
    }

    /// Whether the server answers: there is a connection, and of the calls that were answered or
    /// should have been, the last one was.
    #[must_use]
    pub fn answers(&self) -> bool {
        self.told.answers.load(Ordering::Relaxed)
    }

    /// Connections there have been: with each, another server may be at the other end.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.told.connections.load(Ordering::Relaxed)
    }

    /// Makes a call; returns at once.
    pub fn call(&self, call: Call, done: Done) {
        if let Some(calls) = &*lock(&self.calls) {
            // The thread ends only with the client.
            let _ = calls.send((call, done));
        }
    }

    /// Ends the thread and the connection; calls under way lead to nothing any more.
    pub fn close(&self) {
        drop(lock(&self.calls).take());
        let thread = lock(&self.thread).take();
        // The last owner may be a call's; and a thread that panicked has ended too.
        if let Some(thread) = thread.filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What the calls of one client share.
#[derive(Debug)]
struct Line {
    address: String,
    connection: Connection,
    turns: Rc<Turns>,
}

async fn work(line: Rc<Line>, keep_alive: Option<Duration>, mut calls: UnboundedReceiver<(Call, Done)>) {
    let accept = async {
        while let Some((call, mut done)) = calls.recv().await {
            let line = Rc::clone(&line);
            spawn_local(async move {
                let outcome = line.make(&call, &mut done).await;
                done(outcome);
            });
        }
    };
    tokio::select! {
        () = accept => {}
        () = line.connection.keep_up(&line.address, keep_alive) => {}
    }
}

impl Line {
    /// Makes a call in its turn, on whatever connection takes it, and returns its final outcome.
    async fn make(&self, call: &Call, done: &mut Done) -> Outcome {
        let begun = Instant::now();
        let (within, awaited) = (begun + call.within, begun + call.awaited.max(call.within));
        let Ok(turn) = timeout_at(within, self.turns.take(call.urgent)).await else {
            return if self.connection.is_up() { Outcome::NoTurn } else { Outcome::NotSent };
        };
        loop {
            let Ok(up) = timeout_at(within, self.connection.up()).await else { return Outcome::NotSent };
            let Ok(_stream) = timeout_at(within, up.streams.take(call.urgent)).await else { return Outcome::NotSent };
            let request = request(&self.address, &call.path, awaited.saturating_duration_since(Instant::now()));
            let ready = up.sender.clone().ready().await;
            let sent = ready.and_then(|mut sender| sender.send_request(request, false));
            if let Ok((response, mut stream)) = sent {
                let standing = &self.connection.standing;
                let answered_before = standing.answered();
                // What is wrong with the stream, its response says too.
                let _ = stream.send_data(frame_encoded(&call.message), true);
                let receiving = receive(response);
                tokio::pin!(receiving);
                let answer = timeout_at(within, &mut receiving).await;
                if answer.is_err() && within < awaited {
                    drop(turn);
                    standing.ended(answered_before, &Outcome::Unanswered);
                    done(Outcome::Unanswered);
                    let outcome = ended(timeout_at(awaited, receiving).await);
                    standing.ended(answered_before, &outcome);
                    return outcome;
                }
                if !matches!(&answer, Ok(Err(failure)) if failure.unprocessed) {
                    let outcome = ended(answer);
                    standing.ended(answered_before, &outcome);
                    return outcome;
                }
            }
            // The connection said goodbye, or ended: another one may take the call.
            if timeout_at(within, self.connection.gone(&up)).await.is_err() {
                return Outcome::NotSent;
            }
        }
    }
}

fn ended(answer: Result<Result<Bytes, Failure>, Elapsed>) -> Outcome {
    match answer {
        Ok(Ok(reply)) => Outcome::Reply(reply),
        Ok(Err(failure)) => Outcome::Failed(failure),
        Err(_) => Outcome::Failed(Failure::new("DEADLINE_EXCEEDED", "no answer in time")),
    }
}

fn request(address: &str, path: &str, timeout: Duration) -> Request<()> {
    // At most eight digits; a millisecond more than is left, for a server must not be the one that gives up first.
    let milliseconds = (timeout.as_millis() + 1).min(99_999_999);
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://{address}{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("grpc-timeout", HeaderValue::try_from(format!("{milliseconds}m")).expect("digits"))
        .header("user-agent", concat!("pilotlight/", env!("CARGO_PKG_VERSION")))
        .body(())
        .expect("the caller's address and path are valid")
}
