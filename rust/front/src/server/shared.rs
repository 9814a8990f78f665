//! What all connections share: the service, the clock, the way to the host, and the limits on what clients can pile up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use pilotlight_grpc::HandOver;

use super::ServerConfig;
use super::clock::Clock;
use super::other::Others;
use crate::dispatch::Dispatch;
use crate::service::Service;
use crate::settle::{Binding, HostCommand};
use crate::wire::AssignReply;

/// Bytes of messages that came in part, over all connections.
const MOST_PARTIAL_BYTES: usize = 64 << 20;

/// One of so many calls that a connection may have open is kept from requests that wait: the Idle that frees an instance gets through.
const CALLS_PER_SPARE_ONE: u32 = 6;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) service: Arc<Service>,
    pub(super) clock: Clock,
    dispatch: Arc<Dispatch>,
    hand_over: Arc<HandOver<HostCommand>>,
    pub(super) others: Others,
    /// What Assign and Idle must carry as `authorization`, if anything.
    pub(super) authorization: Option<Vec<u8>>,
    /// Connections that are open.
    pub(super) connections: Gauge,
    /// Calls in progress that the engine does not count as waiting.
    calls: Gauge,
    partial_bytes: Gauge,
    /// Requests that may wait on one connection.
    most_waits: usize,
}

impl Shared {
    pub(super) fn new(
        service: Arc<Service>,
        clock: Clock,
        dispatch: Arc<Dispatch>,
        hand_over: Arc<HandOver<HostCommand>>,
        others: Others,
        config: &ServerConfig,
    ) -> Self {
        Self {
            service,
            clock,
            dispatch,
            hand_over,
            others,
            authorization: config.authorization.clone(),
            connections: Gauge::new(config.max_connections),
            calls: Gauge::new(config.max_calls as usize),
            partial_bytes: Gauge::new(MOST_PARTIAL_BYTES),
            most_waits: (config.max_calls - config.max_calls / CALLS_PER_SPARE_ONE) as usize,
        }
    }

    /// Has commands carried out, by the courier or by the host.
    pub(super) fn carry_out(&self, commands: Vec<HostCommand>) {
        if !commands.is_empty() {
            self.hand_over.push(self.dispatch.send(commands));
        }
    }

    /// Returns the instance of a reply that is not to be sent.
    pub(super) fn take_back(&self, reply: &AssignReply) {
        self.carry_out(self.service.abandon(self.clock.now(), reply));
    }

    /// Returns an instance whose reply was not delivered.
    pub(super) fn release(&self, binding: Binding) {
        self.carry_out(self.service.release(self.clock.now(), binding));
    }

    /// Counts a call that is not answered on the spot; `None`: there are too many.
    pub(super) fn open_call(&self) -> Option<Share> {
        let mut share = self.calls.share();
        share.grow_to(1).then_some(share)
    }

    /// Counts the requests that wait on one connection.
    pub(super) fn waits_of_a_connection(&self) -> Gauge {
        Gauge::new(self.most_waits)
    }

    /// Counts the bytes of a message that comes in parts.
    pub(super) fn partial_message(&self) -> Share {
        self.partial_bytes.share()
    }
}

/// A limited quantity.
#[derive(Clone, Debug)]
pub(super) struct Gauge {
    taken: Arc<AtomicUsize>,
    limit: usize,
}

/// A share of a [`Gauge`]; dropping it returns it.
#[derive(Debug)]
pub(super) struct Share {
    of: Gauge,
    taken: usize,
}

impl Gauge {
    fn new(limit: usize) -> Self {
        Self { taken: Arc::default(), limit }
    }

    /// Starts a share of nothing.
    pub(super) fn share(&self) -> Share {
        Share { of: self.clone(), taken: 0 }
    }

    /// Whether no share can grow.
    pub(super) fn is_full(&self) -> bool {
        self.taken() >= self.limit
    }

    /// What all shares are together.
    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Share {
    /// Grows to an amount; `false`: the limit does not allow it, and nothing has changed.
    pub(super) fn grow_to(&mut self, amount: usize) -> bool {
        let more = amount.saturating_sub(self.taken);
        if more == 0 {
            return true;
        }
        if self.of.taken.fetch_add(more, Ordering::Relaxed) + more > self.of.limit {
            self.of.taken.fetch_sub(more, Ordering::Relaxed);
            return false;
        }
        self.taken += more;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.of.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Gauge;

    #[test]
    fn shares_never_exceed_the_limit_and_return() {
        let gauge = Gauge::new(10);
        let (mut first, mut second) = (gauge.share(), gauge.share());
        assert!(first.grow_to(6) && first.grow_to(4) && second.grow_to(4));
        assert!(!second.grow_to(5));
        assert_eq!(gauge.taken(), 10);
        drop(first);
        assert!(second.grow_to(10));
        drop(second);
        assert_eq!(gauge.taken(), 0);
    }
}
