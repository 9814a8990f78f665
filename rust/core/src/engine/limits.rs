//! Limits on what all functions' slots take together: memory, slots, and starts a second. Starts
//! wait for room and for their turn.
//!
//! Without a limit none of this is there. With one, every start passes one lock, under a limit on
//! memory or slots every instance that becomes free does too, and what is live never exceeds the
//! limit: a start waits until the end of what was given up for it (`engine::evict`) is confirmed.
//!
//! # The queue
//!
//! Functions whose starts wait stand in a queue. The first alone has room made for it, so that a
//! large one is not passed over for ever by small ones. With each start it gets it leaves the
//! queue, and joins it again at the back if it wants more: functions take turns.
//!
//! # Backfilling
//!
//! The first may have to wait for more than is free. A start further back goes ahead of it if it
//! fits and takes nothing that the first could get: beside all that went ahead of it there is room
//! for the first, and if what is about to be released suffices for the first, it still does. Those
//! tried are the function that asks, and whenever room changes the one of the smallest slots.
//!
//! *Bound.* Once the first would have room but for what went ahead of it, nothing more goes ahead,
//! and what did is given up when its present request ends, whoever waits for it. So the first waits
//! for an execution of each of those longer than if nothing had gone ahead of it, and not for more.
//! (Under a limit on starts a second also for the next start; and an instance that a policy's
//! target holds by then is not given up.)
//!
//! # Shares
//!
//! Of the limits that are set for the scaler as a whole a function holds at most four times what is
//! left of them ([`exceeds_share`]), so that one that hangs does not keep the others out. The
//! memory of a policy's specification is not shared out: it is the machine that the policy was
//! published for.
//!
//! # Locks
//!
//! A function's own lock, then the limits', then another function's by trial only.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::Engine;
use super::evict::Ranking;
use super::room::{Pace, Room, exceeds_share};
use crate::command::{Bound, Command, Shortage, WakeError};
use crate::config::EngineConfig;
use crate::error::EngineError;
use crate::ids::FunctionId;
use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Mutex, Ordering, lock};
use crate::table::{Cold, Function};

/// When a start that found no room, and waits for it in no queue, is tried again.
const AGAIN: Nanos = Nanos::from_secs(1);

/// The limits, and who waits under them.
#[derive(Debug)]
pub(super) struct Limits {
    /// Of all slots together.
    pub(super) room: Room,
    /// The part of it that is shared out.
    shared: Room,
    pace: Option<Pace>,
    /// What to raise for more memory.
    pub(super) memory_setting: &'static str,
    pub(super) state: Mutex<State>,
    /// Ticket of the first in the queue if it would have room but for what went ahead of it;
    /// otherwise 0.
    hindered: AtomicU64,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ranking: Ranking,
    /// Functions whose starts wait, by ticket: the first is served first.
    queue: BTreeMap<u64, FunctionId>,
    /// The same by the size of their slots.
    by_size: BTreeSet<(u32, u64)>,
    tickets: u64,
    /// Places of the slots that were started ahead of the first in the queue, and what they take.
    ahead: HashSet<u32, foldhash::fast::FixedState>,
    ahead_room: Room,
    /// When the bucket of starts will be full again.
    full_at: Nanos,
}

impl Limits {
    pub(super) fn new(config: &EngineConfig) -> Option<Self> {
        let policy_mb = config.policy.memory_limit_mb.unwrap_or(u64::MAX);
        let shared = Room { memory_mb: config.max_memory_mb.unwrap_or(u64::MAX), slots: config.max_slots.unwrap_or(u64::MAX) };
        let room = Room { memory_mb: policy_mb.min(shared.memory_mb), ..shared };
        let pace = config.max_starts_per_second.map(|per_second| Pace { per_second: per_second.get() });
        let state = State {
            ranking: Ranking::new(),
            queue: BTreeMap::new(),
            by_size: BTreeSet::new(),
            tickets: 0,
            ahead: HashSet::default(),
            ahead_room: Room::NONE,
            full_at: Nanos::ZERO,
        };
        let limits = Self {
            room,
            shared,
            pace,
            memory_setting: if policy_mb <= shared.memory_mb { "the policy's memory" } else { "max_memory" },
            state: Mutex::new(state),
            hindered: AtomicU64::new(0),
        };
        (limits.bound_room() || pace.is_some()).then_some(limits)
    }

    /// Memory or slots are limited: free instances may have to go.
    pub(super) fn bound_room(&self) -> bool {
        self.room.memory_mb < u64::MAX || self.room.slots < u64::MAX
    }

    /// Refuses a function whose slots would never have room.
    pub(super) fn check(&self, memory_mb: u32) -> Result<(), EngineError> {
        let limit_mb = self.room.memory_mb;
        if u64::from(memory_mb) <= limit_mb {
            return Ok(());
        }
        Err(EngineError::TooLarge { memory_mb, limit_mb, setting: self.memory_setting })
    }

    /// A limit for whoever did not get what it bounds.
    pub(super) fn shortage(&self, bound: Bound) -> Shortage {
        let (limit, setting) = match bound {
            Bound::Memory => (self.room.memory_mb, self.memory_setting),
            Bound::Slots => (self.room.slots, "max_slots"),
            Bound::Starts => (self.pace.map_or(0, |pace| pace.per_second.into()), "max_starts_per_second"),
        };
        Shortage { bound, limit, setting }
    }

    /// When the next start may be issued.
    fn next_start(&self, state: &State) -> Nanos {
        self.pace.map_or(Nanos::ZERO, |pace| pace.next(state.full_at))
    }

    /// What is short for a start that takes so much.
    fn short_of(&self, live: Room, own: Room) -> Bound {
        if live.slots + own.slots > self.room.slots { Bound::Slots } else { Bound::Memory }
    }
}

impl State {
    fn first(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(&ticket, _)| ticket)
    }

    fn join(&mut self, id: FunctionId, function: &Function, cold: &mut Cold) {
        if cold.ticket.is_none() {
            self.tickets += 1;
            cold.ticket = Some(self.tickets);
            self.queue.insert(self.tickets, id);
            self.by_size.insert((function.memory_mb(), self.tickets));
        }
    }

    /// Takes a function out of the queue. What went ahead of the first did not go ahead of the
    /// next.
    fn leave(&mut self, function: &Function, cold: &mut Cold, limits: &Limits) {
        let Some(ticket) = cold.ticket.take() else { return };
        if self.first() == Some(ticket) {
            self.ahead.clear();
            self.ahead_room = Room::NONE;
            limits.hindered.store(0, Ordering::Relaxed);
        }
        self.queue.remove(&ticket);
        self.by_size.remove(&(function.memory_mb(), ticket));
    }
}

impl Engine {
    /// Issues a start if the limits allow it. Otherwise, if it is for a waiting request, the
    /// function waits in the queue and is looked at again when it is its turn and something has
    /// changed; a start ahead of demand, or beyond the function's share, is tried again after a
    /// pause and stands in nobody's way.
    pub(super) fn start_if_room(
        &self,
        now: Nanos,
        (id, function): (FunctionId, &Function),
        cold: &mut Cold,
        ahead: bool,
        out: &mut Vec<Command>,
    ) -> bool {
        let Some(limits) = &self.limits else {
            self.start(now, id, function, cold, out);
            return true;
        };
        let mut state = lock(&limits.state);
        if let Some(bound) = self.bound_of_share(limits, function, cold) {
            self.leave_queue(now, function, cold, limits, &mut state);
            if !ahead {
                cold.shortage = Some(bound);
            }
            self.arm(id, function, now + AGAIN);
            return false;
        }
        let (first, next_start) = (state.first(), limits.next_start(&state));
        let my_turn = first.is_none() || first == cold.ticket;
        let room = if next_start > now {
            false
        } else if my_turn {
            self.make_room(now, (id, function), 1, limits, &mut state, out)
        } else {
            self.may_go_ahead(limits, &state, function)
        };
        if my_turn {
            self.note_hindered(limits, &state);
        }
        if room {
            // Under the limits' lock, so that nobody else takes the room.
            let index = self.start(now, id, function, cold, out);
            if let Some(pace) = limits.pace {
                state.full_at = pace.spend(state.full_at, now);
            }
            if !my_turn {
                state.ahead.insert(index);
                state.ahead_room = state.ahead_room.plus(Room::of(function, 1));
            }
            // A start ahead of demand does not end the wait of those who ask for one.
            if !ahead {
                self.leave_queue(now, function, cold, limits, &mut state);
            }
            return true;
        }
        if ahead {
            self.arm(id, function, now + AGAIN);
            return false;
        }
        state.join(id, function, cold);
        if state.first() == cold.ticket && next_start > now {
            self.arm(id, function, next_start);
        }
        cold.shortage = Some(if next_start > now { Bound::Starts } else { limits.short_of(self.live_room(), Room::of(function, 1)) });
        false
    }

    /// Lets a function whose starts had to wait, and do no longer, leave the queue. Its sweep calls
    /// this at its end.
    pub(super) fn settle_room(&self, now: Nanos, function: &Function, cold: &mut Cold) {
        let Some(limits) = &self.limits else { return };
        if cold.shortage.is_none() && cold.ticket.is_some() {
            self.leave_queue(now, function, cold, limits, &mut lock(&limits.state));
        }
    }

    /// Takes a function out of the queue, if it stands there; the next is looked at.
    fn leave_queue(&self, now: Nanos, function: &Function, cold: &mut Cold, limits: &Limits, state: &mut State) {
        if cold.ticket.is_some() {
            state.leave(function, cold, limits);
            self.serve_next(now, limits, state);
        }
    }

    /// One of the requests that a start was to serve is gone: the function may not need room any
    /// more.
    pub(super) fn reconsider_room(&self, now: Nanos, id: FunctionId, function: &Function, cold: &Cold) {
        if cold.ticket.is_some() {
            self.arm(id, function, now);
        }
    }

    /// A slot will not be released after all, or a target that fell has made instances that may be
    /// given up: whoever waits for room looks again.
    pub(super) fn room_changed(&self, now: Nanos) {
        if let Some(limits) = &self.limits {
            self.serve_next(now, limits, &lock(&limits.state));
        }
    }

    /// What a slot took is room again.
    pub(super) fn room_released(&self, now: Nanos, index: u32, function: &Function) {
        let Some(limits) = &self.limits else { return };
        let mut state = lock(&limits.state);
        if state.ahead.remove(&index) {
            state.ahead_room = state.ahead_room.less(Room::of(function, 1));
        }
        self.serve_next(now, limits, &state);
    }

    /// Gives up free instances for all the starts at once that a function wants, whose first has
    /// just been refused: one after the other each would wait for an end of its own.
    pub(super) fn clear_room(&self, now: Nanos, (id, function): (FunctionId, &Function), cold: &Cold, out: &mut Vec<Command>) {
        let Some(limits) = &self.limits else { return };
        let mut state = lock(&limits.state);
        if cold.ticket.is_some() && state.first() == cold.ticket && limits.next_start(&state) <= now {
            let starts = self.starts_refused(now, function, cold);
            self.make_room(now, (id, function), starts, limits, &mut state, out);
        }
    }

    /// The first function that waits is swept next, and tries again; and so does the one of the
    /// smallest slots, if it may go ahead.
    pub(super) fn serve_next(&self, now: Nanos, limits: &Limits, state: &State) {
        let Some((&first, &id)) = state.queue.first_key_value() else { return };
        let at = now.max(limits.next_start(state));
        self.arm(id, self.functions.at(id.index), at);
        if let Some((_, ticket)) = state.by_size.first().filter(|&&(_, ticket)| ticket != first) {
            let id = state.queue[ticket];
            let function = self.functions.at(id.index);
            if self.may_go_ahead(limits, state, function) {
                self.arm(id, function, at);
            }
        }
    }

    /// Must an instance whose request ends go, because it was started ahead of a function that
    /// would have room but for such ones?
    pub(super) fn makes_way(&self, index: u32, function: &Function) -> bool {
        let Some(limits) = &self.limits else { return false };
        limits.hindered.load(Ordering::Relaxed) != 0 && {
            let cold = lock(&function.cold);
            function.instances(&cold) > cold.target && lock(&limits.state).ahead.contains(&index)
        }
    }

    /// Why a request of the function gets nothing by its deadline.
    pub(super) fn overdue_error(&self, cold: &Cold) -> WakeError {
        let shortage = self.limits.as_ref().zip(cold.shortage);
        shortage.map_or(WakeError::DeadlineExceeded, |(limits, bound)| WakeError::NoRoom(limits.shortage(bound)))
    }

    /// May a start go ahead of the first in the queue?
    fn may_go_ahead(&self, limits: &Limits, state: &State, function: &Function) -> bool {
        let Some((_, &first)) = state.queue.first_key_value() else { return true };
        let (own, first) = (Room::of(function, 1), Room::of(self.functions.at(first.index), 1));
        let (live, soon) = (self.live_room(), limits.room.plus(self.leaving_room()));
        let suffices = |taken: Room| taken.plus(first).fits(soon);
        live.plus(own).fits(limits.room)
            && state.ahead_room.plus(own).plus(first).fits(limits.room)
            && (suffices(live.plus(own)) || !suffices(live.less(state.ahead_room)))
    }

    /// Notes whether the first in the queue is kept waiting by what went ahead of it, and by
    /// nothing else.
    fn note_hindered(&self, limits: &Limits, state: &State) {
        let Some((&ticket, &first)) = state.queue.first_key_value() else { return };
        let (live, first) = (self.live_room(), Room::of(self.functions.at(first.index), 1));
        let suffices = |taken: Room| taken.plus(first).fits(limits.room.plus(self.leaving_room()));
        let hindered = !suffices(live) && suffices(live.less(state.ahead_room));
        limits.hindered.store(if hindered { ticket } else { 0 }, Ordering::Relaxed);
    }

    /// The shared limit of which a function may have no more.
    fn bound_of_share(&self, limits: &Limits, function: &Function, cold: &Cold) -> Option<Bound> {
        let held = Room::of(function, function.instances(cold) + cold.starting());
        let left = limits.shared.less(self.live_room());
        if exceeds_share(held.slots, left.slots) {
            Some(Bound::Slots)
        } else {
            exceeds_share(held.memory_mb, left.memory_mb).then_some(Bound::Memory)
        }
    }

    pub(super) fn live_room(&self) -> Room {
        Room { memory_mb: self.live.memory_mb.load(Ordering::Relaxed), slots: self.live.slots.load(Ordering::Relaxed) }
    }

    /// What will be released once the ends that are asked for are confirmed.
    pub(super) fn leaving_room(&self) -> Room {
        Room { memory_mb: self.live.leaving_mb.load(Ordering::Relaxed), slots: self.live.leaving_slots.load(Ordering::Relaxed) }
    }
}
