//! `Service`: one engine behind the wire format. Thread-safe; every method may be called from any thread.

use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pilotlight_core::{
    Assign, Command, Ending, Engine, EngineConfig, EngineError, FunctionId, FunctionRef, FunctionSpec, Idle, Nanos, RequestTag, SlotId,
    WaiterId,
};

use crate::instance_id;
use crate::memory::memory_mb_from;
use crate::reasons::Reasons;
use crate::refusal::{Refusal, cut};
use crate::settle::{Binding, HostCommand};
use crate::waiting::{Caller, Request, Waiting};
use crate::wire::{self, AssignReply, AssignRequest, Assignment, IdleReply, IdleRequest, Meta, Status};

/// How often a function is looked up that gives its place up at once.
const LOOK_UPS: u32 = 8;
/// Longest key, runtime, request id or instance id.
const MAX_TEXT_BYTES: usize = 1024;

/// Settings of a [`Service`].
#[derive(Debug)]
pub struct ServiceConfig {
    /// Of the engine.
    pub engine: EngineConfig,
    /// 32 random bits that mark this process's instance ids, so that ids of an earlier process are unknown.
    pub boot_id: u32,
    /// Longest that a request may wait; a client's earlier deadline counts.
    pub assign_deadline: Nanos,
}

/// What an Assign led to.
#[derive(Debug)]
pub enum Assigned {
    /// An instance was free.
    Reply(AssignReply),
    /// The request waits; its [`Caller`] gets the answer, unless [`Service::cancel`] takes the request back first.
    Waiting(WaiterId),
}

/// One engine behind the wire format.
#[derive(Debug)]
pub struct Service {
    pub(crate) engine: Engine,
    pub(crate) boot_id: u32,
    pub(crate) waiting: Waiting,
    pub(crate) reasons: Reasons,
    assign_deadline: Nanos,
    /// Makes request tags. Its key is random: a client cannot choose request ids that share a tag.
    tags: foldhash::quality::RandomState,
    /// Idles that named a function or an instance that is unknown. The engine has no function to count them under.
    idle_unknown: AtomicU64,
}

impl Service {
    /// Creates a service without functions or slots.
    #[must_use]
    pub fn new(config: ServiceConfig) -> Self {
        Self {
            engine: Engine::new(config.engine),
            boot_id: config.boot_id,
            waiting: Waiting::default(),
            reasons: Reasons::default(),
            assign_deadline: config.assign_deadline,
            tags: foldhash::quality::RandomState::default(),
            idle_unknown: AtomicU64::new(0),
        }
    }

    /// The engine, to read.
    #[must_use]
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Idles that named a function or an instance that is unknown.
    pub fn idle_unknown(&self) -> u64 {
        self.idle_unknown.load(Ordering::Relaxed)
    }

    /// The function that a command names.
    ///
    /// # Panics
    ///
    /// If the command is of another service.
    #[must_use]
    pub fn spec(&self, function: FunctionId) -> Arc<FunctionSpec> {
        self.engine.spec(function).expect("no function that a command names is given up before it is reported on")
    }

    /// The name of a slot's instance on the wire.
    #[must_use]
    pub fn instance_id(&self, slot: SlotId) -> String {
        instance_id::encode(self.boot_id, slot)
    }

    /// Serves an encoded AssignRequest; `deadline` is the client's.
    ///
    /// `caller` is called for a request that has to wait. Commands for the host are none when an instance was free.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidRequest`], and [`Refusal::Engine`] for a limit or a drain.
    pub fn assign(
        &self,
        now: Nanos,
        request: &[u8],
        deadline: Option<Nanos>,
        caller: impl FnOnce() -> Caller,
    ) -> Result<(Assigned, Vec<HostCommand>), Refusal> {
        let deadline = deadline.unwrap_or(Nanos::MAX).min(now + self.assign_deadline);
        let AssignRequest { request_id, meta_data } = wire::decode("AssignRequest", request).map_err(Refusal::InvalidRequest)?;
        let meta = meta_data.ok_or_else(|| invalid("AssignRequest.meta_data is missing"))?;
        check_length("AssignRequest.request_id", &request_id)?;
        let mut issued = Vec::new();
        let (function, assigned) = self.hand_out(now, &function_ref(&meta)?, self.tag(&request_id), deadline, &mut issued)?;
        match assigned {
            Assign::Warm(slot) => {
                let reply = self.assigned(request_id, meta.key, slot);
                Ok((Assigned::Reply(reply), self.settle(now, issued)))
            }
            Assign::Waiting(waiter) => {
                let met = self.waiting.enter(waiter, Request { id: request_id, function, caller: caller() });
                let woken = met.and_then(|(request, verdict)| self.answer(now, waiter, request, verdict, &mut issued));
                let mut left = self.settle(now, issued);
                left.extend(woken);
                Ok((Assigned::Waiting(waiter), left))
            }
        }
    }

    /// Looks the function up and has the engine hand out an instance of it. A function may give its place in the table up in between.
    fn hand_out(
        &self,
        now: Nanos,
        wanted: &FunctionRef<'_>,
        request: RequestTag,
        deadline: Nanos,
        issued: &mut Vec<Command>,
    ) -> Result<(FunctionId, Assign), EngineError> {
        let mut attempts = LOOK_UPS;
        loop {
            let function = self.engine.function(wanted)?;
            attempts -= 1;
            match self.engine.handle_assign(now, function, request, deadline, issued) {
                Err(EngineError::FunctionGivenUp) if attempts > 0 => {}
                assigned => return Ok((function, assigned?)),
            }
        }
    }

    /// Serves an encoded IdleRequest.
    ///
    /// # Errors
    ///
    /// [`Refusal::InvalidRequest`], [`Refusal::InstanceNotFound`].
    pub fn idle(&self, now: Nanos, request: &[u8]) -> Result<(IdleReply, Vec<HostCommand>), Refusal> {
        let IdleRequest { assigment, result } = wire::decode("IdleRequest", request).map_err(Refusal::InvalidRequest)?;
        let assignment = assigment.ok_or_else(|| invalid("IdleRequest.assigment is missing"))?;
        check_length("IdleRequest.assigment.request_id", &assignment.request_id)?;
        check_length("IdleRequest.assigment.meta_key", &assignment.meta_key)?;
        check_length("IdleRequest.assigment.instance_id", &assignment.instance_id)?;
        let ending = result.map_or(Ending::Good, |result| result.ending());
        let tag = self.tag(&assignment.request_id);
        let mut issued = Vec::new();
        let ended = instance_id::decode(self.boot_id, &assignment.instance_id)
            .map_or(Idle::Unknown, |instance| self.engine.handle_idle(now, instance, &assignment.meta_key, tag, ending, &mut issued));
        let reply = match ended {
            Idle::Ended | Idle::Duplicate => IdleReply { status: Status::Ok.into(), error_message: None },
            Idle::Unknown => self.unknown_idle(&assignment)?,
        };
        Ok((reply, self.settle(now, issued)))
    }

    /// Forgets a waiting request whose client has gone; `false`: its answer is given, or on its way.
    pub fn cancel(&self, now: Nanos, waiter: WaiterId) -> bool {
        let cancelled = self.engine.handle_cancel(now, waiter);
        if cancelled {
            self.waiting.forget(waiter);
        }
        cancelled
    }

    /// Takes back the instance of a reply that could not be delivered.
    pub fn abandon(&self, now: Nanos, reply: &AssignReply) -> Vec<HostCommand> {
        self.binding(reply).map_or_else(Vec::new, |binding| self.release(now, binding))
    }

    /// Takes back an instance that was given away.
    pub(crate) fn release(&self, now: Nanos, binding: Binding) -> Vec<HostCommand> {
        let mut issued = Vec::new();
        self.take_back(now, binding, &mut issued);
        self.settle(now, issued)
    }

    /// Makes a call of the host's that the engine always takes: a tick, a drain.
    pub fn carry_out(&self, now: Nanos, call: impl FnOnce(&Engine, &mut Vec<Command>)) -> Vec<HostCommand> {
        let mut issued = Vec::new();
        call(&self.engine, &mut issued);
        self.settle(now, issued)
    }

    /// Makes a platform's report that a start failed, for this reason.
    ///
    /// # Errors
    ///
    /// As of [`Service::report`].
    pub fn start_failed(
        &self,
        now: Nanos,
        slot: SlotId,
        reason: &str,
        report: impl FnOnce(&Engine, &mut Vec<Command>) -> Result<(), EngineError>,
    ) -> Result<Vec<HostCommand>, EngineError> {
        if let Some(function) = self.engine.function_of(slot) {
            self.reasons.note(function.index(), reason);
        }
        self.report(now, report)
    }

    /// Makes a platform's report.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: the report fits nothing that the engine knows, and changed nothing.
    pub fn report(
        &self,
        now: Nanos,
        report: impl FnOnce(&Engine, &mut Vec<Command>) -> Result<(), EngineError>,
    ) -> Result<Vec<HostCommand>, EngineError> {
        let mut issued = Vec::new();
        report(&self.engine, &mut issued)?;
        Ok(self.settle(now, issued))
    }

    /// Reduces a request id to what the engine remembers of it.
    pub(crate) fn tag(&self, request_id: &str) -> RequestTag {
        RequestTag(self.tags.hash_one(request_id))
    }

    /// Answers an Idle that the engine knows no instance for, as the protocol's clients expect it.
    fn unknown_idle(&self, assignment: &Assignment) -> Result<IdleReply, Refusal> {
        self.idle_unknown.fetch_add(1, Ordering::Relaxed);
        let Assignment { meta_key, instance_id, .. } = assignment;
        if self.engine.knows_key(meta_key) {
            let text = format!("function `{meta_key}` has no instance `{instance_id}`");
            return Err(Refusal::InstanceNotFound(cut(&text).to_owned()));
        }
        let text = format!("function `{meta_key}` was never assigned an instance, or long ago");
        Ok(IdleReply { status: Status::InternalError.into(), error_message: Some(text) })
    }
}

/// Checks a request's function.
fn function_ref(meta: &Meta) -> Result<FunctionRef<'_>, Refusal> {
    if meta.key.is_empty() {
        return Err(invalid("AssignRequest.meta_data.key is empty"));
    }
    check_length("AssignRequest.meta_data.key", &meta.key)?;
    check_length("AssignRequest.meta_data.runtime", &meta.runtime)?;
    let memory_mb = memory_mb_from(meta.memory_in_mb)
        .map_err(|problem| Refusal::InvalidRequest(format!("AssignRequest.meta_data.memory_in_mb {problem}")))?;
    Ok(FunctionRef { key: &meta.key, runtime: &meta.runtime, timeout_s: meta.timeout_in_secs, memory_mb })
}

/// Refuses texts that nobody needs and that would be kept or sent back: the limits on functions and waiting requests bound memory only with
/// them.
fn check_length(field: &str, text: &str) -> Result<(), Refusal> {
    if text.len() <= MAX_TEXT_BYTES {
        return Ok(());
    }
    Err(Refusal::InvalidRequest(format!("{field} has {} bytes: allowed are {MAX_TEXT_BYTES}", text.len())))
}

fn invalid(text: &str) -> Refusal {
    Refusal::InvalidRequest(text.to_owned())
}
