//! Keep-alives end: a function's overdue free instances are retired, a bounded step at a time.
//!
//! Instances of a function are alike, and only the top of the stack can be taken. So for each overdue instance the top one goes, and
//! the times of those not overdue move down the stack in their order, as if the overdue one had been removed from among them. If a target
//! holds some of the overdue ones, those nearest the top go; the others are looked at again when the policy is.
//!
//! A [`Descent`] does so in one way down the stack or more. On the first, each overdue instance it comes to has the top one retired, whose
//! time is then homeless. From the bottom, or with as many homeless times as it may hold, it returns to the top and moves times down: each
//! instance gets the first of the homeless ones and adds its own to them, unless that is overdue. After as many overdue ones as there were
//! homeless times none is left, and the way goes on like the first.
//!
//! Cost: a step looks at and retires a bounded number of instances ([`Work`]) under the function's lock, which is let go between
//! steps. n free instances of which k are overdue take at most 2 + k / 4,096 ways of n looks; 32 KiB are allocated at most.
//!
//! Under a memory limit only the times move, not what an instance is worth, by which it stands in the order of those to be given up
//! (`engine::evict`): those that stay rank as of when they themselves became free, and the top one's worth goes with it.
//!
//! # Under threads
//!
//! Between steps others take instances, from the top, and push others there. As many instances are retired as were seen overdue at that
//! moment. A time may end up with a neighbour; a compare-exchange keeps it from overwriting a newer one. What was pushed since a descent
//! began is not seen by it, and need not be: the function's timer was disarmed before it began, so that whoever pushed has armed it.

use super::work::{CHANGE, LOOK, Work};
use super::{Engine, LOOK_AGAIN};
use crate::command::{Command, DestroyReason};
use crate::ids::{FunctionId, SlotId};
use crate::ledger::Counter;
use crate::nanos::Nanos;
use crate::pool::{Below, Descent};
use crate::sync::{MutexGuard, Ordering, lock};
use crate::table::{Cold, Function, Slot, Span, State};

/// After a visit to more free instances than this, the next comes only after a pause of [`PAUSE_PER_ENTRY`] each, which bounds the visits'
/// share of a core.
const UNPACED_ENTRIES: u64 = 4096;
const PAUSE_PER_ENTRY: Nanos = Nanos(100);

impl Engine {
    /// Begins a visit to the function's free instances; one that has begun and is not over is followed by another.
    pub(super) fn visit_free(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        mut cold: MutexGuard<'_, Cold>,
        work: &mut Work,
        out: &mut Vec<Command>,
    ) {
        match &mut cold.descent {
            Some(descent) => descent.again = true,
            None => self.descend(now, (id, function), cold, Descent::new(now, id.index, &function.pool), work, out),
        }
    }

    /// Goes on with a visit.
    pub(super) fn go_on(&self, now: Nanos, id: FunctionId, work: &mut Work, out: &mut Vec<Command>) {
        let function = self.functions.at(id.index);
        let mut cold = lock(&function.cold);
        let descent = cold.descent.take().expect("the timers know of one visit for each that is not over");
        self.descend(now, (id, function), cold, *descent, work, out);
    }

    /// Makes a step of a visit, and sees to it that the next step, or the next visit, comes.
    fn descend(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        mut cold: MutexGuard<'_, Cold>,
        mut descent: Descent,
        work: &mut Work,
        out: &mut Vec<Command>,
    ) {
        if !self.retire_overdue(now, function, &cold, &mut descent, work, out) {
            cold.descent = Some(Box::new(descent));
            drop(cold);
            self.timers.go_on(id, now);
            return;
        }
        drop(cold);
        let free = u64::try_from(function.pool.balance()).unwrap_or(0);
        let pause = if free > UNPACED_ENTRIES { Nanos(PAUSE_PER_ENTRY.0 * free) } else { Nanos::ZERO };
        let next = if descent.again { Some(now) } else { descent.next() };
        if let Some(next) = next {
            self.arm(id, function, next.max(now + pause));
        }
    }

    /// Goes down the stack as far as there is work to be done; `true`: the visit is over.
    fn retire_overdue(
        &self,
        now: Nanos,
        function: &Function,
        cold: &Cold,
        descent: &mut Descent,
        work: &mut Work,
        out: &mut Vec<Command>,
    ) -> bool {
        while work.take_on(LOOK) {
            match descent.below(&function.pool, &self.slots) {
                Below::Instance(_, slot) if descent.is_placing() => move_down(descent, slot),
                Below::Instance(index, slot) => {
                    let due = Nanos(slot.due.load(Ordering::Relaxed));
                    if due > descent.began {
                        descent.note(due);
                    } else if function.instances(cold) > cold.target {
                        work.take_on(CHANGE);
                        self.retire_for(now, function, index, descent, out);
                    }
                }
                // With fewer instances than times, the last times are nobody's.
                Below::Bottom if descent.is_placing() || !descent.is_owing() => return true,
                Below::Lost if !descent.is_owing() => {
                    descent.note(now + LOOK_AGAIN);
                    return true;
                }
                Below::Bottom | Below::Lost => descent.return_to_top(&function.pool),
            }
        }
        false
    }

    /// Retires the instance on top for an overdue one.
    fn retire_for(&self, now: Nanos, function: &Function, overdue: u32, descent: &mut Descent, out: &mut Vec<Command>) {
        let Some(gone) = self.retire_one(now, function, DestroyReason::KeepAliveOver, out) else { return };
        let due = Nanos(self.slots.at(gone).due.load(Ordering::Relaxed));
        let full = due > descent.began && descent.owe(due);
        if full || gone == overdue {
            descent.return_to_top(&function.pool);
        }
    }

    /// Retires every free instance of a function.
    pub(super) fn retire_free(&self, now: Nanos, function: &Function, out: &mut Vec<Command>) {
        while self.retire_one(now, function, DestroyReason::Draining, out).is_some() {}
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

/// Gives the instance the time that moves down to it, and takes its own further down.
fn move_down(descent: &mut Descent, slot: &Slot) {
    let before = slot.due.load(Ordering::Relaxed);
    if let Some(due) = descent.place(Nanos(before)) {
        let _ = slot.due.compare_exchange(before, due.0, Ordering::Relaxed, Ordering::Relaxed);
        descent.note(due);
    }
}
