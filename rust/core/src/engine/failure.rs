//! Starts that fail: retries, a circuit breaker for each function, and one pause for all when the
//! platform throttles.
//!
//! `start_attempts` failures in a row without a success open a function's circuit breaker. Then a
//! request waits only for what is there: a start in flight or a busy instance each. Everybody
//! beyond is answered with the failure, and so is everybody who comes. Starts go on one at a time,
//! after 1 s, 2 s … 30 s, when a request or the policy's target wants one. The first that succeeds
//! closes the breaker.
//!
//! A platform that throttles says nothing about the function: its starts are made again when the
//! platform lets them (`throttle`).

use super::Engine;
use super::start::advance;
use super::throttle::Stage;
use crate::command::{Command, DestroyReason, WakeError};
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::policy::Handoff;
use crate::sync::{Ordering, lock};
use crate::table::{Cold, Function, Span, State};

/// At most so many requests are refused before the function's lock is let go; its timer goes on.
const MOST_REFUSED: u32 = 256;

/// What is known of a CreateSlot or an Init that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartFailure {
    /// The platform did not do it. Also settles a CreateSlot that was reported as unanswered.
    Refused,
    /// The platform did not do it because it is asked too much: the same later may succeed.
    Throttled,
    /// Of a CreateSlot: no answer says what became of it, so the platform may hold the slot. It
    /// stays in the ledger as leaked until `handle_slot_created`, or one more failure, settles it:
    /// [`StartFailure::Refused`] if there never was a slot, this one if nobody waits for the answer
    /// any more; then the slot is written off.
    Unanswered,
}

impl Engine {
    /// CreateSlot failed.
    ///
    /// Commands appended: another `CreateSlot`, or `Wake`s with an error when too many starts have
    /// failed in a row.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no such create is in flight.
    pub fn handle_create_failed(&self, now: Nanos, id: SlotId, failure: StartFailure, out: &mut Vec<Command>) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Creating, State::Abandoned])?;
        let (holder, function) = self.holder(slot);
        let (may_exist, made) = (failure == StartFailure::Unanswered, slot.began());
        if word.state() == State::Abandoned {
            advance(id, slot, word, State::Vacant)?;
            Self::book(function, slot, Span::Nothing, now);
            let end = if may_exist { Counter::WrittenOff } else { Counter::NeverCreated };
            self.slot_vanished(now, id.index, function, word.state(), end);
            return Ok(());
        }
        let mut cold = lock(&function.cold);
        advance(id, slot, word, if may_exist { State::Abandoned } else { State::Vacant })?;
        cold.creating -= 1;
        Self::book(function, slot, if may_exist { Span::Leaked } else { Span::Nothing }, now);
        if !may_exist {
            self.slot_vanished(now, id.index, function, word.state(), Counter::NeverCreated);
        }
        self.start_failed(now, (holder, function), &mut cold, ((id.index, made), failure, Stage::Create), out);
        Ok(())
    }

    /// Init failed: the slot is destroyed. Like [`Engine::handle_instance_ready`] for a slot given
    /// up meanwhile.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no Init is in flight on it.
    pub fn handle_init_failed(&self, now: Nanos, id: SlotId, failure: StartFailure, out: &mut Vec<Command>) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Initialising, State::Retiring, State::Leaked])?;
        if word.state() != State::Initialising {
            return Ok(());
        }
        let (holder, function) = self.holder(slot);
        let (mut cold, made) = (lock(&function.cold), slot.began());
        advance(id, slot, word, State::Retiring)?;
        cold.initialising -= 1;
        Self::book(function, slot, Span::Retiring, now);
        slot.owner.store(0, Ordering::Relaxed);
        self.slot_leaves(function);
        out.push(Command::DestroySlot { slot: id, reason: DestroyReason::InitFailed });
        self.start_failed(now, (holder, function), &mut cold, ((id.index, made), failure, Stage::Init), out);
        Ok(())
    }

    /// Must the function's next start wait, for its circuit breaker or the platform's throttle?
    /// Then it is looked at again in time.
    pub(super) fn holds_starts(&self, now: Nanos, (id, function): (FunctionId, &Function), cold: &mut Cold) -> bool {
        match self.paced_until(cold) {
            // The end of the start that is under way asks again.
            Some(_) if cold.starting() > 0 => true,
            Some(until) if until > now => {
                self.arm(id, function, until);
                true
            }
            _ => self.is_throttled(now, (id, function), cold),
        }
    }

    /// A start of the function is made.
    pub(super) fn note_start(&self, now: Nanos, cold: &mut Cold) {
        self.space_starts(now);
        if let Some(trouble) = &mut cold.trouble {
            trouble.started(now, self.config.start_attempts);
        }
    }

    /// While the circuit breaker is open: answers those who wait for nothing that is there, the
    /// oldest first.
    pub(super) fn refuse_uncovered(&self, now: Nanos, (id, function): (FunctionId, &Function), cold: &mut Cold, out: &mut Vec<Command>) {
        let uncovered = self.uncovered(function, cold);
        for _ in 0..uncovered.min(MOST_REFUSED) {
            let gone = match self.config.policy.handoff {
                Handoff::Oldest => cold.waiters.pop_oldest(),
                Handoff::None => cold.waiters.remove_bound_to(None),
            };
            let gone = gone.expect("as many wait");
            self.refuse(now, (id, function), cold, &gone, WakeError::StartFailed, out);
        }
        if uncovered > 0 {
            self.reconsider_room(now, id, function, cold);
        }
        if uncovered > MOST_REFUSED {
            self.arm(id, function, now);
        }
    }

    /// Is the circuit breaker open, and no start to be made now?
    pub(super) fn starts_are_paused(&self, now: Nanos, cold: &Cold) -> bool {
        self.paced_until(cold).is_some_and(|until| until > now)
    }

    /// While the circuit breaker is open: when the next start may be made.
    fn paced_until(&self, cold: &Cold) -> Option<Nanos> {
        cold.trouble.as_ref()?.starts_paced_until(self.config.start_attempts)
    }

    /// Requests that wait for more than there is a start in flight or a busy instance for.
    pub(super) fn uncovered(&self, function: &Function, cold: &Cold) -> u32 {
        let waiting = cold.waiters.len();
        match self.config.policy.handoff {
            Handoff::Oldest => waiting.saturating_sub(cold.starting() + function.pool.demand().saturating_sub(waiting)),
            Handoff::None => cold.waiters.without_a_start(),
        }
    }

    /// Books a failed start, and replaces it if it is still wanted, or refuses those that it was
    /// for.
    fn start_failed(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        cold: &mut Cold,
        (slot, failure, stage): ((u32, Nanos), StartFailure, Stage),
        out: &mut Vec<Command>,
    ) {
        let (index, made) = slot;
        if let Some(waiter) = cold.waiters.bound_to(index) {
            waiter.own_start = None;
        }
        if failure == StartFailure::Throttled {
            function.ledger.count(Counter::StartsThrottled);
            self.throttle(now, made, stage);
            self.start_wanted(now, id, function, cold, out);
            self.meet_target(now, id, function, cold, out);
            return;
        }
        function.ledger.count(Counter::StartsFailed);
        cold.trouble().start_failed(now, self.config.start_attempts);
        if self.paced_until(cold).is_some() {
            self.refuse_uncovered(now, (id, function), cold, out);
        }
        self.start_wanted(now, id, function, cold, out);
    }
}
