//! One classifier: which care a function gets, by who it is and how it behaves.

use std::fmt;

use crate::sync::{AtomicU8, Ordering};

/// What kind of function it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Nothing stands out.
    Plain = 0,
    /// Its starts take little beside its executions: waiting for one is hardly noticed.
    CheapToStart = 1,
    /// Its gaps end at foreseeable times.
    Regular = 2,
    /// Named as important.
    Vip = 3,
}

impl Class {
    const ALL: [Self; 4] = [Self::Plain, Self::CheapToStart, Self::Regular, Self::Vip];
}

/// A start is cheap while it takes less than this share of an execution, and stays so until it takes more than the second.
const CHEAP_BELOW: f64 = 0.05;
const CHEAP_UNTIL: f64 = 0.1;

/// What the price of waiting is multiplied by for each class.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    /// Beginnings of the keys of important functions.
    vip: Vec<String>,
    vip_weight: f64,
    cheap_weight: f64,
}

impl Profiles {
    /// `vip`: beginnings of keys, separated by `|`; empty: none.
    pub(super) fn new(vip: &str, vip_weight: f64, cheap_weight: f64) -> Self {
        let vip = vip.split('|').filter(|key| !key.is_empty()).map(str::to_owned).collect();
        Self { vip, vip_weight, cheap_weight }
    }

    pub(super) fn names_vip(&self, key: &str) -> bool {
        self.vip.iter().any(|start| key.starts_with(start.as_str()))
    }

    /// What the price of waiting is multiplied by.
    pub(super) fn weight(&self, class: Class) -> f64 {
        match class {
            Class::Vip => self.vip_weight,
            Class::CheapToStart => self.cheap_weight,
            Class::Plain | Class::Regular => 1.0,
        }
    }
}

/// A function's class. It changes only when the behaviour has left the old class clearly, so that it does not flicker.
#[derive(Debug)]
pub(super) struct Classifier {
    class: AtomicU8,
}

impl Classifier {
    pub(super) fn new(vip: bool) -> Self {
        Self { class: AtomicU8::new(if vip { Class::Vip } else { Class::Plain } as u8) }
    }

    pub(super) fn class(&self) -> Class {
        Class::ALL[self.class.load(Ordering::Relaxed) as usize]
    }

    /// Looks at the function again. `start_share`: what a start takes, as a share of an execution, if known; `foreseen`: forecasts of its
    /// gaps have lately paid.
    pub(super) fn look(&self, start_share: Option<f64>, foreseen: bool) {
        let before = self.class();
        if before == Class::Vip {
            return;
        }
        let limit = if before == Class::CheapToStart { CHEAP_UNTIL } else { CHEAP_BELOW };
        let class = if foreseen {
            Class::Regular
        } else if start_share.is_some_and(|share| share < limit) {
            Class::CheapToStart
        } else {
            Class::Plain
        };
        self.class.store(class as u8, Ordering::Relaxed);
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::CheapToStart => "cheap to start",
            Self::Regular => "regular",
            Self::Vip => "important",
        })
    }
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{Class, Classifier, Profiles};

    #[test]
    fn a_class_is_left_later_than_it_is_entered() {
        use Class::{CheapToStart as Cheap, Plain};
        let classifier = Classifier::new(false);
        let classes: Vec<_> = [0.2, 0.07, 0.04, 0.07, 0.09, 0.2, 0.07]
            .map(|share| {
                classifier.look(Some(share), false);
                classifier.class()
            })
            .to_vec();
        assert_eq!(classes, [Plain, Plain, Cheap, Cheap, Cheap, Plain, Plain]);
    }

    #[test]
    fn who_is_named_important_stays_important() {
        let profiles = Profiles::new("checkout|pay", 3.0, 1.0);
        assert!(profiles.names_vip("payment") && !profiles.names_vip("report"));
        assert!(!Profiles::new("", 3.0, 1.0).names_vip("payment"));
        let classifier = Classifier::new(true);
        classifier.look(Some(0.01), true);
        assert_eq!(classifier.class(), Class::Vip);
        assert!((profiles.weight(Class::Vip) - 3.0).abs() < 1e-12);
    }
}
