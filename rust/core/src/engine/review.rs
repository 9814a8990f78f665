//! The policy's regular look at what the run has cost.

use super::Engine;
use crate::ledger::{Account, Counter, WaitCause};
use crate::nanos::Nanos;
use crate::policy::Costs;
use crate::sync::Ordering;

impl Engine {
    /// Begins the reviews, if the policy wants them, with the first request that finds nothing free.
    pub(super) fn begin_reviews(&self, now: Nanos) {
        if let Some(pause) = self.config.policy.policy.review_every()
            && !self.reviews_begun.swap(true, Ordering::Relaxed)
        {
            self.timers.review(now + pause);
        }
    }

    pub(super) fn review(&self, now: Nanos) {
        let policy = &self.config.policy.policy;
        policy.review(&self.costs(now));
        if let Some(pause) = policy.review_every() {
            self.timers.review(now + pause);
        }
    }

    /// Adds up the ledger.
    fn costs(&self, now: Nanos) -> Costs {
        let totals = self.totals(now);
        Costs {
            now,
            execution_s: totals.slot_ns[Account::Busy as usize] as f64 / 1e9,
            execution_gb_s: totals.gb_s(Account::Busy),
            slot_gb_s: Account::ALL.iter().map(|&account| totals.gb_s(account)).sum(),
            wait_s: WaitCause::ALL.iter().map(|&cause| totals.wait_s(cause)).sum(),
            served: [Counter::WarmStarts, Counter::ColdStarts, Counter::Handoffs].map(|counter| totals.count(counter)).iter().sum(),
        }
    }
}
