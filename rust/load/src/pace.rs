//! Waking up on time. The runtime's own timer counts in milliseconds, in which an open loop of 20,000 calls a second would come in bursts
//! of twenty; the kernel's timer is exact to microseconds.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::error::LoadError;

/// A timer of the kernel, on the current runtime.
#[derive(Debug)]
pub(crate) struct Pacer {
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    pub(crate) fn new() -> Result<Self, LoadError> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let failed = "cannot make a timer";
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags).map_err(|error| LoadError::system(failed)(error.into()))?;
        // SAFETY: an `OwnedFd` holds a valid descriptor, and nobody replaces or closes it before the `AsyncFd` is dropped.
        let timer = unsafe { AsyncFd::register_with_interest(timer, Interest::READABLE) };
        Ok(Self { timer: timer.map_err(|error| LoadError::system(failed)(error.into()))? })
    }

    /// Returns at the moment, or at once when it has passed.
    pub(crate) async fn until(&self, moment: Instant) -> Result<(), LoadError> {
        let wait = moment.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Ok(());
        }
        self.sleep(wait).await.map_err(LoadError::system("cannot set a timer"))
    }

    async fn sleep(&self, wait: Duration) -> std::io::Result<()> {
        let it_value = Timespec::try_from(wait).map_err(|_| std::io::ErrorKind::InvalidInput)?;
        let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
        timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &Itimerspec { it_interval, it_value })?;
        loop {
            let mut guard = self.timer.readable().await?;
            let read = guard.try_io(|timer| Ok(rustix::io::read(timer.get_ref(), &mut [0; 8])?));
            if let Ok(outcome) = read {
                return outcome.map(drop);
            }
        }
    }
}
