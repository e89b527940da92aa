//! WAMP v2 (wamp-proto.org), Basic Profile, broker role, as `wamp.2.json` over WebSocket.
//!
//! [`serve_session`] drives one connection; what it answers is decided in `session`, which is pure.
//! [`EventEncoder`] makes the EVENT frames that the core hands to its sessions.

mod encode;
mod error;
mod event;
mod limits;
mod message;
mod metrics;
mod options;
mod outbox;
mod session;
mod socket;
mod topics;
mod uri;

pub(crate) use encode::put_decimal;
pub(crate) use event::put_key;
pub use event::{EVENT_OVERHEAD_BYTES_MAX, EventEncoder};
pub use limits::SessionLimits;
pub use metrics::describe_session_metrics;
pub use socket::{SessionContext, serve_session};

/// The WebSocket subprotocol that this entry speaks.
pub const SUBPROTOCOL: &str = "wamp.2.json";
