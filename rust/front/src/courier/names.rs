//! The platform's names of the slots that exist. No two slots share one: whoever destroyed either
//! would destroy the other.
//!
//! A platform that starts anew may give out its names once more. So over a new connection a name may
//! come again: it is the new slot's then, and the one that had it is taken to be gone.

use std::collections::HashMap;
use std::sync::Arc;

use pilotlight_core::SlotId;

#[derive(Debug, Default)]
pub(super) struct Names {
    by_slot: HashMap<SlotId, Arc<str>>,
    /// Whose each is, and the number of the connection that it came over.
    holders: HashMap<Arc<str>, (SlotId, u64)>,
}

impl Names {
    /// Notes a slot's name; `false`: another slot has it. `takes_over`: only one that was named over
    /// the same connection counts.
    pub(super) fn claim(&mut self, slot: SlotId, name: &str, connection: u64, takes_over: bool) -> bool {
        if self.holders.get(name).is_some_and(|&(_, before)| before == connection || !takes_over) {
            return false;
        }
        let name = Arc::<str>::from(name);
        self.holders.insert(Arc::clone(&name), (slot, connection));
        self.by_slot.insert(slot, name);
        true
    }

    pub(super) fn of(&self, slot: SlotId) -> Option<&str> {
        self.by_slot.get(&slot).map(AsRef::as_ref)
    }

    /// Has the slot lost its name to another one?
    pub(super) fn is_superseded(&self, slot: SlotId) -> bool {
        self.of(slot).and_then(|name| self.holders.get(name)).is_some_and(|&(holder, _)| holder != slot)
    }

    pub(super) fn forget(&mut self, slot: SlotId) {
        let superseded = self.is_superseded(slot);
        if let Some(name) = self.by_slot.remove(&slot)
            && !superseded
        {
            self.holders.remove(&name);
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
        assert!(names.claim(first, "s", 1, true));
        assert!(!names.claim(second, "s", 1, true));
        assert_eq!((names.of(first), names.of(second)), (Some("s"), None));
        names.forget(first);
        assert!(names.claim(second, "s", 1, true));
        assert_eq!((names.of(first), names.of(second)), (None, Some("s")));
    }

    #[test]
    fn a_name_that_comes_again_over_a_new_connection_is_the_new_slots() {
        let (mut names, [old, new, late]) = (Names::default(), [1, 2, 3].map(SlotId::from_bits));
        assert!(names.claim(old, "s", 1, true));
        assert!(!names.claim(new, "s", 2, false));
        assert!(names.claim(new, "s", 2, true));
        assert!(names.is_superseded(old) && !names.is_superseded(new));
        names.forget(old);
        assert!(!names.claim(late, "s", 2, true), "it is still the new one's");
        names.forget(new);
        assert!(names.claim(late, "s", 2, true));
    }
}
