//! From the engine's commands to what is left for the host: answers to calls of a front in Rust are given on the way.

use pilotlight_core::{Command, DestroyReason, FunctionId, Nanos, RequestTag, SlotId, WaiterId, WakeError};

use crate::instance_id;
use crate::refusal::{Unserved, cut};
use crate::service::Service;
use crate::waiting::{Answer, Caller, Request, Verdict};
use crate::wire::{AssignReply, Assignment, Status};

/// One thing for the host to do, and to report on; see [`Command`] for what each wants.
#[derive(Debug)]
pub enum HostCommand {
    /// Ask the platform for a slot.
    CreateSlot {
        /// The name to report back with.
        slot: SlotId,
        /// The function that asked.
        function: FunctionId,
        /// Size in MB.
        memory_mb: u32,
    },
    /// Make the slot an instance of the function.
    Init {
        /// A created slot.
        slot: SlotId,
        /// The function to initialise.
        function: FunctionId,
    },
    /// Give the slot back.
    DestroySlot {
        /// The slot.
        slot: SlotId,
        /// Why.
        reason: DestroyReason,
    },
    /// Answer a request of the host's that waits.
    Wake(Wake),
}

/// The answer to a waiting request of [`Caller::Host`].
#[derive(Debug)]
pub struct Wake {
    /// The name that the Assign returned.
    pub waiter: WaiterId,
    /// What the client gets.
    pub answer: Answer,
}

/// An instance and the request that it serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Binding {
    slot: SlotId,
    request: RequestTag,
}

impl Service {
    /// Answers the front's calls among the commands and returns the others, in their order.
    ///
    /// A Wake whose Assign is still on its way out of the engine is left to that one, see `waiting`.
    pub(crate) fn settle(&self, now: Nanos, mut issued: Vec<Command>) -> Vec<HostCommand> {
        let mut left = Vec::with_capacity(issued.len());
        let mut next = 0;
        // An instance whose client has gone returns to the engine, which may issue more.
        while let Some(&command) = issued.get(next) {
            next += 1;
            match command {
                Command::CreateSlot { slot, function, memory_mb } => left.push(HostCommand::CreateSlot { slot, function, memory_mb }),
                Command::Init { slot, function } => left.push(HostCommand::Init { slot, function }),
                Command::DestroySlot { slot, reason } => left.push(HostCommand::DestroySlot { slot, reason }),
                Command::Wake { waiter, result } => {
                    let verdict = result.map_err(|error| Unserved { error, text: self.explain(waiter, error) });
                    if let Some((request, verdict)) = self.waiting.wake(waiter, verdict) {
                        left.extend(self.answer(now, waiter, request, verdict, &mut issued));
                    }
                }
            }
        }
        left
    }

    /// Why a request gets no instance, with the platform's words where a start failed.
    fn explain(&self, waiter: WaiterId, error: WakeError) -> String {
        let reason = if error == WakeError::StartFailed { self.reasons.last(waiter.function_index()) } else { None };
        reason.map_or_else(|| error.to_string(), |reason| cut(&format!("{error}: {reason}")).to_owned())
    }

    /// Gives a waiting request its answer, or makes it a command if the host is to.
    pub(crate) fn answer(
        &self,
        now: Nanos,
        waiter: WaiterId,
        request: Request,
        verdict: Verdict,
        issued: &mut Vec<Command>,
    ) -> Option<HostCommand> {
        let Request { id, function, caller } = request;
        let answer = verdict.map(|slot| self.assigned(id, self.spec(function).key.to_string(), slot));
        match caller {
            Caller::Host => return Some(HostCommand::Wake(Wake { waiter, answer })),
            Caller::Front(call) => {
                if let Err(Ok(undelivered)) = call.send(answer)
                    && let Some(binding) = self.binding(&undelivered)
                {
                    self.take_back(now, binding, issued);
                }
            }
        }
        None
    }

    /// Makes the reply that gives a request its instance.
    pub(crate) fn assigned(&self, request_id: String, meta_key: String, slot: SlotId) -> AssignReply {
        let instance_id = instance_id::encode(self.boot_id, slot);
        AssignReply { status: Status::Ok.into(), assigment: Some(Assignment { request_id, meta_key, instance_id }) }
    }

    /// What a reply gives away.
    pub(crate) fn binding(&self, reply: &AssignReply) -> Option<Binding> {
        let assignment = reply.assigment.as_ref()?;
        let slot = instance_id::decode(self.boot_id, &assignment.instance_id)?;
        Some(Binding { slot, request: self.tag(&assignment.request_id) })
    }

    /// Returns an instance that nobody got. One that is gone already, as after `abandon_busy`, leaves nothing to take back.
    pub(crate) fn take_back(&self, now: Nanos, Binding { slot, request }: Binding, issued: &mut Vec<Command>) {
        self.engine.handle_abandon(now, slot, request, issued);
    }
}
