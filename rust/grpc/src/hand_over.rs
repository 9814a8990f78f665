//! What threads of ours leave for a host: a queue, and a bell that the host's event loop hears.
//!
//! The bell rings when the queue stops being empty, so a burst costs the host one wake-up. Neither side ever waits for the other.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Things on their way to a host.
#[derive(Debug)]
pub struct HandOver<T> {
    queue: Mutex<Vec<T>>,
    bell: UnixStream,
    ear: UnixStream,
}

impl<T> HandOver<T> {
    /// Creates an empty queue.
    ///
    /// # Errors
    ///
    /// The system has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { queue: Mutex::new(Vec::new()), bell, ear })
    }

    /// Becomes readable when there is something to take. Only to be polled.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.ear.as_raw_fd()
    }

    /// Leaves things, if there are any.
    pub fn push(&self, things: Vec<T>) {
        if things.is_empty() {
            return;
        }
        let mut queue = self.lock();
        let was_empty = queue.is_empty();
        queue.extend(things);
        drop(queue);
        if was_empty {
            // A bell that cannot take another byte rings already.
            let _ = (&self.bell).write(&[1]);
        }
    }

    /// Takes everything that was left, in its order.
    #[must_use]
    pub fn take(&self) -> Vec<T> {
        // Silenced before the queue is emptied: whoever pushes after that rings anew.
        let mut rung = [0; 64];
        while match (&self.ear).read(&mut rung) {
            Ok(read) => read == rung.len(),
            Err(error) => error.kind() == ErrorKind::Interrupted,
        } {}
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<T>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::HandOver;

    #[test]
    fn the_bell_rings_once_for_all_that_is_taken_at_once() {
        let hand_over = HandOver::new().unwrap();
        hand_over.push(vec![]);
        assert!((&hand_over.ear).read(&mut [0]).is_err(), "nothing rings for nothing");
        hand_over.push(vec![1]);
        hand_over.push(vec![2, 3]);
        assert_eq!((&hand_over.ear).read(&mut [0; 8]).unwrap(), 1);
        assert_eq!(hand_over.take(), [1, 2, 3]);
        hand_over.push(vec![4]);
        assert_eq!((&hand_over.ear).read(&mut [0; 8]).unwrap(), 1);
    }
}
