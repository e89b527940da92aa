//! Messages of a client as MessagePack or CBOR: the same as JSON, element by element.

use std::borrow::Cow;
use std::ops::Range;

use bytes::BytesMut;

use vixen_broker::api::calls::{InvocationId, RegistrationId};
use vixen_broker::api::{RequestId, SubscriptionId};
use vixen_core::payload::scan::{Elements, Kind, ScanError};
use vixen_core::payload::transcode_value;
use vixen_core::segment::Encoding;

use super::calls::{CALL, CANCEL, ERROR, INVOCATION, REGISTER, UNREGISTER, YIELD};
use super::{ClientMessage, RawAnswer, RawCall, RawPublish, RawRequest, refuse_code};
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
        48 => message.call(),
        70 => message.answer(),
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
        8 => message.invocation_error(),
        49 => {
            message.check_count(CANCEL, 3, 3)?;
            Ok(ClientMessage::Cancel(message.request(CANCEL)?))
        }
        64 => {
            message.check_count(REGISTER, 4, 4)?;
            let request = message.request(REGISTER)?;
            let procedure = message.text(REGISTER, 3, "Procedure")?;
            Ok(ClientMessage::Register { request, procedure })
        }
        66 => {
            message.check_count(UNREGISTER, 3, 3)?;
            Ok(ClientMessage::Unregister {
                request: RequestId(message.id(UNREGISTER, 1)?),
                registration: RegistrationId(message.id(UNREGISTER, 2)?),
            })
        }
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
        let payload = self.payload(NAME, 4)?;
        let encoding = self.encoding;
        Ok(ClientMessage::Publish(RawPublish { request, options, topic, encoding, payload }))
    }

    fn call(&self) -> Result<ClientMessage<'a>, Violation> {
        self.check_count(CALL, 4, 6)?;
        let request = self.request(CALL)?;
        let procedure = self.text(CALL, 3, "Procedure")?;
        let payload = self.payload(CALL, 4)?;
        Ok(ClientMessage::Call(RawCall { request, procedure, payload }))
    }

    fn answer(&self) -> Result<ClientMessage<'a>, Violation> {
        self.check_count(YIELD, 3, 5)?;
        let invocation = InvocationId(self.id(YIELD, 1)?);
        let options = self.dict(YIELD, 2, "Options")?;
        let answer = RawAnswer { invocation, payload: self.payload(YIELD, 3)? };
        Ok(ClientMessage::Yield { answer, options })
    }

    fn invocation_error(&self) -> Result<ClientMessage<'a>, Violation> {
        self.check_count(ERROR, 5, 7)?;
        if self.id(ERROR, 1)? != INVOCATION {
            return Err(Violation::Unexpected(ERROR));
        }
        let invocation = InvocationId(self.id(ERROR, 2)?);
        let details = self.dict(ERROR, 3, "Details")?;
        let error = self.text(ERROR, 4, "Error")?;
        let answer = RawAnswer { invocation, payload: self.payload(ERROR, 5)? };
        Ok(ClientMessage::InvocationError { answer, details, error })
    }

    fn request(&self, name: &'static str) -> Result<RawRequest<'a>, Violation> {
        let request = RequestId(self.id(name, 1)?);
        Ok(RawRequest { request, options: self.dict(name, 2, "Options")? })
    }

    /// Where the arguments stand in the frame, of which the first is element `first`.
    fn payload(&self, name: &'static str, first: usize) -> Result<Range<usize>, Violation> {
        let mut payload = 0..0;
        let elements = [(first, "Arguments", Kind::List), (first + 1, "ArgumentsKw", Kind::Map)];
        for (index, element, kind) in elements {
            if index >= self.elements.count() {
                break;
            }
            self.check_kind(name, index, element, kind)?;
            let range = self.elements.range(index).unwrap_or_default();
            payload = if payload.is_empty() { range } else { payload.start..range.end };
        }
        Ok(payload)
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
                let payload = as_json(&frame[publish.payload], encoding);
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
            Ok(ClientMessage::Call(call)) => {
                let RawRequest { request, options } = call.request;
                let payload = as_json(&frame[call.payload], encoding);
                format!("call {} {options} {} {payload}", request.0, uri(call.procedure))
            }
            Ok(ClientMessage::Register { request, procedure }) => {
                format!("register {} {} {}", request.request.0, request.options, uri(procedure))
            }
            Ok(ClientMessage::Yield { answer, options }) => {
                let payload = as_json(&frame[answer.payload], encoding);
                format!("yield {} {options} {payload}", answer.invocation.0)
            }
            Ok(ClientMessage::InvocationError { answer, details, error }) => {
                let payload = as_json(&frame[answer.payload], encoding);
                format!("error {} {details} {} {payload}", answer.invocation.0, uri(error))
            }
            Ok(other) => format!("{other:?}"),
        }
    }

    fn as_json(payload: &[u8], encoding: Encoding) -> String {
        let mut json = BytesMut::new();
        vixen_core::payload::transcode(payload, encoding, Encoding::Json, &mut json)
            .expect("a payload");
        String::from_utf8(json.to_vec()).expect("text")
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
            r#"[48,1,{},"a.b"]"#,
            r#"[48,1,{"timeout":7,"rkey":"k"},"a.b",[1],{"k":[null]}]"#,
            r#"[49,1,{"mode":"kill"}]"#,
            r#"[64,1,{"match":"prefix","concurrency":2},"a."]"#,
            "[66,1,9007199254740992]",
            "[70,1,{}]",
            r#"[70,1,{"progress":true},["x"],{}]"#,
            r#"[8,68,1,{},"a.b"]"#,
            r#"[8,68,1,{"x":1},"a.b",[1],{"k":2}]"#,
            r#"[48,1,{}]"#,
            r#"[48,1,{},"a.b",[],{},7]"#,
            r#"[48,1,{},7]"#,
            r#"[48,1,{},"a.b",null]"#,
            r#"[48,1,{},"a.b",[],null]"#,
            r#"[49,1]"#,
            r#"[49,1,{},7]"#,
            r#"[49,1,[]]"#,
            r#"[64,1,{}]"#,
            r#"[64,1,{},"a.b",[]]"#,
            "[66,1]",
            "[66,1,0]",
            "[70,1]",
            "[70,0,{}]",
            "[70,1,{},{}]",
            r#"[70,1,{},[],{},7]"#,
            r#"[8,68,1,{}]"#,
            r#"[8,68,1,[],"a.b"]"#,
            r#"[8,68,1,{},7]"#,
            r#"[8,"68",1,{},"a.b"]"#,
            r#"[8,48,1,{},"a.b"]"#,
            r#"[8,68,1,{},"a.b",{}]"#,
            r#"[8,68,1,{},"a.b",[],{},7]"#,
            "[]",
            "{}",
            "7",
            "null",
            r#"["16",1,{},"a.b"]"#,
            "[99]",
            "[68,1,{}]",
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
