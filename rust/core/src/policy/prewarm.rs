//! The plan of the histogram policies for an idle function: let its instance go, have one again just before it is needed.

use super::{Load, Target};
use crate::nanos::Nanos;

/// When an idle function has an instance, counted from the moment its demand fell to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// From here. Zero: it is not let go in the first place.
    pub(super) prewarm: Nanos,
    /// To here.
    pub(super) until: Nanos,
}

impl Plan {
    /// How long to keep an instance freed at `level`. Level 1 follows the plan; the papers know one instance a function, and those above
    /// are kept for as long as the plan keeps its one.
    pub(super) fn keep_alive(&self, level: u32) -> Nanos {
        match (level, self.prewarm) {
            (0 | 1, Nanos::ZERO) => self.until,
            (0 | 1, _) => Nanos::ZERO,
            _ => self.until - self.prewarm,
        }
    }

    /// One instance while the plan wants it there. `idle_since`: when demand fell to zero, if it is zero.
    pub(super) fn target(&self, load: &Load, idle_since: Option<Nanos>) -> Target {
        let now = load.facts.now;
        if self.prewarm == Nanos::ZERO {
            return Target::NONE;
        }
        let Some(since) = idle_since.filter(|_| load.demand == 0) else {
            // An idle time that begins from now on has no use for an instance before this.
            return Target { instances: 0, again: now + self.prewarm };
        };
        let (from, until) = (since + self.prewarm, since + self.until);
        match now {
            _ if now < from => Target { instances: 0, again: from },
            _ if now < until => Target { instances: 1, again: until },
            _ => Target::NONE,
        }
    }
}

/// The function's idle times, from the changes of its demand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct IdleTimes {
    since: Option<Nanos>,
}

impl IdleTimes {
    /// Demand rose to `level`; returns the idle time that this ends.
    pub(super) fn rose(&mut self, now: Nanos, level: u32) -> Option<Nanos> {
        (level == 1).then(|| self.since.take()).flatten().map(|since| now.since(since))
    }

    pub(super) fn fell(&mut self, now: Nanos, level: u32) {
        if level == 1 {
            self.since = Some(now);
        }
    }

    pub(super) fn since(&self) -> Option<Nanos> {
        self.since
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{IdleTimes, Plan};
    use crate::nanos::Nanos;
    use crate::policy::{Facts, Load, Target};

    const S: fn(u64) -> Nanos = Nanos::from_secs;

    fn load(now: u64, demand: u32) -> Load {
        Load { facts: Facts { now: S(now), memory_mb: 128, cold_start: S(1) }, demand, instances: demand }
    }

    #[test]
    fn an_instance_is_there_from_prewarm_until_the_end() {
        let plan = Plan { prewarm: S(54), until: S(132) };
        let at = |now| plan.target(&load(now, 0), Some(S(1000)));
        assert_eq!(at(1001), Target { instances: 0, again: S(1054) });
        assert_eq!(at(1054), Target { instances: 1, again: S(1132) });
        assert_eq!(at(1132), Target::NONE);
        assert_eq!([0, 1, 2].map(|level| plan.keep_alive(level)), [Nanos::ZERO, Nanos::ZERO, S(78)]);
    }

    #[test]
    fn a_busy_function_needs_none_and_is_asked_again_in_time() {
        let plan = Plan { prewarm: S(54), until: S(132) };
        assert_eq!(plan.target(&load(7, 1), Some(S(0))), Target { instances: 0, again: S(61) });
    }

    #[test]
    fn without_prewarm_the_instance_stays_from_the_start() {
        let plan = Plan { prewarm: Nanos::ZERO, until: S(66) };
        assert_eq!(plan.target(&load(7, 0), Some(S(0))), Target::NONE);
        assert_eq!([1, 2].map(|level| plan.keep_alive(level)), [S(66); 2]);
    }

    #[test]
    fn an_idle_time_is_from_the_fall_to_zero_until_the_rise_from_it() {
        let mut times = IdleTimes::default();
        assert_eq!(times.rose(S(1), 1), None, "the first call ends no idle time");
        assert_eq!(times.rose(S(2), 2), None);
        times.fell(S(3), 2);
        times.fell(S(4), 1);
        assert_eq!(times.rose(S(9), 1), Some(S(5)));
        assert_eq!(times.since(), None);
    }
}
