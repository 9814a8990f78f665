//! The host's clock, read without the host.

use std::time::Instant;

use pilotlight_core::Nanos;

/// A monotonic clock that agrees with the host's: both count the system's, from different origins.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: Instant,
    at_origin: Nanos,
}

impl Clock {
    /// Sets the clock by what the host's reads at this moment.
    #[must_use]
    pub fn set(now: Nanos) -> Self {
        Self { origin: Instant::now(), at_origin: now }
    }

    /// Reads the clock.
    #[must_use]
    pub fn now(&self) -> Nanos {
        let elapsed = u64::try_from(self.origin.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.at_origin + Nanos(elapsed)
    }
}
