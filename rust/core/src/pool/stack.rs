//! A lock-free LIFO of slot indices, linked through the slots themselves (Treiber, IBM RJ 5118, 1986).
//!
//! LIFO matters: the instance freed last is the one whose demand level is wanted again first.
//!
//! # Ordering
//!
//! The head packs `tag << 32 | index + 1`; the tag counts changes, so that a pop that slept through a pop-and-push of the same index
//! fails (it would take 2³² changes in between to fool it). Push releases the link it wrote, pop acquires it.

use crate::sync::{AtomicU64, Backoff, Ordering};
use crate::table::{Slot, SlotTable};

#[derive(Debug)]
pub(super) struct FreeStack {
    head: AtomicU64,
}

impl FreeStack {
    pub(super) fn new() -> Self {
        Self { head: AtomicU64::new(0) }
    }

    pub(super) fn push(&self, (index, slot): (u32, &Slot)) {
        let link = &slot.next;
        let mut backoff = Backoff::new();
        let mut head = self.head.load(Ordering::Relaxed);
        loop {
            // Released for a descent, which comes to the instance by another way than the head.
            link.store(top(head), Ordering::Release);
            if self.head.compare_exchange_weak(head, successor(head, index + 1), Ordering::Release, Ordering::Relaxed).is_ok() {
                return;
            }
            backoff.stand_back();
            head = self.head.load(Ordering::Relaxed);
        }
    }

    pub(super) fn pop<'a>(&self, slots: &'a SlotTable) -> Option<(u32, &'a Slot)> {
        let mut backoff = Backoff::new();
        let mut head = self.head.load(Ordering::Acquire);
        loop {
            let index = top(head).checked_sub(1)?;
            let slot = slots.at(index);
            let below = slot.next.load(Ordering::Relaxed);
            if self.head.compare_exchange_weak(head, successor(head, below), Ordering::Acquire, Ordering::Acquire).is_ok() {
                return Some((index, slot));
            }
            backoff.stand_back();
            head = self.head.load(Ordering::Acquire);
        }
    }

    /// The index on top, as of some moment.
    pub(super) fn top(&self) -> Option<u32> {
        top(self.head.load(Ordering::Acquire)).checked_sub(1)
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the low half is the index")]
fn top(head: u64) -> u32 {
    head as u32
}

fn successor(head: u64, top: u32) -> u64 {
    ((head >> 32).wrapping_add(1) << 32) | u64::from(top)
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::FreeStack;
    use crate::table::SlotTable;

    #[test]
    fn last_in_is_first_out() {
        let slots = SlotTable::new();
        let indices: Vec<u32> = (0..3).map(|_| slots.allocate().0).collect();
        let stack = FreeStack::new();
        for &index in &indices {
            stack.push((index, slots.at(index)));
        }
        for &index in indices.iter().rev() {
            assert_eq!(stack.pop(&slots).map(|(popped, _)| popped), Some(index));
        }
        assert!(stack.pop(&slots).is_none());
    }
}
