//! The one listening port of a node.

mod watched;

use std::io::ErrorKind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;

use crate::link::{Identity, Inbox, LinkEvent, RefusalLog, link_router};
use crate::reload::{Certificates, Load, reload_on_hangup};
use crate::telemetry::{
    ReadyFn, StatusFn, install_metrics, ops_router, shutdown_signal, tell_service_manager,
};
use crate::tls::{CertifiedNames, ClientAddress, Port, Tls};
use watched::{STALLED_CONNECTIONS, VANISHED_CONNECTIONS, Watched};

const SILENT_CONNECTIONS: &str = "vixen_common_silent_connections_total";
const MALFORMED_REQUESTS: &str = "vixen_common_malformed_requests_total";

/// How long a connection may keep the server waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the head of the first request, from the end of the handshake on: who sends it byte by
    /// byte, or never, holds nothing for good.
    pub first_head: Duration,
    /// For the head of each further one, from the end of the answer before on. Longer than clients
    /// wait between two requests: one that is sent just when the connection is closed fails.
    pub next_head: Duration,
    /// Of TCP itself, while something waits to be written. Who is slow is not silent.
    pub silence: Duration,
    /// For an answer of which nothing more is taken, while some of it waits to be written. It does
    /// not hold for what a connection becomes by an upgrade.
    pub stall: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let minute = Duration::from_secs(60);
        Self {
            first_head: Duration::from_secs(5),
            next_head: minute,
            silence: minute,
            stall: minute,
        }
    }
}

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

/// Serves `router` until `stop` resolves; connections of links are cut then, requests finished.
/// With `tls` the port speaks nothing else. Handlers find who is there as
/// `ConnectInfo<`[`ClientAddress`]`>`. Small frames leave at once: links and acknowledgements must
/// not wait for Nagle's timer.
pub async fn serve(
    listener: TcpListener,
    tls: Option<Arc<Tls>>,
    router: Router,
    timeouts: Timeouts,
    stop: impl Future<Output = ()>,
) {
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
    let mut port = Port::new(listener, tls);
    let closing = watch::Sender::new(());
    let mut stop = pin!(stop);
    loop {
        let (stream, client) = tokio::select! {
            arrival = port.accept() => arrival,
            () = &mut stop => break,
        };
        let has_asked = Arc::new(AtomicBool::new(false));
        let is_upgraded = Arc::new(AtomicBool::new(false));
        let certified = stream.certified_names();
        let watched = Watched::new(stream, timeouts.silence)
            .with_stall(timeouts.stall, Arc::clone(&is_upgraded));
        let service =
            service_of(router.clone(), client, certified, (Arc::clone(&has_asked), is_upgraded));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(timeouts.next_head)
            .serve_connection(TokioIo::new(watched), service)
            .with_upgrades();
        let mut closing = closing.subscribe();
        tokio::spawn(async move {
            let mut connection = pin!(connection);
            let first_head = sleep(timeouts.first_head);
            let (mut first_head, mut has_time) = (pin!(first_head), true);
            loop {
                tokio::select! {
                    biased;
                    ended = connection.as_mut() => {
                        note_end(client, ended);
                        return;
                    }
                    Ok(()) = closing.changed() => {
                        // Browsers connect ahead of what they may ask: nobody waits for that.
                        if !has_asked.load(Ordering::Relaxed) {
                            return;
                        }
                        connection.as_mut().graceful_shutdown();
                    }
                    () = first_head.as_mut(), if has_time => {
                        has_time = false;
                        if !has_asked.load(Ordering::Relaxed) {
                            metrics::counter!(SILENT_CONNECTIONS).increment(1);
                            tracing::debug!(ip = %client.ip, "connection closed: no request in time");
                            return;
                        }
                    }
                }
            }
        });
    }
    // Closed before the wait: whoever comes now finds another node the sooner.
    drop(port);
    closing.send_replace(());
    closing.closed().await;
}

/// Of all ends, those that the client has brought about by what it sent count.
fn note_end(client: ClientAddress, ended: Result<(), hyper::Error>) {
    let Err(error) = ended else { return };
    if error.is_parse() {
        metrics::counter!(MALFORMED_REQUESTS).increment(1);
        tracing::debug!(ip = %client.ip, %error, "request refused: malformed");
    }
}

/// `router` for one connection: requests carry who `client` is, and the first one is noted, as is
/// that the connection becomes another one.
fn service_of(
    router: Router,
    client: ClientAddress,
    certified: CertifiedNames,
    (has_asked, is_upgraded): (Arc<AtomicBool>, Arc<AtomicBool>),
) -> impl Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Send {
    let router = TowerToHyperService::new(router);
    service_fn(move |request: hyper::Request<Incoming>| {
        has_asked.store(true, Ordering::Relaxed);
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(ConnectInfo(client));
        request.extensions_mut().insert(certified.clone());
        let (answer, is_upgraded) = (router.call(request), Arc::clone(&is_upgraded));
        async move {
            let answer = answer.await?;
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                is_upgraded.store(true, Ordering::Relaxed);
            }
            Ok(answer)
        }
    })
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
    let refusals = Arc::new(RefusalLog::default());
    let demand = from_fn_with_state(refusals, demand_certificate);
    let link = if has_tls { link.layer(demand) } else { link };
    link.merge(ops_router(install_metrics(), ready, status))
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
pub fn surround<E>(
    listener: TcpListener,
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
    tokio::spawn(tell_service_manager(Arc::clone(&ready), Arc::clone(&status)));
    let router = node_router(identity, inbox.clone(), ready, status);
    let timeouts = Timeouts::default();
    tokio::spawn(serve(listener, tls.clone(), router, timeouts, std::future::pending()));
    let certificates = Certificates { has_clients: false, clients: None, links: tls };
    tokio::spawn(reload_on_hangup(load, certificates, |_config| {}));
    tokio::spawn(async move {
        shutdown_signal().await;
        tracing::info!("stopping");
        let _stopped_already = inbox.send(stop).await;
    });
}

#[cfg(test)]
mod tests;
