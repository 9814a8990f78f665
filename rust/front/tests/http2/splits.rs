//! A valid session, cut anyhow: into DATA frames by the client, into segments by the network.

use proptest::prelude::*;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

use crate::support::{Fixture, IDLE, PATIENCE, idle_body, raw};

/// Calls of a session. Each is answered whatever the engine knows, so that sessions do not depend on one another.
const CALLS: u32 = 3;

/// Writes a session whose messages are cut into DATA frames at some places.
fn session(cuts: &[usize]) -> Vec<u8> {
    let body = idle_body(pilotlight_front::wire::Assignment { meta_key: "never".to_owned(), ..Default::default() });
    let mut places: Vec<_> = cuts.iter().map(|cut| cut % (body.len() + 1)).collect();
    places.extend([0, body.len()]);
    places.sort_unstable();
    let mut session = raw::preamble();
    for call in 0..CALLS {
        let stream = 2 * call + 1;
        session.extend(raw::frame(raw::HEADERS, raw::END_HEADERS, stream, &raw::header_block(IDLE, &[])));
        for piece in places.windows(2) {
            session.extend(raw::frame(raw::DATA, 0, stream, &body[piece[0]..piece[1]]));
        }
        session.extend(raw::frame(raw::DATA, raw::END_STREAM, stream, &[]));
        session.extend(raw::frame(raw::PING, 0, 0, &[7; 8]));
    }
    session
}

/// Plays a session in segments; returns how many replies came.
async fn replies(fixture: &Fixture, session: &[u8], cuts: &[usize]) -> u32 {
    let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    let mut places: Vec<_> = cuts.iter().map(|cut| cut % session.len()).collect();
    places.extend([0, session.len()]);
    places.sort_unstable();
    for piece in places.windows(2) {
        socket.write_all(&session[piece[0]..piece[1]]).await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut ended = 0;
    while ended < CALLS {
        let mut head = [0; 9];
        socket.read_exact(&mut head).await.unwrap();
        let mut payload = vec![0; usize::from(head[1]) << 8 | usize::from(head[2])];
        socket.read_exact(&mut payload).await.unwrap();
        assert_ne!(head[3], raw::GOAWAY, "{payload:?}");
        assert_ne!(head[3], raw::RST_STREAM, "{payload:?}");
        ended += u32::from(head[3] == raw::HEADERS && head[4] & raw::END_STREAM != 0);
    }
    ended
}

#[test]
fn a_session_may_be_cut_anywhere() {
    let runtime = Runtime::new().unwrap();
    let fixture = Fixture::new();
    let cuts = || prop::collection::vec(any::<usize>(), 0..8);
    proptest!(ProptestConfig::with_cases(200), |(frames in cuts(), segments in cuts())| {
        let session = session(&frames);
        let replies = async { tokio::time::timeout(PATIENCE, replies(&fixture, &session, &segments)).await };
        prop_assert_eq!(runtime.block_on(replies).ok(), Some(CALLS));
    });
}

#[test]
fn any_bytes_after_the_preface_leave_the_server_alive() {
    let runtime = Runtime::new().unwrap();
    let fixture = Fixture::new();
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12);
    proptest!(ProptestConfig::with_cases(200), |(changes in changes)| {
        let mut session = session(&[]);
        for (place, byte) in changes {
            let place = place.index(session.len());
            session[place] = byte;
        }
        runtime.block_on(async {
            let mut socket = TcpStream::connect(fixture.address()).await.unwrap();
            let _ = socket.write_all(&session).await;
            let _ = socket.shutdown().await;
            let _ = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await.expect("the server closes");
        });
    });
    let session = session(&[]);
    assert_eq!(runtime.block_on(replies(&fixture, &session, &[])), CALLS);
}
