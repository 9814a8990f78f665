//! What time alone brings: deadlines pass, keep-alives end, failed destroys are repeated.

use super::Engine;
use super::agenda::Due;
use super::work::{CHANGE, Work};
use crate::command::{Command, DestroyReason};
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock};
use crate::table::{Function, Span, State};

/// Timers one tick may serve.
const TIMERS_PER_TICK: usize = 256;

impl Engine {
    /// When `handle_tick` next has something to do; `None`: nothing is scheduled.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Nanos> {
        self.timers.next()
    }

    /// Does what is due by `now`, a bounded amount of it: call again while [`Engine::next_wakeup`] is not in the future.
    ///
    /// At most 256 timers and 16,384 units of work: a free instance looked at is one, a command eight. A function's lock is let go after an
    /// eighth of that, but what its policy wants at once is begun whole: up to 512 starts, under a memory limit with the free instances that
    /// give way to them. So one tick appends some 2,000 commands and what its last function wants. A policy's review comes beside it, and
    /// passes over all functions and slots.
    ///
    /// Commands appended: `Wake` with `DeadlineExceeded`, `CreateSlot`, `DestroySlot`.
    pub fn handle_tick(&self, now: Nanos, out: &mut Vec<Command>) {
        self.tick(now, &mut Work::of_a_tick(), out);
    }

    pub(super) fn tick(&self, now: Nanos, work: &mut Work, out: &mut Vec<Command>) {
        for _ in 0..TIMERS_PER_TICK {
            if work.is_done() {
                break;
            }
            match self.timers.pop(now, |id| &self.functions.at(id.index).armed) {
                Some(Due::Function(id)) => work.step(|work| self.sweep(now, id, work, out)),
                Some(Due::GoOn(id)) => work.step(|work| self.go_on(now, id, work, out)),
                Some(Due::Destroy(slot)) => {
                    work.take_on(CHANGE);
                    self.repeat_destroy(slot, now, out);
                }
                Some(Due::Review) => self.review(now),
                Some(Due::Leases) => self.sweep_leases(now, work, out),
                None => break,
            }
        }
    }

    /// The platform has confirmed the slot's end, or no longer knows it.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no destroy is in flight on it.
    pub fn handle_slot_destroyed(&self, now: Nanos, id: SlotId) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Retiring, State::Leaked])?;
        let (_, function) = self.holder(slot);
        if !slot.transition(word, State::Vacant) {
            return Err(EngineError::SlotNotFound(id));
        }
        Self::book(function, slot, Span::Nothing, now);
        self.slot_vanished(now, id.index, function, word.state(), Counter::Destroyed);
        Ok(())
    }

    /// DestroySlot failed: the slot is booked as leaked, and the command comes again after a pause that doubles each time.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no destroy is in flight on it.
    pub fn handle_destroy_failed(&self, now: Nanos, id: SlotId) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Retiring])?;
        if !slot.transition(word, State::Leaked) {
            return Err(EngineError::SlotNotFound(id));
        }
        let (_, function) = self.holder(slot);
        self.slot_stays(function);
        Self::book(function, slot, Span::Leaked, now);
        function.ledger.count(Counter::DestroyFailures);
        let failures = slot.owner.fetch_add(1, Ordering::Relaxed);
        let pause = Nanos(self.config.destroy_retry.0.saturating_mul(1 << failures.min(6)));
        self.timers.repeat_destroy(id, now + pause);
        self.room_changed(now);
        Ok(())
    }

    pub(super) fn arm(&self, id: FunctionId, function: &Function, at: Nanos) {
        self.timers.arm(id, &function.armed, at);
    }

    fn repeat_destroy(&self, id: SlotId, now: Nanos, out: &mut Vec<Command>) {
        // Gone if the platform's confirmation of an earlier attempt came late.
        let Some((slot, word)) = self.slots.find(id).filter(|(_, word)| word.state() == State::Leaked) else { return };
        if slot.transition(word, State::Retiring) {
            let (_, function) = self.holder(slot);
            self.slot_leaves(function);
            Self::book(function, slot, Span::Retiring, now);
            out.push(Command::DestroySlot { slot: id, reason: DestroyReason::Repeated });
        }
    }

    /// Serves a function's timer: answers overdue requests, asks the policy, retires overdue free instances, sets the timer again.
    ///
    /// Bound: see [`Work`]; `engine::start` says how many starts are issued before they are counted. What is left over is done at once, but after
    /// whatever else is due: the policy is asked when no overdue request is left, so that it starts nothing for one.
    fn sweep(&self, now: Nanos, id: FunctionId, work: &mut Work, out: &mut Vec<Command>) {
        let function = self.functions.at(id.index);
        let mut cold = lock(&function.cold);
        // The timer may have been set for a function that had the place before.
        let id = function.id();
        if function.is_vacant() {
            return;
        }
        let overdue = cold.waiters.take_overdue(now, work.changes());
        let error = self.overdue_error(&cold);
        for waiter in &overdue {
            self.refuse(now, (id, function), &mut cold, waiter, error, out);
        }
        // A timer that finds nothing to do is work too.
        work.changed(overdue.len().max(1));
        let deadline = cold.waiters.next_deadline();
        if let Some(deadline) = deadline {
            self.arm(id, function, deadline.max(now));
        }
        if deadline.is_some_and(|deadline| deadline <= now) {
            return;
        }
        cold.shortage = None;
        cold.asked_for_turn = false;
        let before = out.len();
        if self.starts_are_paused(now, &cold) {
            self.refuse_uncovered(now, (id, function), &mut cold, out);
        }
        self.start_wanted(now, id, function, &mut cold, out);
        self.meet_target(now, id, function, &mut cold, out);
        work.changed(out.len() - before);
        self.settle_room(now, function, &mut cold);
        self.settle_turn(now, id, &mut cold);
        self.visit_free(now, (id, function), cold, work, out);
    }
}
