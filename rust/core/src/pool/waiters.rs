//! The queue of requests of one function that wait for an instance, oldest first. Plain data behind the function's lock.
//!
//! Cost, of a queue of n: joining it and leaving it at its head O(log n), for the deadline; leaving from its middle moves those on the
//! shorter side of the gap up. With `handoff=none` a start finds its waiter by looking through the queue.

use std::collections::{BTreeSet, VecDeque};

use crate::ids::RequestTag;
use crate::nanos::Nanos;

/// One waiting request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Waiter {
    /// Name within the function; grows by one with each waiter (wrapping).
    pub(crate) sequence: u32,
    pub(crate) request: RequestTag,
    pub(crate) arrived: Nanos,
    pub(crate) deadline: Nanos,
    /// Starts that failed while it was the oldest.
    pub(crate) failures: u32,
    /// The start it waits for, when requests are bound to their own (`handoff=none`): a slot index.
    pub(crate) own_start: Option<u32>,
}

/// Places that an empty queue keeps.
const KEPT: usize = 4;

/// Waiting requests in order of arrival.
#[derive(Debug, Default)]
pub(crate) struct Waiters {
    queue: VecDeque<Waiter>,
    next_sequence: u32,
    /// The deadlines of those who have one, with their names.
    deadlines: BTreeSet<(Nanos, u32)>,
}

impl Waiters {
    pub(crate) fn len(&self) -> u32 {
        u32::try_from(self.queue.len()).expect("waiters are limited")
    }

    /// Appends a request and names it.
    pub(crate) fn push(&mut self, request: RequestTag, arrived: Nanos, deadline: Nanos, own_start: Option<u32>) -> u32 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        if deadline < Nanos::MAX {
            self.deadlines.insert((deadline, sequence));
        }
        self.queue.push_back(Waiter { sequence, request, arrived, deadline, failures: 0, own_start });
        sequence
    }

    pub(crate) fn pop_oldest(&mut self) -> Option<Waiter> {
        self.take_at(0)
    }

    fn take_at(&mut self, at: usize) -> Option<Waiter> {
        let gone = self.queue.remove(at)?;
        self.deadlines.remove(&(gone.deadline, gone.sequence));
        self.give_back();
        Some(gone)
    }

    /// Gives back the space that a long queue took, once it is over: an idle function takes little.
    fn give_back(&mut self) {
        if self.queue.is_empty() && self.queue.capacity() > KEPT {
            self.queue = VecDeque::new();
        }
    }

    pub(crate) fn oldest_mut(&mut self) -> Option<&mut Waiter> {
        self.queue.front_mut()
    }

    /// When the waiter that `ahead` others come before arrived.
    pub(crate) fn arrival_of(&self, ahead: u32) -> Option<Nanos> {
        self.queue.get(ahead as usize).map(|waiter| waiter.arrived)
    }

    /// Removes the named waiter. Sequences ascend, so this is a binary search.
    pub(crate) fn remove(&mut self, sequence: u32) -> Option<Waiter> {
        let first = self.queue.front()?.sequence;
        let at = self.queue.partition_point(|waiter| waiter.sequence.wrapping_sub(first) < sequence.wrapping_sub(first));
        if self.queue.get(at)?.sequence == sequence { self.take_at(at) } else { None }
    }

    /// The waiter bound to a start.
    pub(crate) fn bound_to(&mut self, start: u32) -> Option<&mut Waiter> {
        self.queue.iter_mut().find(|waiter| waiter.own_start == Some(start))
    }

    /// Removes the waiter bound to a start.
    pub(crate) fn remove_bound_to(&mut self, start: u32) -> Option<Waiter> {
        let at = self.queue.iter().position(|waiter| waiter.own_start == Some(start))?;
        self.take_at(at)
    }

    /// Removes the waiter whose deadline is the earliest, if it is not after `now`.
    pub(crate) fn take_overdue(&mut self, now: Nanos) -> Option<Waiter> {
        let &(_, sequence) = self.deadlines.first().filter(|&&(deadline, _)| deadline <= now)?;
        self.remove(sequence)
    }

    /// The earliest deadline.
    pub(crate) fn next_deadline(&self) -> Option<Nanos> {
        self.deadlines.first().map(|&(deadline, _)| deadline)
    }

    /// Removes everyone.
    pub(crate) fn drain(&mut self) -> VecDeque<Waiter> {
        self.deadlines = BTreeSet::new();
        std::mem::take(&mut self.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, Waiters};
    use crate::ids::RequestTag;
    use crate::nanos::Nanos;

    fn three() -> Waiters {
        let mut waiters = Waiters { next_sequence: u32::MAX, ..Waiters::default() };
        for deadline in [30, 10, 20] {
            waiters.push(RequestTag(deadline), Nanos::ZERO, Nanos(deadline), None);
        }
        waiters
    }

    #[test]
    fn a_waiter_is_found_across_the_wrap_of_sequences() {
        let mut waiters = three();
        assert_eq!(waiters.remove(1).unwrap().request, RequestTag(20));
        assert!(waiters.remove(1).is_none());
        assert_eq!(waiters.remove(u32::MAX).unwrap().request, RequestTag(30));
        assert_eq!(waiters.len(), 1);
    }

    #[test]
    fn a_queue_that_ends_gives_its_space_back_however_it_ends() {
        let ways: [fn(&mut Waiters, u32) -> bool; 4] = [
            |waiters, _| waiters.pop_oldest().is_some(),
            |waiters, sequence| waiters.remove(sequence).is_some(),
            |waiters, sequence| waiters.remove_bound_to(sequence).is_some(),
            |waiters, sequence| waiters.take_overdue(Nanos(u64::from(sequence))).is_some(),
        ];
        for way in ways {
            let mut waiters = Waiters::default();
            for number in 0..100 {
                assert_eq!(waiters.push(RequestTag(0), Nanos::ZERO, Nanos(u64::from(number)), Some(number)), number);
            }
            assert!((0..100).all(|number| way(&mut waiters, number)));
            assert!(waiters.queue.capacity() <= KEPT, "space for {}", waiters.queue.capacity());
        }
    }

    #[test]
    fn only_overdue_waiters_expire_the_earliest_deadline_first_and_order_is_kept() {
        let mut waiters = three();
        assert_eq!(waiters.next_deadline(), Some(Nanos(10)));
        assert!(waiters.take_overdue(Nanos(9)).is_none());
        for deadline in [10, 20] {
            assert_eq!(waiters.take_overdue(Nanos(20)).unwrap().deadline, Nanos(deadline));
        }
        assert!(waiters.take_overdue(Nanos(20)).is_none());
        assert_eq!(waiters.next_deadline(), Some(Nanos(30)));
        assert_eq!(waiters.pop_oldest().unwrap().deadline, Nanos(30));
        assert_eq!(waiters.next_deadline(), None);
    }

    #[test]
    fn a_waiter_that_left_leaves_no_deadline_behind() {
        let mut waiters = three();
        waiters.remove(0).unwrap();
        assert_eq!(waiters.next_deadline(), Some(Nanos(20)));
        assert_eq!(waiters.drain().len(), 2);
        assert_eq!(waiters.next_deadline(), None);
    }
}
