//! `Courier`: carries out the commands on a platform reached over gRPC, as long as all goes well.
//!
//! CreateSlot, Init and DestroySlot that are answered with Ok lead to the engine's next command right here, on the client's thread: once
//! begun, a start that goes well costs its host nothing. Whatever else comes of a call is left to the host, which knows what may be
//! repeated, what may exist, and what to tell whom: see [`Left`]. A call is left once, with its first outcome; if that was not final, its
//! later one follows.

use std::io;
use std::os::fd::RawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pilotlight_core::{Command, Engine, EngineError, Nanos, SlotId};
use pilotlight_grpc::{Call, Client, HandOver, Outcome};
use prost::Message;

use crate::server::Clock;
use crate::service::Service;
use crate::settle::{HostCommand, Wake};
use crate::wire::{
    CreateSlotReply, CreateSlotRequest, DestroySlotReply, DestroySlotRequest, InitReply, InitRequest, Meta, ResourceConfig, Slot, Status,
};

mod names;
mod tally;

use self::names::Names;
use self::tally::Tally;
pub use self::tally::{Calls, Kind};

/// Times of a [`Courier`]'s calls.
#[derive(Clone, Copy, Debug)]
pub struct CourierConfig {
    /// For a CreateSlot to be answered; likewise the next two.
    pub create: Duration,
    /// For an Init.
    pub init: Duration,
    /// For a DestroySlot.
    pub destroy: Duration,
    /// How long the answer of a CreateSlot is awaited in all: its slot must not be lost.
    pub create_awaited: Duration,
}

/// What a courier leaves to its host.
#[derive(Debug)]
pub enum Left {
    /// The answer to a waiting request of the host's.
    Wake(Wake),
    /// A command whose call did not end well, of which kind, and since when it is under way.
    Call(Kind, HostCommand, Outcome, Nanos),
    /// The final outcome of a CreateSlot that was left as [`Outcome::Unanswered`].
    Late(SlotId, Outcome),
    /// A report that the engine refused, or failed on.
    Refused(String),
}

/// A host's hand at a platform; see the module's text.
#[derive(Debug)]
pub struct Courier {
    service: Arc<Service>,
    clock: Clock,
    client: Arc<Client>,
    config: CourierConfig,
    left: HandOver<Left>,
    names: Mutex<Names>,
    leaves_slots: AtomicBool,
    tally: Tally,
}

impl Courier {
    /// Makes a courier that calls through `client`.
    ///
    /// # Errors
    ///
    /// The system has no file descriptors left.
    pub fn new(service: Arc<Service>, clock: Clock, client: Arc<Client>, config: CourierConfig) -> io::Result<Self> {
        let left = HandOver::new()?;
        Ok(Self {
            service,
            clock,
            client,
            config,
            left,
            names: Mutex::default(),
            leaves_slots: AtomicBool::new(false),
            tally: Tally::default(),
        })
    }

    /// Begins to carry out commands and returns those that are the host's alone.
    #[must_use]
    pub fn execute(self: &Arc<Self>, commands: Vec<HostCommand>) -> Vec<Wake> {
        let mut wakes = Vec::new();
        for command in commands {
            match command {
                HostCommand::Wake(wake) => wakes.push(wake),
                HostCommand::DestroySlot { .. } if self.leaves_slots.load(Ordering::Relaxed) => {}
                HostCommand::DestroySlot { slot, .. } if self.is_superseded(slot) => self.destroyed(self.clock.now(), slot),
                command => self.begin(command),
            }
        }
        wakes
    }

    /// Has the slot lost its name to another one? Then the platform does not have it any more.
    fn is_superseded(&self, slot: SlotId) -> bool {
        self.names().is_superseded(slot)
    }

    /// Takes what was left, in its order.
    #[must_use]
    pub fn take(&self) -> Vec<Left> {
        let left = self.left.take();
        for left in &left {
            if let Left::Call(kind, ..) = left {
                self.tally.abandon(*kind);
            }
        }
        left
    }

    /// Becomes readable when there is something to take. Only to be polled.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.left.descriptor()
    }

    /// Drops every later DestroySlot: a shutdown that leaves the slots on the platform.
    pub fn leave_slots(&self) {
        self.leaves_slots.store(true, Ordering::Relaxed);
    }

    /// The platform's name of a slot that exists.
    #[must_use]
    pub fn name(&self, slot: SlotId) -> Option<String> {
        self.names().of(slot).map(str::to_owned)
    }

    /// Notes the platform's name of a slot; `false`: another slot has it. `takes_over`: one that was
    /// named over an earlier connection is taken to be gone.
    #[must_use]
    pub fn claim(&self, slot: SlotId, name: &str, takes_over: bool) -> bool {
        self.names().claim(slot, name, self.client.connections(), takes_over)
    }

    /// Forgets a slot that the host destroyed.
    pub fn forget(&self, slot: SlotId) {
        self.names().forget(slot);
    }

    /// What its calls of one kind came to.
    #[must_use]
    pub fn calls(&self, kind: Kind) -> Calls {
        self.tally.read(kind)
    }

    fn begin(self: &Arc<Self>, command: HostCommand) {
        let begun = self.clock.now();
        // Otherwise an Init or a DestroySlot of a slot that has gone meanwhile: nothing is left to do.
        let Some((call, kind, slot)) = self.call(&command) else { return };
        self.tally.begin(kind);
        let mut command = Some(command);
        let courier = Arc::downgrade(self);
        self.client.call(
            call,
            Box::new(move |outcome| {
                let Some(courier) = courier.upgrade() else { return };
                match command.take() {
                    Some(command) => {
                        let going_on = AssertUnwindSafe(|| courier.ended((kind, slot), command, outcome, begun));
                        if catch_unwind(going_on).is_err() {
                            let text = format!("the engine failed after {kind:?} of slot {}", slot.to_bits());
                            courier.left.push(vec![Left::Refused(text)]);
                        }
                    }
                    None => courier.left.push(vec![Left::Late(slot, outcome)]),
                }
            }),
        );
    }

    /// Makes the call of a command; `None`: there is none, or its slot has no name any more.
    fn call(&self, command: &HostCommand) -> Option<(Call, Kind, SlotId)> {
        let CourierConfig { create, init, destroy, create_awaited } = self.config;
        let (path, message, within, awaited, kind, slot) = match *command {
            HostCommand::CreateSlot { slot, memory_mb, .. } => {
                let resource_config = Some(ResourceConfig { memory_in_megabytes: memory_mb.into() });
                let request = CreateSlotRequest { request_id: format!("slot-{}", slot.to_bits()), resource_config };
                ("/serverless.simulator.Platform/CreateSlot", request.encode_to_vec(), create, create_awaited, Kind::Create, slot)
            }
            HostCommand::Init { slot, function } => {
                let (spec, instance_id) = (self.service.spec(function), self.service.instance_id(slot));
                let meta = Meta {
                    key: spec.key.to_string(),
                    runtime: spec.runtime.to_string(),
                    timeout_in_secs: spec.timeout_s,
                    memory_in_mb: spec.memory_mb.into(),
                };
                let slot_id = self.name(slot)?;
                let request = InitRequest { request_id: instance_id.clone(), slot_id, instance_id, meta_data: Some(meta) };
                ("/serverless.simulator.Platform/Init", request.encode_to_vec(), init, init, Kind::Init, slot)
            }
            HostCommand::DestroySlot { slot, reason } => {
                let id = self.name(slot)?;
                let request = DestroySlotRequest { request_id: format!("destroy-{id}"), id, reason: Some(reason.as_str().to_owned()) };
                ("/serverless.simulator.Platform/DestroySlot", request.encode_to_vec(), destroy, destroy, Kind::Destroy, slot)
            }
            HostCommand::Wake(_) => return None,
        };
        let urgent = kind != Kind::Create;
        Some((Call { path: path.into(), message, urgent, within, awaited }, kind, slot))
    }

    /// Goes on after a call that ended well, and leaves any other to the host.
    fn ended(self: &Arc<Self>, (kind, slot): (Kind, SlotId), command: HostCommand, outcome: Outcome, begun: Nanos) {
        let unclaimed = |success: &Success| matches!(success, Success::Created(name) if !self.claim(slot, name, true));
        let Some(success) = success(&command, &outcome).filter(|success| !unclaimed(success)) else {
            self.left.push(vec![Left::Call(kind, command, outcome, begun)]);
            return;
        };
        let now = self.clock.now();
        let took = now - begun;
        self.tally.end(kind, took);
        match success {
            Success::Created(_) => self.report(now, |engine, issued| engine.handle_slot_created(now, slot, took, issued)),
            // The end of a drain does not wait for an Init before it destroys the slot.
            Success::Ready if self.name(slot).is_none() => {}
            Success::Ready => self.report(now, |engine, issued| engine.handle_instance_ready(now, slot, took, issued)),
            Success::Destroyed => self.destroyed(now, slot),
        }
    }

    fn destroyed(self: &Arc<Self>, now: Nanos, slot: SlotId) {
        self.forget(slot);
        self.report(now, |engine, _| engine.handle_slot_destroyed(now, slot));
    }

    fn report(self: &Arc<Self>, now: Nanos, report: impl FnOnce(&Engine, &mut Vec<Command>) -> Result<(), EngineError>) {
        let left = match self.service.report(now, report) {
            Ok(commands) => self.execute(commands).into_iter().map(Left::Wake).collect(),
            Err(error) => vec![Left::Refused(error.to_string())],
        };
        self.left.push(left);
    }

    fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that ended well.
enum Success {
    Created(String),
    Ready,
    Destroyed,
}

/// `None`: the answer is not all that the command asked for; its host knows what became of it then.
fn success(command: &HostCommand, outcome: &Outcome) -> Option<Success> {
    let Outcome::Reply(reply) = outcome else { return None };
    let ok = i32::from(Status::Ok);
    match *command {
        HostCommand::CreateSlot { memory_mb, .. } => {
            let CreateSlotReply { status, slot } = CreateSlotReply::decode(reply.clone()).ok()?;
            let Slot { id, resource_config } = slot.filter(|_| status == ok)?;
            // 0 is how the wire says nothing.
            let made_mb = resource_config.map_or(0, |config| config.memory_in_megabytes);
            (!id.is_empty() && [0, memory_mb.into()].contains(&made_mb)).then_some(Success::Created(id))
        }
        HostCommand::Init { .. } => InitReply::decode(reply.clone()).ok().filter(|reply| reply.status == ok).map(|_| Success::Ready),
        HostCommand::DestroySlot { .. } => {
            DestroySlotReply::decode(reply.clone()).ok().filter(|reply| reply.status == ok).map(|_| Success::Destroyed)
        }
        HostCommand::Wake(_) => None,
    }
}
