//! Reading the ledger.

use super::Engine;
use crate::ids::FunctionId;
use crate::ledger::{Account, Totals};
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock};
use crate::table::FunctionSpec;

/// The ledger at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Sums over all functions, open states included.
    pub totals: Totals,
    /// What there is right now.
    pub live: Live,
}

/// What there is right now, and the most there ever was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Functions known.
    pub functions: u64,
    /// Requests waiting.
    pub waiting: u64,
    /// Slots by [`Account`].
    pub slots: [u64; Account::ALL.len()],
    /// Most slots at once.
    pub peak_slots: u64,
    /// Most memory in slots at once, in MB.
    pub peak_memory_mb: u64,
}

/// One function's ledger at a moment.
#[derive(Clone, Debug)]
pub struct FunctionTotals<'a> {
    /// Its id.
    pub id: FunctionId,
    /// What it was registered with.
    pub spec: &'a FunctionSpec,
    /// Its account, open states included.
    pub totals: Totals,
    /// Free instances minus waiting requests.
    pub balance: i64,
    /// Requests waiting.
    pub waiting: u32,
}

impl Engine {
    /// Slots the ledger knows: issued and not confirmed destroyed.
    #[must_use]
    pub fn live_slots(&self) -> u64 {
        self.live.slots.load(Ordering::Relaxed)
    }

    /// Why the policy treats a function as it does, as of `now`: lines of text for a person. `None`: no such function.
    #[must_use]
    pub fn explain(&self, now: Nanos, function: FunctionId) -> Option<Vec<String>> {
        let function = self.functions.find(function)?;
        Some(function.policy.explain(&self.facts(now, function)))
    }

    /// Copies the ledger as of `now`. Cost: one pass over functions and slots.
    #[must_use]
    pub fn snapshot(&self, now: Nanos) -> Snapshot {
        let mut totals = Totals::default();
        let mut live = Live {
            waiting: self.waiting.load(Ordering::Relaxed),
            peak_slots: self.live.peak_slots.load(Ordering::Relaxed),
            peak_memory_mb: self.live.peak_memory_mb.load(Ordering::Relaxed),
            ..Live::default()
        };
        for function in self.function_totals(now) {
            totals.add(&function.totals);
            live.functions += 1;
        }
        for (_, slot) in self.slots.iter() {
            if let Some(account) = slot.word().state().account() {
                live.slots[account as usize] += 1;
            }
        }
        Snapshot { totals, live }
    }

    /// Copies every function's ledger as of `now`, in order of first appearance.
    #[must_use]
    pub fn function_totals(&self, now: Nanos) -> Vec<FunctionTotals<'_>> {
        let mut all: Vec<_> = self
            .functions
            .iter()
            .map(|(id, function)| FunctionTotals {
                id,
                spec: &function.spec,
                totals: function.ledger.totals(function.spec.memory_mb),
                balance: function.pool.balance(),
                waiting: lock(&function.cold).waiters.len(),
            })
            .collect();
        for (_, slot) in self.slots.iter() {
            let holder = slot.function.load(Ordering::Relaxed) as usize;
            // A function registered after the copy above is left for the next one.
            if let Some(account) = slot.word().state().account()
                && let Some(function) = all.get_mut(holder)
            {
                let open = now.since(Nanos(slot.since.load(Ordering::Relaxed)));
                function.totals.add_open(account, open, function.spec.memory_mb);
            }
        }
        all
    }
}
