//! What time alone brings: deadlines pass, keep-alives end, failed destroys are repeated.

use super::agenda::Due;
use super::{Engine, LOOK_AGAIN};
use crate::command::{Command, DestroyReason, WakeError};
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock};
use crate::table::{Function, Span, State};

/// Timers one tick may serve.
const TIMERS_PER_TICK: usize = 256;
/// A visit looks at every free instance of a function. With more than this many it comes again only after a pause
/// of [`PAUSE_PER_ENTRY`] each, which bounds the sweep's share of a core.
const UNPACED_ENTRIES: usize = 4096;
const PAUSE_PER_ENTRY: Nanos = Nanos(100);

impl Engine {
    /// When `handle_tick` next has something to do; `None`: nothing is scheduled.
    #[must_use]
    pub fn next_wakeup(&self) -> Option<Nanos> {
        self.timers.next()
    }

    /// Does what is due by `now`, a bounded amount of it: call again while [`Engine::next_wakeup`] is not in the future.
    ///
    /// Commands appended: `Wake` with `DeadlineExceeded`, `DestroySlot`.
    pub fn handle_tick(&self, now: Nanos, out: &mut Vec<Command>) {
        for _ in 0..TIMERS_PER_TICK {
            match self.timers.pop(now, |id| &self.functions.at(id).armed) {
                Some(Due::Function(id)) => self.sweep(now, id, out),
                Some(Due::Destroy(slot)) => self.repeat_destroy(slot, now, out),
                Some(Due::Review) => self.review(now),
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
        self.slot_vanished(now, id.index, function, word.state());
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

    /// Retires every free instance of a function.
    pub(super) fn retire_free(&self, now: Nanos, function: &Function, out: &mut Vec<Command>) {
        while self.retire_one(now, function, DestroyReason::Draining, out).is_some() {}
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

    /// Serves a function's timer: answers overdue requests, retires overdue free instances, sets the timer again.
    fn sweep(&self, now: Nanos, id: FunctionId, out: &mut Vec<Command>) {
        let function = self.functions.at(id);
        let mut cold = lock(&function.cold);
        for waiter in cold.waiters.expire(now) {
            self.refuse(now, (id, function), &mut cold, &waiter, WakeError::DeadlineExceeded, out);
        }
        cold.refused_room = false;
        self.start_wanted(now, id, function, &mut cold, out);
        self.meet_target(now, id, function, &mut cold, out);
        self.settle_room(now, &mut cold);
        let spare = function.instances(&cold).saturating_sub(cold.target) as usize;
        let (free, next) = self.sweep_free(now, function, spare, out);
        let next = [next, cold.waiters.next_deadline()].into_iter().flatten().min();
        drop(cold);
        let pause = if free > UNPACED_ENTRIES { Nanos(PAUSE_PER_ENTRY.0 * free as u64) } else { Nanos::ZERO };
        if let Some(next) = next {
            self.arm(id, function, next.max(now + pause));
        }
    }

    /// Retires as many free instances as are overdue, but at most `spare`; returns how many stay and when the next of them is due. Those
    /// overdue that the policy's target holds are looked at again when the policy is.
    ///
    /// Instances of a function are alike, and only the top of the stack can be taken. So the top ones go instead of the overdue ones,
    /// and the times of those not overdue move down the stack in their order, as if the overdue had been removed from among them. Under
    /// threads the stack may change meanwhile; then a time may end up with a neighbour, and a compare-exchange keeps it from
    /// overwriting a newer one.
    fn sweep_free(&self, now: Nanos, function: &Function, spare: usize, out: &mut Vec<Command>) -> (usize, Option<Nanos>) {
        let (free, whole) = function.pool.free(&self.slots, |index, slot| (index, Nanos(slot.due.load(Ordering::Relaxed))));
        let staying = free.iter().map(|&(_, due)| due).filter(|&due| due > now);
        let overdue = free.len() - staying.clone().count();
        let retired = overdue.min(spare);
        for _ in 0..retired {
            self.retire_one(now, function, DestroyReason::KeepAliveOver, out);
        }
        if retired > 0 {
            // What the target holds although it is overdue stays overdue, at the bottom of the stack.
            let times = staying.clone().chain(std::iter::repeat(now));
            for (&(index, before), due) in free[retired..].iter().zip(times) {
                let _ = self.slots.at(index).due.compare_exchange(before.0, due.0, Ordering::Relaxed, Ordering::Relaxed);
            }
        }
        let next = if whole { staying.min() } else { Some(now + LOOK_AGAIN) };
        (free.len() - retired, next)
    }

    /// Retires the free instance on top of the stack and returns its index, if there is one.
    pub(super) fn retire_one(&self, now: Nanos, function: &Function, reason: DestroyReason, out: &mut Vec<Command>) -> Option<u32> {
        let (index, slot) = function.pool.take(&self.slots)?;
        let word = slot.word();
        assert!(word.state() == State::Idle, "a taken instance belongs to its taker");
        slot.move_own(word, State::Retiring);
        self.slot_leaves(function);
        Self::book(function, slot, Span::Retiring, now);
        slot.owner.store(0, Ordering::Relaxed);
        function.ledger.count(if reason == DestroyReason::MemoryPressure { Counter::Evicted } else { Counter::Retired });
        out.push(Command::DestroySlot { slot: SlotId { index, generation: word.generation() }, reason });
        Some(index)
    }
}
