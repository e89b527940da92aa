//! The client port: WAMP at `/ws`, `/publish`, `/events` and `/history` for HTTP clients, and at `/`
//! a page to try it with.

mod events;
mod history;
mod identity;
mod page;
mod problem;
mod publish;
mod visitor;

use axum::Router;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};

pub(crate) use history::history_router;

use vixen_common::tls::ClientAddress;

use crate::wamp::{SUBPROTOCOLS, Serializer, SessionContext, serve_session};

/// One read of a socket: some hundred small messages.
const READ_BUFFER_BYTES: usize = 16 << 10;
/// Frames are collected until a flush, or until they are this much.
const WRITE_BUFFER_BYTES: usize = 128 << 10;

/// Routes of the client port.
pub fn client_router(context: SessionContext) -> Router {
    // A message and what stands around it.
    let body_limit = DefaultBodyLimit::max(context.limits.frame_bytes_max);
    Router::new()
        .route("/ws", any(accept))
        .route("/publish", post(publish::publish).layer(body_limit))
        .route("/events", get(events::events))
        .route("/", get(page::page))
        .route("/favicon.ico", get(|| std::future::ready(StatusCode::NO_CONTENT)))
        .with_state(context)
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
            let text = format!("as many connections are open as limits.{limit} allows\n");
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
