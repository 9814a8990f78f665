//! What a run is told.

use std::time::Duration;

use crate::error::LoadError;

/// Everything about one run.
#[derive(Clone, Debug)]
pub struct LoadConfig {
    /// `host:port` of the scaler.
    pub target: String,
    /// HTTP/2 connections, at least 1.
    pub connections: usize,
    /// Client threads; each drives its share of the connections.
    pub threads: usize,
    /// How calls follow each other.
    pub arrivals: Loop,
    /// What is called.
    pub mix: Mix,
    /// Load before anything is measured.
    pub warm_up: Duration,
    /// The measured time.
    pub duration: Duration,
    /// How long calls may go on after the end; then they count as unfinished.
    pub grace: Duration,
    /// A storm of cold starts beside the load, in the second half of the measured time.
    pub storm: Option<Storm>,
    /// Of the generator that picks functions and arrivals.
    pub seed: u64,
    /// The scaler's process, for its CPU time and memory.
    pub pid: Option<u32>,
}

/// How calls follow each other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Loop {
    /// Each of `streams` callers a connection makes its next call when the last one is answered.
    Closed {
        /// Callers a connection.
        streams: usize,
    },
    /// Calls come by a schedule that knows nothing of the server.
    Open {
        /// RPCs a second; half of them are Assigns, each followed by its Idle.
        rate: f64,
        /// The gaps between them.
        spacing: Spacing,
    },
}

/// The gaps of a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// All the same.
    Constant,
    /// Exponentially distributed, as of callers who do not know of each other.
    Poisson,
}

/// What is called.
#[derive(Clone, Debug)]
pub struct Mix {
    /// Functions, at least 1.
    pub functions: usize,
    /// Exponent of Zipf's law over the functions: 0 calls all equally often, 1 the second half as often as the first.
    pub skew: f64,
    /// Share of the requests that call a function never called before, 0 to 1.
    pub cold_share: f64,
    /// Instances a function that are made before the load starts.
    pub prewarm: usize,
    /// Time between an Assign's reply and its Idle; whole milliseconds.
    pub hold: Duration,
}

/// Requests for functions without instances, evenly spread over a time.
#[derive(Clone, Copy, Debug)]
pub struct Storm {
    /// Assigns; each is followed by its Idle.
    pub requests: u64,
    /// Functions they share.
    pub functions: u64,
    /// How long their arrivals take.
    pub duration: Duration,
}

impl LoadConfig {
    /// Checks what no type checks.
    pub(crate) fn validate(&self) -> Result<(), LoadError> {
        let positive = "at least 1 is needed";
        check("connections", &self.connections, self.connections > 0, positive)?;
        check("threads", &self.threads, self.threads > 0, positive)?;
        check("threads", &self.threads, self.threads <= self.connections, "each thread needs a connection")?;
        check("functions", &self.mix.functions, self.mix.functions > 0, positive)?;
        check("skew", &self.mix.skew, self.mix.skew >= 0.0 && self.mix.skew.is_finite(), "0 or more is needed")?;
        check("cold_share", &self.mix.cold_share, (0.0..=1.0).contains(&self.mix.cold_share), "a share is between 0 and 1")?;
        check("duration", &self.duration.as_secs_f64(), !self.duration.is_zero(), "something must be measured")?;
        match self.arrivals {
            Loop::Closed { streams } => check("streams", &streams, streams > 0, positive)?,
            Loop::Open { rate, .. } => check("rate", &rate, rate > 0.0 && rate.is_finite(), "a rate is above 0")?,
        }
        self.storm.map_or(Ok(()), |storm| {
            check("storm functions", &storm.functions, storm.functions > 0, positive)?;
            check("storm duration", &storm.duration.as_secs_f64(), storm.duration <= self.duration / 2, "it must fit half of duration")
        })
    }
}

fn check(setting: &'static str, value: &impl ToString, holds: bool, problem: &'static str) -> Result<(), LoadError> {
    if holds { Ok(()) } else { Err(LoadError::Setting { setting, value: value.to_string(), problem }) }
}
