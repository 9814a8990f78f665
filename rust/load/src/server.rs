//! A server of unary calls on one thread: what both platforms listen with.
//!
//! It refuses no call for their number: a burst of tens of thousands waits in memory. Whoever measures a scaler must not fail it.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::rc::Rc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use h2::RecvStream;
use h2::server::{Builder, SendResponse};
use http::{HeaderMap, HeaderValue, Request, Response};
use pilotlight_grpc::unframe;
use tokio::sync::oneshot;
use tokio::task::{JoinSet, LocalSet, spawn_local};

use crate::error::LoadError;

/// Room for requests that are not read yet, of a call and of a connection.
const STREAM_WINDOW: u32 = 1 << 20;
const CONNECTION_WINDOW: u32 = 1 << 24;

/// The longest message that is read: gRPC's usual limit.
const LONGEST: usize = 4 << 20;

/// Pause after an error of accepting, such as no descriptors left, which the next attempt would meet again.
const PAUSE: Duration = Duration::from_millis(20);

/// A gRPC status other than OK: its code and a text in ASCII.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Status(pub(crate) &'static str, pub(crate) &'static str);

/// The request is not a message of the method's type.
pub(crate) const UNREADABLE: Status = Status("13", "the request is not an encoded message of its type");
/// The service has no such method.
pub(crate) const UNKNOWN_METHOD: Status = Status("12", "no such method");

const TOO_LONG: Status = Status("8", "the request is longer than 4 MiB");
const COMPRESSED: Status = Status("12", "the request is compressed, or not one framed message; compression is not offered");

/// A reply, framed, and what follows once it is on its way; it does not when the caller has gone before.
pub(crate) struct Answer {
    pub(crate) reply: Bytes,
    pub(crate) sent: Option<Box<dyn FnOnce()>>,
}

impl From<Bytes> for Answer {
    fn from(reply: Bytes) -> Self {
        Self { reply, sent: None }
    }
}

/// What answers the calls.
pub(crate) trait Service: Send + 'static {
    /// Answers a call by its path and its message. Dropped when its caller hangs up.
    fn answer(&self, path: &str, message: Bytes) -> impl Future<Output = Result<Answer, Status>>;
}

/// A server that listens; dropping it ends it and cuts its connections.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Dropped first: that ends the thread.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on every address of `host:port` and answers on a thread of its own.
    ///
    /// # Errors
    ///
    /// The address cannot be bound, or the system gives no thread.
    pub(crate) fn start(address: &str, service: impl Service) -> Result<Self, LoadError> {
        let refused = |source| LoadError::System { what: format!("the platform cannot listen on {address}"), source };
        let listeners = bind(address).map_err(refused)?;
        let bound = listeners[0].local_addr().map_err(refused)?;
        let (stop, stopped) = oneshot::channel();
        let runtime = crate::worker::runtime()?;
        let serve = move || {
            LocalSet::new().block_on(&runtime, async {
                tokio::select! {
                    () = accept_all(listeners, Rc::new(service)) => {}
                    _ = stopped => {}
                }
            });
        };
        let thread = std::thread::Builder::new().name("platform".to_owned()).spawn(serve).map_err(refused)?;
        Ok(Self { address: bound, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens, with the port that was bound.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed; there is nobody to tell it to.
            let _ = thread.join();
        }
    }
}

/// Binds every address of a name to one port: `localhost` is reached both ways. Those that the system lacks are left out.
fn bind(address: &str) -> io::Result<Vec<TcpListener>> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut refused = io::Error::from(io::ErrorKind::NotFound);
    for mut wanted in address.to_socket_addrs()? {
        if let Some(first) = listeners.first() {
            wanted.set_port(first.local_addr()?.port());
        }
        if listeners.iter().any(|listener| listener.local_addr().is_ok_and(|bound| bound == wanted)) {
            continue;
        }
        match TcpListener::bind(wanted) {
            Ok(listener) => {
                listener.set_nonblocking(true)?;
                listeners.push(listener);
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Err(error),
            Err(error) => refused = error,
        }
    }
    if listeners.is_empty() { Err(refused) } else { Ok(listeners) }
}

async fn accept_all<S: Service>(listeners: Vec<TcpListener>, service: Rc<S>) {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(listener, Rc::clone(&service)));
    }
    while accepting.join_next().await.is_some() {}
}

async fn accept<S: Service>(listener: TcpListener, service: Rc<S>) {
    let listener = tokio::net::TcpListener::from_std(listener).expect("a runtime is entered, the socket does not block");
    loop {
        match listener.accept().await.and_then(|(stream, _)| stream.into_std()) {
            Ok(stream) => drop(spawn_local(connection(stream, Rc::clone(&service)))),
            // Out of descriptors, or a caller that went away: the next one may fare better.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

/// Serves one caller until it goes away, however it goes.
async fn connection<S: Service>(stream: TcpStream, service: Rc<S>) {
    let _ = stream.set_nodelay(true);
    let Ok(stream) = tokio::net::TcpStream::from_std(stream) else { return };
    let mut builder = Builder::new();
    builder.initial_window_size(STREAM_WINDOW).initial_connection_window_size(CONNECTION_WINDOW);
    // A scaler may give up a whole burst at once.
    builder.max_pending_accept_reset_streams(usize::MAX);
    let Ok(mut connection) = builder.handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let service = Rc::clone(&service);
        spawn_local(async move {
            // The caller has gone, or broke the protocol: its connection says so too.
            let _ = call(request, respond, &*service).await;
        });
    }
}

/// Answers one call, unless its caller hangs up meanwhile.
async fn call<S: Service>(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, service: &S) -> Result<(), h2::Error> {
    let (head, mut body) = request.into_parts();
    let answer = async {
        let answer = match read(&mut body).await? {
            Ok(message) => service.answer(head.uri.path(), message).await,
            Err(status) => Err(status),
        };
        Ok::<_, h2::Error>(answer)
    };
    let answer = tokio::select! {
        answer = answer => answer?,
        gone = poll_fn(|context| respond.poll_reset(context)) => return gone.map(drop),
    };
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a valid head");
    let mut stream = respond.send_response(head, false)?;
    let (status, text, sent) = match answer {
        Ok(Answer { reply, sent }) => {
            stream.send_data(reply, false)?;
            ("0", None, sent)
        }
        Err(Status(code, text)) => (code, Some(text), None),
    };
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static(status));
    if let Some(text) = text {
        trailers.insert("grpc-message", HeaderValue::from_static(text));
    }
    stream.send_trailers(trailers)?;
    // Nothing has been written yet: whoever reads the reply finds this done.
    if let Some(sent) = sent {
        sent();
    }
    Ok(())
}

/// Reads the one message of a request.
async fn read(body: &mut RecvStream) -> Result<Result<Bytes, Status>, h2::Error> {
    let mut received = BytesMut::new();
    while let Some(chunk) = body.data().await {
        let chunk = chunk?;
        body.flow_control().release_capacity(chunk.len())?;
        received.extend_from_slice(&chunk);
        if received.len() > LONGEST {
            return Ok(Err(TOO_LONG));
        }
    }
    Ok(unframe(received.freeze()).map_err(|_| COMPRESSED))
}
