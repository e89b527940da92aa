//! Messages of a client as MessagePack or CBOR: the same as JSON, element by element.

use std::borrow::Cow;

use bytes::BytesMut;

use vixen_broker::api::{RequestId, SubscriptionId};
use vixen_core::payload::scan::{Elements, Kind, ScanError};
use vixen_core::payload::transcode_value;
use vixen_core::segment::Encoding;

use super::{ClientMessage, RawPublish, refuse_code};
use crate::gates::ids::ID_MAX;
use crate::gates::raw::RawText;
use crate::gates::wamp::error::Violation;

/// Parses one message.
pub(super) fn parse(frame: &[u8], encoding: Encoding) -> Result<ClientMessage<'_>, Violation> {
    let elements = Elements::parse(frame, encoding).map_err(|error| match error {
        ScanError::NotList => Violation::NotList,
        ScanError::Malformed(_) => Violation::NotEncoded(encoding.name()),
    })?;
    let message = Message { elements, encoding };
    if message.elements.kind(0) != Some(Kind::Int) {
        return Err(Violation::NotList);
    }
    // One that is negative or too large is none of the codes.
    match message.elements.as_u64(0).unwrap_or(u64::MAX) {
        16 => message.publish(),
        32 => {
            const NAME: &str = "SUBSCRIBE";
            message.check_count(NAME, 4, 4)?;
            Ok(ClientMessage::Subscribe {
                request: RequestId(message.id(NAME, 1)?),
                options: message.dict(NAME, 2, "Options")?,
                topic: message.text(NAME, 3, "Topic")?,
            })
        }
        34 => {
            const NAME: &str = "UNSUBSCRIBE";
            message.check_count(NAME, 3, 3)?;
            Ok(ClientMessage::Unsubscribe {
                request: RequestId(message.id(NAME, 1)?),
                subscription: SubscriptionId(message.id(NAME, 2)?),
            })
        }
        1 => {
            const NAME: &str = "HELLO";
            message.check_count(NAME, 3, 3)?;
            let realm = message.text(NAME, 1, "Realm")?;
            Ok(ClientMessage::Hello { realm, details: message.dict(NAME, 2, "Details")? })
        }
        5 => {
            const NAME: &str = "AUTHENTICATE";
            message.check_count(NAME, 3, 3)?;
            let signature = message.text(NAME, 1, "Signature")?;
            Ok(ClientMessage::Authenticate { signature, extra: message.dict(NAME, 2, "Extra")? })
        }
        3 => message.farewell("ABORT", ClientMessage::Abort),
        6 => message.farewell("GOODBYE", ClientMessage::Goodbye),
        other => Err(refuse_code(other)),
    }
}

/// The elements of one message.
struct Message<'a> {
    elements: Elements<'a>,
    encoding: Encoding,
}

impl<'a> Message<'a> {
    fn publish(&self) -> Result<ClientMessage<'a>, Violation> {
        const NAME: &str = "PUBLISH";
        self.check_count(NAME, 4, 6)?;
        let request = RequestId(self.id(NAME, 1)?);
        let options = self.dict(NAME, 2, "Options")?;
        let topic = self.text(NAME, 3, "Topic")?;
        let mut payload = 0..0;
        for (index, element, kind) in [(4, "Arguments", Kind::List), (5, "ArgumentsKw", Kind::Map)]
        {
            if index >= self.elements.count() {
                break;
            }
            self.check_kind(NAME, index, element, kind)?;
            let range = self.elements.range(index).unwrap_or_default();
            payload = if payload.is_empty() { range } else { payload.start..range.end };
        }
        let encoding = self.encoding;
        Ok(ClientMessage::Publish(RawPublish { request, options, topic, encoding, payload }))
    }

    fn farewell(
        &self,
        name: &'static str,
        message: ClientMessage<'a>,
    ) -> Result<ClientMessage<'a>, Violation> {
        self.check_count(name, 3, 3)?;
        self.check_kind(name, 1, "Details", Kind::Map)?;
        self.check_kind(name, 2, "Reason", Kind::Str)?;
        Ok(message)
    }

    fn check_count(&self, name: &'static str, min: usize, max: usize) -> Result<(), Violation> {
        let is_good = (min..=max).contains(&self.elements.count());
        if is_good { Ok(()) } else { Err(Violation::Arity(name)) }
    }

    fn id(&self, name: &'static str, index: usize) -> Result<u64, Violation> {
        // Some encoders write numbers above 2^32 as floats: wampy does in CBOR.
        let id = self.elements.as_u64(index).or_else(|| self.elements.as_large_float(index));
        id.filter(|id| (1..=ID_MAX).contains(id)).ok_or(Violation::Id(name))
    }

    fn check_kind(
        &self,
        message: &'static str,
        index: usize,
        element: &'static str,
        kind: Kind,
    ) -> Result<(), Violation> {
        if self.elements.kind(index) == Some(kind) {
            return Ok(());
        }
        let expected = match kind {
            Kind::List => "a list",
            Kind::Map => "a dict",
            _ => "a string",
        };
        Err(Violation::Type { message, element, expected })
    }

    /// A string, as JSON where it is not one piece of the frame.
    fn text(
        &self,
        message: &'static str,
        index: usize,
        element: &'static str,
    ) -> Result<RawText<'a>, Violation> {
        let expected = "a string";
        let text = self.elements.as_str(index);
        text.map(RawText::Text).ok_or(Violation::Type { message, element, expected })
    }

    /// A dictionary as JSON.
    fn dict(
        &self,
        message: &'static str,
        index: usize,
        element: &'static str,
    ) -> Result<Cow<'a, str>, Violation> {
        self.check_kind(message, index, element, Kind::Map)?;
        let raw = self.elements.raw(index).unwrap_or_default();
        let mut json = BytesMut::new();
        let expected = "a dict";
        transcode_value(raw, self.encoding, Encoding::Json, &mut json)
            .ok()
            .and_then(|()| String::from_utf8(json.into()).ok())
            .map(Cow::Owned)
            .ok_or(Violation::Type { message, element, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gates::wamp::message::parse as parse_any;

    /// The message `json` in another encoding.
    fn encoded(json: &str, encoding: Encoding) -> Vec<u8> {
        let mut out = BytesMut::new();
        transcode_value(json.as_bytes(), Encoding::Json, encoding, &mut out).expect("JSON");
        out.to_vec()
    }

    /// What a message is, apart from where its parts stand.
    fn shown(frame: &[u8], encoding: Encoding) -> String {
        let uri = |uri: RawText<'_>| uri.decode().expect("text").into_owned();
        match parse_any(frame, encoding) {
            Err(violation) => violation.label().to_owned(),
            Ok(ClientMessage::Hello { realm, details }) => format!("{} {details}", uri(realm)),
            Ok(ClientMessage::Authenticate { signature, extra }) => {
                format!("{} {extra}", uri(signature))
            }
            Ok(ClientMessage::Publish(publish)) => {
                let mut json = BytesMut::new();
                let payload = &frame[publish.payload];
                vixen_core::payload::transcode(payload, encoding, Encoding::Json, &mut json)
                    .expect("a payload");
                let payload = String::from_utf8(json.to_vec()).expect("text");
                format!(
                    "{} {} {} {payload}",
                    publish.request.0,
                    publish.options,
                    uri(publish.topic)
                )
            }
            Ok(ClientMessage::Subscribe { request, options, topic }) => {
                format!("{} {options} {}", request.0, uri(topic))
            }
            Ok(other) => format!("{other:?}"),
        }
    }

    #[test]
    fn every_message_is_what_it_is_as_json() {
        for json in [
            r#"[1,"realm1",{"roles":{"publisher":{}}}]"#,
            r#"[3,{},"wamp.close.x"]"#,
            r#"[6,{},"wamp.close.x"]"#,
            r#"[5,"signature",{"x":1}]"#,
            r#"[16,1,{},"a.b"]"#,
            r#"[16,1,{"acknowledge":true},"a.b",[1,"x",[null]]]"#,
            r#"[16,9007199254740992,{},"a.b",[],{"k":{"l":[]}}]"#,
            r#"[32,2,{"match":"prefix"},"a."]"#,
            "[34,3,4]",
            "[]",
            "{}",
            "7",
            "null",
            r#"["16",1,{},"a.b"]"#,
            "[99]",
            "[48,1,{}]",
            "[36,1]",
            r#"[16,0,{},"a.b"]"#,
            r#"[16,9007199254740993,{},"a.b"]"#,
            r#"[16,-1,{},"a.b"]"#,
            r#"[16,1.5,{},"a.b"]"#,
            r#"[16,"1",{},"a.b"]"#,
            r#"[16,1,[],"a.b"]"#,
            r#"[16,1,{},7]"#,
            r#"[16,1,{},"a.b",{}]"#,
            r#"[16,1,{},"a.b",[],[]]"#,
            r#"[16,1,{},"a.b",[],{},7]"#,
            "[16,1]",
            "[34,3]",
            "[6,7,8]",
        ] {
            let wanted = shown(json.as_bytes(), Encoding::Json);
            for encoding in [Encoding::MsgPack, Encoding::Cbor] {
                assert_eq!(shown(&encoded(json, encoding), encoding), wanted, "{json}");
            }
        }
    }

    #[test]
    fn what_is_not_encoded_is_told() {
        for encoding in [Encoding::MsgPack, Encoding::Cbor] {
            assert_eq!(shown(&[], encoding), "not_encoded");
            // Text begins with a small integer in one, and with a string in the other.
            assert!(["not_list", "not_encoded"].contains(&&*shown(b"[16,1,{},\"a.b\"]", encoding)));
            let whole = encoded(r#"[16,1,{},"a.b",[1,2]]"#, encoding);
            for end in 1..whole.len() {
                assert_eq!(shown(&whole[..end], encoding), "not_encoded", "cut at {end}");
            }
        }
    }
}
