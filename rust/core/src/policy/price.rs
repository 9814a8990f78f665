//! What a second of waiting is worth, in GB·s held: the one ratio every decision turns on.

use std::fmt;

use super::Costs;
use crate::nanos::Nanos;
use crate::sync::{AtomicU64, Ordering};

/// How the price is found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Objective {
    /// It is given: the price of a second of waiting divided by that of a GB·s held.
    Price(f64),
    /// The one at which waiting and memory weigh alike in the contest's score.
    Contest,
    /// The least at which 99 % of requests wait no longer than this.
    P99(Nanos),
}

impl Objective {
    /// Parses `0.8`, a quotient such as `0.002/0.0005`, `contest` or `p99<500ms`.
    pub(super) fn parse(text: &str, duration: impl Fn(&str) -> Option<Nanos>) -> Option<Self> {
        let positive = |text: &str| text.trim().parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0);
        if text == "contest" {
            return Some(Self::Contest);
        }
        if let Some(limit) = text.strip_prefix("p99<") {
            return duration(limit.trim()).map(Self::P99);
        }
        match text.split_once('/') {
            Some((wait, hold)) => positive(wait)
                .zip(positive(hold).filter(|&hold| hold > 0.0))
                .map(|(wait, hold)| wait / hold)
                .filter(|price| price.is_finite())
                .map(Self::Price),
            None => positive(text).map(Self::Price),
        }
    }
}

/// The price in force. Shared by all functions of a policy.
#[derive(Debug)]
pub struct Price {
    objective: Objective,
    /// GB·s a second of waiting is worth: an `f64`.
    lambda: AtomicU64,
    /// Requests that waited longer than the limit since the last review.
    slow: AtomicU64,
    /// Requests served at the last review.
    served: AtomicU64,
    /// Reviews so far.
    reviews: AtomicU64,
}

/// Where an objective that follows the ledger begins, before there is one.
const FIRST: f64 = 1.0;
/// No objective takes the price beyond these.
const LOWEST: f64 = 1e-3;
const HIGHEST: f64 = 1e4;
/// The share of requests that may wait longer than the limit.
const SLOW_SHARE: f64 = 0.01;
/// Requests that a review of the share wants to have seen: three slow ones at the limit.
const ENOUGH_SERVED: u64 = 300;

impl Price {
    /// How often the price is found anew in the long run. At first it is after one second, then after two more, three more, …: a ledger
    /// just opened changes fast, and what is decided at a price far off stays in it.
    pub const REVIEW_EVERY: Nanos = Nanos::from_secs(10);

    /// Begins with the given price, or with 1.
    #[must_use]
    pub fn new(objective: Objective) -> Self {
        let first = if let Objective::Price(lambda) = objective { lambda } else { FIRST };
        Self {
            objective,
            lambda: AtomicU64::new(first.to_bits()),
            slow: AtomicU64::new(0),
            served: AtomicU64::new(0),
            reviews: AtomicU64::new(0),
        }
    }

    /// GB·s that one second of waiting is worth now.
    pub fn lambda(&self) -> f64 {
        f64::from_bits(self.lambda.load(Ordering::Relaxed))
    }

    /// When the price wants to be reviewed next; `None`: it is given.
    pub(super) fn review_every(&self) -> Option<Nanos> {
        let next = Nanos::from_secs(1 + self.reviews.load(Ordering::Relaxed));
        (!matches!(self.objective, Objective::Price(_))).then_some(next.min(Self::REVIEW_EVERY))
    }

    /// Notes how long a request waited.
    pub(super) fn waited(&self, wait: Nanos) {
        if let Objective::P99(limit) = self.objective
            && wait > limit
        {
            self.slow.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Moves the price to where the ledger asks for it.
    pub(super) fn review(&self, costs: &Costs) {
        self.reviews.fetch_add(1, Ordering::Relaxed);
        let next = match self.objective {
            Objective::Price(_) => return,
            Objective::Contest => contest(costs),
            Objective::P99(_) => self.follow_share(costs),
        };
        if let Some(lambda) = next {
            self.lambda.store(lambda.clamp(LOWEST, HIGHEST).to_bits(), Ordering::Relaxed);
        }
    }

    /// Multiplies the price by at most 4 or at least 0.95 as more or fewer requests than allowed were slow: up fast, because the limit is
    /// a promise, and down slowly, because a low share is known only after many requests.
    fn follow_share(&self, costs: &Costs) -> Option<f64> {
        let served = costs.served.saturating_sub(self.served.load(Ordering::Relaxed));
        if served < ENOUGH_SERVED {
            return None;
        }
        self.served.store(costs.served, Ordering::Relaxed);
        let share = self.slow.swap(0, Ordering::Relaxed) as f64 / served as f64;
        Some(self.lambda() * (share / SLOW_SHARE).sqrt().clamp(0.95, 4.0))
    }
}

/// The exchange rate of the score `50·E_gb/S + 50·E/(E + W)`: how many GB·s of `S` cost as much of it as a second of `W` does.
fn contest(costs: &Costs) -> Option<f64> {
    let Costs { execution_s, execution_gb_s, slot_gb_s, wait_s, .. } = *costs;
    let lambda = (execution_s / (execution_s + wait_s).powi(2)) / (execution_gb_s / slot_gb_s.powi(2));
    (execution_s > 0.0 && lambda.is_finite()).then_some(lambda)
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.objective {
            Objective::Price(_) => "given".to_owned(),
            Objective::Contest => "from the contest's score".to_owned(),
            Objective::P99(limit) => format!("to keep p99 of waiting below {limit}"),
        };
        write!(f, "a second of waiting is worth {:.3} GB·s ({how})", self.lambda())
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{ENOUGH_SERVED, Objective, Price};
    use crate::nanos::Nanos;
    use crate::policy::Costs;

    fn objective(text: &str) -> Option<Objective> {
        Objective::parse(text, |text| text.strip_suffix("ms")?.parse().ok().map(Nanos::from_millis))
    }

    #[test]
    fn an_objective_is_a_number_a_quotient_or_a_goal() {
        assert_eq!(objective("0.5"), Some(Objective::Price(0.5)));
        assert_eq!(objective("0.002/0.0005"), Some(Objective::Price(4.0)));
        assert_eq!(objective("contest"), Some(Objective::Contest));
        assert_eq!(objective("p99<500ms"), Some(Objective::P99(Nanos::from_millis(500))));
        for text in ["", "-1", "1/0", "1/1e-320", "nan", "p99<", "p99<5", "score"] {
            assert_eq!(objective(text), None, "{text}");
        }
    }

    #[test]
    fn at_the_contests_price_a_small_trade_leaves_the_score_as_it_is() {
        let costs = Costs { execution_s: 400.0, execution_gb_s: 200.0, slot_gb_s: 260.0, wait_s: 60.0, ..Costs::default() };
        let score = |slot: f64, wait: f64| 50.0 * 200.0 / slot + 50.0 * 400.0 / (400.0 + wait);
        let price = Price::new(Objective::Contest);
        price.review(&costs);
        let traded = score(260.0 + price.lambda() * 1e-4, 60.0 - 1e-4);
        assert!((traded - score(260.0, 60.0)).abs() < 1e-9);
    }

    #[test]
    fn the_price_rises_while_too_many_requests_are_slow_and_falls_again() {
        let price = Price::new(Objective::P99(Nanos::from_millis(100)));
        for _ in 0..ENOUGH_SERVED / 25 {
            price.waited(Nanos::from_millis(101));
        }
        price.review(&Costs { served: ENOUGH_SERVED, ..Costs::default() });
        assert!((price.lambda() - 2.0).abs() < 1e-12);
        price.waited(Nanos::from_millis(100));
        price.review(&Costs { served: 2 * ENOUGH_SERVED, ..Costs::default() });
        assert!((price.lambda() - 1.9).abs() < 1e-12);
        price.review(&Costs { served: 2 * ENOUGH_SERVED + 1, ..Costs::default() });
        assert!((price.lambda() - 1.9).abs() < 1e-12, "too few requests to judge by");
    }
}
