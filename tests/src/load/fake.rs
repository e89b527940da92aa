//! A broker in memory that keeps every promise, or breaks exactly one.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

/// The promise to break, at one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// None.
    None,
    /// The subscriber that came first does not get this position.
    Lose(u64),
    /// It gets this position after the next one.
    Delay(u64),
    /// It gets this position twice.
    Repeat(u64),
    /// This position's publisher is told the next one.
    Misplace(u64),
    /// The payload of this position is changed.
    Damage(u64),
    /// Publishes from this position on get no answer.
    FallSilent(u64),
    /// Every publish is refused.
    Refuse,
}

#[derive(Debug)]
struct Shared {
    fault: Fault,
    position: u64,
    subscribers: Vec<mpsc::UnboundedSender<String>>,
    held: Option<String>,
}

/// Serves sessions for as long as the runtime lives; the URL.
pub(super) async fn broker(fault: Fault) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("ws://{}/ws", listener.local_addr().expect("bound"));
    let shared = Shared { fault, position: 0, subscribers: Vec::new(), held: None };
    let shared = Arc::new(Mutex::new(shared));
    tokio::spawn(async move {
        while let Ok((stream, _peer)) = listener.accept().await {
            tokio::spawn(session(stream, Arc::clone(&shared)));
        }
    });
    url
}

#[expect(clippy::result_large_err, reason = "tungstenite's callback has this type")]
fn choose(
    _request: &Request,
    mut response: Response,
) -> Result<Response, tokio_tungstenite::tungstenite::handshake::server::ErrorResponse> {
    let protocol = "wamp.2.json".parse().expect("a header");
    response.headers_mut().insert("sec-websocket-protocol", protocol);
    Ok(response)
}

async fn session(stream: tokio::net::TcpStream, shared: Arc<Mutex<Shared>>) {
    let Ok(socket) = accept_hdr_async(stream, choose).await else { return };
    let (mut sink, mut source) = socket.split();
    let (send, mut queue) = mpsc::unbounded_channel::<String>();
    tokio::spawn(async move {
        while let Some(text) = queue.recv().await {
            if sink.send(Message::text(text)).await.is_err() {
                return;
            }
        }
        let _gone = sink.close().await;
    });
    while let Some(Ok(message)) = source.next().await {
        let Message::Text(text) = message else { break };
        let message: Value = serde_json::from_str(&text).expect("JSON from the client");
        let mut shared = shared.lock().expect("no panic");
        match message[0].as_u64() {
            Some(1) => drop(send.send(json!([2, 77, { "roles": {} }]).to_string())),
            Some(6) => drop(send.send(json!([6, {}, "wamp.close.goodbye_and_out"]).to_string())),
            Some(32) => {
                shared.subscribers.push(send.clone());
                drop(send.send(json!([33, message[1], 5]).to_string()));
            }
            Some(16) => shared.publish(&message, &send),
            _other => break,
        }
    }
}

impl Shared {
    fn publish(&mut self, message: &Value, publisher: &mpsc::UnboundedSender<String>) {
        let request = &message[1];
        let answer = |text: Value| drop(publisher.send(text.to_string()));
        if self.fault == Fault::Refuse {
            return answer(json!([8, 16, request, {}, "wamp.error.invalid_uri"]));
        }
        self.position += 1;
        let position = self.position;
        if matches!(self.fault, Fault::FallSilent(from) if position >= from) {
            return;
        }
        let id = format!("2611210830l{position:012}");
        let mut args = message[4].to_string();
        if self.fault == Fault::Damage(position) {
            args.insert(args.len() - 3, 'y');
        }
        let event = format!(r#"[36,5,{position},{{"id":"{id}"}},{args}]"#);
        for (at, subscriber) in self.subscribers.iter().enumerate() {
            // The broken promise concerns the first subscriber only.
            let fault = if at == 0 { self.fault } else { Fault::None };
            let events: Vec<String> = match fault {
                Fault::Lose(lost) if lost == position => Vec::new(),
                Fault::Repeat(again) if again == position => vec![event.clone(), event.clone()],
                Fault::Delay(late) if late == position => {
                    self.held = Some(event.clone());
                    Vec::new()
                }
                _kept => std::iter::once(event.clone()).chain(self.held.take()).collect(),
            };
            events.into_iter().for_each(|event| drop(subscriber.send(event)));
        }
        if message[2]["acknowledge"] == json!(true) {
            let told = position + u64::from(self.fault == Fault::Misplace(position));
            answer(json!([17, request, told]));
        }
    }
}
