//! An append-only array whose entries never move: chunks that double in size, made when first needed.
//!
//! Cost: a lookup is a leading-zeros count and two loads. Memory is at most twice what is used.

use std::sync::OnceLock;

/// log2 of the first chunk's length. Loom tracks every atomic of a chunk, so its models take a small one.
const FIRST_BITS: u32 = if cfg!(pilotlight_loom) { 2 } else { 6 };
const FIRST_LEN: usize = 1 << FIRST_BITS;
const CHUNKS: usize = (32 - FIRST_BITS) as usize;

#[derive(Debug)]
pub(super) struct Chunked<T> {
    chunks: [OnceLock<Box<[T]>>; CHUNKS],
}

impl<T: Default> Chunked<T> {
    pub(super) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// Entry `index`, or `None` if nothing near it was ever asked for with [`Chunked::get_or_grow`].
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let (chunk, offset) = locate(index);
        self.chunks.get(chunk)?.get()?.get(offset)
    }

    /// Entry `index`, making its chunk (of default values) if need be.
    pub(super) fn get_or_grow(&self, index: u32) -> &T {
        let (chunk, offset) = locate(index);
        let entries = self.chunks[chunk].get_or_init(|| (0..FIRST_LEN << chunk).map(|_| T::default()).collect());
        &entries[offset]
    }
}

/// Chunk c holds the indices whose number plus `2^FIRST_BITS` has its highest bit at c + `FIRST_BITS`.
#[expect(clippy::cast_possible_truncation, reason = "an offset is below 2^32")]
fn locate(index: u32) -> (usize, usize) {
    let shifted = u64::from(index) + (1 << FIRST_BITS);
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, (shifted - (1 << bits)) as usize)
}

#[cfg(test)]
mod tests {
    use super::{CHUNKS, Chunked, locate};

    #[test]
    fn every_index_has_a_place_of_its_own() {
        let mut expected = (0, 0);
        for index in 0..5_000 {
            let place = locate(index);
            assert_eq!(place, expected);
            expected = if place.1 + 1 == 64 << place.0 { (place.0 + 1, 0) } else { (place.0, place.1 + 1) };
        }
        assert!(locate(u32::MAX - 64).0 < CHUNKS);
    }

    #[test]
    fn entries_appear_by_the_chunk_and_stay_where_they_are() {
        let table: Chunked<u8> = Chunked::new();
        assert!(table.get(0).is_none());
        let first = std::ptr::from_ref(table.get_or_grow(0));
        table.get_or_grow(10_000);
        assert_eq!(first, std::ptr::from_ref(table.get_or_grow(0)));
        assert!(table.get(63).is_some());
        assert!(table.get(64).is_none());
    }
}
