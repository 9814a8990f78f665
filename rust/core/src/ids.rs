//! Names of things: small, `Copy`, and never reused while something may still speak of them.

/// A function: a place in the function table, and uses of that place. When the function gives its place up the id is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl FunctionId {
    /// Place in the function table; in order of first appearance, as long as none was given up.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// A slot, and the instance in it: a place in the slot table and how often that place had been used before.
///
/// The generation makes an id of a destroyed slot unknown instead of another slot's (it wraps after 2³² uses of one place).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

impl SlotId {
    /// Packs the id: generation in the high half, index in the low half.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// Unpacks [`SlotId::to_bits`]. Any value is safe to use: the engine knows it or answers that it does not.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each half is 32 bits")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { index: bits as u32, generation: (bits >> 32) as u32 }
    }

    /// Place in the slot table. Hosts may index side tables with it: at most one live slot has it.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// A request that waits for an instance: its function's place, and a sequence number in that place's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId {
    pub(crate) place: u32,
    pub(crate) sequence: u32,
}

impl WaiterId {
    /// The place of the function it waits for.
    #[must_use]
    pub const fn function_index(self) -> usize {
        self.place as usize
    }

    /// Packs the id: place in the high half, sequence in the low half.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.place as u64) << 32 | self.sequence as u64
    }

    /// Unpacks [`WaiterId::to_bits`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each half is 32 bits")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { place: (bits >> 32) as u32, sequence: bits as u32 }
    }
}

/// What the host knows a request by, reduced to 64 bits (a keyed hash of the wire's request id).
///
/// A busy instance remembers the tag of its request, so that a late or duplicate Idle of an earlier one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestTag(pub u64);

#[cfg(test)]
mod tests {
    use super::{SlotId, WaiterId};

    #[test]
    fn packed_ids_unpack_to_themselves() {
        let slot = SlotId { index: 7, generation: u32::MAX };
        assert_eq!(SlotId::from_bits(slot.to_bits()), slot);
        let waiter = WaiterId { place: 3, sequence: 9 };
        assert_eq!(WaiterId::from_bits(waiter.to_bits()), waiter);
    }
}
