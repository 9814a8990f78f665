//! Connections: their beginning, their limits, hostile ones, their end.

use std::time::Duration;

use h2::Reason;
use pilotlight_core::Account;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::support::{ASSIGN, Fixture, IDLE, PATIENCE, assign, assign_body, call, ended, idle, idle_body, open, raw, request};

/// Reads until the server closes, and returns what came.
async fn read_to_end(socket: &mut TcpStream) -> Vec<u8> {
    let mut read = Vec::new();
    // A reset is a way to close too.
    let _ = timeout(PATIENCE, socket.read_to_end(&mut read)).await.expect("the server closes in time");
    read
}

/// Reads frames until one of a kind comes; returns its payload.
async fn frame_of(socket: &mut TcpStream, kind: u8) -> Vec<u8> {
    loop {
        let mut head = [0; 9];
        timeout(PATIENCE, socket.read_exact(&mut head)).await.expect("a frame comes in time").unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        socket.read_exact(&mut payload).await.unwrap();
        if head[3] == kind {
            return payload;
        }
    }
}

#[tokio::test]
async fn whoever_does_not_speak_http_2_is_cut_off() {
    let fixture = Fixture::new();
    for greeting in [&b"GET / HTTP/1.1\r\nhost: scaler\r\n\r\n"[..], &[0xff; 64], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x99\x99\x99"] {
        let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
        socket.write_all(greeting).await.unwrap();
        socket.shutdown().await.unwrap();
        read_to_end(&mut socket).await;
    }
    assign(&fixture.connect().await, "f").await;
    fixture.until(|fixture| fixture.connections() <= 1).await;
}

#[tokio::test]
async fn headers_may_be_cut_into_continuations() {
    let fixture = Fixture::new();
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    let block = raw::header_block(ASSIGN, &[]);
    socket.write_all(&raw::frame(raw::HEADERS, 0, 1, &block[..3])).await.unwrap();
    // More than a few pieces for so little would be an attack.
    for piece in block[3..block.len() - 1].chunks(block.len() / 3) {
        socket.write_all(&raw::frame(raw::CONTINUATION, 0, 1, piece)).await.unwrap();
    }
    socket.write_all(&raw::frame(raw::CONTINUATION, raw::END_HEADERS, 1, &block[block.len() - 1..])).await.unwrap();
    socket.write_all(&raw::frame(raw::DATA, raw::END_STREAM, 1, &assign_body("f"))).await.unwrap();
    let reply = frame_of(&mut socket, raw::DATA).await;
    assert_eq!(usize::from(reply[4]), reply.len() - 5);
}

#[tokio::test]
async fn headers_that_never_end_hold_up_nobody_else() {
    let fixture = Fixture::with(|config| config.threads = 1);
    let mut slow = TcpStream::connect(fixture.address()).await.unwrap();
    slow.write_all(&raw::preamble()).await.unwrap();
    slow.write_all(&raw::frame(raw::HEADERS, 0, 1, &raw::header_block(ASSIGN, &[])[..9])).await.unwrap();
    let mut silent = TcpStream::connect(fixture.address()).await.unwrap();
    silent.write_all(&raw::PREFACE[..5]).await.unwrap();
    assign(&fixture.connect().await, "f").await;
}

#[tokio::test]
async fn endless_continuations_end_the_connection() {
    let fixture = Fixture::new();
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    socket.write_all(&raw::frame(raw::HEADERS, 0, 1, &raw::header_block(ASSIGN, &[]))).await.unwrap();
    let piece = raw::frame(raw::CONTINUATION, 0, 1, &raw::header_block(ASSIGN, &[("x", &"y".repeat(100))])[60..]);
    // The server closes before it has read them all: writing fails at last.
    for _ in 0..100_000 {
        if socket.write_all(&piece).await.is_err() {
            break;
        }
    }
    read_to_end(&mut socket).await;
    assign(&fixture.connect().await, "f").await;
}

#[tokio::test]
async fn huge_metadata_are_refused_and_the_connection_lives() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let mut heavy = request(ASSIGN);
    heavy.headers_mut().insert("x-heavy", "y".repeat(60_000).parse().unwrap());
    let (response, _stream) = open(&client, heavy, false).await;
    assert_eq!(ended(response).await.unwrap().http, 431);
    let mut bearable = request(ASSIGN);
    bearable.headers_mut().insert("x-heavy", "y".repeat(8_000).parse().unwrap());
    call(&client, bearable, assign_body("f")).await.assignment();
}

#[tokio::test]
async fn pings_and_settings_are_acknowledged() {
    let fixture = Fixture::new();
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    for number in 0..1000_u64 {
        socket.write_all(&raw::frame(raw::PING, 0, 0, &number.to_be_bytes())).await.unwrap();
    }
    for number in 0..1000_u64 {
        assert_eq!(frame_of(&mut socket, raw::PING).await, number.to_be_bytes());
    }
    socket.write_all(&raw::frame(raw::SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 9])).await.unwrap();
    assert_eq!(frame_of(&mut socket, raw::SETTINGS).await, b"");
}

#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_answers_to_does_not_pile_up() {
    let fixture = Fixture::with(|config| config.threads = 1);
    let socket = TcpStream::connect(fixture.address()).await.unwrap();
    let ping = raw::frame(raw::PING, 0, 0, &[7; 8]).repeat(10_000);
    let (_unread, mut write) = socket.into_split();
    write.write_all(&raw::preamble()).await.unwrap();
    // Once both directions are full the server reads no further, so the flood stands still.
    let mut floods = 0;
    while timeout(Duration::from_millis(500), write.write_all(&ping)).await.is_ok() {
        floods += 1;
        assert!(floods < 1000, "the server swallows 170 MB of pings");
    }
    assign(&fixture.connect().await, "f").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_whose_replies_nobody_reads_come_to_a_halt_and_go_on_once_they_are_read() {
    const CALLS: u32 = 1_000_000;
    let fixture = Fixture::with(|config| (config.threads, config.max_calls) = (1, CALLS));
    let (mut read, mut write) = TcpStream::connect(fixture.address()).await.unwrap().into_split();
    write.write_all(&raw::preamble()).await.unwrap();
    // A call of an unknown method is answered by one frame of headers.
    let block = raw::header_block("/serverless.simulator.Scaler/Reserve", &[]);
    let call = |number: u32| raw::frame(raw::HEADERS, raw::END_HEADERS | raw::END_STREAM, 2 * number + 1, &block);
    let (mut calls, mut rest) = (0, Vec::new());
    loop {
        if rest.is_empty() {
            assert!(calls < CALLS, "the server swallows every call");
            rest.extend((calls..calls + 1000).flat_map(call));
            calls += 1000;
        }
        match timeout(Duration::from_millis(500), write.write(&rest)).await {
            Ok(written) => drop(rest.drain(..written.unwrap())),
            Err(_) => break,
        }
    }
    assign(&fixture.connect().await, "f").await;
    let sent = tokio::spawn(async move {
        write.write_all(&rest).await.unwrap();
        write
    });
    let mut replies = 0;
    while replies < calls {
        let mut head = [0; 9];
        timeout(PATIENCE, read.read_exact(&mut head)).await.expect("a frame comes in time").unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        read.read_exact(&mut payload).await.unwrap();
        replies += u32::from(head[3] == raw::HEADERS);
    }
    drop(sent.await.unwrap());
}

#[tokio::test]
async fn streams_opened_and_reset_at_once_end_the_connection() {
    let fixture = Fixture::new();
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    let mut attack = raw::preamble();
    for stream in 0..20_000 {
        attack.extend(raw::frame(raw::HEADERS, raw::END_HEADERS, 2 * stream + 1, &raw::header_block(ASSIGN, &[])));
        attack.extend(raw::frame(raw::RST_STREAM, 0, 2 * stream + 1, &8_u32.to_be_bytes()));
    }
    let _ = socket.write_all(&attack).await;
    let goaway = timeout(PATIENCE, async {
        let mut read = Vec::new();
        let _ = socket.read_to_end(&mut read).await;
        read
    });
    let read = goaway.await.expect("the server closes");
    assert!(read.windows(4).any(|code| code == 11_u32.to_be_bytes()), "ENHANCE_YOUR_CALM is said: {} bytes", read.len());
    assign(&fixture.connect().await, "f").await;
    assert_eq!(fixture.waiting(), 0);
}

#[tokio::test]
async fn a_silent_client_that_answers_no_ping_is_cut_off() {
    let fixture = Fixture::with(|config| config.keep_alive = Some(Duration::from_millis(50)));
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    let living = fixture.connect().await;
    frame_of(&mut socket, raw::PING).await;
    read_to_end(&mut socket).await;
    assign(&living, "f").await;
}

#[tokio::test]
async fn a_connection_past_the_limit_is_closed_and_frees_no_other() {
    let fixture = Fixture::with(|config| config.max_connections = 2);
    let first = fixture.connect().await;
    let second = fixture.connect().await;
    let mut third = TcpStream::connect(fixture.address()).await.unwrap();
    read_to_end(&mut third).await;
    assign(&first, "f").await;
    drop(second);
    fixture.until(|fixture| fixture.connections() == 1).await;
    assign(&fixture.connect().await, "f").await;
}

#[tokio::test]
async fn a_drain_says_goaway_at_once_and_takes_instances_back() {
    const NO_ERROR: [u8; 4] = [0; 4];
    let mut fixture = Fixture::new();
    let client = fixture.connect().await;
    let running = assign(&client, "f").await;
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.write_all(&raw::preamble()).await.unwrap();
    frame_of(&mut socket, raw::SETTINGS).await;
    fixture.begin_shutdown().await;
    // First the highest stream there can be: nothing on its way is lost.
    let goaway = frame_of(&mut socket, raw::GOAWAY).await;
    assert_eq!((&goaway[..4], &goaway[4..8]), (&[0x7f, 0xff, 0xff, 0xff][..], &NO_ERROR[..]));
    let ping = frame_of(&mut socket, raw::PING).await;
    socket.write_all(&raw::frame(raw::HEADERS, raw::END_HEADERS, 1, &raw::header_block(IDLE, &[]))).await.unwrap();
    socket.write_all(&raw::frame(raw::DATA, raw::END_STREAM, 1, &idle_body(running.clone()))).await.unwrap();
    socket.write_all(&raw::frame(raw::PING, raw::ACK, 0, &ping)).await.unwrap();
    let goaway = frame_of(&mut socket, raw::GOAWAY).await;
    assert_eq!((&goaway[..4], &goaway[4..8]), (&[0, 0, 0, 1][..], &NO_ERROR[..]));
    read_to_end(&mut socket).await;
    assert_eq!(fixture.slots(Account::Busy), 0);
    // A connection that comes now is for the instances that are still out, and is not sent away.
    let late = fixture.connect().await;
    idle(&late, running.clone()).await;
    idle(&late, running).await;
    fixture.close_in_background(PATIENCE);
    drop((client, late));
    fixture.closed().await;
}

#[tokio::test]
async fn closing_says_goaway_and_lets_open_calls_end() {
    let mut fixture = Fixture::new();
    fixture.hold(true);
    let client = fixture.connect().await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    let mut idle_socket = TcpStream::connect(fixture.address()).await.unwrap();
    idle_socket.write_all(&raw::preamble()).await.unwrap();
    frame_of(&mut idle_socket, raw::SETTINGS).await;
    fixture.until(|fixture| fixture.waiting() == 1).await;
    fixture.close_in_background(PATIENCE);
    assert_eq!(frame_of(&mut idle_socket, raw::GOAWAY).await[4..8], [0; 4], "no error");
    fixture.hold(false);
    ended(response).await.unwrap().assignment();
    drop((client, idle_socket));
    fixture.closed().await;
}

#[tokio::test]
async fn closing_ends_what_its_grace_does_not_suffice_for() {
    let mut fixture = Fixture::new();
    fixture.hold(true);
    let client = fixture.connect().await;
    let (response, mut stream) = open(&client, request(ASSIGN), false).await;
    stream.send_data(assign_body("f").into(), true).unwrap();
    fixture.until(|fixture| fixture.waiting() == 1).await;
    fixture.close_in_background(Duration::from_millis(20));
    assert!(ended(response).await.is_err());
    fixture.closed().await;
    assert_eq!(fixture.waiting(), 0);
}

#[tokio::test]
async fn replies_behind_a_closed_window_hold_up_nobody_else() {
    let fixture = Fixture::with(|config| config.threads = 1);
    let warm = fixture.connect().await;
    idle(&warm, assign(&warm, "f").await).await;
    let client = fixture.connect_with(h2::client::Builder::new().initial_window_size(0).initial_connection_window_size(65_535)).await;
    let mut held = Vec::new();
    for _ in 0..100 {
        let (response, mut stream) = open(&client, request("/serverless.simulator.Scaler/Idle"), false).await;
        stream.send_data(idle_body(pilotlight_front::wire::Assignment::default()).into(), true).unwrap();
        held.push((response, stream));
    }
    idle(&warm, assign(&warm, "f").await).await;
    for (_, stream) in &mut held {
        stream.send_reset(Reason::CANCEL);
    }
    idle(&warm, assign(&warm, "f").await).await;
}
