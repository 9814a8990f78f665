//! One request: an Assign, and when it has an instance its Idle.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use pilotlight_grpc::Failure;
use prost::Message;

use crate::client::Channel;
use crate::mix::Function;
use crate::record::{Origin, Recorder, Step};
use crate::wire::{AssignReply, Assignment, ExecutionResult, IdleReply, IdleRequest};

/// What all threads share.
#[derive(Debug, Default)]
pub(crate) struct Control {
    /// Calls answered with what was asked for; refusals are none of a server's work.
    pub(crate) answered: AtomicU64,
    /// The run is to end now. Both are read for their value alone: nothing is published through them.
    pub(crate) stop: AtomicBool,
}

/// What the tasks of one thread share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) recorder: RefCell<Recorder>,
    /// Requests issued and not over.
    pub(crate) outstanding: Cell<usize>,
    /// Numbers requests; threads start far from each other.
    pub(crate) number: Cell<u64>,
    pub(crate) hold: Duration,
    pub(crate) control: Arc<Control>,
}

/// A call that is under way. One that is dropped before it is answered counts as unfinished.
struct Pending {
    shared: Rc<Shared>,
    origin: Origin,
    step: Step,
    /// When the request was due, which decides where its calls count.
    request_due: Instant,
    due: Instant,
    over: bool,
}

impl Pending {
    fn assign(shared: Rc<Shared>, origin: Origin, due: Instant) -> Self {
        Self { shared, origin, step: Step::Assign, request_due: due, due, over: false }
    }

    fn idle(shared: Rc<Shared>, origin: Origin, request_due: Instant, due: Instant) -> Self {
        Self { shared, origin, step: Step::Idle, request_due, due, over: false }
    }

    /// Records the call's end and returns its result and that moment.
    fn over<T>(mut self, result: Result<T, Failure>) -> Option<(T, Instant)> {
        self.over = true;
        let now = Instant::now();
        let mut recorder = self.shared.recorder.borrow_mut();
        match result {
            Ok(value) => {
                self.shared.control.answered.fetch_add(1, Ordering::Relaxed);
                recorder.answered(self.origin, self.step, self.request_due, now.saturating_duration_since(self.due));
                Some((value, now))
            }
            Err(failure) => {
                recorder.failed(self.origin, self.request_due, failure.status);
                None
            }
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if !self.over {
            let mut recorder = self.shared.recorder.borrow_mut();
            // At least this long: leaving it out would flatter the percentiles.
            recorder.answered(self.origin, self.step, self.request_due, self.due.elapsed());
            recorder.failed(self.origin, self.request_due, "UNFINISHED");
        }
    }
}

/// Counts a request as outstanding while it lives.
struct Outstanding(Rc<Shared>);

impl Outstanding {
    fn new(shared: Rc<Shared>) -> Self {
        shared.outstanding.set(shared.outstanding.get() + 1);
        Self(shared)
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.0.outstanding.set(self.0.outstanding.get() - 1);
    }
}

/// Makes a request that is due now or was due before. It counts from here on, also while nobody polls it.
pub(crate) fn request(shared: Rc<Shared>, channel: Channel, function: Function, origin: Origin, due: Instant) -> impl Future<Output = ()> {
    let outstanding = Outstanding::new(Rc::clone(&shared));
    let pending = Pending::assign(Rc::clone(&shared), origin, due);
    let number = shared.number.replace(shared.number.get() + 1);
    async move {
        let _outstanding = outstanding;
        let Some((assignment, answered)) = pending.over(assign(&channel, &function, number).await) else { return };
        let mut idle_due = answered;
        if !shared.hold.is_zero() {
            tokio::time::sleep(shared.hold).await;
            // The timer is late by up to a millisecond, which is not the server's doing.
            idle_due = Instant::now();
        }
        let pending = Pending::idle(shared, origin, due, idle_due);
        pending.over(idle(&channel, assignment).await);
    }
}

/// Calls Assign and returns the encoded assignment of the reply, which names this request and function and some instance.
pub(crate) async fn assign(channel: &Channel, function: &Function, number: u64) -> Result<Bytes, Failure> {
    let request = function.request(number);
    let reply: AssignReply = channel.assign(&request).await?;
    succeeded(reply.status, reply.error_message)?;
    let encoded = reply.assigment.ok_or_else(|| wrong("AssignReply.assigment is missing"))?;
    let assignment = Assignment::decode(encoded.clone()).map_err(|_| wrong("AssignReply.assigment does not parse"))?;
    if assignment.request_id != request.request_id || assignment.meta_key != function.key {
        return Err(wrong("AssignReply.assigment is another request's"));
    }
    if assignment.instance_id.is_empty() { Err(wrong("AssignReply.assigment.instance_id is empty")) } else { Ok(encoded) }
}

/// Calls Idle for what Assign gave.
pub(crate) async fn idle(channel: &Channel, assigment: Bytes) -> Result<(), Failure> {
    let result = Some(ExecutionResult { status_code: 200, duration_in_ms: 0 });
    let reply: IdleReply = channel.idle(&IdleRequest { assigment: Some(assigment), result }).await?;
    succeeded(reply.status, reply.error_message)
}

fn wrong(message: &str) -> Failure {
    Failure::new("WRONG_REPLY", message)
}

/// Turns the protocol's own status into a failure.
fn succeeded(status: i32, message: Option<String>) -> Result<(), Failure> {
    let name = match status {
        0 => return Ok(()),
        1 => "Throttle",
        2 => "InternalError",
        3 => "NotFound",
        4 => "InvalidArgument",
        5 => "InvalidAssigment",
        _ => "unknown reply status",
    };
    Err(Failure::new(name, message.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Times;

    #[test]
    fn refusal_is_no_answered_call() {
        let now = Instant::now();
        let end = now + Duration::from_secs(9);
        let shared = Rc::new(Shared {
            recorder: RefCell::new(Recorder::new(Times { start: now, measure: now, storm: end, end })),
            outstanding: Cell::new(0),
            number: Cell::new(0),
            hold: Duration::ZERO,
            control: Arc::default(),
        });
        let call = || Pending::assign(Rc::clone(&shared), Origin::Warm, now);
        assert!(call().over::<()>(Err(wrong("no"))).is_none());
        assert_eq!(shared.control.answered.load(Ordering::Relaxed), 0);
        assert!(call().over(Ok(())).is_some());
        assert_eq!(shared.control.answered.load(Ordering::Relaxed), 1);
        let recorder = shared.recorder.borrow();
        let window = &recorder.recording.measured;
        assert_eq!((window.assign.len(), window.failures["WRONG_REPLY"]), (1, 1));
    }
}
