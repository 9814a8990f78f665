//! The contest's platform: slots that take their time, and nothing else.
//!
//! The rules are `slots`'; this adds the durations and the wire. A refusal travels as the reply's status and text, as the contract has it,
//! never as a gRPC status. It serves from a thread of its own, so that what a scaler waits for is not the load generator's.

mod clock;
mod ids;
mod slots;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use pilotlight_grpc::frame;
use prost::Message;

use self::slots::{Refused, SlotTable};
use crate::error::LoadError;
use crate::platform::epoch_ms;
use crate::server::{Answer, Server, Service, Status, UNKNOWN_METHOD, UNREADABLE};
use crate::wire::{CreateSlotReply, CreateSlotRequest, DestroySlotReply, DestroySlotRequest, InitReply, InitRequest, ResourceConfig, Slot};

pub use self::clock::TraceClock;
pub use self::slots::{Function, SlotAccount, Unusable};

/// A running platform; dropping it ends it.
#[derive(Debug)]
pub struct ContestPlatform {
    server: Server,
    slots: Slots,
}

impl ContestPlatform {
    /// Listens on `address`; CreateSlot takes `create_ns` of trace time, and ids come from the seed.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn start(address: &str, clock: TraceClock, create_ns: u64, seed: u64) -> Result<Self, LoadError> {
        let slots = Slots(Arc::new(Mutex::new(SlotTable::new(seed))));
        let server = Server::start(address, Contest { slots: slots.clone(), clock, create_ns })?;
        Ok(Self { server, slots })
    }

    /// Where it listens, with the port that was bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// The books of its slots.
    #[must_use]
    pub fn slots(&self) -> Slots {
        self.slots.clone()
    }
}

/// The books of a platform's slots, shared by its thread and its owner's; they outlive the platform.
#[derive(Clone, Debug)]
pub struct Slots(Arc<Mutex<SlotTable>>);

impl Slots {
    /// Sets the functions that slots may be initialised for from now on.
    pub fn set_functions(&self, functions: HashMap<String, Function>) {
        self.lock().set_functions(functions);
    }

    /// Tells what the slots came to, up to a moment.
    #[must_use]
    pub fn account(&self, now_ns: u64) -> SlotAccount {
        self.lock().account(now_ns)
    }

    /// Begins the execution of a function's request on an instance and returns the id of its slot.
    ///
    /// # Errors
    ///
    /// Why it may not run there, and the same for people.
    pub fn begin_execution(&self, instance_id: &str, key: &str) -> Result<String, (Unusable, String)> {
        self.lock().begin_execution(instance_id, key)
    }

    /// Ends the execution on a slot; nothing if the slot was destroyed meanwhile.
    pub fn end_execution(&self, slot_id: &str) {
        self.lock().end_execution(slot_id);
    }

    /// Held for a moment only, and never while anything is awaited.
    fn lock(&self) -> MutexGuard<'_, SlotTable> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What answers the calls.
struct Contest {
    slots: Slots,
    clock: TraceClock,
    create_ns: u64,
}

impl Service for Contest {
    async fn answer(&self, path: &str, message: Bytes) -> Result<Answer, Status> {
        match path {
            "/serverless.simulator.Platform/CreateSlot" => Ok(self.create(decoded(message)?).await),
            "/serverless.simulator.Platform/Init" => Ok(self.init(decoded(message)?).await),
            "/serverless.simulator.Platform/DestroySlot" => Ok(self.destroy(&decoded(message)?)),
            _ => Err(UNKNOWN_METHOD),
        }
    }
}

fn decoded<M: Message + Default>(message: Bytes) -> Result<M, Status> {
    M::decode(message).map_err(|_| UNREADABLE)
}

impl Contest {
    /// Creates a slot; a caller that hangs up before it has the answer leaves none behind.
    async fn create(&self, request: CreateSlotRequest) -> Answer {
        let begun_ns = self.clock.now_ns();
        let config = request.resource_config.unwrap_or_default();
        let memory_mb = ResourceConfig::decode(config.clone()).map_or(0, |config| config.memory_in_megabytes);
        let id = match self.slots.lock().begin_create(memory_mb, begun_ns) {
            Ok(id) => id,
            Err(Refused(status, text)) => {
                return frame(&CreateSlotReply { status: status.into(), error_message: Some(text), slot: None }).into();
            }
        };
        let mut unfinished = Unfinished { slots: self.slots.clone(), clock: self.clock, id: Some(id.clone()) };
        let due_ns = begun_ns.saturating_add(self.create_ns);
        self.clock.sleep_until(due_ns).await;
        let slot =
            Slot { id, resource_config: Some(config), create_time: epoch_ms(), create_duration_in_ms: self.clock.wall_ms(self.create_ns) };
        let (slots, clock) = (self.slots.clone(), self.clock);
        let sent = move || {
            let id = unfinished.id.take().expect("taken once");
            let mut slots = slots.lock();
            slots.end_create(&id);
            slots.answered(clock.now_ns().saturating_sub(due_ns));
        };
        let reply = CreateSlotReply { slot: Some(slot), ..CreateSlotReply::default() };
        Answer { reply: frame(&reply), sent: Some(Box::new(sent)) }
    }

    /// Makes a slot an instance; Ok also when the slot was destroyed meanwhile. A caller that hangs up leaves a slot that is given away
    /// and never ready; it can only be destroyed.
    async fn init(&self, request: InitRequest) -> Answer {
        let begun_ns = self.clock.now_ns();
        let InitRequest { slot_id: id, instance_id, meta_data } = request;
        let key = meta_data.unwrap_or_default().key;
        let init_ns = match self.slots.lock().begin_init(&id, &instance_id, &key) {
            Ok(init_ns) => init_ns,
            Err(Refused(status, text)) => {
                let reply = InitReply { status: status.into(), error_message: Some(text), ..InitReply::default() };
                return frame(&reply).into();
            }
        };
        let due_ns = begun_ns.saturating_add(init_ns);
        self.clock.sleep_until(due_ns).await;
        let reply = InitReply { create_time: epoch_ms(), init_duration_in_ms: self.clock.wall_ms(init_ns), ..InitReply::default() };
        let (slots, clock) = (self.slots.clone(), self.clock);
        let sent = move || {
            let mut slots = slots.lock();
            slots.end_init(&id);
            slots.answered(clock.now_ns().saturating_sub(due_ns));
        };
        Answer { reply: frame(&reply), sent: Some(Box::new(sent)) }
    }

    /// Destroys a slot in any state, at once.
    fn destroy(&self, request: &DestroySlotRequest) -> Answer {
        let reply = match self.slots.lock().destroy(&request.id, self.clock.now_ns()) {
            Ok(()) => DestroySlotReply::default(),
            Err(Refused(status, text)) => DestroySlotReply { status: status.into(), error_message: Some(text) },
        };
        frame(&reply).into()
    }
}

/// A slot whose caller does not have it yet: dropped with its id, it is destroyed.
struct Unfinished {
    slots: Slots,
    clock: TraceClock,
    id: Option<String>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(id) = self.id.take() {
            // Destroyed by somebody who guessed its id: there is nothing left to do.
            let _ = self.slots.lock().destroy(&id, self.clock.now_ns());
        }
    }
}
