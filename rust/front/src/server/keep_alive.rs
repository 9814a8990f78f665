//! Pings for a connection that has been silent, to find out whether anybody is still there.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::{Instant, Sleep, sleep};

/// How long the answer to a ping may take: gRPC's default.
const PATIENCE: Duration = Duration::from_secs(20);

/// One connection's pings.
#[derive(Debug)]
pub(super) struct KeepAlive {
    pings: PingPong,
    pause: Duration,
    timer: Pin<Box<Sleep>>,
    /// Something was heard since the timer was set.
    heard: bool,
    awaited: bool,
}

impl KeepAlive {
    pub(super) fn new(pings: PingPong, pause: Duration) -> Self {
        Self { pings, pause, timer: Box::pin(sleep(pause)), heard: false, awaited: false }
    }

    /// Notes that the peer is there.
    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// Pings when it is time to. Ready: a ping was not answered, and nothing else was heard.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.awaited && self.pings.poll_pong(cx).is_ready() {
            self.awaited = false;
            self.heard = true;
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            let pause = match (std::mem::take(&mut self.heard), self.awaited) {
                (true, _) => self.pause,
                (false, true) => return Poll::Ready(()),
                (false, false) => {
                    self.awaited = self.pings.send_ping(Ping::opaque()).is_ok();
                    PATIENCE.min(self.pause)
                }
            };
            self.timer.as_mut().reset(Instant::now() + pause);
        }
        if self.awaited && self.pings.poll_pong(cx).is_ready() {
            self.awaited = false;
            self.heard = true;
        }
        Poll::Pending
    }
}
