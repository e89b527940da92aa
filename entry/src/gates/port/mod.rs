//! The client port: where the gates are that begin as HTTP. WAMP is at `/ws`.

use std::sync::Arc;

use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, State};
use axum::http::{StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, options};
use axum::{Extension, Router};

use vixen_runtime::config::Web;
use vixen_runtime::server::Meter;
use vixen_runtime::tls::ClientAddress;

use super::context::SessionContext;
use super::http;
use super::wamp::{SUBPROTOCOLS, Serializer, serve_session};
use super::web::{self, Problem};

/// One read of a socket: some dozens of small messages. Every session keeps one, idle or not: with
/// 16 KiB it was most of what an idle session costs.
const READ_BUFFER_BYTES: usize = 8 << 10;
/// Frames are collected until a flush, or until they are this much.
const WRITE_BUFFER_BYTES: usize = 128 << 10;

/// Routes of the client port, for the pages that `web` allows, and the console.
pub fn client_router(context: SessionContext, web: &Arc<Web>) -> Router {
    let sessions = Router::new().route("/ws", get(accept)).with_state(context.clone());
    let checks = Router::new().route("/", options(check)).with_state(context.clone());
    let interface = http::interface_router(context);
    let routes = web::guarded(sessions, web)
        .merge(web::shared_with_pages(interface, web))
        .merge(http::console_router())
        .merge(checks)
        .fallback(|| std::future::ready(StatusCode::NOT_FOUND));
    let routes = web::of_known_hosts(routes, web);
    // As a whole: a layer of its own would see answers before `Allow` is in them.
    Router::new()
        .fallback_service(routes)
        .layer(map_response(web::explain))
        .layer(map_response(web::count_refusal))
}

/// `OPTIONS /`, which load balancers ask unless told otherwise (haproxy's `option httpchk`): whether
/// clients are well served here.
async fn check(State(context): State<SessionContext>) -> Response {
    if *context.stopping.borrow() {
        return Problem::shutting_down().into_response();
    }
    match context.reads.core().ready() {
        Ok(()) => (StatusCode::NO_CONTENT, [(header::ALLOW, "GET,HEAD,OPTIONS")]).into_response(),
        Err(reason) => Problem::not_ready(&reason).into_response(),
    }
}

async fn accept(
    State(context): State<SessionContext>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    Extension(meter): Extension<Meter>,
    upgrade: WebSocketUpgrade,
) -> Response {
    if let Err(problem) = web::admitted(&context) {
        return problem.into_response();
    }
    let upgrade = upgrade.protocols(SUBPROTOCOLS);
    let selected = upgrade.selected_protocol().and_then(|name| name.to_str().ok());
    let Some(serializer) = selected.and_then(Serializer::of_subprotocol) else {
        let known = SUBPROTOCOLS.join(", ");
        let message = format!("no common WebSocket subprotocol: this entry speaks {known}");
        return Problem::bad_request(&message).into_response();
    };
    let permit = match context.admission.admit(client.ip) {
        Ok(permit) => permit,
        Err(full) => return Problem::of_full(full).into_response(),
    };
    let frame_bytes_max = context.limits.frame_bytes_max;
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_message_size(frame_bytes_max)
        .max_frame_size(frame_bytes_max)
        .on_upgrade(move |socket| serve_session(socket, context, serializer, permit, meter))
}

#[cfg(test)]
mod tests;
