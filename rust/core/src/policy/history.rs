//! A function's demand over time, as time-weighted sums in a ring of buckets: what averages over windows are taken from.

use crate::nanos::Nanos;

/// Demand over the newest buckets of time. Memory: 8 bytes a bucket, whatever happens.
///
/// Buckets begin at multiples of their width on the host's clock; the newest is the one in progress.
#[derive(Clone, Debug)]
pub(super) struct History {
    width: Nanos,
    /// Demand integrated over time, in ns; bucket `n` stands at `n` modulo the length.
    areas: Box<[u64]>,
    /// First call; there is nothing to average before it.
    begun: Option<Nanos>,
    /// Sums reach to here.
    at: Nanos,
    /// Signed: two threads' changes may arrive in either order.
    demand: i64,
}

impl History {
    pub(super) fn new(width: Nanos, buckets: u32) -> Self {
        Self { width, areas: vec![0; buckets as usize].into(), begun: None, at: Nanos::ZERO, demand: 0 }
    }

    /// Demand changes now.
    pub(super) fn change(&mut self, now: Nanos, by: i64) {
        self.begun.get_or_insert(now);
        self.advance(now);
        self.demand += by;
    }

    /// Brings the sums up to the present; a moment before the last one changes nothing.
    pub(super) fn advance(&mut self, now: Nanos) {
        let now = now.max(self.at);
        let (from, to) = (self.number(self.at), self.number(now));
        let demand = self.demand.max(0).unsigned_abs();
        let most = self.areas.len() as u64;
        for number in from.max((to + 1).saturating_sub(most))..=to {
            let begin = self.at.0.max(number * self.width.0);
            let end = now.0.min((number + 1).saturating_mul(self.width.0));
            let area = &mut self.areas[place(number, self.areas.len())];
            if number > from {
                *area = 0;
            }
            *area = area.saturating_add(demand.saturating_mul(end - begin));
        }
        self.at = now;
    }

    /// Mean demand over the newest `buckets`, the one in progress included, or since the first call if that is later. As of the last
    /// [`History::advance`].
    pub(super) fn mean(&self, buckets: u32) -> f64 {
        let Some(begun) = self.begun else { return 0.0 };
        let to = self.number(self.at);
        let first = (to + 1).saturating_sub(u64::from(buckets).min(self.areas.len() as u64));
        let covered = self.at.since(begun.max(Nanos(first * self.width.0)));
        if covered == Nanos::ZERO {
            return self.demand.max(0) as f64;
        }
        let area: f64 = (first..=to).map(|number| self.area(number) as f64).sum();
        area / covered.0 as f64
    }

    /// Mean demand in each bucket but the one in progress, oldest first; zero before the first call.
    pub(super) fn completed(&self) -> Vec<f64> {
        let to = self.number(self.at);
        let behind = self.areas.len() as u64 - 1;
        (1..=behind).rev().map(|back| to.checked_sub(back).map_or(0.0, |number| self.area(number) as f64 / self.width.0 as f64)).collect()
    }

    /// When the bucket in progress ends.
    pub(super) fn next_boundary(&self) -> Nanos {
        Nanos((self.number(self.at) + 1).saturating_mul(self.width.0))
    }

    fn area(&self, number: u64) -> u64 {
        self.areas[place(number, self.areas.len())]
    }

    fn number(&self, at: Nanos) -> u64 {
        at.0 / self.width.0
    }
}

/// Where number `number` stands in a ring.
#[expect(clippy::cast_possible_truncation, reason = "the remainder is below a usize")]
pub(super) fn place(number: u64, length: usize) -> usize {
    (number % length as u64) as usize
}

/// The least whole number of instances that is not below `count`, give or take the rounding of the arithmetic before.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "float casts saturate: negative is none")]
pub(super) fn at_least(count: f64) -> u32 {
    (count - 1e-9).ceil() as u32
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{History, at_least};
    use crate::nanos::Nanos;

    const S: fn(u64) -> Nanos = Nanos::from_secs;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 1e-12
    }

    #[test]
    fn a_mean_weighs_demand_with_time() {
        let mut history = History::new(S(10), 6);
        history.change(S(0), 1);
        history.change(S(5), 3);
        history.advance(S(20));
        // Demand 1 for 5 s, 4 for 15 s.
        assert!(close(history.mean(6), 65.0 / 20.0));
        assert!(close(history.completed()[3], 2.5) && close(history.completed()[4], 4.0));
    }

    #[test]
    fn a_mean_starts_with_the_first_call() {
        let mut history = History::new(S(1), 60);
        history.change(S(100), 2);
        assert!(close(history.mean(60), 2.0), "no time has passed: demand as it is");
        history.change(S(102), -2);
        history.advance(S(104));
        assert!(close(history.mean(60), 1.0));
        assert!(close(history.mean(2), 0.0));
    }

    #[test]
    fn what_left_the_ring_is_forgotten_however_long_the_pause() {
        let mut history = History::new(S(1), 4);
        history.change(S(0), 5);
        history.change(S(2), -5);
        history.advance(S(1_000_000));
        assert_eq!(history.completed(), [0.0; 3]);
        history.change(S(1_000_000), 1);
        history.advance(S(2_000_000));
        assert_eq!(history.completed(), [1.0; 3]);
        history.advance(S(3));
        assert_eq!(history.completed(), [1.0; 3], "a clock that goes back changes nothing");
    }

    #[test]
    fn counts_round_up_but_not_for_an_arithmetic_error() {
        assert_eq!([2.0 + 1e-12, 2.1, 0.0, -3.0, f64::NAN].map(at_least), [2, 3, 0, 0, 0]);
    }
}
