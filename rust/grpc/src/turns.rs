//! Turns among the calls in flight: so many at once, the urgent ones first.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::sync::oneshot::{self, Sender};

/// Who holds a turn and who waits for one; of one thread.
#[derive(Debug)]
pub(crate) struct Turns {
    free: Cell<usize>,
    /// In order of arrival; whoever went away meanwhile does not take its turn.
    urgent: RefCell<VecDeque<Sender<Turn>>>,
    others: RefCell<VecDeque<Sender<Turn>>>,
}

/// A turn; dropping it passes it on.
#[derive(Debug)]
pub(crate) struct Turn(Rc<Turns>);

impl Turns {
    pub(crate) fn new(at_once: usize) -> Rc<Self> {
        Rc::new(Self { free: Cell::new(at_once), urgent: RefCell::default(), others: RefCell::default() })
    }

    /// Waits for a turn; an urgent one comes before all that are not.
    pub(crate) async fn take(self: &Rc<Self>, urgent: bool) -> Turn {
        if let Some(left) = self.free.get().checked_sub(1) {
            self.free.set(left);
            return Turn(Rc::clone(self));
        }
        let (sender, turn) = oneshot::channel();
        {
            let mut queue = if urgent { &self.urgent } else { &self.others }.borrow_mut();
            while queue.front().is_some_and(Sender::is_closed) {
                queue.pop_front();
            }
            queue.push_back(sender);
        }
        turn.await.expect("a queue drops nobody who waits")
    }

    fn next(&self) -> Option<Sender<Turn>> {
        let urgent = self.urgent.borrow_mut().pop_front();
        urgent.or_else(|| self.others.borrow_mut().pop_front())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        while let Some(next) = self.0.next() {
            if !next.is_closed() {
                // If it is closed before it has looked, the turn in it is dropped and passed on.
                drop(next.send(Self(Rc::clone(&self.0))));
                return;
            }
        }
        self.0.free.set(self.0.free.get() + 1);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::{Turn, Turns};

    fn poll(waiting: std::pin::Pin<&mut impl Future<Output = Turn>>) -> Option<Turn> {
        match waiting.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    #[test]
    fn urgent_ones_come_first_and_those_who_left_take_no_turn() {
        let turns = Turns::new(1);
        let first = poll(pin!(turns.take(false))).expect("a free turn");
        let mut ordinary = pin!(turns.take(false));
        let mut impatient = Box::pin(turns.take(true));
        let mut urgent = pin!(turns.take(true));
        assert!(poll(ordinary.as_mut()).is_none());
        assert!(poll(impatient.as_mut()).is_none());
        assert!(poll(urgent.as_mut()).is_none());
        drop(impatient);
        drop(first);
        assert!(poll(ordinary.as_mut()).is_none());
        drop(poll(urgent.as_mut()).expect("the first that is urgent"));
        drop(poll(ordinary.as_mut()).expect("the only one left"));
        assert_eq!(turns.free.get(), 1);
    }

    #[test]
    fn a_turn_that_was_given_and_not_taken_is_passed_on() {
        let turns = Turns::new(1);
        let first = poll(pin!(turns.take(false))).expect("a free turn");
        let mut gone = Box::pin(turns.take(false));
        assert!(poll(gone.as_mut()).is_none());
        drop(first);
        assert_eq!(turns.free.get(), 0);
        drop(gone);
        assert_eq!(turns.free.get(), 1);
    }
}
