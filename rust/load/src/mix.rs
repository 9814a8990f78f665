//! Which function a request calls, and the request's bytes.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use prost::Message;
use rand::{Rng, RngExt};

use crate::wire::{AssignRequest, Meta};

/// A function that requests call.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) key: Bytes,
    /// Its encoded `Meta`.
    meta: Bytes,
}

impl Function {
    /// Describes a function; its key alone tells functions of the load apart.
    pub(crate) fn new(key: String) -> Self {
        let meta = Meta { key, runtime: "python".to_owned(), timeout_in_secs: 60, memory_in_mb: 128 };
        Self { meta: meta.encode_to_vec().into(), key: meta.key.into() }
    }

    /// Asks for an instance of it.
    pub(crate) fn request(&self, number: u64) -> AssignRequest {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        AssignRequest {
            request_id: format!("{number:032x}").into(),
            timestamp: u64::try_from(timestamp).unwrap_or(u64::MAX),
            meta_data: Some(self.meta.clone()),
        }
    }
}

/// Makes the functions that keep being called.
pub(crate) fn functions(count: usize) -> Vec<Function> {
    (0..count).map(|number| Function::new(format!("pilotlight-bench-function-{number:06}"))).collect()
}

/// Picks functions by Zipf's law: the k-th with weight k^−skew.
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    /// Cumulated shares; empty when all are equal.
    cumulated: Vec<f64>,
    count: usize,
}

impl Zipf {
    /// Over `count` functions.
    pub(crate) fn new(count: usize, skew: f64) -> Self {
        if skew == 0.0 {
            return Self { cumulated: Vec::new(), count };
        }
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=count)
            .map(|rank| {
                sum += (rank as f64).powf(-skew);
                sum
            })
            .collect();
        for share in &mut cumulated {
            *share /= sum;
        }
        Self { cumulated, count }
    }

    /// Returns one function's number.
    pub(crate) fn pick(&self, random: &mut impl Rng) -> usize {
        if self.cumulated.is_empty() {
            return random.random_range(0..self.count);
        }
        let point: f64 = random.random();
        // Rounding may leave the last share below 1.
        self.cumulated.partition_point(|&share| share <= point).min(self.count - 1)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn shares(count: usize, skew: f64) -> Vec<f64> {
        let zipf = Zipf::new(count, skew);
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let mut picked = vec![0_u32; count];
        for _ in 0..100_000 {
            picked[zipf.pick(&mut random)] += 1;
        }
        picked.into_iter().map(|times| f64::from(times) / 1e5).collect()
    }

    #[test]
    fn no_skew_calls_all_equally_often() {
        assert!(shares(4, 0.0).into_iter().all(|share| (share - 0.25).abs() < 0.01));
    }

    #[test]
    fn skew_follows_zipf() {
        let harmonic = 1.0 + 1.0 / 2.0 + 1.0 / 3.0;
        for (rank, share) in (1_u32..).zip(shares(3, 1.0)) {
            assert!((share - 1.0 / f64::from(rank) / harmonic).abs() < 0.01, "rank {rank}: {share}");
        }
    }
}
