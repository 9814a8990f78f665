//! What will happen when: a heap of the platform's answers and of requests' ends. Arrivals stay in the trace, which is sorted already.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use pilotlight_core::{Nanos, SlotId};

/// What happens. At one moment, kinds happen in this order: what frees an instance before what would ask for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    RequestEnded,
    InstanceReady,
    InitFailed,
    SlotCreated,
    CreateFailed,
}

/// Something that will happen to a slot. The order of the fields is the order of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Event {
    pub(crate) time: Nanos,
    pub(crate) kind: Kind,
    /// Breaks ties. It wraps; a tie across the wrap is still broken alike in every run.
    sequence: u32,
    pub(crate) slot: SlotId,
}

/// Events in order.
#[derive(Debug, Default)]
pub(crate) struct EventQueue {
    heap: BinaryHeap<Reverse<Event>>,
    next_sequence: u32,
}

impl EventQueue {
    pub(crate) fn schedule(&mut self, time: Nanos, kind: Kind, slot: SlotId) {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        self.heap.push(Reverse(Event { time, kind, sequence, slot }));
    }

    /// When the next event happens.
    pub(crate) fn next_time(&self) -> Option<Nanos> {
        self.heap.peek().map(|Reverse(event)| event.time)
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.heap.pop().map(|Reverse(event)| event)
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, EventQueue, Kind};
    use pilotlight_core::{Nanos, SlotId};

    #[test]
    fn events_come_by_time_then_kind_then_age() {
        let mut queue = EventQueue::default();
        for (time, kind, slot) in [
            (2, Kind::RequestEnded, 0),
            (1, Kind::SlotCreated, 1),
            (1, Kind::InstanceReady, 3),
            (1, Kind::InstanceReady, 2),
            (1, Kind::RequestEnded, 4),
        ] {
            queue.schedule(Nanos(time), kind, SlotId::from_bits(slot));
        }
        let order: Vec<_> = std::iter::from_fn(|| queue.pop()).map(|event| event.slot.to_bits()).collect();
        assert_eq!(order, [4, 3, 2, 1, 0]);
    }

    #[test]
    fn an_event_is_three_words() {
        assert_eq!(size_of::<Event>(), 24);
    }
}
