//! Random names that repeat with their seed.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The ids to come.
#[derive(Debug)]
pub(super) struct Ids(ChaCha8Rng);

impl Ids {
    pub(super) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// Makes a random UUID (version 4).
    pub(super) fn next(&mut self) -> String {
        let bits = (self.0.random::<u128>() & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
        let digits = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
    }
}

#[cfg(test)]
mod tests {
    use super::Ids;

    #[test]
    fn ids_are_uuids_that_repeat_with_the_seed_only() {
        let ids = [1, 1, 2].map(|seed| Ids::new(seed).next());
        assert!(ids[0] == ids[1] && ids[1] != ids[2]);
        let parts: Vec<_> = ids[0].split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
        assert!(parts[2].starts_with('4') && "89ab".contains(&parts[3][..1]), "{}", ids[0]);
    }
}
