//! HTTP: `/publish`, `/call`, `/events` and `/history`, described at `/openapi.json`, and at `/` a console to try it
//! with.

mod asked;
mod body;
mod call;
mod events;
mod history;
mod identity;
mod intake;
mod object;
mod openapi;
mod page;
mod publish;
mod resume;
mod waiting;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{get, post};

use super::context::SessionContext;

/// Routes of the interface, for programs and for web pages.
pub(super) fn interface_router(context: SessionContext) -> Router {
    // A message and what stands around it.
    let body_limit = DefaultBodyLimit::max(context.limits.frame_bytes_max);
    Router::new()
        .route("/publish", post(publish::publish).layer(body_limit))
        .route("/call", post(call::call).layer(body_limit))
        .route("/events", get(events::events))
        .route("/history", get(history::history))
        .with_state(context)
        .merge(openapi::openapi_router())
}

/// The console, for people.
pub(super) fn console_router() -> Router {
    page::page_router()
}
