//! Trace time, which may run faster than the wall clock.

use std::time::{Duration, Instant};

/// A clock that agrees with its host's: both count the system's, from different origins.
#[derive(Clone, Copy, Debug)]
pub struct TraceClock {
    origin: Instant,
    at_origin_ns: u64,
    speed: f64,
}

impl TraceClock {
    /// Sets the clock by what the host's reads at this moment; `speed` is trace time per wall time.
    #[must_use]
    pub fn set(now_ns: u64, speed: f64) -> Self {
        Self { origin: Instant::now(), at_origin_ns: now_ns, speed }
    }

    /// Reads the trace time.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.at_origin_ns.saturating_add(nanoseconds(span(self.origin.elapsed().as_secs_f64() * self.speed)))
    }

    /// Returns at a moment of trace time or as soon after as the timer can; at once when it has passed.
    pub(super) async fn sleep_until(&self, moment_ns: u64) {
        while let Some(left_ns) = moment_ns.checked_sub(self.now_ns()).filter(|&left_ns| left_ns > 0) {
            tokio::time::sleep(self.wall(left_ns)).await;
        }
    }

    /// Says a duration as the scaler lives it: its clock is the wall clock, whatever the speed.
    pub(super) fn wall_ms(&self, trace_ns: u64) -> u64 {
        nanoseconds(self.wall(trace_ns) + Duration::from_micros(500)) / 1_000_000
    }

    fn wall(&self, trace_ns: u64) -> Duration {
        span(Duration::from_nanos(trace_ns).as_secs_f64() / self.speed)
    }
}

/// What is longer than a clock can tell counts as that long.
fn span(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX / 2)
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
