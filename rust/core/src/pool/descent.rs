//! The way down a stack of free instances, gone in steps between which others push and pop.
//!
//! A step goes on below the instance that the last one ended at, unless that one has served a request since: its word tells, and as long as it
//! stays on the stack what is below it stays too. What others push meanwhile lies above, and is not seen.
//!
//! # Under threads
//!
//! The word tells late: who takes an instance changes its word a moment after, and one about to be pushed has its old word but may get another
//! link. So a look may come upon an instance that has just left the stack, or upon a link that does not last, and the way goes on from there,
//! but not to another function's: some instances are looked at twice or not at all. What that costs is a keep-alive that ends too soon or
//! late. The way ends all the same, as looks are counted; whoever pushes an instance arms the function's timer afterwards, for another visit;
//! and looks change nothing but ends of keep-alives, by compare-exchange: what is retired is taken off the top like anything else.

use std::collections::VecDeque;

use super::Pool;
use crate::nanos::Nanos;
use crate::sync::{Ordering, fence};
use crate::table::{Slot, SlotTable, State, Word};

/// A visit to the free instances of one function that retires those overdue; see `engine::overdue`.
#[derive(Debug)]
pub(crate) struct Descent {
    /// When it began: what was due by then is overdue, however many steps it takes.
    pub(crate) began: Nanos,
    /// The function's place.
    place: u32,
    /// The instance looked at last, and its word then; `None`: the way begins at the top.
    last: Option<(u32, Word)>,
    /// How many more instances there can be.
    left: u64,
    /// Ends of keep-alives whose instances were retired from the top for overdue ones further down, in their order: they move down.
    homeless: VecDeque<Nanos>,
    /// They are being given to the instances on the way.
    placing: bool,
    /// The earliest end of a keep-alive that is still to come.
    next: Option<Nanos>,
    /// The function is to be visited again, for what was pushed since.
    pub(crate) again: bool,
}

/// What comes next on the way down.
#[derive(Debug)]
pub(crate) enum Below<'a> {
    /// A free instance.
    Instance(u32, &'a Slot),
    /// Nothing.
    Bottom,
    /// Nobody knows: the last instance was taken, and all above it, or the stack has changed too much to be sure of an end.
    Lost,
}

/// Instances that may be on the stack beyond the promises a descent starts from: those that other threads are just pushing.
const UNPROMISED: u64 = 64;
/// Homeless times at most. Tests come to that with a few instances.
const MOST_HOMELESS: usize = if cfg!(any(test, pilotlight_loom)) { 3 } else { 4096 };

impl Descent {
    pub(crate) fn new(now: Nanos, place: u32, pool: &Pool) -> Self {
        let (last, left) = from_top(pool);
        Self { began: now, place, last, left, homeless: VecDeque::new(), placing: false, next: None, again: false }
    }

    /// Begins again at the top, to give homeless times to the instances there.
    pub(crate) fn return_to_top(&mut self, pool: &Pool) {
        (self.last, self.left) = from_top(pool);
        self.placing = self.is_owing();
    }

    /// There are homeless times.
    pub(crate) fn is_owing(&self) -> bool {
        !self.homeless.is_empty()
    }

    /// Homeless times are being given to the instances on the way.
    pub(crate) fn is_placing(&self) -> bool {
        self.placing
    }

    #[cfg(all(test, not(pilotlight_loom)))]
    pub(crate) fn homeless(&self) -> impl Iterator<Item = Nanos> + use<'_> {
        self.homeless.iter().copied()
    }

    /// Looks one instance further down.
    pub(crate) fn below<'a>(&mut self, pool: &Pool, slots: &'a SlotTable) -> Below<'a> {
        let index = match self.last {
            None => pool.free.top(),
            Some((last, word)) => {
                let slot = slots.at(last);
                let below = slot.next.load(Ordering::Relaxed).checked_sub(1);
                // The word is looked at after the link, not before: a link from after the instance was taken does not pass for the old one.
                fence(Ordering::Acquire);
                if slot.word() != word {
                    return Below::Lost;
                }
                below
            }
        };
        let Some(index) = index else { return Below::Bottom };
        let slot = slots.at(index);
        let word = slot.word();
        if self.left == 0 || word.state() != State::Idle || slot.holder() != self.place {
            return Below::Lost;
        }
        self.left -= 1;
        self.last = Some((index, word));
        Below::Instance(index, slot)
    }

    /// The end of a keep-alive that is still to come was seen.
    pub(crate) fn note(&mut self, due: Nanos) {
        self.next = Some(self.next.map_or(due, |next| next.min(due)));
    }

    pub(crate) fn next(&self) -> Option<Nanos> {
        self.next
    }

    /// Takes over the time of an instance that was retired in an overdue one's stead; `true`: there is room for no more.
    pub(crate) fn owe(&mut self, due: Nanos) -> bool {
        self.homeless.push_back(due);
        self.homeless.len() >= MOST_HOMELESS
    }

    /// Exchanges the time of an instance on the way for the one that moves down to it. An overdue time goes, and with the last homeless one
    /// the moving ends.
    pub(crate) fn place(&mut self, due: Nanos) -> Option<Nanos> {
        let placed = self.homeless.pop_front();
        if due > self.began {
            self.homeless.push_back(due);
        }
        self.placing = self.is_owing();
        placed
    }
}

fn from_top(pool: &Pool) -> (Option<(u32, Word)>, u64) {
    (None, u64::try_from(pool.balance()).unwrap_or(0) + UNPROMISED)
}
