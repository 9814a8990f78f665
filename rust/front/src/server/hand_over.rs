//! What the server's threads leave for the host: a queue, and a bell that the host's event loop hears.
//!
//! The bell rings when the queue stops being empty, so a burst of commands costs the host one wake-up. Neither side ever waits for the other.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::settle::HostCommand;

/// Commands on their way to the host.
#[derive(Debug)]
pub struct HandOver {
    queue: Mutex<Vec<HostCommand>>,
    bell: UnixStream,
    ear: UnixStream,
}

impl HandOver {
    /// Creates an empty queue.
    ///
    /// # Errors
    ///
    /// The system has no file descriptors left.
    pub fn new() -> io::Result<Self> {
        let (bell, ear) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ear.set_nonblocking(true)?;
        Ok(Self { queue: Mutex::default(), bell, ear })
    }

    /// Becomes readable when there is something to take. Only to be polled.
    #[must_use]
    pub fn descriptor(&self) -> RawFd {
        self.ear.as_raw_fd()
    }

    /// Leaves commands.
    pub fn push(&self, commands: Vec<HostCommand>) {
        if commands.is_empty() {
            return;
        }
        let mut queue = self.lock();
        let was_empty = queue.is_empty();
        queue.extend(commands);
        drop(queue);
        if was_empty {
            // A bell that cannot take another byte rings already.
            let _ = (&self.bell).write(&[1]);
        }
    }

    /// Takes everything that was left, in its order.
    #[must_use]
    pub fn take(&self) -> Vec<HostCommand> {
        // Silenced before the queue is emptied: whoever pushes after that rings anew.
        let mut rung = [0; 64];
        while match (&self.ear).read(&mut rung) {
            Ok(read) => read == rung.len(),
            Err(error) => error.kind() == ErrorKind::Interrupted,
        } {}
        std::mem::take(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<HostCommand>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use pilotlight_core::{DestroyReason, SlotId};

    use super::HandOver;
    use crate::settle::HostCommand;

    fn destroy(bits: u64) -> HostCommand {
        HostCommand::DestroySlot { slot: SlotId::from_bits(bits), reason: DestroyReason::Surplus }
    }

    #[test]
    fn the_bell_rings_once_for_all_that_is_taken_at_once() {
        let hand_over = HandOver::new().unwrap();
        hand_over.push(vec![]);
        assert!((&hand_over.ear).read(&mut [0]).is_err(), "nothing rings for nothing");
        hand_over.push(vec![destroy(1)]);
        hand_over.push(vec![destroy(2), destroy(3)]);
        assert_eq!((&hand_over.ear).read(&mut [0; 8]).unwrap(), 1);
        let taken = hand_over.take();
        assert_eq!(taken.len(), 3);
        assert!(matches!(taken[2], HostCommand::DestroySlot { slot, .. } if slot == SlotId::from_bits(3)));
        hand_over.push(vec![destroy(4)]);
        assert_eq!((&hand_over.ear).read(&mut [0; 8]).unwrap(), 1);
    }
}
