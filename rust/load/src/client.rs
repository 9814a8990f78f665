//! One HTTP/2 connection and the unary calls on it.

use std::rc::Rc;

use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::{Method, Request};
use pilotlight_grpc::{Failure, frame, receive};
use prost::Message;
use tokio::net::TcpStream;

use crate::error::LoadError;

/// Room for every reply in flight: a connection never waits for its window.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

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
        R::decode(receive(response).await?).map_err(|_| Failure::new("INTERNAL", "the reply does not parse"))
    }
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
