//! WAMP v2 (wamp-proto.org), roles broker and dealer, over WebSocket. `docs/wamp.md` says what of it.
//!
//! `socket` drives one connection; what it answers is decided in `session`, which is pure, and what
//! it is told in `told`.

mod alive;
mod encode;
mod error;
mod event;
mod frames;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod hello;
pub(crate) mod login;
mod message;
mod metrics;
mod serializer;
mod session;
mod socket;
mod told;
mod writer;

pub(crate) use event::stored_events;
pub use metrics::describe_session_metrics;
pub(crate) use serializer::{SUBPROTOCOLS, Serializer};
pub(crate) use socket::serve_session;
