//! Replies that give an instance away, on their way from a decision to the client: one that does not arrive gives its instance back.
//!
//! Until HTTP/2 writes a reply into a frame, the reply's [`Payload`] holds the instance: a reset of its stream, or the end of its connection,
//! drops the payload. From there on the [`Outbox`] holds it. The end of the connection returns it for as long as the last byte of its
//! stream did not go into the socket. A reset of its stream returns it also later: a client that has seen a stream's end has nothing left to
//! reset, so one that resets it had not seen the reply. A connection that ends later says nothing: its client may have read the reply.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};

use super::answers::Answers;
use super::frames::{Frames, Passed};
use super::shared::{Gauge, Shared};
use crate::settle::Binding;

/// Replies that went into the socket and whose late reset is still understood: those of a network's round trip at full load. Resets are
/// rare, and memory is every connection's.
const REMEMBERED: usize = 512;

/// One connection's instances that are on their way to its client. Dropped with the connection, it returns those that did not leave.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) shared: Arc<Shared>,
    /// Of the connection's thread.
    pub(super) answers: Answers,
    /// Requests of the connection that wait.
    pub(super) waits: Gauge,
    way: Mutex<Way>,
}

/// What is in frames, and the last of what went into the socket.
#[derive(Debug)]
struct Way {
    /// By stream.
    bindings: HashMap<u32, Binding, foldhash::fast::RandomState>,
    /// Streams whose last byte the socket took, the oldest first.
    sent: VecDeque<u32>,
    outgoing: Frames,
    incoming: Frames,
}

impl Outbox {
    pub(super) fn new(shared: Arc<Shared>, answers: Answers) -> Self {
        let way = Way { bindings: HashMap::default(), sent: VecDeque::new(), outgoing: Frames::default(), incoming: Frames::of_client() };
        let waits = shared.waits_of_a_connection();
        Self { shared, answers, waits, way: Mutex::new(way) }
    }

    /// Follows what the socket took.
    pub(super) fn sent<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>, length: usize) {
        let Way { bindings, sent, outgoing, .. } = &mut *self.lock();
        let mut left = length;
        for piece in pieces {
            let taken = &piece[..piece.len().min(left)];
            left -= taken.len();
            outgoing.pass(taken, |frame| {
                if let Passed::Last(stream) = frame
                    && bindings.contains_key(&stream)
                {
                    sent.push_back(stream);
                    if sent.len() > REMEMBERED
                        && let Some(oldest) = sent.pop_front()
                    {
                        bindings.remove(&oldest);
                    }
                }
            });
        }
    }

    /// Follows what the client sent: a stream that it resets returns its instance.
    pub(super) fn heard(&self, bytes: &[u8]) {
        let mut undelivered = Vec::new();
        {
            let Way { bindings, incoming, .. } = &mut *self.lock();
            incoming.pass(bytes, |frame| {
                if let Passed::Reset(stream) = frame {
                    undelivered.extend(bindings.remove(&stream));
                }
            });
        }
        for binding in undelivered {
            self.shared.release(binding);
        }
    }

    /// Every critical section leaves the state whole, so a poisoned lock guards usable state. Only the connection's thread comes here.
    fn lock(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let Way { bindings, sent, .. } = self.way.get_mut().unwrap_or_else(PoisonError::into_inner);
        for stream in sent {
            bindings.remove(stream);
        }
        for binding in std::mem::take(bindings).into_values() {
            self.shared.release(binding);
        }
    }
}

/// An instance on its way to a client: dropped before it is in a frame, it returns to the engine.
#[derive(Debug)]
pub(super) struct Delivery {
    outbox: Arc<Outbox>,
    binding: Option<Binding>,
}

impl Delivery {
    pub(super) fn new(outbox: Arc<Outbox>, binding: Option<Binding>) -> Self {
        Self { outbox, binding }
    }

    fn framed(mut self, stream: u32) {
        if let Some(binding) = self.binding.take() {
            self.outbox.lock().bindings.insert(stream, binding);
        }
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if let Some(binding) = self.binding.take() {
            self.outbox.shared.release(binding);
        }
    }
}

/// Bytes of a response. With the last of them goes an instance, on that stream.
#[derive(Debug)]
pub(super) struct Payload {
    bytes: Bytes,
    instance: Option<(u32, Delivery)>,
}

impl Payload {
    pub(super) fn new(bytes: Bytes, stream: u32, instance: Option<Delivery>) -> Self {
        Self { bytes, instance: instance.map(|instance| (stream, instance)) }
    }
}

impl From<Bytes> for Payload {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, instance: None }
    }
}

impl Buf for Payload {
    fn remaining(&self) -> usize {
        self.bytes.len()
    }

    fn chunk(&self) -> &[u8] {
        &self.bytes
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if self.bytes.is_empty()
            && let Some((stream, instance)) = self.instance.take()
        {
            instance.framed(stream);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::{Buf, Bytes};
    use pilotlight_core::policy::PolicySpec;
    use pilotlight_core::{Account, EngineConfig, Nanos};
    use prost::Message;

    use super::{Delivery, Outbox, Payload};
    use crate::server::answers::Answers;
    use crate::server::other::Others;
    use crate::server::shared::Shared;
    use crate::server::{Clock, HandOver, ServerConfig};
    use crate::service::{Service, ServiceConfig};
    use crate::settle::HostCommand;
    use crate::waiting::Caller;
    use crate::wire::{AssignRequest, Meta};

    fn shared() -> Arc<Shared> {
        let engine = EngineConfig::new(PolicySpec::parse("fixed").unwrap());
        let service = Arc::new(Service::new(ServiceConfig { engine, boot_id: 7, assign_deadline: Nanos::MAX }));
        let config = ServerConfig {
            address: String::new(),
            threads: 1,
            keep_alive: None,
            max_connections: 1,
            max_calls: 1,
            authorization: None,
            descriptors: Vec::new(),
        };
        let (hand_over, others) = (Arc::new(HandOver::new().unwrap()), Others::new(&[]).unwrap());
        Arc::new(Shared::new(service, Clock::set(Nanos::ZERO), Arc::default(), hand_over, others, &config))
    }

    /// A reply that gives away a new instance.
    fn payload(outbox: &Arc<Outbox>, stream: u32) -> Payload {
        let service = &outbox.shared.service;
        let meta = Meta { key: "f".to_owned(), runtime: String::new(), timeout_in_secs: 1, memory_in_mb: 1 };
        let request = AssignRequest { request_id: stream.to_string(), meta_data: Some(meta) }.encode_to_vec();
        let (_, commands) = service.assign(Nanos::ZERO, &request, None, || Caller::Host).unwrap();
        let [HostCommand::CreateSlot { slot, .. }] = commands[..] else { panic!("{commands:?}") };
        service.report(Nanos::ZERO, |engine, out| engine.handle_slot_created(Nanos::ZERO, slot, Nanos(1), out)).unwrap();
        let ready = service.report(Nanos::ZERO, |engine, out| engine.handle_instance_ready(Nanos::ZERO, slot, Nanos(1), out));
        let [HostCommand::Wake(wake)] = &ready.unwrap()[..] else { panic!("nobody is woken") };
        let binding = service.binding(wake.answer.as_ref().unwrap());
        Payload::new(Bytes::from_static(b"reply"), stream, Some(Delivery::new(Arc::clone(outbox), binding)))
    }

    fn busy(shared: &Shared) -> u64 {
        shared.service.engine().snapshot(Nanos::ZERO).live.slots[Account::Busy as usize]
    }

    fn trailers(stream: u8) -> [u8; 9] {
        [0, 0, 0, 1, 5, 0, 0, 0, stream]
    }

    #[test]
    fn only_what_the_socket_took_stays_given_away() {
        let shared = shared();
        let outbox = Arc::new(Outbox::new(Arc::clone(&shared), Answers::new()));
        let mut payloads: Vec<_> = [1, 3, 5].map(|stream| payload(&outbox, stream)).into();
        assert_eq!(busy(&shared), 3);
        drop(payloads.pop());
        assert_eq!(busy(&shared), 2, "in no frame yet");
        for payload in &mut payloads {
            payload.advance(2);
            payload.advance(3);
        }
        drop(payloads);
        assert_eq!(busy(&shared), 2, "in frames");
        let (first, second) = (trailers(1), trailers(3));
        outbox.sent([&first[..], &second[..]].into_iter(), 17);
        drop(outbox);
        assert_eq!(busy(&shared), 1, "the last byte of the second was never taken");
    }
}
