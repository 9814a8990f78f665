//! Reading the ledger.

use std::sync::Arc;

use super::Engine;
use crate::ids::{FunctionId, SlotId};
use crate::ledger::{Account, Reading, Totals};
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
    /// Functions that gave their place in the table to another.
    pub functions_given_up: u64,
    /// Requests that were refused because all functions, or all versions of theirs, were in use.
    pub functions_refused: u64,
    /// Requests waiting.
    pub waiting: u64,
    /// Slots by [`Account`].
    pub slots: [u64; Account::ALL.len()],
    /// For how long the instance has been busy that has been so for longest.
    pub longest_busy: Nanos,
    /// Instances that have been busy for longer than their function's timeout.
    pub past_timeout: u64,
    /// Most slots at once.
    pub peak_slots: u64,
    /// Most memory in slots at once, in MB.
    pub peak_memory_mb: u64,
}

/// One function's ledger at a moment.
#[derive(Clone, Debug)]
pub struct FunctionTotals {
    /// Its id.
    pub id: FunctionId,
    /// What it was registered with.
    pub spec: Arc<FunctionSpec>,
    /// Its account, open states included.
    pub totals: Totals,
    /// Free instances minus waiting requests.
    pub balance: i64,
    /// Requests waiting.
    pub waiting: u32,
}

impl Engine {
    /// Slots the ledger knows: issued, and not confirmed destroyed, refused or written off.
    #[must_use]
    pub fn live_slots(&self) -> u64 {
        self.live.slots.load(Ordering::Relaxed)
    }

    /// The slots that `live_slots` counts.
    pub fn slot_ids(&self) -> impl Iterator<Item = SlotId> {
        self.slots.iter().filter_map(|(index, slot)| {
            let word = slot.word();
            word.state().account().map(|_| SlotId { index, generation: word.generation() })
        })
    }

    /// Requests that were refused because all functions, or all versions of theirs, were in use.
    #[must_use]
    pub fn functions_refused(&self) -> u64 {
        self.functions.turnover().1
    }

    /// Why the policy treats a function as it does, as of `now`: lines of text for a person. `None`: no such function.
    #[must_use]
    pub fn explain(&self, now: Nanos, function: FunctionId) -> Option<Vec<String>> {
        let function = self.functions.find(function)?;
        Some(self.functions.ask(function, |policy| policy.explain(&self.facts(now, function))))
    }

    /// Copies the ledger as of `now`. Exact at rest; while instances end it may be short of what is just being booked, so a number may be
    /// smaller than in an earlier copy. Cost: three passes over functions and two over slots, without a lock of theirs.
    #[must_use]
    pub fn snapshot(&self, now: Nanos) -> Snapshot {
        let (functions_given_up, functions_refused) = self.functions.turnover();
        let mut live = Live {
            functions_given_up,
            functions_refused,
            waiting: self.waiting.load(Ordering::Relaxed),
            peak_slots: self.live.peak_slots.load(Ordering::Relaxed),
            peak_memory_mb: self.live.peak_memory_mb.load(Ordering::Relaxed),
            functions: self.functions.iter().count() as u64,
            ..Live::default()
        };
        for (_, slot) in self.slots.iter() {
            let word = slot.word();
            let Some(account) = word.state().account() else { continue };
            live.slots[account as usize] += 1;
            if let Some(since) = slot.busy_since(word) {
                let busy = now.since(since);
                let timeout_s = self.functions.spec(self.holder(slot).1).timeout_s;
                live.longest_busy = live.longest_busy.max(busy);
                live.past_timeout += u64::from(timeout_s > 0 && busy > Nanos::from_secs(timeout_s.into()));
            }
        }
        Snapshot { totals: self.totals(now), live }
    }

    /// The sum of all functions' accounts. Cost: two passes over functions and one over slots.
    pub(super) fn totals(&self, now: Nanos) -> Totals {
        let given_up = self.functions.given_up();
        let mut reading = given_up.clone();
        for function in self.functions.iter() {
            reading.add_booked(&function.ledger, function.memory_mb());
        }
        for (holder, account) in self.slots.iter().filter_map(|(_, slot)| slot.account(now)) {
            reading.add_slot(&account, self.functions.at(holder).memory_mb());
        }
        for function in self.functions.iter() {
            reading.add_events(&function.ledger);
        }
        reading.totals()
    }

    /// Copies every function's ledger as of `now`, in the order of their places. What an instance that ends meanwhile has counted and
    /// measured may be missing.
    #[must_use]
    pub fn function_totals(&self, now: Nanos) -> Vec<FunctionTotals> {
        let _given_up = self.functions.given_up();
        let functions: Vec<_> = self.functions.iter().collect();
        let mut readings = vec![Reading::default(); self.functions.places()];
        for function in &functions {
            readings[function.index as usize].add_booked(&function.ledger, function.memory_mb());
        }
        for (holder, account) in self.slots.iter().filter_map(|(_, slot)| slot.account(now)) {
            // A function registered after the first look is left for the next copy.
            if let Some(reading) = readings.get_mut(holder as usize) {
                reading.add_slot(&account, self.functions.at(holder).memory_mb());
            }
        }
        let mut all = Vec::with_capacity(functions.len());
        for function in functions {
            let reading = &mut readings[function.index as usize];
            reading.add_events(&function.ledger);
            let (balance, waiting) = (function.pool.balance(), lock(&function.cold).waiters.len());
            let (id, spec, totals) = (function.id(), self.functions.spec(function), std::mem::take(reading).totals());
            all.push(FunctionTotals { id, spec, totals, balance, waiting });
        }
        all
    }
}
