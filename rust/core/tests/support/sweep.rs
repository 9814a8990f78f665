//! The rules of what falls due, again: when a function is looked at, which of its requests and
//! free instances are overdue then, and what its floor lacks.

use super::{Did, Reference, State};

/// A policy that holds a floor is asked again after this long.
const ASKED_AGAIN: u64 = 10_000_000_000;

impl Reference {
    pub(crate) fn next_due(&self) -> Option<u64> {
        let leaked = self.slots.iter().filter_map(|slot| if let State::Leaked { again } = slot.state { Some(again) } else { None });
        leaked.chain(self.functions.iter().filter_map(|function| function.armed)).min()
    }

    /// The function is looked at at this moment, or before.
    pub(super) fn arm(&mut self, f: usize, at: u64) {
        let armed = &mut self.functions[f].armed;
        *armed = Some(armed.map_or(at, |before| before.min(at)));
    }

    pub(crate) fn tick(&mut self) {
        let now = self.now;
        // One look may lead to another of the same moment.
        while let Some(f) = (0..self.functions.len()).find(|&f| self.functions[f].armed.take_if(|at| *at <= now).is_some()) {
            self.sweep(f);
        }
        for slot in 0..self.slots.len() {
            if matches!(self.slots[slot].state, State::Leaked { again } if again <= now) {
                self.slots[slot].state = State::Retiring;
                self.did.push(Did::Destroy(slot));
            }
        }
    }

    fn sweep(&mut self, f: usize) {
        let now = self.now;
        while let Some(at) = self.functions[f].waiters.iter().position(|waiter| waiter.1 <= now) {
            let (request, _) = self.functions[f].waiters.remove(at).unwrap();
            self.did.push(Did::Refuse(request, "deadline"));
            self.left_unserved(f);
        }
        if self.paused(f) {
            self.refuse_uncovered(f);
        }
        self.functions[f].trouble.asked = false;
        let refused = self.start_wanted(f);
        self.meet_target(f);
        self.settle_room(f, refused);
        self.settle_turn(f);
        let due = self.retire(f);
        let deadline = self.functions[f].waiters.iter().map(|waiter| waiter.1).min();
        if let Some(next) = [due, deadline].into_iter().flatten().min() {
            self.arm(f, next);
        }
    }

    /// Overdue times leave the list as far as the target allows, those nearest the top first; as many instances leave it, from the top, and
    /// the others have the times that are left. Returns the next time.
    fn retire(&mut self, f: usize) -> Option<u64> {
        let due = |slot: &usize| if let State::Free { due } = self.slots[*slot].state { due } else { unreachable!() };
        let mut dues: Vec<_> = self.functions[f].free.iter().map(due).collect();
        for _ in self.functions[f].target..self.instances(f) {
            let Some(overdue) = dues.iter().rposition(|&due| due <= self.now) else { break };
            dues.remove(overdue);
        }
        for slot in self.functions[f].free.split_off(dues.len()).into_iter().rev() {
            self.destroy(slot);
        }
        for (&slot, &due) in self.functions[f].free.iter().zip(&dues) {
            self.slots[slot].state = State::Free { due };
        }
        dues.into_iter().filter(|&due| due > self.now).min()
    }

    /// Starts what the floor lacks.
    pub(super) fn meet_target(&mut self, f: usize) {
        if self.policy.floor == 0 || self.draining {
            return;
        }
        self.functions[f].target = self.policy.floor;
        let coming = self.functions[f].creating + self.functions[f].initialising;
        for _ in self.instances(f) + coming..self.policy.floor {
            if self.holds_starts(f) || !self.start_if_room(f, true) {
                break;
            }
        }
        self.arm(f, self.now + ASKED_AGAIN);
    }
}
