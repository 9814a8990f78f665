//! Load: on a scaler over gRPC, with the platform it needs behind it, instant or the contest's, and on the engine in this process.
//!
//! The client is `h2` on single-threaded runtimes, a few microseconds a call, so that figures are the server's and not the client's. An open
//! loop follows its schedule whatever the server does, and latency counts from the scheduled moment: a server that stalls cannot hide the
//! calls that would have come meanwhile (no coordinated omission). Everything random comes from the seed.
//!
//! [`run`] blocks until the load is over; [`Platform`] and [`ContestPlatform`] serve on a thread of their own until they are dropped.

mod client;
mod config;
mod contest;
mod engine;
mod error;
mod mix;
mod pace;
mod pair;
mod platform;
mod prewarm;
mod record;
mod run;
mod schedule;
mod server;
mod usage;
mod wire;
mod worker;

pub use config::{LoadConfig, Loop, Mix, Spacing, Storm};
pub use contest::{ContestPlatform, Function, SlotAccount, Slots, TraceClock, Unusable};
pub use engine::{EngineLoad, EngineReport, warm_pairs};
pub use error::LoadError;
pub use platform::{Platform, PlatformCounts};
pub use record::{Latencies, Recording, Window};
pub use run::{LoadReport, Progress, run};
pub use usage::Usage;
