//! One HTTP/2 connection and the unary calls on it.

use std::rc::Rc;

use bytes::{Bytes, BytesMut};
use h2::client::{Builder, ResponseFuture, SendRequest};
use http::{HeaderMap, Method, Request};
use prost::Message;
use tokio::net::TcpStream;

use crate::error::LoadError;
use crate::wire::{frame, unframe};

/// Room for every reply in flight: a connection never waits for its window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// Names of gRPC's status codes.
const STATUS: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Why a call has no usable reply.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What it is counted under: gRPC's status, or what the client saw instead.
    pub(crate) status: &'static str,
    pub(crate) message: String,
}

impl Failure {
    pub(crate) fn new(status: &'static str, message: impl Into<String>) -> Self {
        Self { status, message: message.into() }
    }
}

impl From<h2::Error> for Failure {
    fn from(error: h2::Error) -> Self {
        Self::new("UNAVAILABLE", error.to_string())
    }
}

/// A connection; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    sender: SendRequest<Bytes>,
    assign: Rc<Request<()>>,
    idle: Rc<Request<()>>,
}

impl Channel {
    /// Connects, and drives the connection on the current `LocalSet`; `lost` is told when it ends.
    pub(crate) async fn connect(target: &str, lost: impl FnOnce(String) + 'static) -> Result<Self, LoadError> {
        let stream = TcpStream::connect(target).await.map_err(|source| LoadError::Connect { target: target.to_owned(), source })?;
        stream.set_nodelay(true).map_err(LoadError::system("cannot set TCP_NODELAY"))?;
        let refused = |error: h2::Error| LoadError::Handshake { target: target.to_owned(), reason: error.to_string() };
        let (sender, connection) = Builder::new()
            .initial_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .enable_push(false)
            .handshake(stream)
            .await
            .map_err(refused)?;
        tokio::task::spawn_local(async move {
            lost(connection.await.err().map_or_else(|| "it said goodbye".to_owned(), |error| error.to_string()));
        });
        let sender = sender.ready().await.map_err(refused)?;
        Ok(Self { sender, assign: Rc::new(template(target, "Assign")), idle: Rc::new(template(target, "Idle")) })
    }

    /// Calls Assign.
    pub(crate) async fn assign<R: Message + Default>(&self, message: &impl Message) -> Result<R, Failure> {
        self.call(&self.assign, message).await
    }

    /// Calls Idle.
    pub(crate) async fn idle<R: Message + Default>(&self, message: &impl Message) -> Result<R, Failure> {
        self.call(&self.idle, message).await
    }

    async fn call<R: Message + Default>(&self, template: &Request<()>, message: &impl Message) -> Result<R, Failure> {
        // Waits while the server's limit of concurrent streams is reached.
        let mut sender = self.sender.clone().ready().await?;
        let (response, mut stream) = sender.send_request(template.clone(), false)?;
        stream.send_data(frame(message), true)?;
        let body = receive(response).await?;
        unframe(body)
            .and_then(|message| R::decode(message).map_err(|_| "the reply does not parse"))
            .map_err(|text| Failure::new("INTERNAL", text))
    }
}

/// Returns the body of a response whose status is OK.
async fn receive(response: ResponseFuture) -> Result<Bytes, Failure> {
    let (head, mut body) = response.await?.into_parts();
    if head.status != 200 {
        return Err(Failure::new("UNAVAILABLE", format!("HTTP status {}", head.status.as_u16())));
    }
    if head.headers.contains_key("grpc-status") {
        outcome(&head.headers)?;
    }
    let mut received = Bytes::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        received = if received.is_empty() { chunk } else { BytesMut::from_iter([received, chunk].concat()).freeze() };
    }
    match body.trailers().await? {
        Some(trailers) => outcome(&trailers)?,
        None if head.headers.contains_key("grpc-status") => {}
        None => return Err(Failure::new("INTERNAL", "the response has no grpc-status")),
    }
    Ok(received)
}

fn outcome(headers: &HeaderMap) -> Result<(), Failure> {
    let code = headers.get("grpc-status").map(http::HeaderValue::as_bytes);
    if code == Some(b"0") {
        return Ok(());
    }
    let number = code.and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse::<usize>().ok());
    let message = headers.get("grpc-message").map_or_else(String::new, |text| String::from_utf8_lossy(text.as_bytes()).into_owned());
    Err(Failure::new(number.and_then(|number| STATUS.get(number).copied()).unwrap_or("UNKNOWN"), message))
}

fn template(target: &str, method: &str) -> Request<()> {
    Request::builder()
        .method(Method::POST)
        .uri(format!("http://{target}/serverless.simulator.Scaler/{method}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .header("user-agent", concat!("pilotlight-bench/", env!("CARGO_PKG_VERSION")))
        .body(())
        .expect("the target is an address")
}
