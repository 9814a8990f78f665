//! Why starts of functions failed last, for the answers of requests that get no instance for it. A
//! function is known by its index here: one that gave its place up has nobody waiting, and the next
//! there notes a text of its own before anybody is answered.
//!
//! Bounded: texts of the last 1,024 functions whose starts failed, cut as every text is. A function
//! that is not among them is answered without a text.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use crate::refusal::cut;

const FUNCTIONS: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Reasons {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    texts: HashMap<usize, Box<str>, foldhash::fast::RandomState>,
    /// Keys of `texts`, in the order in which they came.
    order: VecDeque<usize>,
}

impl Reasons {
    /// Notes the text of a start that failed.
    pub(crate) fn note(&self, function: usize, text: &str) {
        let text = cut(text).into();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.texts.insert(function, text).is_none() {
            kept.order.push_back(function);
            if kept.order.len() > FUNCTIONS
                && let Some(oldest) = kept.order.pop_front()
            {
                kept.texts.remove(&oldest);
            }
        }
    }

    /// The last text of a function.
    pub(crate) fn last(&self, function: usize) -> Option<Box<str>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).texts.get(&function).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::{FUNCTIONS, Reasons};

    #[test]
    fn the_last_texts_of_the_last_functions_are_kept_and_cut() {
        let reasons = Reasons::default();
        for key in 0..=FUNCTIONS {
            reasons.note(key, "first");
            reasons.note(key, &"last ".repeat(1000));
        }
        assert_eq!(reasons.last(0), None);
        let kept = reasons.last(1).unwrap();
        assert!(kept.starts_with("last") && kept.len() <= 1024);
        assert_eq!(reasons.kept.lock().unwrap().texts.len(), FUNCTIONS);
    }
}
