//! The server on real sockets: what HTTP/2 and gRPC let clients do, and what they must not be able to.

mod calls;
mod connections;
mod resets;
mod splits;
mod support;
mod waiting;
