//! What a request's headers ask for.

use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, Method, StatusCode, request};
use pilotlight_core::Nanos;

use super::status::{Code, Failure};
use super::timeout;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
const GRPC: &[u8] = b"application/grpc";

const UNAUTHENTICATED: &str = "the call carries no valid token; send the metadata `authorization: Bearer TOKEN`";

/// The methods of the Scaler service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rpc {
    Assign,
    Idle,
}

/// What is to be done with a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A call of the Scaler service; `deadline` is the client's.
    Call { rpc: Rpc, deadline: Option<Nanos> },
    /// A call of some other service.
    Other,
    /// A call that cannot be served.
    Failed(Failure),
    /// No gRPC call at all.
    NotGrpc(StatusCode),
}

/// Reads the headers of a request that came at `now`. `authorization`: what Assign and Idle must carry under that name, if anything.
pub(super) fn read(head: &request::Parts, authorization: Option<&[u8]>, now: impl FnOnce() -> Nanos) -> Wanted {
    if head.method != Method::POST {
        return Wanted::NotGrpc(StatusCode::METHOD_NOT_ALLOWED);
    }
    if !head.headers.get(CONTENT_TYPE).is_some_and(|content_type| is_grpc(content_type.as_bytes())) {
        return Wanted::NotGrpc(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    }
    let rpc = match head.uri.path() {
        "/serverless.simulator.Scaler/Assign" => Rpc::Assign,
        "/serverless.simulator.Scaler/Idle" => Rpc::Idle,
        _ => return Wanted::Other,
    };
    if authorization.is_some_and(|expected| !head.headers.get(AUTHORIZATION).is_some_and(|sent| same(sent.as_bytes(), expected))) {
        return Wanted::Failed(Failure::new(Code::Unauthenticated, UNAUTHENTICATED));
    }
    let deadline = match head.headers.get(GRPC_TIMEOUT) {
        None => None,
        Some(value) => match timeout::parse(value.as_bytes()) {
            Some(timeout) => Some(now() + timeout),
            None => {
                return Wanted::Failed(Failure::new(
                    Code::Internal,
                    format!("grpc-timeout is {value:?}: write 1 to 8 digits and one of H, M, S, m, u, n"),
                ));
            }
        },
    };
    Wanted::Call { rpc, deadline }
}

/// Whether a content type is gRPC with messages of its default form.
fn is_grpc(content_type: &[u8]) -> bool {
    match content_type.strip_prefix(GRPC) {
        Some(rest) => rest.is_empty() || rest == b"+proto" || rest.starts_with(b";") || rest.starts_with(b"+proto;"),
        None => false,
    }
}

/// Compares a secret, in a time that does not tell how much of it was right.
fn same(sent: &[u8], expected: &[u8]) -> bool {
    sent.len() == expected.len() && sent.iter().zip(expected).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use http::{Request, StatusCode};
    use pilotlight_core::Nanos;

    use super::{Rpc, Wanted, is_grpc, read, same};

    fn wanted(method: &str, path: &str, headers: &[(&str, &str)]) -> Wanted {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        read(&request.body(()).unwrap().into_parts().0, None, || Nanos(7))
    }

    #[test]
    fn a_call_names_its_method_and_deadline() {
        let grpc = ("content-type", "application/grpc");
        let assign = wanted("POST", "/serverless.simulator.Scaler/Assign", &[grpc, ("grpc-timeout", "3n")]);
        assert_eq!(assign, Wanted::Call { rpc: Rpc::Assign, deadline: Some(Nanos(10)) });
        let idle = wanted("POST", "/serverless.simulator.Scaler/Idle", &[grpc]);
        assert_eq!(idle, Wanted::Call { rpc: Rpc::Idle, deadline: None });
        assert_eq!(wanted("POST", "/serverless.simulator.Scaler/Idles", &[grpc]), Wanted::Other);
        assert!(matches!(wanted("POST", "/serverless.simulator.Scaler/Idle", &[grpc, ("grpc-timeout", "3")]), Wanted::Failed(_)));
    }

    #[test]
    fn what_is_no_call_gets_an_http_status() {
        assert_eq!(wanted("GET", "/", &[]), Wanted::NotGrpc(StatusCode::METHOD_NOT_ALLOWED));
        let json = wanted("POST", "/serverless.simulator.Scaler/Idle", &[("content-type", "application/json")]);
        assert_eq!(json, Wanted::NotGrpc(StatusCode::UNSUPPORTED_MEDIA_TYPE));
    }

    #[test]
    fn only_the_whole_secret_is_the_same() {
        assert!(same(b"Bearer x", b"Bearer x"));
        for sent in [&b""[..], b"Bearer", b"Bearer y", b"bearer x", b"Bearer x "] {
            assert!(!same(sent, b"Bearer x"), "{sent:?}");
        }
    }

    #[test]
    fn only_protobuf_is_grpc_here() {
        for text in ["application/grpc", "application/grpc+proto", "application/grpc;charset=utf-8", "application/grpc+proto;v=1"] {
            assert!(is_grpc(text.as_bytes()), "{text}");
        }
        for text in ["", "application/grpc-web", "application/grpc+json", "application/grpcx", "text/plain"] {
            assert!(!is_grpc(text.as_bytes()), "{text}");
        }
    }
}
