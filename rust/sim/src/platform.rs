//! The model of a platform: how starts end.

use rand::SeedableRng;
use rand::distr::{Bernoulli, Distribution};
use rand_chacha::ChaCha8Rng;

use crate::error::SimError;
use crate::queue::Kind;

/// Draws the outcome of each start, in the order in which the engine asks for them.
#[derive(Debug)]
pub(crate) struct Platform {
    create_fails: Bernoulli,
    init_fails: Bernoulli,
    random: ChaCha8Rng,
}

impl Platform {
    pub(crate) fn new(create_failure: f64, init_failure: f64, seed: u64) -> Result<Self, SimError> {
        let probability = |option, value| Bernoulli::new(value).map_err(|_| SimError::Probability { option, value });
        Ok(Self {
            create_fails: probability("create_failure", create_failure)?,
            init_fails: probability("init_failure", init_failure)?,
            random: ChaCha8Rng::seed_from_u64(seed),
        })
    }

    /// How a CreateSlot ends.
    pub(crate) fn create(&mut self) -> Kind {
        if self.create_fails.sample(&mut self.random) { Kind::CreateFailed } else { Kind::SlotCreated }
    }

    /// How an Init ends.
    pub(crate) fn init(&mut self) -> Kind {
        if self.init_fails.sample(&mut self.random) { Kind::InitFailed } else { Kind::InstanceReady }
    }
}

#[cfg(test)]
mod tests {
    use super::Platform;
    use crate::queue::Kind;

    #[test]
    fn starts_fail_as_often_as_asked_and_alike_for_a_seed() {
        let draw = |seed| -> Vec<Kind> {
            let mut platform = Platform::new(0.25, 0.0, seed).unwrap();
            (0..4_000).map(|_| platform.create()).collect()
        };
        let failed = draw(1).iter().filter(|&&kind| kind == Kind::CreateFailed).count();
        assert!((900..1_100).contains(&failed), "{failed} of 4000");
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        let mut platform = Platform::new(0.0, 1.0, 0).unwrap();
        assert!((0..100).all(|_| platform.create() == Kind::SlotCreated && platform.init() == Kind::InitFailed));
    }

    #[test]
    fn what_is_no_probability_is_refused() {
        for (value, text) in [(1.5, "1.5"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
            let error = Platform::new(0.0, value, 0).unwrap_err();
            assert_eq!(error.to_string(), format!("init_failure is {text}, but a probability lies between 0 and 1"));
        }
    }
}
