//! What is to be done when: one timer a function (its earliest deadline or end of keep-alive) and one a destroy to repeat.
//!
//! Cost: arming is a comparison with the function's own word unless the new time is earlier, so an Idle arms at most once per
//! keep-alive window. Superseded entries are dropped when they come up.

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
}

#[derive(Debug)]
pub(super) struct Timers {
    heap: Mutex<BinaryHeap<Reverse<(Nanos, Due)>>>,
    /// The earliest entry's time, for `next` without the lock.
    earliest: AtomicU64,
}

impl Timers {
    pub(super) fn new() -> Self {
        Self { heap: Mutex::new(BinaryHeap::new()), earliest: AtomicU64::new(u64::MAX) }
    }

    /// Sets a function's timer to `at`, unless it fires earlier anyway.
    pub(super) fn arm(&self, function: FunctionId, armed: &AtomicU64, at: Nanos) {
        if at.0 >= armed.load(Ordering::Relaxed) {
            return;
        }
        let mut heap = lock(&self.heap);
        if at.0 < armed.load(Ordering::Relaxed) {
            armed.store(at.0, Ordering::Relaxed);
            heap.push(Reverse((at, Due::Function(function))));
            self.publish(&heap);
        }
    }

    /// Schedules another attempt at a destroy.
    pub(super) fn repeat_destroy(&self, slot: SlotId, at: Nanos) {
        let mut heap = lock(&self.heap);
        heap.push(Reverse((at, Due::Destroy(slot))));
        self.publish(&heap);
    }

    /// Takes one thing that is due, disarming its function's timer.
    pub(super) fn pop<'a>(&self, now: Nanos, armed: impl Fn(FunctionId) -> &'a AtomicU64) -> Option<Due> {
        let mut heap = lock(&self.heap);
        let due = loop {
            match heap.peek() {
                Some(&Reverse((at, due))) if at <= now => {
                    heap.pop();
                    match due {
                        Due::Function(id) if armed(id).load(Ordering::Relaxed) != at.0 => {}
                        Due::Function(id) => {
                            armed(id).store(u64::MAX, Ordering::Relaxed);
                            break Some(due);
                        }
                        Due::Destroy(_) => break Some(due),
                    }
                }
                _ => break None,
            }
        };
        self.publish(&heap);
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
