//! What a node shows of itself: log lines, metrics, and the pages for operators.

mod http;
mod log;
mod metrics;
mod readiness;
mod said;
mod service;
mod signal;

pub(crate) use http::with_index;
pub use http::{BoxFuture, ReadyFn, StatusFn, ops_router, probe_router, with_problems};
pub use log::{flush, init_tracing, is_log_pending};
pub use metrics::{MetricsHandle, install_metrics};
pub use readiness::Readiness;
pub use said::{PrintError, announce, exit_code, print, remark};
pub use service::tell_service_manager;
pub(crate) use service::{tell_reloaded, tell_reloading};
pub use signal::{on_hangup, shutdown_signal};
