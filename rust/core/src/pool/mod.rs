//! Who gets which instance: the stack of free ones, the queue of waiting requests, and the hand-off word between them, which counts
//! the demand as well.

mod descent;
mod stack;
mod waiters;

pub(crate) use descent::{Below, Descent};
pub(crate) use waiters::{Waiter, Waiters};

use self::stack::FreeStack;
use crate::sync::{AtomicI64, Backoff, Ordering};
use crate::table::{Cold, Slot, SlotTable};

/// Free instances of one function, and the hand-off word.
///
/// | bits | meaning |
/// |---|---|
/// | 0–31 | demand: requests that execute or wait |
/// | 32–63 | `free − waiting`, signed |
///
/// The upper half, called the word below, decides who pairs with whom:
///
/// * Above zero it counts promises: whoever takes one off (compare-exchange, decrement) will find an instance on the stack, because an
///   instance is pushed before its promise is added. Assign and retirement both come through this door, without a lock.
/// * Below zero it counts waiting requests. It goes below zero, and moves while below zero, **only under the function's lock**, so there
///   `−word` is the length of the queue, exactly. An Idle that finds it negative takes the lock and serves the oldest waiter.
///
/// Hence no wake-up is lost: an Assign that found nothing and an Idle that saw no waiter both need the step between 0 and ±1, and
/// only one compare-exchange can make it; the loser looks again and sees the other.
///
/// The demand is there because a request that takes an instance moves both, by one compare-exchange, and because both read at once tell how
/// many instances there are. A request leaves it before its instance becomes free, when its policy is told; nothing relies on that.
///
/// # Ordering
///
/// Adding a promise releases what was written to the instance, taking one acquires it.
#[derive(Debug)]
pub(crate) struct Pool {
    word: AtomicI64,
    free: FreeStack,
}

/// A free instance, or a waiting request less, in the hand-off word.
const FREE: i64 = 1 << 32;

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "the low half is the demand")]
fn demand(word: i64) -> u32 {
    word as u32
}

/// What became of an instance offered without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// It is free, for anyone to take.
    Free,
    /// Requests wait: take the lock and call [`Pool::offer_locked`]. The flag says whether the instance is on the stack already.
    Waiting {
        /// It was pushed before the word turned negative.
        pushed: bool,
    },
}

impl Pool {
    pub(crate) fn new() -> Self {
        Self { word: AtomicI64::new(0), free: FreeStack::new() }
    }

    /// Takes a free instance, the one that became free last; `None` if there is none.
    pub(crate) fn take<'a>(&self, slots: &'a SlotTable) -> Option<(u32, &'a Slot)> {
        self.take_and(-FREE).map(|_| self.promised(slots))
    }

    /// Takes a free instance for a request, which the demand counts from then on; returns the demand too.
    pub(crate) fn take_for_request<'a>(&self, slots: &'a SlotTable) -> Option<((u32, &'a Slot), u32)> {
        self.take_and(1 - FREE).map(|word| (self.promised(slots), demand(word)))
    }

    /// Moves the word, if it holds a promise, and returns it.
    fn take_and(&self, step: i64) -> Option<i64> {
        let mut backoff = Backoff::new();
        let mut word = self.word.load(Ordering::Relaxed);
        while word >= FREE {
            if self.word.compare_exchange_weak(word, word + step, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                return Some(word + step);
            }
            backoff.stand_back();
            word = self.word.load(Ordering::Relaxed);
        }
        None
    }

    /// One more request executes or waits; returns how many do.
    pub(crate) fn demand_rises(&self) -> u32 {
        demand(self.word.fetch_add(1, Ordering::Relaxed)) + 1
    }

    /// A request is over or has left; returns how many there were.
    pub(crate) fn demand_falls(&self) -> u32 {
        demand(self.word.fetch_sub(1, Ordering::Relaxed))
    }

    /// Offers a free instance without the lock.
    pub(crate) fn offer(&self, instance: (u32, &Slot)) -> Offer {
        let mut word = self.word.load(Ordering::Relaxed);
        if word < 0 {
            return Offer::Waiting { pushed: false };
        }
        self.free.push(instance);
        loop {
            if word < 0 {
                return Offer::Waiting { pushed: true };
            }
            // Tried again at once: while the instance has no promise, nobody finds it, and a request would start another.
            match self.word.compare_exchange_weak(word, word + FREE, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return Offer::Free,
                Err(seen) => word = seen,
            }
        }
    }

    /// Offers under the lock what [`Pool::offer`] could not place; returns an instance for the oldest waiter, whom the caller must
    /// then remove from the queue, or `None` if nobody waits any more (the instance is free then).
    pub(crate) fn offer_locked<'a>(
        &self,
        _: &mut Cold,
        slots: &'a SlotTable,
        instance: (u32, &'a Slot),
        pushed: bool,
    ) -> Option<(u32, &'a Slot)> {
        if self.word.load(Ordering::Relaxed) < 0 {
            self.word.fetch_add(FREE, Ordering::Relaxed);
            // A pushed instance without its promise leaves one more on the stack than there are promises: any may be popped.
            return Some(if pushed { self.promised(slots) } else { instance });
        }
        if !pushed {
            self.free.push(instance);
        }
        // Not negative under the lock, so it cannot become negative now.
        self.word.fetch_add(FREE, Ordering::Release);
        None
    }

    /// Counts one more waiting request, unless an instance became free meanwhile: then that is returned and nothing is counted.
    pub(crate) fn wait_locked<'a>(&self, _: &mut Cold, slots: &'a SlotTable) -> Option<(u32, &'a Slot)> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            match self.word.compare_exchange_weak(word, word - FREE, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) if word >= FREE => return Some(self.promised(slots)),
                Ok(_) => return None,
                Err(seen) => word = seen,
            }
        }
    }

    /// Counts one waiting request less: it left the queue without an instance.
    pub(crate) fn leave_locked(&self, _: &mut Cold) {
        let before = self.word.fetch_add(FREE, Ordering::Relaxed);
        debug_assert!(before < 0, "a request that left was counted");
    }

    /// Free instances minus waiting requests, as of some moment.
    pub(crate) fn balance(&self) -> i64 {
        self.word.load(Ordering::Acquire) >> 32
    }

    /// Requests that execute or wait, as of some moment.
    pub(crate) fn demand(&self) -> u32 {
        demand(self.word.load(Ordering::Relaxed))
    }

    /// Both at one moment.
    pub(crate) fn balance_and_demand(&self) -> (i64, u32) {
        let word = self.word.load(Ordering::Acquire);
        (word >> 32, demand(word))
    }

    fn promised<'a>(&self, slots: &'a SlotTable) -> (u32, &'a Slot) {
        self.free.pop(slots).expect("the hand-off word promised a free instance")
    }
}
