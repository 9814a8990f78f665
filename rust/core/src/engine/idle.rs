//! Requests end: the instance serves the oldest waiter, becomes free, or goes.

use super::Engine;
use super::limits::Limits;
use crate::command::{Command, DestroyReason};
use crate::ids::{FunctionId, RequestTag, SlotId};
use crate::ledger::{Counter, WaitCause};
use crate::nanos::Nanos;
use crate::policy::FreeInstance;
use crate::pool::Offer;
use crate::sync::{MutexGuard, Ordering, fence_after_rmw, lock};
use crate::table::{Cold, Function, Slot, Span, State, Word};

/// What an Idle led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The request had the instance and has given it back.
    Ended,
    /// The request no longer has the instance: a duplicate, or a late one. Nothing changed.
    Duplicate,
    /// No such instance, or not of that function. Nothing changed.
    Unknown,
}

/// How a request ended, as far as its instance is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Well.
    Good,
    /// With a failure. The instance serves on, unless it fails three times in a row while others do better.
    Failed,
    /// The instance must be destroyed.
    Destroy,
}

impl Engine {
    /// Takes an instance back from the request that had it.
    ///
    /// `key` is the function the caller believes it to be of.
    pub fn handle_idle(
        &self,
        now: Nanos,
        instance: SlotId,
        key: &str,
        request: RequestTag,
        ending: Ending,
        out: &mut Vec<Command>,
    ) -> Idle {
        let Some((slot, word)) = self.slots.find(instance) else { return Idle::Unknown };
        let (id, function) = self.holder(slot);
        if !self.functions.is_of_key(function, key) || !matches!(word.state(), State::Idle | State::Busy | State::Retiring | State::Leaked)
        {
            return Idle::Unknown;
        }
        self.end(now, (instance, slot, word), (id, function), request, ending, out)
    }

    /// [`Engine::handle_idle`] for a host that made the instance serve this request and mixes no functions up: it need not name the
    /// function.
    pub fn handle_end(&self, now: Nanos, instance: SlotId, request: RequestTag, ending: Ending, out: &mut Vec<Command>) -> Idle {
        let Some((slot, word)) = self.slots.find(instance) else { return Idle::Unknown };
        self.end(now, (instance, slot, word), self.holder(slot), request, ending, out)
    }

    fn end(
        &self,
        now: Nanos,
        (instance, slot, word): (SlotId, &Slot, Word),
        (id, function): (FunctionId, &Function),
        request: RequestTag,
        ending: Ending,
        out: &mut Vec<Command>,
    ) -> Idle {
        let owned = word.state() == State::Busy && slot.owner.load(Ordering::Relaxed) == request.0;
        let plain = ending == Ending::Good && !word.is_failing() && self.limits.is_none() && !self.draining();
        let (next, after) = if plain || !owned { (None, word) } else { self.verdict(now, instance, function, word, ending) };
        // The epoch in the word fails a duplicate that slept while the instance went to another request.
        if !owned || !slot.transition_from(word, after, if next.is_some() { State::Retiring } else { State::Idle }) {
            function.ledger.count(Counter::IdleDuplicates);
            return Idle::Duplicate;
        }
        if word.is_failing() != after.is_failing() {
            Self::count_failing(function, after.is_failing());
        }
        let execution = slot.clock.turn_free(now);
        let level = self.demand_falls(now, function, Some(execution));
        match next {
            None => self.release(now, (id, function), (instance.index, slot), level, out),
            Some(reason) => self.give_up_instance(now, (id, function), (instance, slot), reason, out),
        }
        Idle::Ended
    }

    /// Why an instance goes, if it does, and its word with what this end says of it.
    #[cold]
    fn verdict(&self, now: Nanos, instance: SlotId, function: &Function, word: Word, ending: Ending) -> (Option<DestroyReason>, Word) {
        let next = match ending {
            Ending::Destroy => Some(DestroyReason::NeedDestroy),
            _ if self.draining() => Some(DestroyReason::Draining),
            _ if self.makes_way(instance.index, function) => Some(DestroyReason::MemoryPressure),
            Ending::Failed if Self::claim_replacement(now, function, word) => Some(DestroyReason::Failing),
            _ => None,
        };
        let after = match ending {
            Ending::Good => word.did_well(),
            Ending::Failed => word.failed_once_more(),
            Ending::Destroy => word,
        };
        (next, after)
    }

    /// Takes back an instance whose request was never told of it: an Assign or a `Wake` that could not be delivered.
    ///
    /// The same as an Idle, but counted as abandoned and not as a request that ran.
    pub fn handle_abandon(&self, now: Nanos, instance: SlotId, request: RequestTag, out: &mut Vec<Command>) -> Idle {
        let Some((slot, word)) = self.slots.find(instance) else { return Idle::Unknown };
        let (id, function) = self.holder(slot);
        let owned = word.state() == State::Busy && slot.owner.load(Ordering::Relaxed) == request.0;
        if !owned || !slot.transition(word, State::Idle) {
            return Idle::Duplicate;
        }
        function.ledger.count(Counter::Abandoned);
        slot.clock.turn_free(now);
        let level = self.demand_falls(now, function, None);
        self.release(now, (id, function), (instance.index, slot), level, out);
        Idle::Ended
    }

    /// Lets an instance that a request has just left serve the oldest waiter or be free. `level`: the demand level that ended.
    ///
    /// # Ordering
    ///
    /// The promise of a free instance is made before the looks at the function's timer and at the drain flag, with a full fence
    /// between; a sweep disarms the timer, and a drain raises its flag, before they look at instances, with a full fence between. So one
    /// side sees the other: no free instance is left without a timer or behind a drain.
    pub(super) fn release(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        instance: (u32, &Slot),
        level: u32,
        out: &mut Vec<Command>,
    ) {
        self.set_due(now, function, instance.1, level);
        match function.pool.offer(instance) {
            Offer::Free => self.became_free(now, (id, function), instance, out),
            Offer::Waiting { pushed } => {
                self.release_locked(now, (id, function), lock(&function.cold), instance, pushed, WaitCause::Handoff, out);
            }
        }
    }

    /// [`Engine::release`] for a caller that has the function's lock and has set the end of the instance's keep-alive. `pushed`: the
    /// instance is on the stack, without its promise.
    #[expect(clippy::too_many_arguments, reason = "one step of two callers, not an interface")]
    pub(super) fn release_locked(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        mut cold: MutexGuard<'_, Cold>,
        instance: (u32, &Slot),
        pushed: bool,
        cause: WaitCause,
        out: &mut Vec<Command>,
    ) {
        if let Some(taken) = function.pool.offer_locked(&mut cold, &self.slots, instance, pushed) {
            let waiter = cold.waiters.pop_oldest().expect("the hand-off word counts waiters");
            // What its predecessor's execution has just taught may call for a start.
            self.start_wanted(now, id, function, &mut cold, out);
            self.reconsider_room(now, id, function, &cold);
            drop(cold);
            self.serve(now, (id, function), &waiter, taken, cause, out);
        } else {
            drop(cold);
            self.became_free(now, (id, function), instance, out);
        }
    }

    /// Sets the end of the keep-alive of an instance that becomes free now.
    pub(super) fn set_due(&self, now: Nanos, function: &Function, slot: &Slot, level: u32) {
        let free = FreeInstance { facts: self.facts(now, function), level };
        let due = now + self.functions.ask(function, |policy| policy.keep_alive(&free));
        slot.due.store(due.0, Ordering::Relaxed);
        if self.limits.as_ref().is_some_and(Limits::bound_room) {
            let ranked = self.config.policy.policy.ranks_instances();
            slot.worth.store(if ranked { self.functions.ask(function, |policy| policy.priority(&free)) } else { now.as_secs_f64() });
        }
    }

    /// The second half of [`Engine::release`]: the promise has been made, by a read-modify-write.
    fn became_free(&self, now: Nanos, (id, function): (FunctionId, &Function), (index, slot): (u32, &Slot), out: &mut Vec<Command>) {
        fence_after_rmw();
        self.arm(id, function, Nanos(slot.due.load(Ordering::Relaxed)));
        self.rank_free(now, index, slot);
        if self.draining() {
            self.retire_free(now, function, out);
        }
    }

    /// Sees off an instance that its last request has left in the retiring state.
    #[cold]
    pub(super) fn give_up_instance(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        (instance, slot): (SlotId, &Slot),
        reason: DestroyReason,
        out: &mut Vec<Command>,
    ) {
        match reason {
            DestroyReason::Failing => function.ledger.count(Counter::Replaced),
            DestroyReason::MemoryPressure => function.ledger.count(Counter::Evicted),
            _ => {}
        }
        self.functions.ask(function, |policy| policy.instance_lost());
        Self::book(function, slot, Span::Retiring, now);
        slot.owner.store(0, Ordering::Relaxed);
        self.slot_leaves(function);
        if !self.draining() {
            // It will not serve those who wait: they may want a start instead.
            let mut cold = lock(&function.cold);
            self.start_wanted(now, id, function, &mut cold, out);
            // No keep-alive begins, whose end would be the moment to ask for a target.
            self.meet_target(now, id, function, &mut cold, out);
        }
        out.push(Command::DestroySlot { slot: instance, reason });
    }
}
