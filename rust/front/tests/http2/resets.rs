//! Streams that clients reset: what they gave away comes back, and honest ones cost nobody the connection.

use h2::Reason;
use pilotlight_core::Account;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{ASSIGN, Fixture, IDLE, PATIENCE, assign, assign_body, call, ended, idle, open, raw, request};

async fn connect(fixture: &Fixture) -> TcpStream {
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    socket
}

fn call_on(stream: u32, path: &str, body: &[u8]) -> Vec<u8> {
    let headers = raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &raw::header_block(path, &[]));
    [headers, raw::frame(raw::DATA, raw::END_STREAM, stream, body)].concat()
}

fn reset(stream: u32) -> Vec<u8> {
    raw::frame(raw::RST_STREAM, 0, stream, &u32::from(Reason::CANCEL).to_be_bytes())
}

/// Reads frames until some streams have ended; panics at the end of the connection.
async fn read_until_ended(socket: &mut TcpStream, mut streams: usize) {
    while streams > 0 {
        let mut head = [0; 9];
        timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("a frame comes in time").unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        socket.read_exact(&mut payload).await.unwrap();
        assert_ne!(head[3], raw::GOAWAY, "{}", String::from_utf8_lossy(&payload));
        streams -= usize::from(head[3] == raw::HEADERS && head[4] & raw::END_STREAM != 0);
    }
}

#[tokio::test]
async fn a_reset_after_the_reply_returns_its_instance_and_no_other() {
    let fixture = Fixture::new();
    let mut socket = connect(&fixture).await;
    socket.write_all(&[call_on(1, ASSIGN, &assign_body("f")), call_on(3, ASSIGN, &assign_body("f"))].concat()).await.unwrap();
    read_until_ended(&mut socket, 2).await;
    assert_eq!(fixture.slots(Account::Busy), 2);
    socket.write_all(&reset(1)).await.unwrap();
    fixture.until(|fixture| fixture.slots(Account::Busy) == 1).await;
    assert_eq!(fixture.slots(Account::Idle), 1);
    // A warm one, and a reset that comes twice.
    socket.write_all(&call_on(5, ASSIGN, &assign_body("f"))).await.unwrap();
    read_until_ended(&mut socket, 1).await;
    socket.write_all(&[reset(5), reset(5), reset(1)].concat()).await.unwrap();
    fixture.until(|fixture| fixture.slots(Account::Idle) == 1).await;
    assert_eq!(fixture.slots(Account::Busy), 1);
}

#[tokio::test]
async fn a_late_reset_takes_nothing_from_the_request_that_has_the_instance_since() {
    let fixture = Fixture::new();
    let mut socket = connect(&fixture).await;
    socket.write_all(&call_on(1, ASSIGN, &assign_body("f"))).await.unwrap();
    read_until_ended(&mut socket, 1).await;
    let other = fixture.connect().await;
    // The first request is ended, and its instance serves another one.
    socket.write_all(&reset(1)).await.unwrap();
    fixture.until(|fixture| fixture.slots(Account::Idle) == 1).await;
    let theirs = assign(&other, "f").await;
    socket.write_all(&[reset(1), call_on(3, IDLE, &[0; 5])].concat()).await.unwrap();
    read_until_ended(&mut socket, 1).await;
    assert_eq!(fixture.slots(Account::Busy), 1);
    idle(&other, theirs).await;
}

#[tokio::test]
async fn a_connection_that_ends_after_its_replies_takes_nothing_back() {
    let fixture = Fixture::new();
    let mut socket = connect(&fixture).await;
    socket.write_all(&call_on(1, ASSIGN, &assign_body("f"))).await.unwrap();
    read_until_ended(&mut socket, 1).await;
    drop(socket);
    fixture.until(|fixture| fixture.connections() == 0).await;
    assert_eq!((fixture.slots(Account::Busy), fixture.slots(Account::Idle)), (1, 0), "its client may have read the reply");
}

#[tokio::test]
async fn refused_calls_whose_messages_come_late_cost_nobody_the_connection() {
    let fixture = Fixture::with(|config| config.authorization = Some(b"Bearer secret".to_vec()));
    let mut socket = connect(&fixture).await;
    // One call of the connection waits all the while.
    let waiting = raw::header_block(ASSIGN, &[("authorization", "Bearer secret")]);
    fixture.hold(true);
    socket.write_all(&raw::frame(raw::HEADERS, raw::END_HEADERS, 1, &waiting)).await.unwrap();
    socket.write_all(&raw::frame(raw::DATA, raw::END_STREAM, 1, &assign_body("f"))).await.unwrap();
    fixture.until(|fixture| fixture.waiting() == 1).await;
    let block = raw::header_block(ASSIGN, &[]);
    for round in 0..200 {
        let streams: Vec<u32> = (0..100).map(|number| 2 * (100 * round + number) + 3).collect();
        let headers: Vec<u8> = streams.iter().flat_map(|&stream| raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &block)).collect();
        socket.write_all(&headers).await.unwrap();
        read_until_ended(&mut socket, streams.len()).await;
        let late: Vec<u8> = streams
            .iter()
            .flat_map(|&stream| {
                let message = raw::frame(raw::DATA, 0, stream, &assign_body("f"));
                [message, raw::frame(raw::DATA, raw::END_STREAM, stream, &[])].concat()
            })
            .collect();
        socket.write_all(&late).await.unwrap();
    }
    fixture.hold(false);
    read_until_ended(&mut socket, 1).await;
}

#[tokio::test]
async fn a_crowd_of_calls_cancelled_at_once_costs_nobody_the_connection() {
    const CROWD: u32 = 500;
    let fixture = Fixture::new();
    fixture.hold(true);
    let mut socket = connect(&fixture).await;
    socket.write_all(&call_on(1, ASSIGN, &assign_body("f"))).await.unwrap();
    fixture.until(|fixture| fixture.waiting() == 1).await;
    let streams = (0..CROWD).map(|number| 2 * number + 3);
    let crowd: Vec<u8> = streams.flat_map(|stream| [call_on(stream, ASSIGN, &assign_body("f")), reset(stream)].concat()).collect();
    socket.write_all(&crowd).await.unwrap();
    fixture.hold(false);
    read_until_ended(&mut socket, 1).await;
    fixture.until(|fixture| fixture.waiting() == 0).await;
}

#[tokio::test]
async fn a_connection_full_of_waiting_requests_still_takes_an_idle() {
    let fixture = Fixture::with(|config| config.max_calls = 60);
    let client = fixture.connect().await;
    let running = assign(&client, "f").await;
    fixture.hold(true);
    let mut waiting = Vec::new();
    for _ in 0..50 {
        let (response, mut stream) = open(&client, request(ASSIGN), false).await;
        stream.send_data(assign_body("f").into(), true).unwrap();
        waiting.push(response);
    }
    fixture.until(|fixture| fixture.waiting() == 50).await;
    let refused = call(&client, request(ASSIGN), assign_body("f")).await;
    assert_eq!(refused.status, "8", "{refused:?}");
    assert!(refused.text.contains("wait on this connection"), "{refused:?}");
    idle(&client, running.clone()).await;
    assert_eq!(ended(waiting.remove(0)).await.unwrap().assignment(), running);
    // There is room again.
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    fixture.until(|fixture| fixture.waiting() == 50).await;
    fixture.hold(false);
    ended(response).await.unwrap().assignment();
}
