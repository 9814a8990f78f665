//! The calls that cannot be answered on the spot, each in a task: its message comes in pieces, it waits for an instance, or its client's
//! window is closed. A task ends when its stream does, however that happens, or when its turn to answer has come; nothing it held stays
//! behind.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use h2::{RecvStream, SendStream};
use pilotlight_core::WaiterId;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::timeout;

use super::call::{Call, Decision, decide, give, reply};
use super::message::{Incoming, Unread};
use super::outbox::{Delivery, Payload};
use super::response::{fail, send_all, succeed};
use super::shared::Shared;
use super::status::{Code, Failure};
use crate::refusal::Unserved;
use crate::waiting::Answer;

/// How long a client may take to end a stream after it was refused.
const DISCARD_PATIENCE: Duration = Duration::from_secs(5);

/// Reads the rest of a call's message, then serves it.
pub(super) fn read(shared: &Arc<Shared>, mut call: Call, mut body: RecvStream, mut incoming: Incoming) {
    let Some(open) = shared.open_call() else { return fail(&mut call.respond, &too_many()) };
    let shared = Arc::clone(shared);
    tokio::spawn(async move {
        let mut room = shared.partial_message();
        let read = poll_fn(|cx| {
            let read = incoming.poll(&mut body, cx);
            if room.grow_to(incoming.held()) { read } else { Poll::Ready(Err(Unread::Failed(too_many()))) }
        });
        let request = match read.await {
            Ok(request) => request,
            Err(Unread::Failed(failure)) => return fail(&mut call.respond, &failure),
            Err(Unread::Gone) => return,
        };
        drop((open, room));
        match decide(&shared, &call, &request) {
            Decision::Waiting(waiter, answer) => wait(&shared, call, waiter, answer),
            decision => reply(&shared, call, decision),
        }
    });
}

/// Waits for a request's instance.
pub(super) fn wait(shared: &Arc<Shared>, mut call: Call, waiter: WaiterId, answer: oneshot::Receiver<Answer>) {
    let shared = Arc::clone(shared);
    let mut place = call.outbox.waits.share();
    // There was room before the engine was asked, and whoever takes some is on this thread.
    place.grow_to(1);
    tokio::spawn(async move {
        let mut wait = Wait { shared: &shared, waiter, answer: Some(answer) };
        let answer = poll_fn(|cx| match wait.poll(cx) {
            Poll::Ready(answer) => Poll::Ready(Some(answer)),
            // Ready, whatever it says: the stream has gone.
            Poll::Pending => call.respond.poll_reset(cx).map(|_| None),
        });
        let assigned = match answer.await {
            None => return,
            Some(Ok(reply)) => reply,
            Some(Err(unserved)) => return reply(&shared, call, Decision::Failed(unserved.into())),
        };
        drop(place);
        let outbox = Arc::clone(&call.outbox);
        // Dropped with this task before its turn, it goes back.
        let instance = Delivery::new(Arc::clone(&outbox), shared.service.binding(&assigned));
        outbox
            .answers
            .in_turn(|| {
                if call.deadline.is_some_and(|deadline| deadline <= shared.clock.now()) {
                    fail(&mut call.respond, &Failure::new(Code::DeadlineExceeded, "the deadline passed while the request waited"));
                } else {
                    give(&shared, call.respond, &assigned, instance);
                }
            })
            .await;
    });
}

/// Reads what is left of a call that was refused. A client that has not ended its stream would be reset otherwise, and what it had sent until
/// it heard of that be taken for an attack.
pub(super) fn discard(shared: &Shared, mut body: RecvStream) {
    if body.is_end_stream() {
        return;
    }
    let Some(open) = shared.open_call() else { return };
    tokio::spawn(async move {
        let _open = open;
        let rest = async {
            while let Some(Ok(data)) = body.data().await {
                let _ = body.flow_control().release_capacity(data.len());
            }
        };
        // Whoever goes on sending after that is reset.
        let _ = timeout(DISCARD_PATIENCE, rest).await;
    });
}

/// Sends a reply that the client's window has no room for yet.
pub(super) fn deliver(shared: &Arc<Shared>, mut stream: SendStream<Payload>, bytes: Bytes, instance: Option<Delivery>) {
    let Some(open) = shared.open_call() else { return };
    tokio::spawn(async move {
        let _open = open;
        if send_all(&mut stream, bytes, instance).await.is_ok() {
            // Its client may have gone.
            let _ = succeed(&mut stream);
        }
    });
}

fn too_many() -> Failure {
    Failure::new(Code::ResourceExhausted, "too many calls are open: retry later")
}

/// A place in the engine's queue: dropped before its answer came, it is given up.
struct Wait<'a> {
    shared: &'a Shared,
    waiter: WaiterId,
    answer: Option<oneshot::Receiver<Answer>>,
}

impl Wait<'_> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Answer> {
        let Some(receiver) = &mut self.answer else { return Poll::Pending };
        Pin::new(receiver).poll(cx).map(|answer| {
            self.answer = None;
            answer.unwrap_or_else(|_| unreachable!("a waiting request is answered, or cancelled by this one"))
        })
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let Some(answer) = &mut self.answer else { return };
        if self.shared.service.cancel(self.shared.clock.now(), self.waiter) {
            return;
        }
        // The answer is here, or finds the channel closed and goes back by itself.
        answer.close();
        match answer.try_recv() {
            Ok(Ok(reply)) => self.shared.take_back(&reply),
            Ok(Err(Unserved { .. })) | Err(TryRecvError::Empty | TryRecvError::Closed) => {}
        }
    }
}
