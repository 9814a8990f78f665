//! The fixed keep-alive: every free instance is kept for the same time.

use super::{Facts, FreeInstance, FunctionPolicy, Policy};
use crate::nanos::Nanos;
use crate::table::FunctionSpec;

/// Keeps every free instance for `keep_alive`, the rule of most public platforms and of the contest's sample scaler (300 s).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// The window.
    pub keep_alive: Nanos,
}

impl Policy for Fixed {
    fn function(&self, _: &FunctionSpec) -> Box<dyn FunctionPolicy> {
        Box::new(*self)
    }
}

impl FunctionPolicy for Fixed {
    fn keep_alive(&self, _: &FreeInstance) -> Nanos {
        self.keep_alive
    }

    fn explain(&self, _: &Facts) -> Vec<String> {
        vec![format!("keeps every free instance for {}", self.keep_alive)]
    }
}
