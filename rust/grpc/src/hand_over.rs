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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::HandOver;

    /// Whether the bell rings within a minute.
    fn rings<T>(hand_over: &HandOver<T>) -> bool {
        let mut ear = [PollFd::new(&hand_over.ear, PollFlags::IN)];
        let minute = Timespec { tv_sec: 60, tv_nsec: 0 };
        poll(&mut ear, Some(&minute)).is_ok_and(|ringing| ringing == 1)
    }

    #[test]
    fn nothing_is_left_behind_a_silent_bell() {
        const THREADS: usize = 4;
        const EACH: usize = 20_000;
        let hand_over = HandOver::new().unwrap();
        let (pushed, taken, mut most) = (AtomicUsize::new(0), AtomicUsize::new(0), 0);
        thread::scope(|scope| {
            for _ in 0..THREADS {
                let (hand_over, pushed, taken) = (&hand_over, &pushed, &taken);
                scope.spawn(move || {
                    for number in 0..EACH {
                        hand_over.push(vec![number]);
                        let all = pushed.fetch_add(1, Ordering::SeqCst) + 1;
                        // An empty queue must come up often: that is where a bell could be missed.
                        while number % 8 == 0 && taken.load(Ordering::SeqCst) < all {
                            thread::yield_now();
                        }
                    }
                });
            }
            while taken.load(Ordering::SeqCst) < THREADS * EACH {
                assert!(rings(&hand_over), "{taken:?} of {} came, and no bell rings", THREADS * EACH);
                let things = hand_over.take().len();
                most = most.max(things);
                taken.fetch_add(things, Ordering::SeqCst);
            }
        });
        assert!(most > 1, "the threads never met");
    }

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
