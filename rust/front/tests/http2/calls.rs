//! Single calls, well and badly formed.

use bytes::Bytes;
use http::Request;
use pilotlight_front::wire::Assignment;

use crate::support::{ASSIGN, Fixture, IDLE, assign, assign_body, call, ended, idle, idle_body, open, request};

#[tokio::test]
async fn an_instance_goes_round() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let first = assign(&client, "f").await;
    idle(&client, first.clone()).await;
    let second = assign(&client, "f").await;
    assert_eq!(first, second);
}

#[tokio::test]
async fn a_reply_has_the_headers_of_grpc() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let reply = call(&client, request(ASSIGN), assign_body("f")).await;
    assert_eq!((reply.http, reply.status.as_str()), (200, "0"));
    assert_eq!(reply.headers["content-type"], "application/grpc");
    assert_eq!(reply.assignment().meta_key, "f");
}

#[tokio::test]
async fn an_unknown_method_is_unimplemented() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    for path in ["/serverless.simulator.Scaler/Reserve", "/", "/grpc.health.v1.Health/Cure"] {
        assert_eq!(call(&client, request(path), vec![0; 5]).await.status, "12", "{path}");
    }
}

#[tokio::test]
async fn what_is_not_grpc_gets_an_http_status() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let get = Request::builder().uri("http://scaler/").body(()).unwrap();
    let (response, _) = open(&client, get, true).await;
    let refused = ended(response).await.unwrap();
    assert_eq!((refused.http, refused.headers["allow"].to_str().unwrap()), (405, "POST"));
    let json = Request::builder().method("POST").uri(format!("http://scaler{IDLE}")).header("content-type", "application/json");
    assert_eq!(call(&client, json.body(()).unwrap(), b"{}".to_vec()).await.http, 415);
    assign(&client, "f").await;
}

#[tokio::test]
async fn anything_but_one_message_is_refused() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let one = assign_body("f");
    let compressed = [&[1], &one[1..]].concat();
    for (body, status, word) in [
        (Vec::new(), "13", "no message"),
        (one[..3].to_vec(), "13", "inside the message"),
        (one[..one.len() - 1].to_vec(), "13", "inside the message"),
        ([&one[..], &one[..]].concat(), "13", "more than one message"),
        ([&[7], &one[1..]].concat(), "13", "flag is 7"),
        (compressed.clone(), "12", "compressed"),
        (vec![0, 0, 0x10, 0, 1], "8", "1048577 bytes"),
        (vec![0, 0, 0, 0, 0], "3", "meta_data"),
        (b"\0\0\0\0\x01\xff".to_vec(), "3", "not an encoded AssignRequest"),
    ] {
        let refused = call(&client, request(ASSIGN), body).await;
        assert_eq!(refused.status, status, "{refused:?}");
        assert!(refused.text.contains(word), "{refused:?}");
    }
    let refused = call(&client, request(ASSIGN), compressed).await;
    assert_eq!(refused.headers["grpc-accept-encoding"], "identity");
    assert_eq!(fixture.waiting(), 0);
}

#[tokio::test]
async fn the_largest_message_is_read() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let body = crate::support::framed(&vec![0x0a; 1 << 20]);
    let (response, mut stream) = open(&client, request(IDLE), false).await;
    let mut body = Bytes::from(body);
    while !body.is_empty() {
        stream.reserve_capacity(body.len());
        let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await.unwrap().unwrap();
        stream.send_data(body.split_to(room.min(body.len())), false).unwrap();
    }
    stream.send_data(Bytes::new(), true).unwrap();
    assert_eq!(ended(response).await.unwrap().status, "3");
}

#[tokio::test]
async fn a_deadline_that_has_passed_takes_no_instance() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    idle(&client, assign(&client, "f").await).await;
    for (timeout, status) in [("0n", "4"), ("0S", "4"), ("99999999H", "0"), ("1S", "0"), ("5000m", "0"), ("soon", "13")] {
        let mut timed = request(ASSIGN);
        timed.headers_mut().insert("grpc-timeout", timeout.parse().unwrap());
        let answer = call(&client, timed, assign_body("f")).await;
        assert_eq!(answer.status, status, "{timeout}: {answer:?}");
        if status == "0" {
            idle(&client, answer.assignment()).await;
        }
    }
    assert_eq!(fixture.slots(pilotlight_core::Account::Busy), 0);
}

#[tokio::test]
async fn idle_errors_have_their_status() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let mut foreign = assign(&client, "f").await;
    foreign.instance_id = "für\n".to_owned();
    let refused = call(&client, request(IDLE), idle_body(foreign)).await;
    assert_eq!((refused.status.as_str(), refused.text.as_str()), ("5", "function `f` has no instance `f%C3%BCr%0A`"));
}

#[tokio::test]
async fn long_names_are_refused_and_not_sent_back() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let known = assign(&client, "f").await;
    let long = "ü".repeat(600);
    for change in [
        (|known, long| Assignment { request_id: long, ..known }) as fn(Assignment, String) -> Assignment,
        |known, long| Assignment { meta_key: long, ..known },
        |known, long| Assignment { instance_id: long, ..known },
    ] {
        let refused = call(&client, request(IDLE), idle_body(change(known.clone(), long.clone()))).await;
        assert_eq!(refused.status, "3", "{refused:?}");
        assert!(refused.text.contains("has 1200 bytes") && refused.text.len() < 200, "{refused:?}");
    }
    let longest = Assignment { instance_id: "x".repeat(1024), ..known.clone() };
    assert_eq!(call(&client, request(IDLE), idle_body(longest)).await.status, "5");
    idle(&client, known).await;
}

#[tokio::test]
async fn a_call_without_the_token_is_unauthenticated() {
    let fixture = Fixture::with(|config| config.authorization = Some(b"Bearer secret".to_vec()));
    let client = fixture.connect().await;
    for (sent, status) in [(None, "16"), (Some("Bearer wrong!"), "16"), (Some("Bearer secret"), "0")] {
        let mut request = request(ASSIGN);
        if let Some(sent) = sent {
            request.headers_mut().insert("authorization", sent.parse().unwrap());
        }
        assert_eq!(call(&client, request, assign_body("f")).await.status, status, "{sent:?}");
    }
    assert_eq!(call(&client, request("/grpc.health.v1.Health/Check"), vec![0; 5]).await.status, "0");
}

#[tokio::test]
async fn health_and_reflection_are_served_and_health_turns() {
    let fixture = Fixture::new();
    let client = fixture.connect().await;
    let check = || call(&client, request("/grpc.health.v1.Health/Check"), vec![0; 5]);
    assert_eq!(check().await.data, &b"\0\0\0\0\x02\x08\x01"[..]);
    let (watch, mut stream) = open(&client, request("/grpc.health.v1.Health/Watch"), false).await;
    stream.send_data(Bytes::from_static(&[0; 5]), true).unwrap();
    let mut updates = watch.await.unwrap().into_body();
    assert_eq!(updates.data().await.unwrap().unwrap(), &b"\0\0\0\0\x02\x08\x01"[..]);
    fixture.begin_shutdown().await;
    assert_eq!(updates.data().await.unwrap().unwrap(), &b"\0\0\0\0\x02\x08\x02"[..]);
    let client = fixture.connect().await;
    let check = call(&client, request("/grpc.health.v1.Health/Check"), vec![0; 5]);
    assert_eq!(check.await.data, &b"\0\0\0\0\x02\x08\x02"[..]);
    // list_services
    let listed =
        call(&client, request("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"), b"\0\0\0\0\x03\x3a\x01*".to_vec()).await;
    let text = String::from_utf8_lossy(&listed.data);
    for name in ["serverless.simulator.Scaler", "grpc.health.v1.Health", "reflection.v1.Server", "reflection.v1alpha.Server"] {
        assert!(text.contains(name), "{text}");
    }
    assert!(!text.contains("Platform"), "{text}");
}
