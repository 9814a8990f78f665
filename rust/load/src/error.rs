//! What can be wrong with a target, in the words of whoever started the run.

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A setting is out of range.
    #[error("{setting} is {value}: {problem}")]
    Setting {
        /// Its name.
        setting: &'static str,
        /// What was given.
        value: String,
        /// What is allowed.
        problem: &'static str,
    },
    /// Nobody listens there.
    #[error("cannot connect to {target}: {source}; is the scaler running?")]
    Connect {
        /// The address.
        target: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Somebody listens, who is no gRPC server.
    #[error("{target} does not speak HTTP/2: {reason}; is it a gRPC server without TLS?")]
    Handshake {
        /// The address.
        target: String,
        /// What the protocol layer saw.
        reason: String,
    },
    /// The first calls were refused.
    #[error("{target} answered {method} with {status}: {message}{hint}")]
    Refused {
        /// The address.
        target: String,
        /// `Assign` or `Idle`.
        method: &'static str,
        /// The gRPC status.
        status: String,
        /// The server's text.
        message: String,
        /// What to look at.
        hint: &'static str,
    },
    /// The warm instances did not come.
    #[error(
        "{target} answered {answered} of {of} {method} calls and then none for {seconds} s, with {ready} of {wanted} warm instances made; \
         does the scaler find its platform, and does the platform answer?"
    )]
    Prewarm {
        /// The address.
        target: String,
        /// `Assign` or `Idle`.
        method: &'static str,
        /// Calls of a batch that were answered.
        answered: usize,
        /// Calls of the batch.
        of: usize,
        /// Instances of earlier batches.
        ready: u64,
        /// Instances asked for.
        wanted: u64,
        /// How long nothing came.
        seconds: u64,
    },
    /// A connection ended in the middle of the run.
    #[error("{target} closed a connection after {calls} calls: {reason}")]
    Lost {
        /// The address.
        target: String,
        /// Calls answered until then.
        calls: u64,
        /// The protocol layer's reason.
        reason: String,
    },
    /// The process whose usage is to be measured is not there.
    #[error("no figures of process {pid}: {source}")]
    Usage {
        /// The process.
        pid: u32,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A runtime, thread or timer could not be made, or the platform's address not be bound.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The caller ended the run.
    #[error("interrupted")]
    Interrupted,
}

impl LoadError {
    /// Names what was tried when the system refused it.
    pub(crate) fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::System { what, source }
    }
}
