//! Outlier ejection: an instance that fails request after request while others of its function do
//! better is replaced.
//!
//! The stack of free instances is last in, first out, and a broken instance answers fast: without
//! this it would get nearly every request.
//!
//! An instance counts its failed requests in a row in its slot's state word, its function counts
//! instances whose last request failed. After the third failure in a row an instance is replaced at
//! once if there are others and none of them is failing. Otherwise the function itself may be at
//! fault, or the platform lost them all: replacements are paced then, from 1 s to 30 s an instance.
//!
//! # Ordering
//!
//! An instance that goes leaves the demand first and then, with release, those that fail. Who asks
//! reads them the other way round, with acquire: one that has just gone may be counted as failing,
//! and is not taken for one that does better.
//!
//! Cost: a good end of an instance that was not failing takes a look at the word that it changes
//! anyway.

use super::Engine;
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock};
use crate::table::{FAILURES, Function, Word};

impl Engine {
    /// One more request of an instance has failed: is it to be replaced? If that is paced, the
    /// caller has the turn.
    pub(super) fn claim_replacement(now: Nanos, function: &Function, word: Word) -> bool {
        if word.failures() + 1 < FAILURES {
            return false;
        }
        let mut cold = lock(&function.cold);
        let others_failing = function.failing.load(Ordering::Acquire).saturating_sub(1);
        let instances = function.instances(&cold);
        if instances > 1 && others_failing == 0 {
            return true;
        }
        let pacing = &mut cold.trouble().replacements;
        let its_turn = pacing.until() <= now;
        if its_turn {
            pacing.attempt(now, instances);
        }
        its_turn
    }

    /// An instance fails, or does so no longer.
    pub(super) fn count_failing(function: &Function, failing: bool) {
        if failing {
            function.failing.fetch_add(1, Ordering::Relaxed);
        } else {
            function.failing.fetch_sub(1, Ordering::Relaxed);
        }
    }
}
