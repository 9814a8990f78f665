//! A connection's socket: tells the outbox what it took and what came, and takes in nothing more while what it is to send is stuck.
//!
//! HTTP/2 reads on while its peer reads nothing, and every request it reads becomes a reply that is kept in memory. Here the peer's own
//! sending comes to a halt instead, until it has read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::outbox::Outbox;

/// A socket of which one task reads and writes.
#[derive(Debug)]
pub(super) struct Socket<S> {
    stream: S,
    outbox: Arc<Outbox>,
    /// The last write found no room.
    stuck: bool,
    /// Wants to read as soon as a write has found room.
    reader: Option<Waker>,
}

impl<S> Socket<S> {
    pub(super) fn new(stream: S, outbox: Arc<Outbox>) -> Self {
        Self { stream, outbox, stuck: false, reader: None }
    }

    fn note<T>(&mut self, written: Poll<T>) -> Poll<T> {
        self.stuck = written.is_pending();
        if !self.stuck
            && let Some(reader) = self.reader.take()
        {
            reader.wake();
        }
        written
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Socket<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.stuck {
            self.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let known = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buffer);
        self.outbox.heard(&buffer.filled()[known..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, data);
        if let Poll::Ready(Ok(length)) = written {
            self.outbox.sent(std::iter::once(data), length);
        }
        self.note(written)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, data);
        if let Poll::Ready(Ok(length)) = written {
            self.outbox.sent(data.iter().map(|piece| &**piece), length);
        }
        self.note(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
