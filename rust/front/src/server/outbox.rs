//! Replies that give an instance away, on their way from a decision to the socket: what the socket never took gives its instance back.
//!
//! Until HTTP/2 writes a reply into a frame, the reply's [`Payload`] holds the instance: a reset of its stream, or the end of its connection,
//! drops the payload. From there on the [`Outbox`] holds it, until the last byte of the stream went into the socket. Whatever happens after
//! that is the network's, and no server can know it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};

use super::answers::Answers;
use super::frames::Frames;
use super::shared::Shared;
use crate::settle::Binding;

/// One connection's instances that are neither with the client nor with the engine. Dropped with the connection, it returns them.
#[derive(Debug)]
pub(super) struct Outbox {
    pub(super) shared: Arc<Shared>,
    /// Of the connection's thread.
    pub(super) answers: Answers,
    unsent: Mutex<Unsent>,
}

/// What is in frames and not in the socket, by stream.
#[derive(Debug, Default)]
struct Unsent {
    bindings: HashMap<u32, Binding, foldhash::fast::RandomState>,
    frames: Frames,
}

impl Outbox {
    pub(super) fn new(shared: Arc<Shared>, answers: Answers) -> Self {
        Self { shared, answers, unsent: Mutex::default() }
    }

    /// Follows what the socket took.
    pub(super) fn sent<'a>(&self, pieces: impl Iterator<Item = &'a [u8]>, length: usize) {
        let Unsent { bindings, frames } = &mut *self.lock();
        let mut left = length;
        for piece in pieces {
            let taken = &piece[..piece.len().min(left)];
            left -= taken.len();
            frames.pass(taken, |stream| {
                bindings.remove(&stream);
            });
        }
    }

    /// Every critical section leaves the state whole, so a poisoned lock guards usable state. Only the connection's thread comes here.
    fn lock(&self) -> MutexGuard<'_, Unsent> {
        self.unsent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        let unsent = std::mem::take(&mut self.lock().bindings);
        for binding in unsent.into_values() {
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
