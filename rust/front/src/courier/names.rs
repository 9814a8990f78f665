//! The platform's names of the slots that exist. No two slots have one: whoever destroyed either would destroy the other's.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use pilotlight_core::SlotId;

#[derive(Debug, Default)]
pub(super) struct Names {
    by_slot: HashMap<SlotId, Arc<str>>,
    held: HashSet<Arc<str>>,
}

impl Names {
    /// Notes a slot's name; `false`: a slot that exists has it.
    pub(super) fn claim(&mut self, slot: SlotId, name: &str) -> bool {
        let name = Arc::<str>::from(name);
        let free = self.held.insert(Arc::clone(&name));
        if free {
            self.by_slot.insert(slot, name);
        }
        free
    }

    pub(super) fn of(&self, slot: SlotId) -> Option<&str> {
        self.by_slot.get(&slot).map(AsRef::as_ref)
    }

    pub(super) fn forget(&mut self, slot: SlotId) {
        if let Some(name) = self.by_slot.remove(&slot) {
            self.held.remove(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_core::SlotId;

    use super::Names;

    #[test]
    fn a_name_is_one_slots_until_that_is_gone() {
        let (mut names, [first, second]) = (Names::default(), [1, 2].map(SlotId::from_bits));
        assert!(names.claim(first, "s"));
        assert!(!names.claim(second, "s"));
        assert_eq!((names.of(first), names.of(second)), (Some("s"), None));
        names.forget(first);
        assert!(names.claim(second, "s"));
        assert_eq!((names.of(first), names.of(second)), (None, Some("s")));
    }
}
