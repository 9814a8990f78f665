//! What too few instances cost: queueing arithmetic for "wait, or start one more?" and for "what would a missing instance cost?".
//!
//! A function with n instances, execution time s and a arrivals a second is taken as a single queue served at the rate n/s. While
//! requests wait it shrinks by μ = n/s − a a second; expected seconds waited until a queue of x is gone, arrivals on the way included,
//! are x(x+1)/2μ + x·a/μ² (the area of an M/M/1 busy period).

/// A function's queue and what serves it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// Instances that serve it now or soon.
    pub(super) instances: f64,
    /// Seconds a request executes.
    pub(super) execution_s: f64,
    /// Requests a second that keep coming.
    pub(super) arrivals: f64,
}

/// The net rate at which a queue shrinks is never taken as less than this share of the gross: beyond it the measures are noise.
const LEAST_NET: f64 = 0.1;
/// Departures, or requests, from which on chance averages out.
const MANY: f64 = 60.0;

impl Service {
    fn rate(&self) -> f64 {
        self.instances / self.execution_s
    }

    /// The rate at which a queue shrinks.
    fn net(&self) -> f64 {
        (self.rate() - self.arrivals).max(LEAST_NET * self.rate())
    }

    /// Seconds of waiting that one more instance, there at once, would take off a queue of so many requests; more for a longer queue.
    pub(super) fn saved_at_once(&self, waiting: f64) -> f64 {
        let net = self.net();
        let arrivals = self.rate() - net;
        let faster = net + 1.0 / self.execution_s;
        let area = |x: f64, net: f64| x * (x + 1.0) / (2.0 * net) + x * arrivals / (net * net);
        area(waiting, net) - area(waiting, faster)
    }

    /// Seconds of waiting that one more instance, ready after `start_s`, would take off a queue of `waiting` requests.
    pub(super) fn saved_by_one_more(&self, waiting: u32, start_s: f64) -> f64 {
        let net = self.net();
        let saved = |x: f64| self.saved_at_once(x);
        // How many leave the queue before the start is done: a Poisson number.
        let leaving = net * start_s;
        if leaving > MANY || f64::from(waiting) > MANY {
            let left = f64::from(waiting) - leaving;
            return if left > 0.0 { saved(left) } else { 0.0 };
        }
        let mut probability = (-leaving).exp();
        let mut expected = 0.0;
        for gone in 0..waiting {
            expected += probability * saved(f64::from(waiting - gone));
            probability *= leaving / f64::from(gone + 1);
        }
        expected
    }

    /// Seconds of waiting that a request finding every instance busy brings about if no start is made, for Poisson arrivals and exponential
    /// executions; infinite if the instances cannot carry the load.
    pub(super) fn waited_by_one_too_many(&self) -> f64 {
        let net = self.rate() - self.arrivals;
        if net <= 0.0 {
            return f64::INFINITY;
        }
        let faster = net + 1.0 / self.execution_s;
        1.0 / net - 1.0 / faster + self.arrivals * (1.0 / (net * net) - 1.0 / (faster * faster))
    }

    /// Seconds that a request finding every instance busy waits if a start taking `start_s` is made for it.
    pub(super) fn waited_for_a_start(&self, start_s: f64) -> f64 {
        let net = self.rate() - self.arrivals;
        if net <= 0.0 { start_s } else { (-(-net * start_s).exp_m1() / net).min(start_s) }
    }
}

/// Loads are carried by at most this many instances here; beyond it a level is always worth having.
const MOST: u32 = 200;
/// The squared coefficient of variation that the times between arrivals are taken to have: they come in bursts.
const ARRIVALS_VARY: f64 = 3.0;

/// How many times as long a queue is as Erlang's formula has it, for executions of this squared coefficient of variation.
///
/// # Source
///
/// The approximation of Allen and Cunneen: half the sum of the squared coefficients of variation of arrivals and executions.
pub(super) fn lengthened(executions_vary: f64) -> f64 {
    0.5 * (ARRIVALS_VARY + executions_vary)
}

/// How many instances are worth having all the time for a load (in requests executing on average): as many as take more off the queue,
/// at `lambda` GB·s a second waited, than they hold, with queues `lengthened` by so much. At least one.
///
/// # Source
///
/// Erlang's C formula for the length of the queue, by the recursion of his B formula.
pub(super) fn worth_having(load: f64, lengthened: f64, memory_gb: f64, lambda: f64) -> u32 {
    let mut blocking = 1.0;
    let mut before = f64::INFINITY;
    for instances in 1..=MOST {
        let n = f64::from(instances);
        blocking = load * blocking / (n + load * blocking);
        if n <= load {
            continue;
        }
        let waits = blocking / (1.0 - load / n * (1.0 - blocking));
        let queue = lengthened * waits * load / (n - load);
        if lambda * (before - queue) < memory_gb {
            return instances - 1;
        }
        before = queue;
    }
    MOST
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Service, lengthened, worth_having};

    #[test]
    fn a_burst_is_worth_a_start_and_a_straggler_is_not() {
        let service = Service { instances: 1.0, execution_s: 0.1, arrivals: 0.0 };
        assert!(service.saved_by_one_more(1, 3.0) < 1e-6);
        // 100 requests take 10 s; after 3 s of starting, 70 are left: 35·7 s of waiting become half of that.
        assert!((service.saved_by_one_more(100, 3.0) - 70.0 * 71.0 / 2.0 * 0.1 / 2.0).abs() < 1e-6);
    }

    #[test]
    fn a_start_that_takes_no_time_saves_what_one_more_server_saves() {
        let service = Service { instances: 2.0, execution_s: 1.0, arrivals: 0.0 };
        // One waiting request: half a second instead of a third.
        assert!((service.saved_by_one_more(1, 0.0) - (1.0 / 2.0 - 1.0 / 3.0)).abs() < 1e-9);
    }

    #[test]
    fn a_queue_that_never_ends_waits_for_ever_without_a_start_and_for_the_start_with_one() {
        let service = Service { instances: 1.0, execution_s: 1.0, arrivals: 2.0 };
        assert!(service.waited_by_one_too_many().is_infinite());
        assert!((service.waited_for_a_start(3.0) - 3.0).abs() < 1e-9);
        let quick = Service { instances: 1.0, execution_s: 0.01, arrivals: 2.0 };
        assert!(quick.waited_for_a_start(3.0) < 0.02);
    }

    #[test]
    fn instances_worth_having_follow_erlangs_formula() {
        // M/M/1 at load 0.5: a queue of 0.5; M/M/2: 1/30. The second is worth 0.467·λ, lengthened.
        for executions_vary in [0.0, 1.0, 5.0] {
            let longer = lengthened(executions_vary);
            let second = longer * (0.5 - 1.0 / 30.0);
            assert_eq!(worth_having(0.5, longer, 1.0, 1.01 / second), 2);
            assert_eq!(worth_having(0.5, longer, 1.0, 0.99 / second), 1);
        }
        assert_eq!(worth_having(0.0, 4.0, 1.0, 100.0), 1, "the first one has no queue to shorten");
        assert!(worth_having(10.0, 1.0, 1.0, 1e-6) >= 10, "fewer cannot carry it");
    }
}
