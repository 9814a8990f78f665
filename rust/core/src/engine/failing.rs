//! Outlier ejection: an instance that fails request after request while others of its function do better is replaced.
//!
//! The stack of free instances is last in, first out, and a broken instance answers fast: without this it would get nearly every request.
//!
//! An instance counts its failed requests in a row in its slot's state word, its function counts instances whose last request
//! failed. After the third failure in a row an instance is replaced at once if another one is not failing. If all are, the function itself
//! may be at fault, or the platform lost them all: then one is replaced, and further ones after 1 s, 2 s … 30 s. An instance started
//! meanwhile counts as failing until it does well, which also ends the pacing.
//!
//! # Ordering
//!
//! An instance that goes leaves the demand first and then, with release, those that fail. Who asks reads them the other way round, with
//! acquire: one that has just gone may be counted as failing, and is not taken for one that does better.
//!
//! Cost: a good end of an instance that was not failing takes a look at the word that it changes anyway.

use super::Engine;
use crate::nanos::Nanos;
use crate::sync::{Ordering, lock};
use crate::table::{Cold, FAILURES, Function, Pacing, Word};

impl Engine {
    /// Is the instance, one of whose requests has failed again, to be replaced?
    pub(super) fn is_to_be_replaced(now: Nanos, function: &Function, word: Word) -> bool {
        if word.failures() + 1 < FAILURES {
            return false;
        }
        let mut cold = lock(&function.cold);
        let others_failing = function.failing.load(Ordering::Acquire).saturating_sub(1);
        let others = function.instances(&cold).saturating_sub(1);
        let replaced = others > others_failing || cold.trouble.as_ref().is_none_or(|trouble| trouble.replacements.until() <= now);
        if replaced && others <= others_failing {
            cold.trouble().replacements.attempt(now);
        }
        replaced
    }

    /// An instance fails, or does so no longer.
    pub(super) fn count_failing(function: &Function, failing: bool) {
        if failing {
            function.failing.fetch_add(1, Ordering::Relaxed);
        } else {
            function.failing.fetch_sub(1, Ordering::Relaxed);
            if let Some(trouble) = &mut lock(&function.cold).trouble {
                trouble.replacements = Pacing::default();
            }
        }
    }

    /// Must a fresh instance do well before it is trusted?
    pub(super) fn is_on_trial(cold: &Cold) -> bool {
        cold.trouble.as_ref().is_some_and(|trouble| trouble.replacements != Pacing::default())
    }
}
