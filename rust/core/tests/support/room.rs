//! The rules of a limit on memory, again: who may start, who is given up, who waits for room.
//!
//! * A start needs its memory beside that of all slots there are, whatever their state.
//! * Whoever is refused one for a request that waits stands in a queue; its first alone is given room. It leaves the queue when it is
//!   looked at
//!   and is refused nothing.
//! * Room is made for the first, or for anybody if nobody waits: as long as it would not have enough even after all ends that are asked
//!   for,
//!   the free instance that has been free for longest is given up. Not one of its own, and none that a target holds.
//! * Instances of a function are alike: the one freed last goes, and what it was worth passes to the one that should have gone.

use super::{Reference, State};

/// When a start ahead of demand that was refused is tried again.
const AHEAD_AGAIN: u64 = 1_000_000_000;
/// Room is made for at most so many starts at once.
const MOST_AT_ONCE: usize = 16;

#[derive(Clone, Debug, Default)]
pub(super) struct Room {
    limit_mb: Option<u64>,
    /// Functions that wait for room, the first comes first.
    queue: Vec<usize>,
    /// By slot: since when it has been free, and its turn among those of the same moment.
    freed: Vec<(u64, u64)>,
    turns: u64,
}

impl Room {
    pub(super) fn new(limit_mb: Option<u64>) -> Self {
        Self { limit_mb, ..Self::default() }
    }

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
    /// Memory of all slots, or of those whose end is asked for.
    pub(crate) fn memory(&self, counts: impl Fn(State) -> bool) -> u64 {
        self.slots.iter().filter(|slot| counts(slot.state)).map(|slot| u64::from(self.functions[slot.function].memory)).sum()
    }

    /// Starts a slot, unless there is no room.
    pub(super) fn start_if_room(&mut self, f: usize, ahead: bool) -> bool {
        let Some(limit) = self.room.limit_mb else {
            self.create(f);
            return true;
        };
        if self.room.queue.first().is_none_or(|&first| first == f) {
            self.make_room(f, 1);
            if self.memory(|state| state != State::Gone) + u64::from(self.functions[f].memory) <= limit {
                self.create(f);
                return true;
            }
        }
        if ahead {
            self.arm(f, self.now + AHEAD_AGAIN);
        } else if !self.room.is_waited_for_by(f) {
            self.room.queue.push(f);
        }
        false
    }

    /// Makes room for all the starts that the requests of a function want, if it is the first that waits.
    pub(super) fn clear_room(&mut self, f: usize) {
        if self.room.queue.first() == Some(&f) {
            let function = &self.functions[f];
            let uncovered = function.waiters.len() - function.creating - function.initialising;
            self.make_room(f, uncovered.min(MOST_AT_ONCE) as u64);
        }
    }

    fn make_room(&mut self, f: usize, starts: u64) {
        let Some(limit) = self.room.limit_mb else { return };
        let wanted = starts * u64::from(self.functions[f].memory);
        while self.memory(|state| !matches!(state, State::Gone | State::Retiring)) + wanted > limit {
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
        if !refused && self.room.is_waited_for_by(f) {
            self.room.queue.retain(|&waits| waits != f);
            self.room_changed();
        }
    }

    /// An instance became free.
    pub(super) fn rank(&mut self, slot: usize) {
        self.room.note(slot, self.now);
        self.room_changed();
    }

    /// There may be room: the first that waits for it is looked at.
    pub(super) fn room_changed(&mut self) {
        if let Some(&first) = self.room.queue.first() {
            self.arm(first, self.now);
        }
    }

    /// A request of a function is gone: it may not need room any more.
    pub(super) fn reconsider_room(&mut self, f: usize) {
        if self.room.is_waited_for_by(f) {
            self.arm(f, self.now);
        }
    }
}
