//! WAMP v2 (wamp-proto.org), broker role, over WebSocket. `docs/wamp.md` says what of it.
//!
//! `socket` drives one connection; what it answers is decided in `session`, which is pure, and what
//! it gets in `outbox`.

mod alive;
mod encode;
mod error;
mod event;
mod frames;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod limits;
mod message;
mod metrics;
mod options;
mod outbox;
mod serializer;
mod session;
mod socket;
mod topics;
mod uri;

pub(crate) use error::{
    Ending, Refusal, UNFINISHED_INPUT, history_error_uri, publish_error_uri, subscribe_error_uri,
};
pub use limits::SessionLimits;
pub(crate) use message::{ID_MAX, RawPublish};
pub use metrics::describe_session_metrics;
pub(crate) use metrics::{count_publish_error, count_refusal};
pub(crate) use serializer::{SUBPROTOCOLS, Serializer};
pub(crate) use session::{Edge, info_of};
pub use socket::SessionContext;
pub(crate) use socket::serve_session;
pub(crate) use topics::RawUri;
pub(crate) use uri::is_realm;
