//! Demand levels: when each was last left, and which levels are looked at together.

use std::sync::OnceLock;

use crate::nanos::Nanos;
use crate::sync::{AtomicU32, Ordering};

/// Levels beyond this are treated as this one.
const HIGHEST: u32 = 1 << 16;
/// Groups of levels: 1, 2, 3, 4, and then each reaching √2 times as far as the one before.
pub(crate) const GROUPS: usize = 32;

/// The group of a level (1 or more).
pub(crate) fn group_of(level: u32) -> usize {
    let level = level.clamp(1, HIGHEST);
    if level <= 4 {
        return level as usize - 1;
    }
    // The smallest j with level ≤ 4·√2^j, by level² ≤ 16·2^j.
    let square = u64::from(level) * u64::from(level);
    (square - 1).ilog2() as usize
}

/// The lowest level of a group.
#[expect(clippy::cast_possible_truncation, reason = "groups are few, and their levels below 2^17")]
pub(crate) fn group_start(group: usize) -> u32 {
    if group < 4 {
        return group as u32 + 1;
    }
    // One past the highest level of the group before: ⌊√(16·2^(j−1))⌋ + 1.
    (1u64 << group).isqrt() as u32 + 1
}

/// When each level's present gap began. Four bytes a level, in chunks that are made when demand first reaches them and double in size.
#[derive(Debug)]
pub(crate) struct LeftAt {
    chunks: [OnceLock<Box<[AtomicU32]>>; CHUNKS],
}

const FIRST_BITS: u32 = 3;
const CHUNKS: usize = (HIGHEST.ilog2() - FIRST_BITS + 1) as usize;
/// Times are kept in units of 2¹⁸ ns, about a quarter of a millisecond, modulo 2³²: gaps of up to 13 days.
const UNIT_BITS: u32 = 18;

/// A second, in these units.
const OUT_OF_ORDER: u32 = 4096;

impl LeftAt {
    pub(crate) fn new() -> Self {
        Self { chunks: std::array::from_fn(|_| OnceLock::new()) }
    }

    /// The level's gap begins.
    pub(crate) fn leave(&self, level: u32, now: Nanos) {
        let (chunk, offset) = place(level);
        let times = self.chunks[chunk].get_or_init(|| (0..1 << (FIRST_BITS as usize + chunk)).map(|_| AtomicU32::new(NEVER)).collect());
        times[offset].store(stamp(now), Ordering::Relaxed);
    }

    /// How long the level has not been wanted; `None` if it was never left.
    pub(crate) fn gap(&self, level: u32, now: Nanos) -> Option<Nanos> {
        let (chunk, offset) = place(level);
        let left = self.chunks[chunk].get()?[offset].load(Ordering::Relaxed);
        let units = stamp(now).wrapping_sub(left);
        // Threads may read the clock out of order: a moment before the beginning is no gap, not the longest.
        let units = if units > u32::MAX - OUT_OF_ORDER { 0 } else { units };
        (left != NEVER).then(|| Nanos(u64::from(units) << UNIT_BITS))
    }
}

/// When a gap began that has lasted so long: the same at every moment of it, although gaps are measured in whole units.
pub(crate) fn began(gap: Nanos, now: Nanos) -> Nanos {
    Nanos((now.0 >> UNIT_BITS << UNIT_BITS).saturating_sub(gap.0))
}

const NEVER: u32 = 0;

/// A moment as it is kept; never [`NEVER`].
#[expect(clippy::cast_possible_truncation, reason = "modulo 2^32 by design")]
fn stamp(now: Nanos) -> u32 {
    ((now.0 >> UNIT_BITS) as u32).max(1)
}

fn place(level: u32) -> (usize, usize) {
    let shifted = level.clamp(1, HIGHEST) - 1 + (1 << FIRST_BITS);
    let bits = shifted.ilog2();
    ((bits - FIRST_BITS) as usize, (shifted - (1 << bits)) as usize)
}

#[cfg(all(test, not(pilotlight_loom)))]
mod tests {
    use super::{GROUPS, HIGHEST, LeftAt, began, group_of, group_start};
    use crate::nanos::Nanos;

    #[test]
    fn groups_grow_by_a_square_root_of_two() {
        let bounds: Vec<_> = (0..12).map(group_start).collect();
        assert_eq!(bounds, [1, 2, 3, 4, 5, 6, 9, 12, 17, 23, 33, 46]);
        for level in 1..5_000 {
            let group = group_of(level);
            assert!(group_start(group) <= level && level < group_start(group + 1), "level {level} in group {group}");
        }
        assert_eq!(group_of(u32::MAX), group_of(HIGHEST));
        assert!(group_of(HIGHEST) < GROUPS);
    }

    #[test]
    fn a_clock_read_out_of_order_makes_no_gap_of_days() {
        let left = LeftAt::new();
        left.leave(1, Nanos::from_secs(10));
        assert_eq!(left.gap(1, Nanos::from_millis(9_999)), Some(Nanos::ZERO));
    }

    #[test]
    fn a_gap_began_at_one_moment_whenever_it_is_looked_at() {
        let left = LeftAt::new();
        left.leave(1, Nanos::from_millis(1_234));
        let beginnings = [1_300, 1_301, 7_777].map(Nanos::from_millis).map(|now| began(left.gap(1, now).unwrap(), now));
        assert!(beginnings.iter().all(|&began| began == beginnings[0]), "{beginnings:?}");
        assert!(Nanos::from_millis(1_234).since(beginnings[0]) < Nanos::from_millis(1));
    }

    #[test]
    fn each_level_has_its_own_gap() {
        let left = LeftAt::new();
        for level in [1, 8, 9, 24, 25, HIGHEST] {
            assert_eq!(left.gap(level, Nanos::from_secs(1)), None);
            left.leave(level, Nanos::from_secs(u64::from(level)));
        }
        for level in [1, 8, 9, 24, 25, HIGHEST] {
            let gap = left.gap(level, Nanos::from_secs(u64::from(level) + 10)).unwrap();
            assert!((gap.as_secs_f64() - 10.0).abs() < 1e-3, "level {level}: {gap}");
        }
    }
}
