//! Serializers: how WAMP messages stand in WebSocket messages (WAMP spec *WebSocket Transport*).

use vixen_core::segment::Encoding;

/// Ends each message of a batch of JSON (WAMP spec *Batched Transport*).
pub(super) const RECORD_SEPARATOR: u8 = 0x1e;

/// What a client and this entry have agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Serializer {
    /// Of the WAMP messages, and of their payloads.
    pub(crate) encoding: Encoding,
    /// Whether a WebSocket message holds any number of WAMP messages.
    pub(crate) is_batched: bool,
}

/// All WebSocket subprotocols that an entry speaks, best first.
pub(crate) const SUBPROTOCOLS: [&str; 6] = [
    "wamp.2.cbor",
    "wamp.2.msgpack",
    "wamp.2.json",
    "wamp.2.cbor.batched",
    "wamp.2.msgpack.batched",
    "wamp.2.json.batched",
];

impl Serializer {
    /// Whether it stands in text frames.
    pub(crate) const fn is_text(self) -> bool {
        matches!(self.encoding, Encoding::Json)
    }

    /// The serializer of a WebSocket subprotocol.
    pub(crate) fn of_subprotocol(name: &str) -> Option<Self> {
        let (base, is_batched) = match name.strip_suffix(".batched") {
            Some(base) => (base, true),
            None => (name, false),
        };
        let encoding = match base {
            "wamp.2.json" => Encoding::Json,
            "wamp.2.msgpack" => Encoding::MsgPack,
            "wamp.2.cbor" => Encoding::Cbor,
            _ => return None,
        };
        Some(Self { encoding, is_batched })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subprotocol_has_its_serializer() {
        for name in SUBPROTOCOLS {
            assert!(Serializer::of_subprotocol(name).is_some(), "{name}");
        }
        for name in ["", "wamp", "wamp.2", "wamp.2.batched", "wamp.2.json.batched.batched"] {
            assert_eq!(Serializer::of_subprotocol(name), None, "{name}");
        }
    }
}
