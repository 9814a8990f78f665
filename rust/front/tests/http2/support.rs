//! A server on a real socket with an instant platform behind it, a client of it, and frames written by hand.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use h2::client::{ResponseFuture, SendRequest};
use h2::{RecvStream, SendStream};
use http::{HeaderMap, Request};
use pilotlight_core::policy::PolicySpec;
use pilotlight_core::{EngineConfig, Nanos};
use pilotlight_front::server::{Clock, Server, ServerConfig};
use pilotlight_front::wire::{AssignReply, AssignRequest, Assignment, IdleRequest, Meta};
use pilotlight_front::{HostCommand, Service, ServiceConfig};
use pilotlight_grpc::HandOver;
use prost::Message;
use tokio::net::TcpStream;

/// Nothing that a test waits for takes longer.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ASSIGN: &str = "/serverless.simulator.Scaler/Assign";
pub(crate) const IDLE: &str = "/serverless.simulator.Scaler/Idle";

/// A server, and a host that carries out its commands at once unless told to hold them back.
pub(crate) struct Fixture {
    pub(crate) service: Arc<Service>,
    server: Arc<Mutex<Server>>,
    address: SocketAddr,
    closing: Option<tokio::task::JoinHandle<()>>,
    clock: Clock,
    ended: Arc<AtomicBool>,
    held: Arc<AtomicBool>,
    host: Option<JoinHandle<()>>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut ServerConfig)) -> Self {
        let engine = EngineConfig::new(PolicySpec::parse("fixed:keep_alive=1h").unwrap());
        let service = Arc::new(Service::new(ServiceConfig { engine, boot_id: 7, assign_deadline: Nanos::from_secs(600) }));
        let mut config = ServerConfig {
            address: "127.0.0.1:0".to_owned(),
            threads: 2,
            keep_alive: None,
            max_connections: 20_000,
            max_calls: 2000,
            authorization: None,
            descriptors: Vec::new(),
        };
        change(&mut config);
        let (clock, hand_over) = (Clock::set(Nanos::ZERO), Arc::new(HandOver::new().unwrap()));
        // Not on a test's event loop: the server makes its own.
        let server = thread::spawn({
            let (service, hand_over) = (Arc::clone(&service), Arc::clone(&hand_over));
            move || Server::start(&config, service, clock, Arc::default(), hand_over).unwrap()
        });
        let server = server.join().unwrap();
        let (ended, held) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let host = thread::spawn({
            let (service, ended, held) = (Arc::clone(&service), Arc::clone(&ended), Arc::clone(&held));
            move || {
                while !ended.load(Ordering::SeqCst) {
                    if !held.load(Ordering::SeqCst) {
                        carry_out(&service, clock, hand_over.take());
                    }
                    thread::sleep(Duration::from_micros(200));
                }
            }
        });
        let address = server.address();
        let server = Arc::new(Mutex::new(server));
        Self { service, server, address, closing: None, clock, ended, held, host: Some(host) }
    }

    /// Lets starts wait until the fixture is released.
    pub(crate) fn hold(&self, held: bool) {
        self.held.store(held, Ordering::SeqCst);
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connections(&self) -> usize {
        self.server.lock().unwrap().connections()
    }

    pub(crate) async fn begin_shutdown(&self) {
        let server = Arc::clone(&self.server);
        tokio::task::spawn_blocking(move || server.lock().unwrap().begin_shutdown()).await.unwrap();
    }

    pub(crate) fn close_in_background(&mut self, grace: Duration) {
        let server = Arc::clone(&self.server);
        self.closing = Some(tokio::task::spawn_blocking(move || server.lock().unwrap().close(grace)));
    }

    /// Waits for the end of [`Fixture::close_in_background`].
    pub(crate) async fn closed(&mut self) {
        self.closing.take().unwrap().await.unwrap();
    }

    pub(crate) async fn connect(&self) -> SendRequest<Bytes> {
        self.connect_with(&h2::client::Builder::new()).await
    }

    pub(crate) async fn connect_with(&self, builder: &h2::client::Builder) -> SendRequest<Bytes> {
        let socket = TcpStream::connect(self.address()).await.unwrap();
        let (client, connection) = builder.handshake(socket).await.unwrap();
        tokio::spawn(connection);
        client.ready().await.unwrap()
    }

    pub(crate) fn waiting(&self) -> u64 {
        self.service.engine().snapshot(self.clock.now()).live.waiting
    }

    /// Slots by state, as the ledger has them: `busy` or `idle`.
    pub(crate) fn slots(&self, account: pilotlight_core::Account) -> u64 {
        self.service.engine().snapshot(self.clock.now()).live.slots[account as usize]
    }

    pub(crate) async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(Instant::now() < deadline, "the awaited condition did not come true");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::SeqCst);
        self.host.take().unwrap().join().unwrap();
    }
}

fn carry_out(service: &Service, clock: Clock, commands: Vec<HostCommand>) {
    for command in commands {
        let now = clock.now();
        let more = match command {
            HostCommand::CreateSlot { slot, .. } => service.report(now, |engine, out| engine.handle_slot_created(now, slot, Nanos(1), out)),
            HostCommand::Init { slot, .. } => service.report(now, |engine, out| engine.handle_instance_ready(now, slot, Nanos(1), out)),
            HostCommand::DestroySlot { slot, .. } => service.report(now, |engine, _| engine.handle_slot_destroyed(now, slot)),
            HostCommand::Wake(wake) => panic!("nobody of the host's waits: {wake:?}"),
        };
        carry_out(service, clock, more.unwrap());
    }
}

/// How a call ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) http: u16,
    /// `grpc-status`, from the trailers or the headers.
    pub(crate) status: String,
    pub(crate) text: String,
    pub(crate) headers: HeaderMap,
    pub(crate) data: Bytes,
}

impl Ended {
    pub(crate) fn assignment(&self) -> Assignment {
        assert_eq!(self.status, "0", "{self:?}");
        AssignReply::decode(&self.data[5..]).unwrap().assigment.unwrap()
    }
}

pub(crate) fn request(path: &str) -> Request<()> {
    Request::builder()
        .method("POST")
        .uri(format!("http://scaler{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())
        .unwrap()
}

pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    let mut framed = vec![0];
    framed.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
    framed.extend(message);
    framed
}

pub(crate) fn assign_body(key: &str) -> Vec<u8> {
    let meta = Meta { key: key.to_owned(), runtime: "python".to_owned(), timeout_in_secs: 60, memory_in_mb: 128 };
    framed(&AssignRequest { request_id: "r".to_owned(), meta_data: Some(meta) }.encode_to_vec())
}

pub(crate) fn idle_body(assignment: Assignment) -> Vec<u8> {
    framed(&IdleRequest { assigment: Some(assignment), result: None }.encode_to_vec())
}

pub(crate) async fn open(client: &SendRequest<Bytes>, request: Request<()>, end: bool) -> (ResponseFuture, SendStream<Bytes>) {
    client.clone().ready().await.unwrap().send_request(request, end).unwrap()
}

pub(crate) async fn ended(response: ResponseFuture) -> Result<Ended, h2::Error> {
    let (head, mut body) = tokio::time::timeout(PATIENCE, response).await.expect("an answer comes in time")?.into_parts();
    let data = read_all(&mut body).await?;
    let trailers = body.trailers().await?.unwrap_or_default();
    let text = |name: &str| {
        let value = trailers.get(name).or(head.headers.get(name));
        value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
    };
    let (status, text) = (text("grpc-status"), text("grpc-message"));
    Ok(Ended { http: head.status.as_u16(), status, text, headers: head.headers, data })
}

async fn read_all(body: &mut RecvStream) -> Result<Bytes, h2::Error> {
    let mut all = BytesMut::new();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
        all.extend_from_slice(&data);
    }
    Ok(all.freeze())
}

pub(crate) async fn call(client: &SendRequest<Bytes>, request: Request<()>, body: Vec<u8>) -> Ended {
    let (response, mut stream) = open(client, request, false).await;
    stream.send_data(body.into(), true).unwrap();
    ended(response).await.unwrap()
}

pub(crate) async fn assign(client: &SendRequest<Bytes>, key: &str) -> Assignment {
    call(client, request(ASSIGN), assign_body(key)).await.assignment()
}

pub(crate) async fn idle(client: &SendRequest<Bytes>, assignment: Assignment) {
    assert_eq!(call(client, request(IDLE), idle_body(assignment)).await.status, "0");
}

/// Frames by hand, for what no library writes.
pub(crate) mod raw {
    pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    pub(crate) const DATA: u8 = 0;
    pub(crate) const HEADERS: u8 = 1;
    pub(crate) const RST_STREAM: u8 = 3;
    pub(crate) const SETTINGS: u8 = 4;
    pub(crate) const PING: u8 = 6;
    pub(crate) const GOAWAY: u8 = 7;
    pub(crate) const CONTINUATION: u8 = 9;
    pub(crate) const END_STREAM: u8 = 1;
    pub(crate) const ACK: u8 = 1;
    pub(crate) const END_HEADERS: u8 = 4;

    pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
        let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        frame.extend(payload);
        frame
    }

    /// Headers of a call, as literals that are not indexed.
    pub(crate) fn header_block(path: &str, more: &[(&str, &str)]) -> Vec<u8> {
        let known =
            [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "scaler"), ("content-type", "application/grpc")];
        let mut block = Vec::new();
        for (name, value) in known.iter().chain(more) {
            block.push(0);
            for text in [name, value] {
                let length = u8::try_from(text.len()).unwrap();
                assert!(length < 127, "one byte holds it");
                block.push(length);
                block.extend(text.as_bytes());
            }
        }
        block
    }

    pub(crate) fn preamble() -> Vec<u8> {
        [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()
    }
}
