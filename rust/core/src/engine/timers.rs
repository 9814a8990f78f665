//! What is to be done when: one timer a function (its earliest deadline, end of keep-alive or moment its policy asked for), one a destroy
//! to repeat, and one for the policy's reviews.
//!
//! Cost: arming is a comparison with the function's own word unless the new time is earlier, so an Idle arms at most once per
//! keep-alive window. Superseded entries are dropped when they come up, or all at once when they have come to outnumber the others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::ids::{FunctionId, SlotId};
use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Mutex, Ordering, fence, lock};

/// What a timer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Due {
    Function(FunctionId),
    Destroy(SlotId),
    /// The policy's look at the ledger.
    Review,
}

#[derive(Debug)]
pub(super) struct Timers {
    heap: Mutex<Heap>,
    /// The earliest entry's time, for `next` without the lock.
    earliest: AtomicU64,
}

#[derive(Debug)]
struct Heap {
    entries: BinaryHeap<Reverse<(Nanos, Due)>>,
    /// Length at which superseded entries are cleared out.
    clear_at: usize,
}

const SMALLEST_CLEARED: usize = 1024;

impl Heap {
    /// Drops every superseded entry once they may be half of all: a cost of O(log n) an entry.
    fn clear_out<'a>(&mut self, armed: impl Fn(FunctionId) -> &'a AtomicU64) {
        if self.entries.len() < self.clear_at {
            return;
        }
        let mut entries = std::mem::take(&mut self.entries).into_vec();
        entries.retain(|Reverse((at, due))| match due {
            Due::Function(id) => armed(*id).load(Ordering::Relaxed) == at.0,
            Due::Destroy(_) | Due::Review => true,
        });
        entries.sort_unstable();
        entries.dedup();
        self.clear_at = (2 * entries.len()).max(SMALLEST_CLEARED);
        self.entries = entries.into();
    }
}

impl Timers {
    pub(super) fn new() -> Self {
        let heap = Heap { entries: BinaryHeap::new(), clear_at: SMALLEST_CLEARED };
        Self { heap: Mutex::new(heap), earliest: AtomicU64::new(u64::MAX) }
    }

    /// Sets a function's timer to `at`, unless it fires earlier anyway.
    pub(super) fn arm<'a>(&self, function: FunctionId, armed: &AtomicU64, at: Nanos, all: impl Fn(FunctionId) -> &'a AtomicU64) {
        if at.0 >= armed.load(Ordering::Relaxed) {
            return;
        }
        let mut heap = lock(&self.heap);
        if at.0 < armed.load(Ordering::Relaxed) {
            armed.store(at.0, Ordering::Relaxed);
            heap.entries.push(Reverse((at, Due::Function(function))));
            heap.clear_out(all);
            self.publish(&heap.entries);
        }
    }

    /// Schedules another attempt at a destroy.
    pub(super) fn repeat_destroy(&self, slot: SlotId, at: Nanos) {
        let mut heap = lock(&self.heap);
        heap.entries.push(Reverse((at, Due::Destroy(slot))));
        self.publish(&heap.entries);
    }

    /// Schedules the policy's next look at the ledger.
    pub(super) fn review(&self, at: Nanos) {
        let mut heap = lock(&self.heap);
        heap.entries.push(Reverse((at, Due::Review)));
        self.publish(&heap.entries);
    }

    /// Takes one thing that is due, disarming its function's timer.
    pub(super) fn pop<'a>(&self, now: Nanos, armed: impl Fn(FunctionId) -> &'a AtomicU64) -> Option<Due> {
        let mut heap = lock(&self.heap);
        let due = loop {
            match heap.entries.peek() {
                Some(&Reverse((at, due))) if at <= now => {
                    heap.entries.pop();
                    match due {
                        Due::Function(id) if armed(id).load(Ordering::Relaxed) != at.0 => {}
                        Due::Function(id) => {
                            armed(id).store(u64::MAX, Ordering::Relaxed);
                            break Some(due);
                        }
                        Due::Destroy(_) | Due::Review => break Some(due),
                    }
                }
                _ => break None,
            }
        };
        self.publish(&heap.entries);
        drop(heap);
        // Disarmed before its instances are looked at: the other half is in `Engine::release`.
        fence(Ordering::SeqCst);
        due
    }

    /// When the next entry comes up (it may turn out to be superseded).
    pub(super) fn next(&self) -> Option<Nanos> {
        let earliest = self.earliest.load(Ordering::Relaxed);
        (earliest != u64::MAX).then_some(Nanos(earliest))
    }

    fn publish(&self, heap: &BinaryHeap<Reverse<(Nanos, Due)>>) {
        let earliest = heap.peek().map_or(u64::MAX, |Reverse((at, _))| at.0);
        self.earliest.store(earliest, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Due, SMALLEST_CLEARED, Timers};
    use crate::ids::FunctionId;
    use crate::nanos::Nanos;
    use crate::sync::{AtomicU64, Ordering, lock};

    #[test]
    fn superseded_entries_do_not_pile_up() {
        let timers = Timers::new();
        let armed = AtomicU64::new(u64::MAX);
        for second in 0..10_000 {
            // A short deadline comes up, then the far end of a keep-alive is armed again: each leaves its entry of the latter.
            timers.arm(FunctionId(0), &armed, Nanos(u64::MAX / 2), |_| &armed);
            timers.arm(FunctionId(0), &armed, Nanos::from_secs(second), |_| &armed);
            assert_eq!(timers.pop(Nanos::from_secs(second), |_| &armed), Some(Due::Function(FunctionId(0))));
        }
        assert!(lock(&timers.heap).entries.len() <= SMALLEST_CLEARED);
        assert_eq!(armed.load(Ordering::Relaxed), u64::MAX);
    }
}
