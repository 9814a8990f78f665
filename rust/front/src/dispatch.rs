//! Where a service's commands go.

use std::sync::{Arc, OnceLock};

use crate::courier::Courier;
use crate::settle::HostCommand;

/// Gives the commands of one service to its courier, if it has one, but for what is the host's alone.
#[derive(Debug, Default)]
pub struct Dispatch {
    courier: OnceLock<Arc<Courier>>,
}

impl Dispatch {
    /// Gives the service a courier; `false`: it has one.
    pub fn attach(&self, courier: Arc<Courier>) -> bool {
        self.courier.set(courier).is_ok()
    }

    /// Has the courier carry out what it can, and returns the rest, in its order.
    #[must_use]
    pub fn send(&self, commands: Vec<HostCommand>) -> Vec<HostCommand> {
        match self.courier.get() {
            Some(courier) => courier.execute(commands).into_iter().map(HostCommand::Wake).collect(),
            None => commands,
        }
    }
}
