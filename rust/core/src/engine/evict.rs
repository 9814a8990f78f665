//! A limit on the memory of all slots: starts wait for room, and free instances give way to them, the least valuable first.
//!
//! Without a limit none of this is there. With one, every start and every instance that becomes free passes one lock, and the memory of
//! live slots never exceeds the limit: a start waits until the end of what was given up for it is confirmed. Functions whose starts wait
//! are served in the order in which they began to wait, so that a large one is not passed over for ever by small ones.
//!
//! Never given up: busy instances, and instances that a policy's target holds.
//!
//! # Cost
//!
//! Of n free instances, under the limit's lock: ranking one that becomes free is O(log n), clearing out outdated entries O(n) once for as
//! many. A start gives up no more than 16 of its slots' worth. Not bounded is who is passed over on the way to a victim: instances that a
//! target holds stand in the order with the others, since they may go as soon as it falls, so where targets hold much a start may look at
//! all of that.
//!
//! # Locks
//!
//! A function's own lock, then the limit's, then another function's by trial only: a victim whose lock is taken is passed over.

use std::cmp::{Ordering as Order, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use super::{Engine, LOOK_AGAIN};
use crate::command::{Command, DestroyReason};
use crate::ids::FunctionId;
use crate::nanos::Nanos;
use crate::sync::{Mutex, Ordering, lock, try_lock};
use crate::table::{Cold, Function, Slot, SlotTable, State as SlotState, Word};

/// The limit, and who waits for room under it.
#[derive(Debug)]
pub(super) struct Limit {
    pub(super) memory_mb: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Free instances, the least valuable on top. An entry whose instance was used since is dropped when it comes up, or with all such
    /// entries when they have come to outnumber the others.
    order: BinaryHeap<Reverse<Entry>>,
    /// Length of `order` at which outdated entries are cleared out.
    clear_at: usize,
    entered: u64,
    /// Functions whose starts wait for room, by ticket: the first is served first.
    queue: BTreeMap<u64, FunctionId>,
    tickets: u64,
}

/// A free instance as of when it became free.
#[derive(Debug)]
struct Entry {
    worth: f64,
    /// Decides between equals: who became free first goes first.
    entered: u64,
    index: u32,
    /// The slot's word at that time: another one now means that it was used since.
    word: Word,
}

const SMALLEST_CLEARED: usize = 1024;
/// When a start ahead of demand that found no room is tried again.
const AHEAD_AGAIN: Nanos = Nanos::from_secs(1);

impl Limit {
    pub(super) fn new(memory_mb: u64) -> Self {
        Self { memory_mb, state: Mutex::new(State { clear_at: SMALLEST_CLEARED, ..State::default() }) }
    }
}

impl State {
    fn enter(&mut self, worth: f64, index: u32, word: Word, slots: &SlotTable) {
        self.entered += 1;
        self.order.push(Reverse(Entry { worth, entered: self.entered, index, word }));
        if self.order.len() >= self.clear_at {
            self.order.retain(|Reverse(entry)| slots.at(entry.index).word() == entry.word);
            self.clear_at = (2 * self.order.len()).max(SMALLEST_CLEARED);
        }
    }
}

impl Engine {
    /// Issues a start if there is room for it, or can be made. Otherwise, if it is for a waiting request, the function waits for room and
    /// is looked at again when it is its turn and memory has been released or an instance has become free; a start ahead of demand is tried
    /// again after a pause and stands in nobody's way.
    pub(super) fn start_if_room(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        cold: &mut Cold,
        ahead: bool,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(limit) = &self.limit else {
            self.start(now, id, function, cold, out);
            return true;
        };
        let mut state = lock(&limit.state);
        let first = state.queue.first_key_value().map(|(&ticket, _)| ticket);
        let my_turn = first.is_none() || first == cold.ticket;
        if my_turn && self.make_room(now, (id, function), 1, limit.memory_mb, &mut state, out) {
            // Under the limit's lock, so that nobody else takes the room.
            self.start(now, id, function, cold, out);
            return true;
        }
        if ahead {
            self.arm(id, function, now + AHEAD_AGAIN);
            return false;
        }
        if cold.ticket.is_none() {
            state.tickets += 1;
            cold.ticket = Some(state.tickets);
            let ticket = state.tickets;
            state.queue.insert(ticket, id);
        }
        cold.refused_room = true;
        false
    }

    /// Lets a function whose starts had to wait, and do no longer, leave the queue for room. Its sweep calls this at its end.
    pub(super) fn settle_room(&self, now: Nanos, cold: &mut Cold) {
        let Some(limit) = &self.limit else { return };
        if !cold.refused_room
            && let Some(ticket) = cold.ticket.take()
        {
            let mut state = lock(&limit.state);
            state.queue.remove(&ticket);
            self.serve_next(now, &state);
        }
    }

    /// One of the requests that a start was to serve is gone: the function may not need room any more.
    pub(super) fn reconsider_room(&self, now: Nanos, id: FunctionId, function: &Function, cold: &Cold) {
        if cold.ticket.is_some() {
            self.arm(id, function, now);
        }
    }

    /// Ranks an instance that has just become free, and lets the first who waits for room look at it.
    pub(super) fn rank_free(&self, now: Nanos, index: u32, slot: &Slot) {
        let Some(limit) = &self.limit else { return };
        let word = slot.word();
        if word.state() == SlotState::Idle {
            let mut state = lock(&limit.state);
            state.enter(slot.worth.load(), index, word, &self.slots);
            self.serve_next(now, &state);
        }
    }

    /// A slot's memory was released or will not be after all, or a target that fell has made instances that may be given up: whoever
    /// waits for room looks again.
    pub(super) fn room_changed(&self, now: Nanos) {
        if let Some(limit) = &self.limit {
            self.serve_next(now, &lock(&limit.state));
        }
    }

    /// The first function that waits for room is swept next, and tries again.
    fn serve_next(&self, now: Nanos, state: &State) {
        if let Some((_, &id)) = state.queue.first_key_value() {
            self.arm(id, self.functions.at(id), now);
        }
    }

    /// Gives up free instances for all the starts at once that a function wants, whose first has just been refused: one after the other
    /// each would wait for an end of its own.
    pub(super) fn clear_room(&self, now: Nanos, (id, function): (FunctionId, &Function), cold: &Cold, out: &mut Vec<Command>) {
        let Some(limit) = &self.limit else { return };
        let mut state = lock(&limit.state);
        if state.queue.first_key_value().map(|(&ticket, _)| ticket) == cold.ticket {
            let starts = self.starts_refused(now, function, cold);
            self.make_room(now, (id, function), starts, limit.memory_mb, &mut state, out);
        }
    }

    /// Gives up free instances until, once all that is leaving is gone, so many of the function's slots fit; `true`: one fits already.
    fn make_room(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        starts: u32,
        limit_mb: u64,
        state: &mut State,
        out: &mut Vec<Command>,
    ) -> bool {
        let (live_mb, slot_mb) = (self.live.memory_mb.load(Ordering::Relaxed), u64::from(function.spec.memory_mb));
        // An end confirmed by another thread just now may be missing from one of the two and not yet from the other.
        let fits = |starts: u64| live_mb + starts * slot_mb <= limit_mb.saturating_add(self.live.leaving_mb.load(Ordering::Relaxed));
        while !fits(u64::from(starts)) && self.evict_one(now, (id, function), state, out) {}
        live_mb + slot_mb <= limit_mb
    }

    /// Gives up the least valuable free instance that may go; `false`: there is none.
    fn evict_one(&self, now: Nanos, (own, asking): (FunctionId, &Function), state: &mut State, out: &mut Vec<Command>) -> bool {
        let mut passed_over = Vec::new();
        let mut evicted = false;
        while !evicted && let Some(Reverse(entry)) = state.order.pop() {
            let slot = self.slots.at(entry.index);
            if slot.word() != entry.word {
                continue;
            }
            let (id, function) = self.holder(slot);
            // A function that gave up its own instance to start another would gain nothing.
            let cold = if id == own { None } else { try_lock(&function.cold) };
            match cold {
                Some(cold) if function.instances(&cold) > cold.target => {
                    evicted = self.evict(now, function, &cold, &entry, state, out);
                    if !evicted {
                        // Another thread has just taken the last promise; this instance may get the next.
                        self.arm(own, asking, now + LOOK_AGAIN);
                        passed_over.push(Reverse(entry));
                    }
                }
                Some(_) => passed_over.push(Reverse(entry)),
                None => {
                    if id != own {
                        self.arm(own, asking, now + LOOK_AGAIN);
                    }
                    passed_over.push(Reverse(entry));
                }
            }
        }
        state.order.extend(passed_over);
        evicted
    }

    /// Gives up an instance of the function for that of the entry: only the top of its stack can be taken. The entry's instance, if it is
    /// another one, takes over what the top was worth and the end of its keep-alive, as if it had been the other that stayed.
    fn evict(&self, now: Nanos, function: &Function, cold: &Cold, entry: &Entry, state: &mut State, out: &mut Vec<Command>) -> bool {
        let Some(top) = self.retire_one(now, function, DestroyReason::MemoryPressure, out) else { return false };
        if top != entry.index {
            let (heir, gone) = (self.slots.at(entry.index), self.slots.at(top));
            let worth = gone.worth.load();
            heir.worth.store(worth);
            let due = heir.due.load(Ordering::Relaxed);
            let _ = heir.due.compare_exchange(due, gone.due.load(Ordering::Relaxed), Ordering::Relaxed, Ordering::Relaxed);
            state.enter(worth, entry.index, entry.word, &self.slots);
        }
        function.policy.evicted(entry.worth, function.instances(cold) + cold.starting());
        true
    }
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Order {
        self.worth.total_cmp(&other.worth).then(self.entered.cmp(&other.entered))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Order> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Order::Equal
    }
}

impl Eq for Entry {}
