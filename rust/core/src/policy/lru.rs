//! Least recently used: instances are kept until memory is short; then the one goes that has been free for longest.

use super::{Facts, FreeInstance, FunctionPolicy, Policy};
use crate::nanos::Nanos;
use crate::table::FunctionSpec;

/// Keeps every free instance until the `memory` limit asks for its place. No state a function.
///
/// # Source
///
/// The baseline of Fuerst and Sharma, "FaasCache", ASPLOS 2021, §4.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lru;

impl Policy for Lru {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(*self)
    }
}

impl FunctionPolicy for Lru {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        Nanos::MAX
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        vec!["keeps free instances until memory is short; the one used least recently goes first".to_owned()]
    }
}
