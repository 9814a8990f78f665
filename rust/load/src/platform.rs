//! A platform that answers at once, or after given times: what a scaler under load finds behind it.
//!
//! It keeps no slots and refuses nothing, so that its own cost is as small and as even as can be.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::{Bytes, BytesMut};
use h2::server::SendResponse;
use h2::{RecvStream, server};
use http::{HeaderMap, HeaderValue, Request, Response};
use pilotlight_grpc::{frame, unframe};
use prost::Message;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

use crate::error::LoadError;
use crate::wire::{CreateSlotReply, CreateSlotRequest, InitReply, Slot};

/// Calls a platform has answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlatformCounts {
    /// CreateSlot.
    pub created: u64,
    /// Init.
    pub initialised: u64,
    /// DestroySlot.
    pub destroyed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    created: AtomicU64,
    initialised: AtomicU64,
    destroyed: AtomicU64,
}

/// A running platform; dropping it ends it.
#[derive(Debug)]
pub struct Platform {
    address: SocketAddr,
    counters: Arc<Counters>,
    /// Dropped first: that ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What each connection needs.
struct Behaviour {
    create: Duration,
    init: Duration,
    counters: Arc<Counters>,
}

impl Platform {
    /// Listens on `address` and answers CreateSlot after `create` and Init after `init`; times are exact to a millisecond.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn start(address: &str, create: Duration, init: Duration) -> Result<Self, LoadError> {
        let refused = |source| LoadError::System { what: format!("the platform cannot listen on {address}"), source };
        let listener = TcpListener::bind(address).map_err(refused)?;
        listener.set_nonblocking(true).map_err(refused)?;
        let bound = listener.local_addr().map_err(refused)?;
        let counters = Arc::new(Counters::default());
        let behaviour = Behaviour { create, init, counters: Arc::clone(&counters) };
        let (stop, stopped) = oneshot::channel();
        let runtime = crate::worker::runtime()?;
        let serve = move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accept(listener, Rc::new(behaviour)) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("platform".to_owned()).spawn(serve).map_err(refused)?;
        Ok(Self { address: bound, counters, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has answered.
    #[must_use]
    pub fn counts(&self) -> PlatformCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { created, initialised, destroyed } = &*self.counters;
        PlatformCounts { created: of(created), initialised: of(initialised), destroyed: of(destroyed) }
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; there is nobody to tell it to.
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, behaviour: Rc<Behaviour>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime is entered, the socket does not block");
    loop {
        // Out of descriptors, or a caller that went away: the next one may fare better.
        if let Ok((stream, _)) = listener.accept().await {
            spawn_local(connection(stream, Rc::clone(&behaviour)));
        }
    }
}

/// Serves one caller until it goes away, however it goes.
async fn connection(stream: TcpStream, behaviour: Rc<Behaviour>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut connection) = server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let behaviour = Rc::clone(&behaviour);
        spawn_local(async move {
            // The caller has gone, or broke the protocol: its connection says so too.
            let _ = answer(request, respond, &behaviour).await;
        });
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, behaviour: &Behaviour) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let mut received = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        received.extend_from_slice(&chunk);
    }
    let reply = match head.uri.path() {
        "/serverless.simulator.Platform/CreateSlot" => Some(create(received.freeze(), behaviour).await),
        "/serverless.simulator.Platform/Init" => Some(init(behaviour).await),
        "/serverless.simulator.Platform/DestroySlot" => {
            behaviour.counters.destroyed.fetch_add(1, Ordering::Relaxed);
            // An empty message: all is well.
            Some(Bytes::from_static(&[0; 5]))
        }
        _ => None,
    };
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a valid head");
    let mut stream = respond.send_response(head, false)?;
    let status = match reply {
        Some(reply) => {
            stream.send_data(reply, false)?;
            "0"
        }
        None => "12",
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    stream.send_trailers(trailers)
}

async fn create(request: Bytes, behaviour: &Behaviour) -> Bytes {
    pause(behaviour.create).await;
    let number = behaviour.counters.created.fetch_add(1, Ordering::Relaxed);
    let request = unframe(request).ok().and_then(|message| CreateSlotRequest::decode(message).ok());
    let slot = Slot {
        id: format!("slot-{number}"),
        resource_config: request.and_then(|request| request.resource_config),
        create_time: now_ms(),
        create_duration_in_ms: milliseconds(behaviour.create),
    };
    frame(&CreateSlotReply { slot: Some(slot) })
}

async fn init(behaviour: &Behaviour) -> Bytes {
    pause(behaviour.init).await;
    behaviour.counters.initialised.fetch_add(1, Ordering::Relaxed);
    frame(&InitReply { create_time: now_ms(), init_duration_in_ms: milliseconds(behaviour.init) })
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}
