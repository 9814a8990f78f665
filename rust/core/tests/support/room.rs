//! The rules of limits on all slots, again: who may start, who is given up, who waits for room.
//!
//! * A start needs its memory and its place beside those of all slots there are, whatever their state, and a token of a bucket that holds a
//!   second's starts.
//! * Whoever is refused one for a request that waits stands in a queue; its first alone has room made for it. It leaves the queue with each
//!   start it gets, and when it is looked at and is refused nothing.
//! * Room is made for the first, or for anybody if nobody waits: as long as it would not have enough even after all ends that are asked
//!   for, the free instance that has been free for longest is given up. Not one of its own, and none that a target holds.
//! * Another goes ahead of the first if it fits, all that went ahead leave the first room beside them, and what is being released suffices
//!   for the first with it if it does without them. If that suffices but for them, they go when their requests end.
//! * Instances of a function are alike: the one freed last goes, and what it was worth passes to the one that should have gone.
//! * Of the slots a function has no more than four times what is left.

use super::{Reference, State};

/// When a start that was refused, and waits in no queue, is tried again.
const AGAIN: u64 = 1_000_000_000;
/// Room is made for at most so many starts at once.
const MOST_AT_ONCE: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    /// Functions that wait for room, the first comes first.
    queue: Vec<usize>,
    /// Slots that were started ahead of the first.
    ahead: Vec<usize>,
    /// The first would have room but for them.
    hindered: bool,
    /// When the bucket of starts is full.
    full_at: u64,
    /// By slot: since when it has been free, and its turn among those of the same moment.
    freed: Vec<(u64, u64)>,
    turns: u64,
}

impl Room {
    pub(super) fn is_waited_for_by(&self, f: usize) -> bool {
        self.queue.contains(&f)
    }

    fn note(&mut self, slot: usize, since: u64) {
        self.turns += 1;
        self.freed.resize(self.freed.len().max(slot + 1), (0, 0));
        self.freed[slot] = (since, self.turns);
    }
}

impl Reference {
    /// Starts a slot, unless a limit forbids it.
    pub(super) fn start_if_room(&mut self, f: usize, ahead: bool) -> bool {
        if self.exceeds_share(f) {
            self.leave_queue(f);
            self.arm(f, self.now + AGAIN);
            return false;
        }
        let my_turn = self.room.queue.first().is_none_or(|&first| first == f);
        let next_start = self.next_start();
        let room = if next_start > self.now {
            false
        } else if my_turn {
            self.make_room(f, 1);
            self.fits(&[f], |state| state != State::Gone, &[])
        } else {
            self.may_go_ahead(f)
        };
        if my_turn {
            self.note_hindered();
        }
        if room {
            if let Some(per_second) = self.policy.starts_per_second {
                self.room.full_at = self.room.full_at.max(self.now) + 1_000_000_000 / per_second;
            }
            if !my_turn {
                self.room.ahead.push(self.slots.len());
            }
            self.create(f);
            if !ahead {
                self.leave_queue(f);
            }
            return true;
        }
        if ahead {
            self.arm(f, self.now + AGAIN);
            return false;
        }
        if !self.room.is_waited_for_by(f) {
            self.room.queue.push(f);
        }
        if self.room.queue[0] == f && next_start > self.now {
            self.arm(f, next_start);
        }
        false
    }

    /// When the next start may be issued.
    fn next_start(&self) -> u64 {
        let burst = |per_second: u64| self.room.full_at.saturating_sub((per_second - 1) * (1_000_000_000 / per_second));
        self.policy.starts_per_second.map_or(0, burst)
    }

    fn exceeds_share(&self, f: usize) -> bool {
        let function = &self.functions[f];
        let held = self.instances(f) + function.creating + function.initialising;
        let live = self.slots.iter().filter(|slot| slot.state != State::Gone).count() as u64;
        self.policy.max_slots.is_some_and(|limit| held as u64 > 4 * (limit - live))
    }

    /// Is there room for a slot of each of these functions beside the slots that count, some left out?
    fn fits(&self, functions: &[usize], counts: impl Fn(State) -> bool, without: &[usize]) -> bool {
        let live = (0..self.slots.len()).filter(|slot| counts(self.slots[*slot].state) && !without.contains(slot));
        let all: Vec<_> = live.map(|slot| self.slots[slot].function).chain(functions.iter().copied()).collect();
        let memory: u64 = all.iter().map(|&f| u64::from(self.functions[f].memory)).sum();
        self.policy.memory_mb.is_none_or(|limit| memory <= limit) && self.policy.max_slots.is_none_or(|limit| all.len() as u64 <= limit)
    }

    fn may_go_ahead(&self, f: usize) -> bool {
        let first = self.room.queue[0];
        let gone_ahead: Vec<_> = self.room.ahead.iter().map(|&slot| self.slots[slot].function).chain([f, first]).collect();
        self.fits(&[f], |state| state != State::Gone, &[])
            && self.fits(&gone_ahead, |_| false, &[])
            && (self.fits(&[f, first], stays, &[]) || !self.suffices_without_those_ahead())
    }

    fn note_hindered(&mut self) {
        if let Some(&first) = self.room.queue.first() {
            self.room.hindered = !self.fits(&[first], stays, &[]) && self.suffices_without_those_ahead();
        }
    }

    /// Would the first have room but for what went ahead of it, once all that is leaving is gone? Whatever of the former is leaving counts
    /// as room twice: then less goes ahead.
    fn suffices_without_those_ahead(&self) -> bool {
        let taken = |take: &dyn Fn(u64) -> u64| {
            let all: u64 = self.slots.iter().filter(|slot| slot.state != State::Gone).map(|slot| take(slot.function as u64)).sum();
            let ahead: u64 = self.room.ahead.iter().map(|&slot| take(self.slots[slot].function as u64)).sum();
            let leaving = self.slots.iter().filter(|slot| slot.state == State::Retiring).map(|slot| take(slot.function as u64)).sum();
            (all - ahead + take(self.room.queue[0] as u64)).saturating_sub(leaving)
        };
        let memory = taken(&|f| u64::from(self.functions[usize::try_from(f).unwrap()].memory));
        self.policy.memory_mb.is_none_or(|limit| memory <= limit) && self.policy.max_slots.is_none_or(|limit| taken(&|_| 1) <= limit)
    }

    /// Must the instance go, now that its request ends?
    pub(super) fn makes_way(&self, slot: usize) -> bool {
        let f = self.slots[slot].function;
        self.room.hindered && self.room.ahead.contains(&slot) && self.instances(f) > self.functions[f].target
    }

    /// Makes room for all the starts that the requests of a function want, if it is the first that waits.
    pub(super) fn clear_room(&mut self, f: usize) {
        if self.room.queue.first() == Some(&f) && self.next_start() <= self.now {
            let function = &self.functions[f];
            let uncovered = function.waiters.len() - function.creating - function.initialising;
            self.make_room(f, uncovered.min(MOST_AT_ONCE));
        }
    }

    fn make_room(&mut self, f: usize, starts: usize) {
        while !self.fits(&vec![f; starts], stays, &[]) {
            let may_go = |&slot: &usize| {
                let g = self.slots[slot].function;
                matches!(self.slots[slot].state, State::Free { .. }) && g != f && self.instances(g) > self.functions[g].target
            };
            let Some(longest) = (0..self.slots.len()).filter(may_go).min_by_key(|&slot| self.room.freed[slot]) else { return };
            self.evict(longest);
        }
    }

    fn evict(&mut self, slot: usize) {
        let top = self.functions[self.slots[slot].function].free.pop().expect("it has a free one");
        if top != slot {
            self.slots[slot].state = self.slots[top].state;
            self.room.note(slot, self.room.freed[top].0);
        }
        self.destroy(top);
    }

    /// A function was looked at; `refused`: it was refused a start for a request.
    pub(super) fn settle_room(&mut self, f: usize, refused: bool) {
        if !refused {
            self.leave_queue(f);
        }
    }

    fn leave_queue(&mut self, f: usize) {
        if !self.room.is_waited_for_by(f) {
            return;
        }
        if self.room.queue[0] == f {
            self.room.ahead.clear();
            self.room.hindered = false;
        }
        self.room.queue.retain(|&waits| waits != f);
        self.room_changed();
    }

    /// A slot is gone.
    pub(super) fn released(&mut self, slot: usize) {
        self.room.ahead.retain(|&ahead| ahead != slot);
        self.room_changed();
    }

    /// An instance became free.
    pub(super) fn rank(&mut self, slot: usize) {
        self.room.note(slot, self.now);
        if self.policy.memory_mb.is_some() || self.policy.max_slots.is_some() {
            self.room_changed();
        }
    }

    /// There may be room: the first that waits for it is looked at, and the one of the smallest slots if it may go ahead.
    pub(super) fn room_changed(&mut self) {
        let Some(&first) = self.room.queue.first() else { return };
        let at = self.now.max(self.next_start());
        self.arm(first, at);
        let smallest = *self.room.queue.iter().min_by_key(|&&f| self.functions[f].memory).expect("there is one");
        if smallest != first && self.may_go_ahead(smallest) {
            self.arm(smallest, at);
        }
    }

    /// A request of a function is gone: it may not need room any more.
    pub(super) fn reconsider_room(&mut self, f: usize) {
        if self.room.is_waited_for_by(f) {
            self.arm(f, self.now);
        }
    }
}

/// Does what such a slot takes stay taken?
fn stays(state: State) -> bool {
    !matches!(state, State::Gone | State::Retiring)
}
