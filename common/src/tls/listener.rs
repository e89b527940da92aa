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

use axum::serve::Listener;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until, timeout};
use tokio_rustls::rustls;
use tokio_rustls::rustls::AlertDescription;

use super::metrics::{self, Failure};
use super::{Stream, Tls};

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

type Arrival = (Stream, ClientAddress);

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
    waiting: Option<(Arc<Tls>, TcpStream, IpAddr)>,
}

impl Port {
    pub(crate) fn new(tcp: TcpListener, tls: Option<Arc<Tls>>) -> Self {
        Self {
            tcp,
            tls,
            handshakes: JoinSet::new(),
            handshakes_max: HANDSHAKES_MAX,
            order: VecDeque::new(),
            waiting: None,
        }
    }

    fn begin_waiting(&mut self) {
        if self.handshakes.len() < self.handshakes_max
            && let Some((tls, stream, ip)) = self.waiting.take()
        {
            let task = self.handshakes.spawn(shake_hands(tls, stream, ip));
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
                // Axum's own: it logs what goes wrong and tries again.
                (stream, address) = Listener::accept(&mut self.tcp), if self.waiting.is_none() => {
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "no TCP_NODELAY");
                    }
                    let client = ClientAddress::plain(address.ip());
                    match &self.tls {
                        None => return (Stream::Plain(stream), client),
                        Some(tls) => self.waiting = Some((Arc::clone(tls), stream, client.ip)),
                    }
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
}

/// Makes a connection of TLS out of one of TCP, or counts why not.
async fn shake_hands(tls: Arc<Tls>, stream: TcpStream, ip: IpAddr) -> Option<Arrival> {
    let failure = match timeout(tls.handshake_timeout, try_handshake(&tls, stream, ip)).await {
        Ok(Ok(arrival)) => return Some(arrival),
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
) -> Result<Arrival, (Failure, io::Error)> {
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
        let mut port = Port { handshakes_max: 2, ..Port::new(tcp, Some(tls)) };
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
        let ((_stream, client), _honest) = tokio::join!(port.accept(), honest);
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
