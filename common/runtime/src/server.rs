//! The one listening port of a node.

mod bounds;
mod connection;
mod connections;
mod dropping;
mod errors;
mod intake;
mod places;
mod proxies;
mod watched;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::address::AddressBlock;
use crate::config::Config;
use crate::link::{Identity, Inbox, LinkEvent, RefusalLog, link_router};
use crate::process::raise_open_files;
use crate::reload::{Certificates, Load, Running, reload_on_hangup};
use crate::telemetry::{
    ReadyFn, StatusFn, install_metrics, ops_router, shutdown_signal, tell_service_manager,
    with_index,
};
use crate::tls::{ClientAddress, Port, Tls};
pub use bounds::{PortBounds, Timeouts};
use connection::{Accepted, serve_connection};
pub(crate) use connections::{Connections, Place};
pub(crate) use errors::AcceptErrors;
use intake::Intake;
pub use intake::{Meter, Over};
pub(crate) use places::Full;
pub use proxies::Proxies;
use watched::{STALLED_CONNECTIONS, VANISHED_CONNECTIONS};

const SILENT_CONNECTIONS: &str = "vixen_common_silent_connections_total";
const MALFORMED_REQUESTS: &str = "vixen_common_malformed_requests_total";

/// What shells give, where the system does not tell.
const FEW_FILES: u64 = 1024;

/// Why a node cannot listen.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {cause}; {fix}")]
pub struct ListenError {
    /// The address of the configuration.
    pub address: String,
    /// What the system said; part of the text, and so no source of the error.
    pub cause: std::io::Error,
    /// What to do.
    pub fix: &'static str,
}

impl ListenError {
    fn new(address: &str, cause: std::io::Error) -> Self {
        let fix = match cause.kind() {
            ErrorKind::AddrInUse => {
                "another process listens there (`ss -ltnp` says which): stop it, or choose another \
                 port"
            }
            ErrorKind::AddrNotAvailable => {
                "this machine has no such address: choose one that `ip address` lists, or 0.0.0.0 \
                 for all"
            }
            ErrorKind::PermissionDenied => {
                "ports below 1024 are for root and CAP_NET_BIND_SERVICE: choose another port"
            }
            _ => "choose an address and port of this machine",
        };
        Self { address: address.to_owned(), cause, fix }
    }
}

/// Binds `address`, `host:port`; names are resolved now.
///
/// # Errors
/// When the address is taken, not of this machine, or does not resolve.
pub async fn listen(address: &str) -> Result<TcpListener, ListenError> {
    TcpListener::bind(address).await.map_err(|cause| ListenError::new(address, cause))
}

/// Binds the first of these that can be.
///
/// # Errors
/// When none can be: why not the last.
pub async fn listen_first(addresses: &[SocketAddr]) -> Result<TcpListener, ListenError> {
    let of_last = |cause| {
        let last = addresses.last().map(SocketAddr::to_string).unwrap_or_default();
        ListenError::new(&last, cause)
    };
    TcpListener::bind(addresses).await.map_err(of_last)
}

/// Serves `router` until `stop` resolves; connections of links are cut then, requests finished.
/// With `tls` the port speaks nothing else. Handlers find who is there as
/// `ConnectInfo<`[`ClientAddress`]`>`, and what is unfinished of its input as `Extension<`[`Meter`]`>`.
/// Small frames leave at once: links and acknowledgements must not wait for Nagle's timer.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    bounds: impl Into<PortBounds>,
    stop: impl Future<Output = ()>,
) {
    describe();
    let bounds: PortBounds = bounds.into();
    let connections = Connections::new(bounds.connections_max, bounds.connections_per_address_max);
    let intake = Intake::new(bounds.unfinished_bytes_max);
    let mut port = Port::new(listener, tls, connections, bounds.proxies.clone());
    let closing = watch::Sender::new(());
    let mut stop = pin!(stop);
    loop {
        let (stream, client, place) = tokio::select! {
            arrival = port.accept() => arrival,
            () = &mut stop => break,
        };
        let meter = intake.meter(AddressBlock::of(client.ip));
        let accepted = Accepted { stream, client, place, meter };
        let (router, closing) = (router.clone(), closing.subscribe());
        tokio::spawn(serve_connection(accepted, router, bounds.clone(), closing));
    }
    // Closed before the wait: whoever comes now finds another node the sooner.
    drop(port);
    closing.send_replace(());
    closing.closed().await;
}

fn describe() {
    metrics::describe_counter!(
        SILENT_CONNECTIONS,
        "Connections closed because the head of a first request did not come in time"
    );
    metrics::describe_counter!(
        MALFORMED_REQUESTS,
        "Connections closed because what came was no request of HTTP/1.1, or too long for one"
    );
    metrics::describe_counter!(
        VANISHED_CONNECTIONS,
        "Connections closed because what was written was not acknowledged by TCP"
    );
    metrics::describe_counter!(
        STALLED_CONNECTIONS,
        "Connections closed because their client took nothing more of an answer"
    );
    connections::describe();
    errors::describe();
    intake::describe();
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
    let links = links_router(identity, inbox);
    with_index(links.merge(ops_router(install_metrics(), ready, status)))
}

/// `/link` into `inbox`, and nothing else. Where links have TLS, it is for those who show a certificate of the cluster.
pub fn links_router<E>(identity: Identity, inbox: Inbox<E>) -> Router
where
    E: From<LinkEvent> + Send + 'static,
{
    let has_tls = identity.tls.is_some();
    let links = link_router(identity, inbox);
    let refusals = Arc::new(RefusalLog::default());
    let demand = from_fn_with_state(refusals, demand_certificate);
    if has_tls { links.layer(demand) } else { links }
}

async fn demand_certificate(
    State(refusals): State<Arc<RefusalLog>>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    if client.is_certified {
        return next.run(request).await;
    }
    refusals.refused(client.ip, None, "no certificate of this cluster");
    let text = "links need a certificate of this cluster: set [cluster-tls] on both nodes\n";
    (StatusCode::FORBIDDEN, text).into_response()
}

/// Runs what surrounds a sync or ndb node, as tasks of the current runtime: its port, with `/link`
/// and the operators' pages, the signals that put `stop` into its inbox, and the one that has its
/// certificates read again, as the configuration of `load` names them.
#[expect(clippy::too_many_arguments, reason = "each is another side of the node")]
pub fn surround<E>(
    listener: TcpListener,
    config: &Config,
    identity: Identity,
    inbox: Inbox<E>,
    stop: E,
    ready: ReadyFn,
    status: StatusFn,
    load: Load,
) where
    E: From<LinkEvent> + Send + 'static,
{
    let tls = identity.tls.clone();
    let running = Running { config: config.clone(), tier: identity.peer.tier() };
    tokio::spawn(tell_service_manager(Arc::clone(&ready), Arc::clone(&status)));
    let router = node_router(identity, inbox.clone(), ready, status);
    let files = raise_open_files().unwrap_or(FEW_FILES);
    let bounds = PortBounds::of(&config.limits, files);
    tokio::spawn(serve(listener, tls.clone(), router, bounds, std::future::pending()));
    let certificates = Certificates { has_clients: false, clients: None, links: tls };
    tokio::spawn(reload_on_hangup(load, running, certificates, |_config| {}));
    tokio::spawn(async move {
        shutdown_signal().await;
        tracing::info!("stopping");
        let _stopped_already = inbox.send(stop).await;
    });
}

#[cfg(test)]
mod tests;
