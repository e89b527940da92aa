//! Dialling: keeps a link to one peer up, for as long as the node runs.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message as WsMessage};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use vixen_core::name::NodeName;
use vixen_core::wire::{
    Assent, Exchange, FRAME_BYTES_MAX, Greeting, Hello, Party, PeerId, Refusal, SPOKEN, Spoken,
    Terms, Welcome, agree, offers, proof_holds, proof_of,
};

use super::socket::{Far, HELLO_TIMEOUT, READ_BUFFER_BYTES, encode, end_of, fresh_nonce, run};
use super::{Expected, Identity, Inbox, LinkEvent};
use crate::tls::{Stream, Tls};

/// First and longest pause between attempts; each failure doubles the pause, and jitter takes up
/// to half of it away so that nodes do not knock in step. A node that comes back is linked within
/// the longest: knocking costs less than doing without it.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(250);
/// A link that has stood for so long was one: what ends sooner is a failure like any other.
const STANDS_AFTER: Duration = Duration::from_secs(1);

/// Where to dial and whom to expect there.
#[derive(Clone, Debug)]
pub struct DialTarget {
    /// `host:port`.
    pub address: String,
    /// The node that must answer.
    pub expected: Expected,
}

#[derive(Debug, thiserror::Error)]
enum DialError {
    #[error("cannot connect: {0}")]
    Connect(#[source] std::io::Error),
    #[error("{0} cannot be the name in a certificate; write the peer's address with one that can")]
    Name(String),
    #[error("no TLS: {0}; check [cluster-tls] on both nodes, and the peer's certificate")]
    Tls(#[source] std::io::Error),
    #[error("no WebSocket: {0}")]
    WebSocket(#[source] WsError),
    /// In a word of HTTP instead.
    #[error("the peer answers: {0}")]
    Answer(String),
    #[error("no answer to hello in time")]
    Timeout,
    #[error("not a vixen node, or it closed during hello")]
    Malformed,
    #[error("refused: {0}")]
    Refused(Refusal),
    #[error(
        "the peer's proof of the cluster secret is wrong; check cluster.secret, or that of the outer \
         tier, on both nodes"
    )]
    Proof,
    /// In this node's view.
    #[error("{0}")]
    Disagreed(Refusal),
    #[error("{found} answers where {expected} was expected; check the addresses")]
    Stranger { expected: NodeName, found: NodeName },
}

impl DialError {
    /// Whether somebody answers there, and the two cannot agree.
    const fn is_refusal(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout | Self::WebSocket(_) => false,
            Self::Name(_)
            | Self::Tls(_)
            | Self::Answer(_)
            | Self::Malformed
            | Self::Refused(_)
            | Self::Proof
            | Self::Disagreed(_)
            | Self::Stranger { .. } => true,
        }
    }
}

type Socket = WebSocketStream<Stream>;

/// What its node wants of a dialler.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialling {
    /// It is to keep a link up.
    On,
    /// It is to make no new link: there is one already, which the other has dialled.
    Paused,
}

/// Dials `target` again and again, feeding `inbox`, until the node drops its inbox. Run it as a
/// task of its own.
pub async fn dial<E>(identity: Identity, target: DialTarget, inbox: Inbox<E>)
where
    E: From<LinkEvent> + Send + 'static,
{
    let (_forever, wish) = watch::channel(Dialling::On);
    dial_while(identity, target, wish, inbox).await;
}

/// The same while `wish` says so, and until its sender is dropped. Neither ends a link that is up: that is for its
/// node to close.
pub async fn dial_while<E>(
    identity: Identity,
    target: DialTarget,
    mut wish: watch::Receiver<Dialling>,
    inbox: Inbox<E>,
) where
    E: From<LinkEvent> + Send + 'static,
{
    let mut pause = BACKOFF_MIN;
    let mut said = String::new();
    let name = target.expected.name(&identity.roster);
    loop {
        match wanted(&mut wish, &inbox).await {
            Wanted::Still => {}
            // It was linked meanwhile: what was so before is no more, or is news again.
            Wanted::Again => {
                pause = BACKOFF_MIN;
                said.clear();
            }
            Wanted::NoMore => return,
        }
        match connect(&identity, &target).await {
            Ok((peer, spoken, socket)) => {
                tracing::info!(peer = %name, address = target.address, "link up");
                said.clear();
                let far = Far { peer, name: name.clone(), is_dialled: true, spoken };
                let begun = Instant::now();
                carry(&identity, &inbox, far, socket).await;
                if begun.elapsed() >= STANDS_AFTER {
                    pause = BACKOFF_MIN;
                }
            }
            Err(error) => {
                metrics::counter!("vixen_common_dials_failed_total").increment(1);
                let text = error.to_string();
                // The same failure again and again is one line in the log.
                if text != said {
                    tracing::warn!(
                        peer = %name, address = target.address, reason = text,
                        "dial failed, trying on"
                    );
                    let refusal = error.is_refusal().then(|| text.clone());
                    let failed = LinkEvent::Failed { name: name.clone(), refusal };
                    let _node_is_stopping = inbox.send(failed.into()).await;
                    said = text;
                }
            }
        }
        let jitter = rand::rng().random_range(0.5..=1.0);
        tokio::select! {
            () = tokio::time::sleep(pause.mul_f64(jitter)) => {}
            () = inbox.closed() => {}
        }
        pause = (pause * 2).min(BACKOFF_MAX);
    }
}

/// Whether a link is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wanted {
    /// It was all the time.
    Still,
    /// It was not for a while.
    Again,
    /// None will be.
    NoMore,
}

/// Waits until a link is wanted.
async fn wanted<E>(wish: &mut watch::Receiver<Dialling>, inbox: &Inbox<E>) -> Wanted {
    let mut wanted = Wanted::Still;
    // A last wish holds no longer than who had it.
    while !inbox.is_closed() && wish.has_changed().is_ok() {
        if *wish.borrow_and_update() == Dialling::On {
            return wanted;
        }
        wanted = Wanted::Again;
        tokio::select! {
            _or_dropped = wish.changed() => {}
            () = inbox.closed() => {}
        }
    }
    Wanted::NoMore
}

async fn connect(
    identity: &Identity,
    target: &DialTarget,
) -> Result<(PeerId, Spoken, Socket), DialError> {
    // The scheme is for show: what carries the WebSocket is opened below.
    let scheme = if identity.tls.is_some() { "wss" } else { "ws" };
    let url = format!("{scheme}://{}/link", target.address);
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let attempt = async {
        let stream = open(&target.address, identity.tls.as_deref()).await?;
        let upgrade = Box::pin(client_async_with_config(url, stream, Some(config)));
        let (mut socket, _response) = upgrade.await.map_err(no_websocket)?;
        let (peer, spoken) = greet(identity, target, &mut socket).await?;
        Ok((peer, spoken, socket))
    };
    tokio::time::timeout(HELLO_TIMEOUT, attempt).await.map_err(|_elapsed| DialError::Timeout)?
}

/// Connects, and with `tls` makes sure that the certificate there is for the host of `address`.
async fn open(address: &str, tls: Option<&Tls>) -> Result<Stream, DialError> {
    let stream = TcpStream::connect(address).await.map_err(DialError::Connect)?;
    // Links must not wait for Nagle's timer.
    stream.set_nodelay(true).map_err(DialError::Connect)?;
    let Some(tls) = tls else { return Ok(Stream::Plain(stream)) };
    let host = address.rsplit_once(':').map_or(address, |(host, _port)| host);
    // An IPv6 address has brackets around it.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_invalid| DialError::Name(host.to_owned()))?;
    let stream = tls.connector().connect(name, stream).await.map_err(DialError::Tls)?;
    Ok(Stream::Tls(Box::new(stream.into())))
}

/// A peer that answers in HTTP says why.
fn no_websocket(error: WsError) -> DialError {
    match error {
        WsError::Http(response) => {
            let body = response.body().as_deref().unwrap_or_default();
            let text = String::from_utf8_lossy(body);
            DialError::Answer(format!("{} {}", response.status(), text.trim_end()))
        }
        // With TLS 1.3 a dialler learns only here that its certificate was refused.
        WsError::Io(error) if error.get_ref().is_some() => DialError::Tls(error),
        other => DialError::WebSocket(other),
    }
}

/// Says HELLO as the dialler.
async fn greet(
    identity: &Identity,
    target: &DialTarget,
    socket: &mut Socket,
) -> Result<(PeerId, Spoken), DialError> {
    let greeting: Greeting = receive(socket).await?;
    let nonce = fresh_nonce();
    let speaker = (&identity.peer, &identity.name);
    let secret = identity.secrets.with(target.expected.tier()).ok_or(DialError::Proof)?;
    let offered = greeting.versions();
    let common = SPOKEN.common(offered);
    let tiers = (identity.peer.tier(), target.expected.tier());
    let own_offers = offers(tiers.0, tiers.1);
    let exchange = Exchange {
        cluster: &identity.cluster,
        offered,
        version: common.unwrap_or(SPOKEN.newest),
        listener_nonce: &greeting.nonce,
        dialer_nonce: &nonce,
        dialer_offers: &own_offers,
        listener_offers: &[],
    };
    let proof = proof_of(secret, true, &exchange, speaker);
    let hello = Hello {
        version: exchange.version,
        cluster: identity.cluster.to_string(),
        peer: identity.peer,
        name: identity.name.clone(),
        nonce,
        proof,
        offers: own_offers.clone(),
    };
    let word = WsMessage::Binary(encode(&hello));
    socket.send(word).await.map_err(|_closed| DialError::Malformed)?;
    // A listener that speaks other versions may not be understood.
    if common.is_none() {
        let (ours, theirs) = (greeting.newest, SPOKEN.newest);
        return Err(DialError::Refused(Refusal::Version { ours, theirs }));
    }
    let (peer, name, proof, terms, offers) = match receive(socket).await? {
        Welcome::Accepted { peer, name, proof, terms, offers } => {
            (peer, name, proof, terms, offers)
        }
        Welcome::Refused { reason } => return Err(DialError::Refused(reason)),
    };
    let exchange = Exchange { listener_offers: &offers, ..exchange };
    if !proof_holds(secret, false, &exchange, (&peer, &name), &proof) {
        return Err(DialError::Proof);
    }
    if !target.expected.is(&peer, &name) {
        let expected = target.expected.name(&identity.roster);
        return Err(DialError::Stranger { expected, found: name });
    }
    let agreed = agree((tiers.0, &own_offers), (tiers.1, &offers))
        .map_err(|without| DialError::Disagreed(without.into()))?;
    // The listener has checked this node's name, and this one checks the listener's.
    let certified = socket.get_ref().certified_names();
    certified.check(&identity.cluster, &peer, &name).map_err(DialError::Disagreed)?;
    identity.roster.check(&identity.name, &peer, &name).map_err(DialError::Disagreed)?;
    identity.check_owner(&peer, &name).map_err(DialError::Disagreed)?;
    compare_terms(identity, (&peer, &name, &terms), socket).await?;
    Ok((peer, Spoken::of(&agreed)))
}

/// Says whether this node has the same terms as the listener.
async fn compare_terms(
    identity: &Identity,
    (peer, name, terms): (&PeerId, &NodeName, &Terms),
    socket: &mut Socket,
) -> Result<(), DialError> {
    let own = Party { tier: identity.peer.tier(), terms: &identity.terms };
    let differences = Terms::differences(own, Party { tier: peer.tier(), terms });
    let (dialler, listener) = (identity.name.clone(), name.clone());
    let refusal =
        (!differences.is_empty()).then_some(Refusal::Terms { dialler, listener, differences });
    let assent = match refusal.clone() {
        None => Assent::Agreed,
        Some(reason) => Assent::Differs { reason },
    };
    let sent = socket.send(WsMessage::Binary(encode(&assent))).await;
    match refusal {
        None => sent.map_err(|_closed| DialError::Malformed),
        Some(refusal) => Err(DialError::Disagreed(refusal)),
    }
}

async fn receive<T: serde::de::DeserializeOwned>(socket: &mut Socket) -> Result<T, DialError> {
    let Some(Ok(WsMessage::Binary(word))) = socket.next().await else {
        return Err(DialError::Malformed);
    };
    postcard::from_bytes(&word).map_err(|_malformed| DialError::Malformed)
}

async fn carry<E>(identity: &Identity, inbox: &Inbox<E>, far: Far, socket: Socket)
where
    E: From<LinkEvent> + Send + 'static,
{
    let (sink, stream) = socket.split();
    let sink = Box::pin(
        sink.sink_map_err(|error| end_of(&error))
            .with(|frame| std::future::ready(Ok::<_, String>(WsMessage::Binary(frame)))),
    );
    let stream = Box::pin(stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(WsMessage::Binary(frame)) => Some(Ok(frame)),
            Ok(WsMessage::Close(_)) => Some(Err("closed by the peer".to_owned())),
            Ok(WsMessage::Text(_)) => Some(Err("the peer sent text".to_owned())),
            Ok(WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_)) => None,
            Err(error) => Some(Err(end_of(&error))),
        })
    }));
    run(identity, inbox, far, sink, stream).await;
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use vixen_core::id::SyncId;
    use vixen_core::wire::Versions;

    use super::*;
    use crate::ids::new_owner_id;
    use crate::tls::tests::authority::{Authority, Folder};
    use crate::tls::tests::links::{identity, open_node};

    #[tokio::test]
    async fn a_dialler_with_tls_says_why_there_is_no_link() {
        let (ca, other) = (Authority::new("good"), Authority::new("other"));
        let tls = |by: &Authority, host| Some(Folder::new(&by.issue(host), Some(by)).load());
        let good = tls(&ca, "127.0.0.1");
        let elsewhere = tls(&ca, "other.example");
        let foreign = tls(&other, "127.0.0.1");
        let cases: [(_, _, _, &[&str]); 5] = [
            ("the wrong host", &elsewhere, &good, &["no TLS: ", "127.0.0.1"]),
            ("another authority there", &foreign, &good, &["no TLS: ", "UnknownIssuer"]),
            ("TLS there alone", &good, &None, &["the peer answers: 400", "wss://"]),
            ("TLS here alone", &None, &good, &["no TLS: ", "[cluster-tls] on both nodes"]),
            ("a good pair", &good, &good, &["linked"]),
        ];
        for (name, there, here, words) in cases {
            let (address, _events) = open_node(there.clone()).await;
            let identity = identity(PeerId::Entry { owner: new_owner_id() }, here.clone());
            let expected = Expected::Sync(SyncId(0));
            let target = DialTarget { address: address.to_string(), expected };
            let said = match connect(&identity, &target).await {
                Ok(_link) => "linked".to_owned(),
                Err(error) => error.to_string(),
            };
            for word in words {
                assert!(said.contains(word), "{name}: no {word:?} in: {said}");
            }
        }
    }

    #[tokio::test]
    async fn a_dialler_makes_no_link_while_it_is_paused_and_none_when_it_is_dismissed() {
        let (address, mut there) = open_node(None).await;
        let expected = Expected::Sync(SyncId(0));
        let target = DialTarget { address: address.to_string(), expected };
        let (wish, wished) = watch::channel(Dialling::Paused);
        let (inbox, mut events) = mpsc::channel::<LinkEvent>(16);
        let identity = identity(PeerId::Entry { owner: new_owner_id() }, None);
        let dialler = tokio::spawn(dial_while(identity, target, wished, inbox));
        for _turn in 0..50 {
            tokio::task::yield_now().await;
        }
        assert!(events.try_recv().is_err() && there.try_recv().is_err());
        wish.send_replace(Dialling::On);
        let up = tokio::time::timeout(HELLO_TIMEOUT, events.recv()).await.expect("in time");
        let Some(LinkEvent::Up { sender, is_dialled: true, .. }) = up else { panic!("{up:?}") };
        drop(wish);
        sender.close("not wanted any more");
        tokio::time::timeout(HELLO_TIMEOUT, dialler).await.expect("in time").expect("it ends");
    }

    /// It has been linked meanwhile, and its node has forgotten why it was not.
    #[tokio::test]
    async fn a_dialler_that_was_paused_says_anew_why_there_is_no_link() {
        // Bound, so that nobody else gets it, and not listened at.
        let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
        nobody.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = nobody.local_addr().expect("bound").to_string();
        let target = DialTarget { address, expected: Expected::Sync(SyncId(0)) };
        let (wish, wished) = watch::channel(Dialling::On);
        let (inbox, mut events) = mpsc::channel::<LinkEvent>(16);
        let identity = identity(PeerId::Entry { owner: new_owner_id() }, None);
        let dialler = tokio::spawn(dial_while(identity, target, wished, inbox));
        for _time in 0..2 {
            let failed = tokio::time::timeout(HELLO_TIMEOUT, events.recv()).await.expect("in time");
            assert!(matches!(failed, Some(LinkEvent::Failed { .. })), "{failed:?}");
            wish.send_replace(Dialling::Paused);
            // Longer than any pause between attempts: it has seen it.
            tokio::time::sleep(2 * BACKOFF_MAX).await;
            assert!(events.try_recv().is_err(), "the same is said once");
            wish.send_replace(Dialling::On);
        }
        drop(wish);
        tokio::time::timeout(HELLO_TIMEOUT, dialler).await.expect("in time").expect("it ends");
    }

    /// A listener of another version, played: what the dialler says to it, and what it makes of it.
    async fn dial_one_that_speaks(offered: Versions) -> (u16, DialError) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let heard = tokio::spawn(async move {
            let (stream, _from) = listener.accept().await.expect("dialled");
            let mut socket = tokio_tungstenite::accept_async(stream).await.expect("a WebSocket");
            let greeting = Greeting::new(offered, [7; 32]);
            socket.send(WsMessage::Binary(encode(&greeting))).await.expect("sent");
            let Some(Ok(WsMessage::Binary(hello))) = socket.next().await else { panic!("HELLO") };
            let hello: Hello =
                postcard::from_bytes(&hello).expect("of a version that is read here");
            let refused = Welcome::Refused { reason: Refusal::Cluster };
            // One that has gone already needs no answer.
            let _gone = socket.send(WsMessage::Binary(encode(&refused))).await;
            hello.version
        });
        let identity = identity(PeerId::Entry { owner: new_owner_id() }, None);
        let target = DialTarget { address, expected: Expected::Sync(SyncId(0)) };
        let Err(error) = connect(&identity, &target).await else { panic!("linked") };
        (heard.await.expect("played to its end"), error)
    }

    /// The nodes of a cluster are updated one after the other, so versions that follow each other link.
    #[tokio::test]
    async fn a_listener_that_speaks_a_newer_version_too_is_spoken_to_in_the_common_one() {
        let next = Versions { newest: SPOKEN.newest + 1, oldest: SPOKEN.newest };
        let (version, error) = dial_one_that_speaks(next).await;
        assert_eq!(version, SPOKEN.newest);
        assert!(matches!(error, DialError::Refused(Refusal::Cluster)), "it was answered: {error}");
        let later = Versions { newest: SPOKEN.newest + 2, oldest: SPOKEN.newest + 1 };
        let (version, error) = dial_one_that_speaks(later).await;
        assert_eq!(version, SPOKEN.newest);
        let text = error.to_string();
        assert!(text.contains("or two that follow each other"), "{text}");
    }

    #[tokio::test]
    async fn a_host_that_no_certificate_can_name_is_said_so() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let ca = Authority::new("good");
        let tls = Folder::new(&ca.issue("127.0.0.1"), Some(&ca)).load();
        // The resolver takes what RFC 1123 does not allow in a name.
        let error = open(&format!("127.1:{port}"), Some(&tls)).await.expect_err("no name");
        assert!(error.to_string().starts_with("127.1 cannot be the name"), "{error}");
    }
}
