//! Survival: how far the instances at work may be counted on to come back.
//!
//! An execution that ends badly takes its instance along. Where that happens, a busy instance is
//! worth no more than the share of executions that instances survive. And to wait for one saves a
//! start only if none is lost meanwhile: otherwise the start is put off, and the wait comes on top.

use super::Function;
use super::keep::CROWD;
use crate::nanos::Nanos;

/// A busy instance counts as so much at least.
const LEAST: f64 = 0.01;

/// The share of executions that their instance survives. Exactly 1 where none was ever lost.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub(super) struct Survival(f64);

impl Survival {
    /// The share, as far as a busy instance may be counted on. Never quite nothing: it is a mean
    /// over a few dozen executions.
    pub(super) fn share(self) -> f64 {
        self.0.max(LEAST)
    }

    /// The share of executions that cost their instance.
    pub(super) fn lost(self) -> f64 {
        1.0 - self.0
    }

    /// The probability that so many executions cost no instance.
    pub(super) fn of_all(self, executions: f64) -> f64 {
        self.0.powf(executions)
    }

    /// The probability that so many executions cost an instance each.
    pub(super) fn of_none(self, executions: f64) -> f64 {
        self.lost().powf(executions)
    }

    /// Requests that an instance serves on average until it is lost.
    pub(super) fn serves(self) -> f64 {
        1.0 / self.lost()
    }
}

impl Function {
    /// What is to be expected of executions: what became of its own lately, with the first ones of
    /// all functions counted as one more.
    pub(super) fn survival(&self) -> Survival {
        let own = f64::from(self.rates.remembered());
        let lost = own * self.rates.lost_share() + CROWD * self.shared.crowd.lost_share();
        Survival(1.0 - lost / (own + CROWD))
    }

    /// How long to keep an instance that becomes free as `level` ends. `window`: that of a level.
    ///
    /// Of the instances at work on the levels below, some are lost. It takes the place of one of them,
    /// and is wanted a gap of that level after that execution.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of the levels below")]
    pub(super) fn kept(&self, level: u32, window: impl Fn(u32) -> Nanos) -> Nanos {
        if level <= 1 || self.rates.lost_share() <= 0.0 {
            return window(level);
        }
        let lost = self.survival().lost();
        let served = level - (lost * f64::from(level - 1)).round() as u32;
        let executing_s = self.rates.service_s().unwrap_or(0.0);
        window(served) + Nanos::from_secs_f64(lost * executing_s)
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::Survival;

    #[test]
    fn what_always_survives_changes_nothing() {
        let always = Survival(1.0);
        assert_eq!((always.of_all(1e9), always.of_none(1.0), always.serves()), (1.0, 0.0, f64::INFINITY));
    }

    #[test]
    fn a_start_is_hardly_saved_where_one_execution_in_ten_is_fatal() {
        let mostly = Survival(0.9);
        assert!(mostly.of_all(20.0) < 0.13 && mostly.of_none(2.0) < 0.011);
        assert!((mostly.serves() - 10.0).abs() < 1e-9);
    }
}
