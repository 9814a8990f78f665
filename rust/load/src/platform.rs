//! A platform that answers at once, or after given times: what a scaler under load finds behind it.
//!
//! It keeps no slots and refuses nothing, so that its own cost is as small and as even as can be.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use pilotlight_grpc::frame;
use prost::Message;

use crate::error::LoadError;
use crate::server::{Answer, Server, Service, Status, UNKNOWN_METHOD};
use crate::wire::{CreateSlotReply, CreateSlotRequest, DestroySlotReply, InitReply, Slot};

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
    server: Server,
    counters: Arc<Counters>,
}

/// What answers its calls.
struct Instant {
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
        let counters = Arc::new(Counters::default());
        let server = Server::start(address, Instant { create, init, counters: Arc::clone(&counters) })?;
        Ok(Self { server, counters })
    }

    /// Where it listens, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// What it has answered.
    #[must_use]
    pub fn counts(&self) -> PlatformCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { created, initialised, destroyed } = &*self.counters;
        PlatformCounts { created: of(created), initialised: of(initialised), destroyed: of(destroyed) }
    }
}

impl Service for Instant {
    async fn answer(&self, path: &str, message: Bytes) -> Result<Answer, Status> {
        match path {
            "/serverless.simulator.Platform/CreateSlot" => Ok(self.create(message).await.into()),
            "/serverless.simulator.Platform/Init" => Ok(self.init().await.into()),
            "/serverless.simulator.Platform/DestroySlot" => {
                self.counters.destroyed.fetch_add(1, Ordering::Relaxed);
                Ok(frame(&DestroySlotReply::default()).into())
            }
            _ => Err(UNKNOWN_METHOD),
        }
    }
}

impl Instant {
    async fn create(&self, message: Bytes) -> Bytes {
        pause(self.create).await;
        let number = self.counters.created.fetch_add(1, Ordering::Relaxed);
        let slot = Slot {
            id: format!("slot-{number}"),
            resource_config: CreateSlotRequest::decode(message).ok().and_then(|request| request.resource_config),
            create_time: epoch_ms(),
            create_duration_in_ms: milliseconds(self.create),
        };
        frame(&CreateSlotReply { slot: Some(slot), ..CreateSlotReply::default() })
    }

    async fn init(&self) -> Bytes {
        pause(self.init).await;
        self.counters.initialised.fetch_add(1, Ordering::Relaxed);
        let init_duration_in_ms = milliseconds(self.init);
        frame(&InitReply { create_time: epoch_ms(), init_duration_in_ms, ..InitReply::default() })
    }
}

async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock in milliseconds, as replies carry it.
pub(crate) fn epoch_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, milliseconds)
}
