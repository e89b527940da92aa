//! Links over WebSocket (RFC 6455): binary messages, each the head of a frame or a body of one.

use std::io::ErrorKind;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::extract::ws::{Message as WsMessage, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use metrics::Counter;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::error::ProtocolError;

use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::{
    Assent, Exchange, FRAME_BYTES_MAX, FRAME_MESSAGES_MAX, FrameReader, FrameWriter, Greeting,
    Hello, Message, Misconduct, NodeMessage, PeerId, Refusal, SPOKEN, Spoken, Welcome, agree,
    judge, offers, proof_holds, proof_of,
};

use super::misconduct;
use super::queue::{LinkReceiver, queue};
use super::unproven::{Unproven, UnprovenPlace};
use super::{Identity, Inbox, LinkEvent, LinkId, RefusalLog};
use crate::server::Meter;
use crate::tls::{CertifiedNames, ClientAddress};

/// One read of a socket. The library zeroes as much before each read, and votes are small: with its 128 KiB
/// that was a fifth of what a sync node computed at one message at a time.
pub(super) const READ_BUFFER_BYTES: usize = 16 << 10;

/// Messages are put in one frame until it holds this much.
const FRAME_BYTES_GOAL: usize = 256 << 10;
/// The length of its body, its dialect, its number.
const MESSAGE_BYTES_MIN: usize = 3;
const _: () =
    assert!(FRAME_BYTES_GOAL / MESSAGE_BYTES_MIN < FRAME_MESSAGES_MAX, "a peer takes what is sent");

/// A frame before the proof: a HELLO has some 300 bytes, with the longest names.
const HELLO_BYTES_MAX: usize = 1 << 10;
/// Time for each step of the HELLO.
pub(super) const HELLO_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(5);
/// Time for a peer that is refused to take the reason.
const LAST_WORD_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(1);

/// Routes `/link`: accepts links of other nodes into `inbox`.
pub fn link_router<E>(identity: Identity, inbox: Inbox<E>) -> Router
where
    E: From<LinkEvent> + Send + 'static,
{
    let (refusals, unproven) = (RefusalLog::default(), Unproven::default());
    let state = Arc::new(Listener { identity, inbox, refusals, unproven });
    Router::new().route("/link", get(accept::<E>)).with_state(state)
}

/// The accepting side of a node.
struct Listener<E> {
    identity: Identity,
    inbox: Inbox<E>,
    refusals: RefusalLog,
    unproven: Unproven,
}

async fn accept<E>(
    State(state): State<Arc<Listener<E>>>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    Extension(certified): Extension<CertifiedNames>,
    Extension(meter): Extension<Meter>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response
where
    E: From<LinkEvent> + Send + 'static,
{
    // Nodes send none, and browsers do with every WebSocket.
    if headers.contains_key(header::ORIGIN) {
        state.refusals.refused(client.ip, None, "a web page asks");
        return (StatusCode::FORBIDDEN, "links are for nodes, not for web pages\n").into_response();
    }
    let place = state.unproven.take(client.ip);
    meter.allow(HELLO_BYTES_MAX);
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .max_message_size(FRAME_BYTES_MAX)
        .max_frame_size(FRAME_BYTES_MAX)
        .on_upgrade(move |socket| async move {
            serve(&state, client.ip, certified, (socket, meter, place)).await;
        })
}

async fn serve<E>(
    listener: &Listener<E>,
    from: IpAddr,
    certified: CertifiedNames,
    (mut socket, meter, place): (WebSocket, Meter, UnprovenPlace),
) where
    E: From<LinkEvent> + Send + 'static,
{
    let Listener { identity, inbox, refusals, .. } = listener;
    let greeting = async {
        tokio::select! {
            greeted = greet((identity, &certified), &mut socket) => Some(greeted),
            _too_large = meter.over() => Some(Err((Refusal::Malformed, None))),
            () = place.lost() => None,
        }
    };
    let greeted = tokio::time::timeout(HELLO_TIMEOUT, greeting).await;
    let (peer, name, spoken) = match greeted.map(Option::transpose) {
        Ok(Ok(Some(peer))) => peer,
        Ok(Ok(None)) => {
            refusals.refused(from, None, "too many links without a proof: this one was the oldest");
            return;
        }
        Ok(Err((refusal, name))) => {
            refusals.refused(from, name.as_ref(), &refusal.to_string());
            let refused = Welcome::Refused { reason: refusal };
            let _gone = socket.send(WsMessage::Binary(encode(&refused))).await;
            let _gone = socket.close().await;
            return;
        }
        Err(_elapsed) => {
            refusals.refused(from, None, "no hello in time");
            return;
        }
    };
    // The terms may be longer than all before.
    meter.trust();
    drop(place);
    if let Err(refusal) = take_assent(&mut socket).await {
        refusals.refused(from, Some(&name), &refusal.to_string());
        return;
    }
    let (sink, stream) = socket.split();
    let sink = Box::pin(
        sink.sink_map_err(|error| end_of(&*error.into_inner()))
            .with(|frame: Bytes| std::future::ready(Ok::<_, String>(WsMessage::Binary(frame)))),
    );
    let stream = Box::pin(stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(WsMessage::Binary(frame)) => Some(Ok(frame)),
            Ok(WsMessage::Close(_)) => Some(Err("closed by the peer".to_owned())),
            Ok(WsMessage::Text(_)) => Some(Err("the peer sent text".to_owned())),
            Ok(WsMessage::Ping(_) | WsMessage::Pong(_)) => None,
            Err(error) => Some(Err(end_of(&*error.into_inner()))),
        })
    }));
    let far = Far { peer, name, is_dialled: false, spoken };
    run(identity, inbox, far, sink, stream).await;
}

/// Says HELLO as the listener.
async fn greet(
    (identity, certified): (&Identity, &CertifiedNames),
    socket: &mut WebSocket,
) -> Result<(PeerId, NodeName, Spoken), (Refusal, Option<NodeName>)> {
    let nonce = fresh_nonce();
    let greeting = Greeting::new(SPOKEN, nonce);
    let malformed = |_any| (Refusal::Malformed, None);
    socket.send(WsMessage::Binary(encode(&greeting))).await.map_err(malformed)?;
    let Some(Ok(WsMessage::Binary(frame))) = socket.recv().await else {
        return Err((Refusal::Malformed, None));
    };
    let hello = read_hello(&frame).map_err(|refusal| (refusal, None))?;
    let named = |refusal| (refusal, Some(hello.name.clone()));
    let exchange = Exchange {
        cluster: &hello.cluster,
        offered: SPOKEN,
        version: hello.version,
        listener_nonce: &nonce,
        dialer_nonce: &hello.nonce,
        dialer_offers: &hello.offers,
        listener_offers: &[],
    };
    let secret = check_hello(identity, &hello, &exchange).map_err(named)?;
    check_claims(identity, certified, &hello).map_err(named)?;
    let (own, peer) = (identity.peer.tier(), hello.peer.tier());
    let offers = offers(own, peer);
    let agreed = agree((own, &offers), (peer, &hello.offers));
    let spoken = Spoken::of(&agreed.map_err(|without| named(without.into()))?);
    let speaker = (&identity.peer, &identity.name);
    let exchange = Exchange { listener_offers: &offers, ..exchange };
    let proof = proof_of(secret, false, &exchange, speaker);
    let (name, terms) = (identity.name.clone(), identity.terms.clone());
    let welcome = Welcome::Accepted { peer: identity.peer, name, proof, terms, offers };
    socket.send(WsMessage::Binary(encode(&welcome))).await.map_err(malformed)?;
    Ok((hello.peer, hello.name, spoken))
}

/// Waits for the dialler's last word: whether it has the same terms.
async fn take_assent(socket: &mut WebSocket) -> Result<(), Refusal> {
    let heard = tokio::time::timeout(HELLO_TIMEOUT, socket.recv()).await;
    let Ok(Some(Ok(WsMessage::Binary(word)))) = heard else { return Err(Refusal::Malformed) };
    match postcard::from_bytes(&word).map_err(|_any| Refusal::Malformed)? {
        Assent::Agreed => Ok(()),
        Assent::Differs { reason } => Err(reason),
    }
}

/// Reads a HELLO of a version that is spoken here. What follows the version is for nobody else to read.
fn read_hello(frame: &[u8]) -> Result<Hello, Refusal> {
    let (theirs, _rest) =
        postcard::take_from_bytes::<u16>(frame).map_err(|_any| Refusal::Malformed)?;
    if !SPOKEN.has(theirs) {
        return Err(Refusal::Version { ours: SPOKEN.newest, theirs });
    }
    postcard::from_bytes(frame).map_err(|_any| Refusal::Malformed)
}

/// The secret that the dialler has proved to know.
fn check_hello<'a>(
    identity: &'a Identity,
    hello: &Hello,
    exchange: &Exchange<'_>,
) -> Result<&'a [u8], Refusal> {
    if hello.cluster != *identity.cluster {
        return Err(Refusal::Cluster);
    }
    // That of the tier that it says it is of: who lies has another.
    let secret = identity.secrets.with(hello.peer.tier()).ok_or(Refusal::Proof)?;
    if !proof_holds(secret, true, exchange, (&hello.peer, &hello.name), &hello.proof) {
        return Err(Refusal::Proof);
    }
    Ok(secret)
}

/// Whether the dialler, who has proved its tier, may be the node that it says it is.
fn check_claims(
    identity: &Identity,
    certified: &CertifiedNames,
    hello: &Hello,
) -> Result<(), Refusal> {
    certified.check(&identity.cluster, &hello.peer, &hello.name)?;
    identity.check_admission(&hello.peer, &hello.name)?;
    identity.check_owner(&hello.peer, &hello.name)
}

/// Why a link ended, in words. A process that ends, cleanly or not, leaves its connection: that is no
/// error of the protocol, whether reading or writing finds out first.
pub(super) fn end_of(error: &(dyn std::error::Error + 'static)) -> String {
    let is_left = match error.downcast_ref::<WsError>() {
        Some(
            WsError::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
            )
            | WsError::ConnectionClosed
            | WsError::AlreadyClosed,
        ) => true,
        // TLS that is not ended in its own way is an end of the file that nobody expects.
        Some(WsError::Io(error)) => matches!(
            error.kind(),
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
        ),
        Some(_) | None => false,
    };
    if is_left { "closed by the peer".to_owned() } else { error.to_string() }
}

/// Encodes a word of the HELLO; these have no failing encoding.
pub(super) fn encode<T: serde::Serialize>(word: &T) -> Bytes {
    postcard::to_stdvec(word).unwrap_or_default().into()
}

/// 32 bytes of the system's randomness.
pub(super) fn fresh_nonce() -> [u8; 32] {
    let mut nonce = [0; 32];
    if let Err(error) = getrandom::fill(&mut nonce) {
        // Without randomness no proof is worth anything: better no node than an open one.
        tracing::error!(%error, "the system gives no randomness");
        crate::telemetry::flush();
        std::process::abort();
    }
    nonce
}

/// The other end of a link.
pub(super) struct Far {
    pub(super) peer: PeerId,
    pub(super) name: NodeName,
    /// Whether this node has dialled it.
    pub(super) is_dialled: bool,
    /// What both speak.
    pub(super) spoken: Spoken,
}

/// Carries messages both ways until either side ends; reports `Up` and `Down`.
pub(super) async fn run<E>(
    identity: &Identity,
    inbox: &Inbox<E>,
    Far { peer, name, is_dialled, spoken }: Far,
    mut sink: impl Sink<Bytes, Error = String> + Unpin,
    stream: impl Stream<Item = Result<Bytes, String>> + Unpin,
) where
    E: From<LinkEvent> + Send + 'static,
{
    let link = LinkId::fresh();
    let (sender, receiver) = queue(identity.queue_bytes_max);
    let sender = sender.speaking(spoken);
    let up = LinkEvent::Up { link, peer, name: name.clone(), sender: sender.clone(), is_dialled };
    if inbox.send(up.into()).await.is_err() {
        return;
    }
    let is_within_frame = AtomicBool::new(false);
    let traffic = Traffic::to(peer.tier());
    let end = tokio::select! {
        reason = write(receiver, &mut sink, &is_within_frame, &traffic) => End::Gone(reason),
        end = read(link, (&identity.peer, peer), stream, inbox) => end,
    };
    let reason = match end {
        End::Gone(reason) => reason,
        End::Misconduct(misconduct) => {
            misconduct::tell(&misconduct, &name, peer.tier());
            let reason = format!("refused: {misconduct}");
            let mut word = FrameWriter::default();
            word.push(NodeMessage::LinkRefused { misconduct }.into());
            let mut parts = futures_util::stream::iter(word.take().map(Ok));
            // Whether the peer hears it is all the same to this node. One that waits for a body would take it
            // for that.
            if !is_within_frame.load(Ordering::Relaxed) {
                let said = sink.send_all(&mut parts);
                let _heard = tokio::time::timeout(LAST_WORD_TIMEOUT, said).await;
            }
            reason
        }
    };
    sender.close(&reason);
    let _node_is_stopping = inbox.send(LinkEvent::Down { link, peer, name, reason }.into()).await;
}

/// What a link sends, as it is counted.
struct Traffic {
    messages: Counter,
    frames: Counter,
    writes: Counter,
}

impl Traffic {
    /// To a peer of this tier.
    fn to(tier: Tier) -> Self {
        let to = tier.as_str();
        Self {
            messages: metrics::counter!("vixen_link_messages_sent_total", "to" => to),
            frames: metrics::counter!("vixen_link_frames_sent_total", "to" => to),
            writes: metrics::counter!("vixen_link_writes_total", "to" => to),
        }
    }
}

async fn write(
    mut receiver: LinkReceiver,
    sink: &mut (impl Sink<Bytes, Error = String> + Unpin),
    is_within_frame: &AtomicBool,
    traffic: &Traffic,
) -> String {
    let (mut messages, mut frame) = (Vec::new(), FrameWriter::default());
    loop {
        if let Err(reason) = receiver.receive(&mut messages).await {
            return reason;
        }
        traffic.messages.increment(messages.len() as u64);
        let mut taken = 0;
        let mut waiting = messages.drain(..).peekable();
        while let Some(message) = waiting.next() {
            taken += message.queued_bytes();
            frame.push(message);
            if frame.bytes() >= FRAME_BYTES_GOAL || waiting.peek().is_none() {
                traffic.frames.increment(1);
                let mut parts = frame.take().peekable();
                while let Some(part) = parts.next() {
                    if let Err(error) = sink.feed(part).await {
                        return error;
                    }
                    is_within_frame.store(parts.peek().is_some(), Ordering::Relaxed);
                }
                receiver.taken(std::mem::take(&mut taken));
            }
        }
        drop(waiting);
        traffic.writes.increment(1);
        if let Err(error) = sink.flush().await {
            return error;
        }
    }
}

/// How reading a link ended.
enum End {
    /// Nothing more comes, or can be read; why.
    Gone(String),
    /// The peer has said what is not its to say.
    Misconduct(Misconduct),
}

async fn read<E>(
    link: LinkId,
    (own, peer): (&PeerId, PeerId),
    mut stream: impl Stream<Item = Result<Bytes, String>> + Unpin,
    inbox: &mpsc::Sender<E>,
) -> End
where
    E: From<LinkEvent> + Send + 'static,
{
    let mut frames = FrameReader::default();
    loop {
        let part = match stream.next().await {
            Some(Ok(part)) => part,
            Some(Err(reason)) => return End::Gone(reason),
            None => return End::Gone("closed by the peer".to_owned()),
        };
        let messages = match frames.take(part) {
            Ok(Some(messages)) => messages,
            Ok(None) => continue,
            Err(error) => {
                metrics::counter!("vixen_common_frames_malformed_total").increment(1);
                return End::Gone(error.to_string());
            }
        };
        for message in &messages {
            if let Message::Node(NodeMessage::LinkRefused { misconduct }) = message {
                return End::Gone(format!("refused by the peer: {misconduct}"));
            }
            if let Err(misconduct) = judge(own, &peer, message) {
                return End::Misconduct(misconduct);
            }
        }
        if messages.is_empty() {
            continue;
        }
        if inbox.send(LinkEvent::Messages { link, peer, messages }.into()).await.is_err() {
            return End::Gone("the node is stopping".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who writes to a process that was killed meets a broken pipe, where reading would have met the end.
    #[test]
    fn a_peer_that_is_gone_has_closed_the_link_however_that_is_noticed() {
        for kind in [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe, ErrorKind::UnexpectedEof] {
            assert_eq!(end_of(&WsError::Io(kind.into())), "closed by the peer", "{kind}");
        }
        let closed = [ProtocolError::ResetWithoutClosingHandshake, ProtocolError::SendAfterClosing];
        for error in closed {
            assert_eq!(end_of(&WsError::Protocol(error)), "closed by the peer");
        }
        let error = WsError::Io(ErrorKind::TimedOut.into());
        assert_eq!(end_of(&error), error.to_string());
    }
}
