//! Shutdown: no new requests, everyone who waits is answered, everything that ends is destroyed.
//!
//! Not bounded: a drain comes once, as the last thing, and is one pass over functions, requests that wait and free instances (its deadline:
//! over slots). Requests that end meanwhile wait for no more than their function's lock, and that only if others wait.

use super::{Engine, Phase};
use crate::command::{Command, DestroyReason, WakeError};
use crate::ids::SlotId;
use crate::nanos::Nanos;
use crate::sync::{Ordering, fence, lock};
use crate::table::{Span, State};

impl Engine {
    /// Refuses requests from now on, answers those that wait, retires free instances. Starts in flight are destroyed when they report,
    /// busy instances when their request ends. Idempotent.
    pub fn handle_drain(&self, now: Nanos, out: &mut Vec<Command>) {
        self.phase.store(Phase::Draining as u8, Ordering::Relaxed);
        // The flag is up before instances are looked at: the other half is in `Engine::release`.
        fence(Ordering::SeqCst);
        for function in self.functions.iter() {
            let mut cold = lock(&function.cold);
            for waiter in cold.waiters.drain() {
                self.refuse(now, (function.id(), function), &mut cold, &waiter, WakeError::Draining, out);
            }
            drop(cold);
            self.retire_free(now, function, out);
        }
    }

    /// The drain's patience is over: instances that are busy or whose Init is in flight are destroyed too.
    pub fn handle_drain_deadline(&self, now: Nanos, out: &mut Vec<Command>) {
        for (index, slot) in self.slots.iter() {
            let word = slot.word();
            if !matches!(word.state(), State::Busy | State::Initialising) {
                continue;
            }
            let (_, function) = self.holder(slot);
            let mut cold = lock(&function.cold);
            if !slot.transition(word, State::Retiring) {
                continue;
            }
            if word.state() == State::Initialising {
                cold.initialising -= 1;
            } else {
                function.ledger.count_cut_short();
            }
            self.slot_leaves(function);
            Self::book(function, slot, Span::Retiring, now);
            slot.owner.store(0, Ordering::Relaxed);
            out.push(Command::DestroySlot { slot: SlotId { index, generation: word.generation() }, reason: DestroyReason::Draining });
        }
    }
}
