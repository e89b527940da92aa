//! The one listening port of a node.

use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;

use crate::link::{Identity, Inbox, LinkEvent, link_router};
use crate::telemetry::{ReadyFn, StatusFn, install_metrics, ops_router, shutdown_signal};
use crate::tls::{ClientAddress, Port, Tls, reload_on_hangup};

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}; is another process there, or the address wrong?")]
pub struct ListenError {
    /// The address of the configuration.
    pub address: String,
    /// Why.
    pub source: std::io::Error,
}

/// Binds `address`, `host:port`; names are resolved now.
///
/// # Errors
/// When the address is taken, not of this machine, or does not resolve.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ListenError { address: address.to_owned(), source })
}

/// Serves `router` until `stop` resolves; connections of links are cut then, requests finished.
/// With `tls` the port speaks nothing else. Handlers find who is there as
/// `ConnectInfo<`[`ClientAddress`]`>`. Small frames leave at once: links and acknowledgements must
/// not wait for Nagle's timer.
///
/// # Errors
/// None in practice: accept errors are retried inside.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let service = router.into_make_service_with_connect_info::<ClientAddress>();
    axum::serve(Port::new(listener, tls), service).with_graceful_shutdown(stop).await
}

/// What a sync or ndb node serves: `/link` into `inbox`, and the operators' pages. Where links have
/// TLS, `/link` is for those who show a certificate of the cluster, and the pages are for all.
pub fn node_router<E>(
    identity: Identity,
    inbox: Inbox<E>,
    ready: ReadyFn,
    status: StatusFn,
) -> Router
where
    E: From<LinkEvent> + Send + 'static,
{
    let has_tls = identity.tls.is_some();
    let link = link_router(identity, inbox);
    let link = if has_tls { link.layer(from_fn(demand_certificate)) } else { link };
    link.merge(ops_router(install_metrics(), ready, status))
}

async fn demand_certificate(
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    if client.is_certified {
        return next.run(request).await;
    }
    metrics::counter!("vixen_common_links_refused_total").increment(1);
    tracing::warn!(ip = %client.ip, reason = "no certificate", "link refused");
    let text = "links need a certificate of this cluster: set [cluster-tls] on both nodes\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Runs what surrounds a sync or ndb node, as tasks of the current runtime: its port, with `/link`
/// and the operators' pages, the signals that put `stop` into its inbox, and the one that has its
/// certificates read again.
pub fn surround<E>(
    listener: TcpListener,
    identity: Identity,
    inbox: Inbox<E>,
    stop: E,
    ready: ReadyFn,
    status: StatusFn,
) where
    E: From<LinkEvent> + Send + 'static,
{
    let tls = identity.tls.clone();
    let router = node_router(identity, inbox.clone(), ready, status);
    tokio::spawn(serve(listener, tls.clone(), router, std::future::pending()));
    tokio::spawn(reload_on_hangup(tls.into_iter().collect()));
    tokio::spawn(async move {
        shutdown_signal().await;
        tracing::info!("stopping");
        let _stopped_already = inbox.send(stop).await;
    });
}
