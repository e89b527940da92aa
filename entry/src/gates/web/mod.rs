//! What all that is asked by HTTP has in common: problems as answers, and who may ask. WebSockets begin as
//! HTTP requests as well.

mod cors;
mod hosts;
mod problem;
mod refusals;

pub(crate) use cors::describe_web_metrics;
pub use cors::origin_allowed;
pub(super) use cors::{guarded, shared_with_pages};
pub(super) use hosts::of_known_hosts;
pub(crate) use hosts::{describe_host_metrics, pages_of_known_hosts};
pub(super) use problem::{Problem, explain};
pub(crate) use refusals::describe_http_metrics;
pub(super) use refusals::{count, count_refusal};

use super::context::SessionContext;

/// Whether requests are taken: not before the entry is ready for the first time, and not when it
/// stops. Lost later, readiness comes back or the request is answered with what is missing.
///
/// # Errors
/// Why not.
pub(super) fn admitted(context: &SessionContext) -> Result<(), Problem> {
    if *context.stopping.borrow() {
        return Err(Problem::shutting_down());
    }
    let ready = context.reads.core().was_ready();
    ready.map_err(|reason| Problem::not_ready(&reason))
}
