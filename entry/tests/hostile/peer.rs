//! A client that may say anything: bytes on a socket, with no library in between that would refuse
//! to send what is wrong.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use vixen_core::payload::transcode_value;
use vixen_core::segment::Encoding;

/// Nothing here takes long: a test that waits this long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
const RECORD_SEPARATOR: u8 = 0x1e;

/// Opcodes (RFC 6455 §5.2).
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
const PONG: u8 = 10;
/// Bits of a frame's first byte (RFC 6455 §5.2).
pub(crate) const FIN: u8 = 0x80;

/// One answer to an HTTP request.
#[derive(Debug)]
pub(crate) struct HttpAnswer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Bytes,
}

/// What comes over a WebSocket.
#[derive(Debug)]
pub(crate) enum Heard {
    /// A WAMP message.
    Message(Value),
    Ping,
    Pong,
    /// A close frame with its code (RFC 6455 §7.4).
    Close(Option<u16>),
    /// The connection is over.
    End,
}

pub(crate) struct Peer {
    stream: TcpStream,
    unread: BytesMut,
    subprotocol: &'static str,
    /// WAMP messages of a batch that are not given out.
    batch: Vec<Value>,
}

impl Peer {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("connected");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, unread: BytesMut::new(), subprotocol: "", batch: Vec::new() }
    }

    /// A peer that speaks WebSocket.
    pub(crate) async fn upgrade(address: SocketAddr, subprotocol: &'static str) -> Self {
        let mut peer = Self::connect(address).await;
        peer.send(upgrade_request(subprotocol, "").as_bytes()).await;
        let answer = peer.hear_http().await.expect("an answer");
        assert_eq!(answer.status, 101, "{}", answer.head);
        peer.subprotocol = subprotocol;
        peer
    }

    /// A peer with an open session.
    pub(crate) async fn join(address: SocketAddr, subprotocol: &'static str) -> Self {
        let mut peer = Self::upgrade(address, subprotocol).await;
        peer.say(r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#).await;
        assert_eq!(peer.hear_message().await[0], 2, "WELCOME");
        peer
    }

    /// Sends bytes; an entry that has hung up already need not take them.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _hung_up = self.stream.write_all(bytes).await;
    }

    /// Sends a WAMP message, given as JSON, in the serializer of the connection.
    pub(crate) async fn say(&mut self, json: &str) {
        self.send(&message_frame(self.subprotocol, json)).await;
    }

    /// Says that nothing more is coming.
    pub(crate) async fn hang_up(&mut self) {
        let _hung_up = self.stream.shutdown().await;
    }

    /// Reads more; `false` at the end.
    async fn read(&mut self) -> bool {
        let reading = tokio::time::timeout(PATIENCE, self.stream.read_buf(&mut self.unread));
        matches!(reading.await.expect("in time"), Ok(1..))
    }

    /// The next HTTP answer; `None` when the connection ends before it is whole.
    pub(crate) async fn hear_http(&mut self) -> Option<HttpAnswer> {
        let end = loop {
            if let Some(at) = self.unread.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            if !self.read().await {
                return None;
            }
        };
        let head = String::from_utf8(self.unread.split_to(end).to_vec()).expect("a head");
        let status = head.split(' ').nth(1).expect("a status").parse().expect("a number");
        let lower = head.to_ascii_lowercase();
        if lower.contains("transfer-encoding: chunked") {
            let body = self.hear_chunks().await?;
            return Some(HttpAnswer { status, head, body });
        }
        let length = lower
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().expect("a length"));
        while self.unread.len() < length {
            if !self.read().await {
                return None;
            }
        }
        Some(HttpAnswer { status, head, body: self.unread.split_to(length).freeze() })
    }

    /// A body in chunks (RFC 9112 §7.1), the end included; `None` when the connection ends before it.
    async fn hear_chunks(&mut self) -> Option<Bytes> {
        let mut body = BytesMut::new();
        loop {
            let end = loop {
                if let Some(at) = self.unread.windows(2).position(|window| window == b"\r\n") {
                    break at;
                }
                if !self.read().await {
                    return None;
                }
            };
            let line = self.unread.split_to(end + 2);
            let size = std::str::from_utf8(&line[..end]).expect("a size");
            let size = usize::from_str_radix(size, 16).expect("a size");
            while self.unread.len() < size + 2 {
                if !self.read().await {
                    return None;
                }
            }
            body.extend_from_slice(&self.unread.split_to(size + 2)[..size]);
            if size == 0 {
                return Some(body.freeze());
            }
        }
    }

    /// The next WAMP message; pings are answered.
    pub(crate) async fn hear_message(&mut self) -> Value {
        loop {
            match self.hear().await {
                Heard::Message(message) => return message,
                Heard::Ping => self.send(&frame(FIN | PONG, b"")).await,
                Heard::Pong => {}
                other @ (Heard::Close(_) | Heard::End) => panic!("no message: {other:?}"),
            }
        }
    }

    /// What comes next.
    pub(crate) async fn hear(&mut self) -> Heard {
        loop {
            if !self.batch.is_empty() {
                return Heard::Message(self.batch.remove(0));
            }
            let (opcode, payload) = loop {
                if let Some(frame) = self.take_frame() {
                    break frame;
                }
                if !self.read().await {
                    return Heard::End;
                }
            };
            match opcode {
                PING => return Heard::Ping,
                PONG => return Heard::Pong,
                CLOSE => {
                    let code = payload.split_first_chunk().map(|(code, _)| *code);
                    return Heard::Close(code.map(u16::from_be_bytes));
                }
                TEXT | BINARY => self.batch = messages_of(self.subprotocol, &payload),
                other => panic!("opcode {other}"),
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Bytes)> {
        let [first, second, ..] = self.unread[..] else { return None };
        assert_eq!((first & 0xf0, second & 0x80), (FIN, 0), "whole, plain and not masked");
        let (header, length) = match second {
            126 => {
                let bytes = self.unread.get(2..4)?.try_into().expect("two");
                (4, usize::from(u16::from_be_bytes(bytes)))
            }
            127 => {
                let bytes = self.unread.get(2..10)?.try_into().expect("eight");
                (10, usize::try_from(u64::from_be_bytes(bytes)).expect("fits"))
            }
            short => (2, usize::from(short)),
        };
        if self.unread.len() < header + length {
            return None;
        }
        self.unread.advance(header);
        Some((first & 0xf, self.unread.split_to(length).freeze()))
    }
}

/// A good request for an upgrade, with further header lines.
pub(crate) fn upgrade_request(subprotocol: &str, further: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nhost: localhost\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: {KEY}\r\n\
         sec-websocket-protocol: {subprotocol}\r\n{further}\r\n"
    )
}

/// A masked frame; `first` is its first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = frame_header(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What stands before the payload of a masked frame.
pub(crate) fn frame_header(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..126 => bytes.push(0x80 | u8::try_from(length).expect("small")),
        126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend_from_slice(&u16::try_from(length).expect("small").to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend_from_slice(&length.to_be_bytes());
        }
    }
    bytes.extend_from_slice(&MASK);
    bytes
}

fn encoding_of(subprotocol: &str) -> Encoding {
    match subprotocol.split('.').nth(2) {
        Some("msgpack") => Encoding::MsgPack,
        Some("cbor") => Encoding::Cbor,
        _ => Encoding::Json,
    }
}

/// The opcode of a serializer's frames.
pub(crate) fn opcode_of(subprotocol: &str) -> u8 {
    if encoding_of(subprotocol) == Encoding::Json { TEXT } else { BINARY }
}

/// A frame with one WAMP message, whose bytes are given.
pub(crate) fn raw_message_frame(subprotocol: &str, message: &[u8]) -> Vec<u8> {
    let mut payload = message.to_vec();
    if subprotocol.ends_with(".batched") {
        if encoding_of(subprotocol) == Encoding::Json {
            payload.push(RECORD_SEPARATOR);
        } else {
            let length = u32::try_from(message.len()).expect("a small message");
            payload = [&length.to_be_bytes()[..], message].concat();
        }
    }
    frame(FIN | opcode_of(subprotocol), &payload)
}

/// A frame with one WAMP message, given as JSON.
pub(crate) fn message_frame(subprotocol: &str, json: &str) -> Vec<u8> {
    let mut message = BytesMut::new();
    transcode_value(json.as_bytes(), Encoding::Json, encoding_of(subprotocol), &mut message)
        .expect("JSON");
    raw_message_frame(subprotocol, &message)
}

fn messages_of(subprotocol: &str, payload: &[u8]) -> Vec<Value> {
    let encoding = encoding_of(subprotocol);
    let value_of = |message: &[u8]| {
        let mut json = BytesMut::new();
        transcode_value(message, encoding, Encoding::Json, &mut json).expect("a message");
        serde_json::from_slice(&json).expect("JSON")
    };
    if !subprotocol.ends_with(".batched") {
        return vec![value_of(payload)];
    }
    if encoding == Encoding::Json {
        let parts = payload.split(|byte| *byte == RECORD_SEPARATOR);
        return parts.filter(|part| !part.is_empty()).map(value_of).collect();
    }
    let mut rest = payload;
    let mut messages = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk() {
        let (message, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        messages.push(value_of(message));
        rest = after;
    }
    messages
}
