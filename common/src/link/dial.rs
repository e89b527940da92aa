//! Dialling: keeps a link to one peer up, for as long as the node runs.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand::RngExt;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as WsMessage;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use super::socket::{HELLO_TIMEOUT, encode, fresh_nonce, run};
use super::{Expected, Identity, Inbox, LinkEvent};
use crate::wire::{
    FRAME_BYTES_MAX, Greeting, Hello, PROTOCOL_VERSION, PeerId, Welcome, proof_holds, proof_of,
};

/// First and longest pause between attempts; each failure doubles the pause, and jitter takes up
/// to half of it away so that nodes do not knock in step. A node that comes back is linked within
/// the longest: knocking costs less than doing without it.
const BACKOFF_MIN: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_millis(250);

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
    Connect(#[source] tokio_tungstenite::tungstenite::Error),
    #[error("no answer to hello in time")]
    Timeout,
    #[error("not a vixen node, or it closed during hello")]
    Malformed,
    #[error("refused: {0}")]
    Refused(crate::wire::Refusal),
    #[error("the peer's proof of the cluster secret is wrong; check cluster.secret on both nodes")]
    Proof,
    #[error("{found} answers where {expected} was expected; check the addresses")]
    Stranger { expected: Expected, found: PeerId },
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Dials `target` again and again, feeding `inbox`, until the node drops its inbox. Run it as a
/// task of its own.
pub async fn dial<E>(identity: Identity, target: DialTarget, inbox: Inbox<E>)
where
    E: From<LinkEvent> + Send + 'static,
{
    let mut pause = BACKOFF_MIN;
    let mut said = String::new();
    while !inbox.is_closed() {
        match connect(&identity, &target).await {
            Ok((peer, socket)) => {
                tracing::info!(peer = %target.expected, address = target.address, "link up");
                pause = BACKOFF_MIN;
                said.clear();
                carry(&identity, &inbox, peer, socket).await;
            }
            Err(error) => {
                metrics::counter!("vixen_common_dials_failed_total").increment(1);
                let text = error.to_string();
                // The same failure again and again is one line in the log.
                if text != said {
                    tracing::warn!(
                        peer = %target.expected, address = target.address, reason = text,
                        "dial failed, trying on"
                    );
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

async fn connect(identity: &Identity, target: &DialTarget) -> Result<(PeerId, Socket), DialError> {
    let url = format!("ws://{}/link", target.address);
    let config = WebSocketConfig::default()
        .max_message_size(Some(FRAME_BYTES_MAX))
        .max_frame_size(Some(FRAME_BYTES_MAX));
    let attempt = async {
        let (mut socket, _response) =
            connect_async_with_config(url, Some(config), true).await.map_err(DialError::Connect)?;
        let peer = greet(identity, target, &mut socket).await?;
        Ok((peer, socket))
    };
    tokio::time::timeout(HELLO_TIMEOUT, attempt).await.map_err(|_elapsed| DialError::Timeout)?
}

/// Says HELLO as the dialler.
async fn greet(
    identity: &Identity,
    target: &DialTarget,
    socket: &mut Socket,
) -> Result<PeerId, DialError> {
    let greeting: Greeting = receive(socket).await?;
    let nonce = fresh_nonce();
    let proof = proof_of(
        &identity.secret,
        true,
        &identity.cluster,
        &identity.peer,
        &greeting.nonce,
        &nonce,
    );
    let hello = Hello {
        version: PROTOCOL_VERSION,
        cluster: identity.cluster.to_string(),
        peer: identity.peer,
        nonce,
        proof,
    };
    let word = WsMessage::Binary(encode(&hello));
    socket.send(word).await.map_err(|_closed| DialError::Malformed)?;
    let (peer, proof) = match receive(socket).await? {
        Welcome::Accepted { peer, proof } => (peer, proof),
        Welcome::Refused { reason } => return Err(DialError::Refused(reason)),
    };
    let nonces = (&greeting.nonce, &nonce);
    if !proof_holds(&identity.secret, false, &identity.cluster, &peer, nonces, &proof) {
        return Err(DialError::Proof);
    }
    if !target.expected.is(&peer) {
        return Err(DialError::Stranger { expected: target.expected, found: peer });
    }
    Ok(peer)
}

async fn receive<T: serde::de::DeserializeOwned>(socket: &mut Socket) -> Result<T, DialError> {
    let Some(Ok(WsMessage::Binary(word))) = socket.next().await else {
        return Err(DialError::Malformed);
    };
    postcard::from_bytes(&word).map_err(|_malformed| DialError::Malformed)
}

async fn carry<E>(identity: &Identity, inbox: &Inbox<E>, peer: PeerId, socket: Socket)
where
    E: From<LinkEvent> + Send + 'static,
{
    let (sink, stream) = socket.split();
    let sink = Box::pin(
        sink.sink_map_err(|e| e.to_string())
            .with(|frame| std::future::ready(Ok::<_, String>(WsMessage::Binary(frame)))),
    );
    let stream = Box::pin(stream.filter_map(|message| {
        std::future::ready(match message {
            Ok(WsMessage::Binary(frame)) => Some(Ok(frame)),
            Ok(WsMessage::Close(_)) => Some(Err("closed by the peer".to_owned())),
            Ok(WsMessage::Text(_)) => Some(Err("the peer sent text".to_owned())),
            Ok(WsMessage::Ping(_) | WsMessage::Pong(_) | WsMessage::Frame(_)) => None,
            Err(error) => Some(Err(error.to_string())),
        })
    }));
    run(identity, inbox, peer, sink, stream).await;
}
