//! Names of things: small, `Copy`, and never reused while something may still speak of them.

/// A function in the function table. Functions are never removed, so an id stays valid for the engine's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId(pub(crate) u32);

impl FunctionId {
    /// Position in the function table, in order of first appearance.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
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

/// A request that waits for an instance: its function, and a sequence number in that function's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId {
    pub(crate) function: FunctionId,
    pub(crate) sequence: u32,
}

impl WaiterId {
    /// The function it waits for.
    #[must_use]
    pub const fn function(self) -> FunctionId {
        self.function
    }

    /// Packs the id: function in the high half, sequence in the low half.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.function.0 as u64) << 32 | self.sequence as u64
    }

    /// Unpacks [`WaiterId::to_bits`].
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "each half is 32 bits")]
    pub const fn from_bits(bits: u64) -> Self {
        Self { function: FunctionId((bits >> 32) as u32), sequence: bits as u32 }
    }
}

/// What the host knows a request by, reduced to 64 bits (a keyed hash of the wire's request id).
///
/// A busy instance remembers the tag of its request, so that a late or duplicate Idle of an earlier one changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RequestTag(pub u64);

#[cfg(test)]
mod tests {
    use super::{FunctionId, SlotId, WaiterId};

    #[test]
    fn packed_ids_unpack_to_themselves() {
        let slot = SlotId { index: 7, generation: u32::MAX };
        assert_eq!(SlotId::from_bits(slot.to_bits()), slot);
        let waiter = WaiterId { function: FunctionId(3), sequence: 9 };
        assert_eq!(WaiterId::from_bits(waiter.to_bits()), waiter);
    }
}
