//! A call of the Scaler service: answered on the spot when its message is there and an instance is free, in a task of its own otherwise.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use pilotlight_core::{Nanos, WaiterId};
use tokio::sync::oneshot;

use super::message::{self, Incoming, Unread};
use super::outbox::{Delivery, Outbox, Payload};
use super::request::Rpc;
use super::response::{begin, fail, finish, has_room};
use super::shared::Shared;
use super::slow;
use super::status::{Code, Failure};
use crate::service::Assigned;
use crate::settle::HostCommand;
use crate::waiting::{Answer, Caller};
use crate::wire::AssignReply;

/// A call whose headers were read.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) rpc: Rpc,
    pub(super) deadline: Option<Nanos>,
    pub(super) respond: SendResponse<Payload>,
    pub(super) outbox: Arc<Outbox>,
}

/// What the engine says to a call.
#[derive(Debug)]
pub(super) enum Decision {
    /// The encoded reply to an Idle.
    Idle(Bytes),
    /// The instance for an Assign.
    Assigned(AssignReply),
    /// The request waits.
    Waiting(WaiterId, oneshot::Receiver<Answer>),
    Failed(Failure),
}

/// Begins to serve a call. Never blocks.
pub(super) fn serve(shared: &Arc<Shared>, mut call: Call, mut body: RecvStream, cx: &mut Context<'_>) {
    let mut incoming = Incoming::default();
    match incoming.poll(&mut body, cx) {
        Poll::Ready(Ok(request)) => match decide(shared, &call, &request) {
            Decision::Waiting(waiter, answer) => slow::wait(shared, call, waiter, answer),
            decision => reply(shared, call, decision),
        },
        Poll::Ready(Err(Unread::Failed(failure))) => fail(&mut call.respond, &failure),
        Poll::Ready(Err(Unread::Gone)) => {}
        Poll::Pending => slow::read(shared, call, body, incoming),
    }
}

/// Asks the engine. What it wants of the host is handed over.
pub(super) fn decide(shared: &Shared, call: &Call, request: &[u8]) -> Decision {
    let now = shared.clock.now();
    // An instance given to a client that has gone would stay busy.
    if call.rpc == Rpc::Assign && call.deadline.is_some_and(|deadline| deadline <= now) {
        return Decision::Failed(Failure::new(Code::DeadlineExceeded, "the deadline passed before the request was read"));
    }
    if call.rpc == Rpc::Assign && call.outbox.waits.is_full() {
        return Decision::Failed(Failure::new(
            Code::ResourceExhausted,
            "too many requests wait on this connection: retry later, or on another connection",
        ));
    }
    // The engine's state is whole at every step of a call, so a panic in one does not end the others.
    let asked = catch_unwind(AssertUnwindSafe(|| match call.rpc {
        Rpc::Assign => assign(shared, now, request, call.deadline),
        Rpc::Idle => idle(shared, now, request),
    }));
    match asked {
        Ok((decision, left)) => {
            shared.carry_out(left);
            decision
        }
        Err(_) => Decision::Failed(Failure::new(Code::Unknown, format!("the engine failed on an {:?}", call.rpc))),
    }
}

fn assign(shared: &Shared, now: Nanos, request: &[u8], deadline: Option<Nanos>) -> (Decision, Vec<HostCommand>) {
    let mut answer = None;
    let assigned = shared.service.assign(now, request, deadline, || {
        let (sender, receiver) = oneshot::channel();
        answer = Some(receiver);
        Caller::Front(sender)
    });
    match (assigned, answer) {
        (Ok((Assigned::Reply(reply), left)), _) => (Decision::Assigned(reply), left),
        (Ok((Assigned::Waiting(waiter), left)), Some(answer)) => (Decision::Waiting(waiter, answer), left),
        (Ok((Assigned::Waiting(_), _)), None) => unreachable!("a request that waits has a caller"),
        (Err(refusal), _) => (Decision::Failed(refusal.into()), Vec::new()),
    }
}

fn idle(shared: &Shared, now: Nanos, request: &[u8]) -> (Decision, Vec<HostCommand>) {
    match shared.service.idle(now, request) {
        Ok((reply, left)) => (Decision::Idle(message::encode(&reply)), left),
        Err(refusal) => (Decision::Failed(refusal.into()), Vec::new()),
    }
}

/// Sends what was decided; an instance that cannot be delivered returns to the engine.
pub(super) fn reply(shared: &Arc<Shared>, call: Call, decision: Decision) {
    let Call { mut respond, outbox, .. } = call;
    match decision {
        Decision::Idle(bytes) => send(shared, respond, bytes, None),
        Decision::Assigned(reply) => {
            let instance = Delivery::new(outbox, shared.service.binding(&reply));
            give(shared, respond, &reply, instance);
        }
        Decision::Failed(failure) => fail(&mut respond, &failure),
        Decision::Waiting(..) => unreachable!("a request that waits has nothing to send yet"),
    }
}

/// Sends an instance.
pub(super) fn give(shared: &Arc<Shared>, respond: SendResponse<Payload>, reply: &AssignReply, instance: Delivery) {
    send(shared, respond, message::encode(reply), Some(instance));
}

fn send(shared: &Arc<Shared>, mut respond: SendResponse<Payload>, bytes: Bytes, instance: Option<Delivery>) {
    let Ok(mut stream) = begin(&mut respond, &bytes) else { return };
    if has_room(&stream, &bytes) {
        // A stream that has gone drops the reply, and with it the instance.
        let _ = finish(&mut stream, bytes, instance);
    } else {
        slow::deliver(shared, stream, bytes, instance);
    }
}
