//! Responses: a reply in one piece, a failure in trailers alone, and plain HTTP for whoever does not speak gRPC.

use std::future::poll_fn;
use std::task::Poll;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

use super::outbox::{Delivery, Payload};
use super::status::{Code, Failure, percent_encoded};

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");
const GRPC_ACCEPT_ENCODING: HeaderName = HeaderName::from_static("grpc-accept-encoding");
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// The stream, or its connection, has gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Gone;

impl From<h2::Error> for Gone {
    fn from(_: h2::Error) -> Self {
        Self
    }
}

/// Begins a reply; the client's window may not have room for all of it yet.
pub(super) fn begin(respond: &mut SendResponse<Payload>, reply: &Bytes) -> Result<SendStream<Payload>, Gone> {
    let mut response = Response::new(());
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    let mut stream = respond.send_response(response, false)?;
    stream.reserve_capacity(reply.len());
    Ok(stream)
}

/// Whether the client's window has room for a reply that was begun.
pub(super) fn has_room(stream: &SendStream<Payload>, reply: &Bytes) -> bool {
    stream.capacity() >= reply.len()
}

/// Sends a reply that was begun and has room, and the instance that it gives away.
pub(super) fn finish(stream: &mut SendStream<Payload>, reply: Bytes, instance: Option<Delivery>) -> Result<(), Gone> {
    stream.send_data(Payload::new(reply, stream.stream_id().as_u32(), instance), false)?;
    succeed(stream)
}

/// Sends data as the client's window allows: what fits now, and more once the client has read that. An instance goes with the end.
pub(super) async fn send_all(stream: &mut SendStream<Payload>, mut data: Bytes, mut instance: Option<Delivery>) -> Result<(), Gone> {
    while !data.is_empty() {
        stream.reserve_capacity(data.len());
        while stream.capacity() == 0 {
            let room = poll_fn(|cx| match stream.poll_capacity(cx) {
                Poll::Pending => stream.poll_reset(cx).map(|_| None),
                ready @ Poll::Ready(_) => ready,
            });
            room.await.ok_or(Gone)??;
        }
        let piece = data.split_to(stream.capacity().min(data.len()));
        let instance = if data.is_empty() { instance.take() } else { None };
        stream.send_data(Payload::new(piece, stream.stream_id().as_u32(), instance), false)?;
    }
    Ok(())
}

/// Ends a call whose reply was sent.
pub(super) fn succeed(stream: &mut SendStream<Payload>) -> Result<(), Gone> {
    let mut trailers = HeaderMap::with_capacity(1);
    trailers.insert(GRPC_STATUS, HeaderValue::from_static("0"));
    Ok(stream.send_trailers(trailers)?)
}

/// Ends a call without a reply. A client that has gone does not hear of it.
pub(super) fn fail(respond: &mut SendResponse<Payload>, failure: &Failure) {
    let mut response = Response::new(());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, GRPC);
    headers.insert(GRPC_STATUS, HeaderValue::from_static(failure.code.as_str()));
    if let Ok(text) = HeaderValue::try_from(percent_encoded(&failure.text)) {
        headers.insert(GRPC_MESSAGE, text);
    }
    if failure.code == Code::Unimplemented {
        headers.insert(GRPC_ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    let _ = respond.send_response(response, true);
}

/// Answers a request that is no gRPC call.
pub(super) fn refuse_http(respond: &mut SendResponse<Payload>, status: StatusCode) {
    let mut response = Response::new(());
    *response.status_mut() = status;
    if status == StatusCode::METHOD_NOT_ALLOWED {
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("POST"));
    }
    let _ = respond.send_response(response, true);
}
