//! Why requests found no free instance.
//!
//! A function's demand is its requests that execute or wait. Had no instance been let go, there would be as many as were ever ready at once,
//! less those that served a bad result and had to be destroyed. Demand up to that number finds nothing only because one was let go; beyond
//! it, there is no instance that could have been kept, and only a start ahead of demand would have helped.

use pilotlight_core::DestroyReason;

/// Why a request found no free instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortage {
    /// It is its function's first request.
    First,
    /// More of its function's requests execute or wait than there are instances that could have been kept.
    NewPeak,
    /// It would have found an instance, had none been let go.
    LetGo,
}

impl Shortage {
    /// Every reason, in the order of [`Report::shortages`](crate::Report::shortages).
    pub const ALL: [Self; 3] = [Self::First, Self::NewPeak, Self::LetGo];

    /// Name in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        ["first_request", "new_peak", "let_go"][self as usize]
    }
}

/// What one function has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Course {
    called: bool,
    /// Requests that execute or wait.
    demand: u32,
    /// Instances that are ready or serve.
    instances: u32,
    /// Instances there would be, had none been let go.
    kept: u32,
}

/// Counts queued requests by why they found nothing.
#[derive(Debug)]
pub(crate) struct Shortages {
    functions: Vec<Course>,
    counts: [u64; Shortage::ALL.len()],
}

impl Shortages {
    pub(crate) fn new(functions: usize) -> Self {
        Self { functions: vec![Course::default(); functions], counts: [0; Shortage::ALL.len()] }
    }

    /// A request arrived; `queued`: it found no free instance.
    pub(crate) fn arrived(&mut self, function: usize, queued: bool) {
        let course = &mut self.functions[function];
        course.demand += 1;
        let shortage = match course.demand {
            _ if !course.called => Shortage::First,
            demand if demand <= course.kept => Shortage::LetGo,
            _ => Shortage::NewPeak,
        };
        course.called = true;
        if queued {
            self.counts[shortage as usize] += 1;
        }
    }

    /// A request ended, or was told that it gets no instance.
    pub(crate) fn left(&mut self, function: usize) {
        self.functions[function].demand -= 1;
    }

    /// An instance is ready.
    pub(crate) fn ready(&mut self, function: usize) {
        let course = &mut self.functions[function];
        course.instances += 1;
        course.kept = course.kept.max(course.instances);
    }

    /// A slot of the function is given back.
    pub(crate) fn destroyed(&mut self, function: usize, reason: DestroyReason) {
        let course = &mut self.functions[function];
        match reason {
            DestroyReason::KeepAliveOver | DestroyReason::MemoryPressure => course.instances -= 1,
            DestroyReason::NeedDestroy | DestroyReason::Failing | DestroyReason::LeaseExpired => {
                course.instances -= 1;
                course.kept -= 1;
            }
            // None of these was ever ready; no run is drained, and no destroy fails.
            DestroyReason::Surplus
            | DestroyReason::InitFailed
            | DestroyReason::StartGivenUp
            | DestroyReason::Draining
            | DestroyReason::Repeated => {}
        }
    }

    pub(crate) fn counts(&self) -> [u64; Shortage::ALL.len()] {
        self.counts
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_core::DestroyReason;

    use super::Shortages;

    #[test]
    fn demand_that_kept_instances_would_serve_means_that_one_was_let_go() {
        let mut shortages = Shortages::new(1);
        shortages.arrived(0, true);
        shortages.arrived(0, true);
        shortages.ready(0);
        shortages.ready(0);
        shortages.left(0);
        shortages.arrived(0, false);
        shortages.left(0);
        shortages.left(0);
        shortages.destroyed(0, DestroyReason::KeepAliveOver);
        shortages.destroyed(0, DestroyReason::MemoryPressure);
        shortages.arrived(0, true);
        shortages.ready(0);
        shortages.arrived(0, true);
        shortages.arrived(0, true);
        assert_eq!(shortages.counts(), [1, 2, 2], "the third at once would have found two instances busy");
    }

    #[test]
    fn requests_queued_on_one_instance_are_not_instances() {
        let mut shortages = Shortages::new(1);
        for _ in 0..2 {
            (0..10).for_each(|_| shortages.arrived(0, true));
            shortages.ready(0);
            (0..10).for_each(|_| shortages.left(0));
            shortages.destroyed(0, DestroyReason::KeepAliveOver);
        }
        assert_eq!(shortages.counts(), [1, 18, 1]);
    }

    #[test]
    fn an_instance_that_served_a_bad_result_was_not_let_go() {
        let mut shortages = Shortages::new(1);
        for reason in [DestroyReason::NeedDestroy, DestroyReason::KeepAliveOver, DestroyReason::NeedDestroy] {
            shortages.arrived(0, true);
            shortages.ready(0);
            shortages.left(0);
            shortages.destroyed(0, reason);
        }
        assert_eq!(shortages.counts(), [1, 1, 1]);
    }
}
