//! The engine's rules again, as one would write them without threads or speed in mind. Slots are numbered in order of issue.

mod room;
mod sweep;
mod trouble;

use std::collections::{BTreeMap, VecDeque};

use pilotlight_core::{Ending, StartFailure};
use room::Room;
use trouble::{Stage, Throttle, Trouble};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Creating,
    Initialising,
    Free { due: u64 },
    Busy { request: u64 },
    Retiring,
    Abandoned,
    Leaked { again: u64 },
    Gone,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Did {
    Create(usize),
    Init(usize, usize),
    Destroy(usize),
    Serve(u64, usize),
    Refuse(u64, &'static str),
}

#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) function: usize,
    pub(crate) state: State,
    failures: u32,
    /// Requests in a row that failed on this instance.
    failed: u32,
    /// When its start began for its function.
    began: u64,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Function {
    memory: u32,
    pub(crate) free: Vec<usize>,
    /// Requests and their deadlines.
    pub(crate) waiters: VecDeque<(u64, u64)>,
    creating: usize,
    initialising: usize,
    seeks: bool,
    /// Instances to have whatever the demand, once the policy was asked.
    target: usize,
    /// When it is looked at next.
    armed: Option<u64>,
    trouble: Trouble,
}

/// How long free instances are kept, how many there are to be whatever the demand, and the limits on all slots.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Policy {
    pub(crate) keep_alive: u64,
    pub(crate) floor: usize,
    pub(crate) memory_mb: Option<u64>,
    pub(crate) max_slots: Option<u64>,
    pub(crate) starts_per_second: Option<u64>,
}

#[derive(Clone, Debug)]
pub(crate) struct Reference {
    pub(crate) now: u64,
    pub(crate) slots: Vec<Slot>,
    pub(crate) functions: Vec<Function>,
    pub(crate) draining: bool,
    /// Slot time by account: starting, idle, busy, retiring, leaked.
    pub(crate) booked: [u128; 5],
    /// How starts ended: destroyed, never created, written off.
    pub(crate) ends: [u64; 3],
    pub(crate) policy: Policy,
    retry: u64,
    seekers: BTreeMap<u32, VecDeque<usize>>,
    room: Room,
    throttle: Throttle,
    pub(crate) did: Vec<Did>,
}

impl Reference {
    pub(crate) fn new(memories: &[u32], policy: Policy, retry: u64) -> Self {
        let functions = memories.iter().map(|&memory| Function { memory, ..Function::default() }).collect();
        Self {
            now: 0,
            slots: Vec::new(),
            functions,
            draining: false,
            booked: [0; 5],
            ends: [0; 3],
            policy,
            retry,
            seekers: BTreeMap::new(),
            room: Room::default(),
            throttle: Throttle::default(),
            did: Vec::new(),
        }
    }

    pub(crate) fn counts(&self) -> [u64; 5] {
        let mut counts = [0; 5];
        for account in self.slots.iter().filter_map(|slot| account(slot.state)) {
            counts[account] += 1;
        }
        counts
    }

    pub(crate) fn pass(&mut self, until: u64) {
        let counts = self.counts();
        for (booked, count) in self.booked.iter_mut().zip(counts) {
            *booked += u128::from(until - self.now) * u128::from(count);
        }
        self.now = until;
    }

    pub(crate) fn assign(&mut self, f: usize, request: u64, deadline: u64) -> Option<usize> {
        if let Some(slot) = self.functions[f].free.pop() {
            self.slots[slot].state = State::Busy { request };
            return Some(slot);
        }
        self.functions[f].waiters.push_back((request, deadline));
        self.start_wanted(f);
        if self.paused(f) && self.uncovered(f) > 0 {
            self.functions[f].waiters.pop_back();
            self.did.push(Did::Refuse(request, "start failed"));
        }
        self.meet_target(f);
        self.arm(f, deadline);
        None
    }

    pub(crate) fn idle(&mut self, slot: usize, ending: Ending) {
        if self.ends_badly(slot, ending) || self.draining || self.makes_way(slot) {
            self.destroy(slot);
            if !self.draining {
                self.start_wanted(self.slots[slot].function);
                self.meet_target(self.slots[slot].function);
            }
        } else {
            self.release(slot, 0);
        }
    }

    pub(crate) fn cancel(&mut self, f: usize, request: u64) {
        self.functions[f].waiters.retain(|waiter| waiter.0 != request);
        self.left_unserved(f);
        self.arm(f, self.now);
    }

    /// `took`: what the platform says that the slot took.
    pub(crate) fn created(&mut self, slot: usize, took: u64) {
        if self.slots[slot].state == State::Abandoned {
            return self.destroy(slot);
        }
        let f = self.slots[slot].function;
        self.functions[f].creating -= 1;
        self.relax_throttle(Stage::Create);
        let taker = if self.draining {
            None
        } else if self.functions[f].waiters.len() > self.functions[f].initialising
            || self.instances(f) + self.functions[f].initialising < self.functions[f].target
            || self.functions[f].trouble.finishes_start(self.now, took)
        {
            Some(f)
        } else {
            self.seeker(self.functions[f].memory)
        };
        match taker {
            Some(taker) => {
                self.functions[taker].initialising += 1;
                let began = if taker == f { self.slots[slot].began } else { self.now };
                self.slots[slot] = Slot { function: taker, state: State::Initialising, failures: 0, failed: 0, began };
                self.did.push(Did::Init(slot, taker));
                if taker != f {
                    self.seek(taker);
                    self.reconsider_room(taker);
                }
            }
            None => self.destroy(slot),
        }
    }

    pub(crate) fn ready(&mut self, slot: usize) {
        let f = self.slots[slot].function;
        self.functions[f].initialising -= 1;
        self.relax_throttle(Stage::Init);
        let kept_until = self.start_succeeded(slot);
        self.release(slot, kept_until);
    }

    pub(crate) fn create_failed(&mut self, slot: usize, failure: StartFailure) {
        let (before, may_exist) = (self.slots[slot].state, failure == StartFailure::Unanswered);
        if may_exist && before == State::Creating {
            self.slots[slot].state = State::Abandoned;
        } else {
            self.ends(slot, if may_exist { 2 } else { 1 });
        }
        if before == State::Creating {
            let f = self.slots[slot].function;
            self.functions[f].creating -= 1;
            self.start_failed(slot, failure, Stage::Create);
        }
    }

    pub(crate) fn init_failed(&mut self, slot: usize, failure: StartFailure) {
        let f = self.slots[slot].function;
        self.functions[f].initialising -= 1;
        self.destroy(slot);
        self.start_failed(slot, failure, Stage::Init);
    }

    pub(crate) fn destroyed(&mut self, slot: usize) {
        self.ends(slot, 0);
    }

    fn ends(&mut self, slot: usize, how: usize) {
        self.slots[slot].state = State::Gone;
        self.ends[how] += 1;
        self.released(slot);
    }

    pub(crate) fn destroy_failed(&mut self, slot: usize) {
        let failures = self.slots[slot].failures;
        self.slots[slot].failures += 1;
        self.slots[slot].state = State::Leaked { again: self.now + (self.retry << failures.min(6)) };
        self.room_changed();
    }

    pub(crate) fn drain(&mut self) {
        self.draining = true;
        for f in 0..self.functions.len() {
            for (request, _) in std::mem::take(&mut self.functions[f].waiters) {
                self.did.push(Did::Refuse(request, "draining"));
            }
            while let Some(slot) = self.functions[f].free.pop() {
                self.destroy(slot);
            }
        }
    }

    /// Instances that are free or serve a request.
    fn instances(&self, f: usize) -> usize {
        let there = |slot: &&Slot| slot.function == f && matches!(slot.state, State::Free { .. } | State::Busy { .. });
        self.slots.iter().filter(there).count()
    }

    fn create(&mut self, f: usize) {
        self.functions[f].creating += 1;
        self.note_start(f);
        self.did.push(Did::Create(self.slots.len()));
        self.slots.push(Slot { function: f, state: State::Creating, failures: 0, failed: 0, began: self.now });
    }

    fn release(&mut self, slot: usize, kept_until: u64) {
        let f = self.slots[slot].function;
        if let Some((request, _)) = self.functions[f].waiters.pop_front() {
            self.slots[slot].state = State::Busy { request };
            self.did.push(Did::Serve(request, slot));
            self.start_wanted(f);
            self.reconsider_room(f);
            return;
        }
        let due = kept_until.max(self.now + self.policy.keep_alive);
        self.arm(f, due);
        if self.draining {
            self.destroy(slot);
        } else {
            self.slots[slot].state = State::Free { due };
            self.functions[f].free.push(slot);
        }
        self.rank(slot);
    }

    fn destroy(&mut self, slot: usize) {
        self.slots[slot].state = State::Retiring;
        self.slots[slot].failures = 0;
        self.did.push(Did::Destroy(slot));
    }

    /// Starts a slot for each request that has none on its way; `true`: one was refused.
    fn start_wanted(&mut self, f: usize) -> bool {
        let mut refused = false;
        while !refused
            && self.functions[f].waiters.len() > self.functions[f].creating + self.functions[f].initialising
            && !self.holds_starts(f)
        {
            refused = !self.start_if_room(f, false);
        }
        if refused {
            self.clear_room(f);
        }
        self.seek(f);
        refused
    }

    fn seek(&mut self, f: usize) {
        if self.wants_spare(f) && !std::mem::replace(&mut self.functions[f].seeks, true) {
            self.seekers.entry(self.functions[f].memory).or_default().push_back(f);
        }
    }

    fn seeker(&mut self, memory: u32) -> Option<usize> {
        for _ in 0..self.seekers.get(&memory)?.len() {
            let f = self.seekers.get_mut(&memory)?.pop_front()?;
            self.functions[f].seeks = false;
            if self.wants_spare(f) {
                return Some(f);
            }
        }
        None
    }

    fn wants_spare(&self, f: usize) -> bool {
        (self.functions[f].creating > 0 || self.room.is_waited_for_by(f) || self.functions[f].trouble.held)
            && self.functions[f].waiters.len() > self.functions[f].initialising
    }
}

fn account(state: State) -> Option<usize> {
    match state {
        State::Creating | State::Initialising => Some(0),
        State::Free { .. } => Some(1),
        State::Busy { .. } => Some(2),
        State::Retiring => Some(3),
        State::Abandoned | State::Leaked { .. } => Some(4),
        State::Gone => None,
    }
}
