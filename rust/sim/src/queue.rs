//! What will happen when: a heap of the platform's answers and of requests' ends. Arrivals stay in the trace, which is sorted already.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pilotlight_core::Nanos;

/// What happens. At one moment, kinds happen in this order: what frees an instance before what would ask for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    RequestEnded = 0,
    InstanceReady = 1,
    InitFailed = 2,
    SlotCreated = 3,
    CreateFailed = 4,
}

impl Kind {
    const ALL: [Self; 5] = [Self::RequestEnded, Self::InstanceReady, Self::InitFailed, Self::SlotCreated, Self::CreateFailed];
}

/// Something that will happen to a slot, in one number whose order is the order of events: a comparison is one of integers, and four
/// events share a cache line.
///
/// | bits | field | meaning |
/// |---|---|---|
/// | 64–127 | time | ns |
/// | 61–63 | kind | [`Kind`] |
/// | 32–60 | sequence | breaks ties: what was scheduled first comes first. It wraps; a tie across the wrap is still broken alike in every run |
/// | 0–31 | slot | index in the slot table |
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Event(u128);

const TIME_BIT: u32 = 64;
const KIND_BIT: u32 = 61;
const SEQUENCE_BIT: u32 = 32;
const SEQUENCES: u32 = 1 << (KIND_BIT - SEQUENCE_BIT);

/// Events in order.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    heap: BinaryHeap<Reverse<Event>>,
    next_sequence: u32,
}

impl EventQueue {
    /// `slot`: its index.
    pub(crate) fn schedule(&mut self, time: Nanos, kind: Kind, slot: u32) {
        let sequence = self.next_sequence;
        self.next_sequence = (sequence + 1) % SEQUENCES;
        let rank = u64::from(kind as u8) << KIND_BIT | u64::from(sequence) << SEQUENCE_BIT | u64::from(slot);
        self.heap.push(Reverse(Event(u128::from(time.0) << TIME_BIT | u128::from(rank))));
    }

    /// When the next event happens.
    pub(crate) fn next_time(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(event)| event.time())
    }

    /// Takes the next event: what happens, and to the slot of which index.
    pub(crate) fn pop(&mut self) -> Option<(Kind, usize)> {
        self.heap.pop().map(|Reverse(event)| (event.kind(), event.slot()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "each field is cut out of the number")]
impl Event {
    fn time(self) -> Nanos {
        Nanos((self.0 >> TIME_BIT) as u64)
    }

    fn kind(self) -> Kind {
        Kind::ALL[(self.0 as u64 >> KIND_BIT) as usize]
    }

    fn slot(self) -> usize {
        self.0 as u32 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, EventQueue, Kind, SEQUENCES};
    use pilotlight_core::Nanos;

    #[test]
    fn events_come_by_time_then_kind_then_age() {
        let mut queue = EventQueue { next_sequence: SEQUENCES - 3, ..EventQueue::default() };
        for (time, kind, slot) in [(u64::MAX, Kind::RequestEnded, u32::MAX), (1, Kind::CreateFailed, 1), (1, Kind::InstanceReady, 3)] {
            queue.schedule(Nanos(time), kind, slot);
        }
        queue.next_sequence = 0;
        for (kind, slot) in [(Kind::SlotCreated, 5), (Kind::SlotCreated, 4), (Kind::InitFailed, 9), (Kind::RequestEnded, 6)] {
            queue.schedule(Nanos(1), kind, slot);
        }
        assert_eq!(queue.next_time(), Some(Nanos(1)));
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        let expected = [
            (Kind::RequestEnded, 6),
            (Kind::InstanceReady, 3),
            (Kind::InitFailed, 9),
            (Kind::SlotCreated, 5),
            (Kind::SlotCreated, 4),
            (Kind::CreateFailed, 1),
            (Kind::RequestEnded, u32::MAX as usize),
        ];
        assert_eq!(order, expected);
    }

    #[test]
    fn four_events_fill_a_cache_line() {
        assert_eq!(size_of::<Event>(), 16);
    }
}
