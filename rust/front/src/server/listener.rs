//! Takes connections and deals them out to the workers in turn.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep;

use super::shared::{Gauge, Share};

/// Connections that may wait to be accepted: a fleet reconnects at once.
const BACKLOG: u32 = 4096;

/// Pause after an error that another attempt would meet again, such as no descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// A connection with its share of the limit on them.
pub(super) type Accepted = (std::net::TcpStream, Share);

/// Binds the first of some addresses that can be bound. A port belongs to one server alone: two would each get half of the calls.
pub(super) fn bind(addresses: &[SocketAddr]) -> io::Result<TcpListener> {
    let mut refused = io::Error::new(io::ErrorKind::InvalidInput, "the host has no address");
    for address in addresses {
        match bind_one(*address) {
            Ok(listener) => return Ok(listener),
            Err(error) => refused = error,
        }
    }
    Err(refused)
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Lets a restarted scaler have its port while connections of the last one time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts for ever. A connection past the limit is closed at once, so that its client can go elsewhere.
pub(super) async fn accept(listener: TcpListener, connections: Gauge, workers: Vec<UnboundedSender<Accepted>>) {
    let mut turn = 0;
    loop {
        let socket = match listener.accept().await {
            Ok((socket, _)) => socket,
            Err(error) => {
                if !concerns_one_connection(&error) {
                    sleep(PAUSE).await;
                }
                continue;
            }
        };
        let mut share = connections.share();
        let Ok(socket) = TcpStream::into_std(socket) else { continue };
        if share.grow_to(1) {
            turn = (turn + 1) % workers.len();
            // A worker that has gone takes the connection with it: the server is closing.
            let _ = workers[turn].send((socket, share));
        }
    }
}

fn concerns_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted)
}
