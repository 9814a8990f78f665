//! Requests that wait, and clients that go away: no instance stays busy for nobody.

use std::time::Duration;

use bytes::Bytes;
use h2::Reason;
use pilotlight_core::Account;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::support::{ASSIGN, Fixture, assign, assign_body, ended, idle, open, raw, request};

#[tokio::test]
async fn a_reset_cancels_the_wait() {
    let fixture = Fixture::new();
    fixture.hold(true);
    let client = fixture.connect().await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    fixture.until(|fixture| fixture.waiting() == 1).await;
    stream.send_reset(Reason::CANCEL);
    fixture.until(|fixture| fixture.waiting() == 0).await;
    drop(response);
    fixture.hold(false);
    idle(&client, assign(&client, "f").await).await;
    assert_eq!(fixture.slots(Account::Busy), 0);
}

#[tokio::test]
async fn a_lost_connection_cancels_its_waits() {
    let fixture = Fixture::new();
    fixture.hold(true);
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    let mut session = raw::preamble();
    for stream in [1, 3, 5] {
        session.extend(raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &raw::header_block(ASSIGN, &[])));
        session.extend(raw::frame(raw::DATA, raw::END_STREAM, stream, &assign_body("f")));
    }
    socket.write_all(&session).await.unwrap();
    fixture.until(|fixture| fixture.waiting() == 3).await;
    drop(socket);
    fixture.until(|fixture| fixture.waiting() == 0).await;
}

#[tokio::test]
async fn a_freed_instance_serves_the_waiting_request() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let first = assign(&client, "f").await;
    fixture.hold(true);
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    fixture.until(|fixture| fixture.waiting() == 1).await;
    idle(&client, first.clone()).await;
    assert_eq!(ended(response).await.unwrap().assignment(), first);
}

#[tokio::test]
async fn an_instance_that_a_closed_window_keeps_back_returns_with_a_reset() {
    let fixture = Fixture::new();
    let warm = fixture.connect().await;
    idle(&warm, assign(&warm, "f").await).await;
    let client = fixture.connect_with(h2::client::Builder::new().initial_window_size(0)).await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    let body = response.await.unwrap().into_body();
    assert_eq!(fixture.slots(Account::Busy), 1);
    stream.send_reset(Reason::CANCEL);
    drop(body);
    fixture.until(|fixture| fixture.slots(Account::Busy) == 0).await;
    assert_eq!(fixture.slots(Account::Idle), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_that_a_full_socket_keeps_back_return_with_the_end_of_its_connection() {
    const WAITING: u32 = 20;
    let fixture = Fixture::with(|config| config.max_calls = 1_000_000);
    fixture.hold(true);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let (unread, mut write) = socket.connect(fixture.address()).await.unwrap().into_split();
    write.write_all(&raw::preamble()).await.unwrap();
    for number in 0..WAITING {
        write.write_all(&raw::frame(raw::HEADERS, raw::END_HEADERS, 2 * number + 1, &raw::header_block(ASSIGN, &[]))).await.unwrap();
        write.write_all(&raw::frame(raw::DATA, raw::END_STREAM, 2 * number + 1, &assign_body("f"))).await.unwrap();
    }
    fixture.until(|fixture| fixture.waiting() == u64::from(WAITING)).await;
    // Answers to these fill everything between the server and who does not read.
    let block = raw::header_block("/serverless.simulator.Scaler/Reserve", &[]);
    let mut calls = (WAITING..).flat_map(|number| raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 2 * number + 1, &block));
    let mut rest = Vec::new();
    while rest.is_empty() {
        rest.extend(calls.by_ref().take(64 << 10));
        while !rest.is_empty()
            && let Ok(written) = timeout(Duration::from_millis(500), write.write(&rest)).await
        {
            rest.drain(..written.unwrap());
        }
    }
    fixture.hold(false);
    fixture.until(|fixture| fixture.slots(Account::Busy) == u64::from(WAITING)).await;
    drop((unread, write));
    fixture.until(|fixture| fixture.slots(Account::Idle) == u64::from(WAITING)).await;
    assert_eq!(fixture.slots(Account::Busy), 0);
}

#[tokio::test]
async fn a_window_that_opens_late_gets_the_whole_reply() {
    let fixture = Fixture::new();
    let client = fixture.connect_with(h2::client::Builder::new().initial_window_size(7)).await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    let assignment = ended(response).await.unwrap().assignment();
    idle(&client, assignment).await;
}

#[tokio::test]
async fn a_reset_in_the_middle_of_a_message_leaves_nothing() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(Bytes::from_static(b"\0\0\0"), false).unwrap();
    stream.send_reset(Reason::CANCEL);
    assert!(ended(response).await.is_err());
    assign(&client, "f").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clients_that_leave_while_instances_get_ready_leave_no_request_waiting() {
    let fixture = Fixture::new();
    for _ in 0..50 {
        let mut tasks = Vec::new();
        for number in 0..8 {
            let client = fixture.connect().await;
            tasks.push(tokio::spawn(async move {
                let (response, mut stream) = open(&client, request(ASSIGN), false).await;
                stream.send_data(assign_body("f").into(), true).unwrap();
                if number % 2 == 0 {
                    stream.send_reset(Reason::CANCEL);
                } else {
                    let assignment = ended(response).await.unwrap().assignment();
                    idle(&client, assignment).await;
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    }
    fixture.until(|fixture| fixture.waiting() == 0).await;
}
