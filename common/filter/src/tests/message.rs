//! What rules see of messages.

use bytes::BytesMut;
use proptest::prelude::*;
use vixen_core::id::Position;
use vixen_core::payload::transcode;
use vixen_core::segment::{Content, Encoding};
use vixen_core::time::WallTime;

use super::{compile, random};
use crate::value::Value;
use crate::{Answer, Data, DataError, Filter, Limits, Message, PAYLOAD_BYTES_MAX, Publisher};

const PUBLISHER: Publisher<'_> = Publisher { session: 42, authid: "ann", authrole: "user" };

fn message(content: impl Into<Content>, payload: &[u8]) -> Message<'_> {
    Message {
        topic: "com.example.room",
        position: Position(9_007_199_254_740_993),
        time: WallTime(1_700_000_000_123),
        publisher: Some(PUBLISHER),
        content: content.into(),
        payload,
    }
}

/// Nothing but a message.
pub(super) fn data() -> Data<'static> {
    // It has no payload, so nothing is written there.
    let scratch = Box::leak(Box::default());
    Data::read(&message(Encoding::Json, b""), scratch).expect("readable")
}

fn ask(filter: &Filter, message: &Message<'_>) -> Answer {
    let mut scratch = BytesMut::new();
    filter.ask(&Data::read(message, &mut scratch).expect("readable"))
}

fn is_match(rule: &str, payload: &str) -> bool {
    ask(&compile(rule).expect(rule), &message(Encoding::Json, payload.as_bytes())).is_match()
}

#[test]
fn a_rule_sees_the_message_and_its_arguments() {
    let dict = r#"[{"temp":21.5,"by":{"id":7}},"second"],{"unit":"C"}"#;
    for (rule, payload) in [
        (r#"{"===":[{"var":"topic"},"com.example.room"]}"#, ""),
        (r#"{"===":[{"var":"position"},9007199254740993]}"#, ""),
        (r#"{"===":[{"var":"time"},1700000000123]}"#, ""),
        (r#"{"===":[{"var":"publisher.session"},42]}"#, ""),
        (r#"{"===":[{"var":"publisher.authid"},"ann"]}"#, ""),
        (r#"{"===":[{"var":"publisher.authrole"},"user"]}"#, ""),
        (r#"{"===":[{"var":"args"},[]]}"#, ""),
        (r#"{"!!":{"var":"kwargs"}}"#, ""),
        (r#"{"===":[{"var":"kwargs.unit"},null]}"#, "[]"),
        (r#"{"===":[{"var":"temp"},21.5]}"#, dict),
        (r#"{"===":[{"var":"by.id"},7]}"#, dict),
        (r#"{"===":[{"var":"args.1"},"second"]}"#, dict),
        (r#"{"===":[{"var":"args.0.temp"},21.5]}"#, dict),
        (r#"{"===":[{"var":"kwargs.unit"},"C"]}"#, dict),
        // The fields are those of the first argument, and not of both.
        (r#"{"===":[{"var":"unit"},null]}"#, dict),
        (r#"{"===":[{"var":"unit"},"C"]}"#, r#"[],{"unit":"C"}"#),
        (r#"{"===":[{"var":"unit"},"C"]}"#, r#"[1,{"unit":"F"}],{"unit":"C"}"#),
        (r#"{"===":[{"var":"args.0"},5]}"#, "[5]"),
        (r#"{"a": "x", "b": 2}"#, r#"[{"b":2,"a":"x","c":3}]"#),
        // Of a name that the message has, its own is seen.
        (r#"{"===":[{"var":"topic"},"com.example.room"]}"#, r#"[{"topic":"mine"}]"#),
        (r#"{"===":[{"var":"args.0.topic"},"mine"]}"#, r#"[{"topic":"mine"}]"#),
        (r#"{"===":[{"var":"kwargs.time"},1]}"#, r#"[],{"time":1}"#),
        // No JSON that JavaScript would refuse, and lone surrogates.
        (r#"{"===":[{"var":"a"},"\ufffd"]}"#, r#"[{"a":"\ud800"}]"#),
        (r#"{">":[{"var":"a"},1]}"#, r#"[{"a":1e400}]"#),
        (r#"{"===":[{"var":"a"},2]}"#, r#"[{"a":1,"a":2}]"#),
    ] {
        assert!(is_match(rule, payload), "{rule} over {payload}");
    }
    for (rule, payload) in [
        ("false", ""),
        (r#"{"a": "x", "b": 2}"#, r#"[{"b":2}]"#),
        (r#"{"a": null}"#, r#"[{"b":2}]"#),
        (r#"{"unit":"C"}"#, dict),
    ] {
        assert!(!is_match(rule, payload), "{rule} over {payload}");
    }
}

#[test]
fn who_is_not_disclosed_is_nobody_and_nobody_passes_for_a_publisher() {
    let payload = br#"[{"publisher":{"authid":"root"}}]"#;
    let message = Message { publisher: None, ..message(Encoding::Json, payload) };
    let is = |rule| ask(&compile(rule).expect(rule), &message).is_match();
    assert!(is(r#"{"===":[{"var":"publisher"},null]}"#));
    assert!(!is(r#"{"publisher.authid":"root"}"#));
    assert!(is(r#"{"args.0.publisher.authid":"root"}"#));
}

#[test]
fn raw_bytes_are_one_argument() {
    let raw = message(Content::Raw, b"{\"a\":1}");
    let is = |rule| ask(&compile(rule).expect(rule), &raw).is_match();
    assert!(is(r#"{"===":[{"var":"args.0"},"\u0000eyJhIjoxfQ=="]}"#));
    assert!(is(r#"{"===":[{"var":"a"},null]}"#));
}

#[test]
fn what_cannot_be_read_is_told_why() {
    let long = vec![b' '; PAYLOAD_BYTES_MAX + 1];
    let list = format!("{}{}", "[".repeat(255), "]".repeat(255));
    let deep = format!("{}{}", "[".repeat(256), "]".repeat(256));
    let mut scratch = BytesMut::new();
    assert!(Data::read(&message(Encoding::Json, list.as_bytes()), &mut scratch).is_ok());
    for (content, payload, reason) in [
        (Content::Raw, &long[..], "long"),
        (Encoding::Json.into(), deep.as_bytes(), "deep"),
        (Encoding::Json.into(), "[".repeat(60_000).as_bytes(), "unreadable"),
        (Encoding::MsgPack.into(), &[0x91; 60_000], "unreadable"),
        (Encoding::Json.into(), b"[1", "unreadable"),
        (Encoding::Json.into(), b"[tru]", "unreadable"),
        (Encoding::Json.into(), b"[\"\xff\"]", "unreadable"),
        (Encoding::Cbor.into(), b"\x82\x01", "unreadable"),
        (Content::Later(9), b"", "unreadable"),
    ] {
        let error = Data::read(&message(content, payload), &mut scratch).expect_err(reason);
        assert_eq!(error.reason(), reason, "{error:?}");
    }
    let longest = vec![b'x'; PAYLOAD_BYTES_MAX];
    assert!(Data::read(&message(Content::Raw, &longest), &mut scratch).is_ok());
    let error = DataError::TooLong { bytes: 70_000 };
    assert_eq!(
        error.to_string(),
        "a payload of 70000 bytes is too long for filters: 65536 at most"
    );
}

#[test]
fn one_reading_serves_many_filters() {
    let mut scratch = BytesMut::new();
    let data =
        Data::read(&message(Encoding::Json, br#"[{"a":1}]"#), &mut scratch).expect("readable");
    let answers =
        [1, 2].map(|wanted| compile(&format!(r#"{{"a":{wanted}}}"#)).expect("a rule").ask(&data));
    assert_eq!(answers.map(|answer| answer.is_match()), [true, false]);
    assert_eq!(answers[0].steps, answers[1].steps);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// T14 of `docs/design/028-state.md`: whichever serializer the publisher spoke.
    #[test]
    fn a_message_matches_alike_in_all_encodings(rule in random::rule(), first in random::value()) {
        let json = format!("[{first}],{{\"k\":{first}}}");
        let filter = compile(&rule.to_string());
        prop_assume!(filter.is_ok());
        let filter = filter.expect("compiled");
        let wanted = ask(&filter, &message(Encoding::Json, json.as_bytes()));
        for encoding in [Encoding::MsgPack, Encoding::Cbor] {
            let mut payload = BytesMut::new();
            transcode(json.as_bytes(), Encoding::Json, encoding, &mut payload).expect("JSON");
            prop_assert_eq!(ask(&filter, &message(encoding, &payload)), wanted);
        }
    }

    /// Bytes of whatever kind are read or refused.
    #[test]
    fn no_payload_makes_reading_panic(content in 0_u8..6, payload in prop::collection::vec(any::<u8>(), 0..64)) {
        let mut scratch = BytesMut::new();
        if let Ok(data) = Data::read(&message(Content::from_number(content), &payload), &mut scratch) {
            let all = Filter::compile(br#"{"cat":{"var":""}}"#, &Limits::default()).expect("a rule");
            prop_assert!(all.ask(&data).is_match());
            prop_assert!(matches!(data.root(), Value::Dict(_)));
        }
    }
}
