//! What a node shows of itself: log lines, metrics, and the pages for operators.

mod http;
mod log;
mod metrics;
mod readiness;
mod signal;

pub use http::{BoxFuture, ReadyFn, StatusFn, ops_router};
pub use log::init_tracing;
pub use metrics::{MetricsHandle, install_metrics};
pub use readiness::Readiness;
pub use signal::{on_hangup, shutdown_signal};
