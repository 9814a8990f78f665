//! Requests come in: a free instance now, or a place in the queue.

use super::Engine;
use super::room::exceeds_share;
use crate::command::{Command, WakeError};
use crate::error::EngineError;
use crate::ids::{FunctionId, RequestTag, SlotId, WaiterId};
use crate::ledger::{Counter, WaitCause};
use crate::nanos::Nanos;
use crate::policy::Handoff;
use crate::pool::Waiter;
use crate::sync::{Ordering, lock};
use crate::table::{Cold, Function, Slot};

/// What a request got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assign {
    /// A free instance: it is the request's now.
    Warm(SlotId),
    /// Nothing was free. Exactly one `Wake` with this name will follow, unless `handle_cancel` takes it back first.
    Waiting(WaiterId),
}

impl Engine {
    /// Hands a request an instance of its function, or puts it in the queue until `deadline`.
    ///
    /// Commands appended: none when an instance is free; otherwise `CreateSlot`s, or at once the request's `Wake` with an error while
    /// starts of the function keep failing.
    ///
    /// # Errors
    ///
    /// [`EngineError::Draining`], [`EngineError::TooManyWaiting`], [`EngineError::TooManyWaitingOfFunction`];
    /// [`EngineError::FunctionGivenUp`]: look it up again.
    ///
    /// # Panics
    ///
    /// If `function` is not of this engine.
    pub fn handle_assign(
        &self,
        now: Nanos,
        function: FunctionId,
        request: RequestTag,
        deadline: Nanos,
        out: &mut Vec<Command>,
    ) -> Result<Assign, EngineError> {
        if self.draining() {
            return Err(EngineError::Draining);
        }
        let entry = self.functions.at(function.index);
        if let Some((taken, level)) = entry.pool.take_for_request(&self.slots) {
            if entry.id() != function {
                self.give_back(now, entry, taken, level, out);
                return Err(EngineError::FunctionGivenUp);
            }
            self.functions.ask(entry, |policy| policy.demand_rose(now, level));
            return Ok(Assign::Warm(Self::bind(entry, taken, request, now)));
        }
        self.assign_cold(now, function, entry, request, deadline, out)
    }

    fn assign_cold(
        &self,
        now: Nanos,
        id: FunctionId,
        function: &Function,
        request: RequestTag,
        deadline: Nanos,
        out: &mut Vec<Command>,
    ) -> Result<Assign, EngineError> {
        let mut cold = lock(&function.cold);
        // Under the lock the drain either sees this waiter or is seen here; and a function is given up or not.
        if self.draining() {
            return Err(EngineError::Draining);
        }
        if function.id() != id {
            return Err(EngineError::FunctionGivenUp);
        }
        function.used.store(now.0, Ordering::Relaxed);
        self.join_waiting(cold.waiters.len())?;
        let level = function.pool.demand_rises();
        self.functions.ask(function, |policy| policy.demand_rose(now, level));
        if self.config.policy.handoff == Handoff::Oldest
            && let Some(taken) = function.pool.wait_locked(&mut cold, &self.slots)
        {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            return Ok(Assign::Warm(Self::bind(function, taken, request, now)));
        }
        function.ledger.count(Counter::Queued);
        let sequence = cold.waiters.push(request, now, deadline);
        self.start_wanted(now, id, function, &mut cold, out);
        if self.starts_are_paused(now, &cold) && self.uncovered(function, &cold) > 0 {
            let gone = cold.waiters.remove(sequence).expect("it has just come");
            self.refuse(now, (id, function), &mut cold, &gone, WakeError::StartFailed, out);
        } else if cold.waiters.len() > cold.starting() && cold.shortage.is_none() && !cold.held && !self.starts_are_paused(now, &cold) {
            function.ledger.count(Counter::HeldBack);
        }
        self.meet_target(now, id, function, &mut cold, out);
        drop(cold);
        self.begin_reviews(now);
        self.arm(id, function, deadline);
        Ok(Assign::Waiting(WaiterId { place: id.index, sequence }))
    }

    /// Counts one more waiting request, unless there are too many of all functions, or of this one for its share.
    fn join_waiting(&self, own: u32) -> Result<(), EngineError> {
        let limit = self.config.max_waiting;
        let left = limit.saturating_sub(self.waiting.fetch_add(1, Ordering::Relaxed));
        let refused = if left == 0 {
            EngineError::TooManyWaiting { limit }
        } else if exceeds_share(own.into(), left) {
            EngineError::TooManyWaitingOfFunction { waiting: own, limit }
        } else {
            return Ok(());
        };
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        Err(refused)
    }

    /// Takes back a waiting request whose client has gone. `false`: it is not waiting any more, its `Wake` was issued.
    pub fn handle_cancel(&self, now: Nanos, waiter: WaiterId) -> bool {
        let Some(function) = self.functions.place(waiter.place) else { return false };
        let mut cold = lock(&function.cold);
        let Some(gone) = cold.waiters.remove(waiter.sequence) else { return false };
        self.left(now, function, &mut cold, &gone, Counter::Cancelled);
        drop(cold);
        // The policy may want something else with a request less, and room that was waited for may not be needed.
        self.arm(function.id(), function, now);
        true
    }

    /// Gives an instance back that was taken from the function that has the place now, for a request of the one that had it before.
    fn give_back(&self, now: Nanos, function: &Function, taken: (u32, &Slot), level: u32, out: &mut Vec<Command>) {
        function.pool.demand_falls();
        self.release(now, (function.id(), function), taken, level, out);
    }

    /// Makes a free instance that the caller took serve a request.
    pub(super) fn bind(function: &Function, (index, slot): (u32, &Slot), request: RequestTag, now: Nanos) -> SlotId {
        let (free, counted) = slot.serve(request, now);
        if let Some(given) = counted {
            function.ledger.book_given(given);
        }
        SlotId { index, generation: free.generation() }
    }

    /// Gives the instance to a waiter that has just left the queue.
    pub(super) fn serve(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        waiter: &Waiter,
        taken: (u32, &Slot),
        cause: WaitCause,
        out: &mut Vec<Command>,
    ) {
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        function.ledger.count(if cause == WaitCause::ColdStart { Counter::ColdStarts } else { Counter::Handoffs });
        let wait = now.since(waiter.arrived);
        function.ledger.book_wait(cause, wait);
        self.config.policy.policy.waited(wait);
        let slot = Self::bind(function, taken, waiter.request, now);
        out.push(Command::Wake { waiter: WaiterId { place: id.index, sequence: waiter.sequence }, result: Ok(slot) });
    }

    /// Books a request that has just left the queue without an instance.
    pub(super) fn left(&self, now: Nanos, function: &Function, cold: &mut Cold, waiter: &Waiter, why: Counter) {
        if self.config.policy.handoff == Handoff::Oldest {
            function.pool.leave_locked(cold);
        }
        if matches!(why, Counter::Expired | Counter::Cancelled) && cold.waiters.len() < cold.starting() {
            cold.trouble().left_unserved(now);
        }
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.demand_falls(now, function, None);
        function.ledger.count(why);
        let wait = now.since(waiter.arrived);
        function.ledger.book_wait(WaitCause::Failed, wait);
        if why == Counter::Expired {
            self.config.policy.policy.waited(wait);
        }
    }

    /// Answers a request that has just left the queue with an error.
    pub(super) fn refuse(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        cold: &mut Cold,
        waiter: &Waiter,
        error: WakeError,
        out: &mut Vec<Command>,
    ) {
        let why = match error {
            WakeError::DeadlineExceeded | WakeError::NoRoom(_) => Counter::Expired,
            WakeError::StartFailed => Counter::StartsExhausted,
            WakeError::Draining => Counter::ShutOut,
        };
        self.left(now, function, cold, waiter, why);
        out.push(Command::Wake { waiter: WaiterId { place: id.index, sequence: waiter.sequence }, result: Err(error) });
    }
}
