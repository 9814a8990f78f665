//! What is due when, in order: a binary heap in which a function has at most one entry, which can be brought forward.
//!
//! Ties go by [`Due`], so the order does not depend on how entries came in. Cost: O(log n) a step, n being functions that have a timer
//! and destroys to repeat; 4 bytes for every function.

use crate::ids::{FunctionId, SlotId};
use crate::nanos::Nanos;

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Function(FunctionId),
    /// A visit to a function's free instances that has begun.
    GoOn(FunctionId),
    Destroy(SlotId),
    /// The policy's look at the ledger.
    Review,
    /// A step of a pass over busy instances.
    Leases,
}

#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: Vec<(Nanos, Due)>,
    /// By function: where its entry is, plus one; 0: it has none.
    places: Vec<u32>,
}

impl Agenda {
    pub(super) fn first(&self) -> Option<(Nanos, Due)> {
        self.entries.first().copied()
    }

    /// Adds an entry; a function's earlier entry is brought forward to `at` instead, or stays if it is due before.
    pub(super) fn add(&mut self, at: Nanos, due: Due) {
        let at_present = if let Due::Function(id) = due { self.place(id).checked_sub(1) } else { None };
        let place = match at_present {
            Some(place) if self.entries[place as usize].0 <= at => return,
            Some(place) => place as usize,
            None => {
                self.entries.push((at, due));
                self.entries.len() - 1
            }
        };
        self.rise((at, due), place);
    }

    /// Takes the first entry.
    pub(super) fn pop(&mut self) -> Option<(Nanos, Due)> {
        let last = self.entries.pop()?;
        let Some(&first) = self.entries.first() else {
            self.forget(last.1);
            return Some(last);
        };
        self.forget(first.1);
        self.sink(last);
        Some(first)
    }

    /// Puts an entry in the first place or below, the place of the first being free.
    fn sink(&mut self, entry: (Nanos, Due)) {
        let mut place = 0;
        loop {
            let left = 2 * place + 1;
            let Some(&(mut least)) = self.entries.get(left) else { break };
            let mut below = left;
            if let Some(&right) = self.entries.get(left + 1)
                && right < least
            {
                (least, below) = (right, left + 1);
            }
            if entry <= least {
                break;
            }
            self.put(least, place);
            place = below;
        }
        self.put(entry, place);
    }

    /// Puts an entry in a free place or above.
    fn rise(&mut self, entry: (Nanos, Due), mut place: usize) {
        while place > 0 {
            let above = (place - 1) / 2;
            let parent = self.entries[above];
            if parent <= entry {
                break;
            }
            self.put(parent, place);
            place = above;
        }
        self.put(entry, place);
    }

    fn put(&mut self, entry: (Nanos, Due), place: usize) {
        self.entries[place] = entry;
        if let Due::Function(id) = entry.1 {
            self.places[id.index()] = u32::try_from(place + 1).expect("functions and slots are fewer than 2^31");
        }
    }

    /// The function's place, plus one; 0 if it has no entry.
    fn place(&mut self, id: FunctionId) -> u32 {
        if self.places.len() <= id.index() {
            self.places.resize(id.index() + 1, 0);
        }
        self.places[id.index()]
    }

    fn forget(&mut self, due: Due) {
        if let Due::Function(id) = due {
            self.places[id.index()] = 0;
        }
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::{Agenda, Due};
    use crate::ids::{FunctionId, SlotId};
    use crate::nanos::Nanos;

    proptest! {
        #[test]
        fn entries_come_in_order_and_a_function_has_one(steps in prop::collection::vec(prop::option::of((0..50_u64, 0..12_u32)), 1..200)) {
            let mut agenda = Agenda::default();
            let (mut functions, mut others) = (BTreeMap::new(), Vec::new());
            for step in steps {
                if let Some((at, number)) = step {
                    let at = Nanos(at);
                    let due = if number < 8 { Due::Function(FunctionId { index: number, generation: 0 }) } else { Due::Destroy(SlotId::from_bits(number.into())) };
                    agenda.add(at, due);
                    if number < 8 {
                        functions.entry(due).and_modify(|before: &mut Nanos| *before = at.min(*before)).or_insert(at);
                    } else {
                        others.push((at, due));
                    }
                } else {
                    let expected = functions.iter().map(|(&due, &at)| (at, due)).chain(others.iter().copied()).min();
                    prop_assert_eq!(agenda.first(), expected);
                    prop_assert_eq!(agenda.pop(), expected);
                    if let Some(gone) = expected {
                        functions.remove(&gone.1);
                        if let Some(at) = others.iter().position(|entry| *entry == gone) {
                            others.remove(at);
                        }
                    }
                }
            }
        }
    }
}
