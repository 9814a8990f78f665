//! Requests that wait: what their reply will need, kept from the Assign until the Wake.
//!
//! # The race
//!
//! The engine names a waiter inside `handle_assign`; from then on another thread may come out of the engine with its Wake, before
//! the assigning thread has had a chance to store the request here. So the two **meet** in this table: whoever comes first
//! leaves what it has, whoever comes second takes it and has both, and answers the request. Either way there is exactly one answer.
//!
//! A cancelled waiter is removed by its canceller: the engine promises that it gets no Wake. So entries are bounded by the engine's limit on
//! waiting requests plus the calls in progress. No warm Assign or Idle comes here.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use pilotlight_core::{FunctionId, SlotId, WaiterId};
use tokio::sync::oneshot;

use crate::refusal::Unserved;
use crate::wire::AssignReply;

/// The end of a wait.
pub type Answer = Result<AssignReply, Unserved>;

/// Who waits, and so where the answer goes.
#[derive(Debug)]
pub enum Caller {
    /// The host's: its answer is a [`Wake`](crate::Wake) among the host's commands.
    Host,
    /// A call of a front in Rust: its answer goes straight to it. A closed channel is a client that has gone; its instance returns.
    Front(oneshot::Sender<Answer>),
}

/// What the reply to a waiting request needs.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: String,
    pub(crate) function: FunctionId,
    pub(crate) caller: Caller,
}

/// What became of a waiting request: its instance, or why there is none.
pub(crate) type Verdict = Result<SlotId, Unserved>;

#[derive(Debug)]
enum Entry {
    Request(Request),
    Verdict(Verdict),
}

type Entries = HashMap<WaiterId, Entry, foldhash::fast::RandomState>;

/// Requests that wait, and verdicts that came before their request.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    entries: Mutex<Entries>,
}

impl Waiting {
    /// Stores a request; returns it with its verdict if that is there already.
    pub(crate) fn enter(&self, waiter: WaiterId, request: Request) -> Option<(Request, Verdict)> {
        let mut entries = self.lock();
        match entries.remove(&waiter) {
            Some(Entry::Verdict(verdict)) => Some((request, verdict)),
            Some(Entry::Request(_)) => unreachable!("the engine names a waiter once"),
            None => {
                entries.insert(waiter, Entry::Request(request));
                None
            }
        }
    }

    /// Takes out the request that a verdict is for, or leaves the verdict for [`Waiting::enter`].
    pub(crate) fn wake(&self, waiter: WaiterId, verdict: Verdict) -> Option<(Request, Verdict)> {
        let mut entries = self.lock();
        match entries.remove(&waiter) {
            Some(Entry::Request(request)) => Some((request, verdict)),
            Some(Entry::Verdict(_)) => unreachable!("the engine wakes a waiter once"),
            None => {
                entries.insert(waiter, Entry::Verdict(verdict));
                None
            }
        }
    }

    /// Forgets a request that the engine has let go without a Wake.
    pub(crate) fn forget(&self, waiter: WaiterId) {
        self.lock().remove(&waiter);
    }

    /// Every critical section above leaves the map whole, so a poisoned lock guards usable state.
    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_core::policy::PolicySpec;
    use pilotlight_core::{Engine, EngineConfig, FunctionRef, SlotId, WaiterId};

    use super::{Caller, Request, Waiting};

    const WAITER: WaiterId = WaiterId::from_bits(7);
    const SLOT: SlotId = SlotId::from_bits(3);

    fn request() -> Request {
        let engine = Engine::new(EngineConfig::new(PolicySpec::parse("fixed").unwrap()));
        let function = engine.function(&FunctionRef { key: "a", runtime: "", timeout_s: 0, memory_mb: 1 }).unwrap();
        Request { id: "r".to_owned(), function, caller: Caller::Host }
    }

    #[test]
    fn whoever_comes_second_has_both() {
        let waiting = Waiting::default();
        assert!(waiting.enter(WAITER, request()).is_none());
        let (met, verdict) = waiting.wake(WAITER, Ok(SLOT)).unwrap();
        assert_eq!((met.id.as_str(), verdict), ("r", Ok(SLOT)));
        assert!(waiting.wake(WAITER, Ok(SLOT)).is_none());
        let (met, verdict) = waiting.enter(WAITER, request()).unwrap();
        assert_eq!((met.id.as_str(), verdict), ("r", Ok(SLOT)));
        assert!(waiting.lock().is_empty());
    }

    #[test]
    fn a_forgotten_request_leaves_nothing() {
        let waiting = Waiting::default();
        waiting.enter(WAITER, request());
        waiting.forget(WAITER);
        assert!(waiting.lock().is_empty());
    }
}
