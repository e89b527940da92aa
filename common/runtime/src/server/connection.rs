//! One connection of a port: HTTP, until it ends or becomes something else.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::StatusCode;
use axum::response::Response;
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::bounds::PortBounds;
use super::connections::{Place, Work};
use super::intake::Meter;
use super::proxies::Proxies;
use super::watched::Watched;
use super::{MALFORMED_REQUESTS, SILENT_CONNECTIONS};
use crate::address::AddressBlock;
use crate::tls::{CertifiedNames, ClientAddress, Stream};

/// So long whoever answers may take when the input is over.
const OVER_TIME: Duration = Duration::from_secs(1);

/// A connection that has a place.
pub(super) struct Accepted {
    pub(super) stream: Stream,
    pub(super) client: ClientAddress,
    pub(super) place: Arc<Place>,
    pub(super) meter: Meter,
}

/// Serves `router` on it, until it ends, is upgraded, or has to go.
pub(super) async fn serve_connection(
    accepted: Accepted,
    router: Router,
    bounds: PortBounds,
    mut closing: watch::Receiver<()>,
) {
    let Accepted { stream, client, place, meter } = accepted;
    let PortBounds { timeouts, proxies, .. } = bounds;
    let has_asked = Arc::new(AtomicBool::new(false));
    let is_upgraded = Arc::new(AtomicBool::new(false));
    let certified = stream.certified_names();
    let of_requests = Noted {
        certified,
        place: Arc::clone(&place),
        meter: meter.clone(),
        has_asked: Arc::clone(&has_asked),
        is_upgraded: Arc::clone(&is_upgraded),
    };
    let service = service_of(router, (client, proxies), of_requests);
    let watched = Watched::new(stream, meter.clone(), Arc::clone(&place), timeouts.silence)
        .with_stall(timeouts.stall, is_upgraded);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(timeouts.next_head)
        .serve_connection(TokioIo::new(watched), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let first_head = sleep(timeouts.first_head);
    let (mut first_head, mut has_time) = (pin!(first_head), true);
    let mut over_at = None;
    loop {
        let gone_at = over_at.unwrap_or_else(tokio::time::Instant::now);
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
            () = place.closing() => {
                if place.is_idle() {
                    return;
                }
                // A request has come just now.
                connection.as_mut().graceful_shutdown();
            }
            // Whoever reads the body answers; where nobody does, it just ends.
            _why = meter.over(), if over_at.is_none() => {
                over_at = Some(tokio::time::Instant::now() + OVER_TIME);
            }
            () = sleep_until(gone_at), if over_at.is_some() => return,
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
}

/// Of all ends, those that the client has brought about by what it sent count.
fn note_end(client: ClientAddress, ended: Result<(), hyper::Error>) {
    let Err(error) = ended else { return };
    if error.is_parse() {
        metrics::counter!(MALFORMED_REQUESTS).increment(1);
        tracing::debug!(ip = %client.ip, %error, "request refused: malformed");
    }
}

/// What requests have to do with besides their answers.
struct Noted {
    certified: CertifiedNames,
    place: Arc<Place>,
    meter: Meter,
    has_asked: Arc<AtomicBool>,
    /// The connection becomes another one.
    is_upgraded: Arc<AtomicBool>,
}

/// `router` for one connection: requests carry who `client` is and what is unfinished of it, and the
/// first one is noted, as is that the connection becomes another one.
fn service_of(
    router: Router,
    (client, proxies): (ClientAddress, Proxies),
    noted: Noted,
) -> impl Service<
    hyper::Request<Incoming>,
    Response = Response,
    Error = std::convert::Infallible,
    Future: Send,
> + Send {
    let router = TowerToHyperService::new(router);
    service_fn(move |request: hyper::Request<Incoming>| {
        noted.has_asked.store(true, Ordering::Relaxed);
        let (work, meter) = (noted.place.work(), noted.meter.clone());
        let is_upgraded = Arc::clone(&noted.is_upgraded);
        let mut request = request.map(Body::new);
        let ip = proxies.client_of(client.ip, request.headers());
        meter.assign(AddressBlock::of(ip));
        let client = ClientAddress { ip, ..client };
        request.extensions_mut().insert(ConnectInfo(client));
        request.extensions_mut().insert(noted.certified.clone());
        request.extensions_mut().insert(meter.clone());
        let answering = router.call(request);
        async move {
            let answer: Response = answering.await?;
            meter.settle();
            if answer.status() == StatusCode::SWITCHING_PROTOCOLS {
                is_upgraded.store(true, Ordering::Relaxed);
                work.stay();
                return Ok(answer);
            }
            Ok(answer.map(|body| Body::new(Worked { body, _work: work })))
        }
    })
}

/// A body that is at work as long as it is there.
struct Worked {
    body: Body,
    _work: Work,
}

impl HttpBody for Worked {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
