//! The queue of requests of one function that wait for an instance, oldest first. Plain data behind the function's lock.
//!
//! Places in the queue are consecutive, so that the waiter whom k others come before is found at once; who leaves from the middle leaves a
//! gap, which is closed at once.
//!
//! Cost, of a queue of n: joining it and leaving it at its head O(log n), for the deadline. Leaving from its middle moves those on the shorter
//! side of the gap as well. Leaving overdue, k at a time, O(k log n) and each of the others moves once at most, whatever the order of the
//! deadlines. With `handoff=none` a start finds its waiter by looking through the queue.

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
    pub(crate) fn push(&mut self, request: RequestTag, arrived: Nanos, deadline: Nanos) -> u32 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        if deadline < Nanos::MAX {
            self.deadlines.insert((deadline, sequence));
        }
        self.queue.push_back(Waiter { sequence, request, arrived, deadline, own_start: None });
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

    /// When the waiter that `ahead` others come before arrived.
    pub(crate) fn arrival_of(&self, ahead: u32) -> Option<Nanos> {
        self.queue.get(ahead as usize).map(|waiter| waiter.arrived)
    }

    /// Removes the named waiter.
    pub(crate) fn remove(&mut self, sequence: u32) -> Option<Waiter> {
        self.take_at(self.place_of(sequence)?)
    }

    /// Where the named waiter is. Sequences ascend, so this is a binary search.
    fn place_of(&self, sequence: u32) -> Option<usize> {
        let first = self.queue.front()?.sequence;
        let at = self.queue.partition_point(|waiter| waiter.sequence.wrapping_sub(first) < sequence.wrapping_sub(first));
        (self.queue.get(at)?.sequence == sequence).then_some(at)
    }

    /// The waiter bound to a start.
    pub(crate) fn bound_to(&mut self, start: u32) -> Option<&mut Waiter> {
        self.queue.iter_mut().find(|waiter| waiter.own_start == Some(start))
    }

    /// Removes the waiter bound to a start; with `None` the oldest that is bound to none.
    pub(crate) fn remove_bound_to(&mut self, start: Option<u32>) -> Option<Waiter> {
        let at = self.queue.iter().position(|waiter| waiter.own_start == start)?;
        self.take_at(at)
    }

    /// The oldest waiter that is bound to no start.
    pub(crate) fn first_without_a_start(&mut self) -> Option<&mut Waiter> {
        self.queue.iter_mut().find(|waiter| waiter.own_start.is_none())
    }

    /// How many are bound to no start.
    pub(crate) fn without_a_start(&self) -> u32 {
        u32::try_from(self.queue.iter().filter(|waiter| waiter.own_start.is_none()).count()).expect("waiters are limited")
    }

    /// Removes the waiters whose deadlines are not after `now`, but no more than `most`, and returns them, the earliest deadline first.
    ///
    /// Together, because one by one each would have others move up: with deadlines in no order, some n / 4.
    pub(crate) fn take_overdue(&mut self, now: Nanos, most: usize) -> Vec<Waiter> {
        let mut places = Vec::new();
        while places.len() < most
            && let Some(&(_, sequence)) = self.deadlines.first().filter(|&&(deadline, _)| deadline <= now)
        {
            self.deadlines.pop_first();
            places.push(self.place_of(sequence).expect("who has a deadline waits"));
        }
        let overdue = places.iter().map(|&at| self.queue[at]).collect();
        places.sort_unstable();
        self.close(&places);
        self.give_back();
        overdue
    }

    /// Takes out those at these places, which ascend, and returns how many others moved. Those before the middle of the queue have others
    /// move back, those behind it have others move up.
    fn close(&mut self, places: &[usize]) -> usize {
        let (front, rear) = places.split_at(places.partition_point(|&at| at < self.queue.len() / 2));
        let mut moved = 0;
        if let Some(&first) = rear.first() {
            let (mut gaps, mut to) = (rear.iter().peekable(), first);
            for from in first..self.queue.len() {
                if gaps.next_if_eq(&&from).is_none() {
                    self.queue[to] = self.queue[from];
                    to += 1;
                }
            }
            self.queue.truncate(to);
            moved += to - first;
        }
        if let Some(&last) = front.last() {
            let (mut gaps, mut to) = (front.iter().rev().peekable(), last + 1);
            for from in (0..=last).rev() {
                if gaps.next_if_eq(&&from).is_none() {
                    to -= 1;
                    self.queue[to] = self.queue[from];
                }
            }
            self.queue.drain(..to);
            moved += last + 1 - to;
        }
        moved
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
    use proptest::prelude::*;

    use super::{KEPT, Waiters};
    use crate::ids::RequestTag;
    use crate::nanos::Nanos;

    fn three() -> Waiters {
        let mut waiters = Waiters { next_sequence: u32::MAX, ..Waiters::default() };
        for deadline in [30, 10, 20] {
            waiters.push(RequestTag(deadline), Nanos::ZERO, Nanos(deadline));
        }
        waiters
    }

    /// The deadlines of those who expire.
    fn expired(waiters: &mut Waiters, now: u64, most: usize) -> Vec<u64> {
        waiters.take_overdue(Nanos(now), most).iter().map(|waiter| waiter.deadline.0).collect()
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
            |waiters, sequence| waiters.remove_bound_to(Some(sequence)).is_some(),
            |waiters, sequence| waiters.take_overdue(Nanos(u64::from(sequence)), 1).len() == 1,
        ];
        for way in ways {
            let mut waiters = Waiters::default();
            for number in 0..100 {
                assert_eq!(waiters.push(RequestTag(0), Nanos::ZERO, Nanos(u64::from(number))), number);
                waiters.first_without_a_start().unwrap().own_start = Some(number);
            }
            assert!((0..100).all(|number| way(&mut waiters, number)));
            assert!(waiters.queue.capacity() <= KEPT, "space for {}", waiters.queue.capacity());
        }
    }

    #[test]
    fn only_overdue_waiters_expire_the_earliest_deadline_first_and_order_is_kept() {
        let mut waiters = three();
        assert_eq!(waiters.next_deadline(), Some(Nanos(10)));
        assert_eq!(expired(&mut waiters, 9, 3), []);
        assert_eq!(expired(&mut waiters, 20, 1), [10]);
        assert_eq!(expired(&mut waiters, 20, 3), [20]);
        assert_eq!(expired(&mut waiters, 20, 3), []);
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

    #[test]
    fn however_many_expire_at_once_each_other_moves_once_at_most_and_only_on_the_shorter_side() {
        // A queue of 100; the places that are left, and how many of the others move.
        let cases: [(&[usize], usize); 7] =
            [(&[], 0), (&[0], 0), (&[99], 0), (&[30], 30), (&[70], 29), (&[0, 10, 49], 47), (&[1, 49, 50, 98], 1 + 47 + 47 + 1)];
        for (places, moves) in cases {
            let mut waiters = Waiters { next_sequence: u32::MAX - 40, ..Waiters::default() };
            for request in 0..100 {
                waiters.push(RequestTag(request), Nanos::ZERO, Nanos::MAX);
            }
            assert_eq!(waiters.close(places), moves, "{places:?}");
            let left: Vec<_> = waiters.queue.iter().map(|waiter| usize::try_from(waiter.request.0).unwrap()).collect();
            assert_eq!(left, (0..100).filter(|place| !places.contains(place)).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn waiters_come_expire_and_go_as_they_would_in_a_list(
            steps in prop::collection::vec((0..4_u8, 0..60_u32, 1..6_usize), 1..200),
        ) {
            let mut waiters = Waiters { next_sequence: u32::MAX - 30, ..Waiters::default() };
            let mut list: Vec<(u32, Nanos)> = Vec::new();
            for (step, number, most) in steps {
                let deadline = if number < 50 { Nanos(number.into()) } else { Nanos::MAX };
                match step {
                    0 | 1 => list.push((waiters.push(RequestTag(0), Nanos::ZERO, deadline), deadline)),
                    2 if list.is_empty() => prop_assert!(waiters.pop_oldest().is_none()),
                    2 => {
                        let (sequence, _) = list.remove(number as usize % list.len());
                        prop_assert_eq!(waiters.remove(sequence).unwrap().sequence, sequence);
                    }
                    _ => {
                        let now = Nanos(number.into());
                        let mut overdue: Vec<_> = list.iter().copied().filter(|waiter| waiter.1 <= now).collect();
                        overdue.sort_by_key(|&(sequence, deadline)| (deadline, sequence));
                        overdue.truncate(most);
                        list.retain(|waiter| !overdue.contains(waiter));
                        let taken: Vec<_> =
                            waiters.take_overdue(now, most).iter().map(|waiter| (waiter.sequence, waiter.deadline)).collect();
                        prop_assert_eq!(taken, overdue);
                    }
                }
                prop_assert!(waiters.queue.iter().map(|waiter| (waiter.sequence, waiter.deadline)).eq(list.iter().copied()));
                let next = list.iter().map(|waiter| waiter.1).filter(|&deadline| deadline < Nanos::MAX).min();
                prop_assert_eq!(waiters.next_deadline(), next);
            }
        }
    }
}
