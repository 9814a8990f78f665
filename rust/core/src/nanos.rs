//! Time as the engine sees it: a count of nanoseconds on the host's monotonic clock.

use std::fmt;
use std::ops::{Add, Sub};

/// A moment or a length of time in nanoseconds. Arithmetic saturates: a window that reaches past the end of time is "for ever".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nanos(pub u64);

impl Nanos {
    /// The origin of the host's clock, or no time at all.
    pub const ZERO: Self = Self(0);
    /// "Never", or "for ever".
    pub const MAX: Self = Self(u64::MAX);

    /// Converts milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// Converts seconds.
    #[must_use]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// Converts seconds, rounding to the nearest nanosecond; negative and NaN give zero, too large gives [`Nanos::MAX`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate, which is the rule stated")]
    pub fn from_secs_f64(secs: f64) -> Self {
        let nanos = secs * 1e9;
        // A cast cuts off. `round` is a call into a library on x86-64, unless newer processors are asked for.
        let whole = nanos as u64;
        Self(whole.saturating_add(u64::from(nanos - whole as f64 >= 0.5)))
    }

    /// Converts to seconds.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1e9
    }

    /// Time from `earlier` until this moment; zero if it lies in the future (hosts' threads may read their clock out of order).
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl Add for Nanos {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sub for Nanos {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self.since(other)
    }
}

impl fmt::Display for Nanos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::Nanos;

    #[test]
    fn arithmetic_saturates_at_both_ends() {
        assert_eq!(Nanos::MAX + Nanos(1), Nanos::MAX);
        assert_eq!(Nanos(1) - Nanos(2), Nanos::ZERO);
        assert_eq!(Nanos::from_secs(u64::MAX), Nanos::MAX);
    }

    #[test]
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "what is tested against")]
    fn seconds_round_to_the_nearest_nanosecond() {
        assert_eq!(Nanos::from_secs_f64(1.5), Nanos(1_500_000_000));
        assert_eq!(Nanos::from_secs_f64(-1.0), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(f64::NAN), Nanos::ZERO);
        assert_eq!(Nanos::from_secs_f64(f64::INFINITY), Nanos::MAX);
        for nanos in [0.0, 0.499_999_999_999_999_94, 0.5, 1.499, 2.5, 4e15 + 0.5, 9e15, 1.8e19, 1.9e19, -0.5, -7.0] {
            let secs = nanos / 1e9;
            assert_eq!(Nanos::from_secs_f64(secs).0, (secs * 1e9).round() as u64, "{nanos} ns");
        }
    }
}
