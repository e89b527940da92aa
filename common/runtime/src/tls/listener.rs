//! The accepting end: connections of a port, past their handshake if it has TLS.
//!
//! A handshake is as slow as its client likes, so each is a task of its own, bounded in time. They
//! are bounded in number too: while as many as may be are under way, the oldest makes room once it
//! has taken longer than an honest one would. A crowd of honest clients, as after the loss of
//! another entry, is thereby served at the pace of the processor, in turn; one that only holds its
//! connections open delays others by no more than [`CROWDED_TIME`].

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::rustls;
use tokio_rustls::rustls::AlertDescription;

use super::metrics::{self, Failure};
use super::{Stream, Tls};
use crate::address::AddressBlock;
use crate::server::{AcceptErrors, Connections, Full, Place, Proxies};

/// Handshakes under way at a port: some ten kilobytes each.
const HANDSHAKES_MAX: usize = 2048;
/// While there are so many, one may take this long: some round trips around the world.
const CROWDED_TIME: Duration = Duration::from_secs(1);

/// The first byte of all that TLS clients begin with: a record of the handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;
/// What somebody gets who speaks HTTP to a port with TLS.
const HINT: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain; charset=utf-8\r\n\
                    content-length: 52\r\nconnection: close\r\n\r\n\
                    this port speaks TLS: use https:// or wss:// for it\n";
/// Of such a request so much is read at most, for the sake of the answer.
const REQUEST_BYTES_MAX: u64 = 64 << 10;

/// While there are no descriptors for those who come, so many idle connections are closed at a time.
const IDLE_CLOSED: usize = 16;
/// So long nobody is accepted after that, or while there was nobody idle.
const SCARCE_PAUSE: Duration = Duration::from_millis(20);
const EXHAUSTED_PAUSE: Duration = Duration::from_millis(500);

/// Who is at the other end of an accepted connection. Handlers of every port that
/// [`serve`](crate::server::serve) serves get it as
/// [`ConnectInfo`](axum::extract::ConnectInfo)`<ClientAddress>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress {
    /// Where it is; an IPv4 address is never dressed as an IPv6 one.
    pub ip: IpAddr,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// Whether it showed a certificate that `cluster-tls.ca-file` has issued.
    pub is_certified: bool,
}

impl ClientAddress {
    /// One without TLS.
    #[must_use]
    pub fn plain(ip: IpAddr) -> Self {
        Self { ip: ip.to_canonical(), is_tls: false, is_certified: false }
    }
}

/// A connection past its handshake, whose it is, and its place.
type Arrival = (Stream, ClientAddress, Arc<Place>);

/// A bound port. Dropping it ends the handshakes under way.
pub(crate) struct Port {
    tcp: TcpListener,
    tls: Option<Arc<Tls>>,
    handshakes: JoinSet<Option<Arrival>>,
    /// As many as may be under way.
    handshakes_max: usize,
    /// Begin and task of the handshakes, oldest first; some have ended.
    order: VecDeque<(Instant, AbortHandle)>,
    /// Accepted, and to be begun as soon as there is room.
    waiting: Option<(Arc<Tls>, TcpStream, IpAddr, Arc<Place>)>,
    connections: Arc<Connections>,
    proxies: Proxies,
    errors: AcceptErrors,
    /// Nobody is accepted before.
    accept_at: Option<Instant>,
}

impl Port {
    pub(crate) fn new(
        tcp: TcpListener,
        tls: Option<Arc<Tls>>,
        connections: Arc<Connections>,
        proxies: Proxies,
    ) -> Self {
        Self {
            tcp,
            tls,
            handshakes: JoinSet::new(),
            handshakes_max: HANDSHAKES_MAX,
            order: VecDeque::new(),
            waiting: None,
            connections,
            proxies,
            errors: AcceptErrors::default(),
            accept_at: None,
        }
    }

    fn begin_waiting(&mut self) {
        if self.handshakes.len() < self.handshakes_max
            && let Some((tls, stream, ip, place)) = self.waiting.take()
        {
            let task = self.handshakes.spawn(shake_hands(tls, stream, ip, place));
            self.order.push_back((Instant::now(), task));
        }
        // Behind an old one, many may have ended.
        if self.order.len() > 2 * self.handshakes_max {
            self.order.retain(|(_, task)| !task.is_finished());
        }
        while self.order.front().is_some_and(|(_, task)| task.is_finished()) {
            self.order.pop_front();
        }
    }

    /// When the oldest handshake makes room for the one that waits. `None`: none waits, or all
    /// have ended and only need to be joined.
    fn crowded_until(&self) -> Option<Instant> {
        self.waiting.as_ref()?;
        self.order.front().map(|(begin, _)| *begin + CROWDED_TIME)
    }

    fn drop_oldest(&mut self) {
        if let Some((_, task)) = self.order.pop_front() {
            task.abort();
            metrics::handshake_failed(Failure::Crowded);
            tracing::debug!("handshake given up for others");
        }
    }

    /// The next connection that is past its handshake. May be cancelled without loss.
    pub(crate) async fn accept(&mut self) -> Arrival {
        loop {
            self.begin_waiting();
            let crowded_until = self.crowded_until();
            let ended = tokio::select! {
                accepted = self.tcp.accept(), if self.waiting.is_none() && self.accept_at.is_none() => {
                    match accepted {
                        Ok((stream, address)) => {
                            if let Some(arrival) = self.admit(stream, address.ip()) {
                                return arrival;
                            }
                        }
                        Err(error) => self.on_error(&error),
                    }
                    continue;
                }
                () = sleep_until(self.accept_at.unwrap_or_else(Instant::now)),
                    if self.accept_at.is_some() =>
                {
                    self.accept_at = None;
                    continue;
                }
                Some(ended) = self.handshakes.join_next() => Some(ended),
                () = sleep_until(crowded_until.unwrap_or_else(Instant::now)),
                    if crowded_until.is_some() =>
                {
                    self.drop_oldest();
                    // Until it has ended it counts, and others would be dropped for it.
                    self.handshakes.join_next().await
                }
            };
            // Those that were dropped end with an error.
            if let Some(Ok(Some(arrival))) = ended {
                return arrival;
            }
        }
    }

    /// Gives a place to who has come, and begins the handshake if there is to be one.
    fn admit(&mut self, stream: TcpStream, ip: IpAddr) -> Option<Arrival> {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "no TCP_NODELAY");
        }
        let client = ClientAddress::plain(ip);
        // A proxy has the connections of all its clients.
        let is_counted = !self.proxies.is_trusted(client.ip);
        let place = match self.connections.take(AddressBlock::of(client.ip), is_counted) {
            Ok(place) => place,
            Err(full) => {
                tracing::debug!(ip = %client.ip, limit = full.key(), "connection refused");
                if self.tls.is_none() {
                    tell_full(&stream, full);
                }
                return None;
            }
        };
        match &self.tls {
            None => Some((Stream::Plain(stream), client, place)),
            Some(tls) => {
                self.waiting = Some((Arc::clone(tls), stream, client.ip, place));
                None
            }
        }
    }

    /// Nobody could be accepted. A client that went away before it was is none of ours; otherwise
    /// descriptors or memory are scarce, and idle connections go first.
    fn on_error(&mut self, error: &io::Error) {
        use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
        if matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset) {
            return;
        }
        let closed = self.connections.make_room(IDLE_CLOSED);
        self.errors.note(error, closed);
        let pause = if closed > 0 { SCARCE_PAUSE } else { EXHAUSTED_PAUSE };
        self.accept_at = Some(Instant::now() + pause);
    }
}

/// Says why, as far as that goes at once.
fn tell_full(stream: &TcpStream, full: Full) {
    let message = format!("as many connections are open as limits.{} allows", full.key());
    let body = format!(
        "{{\"title\":\"Too Many Requests\",\"status\":429,\"detail\":\"{message}\",\
         \"error\":\"vixen.error.too_many_connections\",\"message\":\"{message}\"}}\n"
    );
    let answer = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/problem+json\r\n\
         retry-after: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let _or_not = stream.try_write(answer.as_bytes());
}

/// Makes a connection of TLS out of one of TCP, or counts why not.
async fn shake_hands(
    tls: Arc<Tls>,
    stream: TcpStream,
    ip: IpAddr,
    place: Arc<Place>,
) -> Option<Arrival> {
    let failure = match timeout(tls.handshake_timeout, try_handshake(&tls, stream, ip)).await {
        Ok(Ok((stream, client))) => return Some((stream, client, place)),
        Ok(Err((failure, error))) => {
            tracing::debug!(%ip, reason = failure.as_str(), %error, "handshake failed");
            failure
        }
        Err(_elapsed) => {
            tracing::debug!(%ip, reason = Failure::Timeout.as_str(), "handshake failed");
            Failure::Timeout
        }
    };
    metrics::handshake_failed(failure);
    None
}

async fn try_handshake(
    tls: &Tls,
    stream: TcpStream,
    ip: IpAddr,
) -> Result<(Stream, ClientAddress), (Failure, io::Error)> {
    let mut first = [0];
    let seen = stream.peek(&mut first).await.map_err(|error| (Failure::Closed, error))?;
    if seen == 0 {
        return Err((Failure::Closed, io::ErrorKind::UnexpectedEof.into()));
    }
    if first[0] != HANDSHAKE_RECORD {
        // Whether the hint arrives is all the same to us.
        let _told = give_hint(stream).await;
        return Err((Failure::NotTls, io::ErrorKind::InvalidData.into()));
    }
    // The certificates of this very moment.
    let stream = tls.acceptor().accept(stream).await.map_err(|error| (reason_of(&error), error))?;
    let is_certified = stream.get_ref().1.peer_certificates().is_some();
    Ok((Stream::Tls(Box::new(stream.into())), ClientAddress { ip, is_tls: true, is_certified }))
}

/// Tells somebody without TLS what this port wants. The request is read up to its end, since
/// closing with bytes unread would reset the connection and take the answer with it.
async fn give_hint(mut stream: TcpStream) -> io::Result<()> {
    stream.write_all(HINT.as_bytes()).await?;
    stream.shutdown().await?;
    tokio::io::copy(&mut stream.take(REQUEST_BYTES_MAX), &mut tokio::io::sink()).await?;
    Ok(())
}

fn reason_of(error: &io::Error) -> Failure {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented) => {
            Failure::Certificate
        }
        Some(rustls::Error::AlertReceived(
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied,
        )) => Failure::Refused,
        Some(_other) => Failure::Protocol,
        None => Failure::Closed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::tests::authority::{Authority, Folder};
    use tokio_rustls::rustls::pki_types::ServerName;

    #[tokio::test]
    async fn a_crowd_of_idle_connections_makes_room_within_a_second_oldest_first() {
        let ca = Authority::new("good");
        let tls = Folder::new(&ca.issue("127.0.0.1"), None).load();
        let tcp = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = tcp.local_addr().expect("bound");
        let mut port = Port {
            handshakes_max: 2,
            ..Port::new(tcp, Some(tls), Connections::new(9, 9), Proxies::default())
        };
        let mut idle = Vec::new();
        for _ in 0..2 {
            idle.push(TcpStream::connect(address).await.expect("connected"));
        }
        let honest = async {
            let stream = TcpStream::connect(address).await.expect("connected");
            let name = ServerName::try_from("127.0.0.1").expect("a name");
            ca.client(None).connect(name, stream).await.expect("a handshake")
        };
        let begin = Instant::now();
        let ((_stream, client, _place), _honest) = tokio::join!(port.accept(), honest);
        assert!(client.is_tls);
        assert!(begin.elapsed() >= CROWDED_TIME, "one was given up before its time");
        let oldest = idle[0].read(&mut [0]).await.expect("an orderly end");
        assert_eq!(oldest, 0, "the oldest is closed");
        let other = idle[1].try_read(&mut [0]).expect_err("open");
        assert_eq!(other.kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn the_hint_says_its_own_length() {
        let (head, body) = HINT.split_once("\r\n\r\n").expect("a head");
        assert!(head.contains(&format!("content-length: {}\r\n", body.len())), "{HINT}");
    }
}
