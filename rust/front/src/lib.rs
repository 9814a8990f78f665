//! The engine behind its wire format: bytes in, bytes out, and what is left for a host to do.
//!
//! [`Service`] is what every front shares: the Python extension calls it from Python's threads, the HTTP/2 server of this crate from its
//! own. It reads no clock and does no I/O. Whoever waits for an instance is answered where it waits: see [`Caller`]. [`server`] is a host's
//! other half: it owns sockets and clients, and leaves the platform to its owner, whose hand at a platform over gRPC is [`Courier`].

#![forbid(unsafe_code)]

mod courier;
mod dispatch;
mod instance_id;
mod memory;
mod reasons;
mod refusal;
pub mod server;
mod service;
mod settle;
mod waiting;
pub mod wire;

pub use courier::{Calls, Courier, CourierConfig, Kind, Left};
pub use dispatch::Dispatch;
pub use memory::memory_mb_from;
pub use refusal::{Refusal, Unserved};
pub use service::{Assigned, Service, ServiceConfig};
pub use settle::{HostCommand, Wake};
pub use waiting::{Answer, Caller};
