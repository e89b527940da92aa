//! One row of the table: what is sent, and exactly what comes back.

use std::fmt::Write as _;
use std::net::SocketAddr;

use serde_json::Value;

use crate::peer::{CLOSE, FIN, Heard, Peer, frame, message_frame, raw_message_frame};

/// Every serializer, and a batched one.
pub(crate) const ALL: &[&str] =
    &["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor", "wamp.2.msgpack.batched"];
pub(crate) const JSON: &[&str] = &["wamp.2.json"];
pub(crate) const MSGPACK: &[&str] = &["wamp.2.msgpack"];
pub(crate) const CBOR: &[&str] = &["wamp.2.cbor"];

/// Publishes with this id, acknowledged, to see that the session goes on.
const PROBE: u64 = 4_503_599_627_370_496;

pub(crate) struct Row {
    pub(crate) group: &'static str,
    /// What it is, for people.
    pub(crate) name: String,
    pub(crate) on: On,
    pub(crate) sent: Sent,
    /// The client hangs up after it.
    pub(crate) hangs_up: bool,
    pub(crate) answer: Answer,
}

/// What the client has done before.
#[derive(Clone, Copy)]
pub(crate) enum On {
    /// Connected by TCP.
    Port,
    /// Spoken WebSocket with each of these subprotocols.
    Upgraded(&'static [&'static str]),
    /// Opened a session with each of these.
    Session(&'static [&'static str]),
}

pub(crate) enum Sent {
    /// These bytes.
    Bytes(Vec<u8>),
    /// WAMP messages, given as JSON, in the serializer of the connection, each in a frame.
    Messages(Vec<String>),
    /// One WAMP message of these bytes in a frame.
    Message(Vec<u8>),
}

/// What comes back, and what is counted.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) text: String,
    pub(crate) counted: Vec<String>,
}

/// After the last answer.
pub(crate) const GOES_ON: &str = "goes on";
/// Before answers that do not wait for each other.
pub(crate) const ANY_ORDER: &str = "in any order: ";

impl Answer {
    fn new(text: &str, counted: &[&str]) -> Self {
        let counted = counted.iter().map(|name| (*name).to_owned()).collect();
        Self { text: text.to_owned(), counted }
    }

    /// An HTTP answer of this server's own, then `after`.
    pub(crate) fn http(text: &str, after: &str) -> Self {
        let status = text.get(..3).expect("a status");
        Self::new(&format!("HTTP {text}, {after}"), &[&format!("http {status}")])
    }

    /// It is no HTTP that this server speaks; the answer says so, if there is one.
    pub(crate) fn no_http(status: Option<u16>) -> Self {
        let answer = status.map(|status| format!("HTTP {status}, ")).unwrap_or_default();
        Self::new(&(answer + "closes"), &["malformed"])
    }

    /// The connection is closed before there was a request.
    pub(crate) fn silent() -> Self {
        Self::new("closes", &["silent"])
    }

    /// The login is refused, and the session with it.
    pub(crate) fn login(text: &str, reason: &str) -> Self {
        Self::new(text, &[&format!("login {reason}"), "ended login_refused"])
    }

    /// An answer that nothing counts: it refuses nothing, or there is no request to count.
    pub(crate) fn uncounted(text: &str) -> Self {
        Self::new(text, &[])
    }

    /// The session is aborted for breaking the protocol.
    pub(crate) fn violation(reason: &str) -> Self {
        let counted = [&format!("violation {reason}"), "ended protocol_violation"];
        Self::new("ABORT wamp.error.protocol_violation, close 1002", &counted)
    }

    /// The session ends with these last words.
    pub(crate) fn ends(text: &str, reason: &str) -> Self {
        Self::new(text, &[&format!("ended {reason}")])
    }

    /// A PUBLISH is refused.
    pub(crate) fn unpublished(uri: &str, reason: &str) -> Self {
        Self::goes_on(&format!("ERROR {uri}"), &[&format!("publish {reason}")])
    }

    /// A PUBLISH that wants no answer is refused.
    pub(crate) fn dropped(reason: &str) -> Self {
        Self::goes_on("no answer", &[&format!("publish {reason}")])
    }

    /// A SUBSCRIBE or UNSUBSCRIBE is refused.
    pub(crate) fn error(uri: &str) -> Self {
        let reason = uri.rsplit('.').next().unwrap_or(uri);
        Self::unsubscribed(&format!("ERROR {uri}"), reason)
    }

    /// One SUBSCRIBE or UNSUBSCRIBE of what was sent is refused.
    pub(crate) fn unsubscribed(text: &str, reason: &str) -> Self {
        Self::goes_on(text, &[&format!("subscribe {reason}")])
    }

    /// A CALL gets this ERROR.
    pub(crate) fn uncalled(uri: &str, outcome: &str) -> Self {
        Self::goes_on(&format!("ERROR {uri}"), &[&format!("call {outcome}")])
    }

    /// A REGISTER gets this ERROR.
    pub(crate) fn unregistered(uri: &str, outcome: &str) -> Self {
        Self::goes_on(&format!("ERROR {uri}"), &[&format!("register {outcome}")])
    }

    /// It is no mistake after all.
    pub(crate) fn taken(text: &str) -> Self {
        Self::goes_on(text, &[])
    }

    /// How many answers come before the session goes on; `None` if it does not.
    fn messages(&self) -> Option<usize> {
        let before = self.text.strip_suffix(GOES_ON)?;
        Some(before.matches(", ").count() - usize::from(before.starts_with("no answer")))
    }

    /// The session goes on; it ends by the GOODBYE of the test.
    fn goes_on(text: &str, counted: &[&str]) -> Self {
        let counted: Vec<_> = counted.iter().copied().chain(["ended goodbye"]).collect();
        Self::new(&format!("{text}, {GOES_ON}"), &counted)
    }
}

impl Row {
    pub(crate) fn new(name: &str, on: On, sent: Sent, answer: Answer) -> Self {
        Self { group: "", name: name.to_owned(), on, sent, hangs_up: false, answer }
    }

    /// WAMP messages as JSON; they are the name.
    pub(crate) fn said(on: On, messages: &[&str], answer: Answer) -> Self {
        let name = messages.iter().map(|message| format!("`{message}`"));
        let sent = messages.iter().map(|message| (*message).to_owned()).collect();
        Self::new(&name.collect::<Vec<_>>().join(" "), on, Sent::Messages(sent), answer)
    }

    /// Each of the subprotocols it is sent with; one without a name if with none.
    pub(crate) const fn subprotocols(&self) -> &'static [&'static str] {
        match self.on {
            On::Port => &[""],
            On::Upgraded(list) | On::Session(list) => list,
        }
    }

    fn bytes(&self, subprotocol: &str) -> Vec<u8> {
        match &self.sent {
            Sent::Bytes(bytes) => bytes.clone(),
            Sent::Messages(messages) => {
                messages.iter().flat_map(|json| message_frame(subprotocol, json)).collect()
            }
            Sent::Message(message) => raw_message_frame(subprotocol, message),
        }
    }

    /// Sends it, and tells what came back.
    pub(crate) async fn run(&self, address: SocketAddr, subprotocol: &'static str) -> String {
        let mut peer = match self.on {
            On::Port => Peer::connect(address).await,
            On::Upgraded(_) => Peer::upgrade(address, subprotocol).await,
            On::Session(_) => Peer::join(address, subprotocol).await,
        };
        peer.send(&self.bytes(subprotocol)).await;
        if self.hangs_up {
            peer.hang_up().await;
        }
        let mut heard = match self.on {
            On::Port => hear_http(&mut peer).await,
            On::Upgraded(_) | On::Session(_) => {
                let probe_after = self.answer.messages();
                hear_session(&mut peer, probe_after).await
            }
        };
        if heard.first().is_some_and(|first| first == GOES_ON) {
            heard.insert(0, "no answer".to_owned());
        }
        if self.answer.text.starts_with(ANY_ORDER) {
            let messages = heard.len().saturating_sub(1);
            heard[..messages].sort();
            return format!("{ANY_ORDER}{}", heard.join(", "));
        }
        heard.join(", ")
    }

    /// Its line in the table of the documents.
    pub(crate) fn line(&self) -> String {
        let to = match self.on {
            On::Port => "port".to_owned(),
            On::Upgraded(list) => format!("before HELLO: {}", serializers(list)),
            On::Session(list) => format!("open session: {}", serializers(list)),
        };
        let counted = self.answer.counted.join("; ");
        let mut line = String::new();
        for cell in [&self.name, &to, &self.answer.text, &counted] {
            let _infallible = write!(line, "| {} ", cell.replace('|', "\\|"));
        }
        line + "|\n"
    }
}

fn serializers(list: &[&str]) -> String {
    let short = list.iter().map(|name| name.trim_start_matches("wamp.2."));
    short.collect::<Vec<_>>().join(", ")
}

async fn hear_http(peer: &mut Peer) -> Vec<String> {
    let Some(answer) = peer.hear_http().await else { return vec!["closes".to_owned()] };
    let mut first = format!("HTTP {}", answer.status);
    let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
    if let Some(uri) = body.as_ref().and_then(|body| body["error"].as_str()) {
        let _infallible = write!(first, " {uri}");
    }
    if answer.status == 101 {
        let has_extensions = answer.head.to_ascii_lowercase().contains("extensions");
        first += if has_extensions { " with extensions" } else { " without extensions" };
        return vec![first];
    }
    // Whether the connection takes another request.
    peer.send(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await;
    let after = match peer.hear_http().await {
        Some(again) => {
            assert_eq!((again.status, &again.body[..]), (200, &b"ok\n"[..]), "{}", again.head);
            GOES_ON
        }
        None => "closes",
    };
    vec![first, after.to_owned()]
}

/// All that comes; after so many answers, whether the session still works.
async fn hear_session(peer: &mut Peer, probe_after: Option<usize>) -> Vec<String> {
    let mut heard = Vec::new();
    let mut is_probed = false;
    loop {
        if !is_probed && probe_after == Some(heard.len()) {
            is_probed = true;
            peer.say(&format!(r#"[16,{PROBE},{{"acknowledge":true}},"hostile.probe"]"#)).await;
        }
        match peer.hear().await {
            Heard::Message(message) if message[0] == 17 && message[1] == PROBE => {
                peer.say(r#"[6,{},"wamp.close.normal"]"#).await;
                assert_eq!(peer.hear_message().await[0], 6, "GOODBYE");
                assert!(matches!(peer.hear().await, Heard::Close(Some(1000))));
                heard.push(GOES_ON.to_owned());
                return heard;
            }
            Heard::Message(message) => heard.push(described(&message)),
            // Whether a quiet client is asked is for the rows that stay quiet for long.
            Heard::Ping => {}
            Heard::Pong => heard.push("pong".to_owned()),
            Heard::Close(code) => {
                heard.push(code.map_or("close".to_owned(), |code| format!("close {code}")));
                // The client's part of closing, which the entry waits for.
                peer.send(&frame(FIN | CLOSE, &1000u16.to_be_bytes())).await;
                while !matches!(peer.hear().await, Heard::End) {}
                return heard;
            }
            Heard::End => {
                heard.push("ends".to_owned());
                return heard;
            }
        }
    }
}

/// The name of a message of the entry, and the URI in it.
fn described(message: &Value) -> String {
    let uri = |index: usize| message[index].as_str().expect("a URI");
    match message[0].as_u64() {
        Some(2) => "WELCOME".to_owned(),
        Some(3) => format!("ABORT {}", uri(2)),
        Some(6) => format!("GOODBYE {}", uri(2)),
        Some(8) => format!("ERROR {}", uri(4)),
        Some(17) => "PUBLISHED".to_owned(),
        Some(33) => "SUBSCRIBED".to_owned(),
        Some(35) => "UNSUBSCRIBED".to_owned(),
        Some(36) => "EVENT".to_owned(),
        _ => panic!("{message}"),
    }
}
