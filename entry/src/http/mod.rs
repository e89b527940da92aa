//! The client port: WAMP at `/ws`, `/publish`, `/events` and `/history` for HTTP clients, described
//! at `/openapi.json`, and at `/` a console to try it with.

mod cors;
mod events;
mod history;
mod identity;
mod openapi;
mod page;
mod problem;
mod publish;
mod refusals;
mod visitor;
mod waiting;

use std::sync::Arc;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use vixen_common::config::Web;

pub use cors::origin_allowed;
pub(crate) use cors::{describe_web_metrics, shared_with_pages};
pub(crate) use openapi::openapi_router;
pub(crate) use refusals::{count_refusal, describe_http_metrics};

use vixen_common::tls::ClientAddress;

use crate::wamp::{SUBPROTOCOLS, Serializer, SessionContext, serve_session};

/// One read of a socket: some dozens of small messages. Every session keeps one, idle or not: with
/// 16 KiB it was most of what an idle session costs.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// Frames are collected until a flush, or until they are this much.
const WRITE_BUFFER_BYTES: usize = 128 << 10;

/// Routes of the client port, for the pages that `web` allows, and the console.
pub fn client_router(context: SessionContext, web: &Arc<Web>) -> Router {
    // A message and what stands around it.
    let body_limit = DefaultBodyLimit::max(context.limits.frame_bytes_max);
    let sessions = Router::new().route("/ws", any(accept)).with_state(context.clone());
    let interface = Router::new()
        .route("/publish", post(publish::publish).layer(body_limit))
        .route("/events", get(events::events))
        .route("/history", get(history::history))
        .with_state(context);
    cors::guarded(sessions, web)
        .merge(cors::shared_with_pages(interface, web))
        .merge(page::page_router())
        .fallback(nothing_here)
}

async fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, "nothing is here: see /openapi.json\n").into_response()
}

async fn accept(
    State(context): State<SessionContext>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if *context.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "this node is shutting down\n").into_response();
    }
    let upgrade = upgrade.protocols(SUBPROTOCOLS);
    let selected = upgrade.selected_protocol().and_then(|name| name.to_str().ok());
    let Some(serializer) = selected.and_then(Serializer::of_subprotocol) else {
        let text = format!(
            "no common WebSocket subprotocol: this entry speaks {}\n",
            SUBPROTOCOLS.join(", ")
        );
        return (StatusCode::BAD_REQUEST, text).into_response();
    };
    let admission = match context.door.admit(client.ip) {
        Ok(admission) => admission,
        Err(limit) => {
            let text = format!("{}\n", problem::crowded(limit));
            return (StatusCode::TOO_MANY_REQUESTS, text).into_response();
        }
    };
    let frame_bytes_max = context.limits.frame_bytes_max;
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(frame_bytes_max)
        .max_frame_size(frame_bytes_max)
        .on_upgrade(move |socket| serve_session(socket, context, serializer, admission))
}

#[cfg(test)]
mod tests;
