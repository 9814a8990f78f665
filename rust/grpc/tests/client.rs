//! The client against a server on a real socket that does as it is told.

use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use h2::server::{Connection, SendResponse};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use pilotlight_grpc::{Call, Client, Outcome, frame_encoded};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(50);

type Incoming = (Request<RecvStream>, SendResponse<Bytes>);

fn call(client: &Client, within: Duration, awaited: Duration) -> Receiver<Outcome> {
    let (told, outcomes) = channel();
    let call = Call { path: "/p.S/M".into(), message: b"ask".to_vec(), urgent: false, within, awaited };
    client.call(call, Box::new(move |outcome| drop(told.send(outcome))));
    outcomes
}

fn next(outcomes: &Receiver<Outcome>) -> Outcome {
    outcomes.recv_timeout(LIMIT).expect("an outcome")
}

/// The same without holding up the server, which shares the thread.
async fn wait(outcomes: Receiver<Outcome>) -> Outcome {
    tokio::task::spawn_blocking(move || next(&outcomes)).await.expect("no panic")
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

async fn accept(listener: &TcpListener) -> Connection<TcpStream, Bytes> {
    let (stream, _) = timeout(LIMIT, listener.accept()).await.expect("in time").expect("a caller");
    h2::server::handshake(stream).await.expect("HTTP/2")
}

async fn request(connection: &mut Connection<TcpStream, Bytes>) -> Incoming {
    timeout(LIMIT, connection.accept()).await.expect("in time").expect("a call").expect("a sound one")
}

fn answer((_, mut respond): Incoming, text: &[u8]) {
    let mut stream = respond.send_response(Response::new(()), false).expect("a stream");
    stream.send_data(frame_encoded(text), false).expect("a stream");
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", "0".parse().expect("a value"));
    stream.send_trailers(trailers).expect("a stream");
}

/// Serves a connection until it ends, answering every call.
async fn answer_all(mut connection: Connection<TcpStream, Bytes>) {
    while let Some(Ok(incoming)) = connection.accept().await {
        answer(incoming, b"reply");
    }
}

fn client(address: SocketAddr) -> Client {
    Client::start(address.to_string(), None, 100).expect("a thread")
}

#[test]
fn a_call_is_answered_and_says_how_long_it_waits() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let outcomes = call(&client, LONG, LONG);
        let mut connection = accept(&listener).await;
        let incoming = request(&mut connection).await;
        let timeout = incoming.0.headers()["grpc-timeout"].to_str().expect("text").to_owned();
        let milliseconds: u64 = timeout.trim_end_matches('m').parse().expect("a number");
        assert!((10_000..=20_001).contains(&milliseconds), "{timeout}");
        answer(incoming, b"reply");
        tokio::spawn(answer_all(connection));
        let outcome = wait(outcomes).await;
        assert!(matches!(outcome, Outcome::Reply(reply) if reply == "reply"));
    });
}

#[test]
fn a_call_without_a_connection_was_certainly_not_sent() {
    let address = runtime().block_on(listen()).1;
    let client = client(address);
    assert!(matches!(next(&call(&client, SHORT, LONG)), Outcome::NotSent));
}

#[test]
fn a_socket_that_nobody_serves_is_no_connection() {
    let runtime = runtime();
    let (listener, address) = runtime.block_on(listen());
    let client = client(address);
    assert!(matches!(next(&call(&client, SHORT, LONG)), Outcome::NotSent));
    drop(listener);
}

#[test]
fn a_call_that_was_sent_is_awaited_longer_than_its_time() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let mut connection = accept(&listener).await;
        let pings = tokio::spawn(async move { (request(&mut connection).await, connection) });
        let outcomes = call(&client, Duration::from_secs(2), LONG);
        let (incoming, connection) = pings.await.expect("no panic");
        let outcomes = tokio::task::spawn_blocking(move || (next(&outcomes), outcomes)).await.expect("no panic");
        assert!(matches!(outcomes.0, Outcome::Unanswered));
        answer(incoming, b"late");
        tokio::spawn(answer_all(connection));
        let outcome = tokio::task::spawn_blocking(move || next(&outcomes.1)).await.expect("no panic");
        assert!(matches!(outcome, Outcome::Reply(reply) if reply == "late"));
    });
}

#[test]
fn a_refused_stream_says_that_it_may_be_sent_again() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let outcomes = call(&client, LONG, LONG);
        let mut connection = accept(&listener).await;
        let mut refused = request(&mut connection).await;
        refused.1.send_reset(Reason::REFUSED_STREAM);
        tokio::spawn(answer_all(connection));
        let outcome = wait(outcomes).await;
        assert!(matches!(&outcome, Outcome::Failed(failure) if failure.status == "RESOURCE_EXHAUSTED"), "{outcome:?}");
    });
}

#[test]
fn a_goodbye_lets_the_calls_under_way_end_and_sends_others_elsewhere() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let early = call(&client, LONG, LONG);
        let mut first = accept(&listener).await;
        let incoming = request(&mut first).await;
        first.graceful_shutdown();
        tokio::spawn(answer_all(first));
        let second = tokio::spawn(async move { answer_all(accept(&listener).await).await });
        // Until the client knows of the goodbye, calls go to the first connection; this one must not be the last there.
        let knows = wait(call(&client, LONG, LONG)).await;
        assert!(matches!(knows, Outcome::Reply(_)), "{knows:?}");
        answer(incoming, b"reply");
        let outcome = wait(early).await;
        assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
        let outcome = wait(call(&client, LONG, LONG)).await;
        assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
        client.close();
        second.await.expect("a second connection came, and ended with the client");
    });
}

#[test]
fn calls_beyond_the_servers_limit_are_not_sent() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let held = call(&client, LONG, LONG);
        let (stream, _) = timeout(LIMIT, listener.accept()).await.expect("in time").expect("a caller");
        let mut connection = h2::server::Builder::new().max_concurrent_streams(1).handshake(stream).await.expect("HTTP/2");
        let incoming = request(&mut connection).await;
        let outcome = wait(call(&client, SHORT, LONG)).await;
        assert!(matches!(outcome, Outcome::NotSent), "{outcome:?}");
        let patient = call(&client, LONG, LONG);
        answer(incoming, b"reply");
        tokio::spawn(answer_all(connection));
        for outcomes in [held, patient] {
            let outcome = wait(outcomes).await;
            assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
        }
    });
}

#[test]
fn a_lost_connection_fails_the_calls_on_it_as_unavailable() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = client(address);
        let outcomes = call(&client, LONG, LONG);
        let mut connection = accept(&listener).await;
        drop(request(&mut connection).await.0);
        connection.abrupt_shutdown(Reason::INTERNAL_ERROR);
        while connection.accept().await.is_some() {}
        drop(connection);
        let outcome = wait(outcomes).await;
        assert!(matches!(&outcome, Outcome::Failed(failure) if failure.status == "UNAVAILABLE"), "{outcome:?}");
    });
}

#[test]
fn calls_beyond_the_limit_wait_for_their_turn() {
    runtime().block_on(async {
        let (listener, address) = listen().await;
        let client = Client::start(address.to_string(), None, 1).expect("a thread");
        let holder = call(&client, LONG, LONG);
        let mut connection = accept(&listener).await;
        let held = request(&mut connection).await;
        let hopeless = call(&client, SHORT, LONG);
        let outcome = wait(hopeless).await;
        assert!(matches!(outcome, Outcome::NoTurn), "{outcome:?}");
        let patient = call(&client, LONG, LONG);
        answer(held, b"reply");
        tokio::spawn(answer_all(connection));
        for outcomes in [holder, patient] {
            let outcome = wait(outcomes).await;
            assert!(matches!(outcome, Outcome::Reply(_)), "{outcome:?}");
        }
    });
}

#[test]
fn a_closed_client_leaves_no_thread() {
    let address = runtime().block_on(listen()).1;
    let client = client(address);
    let outcomes = call(&client, LONG, LONG);
    client.close();
    assert!(outcomes.recv().is_err(), "nobody is left to tell");
}
