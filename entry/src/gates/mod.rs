//! Gates: each speaks one protocol with its clients, and the words of `vixen_broker` with the rest of the
//! entry. No gate knows another one.
//!
//! ```text
//!   port ──> http, wamp                 where they are served
//!   http, wamp ──> web                  what begins as HTTP has in common
//!   http, wamp ──> options, uris, …     what is said alike in several protocols
//! ```

mod context;
mod driver;
mod http;
mod ids;
mod limits;
pub(crate) mod metrics;
pub(crate) mod options;
mod port;
mod raw;
pub(crate) mod refusal;
mod testament;
pub(crate) mod uris;
pub mod wamp;
mod web;

pub use context::SessionContext;
pub use limits::SessionLimits;
pub(crate) use metrics::describe_request_metrics;
pub use port::client_router;
pub use web::origin_allowed;
pub(crate) use web::{
    describe_host_metrics, describe_http_metrics, describe_web_metrics, pages_of_known_hosts,
};
