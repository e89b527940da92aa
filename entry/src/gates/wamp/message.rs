//! Messages of a client, parsed no further than framing needs.
//!
//! Every element is a raw slice of the frame; arguments are not looked into, so numbers, escapes
//! and duplicate keys in them stay as they are. A message is at most [`ELEMENTS_MAX`] elements:
//! they fit an array, and parsing allocates nothing for flat arguments.

mod binary;
mod calls;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use vixen_broker::access::Act;
use vixen_broker::api::calls::RegistrationId;
use vixen_broker::api::{RequestId, SubscriptionId};
use vixen_core::segment::Encoding;

use super::error::Violation;
use crate::authority::options::told;
use crate::gates::ids::ID_MAX;
use crate::gates::raw::RawText;
use crate::gates::refusal::OptionError;

pub(super) use calls::{RawAnswer, RawCall, RawRequest};

/// ERROR with arguments and keyword arguments.
const ELEMENTS_MAX: usize = 7;

/// A message that a router takes from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ClientMessage<'a> {
    /// `[1, Realm, Details]`
    Hello {
        /// Its name.
        realm: RawText<'a>,
        /// JSON object.
        details: Cow<'a, str>,
    },
    /// `[5, Signature, Extra]`
    Authenticate {
        /// Its text.
        signature: RawText<'a>,
        /// JSON object.
        extra: Cow<'a, str>,
    },
    /// `[3, Details, Reason]`
    Abort,
    /// `[6, Details, Reason]`
    Goodbye,
    /// `[16, Request, Options, Topic, Arguments?, ArgumentsKw?]`
    Publish(RawPublish<'a>),
    /// `[32, Request, Options, Topic]`
    Subscribe {
        /// Session scope.
        request: RequestId,
        /// JSON object.
        options: Cow<'a, str>,
        /// The topic or pattern.
        topic: RawText<'a>,
    },
    /// `[34, Request, Subscription]`
    Unsubscribe {
        /// Session scope.
        request: RequestId,
        /// Router scope.
        subscription: SubscriptionId,
    },
    /// `[48, Request, Options, Procedure, Arguments?, ArgumentsKw?]`
    Call(RawCall<'a>),
    /// `[49, Request, Options]`
    Cancel(RawRequest<'a>),
    /// `[64, Request, Options, Procedure]`
    Register {
        /// Session scope; JSON object.
        request: RawRequest<'a>,
        /// A URI or a pattern.
        procedure: RawText<'a>,
    },
    /// `[66, Request, Registration]`
    Unregister {
        /// Session scope.
        request: RequestId,
        /// Router scope.
        registration: RegistrationId,
    },
    /// `[70, Request, Options, Arguments?, ArgumentsKw?]`
    Yield {
        /// Of which invocation.
        answer: RawAnswer,
        /// JSON object.
        options: Cow<'a, str>,
    },
    /// `[8, 68, Request, Details, Error, Arguments?, ArgumentsKw?]`
    InvocationError {
        /// Of which invocation.
        answer: RawAnswer,
        /// JSON object.
        details: Cow<'a, str>,
        /// Its URI.
        error: RawText<'a>,
    },
}

/// A PUBLISH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RawPublish<'a> {
    /// Session scope.
    pub(super) request: RequestId,
    /// JSON object.
    pub(super) options: Cow<'a, str>,
    /// The topic.
    pub(super) topic: RawText<'a>,
    /// Of the payload.
    pub(super) encoding: Encoding,
    /// Where `Arguments` begins and the last element ends, in the frame; empty without them.
    pub(super) payload: Range<usize>,
}

impl ClientMessage<'_> {
    /// The options of what needs a right, as authorizers are told them; `None` of anything else.
    pub(super) fn told_options(&self) -> Option<Result<Arc<str>, OptionError>> {
        let (act, options) = match self {
            Self::Publish(publish) => (Act::Publish, &publish.options),
            Self::Subscribe { options, .. } => (Act::Subscribe, options),
            Self::Call(call) => (Act::Call, &call.request.options),
            Self::Register { request, .. } => (Act::Register, &request.options),
            Self::Hello { .. }
            | Self::Authenticate { .. }
            | Self::Abort
            | Self::Goodbye
            | Self::Unsubscribe { .. }
            | Self::Yield { .. }
            | Self::InvocationError { .. }
            | Self::Cancel(_)
            | Self::Unregister { .. } => return None,
        };
        Some(told(act, options))
    }

    /// As the specification calls it.
    pub(super) const fn name(&self) -> &'static str {
        match self {
            Self::Hello { .. } => "HELLO",
            Self::Authenticate { .. } => "AUTHENTICATE",
            Self::Abort => "ABORT",
            Self::Goodbye => "GOODBYE",
            Self::Publish(_) => "PUBLISH",
            Self::Subscribe { .. } => "SUBSCRIBE",
            Self::Unsubscribe { .. } => "UNSUBSCRIBE",
            Self::Call(_) => calls::CALL,
            Self::Cancel(_) => calls::CANCEL,
            Self::Register { .. } => calls::REGISTER,
            Self::Unregister { .. } => calls::UNREGISTER,
            Self::Yield { .. } => calls::YIELD,
            Self::InvocationError { .. } => calls::ERROR,
        }
    }
}

/// Parses one message.
///
/// # Errors
/// What is wrong with it: the session is to be aborted.
pub(super) fn parse(frame: &[u8], encoding: Encoding) -> Result<ClientMessage<'_>, Violation> {
    match encoding {
        // Text frames are checked when they come; a batch of them may be cut anywhere.
        Encoding::Json => {
            parse_json(std::str::from_utf8(frame).map_err(|_cut| Violation::NotJson)?)
        }
        Encoding::MsgPack | Encoding::Cbor => binary::parse(frame, encoding),
    }
}

fn parse_json(frame: &str) -> Result<ClientMessage<'_>, Violation> {
    let elements: Elements<'_> =
        serde_json::from_str(frame).map_err(|error| match error.classify() {
            Category::Data => Violation::NotList,
            Category::Io | Category::Syntax | Category::Eof => Violation::NotJson,
        })?;
    let code = elements.raw(0).ok_or(Violation::NotList)?;
    let Some(number) = number_of(code) else { return Err(Violation::NotList) };
    match number {
        16 => publish(frame, &elements),
        48 => calls::call(frame, &elements),
        70 => calls::answer(frame, &elements),
        32 => subscribe(&elements),
        34 => unsubscribe(&elements),
        1 => hello(&elements),
        3 => farewell("ABORT", &elements, ClientMessage::Abort),
        6 => farewell("GOODBYE", &elements, ClientMessage::Goodbye),
        5 => authenticate(&elements),
        8 => calls::invocation_error(frame, &elements),
        49 => calls::cancel(&elements),
        64 => calls::register(&elements),
        66 => calls::unregister(&elements),
        other => Err(refuse_code(other)),
    }
}

/// A message code in plain digits; one beyond all numbers is none that is known.
fn number_of(code: &str) -> Option<u64> {
    let is_number = code.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| code.parse().unwrap_or(u64::MAX))
}

/// Why a message of this code is not taken.
fn refuse_code(code: u64) -> Violation {
    match code {
        2 => Violation::Unexpected("WELCOME"),
        4 => Violation::Unexpected("CHALLENGE"),
        17 => Violation::Unexpected("PUBLISHED"),
        33 => Violation::Unexpected("SUBSCRIBED"),
        35 => Violation::Unexpected("UNSUBSCRIBED"),
        36 => Violation::Unexpected("EVENT"),
        50 => Violation::Unexpected("RESULT"),
        65 => Violation::Unexpected("REGISTERED"),
        67 => Violation::Unexpected("UNREGISTERED"),
        68 => Violation::Unexpected("INVOCATION"),
        69 => Violation::Unexpected("INTERRUPT"),
        _ => Violation::UnknownCode,
    }
}

fn publish<'a>(frame: &str, elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    const NAME: &str = "PUBLISH";
    elements.check_count(NAME, 4, 6)?;
    let request = RequestId(elements.id(NAME, 1)?);
    let options = elements.typed(NAME, 2, "Options", JsonType::Dict)?.into();
    let topic = RawText::Json(elements.typed(NAME, 3, "Topic", JsonType::String)?);
    let payload = elements.payload(frame, NAME, 4)?;
    let encoding = Encoding::Json;
    Ok(ClientMessage::Publish(RawPublish { request, options, topic, encoding, payload }))
}

fn subscribe<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    const NAME: &str = "SUBSCRIBE";
    elements.check_count(NAME, 4, 4)?;
    let request = RequestId(elements.id(NAME, 1)?);
    let options = elements.typed(NAME, 2, "Options", JsonType::Dict)?.into();
    let topic = RawText::Json(elements.typed(NAME, 3, "Topic", JsonType::String)?);
    Ok(ClientMessage::Subscribe { request, options, topic })
}

fn unsubscribe<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    const NAME: &str = "UNSUBSCRIBE";
    elements.check_count(NAME, 3, 3)?;
    let request = RequestId(elements.id(NAME, 1)?);
    let subscription = SubscriptionId(elements.id(NAME, 2)?);
    Ok(ClientMessage::Unsubscribe { request, subscription })
}

fn hello<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    const NAME: &str = "HELLO";
    elements.check_count(NAME, 3, 3)?;
    let realm = RawText::Json(elements.typed(NAME, 1, "Realm", JsonType::String)?);
    let details = elements.typed(NAME, 2, "Details", JsonType::Dict)?.into();
    Ok(ClientMessage::Hello { realm, details })
}

fn authenticate<'a>(elements: &Elements<'a>) -> Result<ClientMessage<'a>, Violation> {
    const NAME: &str = "AUTHENTICATE";
    elements.check_count(NAME, 3, 3)?;
    let signature = RawText::Json(elements.typed(NAME, 1, "Signature", JsonType::String)?);
    let extra = elements.typed(NAME, 2, "Extra", JsonType::Dict)?.into();
    Ok(ClientMessage::Authenticate { signature, extra })
}

fn farewell<'a>(
    name: &'static str,
    elements: &Elements<'a>,
    message: ClientMessage<'a>,
) -> Result<ClientMessage<'a>, Violation> {
    elements.check_count(name, 3, 3)?;
    elements.typed(name, 1, "Details", JsonType::Dict)?;
    elements.typed(name, 2, "Reason", JsonType::String)?;
    Ok(message)
}

/// Where `part`, a slice of `frame`, begins in it.
fn offset_in(frame: &str, part: &str) -> usize {
    part.as_ptr().addr() - frame.as_ptr().addr()
}

/// Reads an integer of `1..=2^53` in plain digits.
fn parse_id(raw: &str) -> Option<u64> {
    // `u64::from_str` takes a leading '+', which JSON has not let through.
    raw.parse().ok().filter(|id| (1..=ID_MAX).contains(id))
}

#[derive(Clone, Copy)]
enum JsonType {
    List,
    Dict,
    String,
}

impl JsonType {
    const fn first_byte(self) -> u8 {
        match self {
            Self::List => b'[',
            Self::Dict => b'{',
            Self::String => b'"',
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::List => "a list",
            Self::Dict => "a dict",
            Self::String => "a string",
        }
    }
}

/// The raw elements of one message; `count` goes on beyond those that are kept.
struct Elements<'a> {
    items: [&'a str; ELEMENTS_MAX],
    count: usize,
}

impl<'a> Elements<'a> {
    fn raw(&self, index: usize) -> Option<&'a str> {
        self.items[..self.count.min(ELEMENTS_MAX)].get(index).copied()
    }

    fn check_count(&self, name: &'static str, min: usize, max: usize) -> Result<(), Violation> {
        if (min..=max).contains(&self.count) { Ok(()) } else { Err(Violation::Arity(name)) }
    }

    fn id(&self, name: &'static str, index: usize) -> Result<u64, Violation> {
        self.raw(index).and_then(parse_id).ok_or(Violation::Id(name))
    }

    /// Where the arguments stand in the frame, of which the first is element `first`.
    fn payload(
        &self,
        frame: &str,
        name: &'static str,
        first: usize,
    ) -> Result<Range<usize>, Violation> {
        if self.count <= first {
            return Ok(0..0);
        }
        let args = self.typed(name, first, "Arguments", JsonType::List)?;
        let last = if self.count > first + 1 {
            self.typed(name, first + 1, "ArgumentsKw", JsonType::Dict)?
        } else {
            args
        };
        Ok(offset_in(frame, args)..offset_in(frame, last) + last.len())
    }

    fn typed(
        &self,
        message: &'static str,
        index: usize,
        element: &'static str,
        expected: JsonType,
    ) -> Result<&'a str, Violation> {
        self.raw(index)
            .filter(|raw| raw.as_bytes().first() == Some(&expected.first_byte()))
            .ok_or(Violation::Type { message, element, expected: expected.name() })
    }
}

impl<'de> Deserialize<'de> for Elements<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ElementsVisitor;

        impl<'de> Visitor<'de> for ElementsVisitor {
            type Value = Elements<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut elements = Elements { items: [""; ELEMENTS_MAX], count: 0 };
                while elements.count < ELEMENTS_MAX {
                    let Some(raw) = seq.next_element::<&'de RawValue>()? else {
                        return Ok(elements);
                    };
                    elements.items[elements.count] = raw.get();
                    elements.count += 1;
                }
                while seq.next_element::<IgnoredAny>()?.is_some() {
                    elements.count += 1;
                }
                Ok(elements)
            }
        }

        deserializer.deserialize_seq(ElementsVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn payload_of(frame: &str) -> &str {
        match parse_json(frame) {
            Ok(ClientMessage::Publish(publish)) => &frame[publish.payload],
            other => panic!("{frame}: {other:?}"),
        }
    }

    #[test]
    fn every_message_of_a_client_is_parsed() {
        assert_eq!(
            parse_json(r#"[1,"realm1",{"roles":{}}]"#),
            Ok(ClientMessage::Hello {
                realm: RawText::Json(r#""realm1""#),
                details: r#"{"roles":{}}"#.into()
            })
        );
        assert_eq!(parse_json(r#"[3,{},"wamp.close.x"]"#), Ok(ClientMessage::Abort));
        assert_eq!(parse_json(r#"[6,{},"wamp.close.close_realm"]"#), Ok(ClientMessage::Goodbye));
        assert_eq!(
            parse_json(r#" [ 16 , 7 , {"acknowledge":true} , "a.b" ] "#),
            Ok(ClientMessage::Publish(RawPublish {
                request: RequestId(7),
                options: r#"{"acknowledge":true}"#.into(),
                topic: RawText::Json(r#""a.b""#),
                encoding: Encoding::Json,
                payload: 0..0
            }))
        );
        assert_eq!(
            parse_json(r#"[32,9007199254740992,{},"a.b"]"#),
            Ok(ClientMessage::Subscribe {
                request: RequestId(ID_MAX),
                options: "{}".into(),
                topic: RawText::Json(r#""a.b""#)
            })
        );
        assert_eq!(
            parse_json("[34,8,9]"),
            Ok(ClientMessage::Unsubscribe {
                request: RequestId(8),
                subscription: SubscriptionId(9)
            })
        );
    }

    #[test]
    fn payloads_pass_byte_for_byte() {
        let payloads = [
            "[]",
            "[],{}",
            r#"["Hello, world!"]"#,
            r#"[[[[{"a":[{}]}]]],null,true]"#,
            r#"["\u00e9\ud83d\ude00\u0000\/\"]["]"#,
            r#"["\ud800 alone"]"#,
            "[123456789012345678901234567890,-0,0.10,1e400,1E-400]",
            r#"[],{"a":1,"a":2,"\u0061":3}"#,
            r#"["]",{"},[":"}"}],{"k":"],["}"#,
            "[ 1 ,\t2 ],{ \"a\" : 1 }",
            "[\"é😀\u{7f}\"]",
        ];
        for payload in payloads {
            assert_eq!(payload_of(&format!(r#"[16,1,{{}},"a.b",{payload}]"#)), payload);
            assert_eq!(payload_of(&format!("[16, 1 ,{{}} ,\"a.b\" , {payload} ]\n")), payload);
        }
    }

    #[test]
    fn deep_nesting_is_no_recursion() {
        let deep = "[".repeat(1 << 20) + &"]".repeat(1 << 20);
        assert_eq!(payload_of(&format!(r#"[16,1,{{}},"a.b",{deep}]"#)), deep);
        assert_eq!(parse_json(&"[".repeat(1 << 20)), Err(Violation::NotJson));
    }

    proptest! {
        #[test]
        fn any_text_is_parsed_or_refused(text in "\\PC*") {
            let _answer = parse_json(&text);
        }

        #[test]
        fn any_list_of_json_is_parsed_or_refused(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("16"), Just("32"), Just("1"), Just("{}"), Just("[]"), Just("\"a\""),
                    Just("null"), Just("-1"), Just("1.5"), Just("[[1]]"), Just("{\"a\":[]}"),
                ],
                0..9,
            ),
        ) {
            let frame = format!("[{}]", parts.join(","));
            if let Ok(ClientMessage::Publish(publish)) = parse_json(&frame) {
                prop_assert_eq!(&frame[publish.payload], parts[4..].join(","));
            }
        }
    }
}
