//! Our end of a unary gRPC call: framing, the exchange on a connection, and a client that keeps a connection up on a thread of its own.
//!
//! `pilotlight serve` reaches its platform through [`Client`]: its calls cost Python one crossing to send and a share of one wake-up to
//! hear of, so that a storm of cold starts leaves the interpreter to others. The load generator drives [`receive`] on connections of
//! its own. [`HandOver`] is how any thread of ours leaves work for a host's event loop.

#![forbid(unsafe_code)]

mod client;
mod connection;
mod frame;
mod hand_over;
mod standing;
mod turns;
mod unary;

pub use client::{Call, Client, Done, Outcome};
pub use frame::{frame, frame_encoded, unframe};
pub use hand_over::HandOver;
pub use unary::{Failure, receive};
