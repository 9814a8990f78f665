//! Free instances give way to starts that find no room under the limits (`engine::limits`), the least valuable first.
//!
//! Never given up: busy instances, and instances that a policy's target holds.
//!
//! # Cost
//!
//! Of n free instances, under the limits' lock: ranking one that becomes free is O(log n), clearing out outdated entries O(n) once for as
//! many. A start gives up no more than 16 of its slots' worth. Not bounded is who is passed over on the way to a victim: instances that a
//! target holds stand in the order with the others, since they may go as soon as it falls, so where targets hold much a start may look at
//! all of that.
//!
//! # Locks
//!
//! Those of `engine::limits`: a victim whose function's lock is taken is passed over.

use std::cmp::{Ordering as Order, Reverse};
use std::collections::BinaryHeap;

use super::limits::{Limits, State};
use super::room::Room;
use super::{Engine, LOOK_AGAIN};
use crate::command::{Command, DestroyReason};
use crate::ids::FunctionId;
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock, try_lock};
use crate::table::{Cold, Function, Slot, SlotTable, State as SlotState, Word};

/// Free instances, the least valuable on top.
#[derive(Debug)]
pub(super) struct Ranking {
    /// An entry whose instance was used since is dropped when it comes up, or with all such entries when they have come to outnumber the
    /// others.
    order: BinaryHeap<Reverse<Entry>>,
    /// Length of `order` at which outdated entries are cleared out.
    clear_at: usize,
    entered: u64,
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

impl Ranking {
    pub(super) fn new() -> Self {
        Self { order: BinaryHeap::new(), clear_at: SMALLEST_CLEARED, entered: 0 }
    }

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
    /// Ranks an instance that has just become free, and lets the first who waits for room look at it.
    pub(super) fn rank_free(&self, now: Nanos, index: u32, slot: &Slot) {
        let Some(limits) = self.limits.as_ref().filter(|limits| limits.bound_room()) else { return };
        let word = slot.word();
        if word.state() == SlotState::Idle {
            let mut state = lock(&limits.state);
            state.ranking.enter(slot.worth.load(), index, word, &self.slots);
            self.serve_next(now, limits, &state);
        }
    }

    /// Gives up free instances until, once all that is leaving is gone, so many of the function's slots fit; `true`: one fits already.
    pub(super) fn make_room(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        starts: u32,
        limits: &Limits,
        state: &mut State,
        out: &mut Vec<Command>,
    ) -> bool {
        let live = self.live_room();
        // An end confirmed by another thread just now may be missing from one of the two and not yet from the other.
        let fits = |starts: u32| live.plus(Room::of(function, starts)).fits(limits.room.plus(self.leaving_room()));
        while !fits(starts) && self.evict_one(now, (id, function), state, out) {}
        live.plus(Room::of(function, 1)).fits(limits.room)
    }

    /// Gives up the least valuable free instance that may go; `false`: there is none.
    fn evict_one(&self, now: Nanos, (own, asking): (FunctionId, &Function), state: &mut State, out: &mut Vec<Command>) -> bool {
        let mut passed_over = Vec::new();
        let mut evicted = false;
        while !evicted && let Some(Reverse(entry)) = state.ranking.order.pop() {
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
        state.ranking.order.extend(passed_over);
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
            state.ranking.enter(worth, entry.index, entry.word, &self.slots);
        }
        self.functions.ask(function, |policy| policy.evicted(entry.worth, function.instances(cold) + cold.starting()));
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
