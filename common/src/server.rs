//! The one listening port of a node.

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;

use crate::link::{Identity, Inbox, LinkEvent, link_router};
use crate::telemetry::{ReadyFn, StatusFn, install_metrics, ops_router, shutdown_signal};

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
/// Small frames leave at once: links and acknowledgements must not wait for Nagle's timer.
///
/// # Errors
/// None in practice: accept errors are retried inside.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(stop).await
}

/// Runs what surrounds a sync or ndb node, as tasks of the current runtime: its port, with `/link`
/// and the operators' pages, and the signals that put `stop` into its inbox.
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
    let pages = ops_router(install_metrics(), ready, status);
    let router = link_router(identity, inbox.clone()).merge(pages);
    tokio::spawn(serve(listener, router, std::future::pending()));
    tokio::spawn(async move {
        shutdown_signal().await;
        tracing::info!("stopping");
        let _stopped_already = inbox.send(stop).await;
    });
}
