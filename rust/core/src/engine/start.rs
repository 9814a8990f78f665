//! Starts: CreateSlot, Init, and what becomes of a start that nobody needs any more. `failure` has what becomes of those that fail.

use super::throttle::Stage;
use super::{Engine, smooth};
use crate::command::{Command, DestroyReason};
use crate::error::EngineError;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::{Counter, WaitCause};
use crate::nanos::Nanos;
use crate::policy::{Handoff, Load, Queue, Start, Surplus};
use crate::sync::{Ordering, lock};
use crate::table::{Cold, Function, Slot, Span, State, Word};

/// A policy that wants to be asked again is not asked sooner than this.
const SOONEST_AGAIN: Nanos = Nanos::from_millis(1);
/// Room is made for at most so many starts at once.
const MOST_AT_ONCE: u32 = 16;
/// At most so many starts are issued for the queue, and as many ahead of it, before the function's lock is let go; its timer goes on.
const MOST_STARTS: u32 = 256;

impl Engine {
    /// The platform made the slot, `took` after it was asked. Also the late answer to a create reported as unanswered.
    ///
    /// Commands appended: `Init` for whoever needs it most, or `DestroySlot`.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no such create is in flight.
    pub fn handle_slot_created(&self, now: Nanos, id: SlotId, took: Nanos, out: &mut Vec<Command>) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Creating, State::Abandoned])?;
        let (holder, function) = self.holder(slot);
        if word.state() == State::Abandoned {
            advance(id, slot, word, State::Retiring)?;
            Self::book(function, slot, Span::Retiring, now);
            slot.owner.store(0, Ordering::Relaxed);
            self.slot_leaves(function);
            out.push(Command::DestroySlot { slot: id, reason: DestroyReason::StartGivenUp });
            return Ok(());
        }
        let mut cold = lock(&function.cold);
        let wanted = !self.draining()
            && (self.config.policy.surplus == Surplus::Keep
                || self.still_needed(function, &mut cold, id.index)
                || cold.trouble.as_mut().is_some_and(|trouble| trouble.finishes_start(now, took)));
        advance(id, slot, word, if wanted { State::Initialising } else { State::Retiring })?;
        smooth(&self.means.create_ns, took);
        self.relax_throttle(now, Stage::Create);
        cold.creating -= 1;
        if wanted {
            cold.initialising += 1;
            out.push(Command::Init { slot: id, function: holder });
            return Ok(());
        }
        drop(cold);
        Self::book(function, slot, Span::Retiring, now);
        function.ledger.count(Counter::StartsCancelled);
        slot.owner.store(0, Ordering::Relaxed);
        let draining = self.draining();
        if draining || !self.hand_over(now, function.memory_mb(), (id, slot), out) {
            self.slot_leaves(function);
            out.push(Command::DestroySlot { slot: id, reason: if draining { DestroyReason::Draining } else { DestroyReason::Surplus } });
        } else {
            function.slots.fetch_sub(1, Ordering::Release);
        }
        Ok(())
    }

    /// Init succeeded, `took` after it was asked: the instance serves the oldest waiter or is free.
    ///
    /// An answer for a slot that was given up meanwhile is accepted and changes nothing.
    ///
    /// # Errors
    ///
    /// [`EngineError::SlotNotFound`]: no Init is in flight on it.
    pub fn handle_instance_ready(&self, now: Nanos, id: SlotId, took: Nanos, out: &mut Vec<Command>) -> Result<(), EngineError> {
        let (slot, word) = self.reported(id, &[State::Initialising, State::Retiring, State::Leaked])?;
        if word.state() != State::Initialising {
            return Ok(());
        }
        let (holder, function) = self.holder(slot);
        let mut cold = lock(&function.cold);
        advance(id, slot, word, State::Idle)?;
        cold.initialising -= 1;
        self.relax_throttle(now, Stage::Init);
        smooth(&function.init_ns, took);
        smooth(&self.means.init_ns, took);
        let expects_until = cold.trouble.as_mut().and_then(|trouble| {
            trouble.start_succeeded();
            trouble.expects_until()
        });
        Self::book(function, slot, Span::Instance, now);
        if self.config.policy.handoff == Handoff::None
            && let Some(waiter) = cold.waiters.remove_bound_to(Some(id.index))
        {
            self.start_wanted(now, holder, function, &mut cold, out);
            drop(cold);
            self.serve(now, (holder, function), &waiter, (id.index, slot), WaitCause::ColdStart, out);
        } else {
            let instances = function.instances(&cold) + 1;
            self.set_due(now, function, slot, instances);
            if let Some(until) = expects_until {
                slot.due.store(until.0.max(slot.due.load(Ordering::Relaxed)), Ordering::Relaxed);
            }
            // Under the same lock: between "no longer starting" and "free" a waiter would look as if nothing were on its way.
            self.release_locked(now, (holder, function), cold, (id.index, slot), false, WaitCause::ColdStart, out);
        }
        Ok(())
    }

    /// Issues one start and returns its slot's index.
    pub(super) fn start(&self, now: Nanos, id: FunctionId, function: &Function, cold: &mut Cold, out: &mut Vec<Command>) -> u32 {
        let (index, slot) = self.slots.allocate();
        let memory_mb = function.memory_mb();
        slot.owner.store(0, Ordering::Relaxed);
        function.slots.fetch_add(1, Ordering::Relaxed);
        slot.give(id.index);
        slot.close(Span::Starting, now);
        let vacant = slot.word();
        assert!(vacant.state() == State::Vacant, "an allocated place is vacant");
        slot.move_own(vacant, State::Creating);
        cold.creating += 1;
        self.note_start(now, cold);
        self.begin_leases(now);
        self.slot_appeared(memory_mb);
        self.begin_leases(now);
        function.ledger.count(Counter::Starts);
        let slot = SlotId { index, generation: vacant.generation() };
        out.push(Command::CreateSlot { slot, function: id, memory_mb });
        index
    }

    /// Issues as many starts as the policy wants for the present queue, and queues for a slot that others no longer need.
    pub(super) fn start_wanted(&self, now: Nanos, id: FunctionId, function: &Function, cold: &mut Cold, out: &mut Vec<Command>) {
        if self.config.policy.handoff == Handoff::None {
            return self.start_bound(now, id, function, cold, out);
        }
        let mut left = MOST_STARTS;
        while cold.waiters.len() > 0 {
            match self.functions.ask(function, |policy| policy.start(&self.queue(now, function, cold, 0))) {
                Start::Now if left == 0 => {
                    self.arm(id, function, now);
                    break;
                }
                Start::Now if self.holds_starts(now, (id, function), cold) => break,
                Start::Now if self.start_if_room(now, (id, function), cold, false, out) => {
                    self.functions.ask(function, |policy| policy.started());
                    left -= 1;
                }
                Start::Now => {
                    self.clear_room(now, (id, function), cold, out);
                    break;
                }
                Start::Later(at) => {
                    self.arm(id, function, at.max(now + SOONEST_AGAIN));
                    break;
                }
                Start::Enough => break,
            }
        }
        self.seek_spare(id, function, cold);
    }

    /// Issues a start for each request that has none of its own.
    fn start_bound(&self, now: Nanos, id: FunctionId, function: &Function, cold: &mut Cold, out: &mut Vec<Command>) {
        while cold.waiters.without_a_start() > 0 && !self.holds_starts(now, (id, function), cold) {
            let start = self.start(now, id, function, cold, out);
            cold.waiters.first_without_a_start().expect("one is there").own_start = Some(start);
        }
    }

    /// How many starts the policy would make one after the other, had the first of them found room.
    pub(super) fn starts_refused(&self, now: Nanos, function: &Function, cold: &Cold) -> u32 {
        let wanted =
            |refused: &u32| self.functions.ask(function, |policy| policy.start(&self.queue(now, function, cold, *refused))) == Start::Now;
        1 + (1..cold.waiters.len().saturating_sub(cold.starting()).min(MOST_AT_ONCE)).take_while(wanted).fold(0, |count, _| count + 1)
    }

    /// The queue as it is, had so many starts that were refused been made.
    fn queue(&self, now: Nanos, function: &Function, cold: &Cold, refused: u32) -> Queue {
        let (waiting, starting) = (cold.waiters.len(), cold.starting() + refused);
        Queue {
            facts: self.facts(now, function),
            waiting,
            starting,
            busy: function.pool.demand().saturating_sub(waiting),
            uncovered_since: cold.waiters.arrival_of(starting).unwrap_or(now),
            hypothetical: refused > 0,
        }
    }

    /// Asks the policy how many instances to have whatever the demand, starts those that are missing and sees to it that it is asked
    /// again.
    pub(super) fn meet_target(&self, now: Nanos, id: FunctionId, function: &Function, cold: &mut Cold, out: &mut Vec<Command>) {
        if self.config.policy.handoff == Handoff::None || self.draining() {
            return;
        }
        let load = Load {
            facts: self.facts(now, function),
            demand: function.pool.demand(),
            instances: function.instances(cold) + cold.starting(),
        };
        let target = self.functions.ask(function, |policy| policy.target(&load));
        let before = std::mem::replace(&mut cold.target, target.instances);
        if target.instances < before {
            self.room_changed(now);
        }
        let mut left = MOST_STARTS;
        for _ in load.instances..target.instances {
            if left == 0 {
                self.arm(id, function, now);
                break;
            }
            if self.holds_starts(now, (id, function), cold) || !self.start_if_room(now, (id, function), cold, true, out) {
                break;
            }
            function.ledger.count(Counter::StartsAhead);
            left -= 1;
        }
        if target.again != Nanos::MAX {
            self.arm(id, function, target.again.max(now + SOONEST_AGAIN));
        }
    }

    /// Queues a function for others' cancelled starts while a waiter of its own still waits for a slot.
    fn seek_spare(&self, id: FunctionId, function: &Function, cold: &mut Cold) {
        if !cold.seeks_spare && cold.wants_spare() && self.config.policy.surplus == Surplus::Cancel {
            cold.seeks_spare = true;
            let mut seekers = lock(&self.seekers);
            let queue = seekers.entry(function.memory_mb()).or_default();
            queue.push_back(id);
            // Functions that were given up left their names behind: each that there is has one.
            if queue.len() > 2 * self.functions.places() {
                queue.retain(|&seeker| self.functions.find(seeker).is_some());
            }
        }
    }

    /// Would the Init of this created slot serve somebody?
    fn still_needed(&self, function: &Function, cold: &mut Cold, index: u32) -> bool {
        match self.config.policy.handoff {
            Handoff::Oldest => cold.waiters.len() > cold.initialising || function.instances(cold) + cold.initialising < cold.target,
            Handoff::None => cold.waiters.bound_to(index).is_some(),
        }
    }

    /// Gives a created slot of some memory, already in the retiring state, to a function that waits for such a one.
    fn hand_over(&self, now: Nanos, memory_mb: u32, (id, slot): (SlotId, &Slot), out: &mut Vec<Command>) -> bool {
        // Each seeker is asked at most once: one that still seeks after taking the slot goes to the back.
        let seekers = lock(&self.seekers).get(&memory_mb).map_or(0, std::collections::VecDeque::len);
        for _ in 0..seekers {
            let Some(seeker) = lock(&self.seekers).get_mut(&memory_mb).and_then(std::collections::VecDeque::pop_front) else { break };
            let function = self.functions.at(seeker.index);
            let mut cold = lock(&function.cold);
            if function.id() != seeker {
                continue;
            }
            cold.seeks_spare = false;
            if !cold.wants_spare() {
                continue;
            }
            function.slots.fetch_add(1, Ordering::Relaxed);
            slot.give(seeker.index);
            Self::book(function, slot, Span::Starting, now);
            cold.initialising += 1;
            let won = slot.transition(slot.word(), State::Initialising);
            assert!(won, "a slot between functions is its finder's");
            function.ledger.count(Counter::SlotsReused);
            out.push(Command::Init { slot: id, function: seeker });
            self.seek_spare(seeker, function, &mut cold);
            self.reconsider_room(now, seeker, function, &cold);
            return true;
        }
        false
    }
}

/// Makes a transition that only one report may make.
pub(super) fn advance(id: SlotId, slot: &Slot, from: Word, state: State) -> Result<(), EngineError> {
    if slot.transition(from, state) { Ok(()) } else { Err(EngineError::SlotNotFound(id)) }
}
