//! Events as frames of each serializer.

use vixen_broker::api::SubscriptionId;
use vixen_broker::event::{RouterEvent, Target, build};
use vixen_core::id::{Position, Stamp};
use vixen_core::segment::{Content, Record, RecordFlags, Topic};
use vixen_core::wire::TailSegment;

use super::*;

/// Messages of one topic, for one subscription.
fn batch(messages: &[(Content, &[u8])]) -> EventBatch {
    let mut records = Vec::new();
    for (content, payload) in messages {
        let (topic, flags, session) = (0, RecordFlags::default(), 7);
        Record { topic, content: *content, flags, session, attributes: &[], payload }
            .write_to(&mut records);
    }
    let segment = TailSegment {
        first: Position(10),
        count: u32::try_from(messages.len()).expect("few"),
        stamp: Stamp(5),
        topics: vec![Topic::new("r", "t")],
        offsets: Vec::new(),
        records: records.into(),
    };
    let target = Target { subscription: SubscriptionId(1), names_topic: false };
    build(&segment, &[vec![target]]).batch
}

fn texts(batch: &EventBatch) -> Vec<Option<String>> {
    let frames = frames(batch, Encoding::Json).iter();
    frames.map(|frame| frame.as_ref().map(|frame| frame.to_text().expect("text").into())).collect()
}

#[test]
fn frames_are_made_once_and_share_their_bytes() {
    let json = Encoding::Json.into();
    let batch = batch(&[(json, b"[1]"), (json, b"[1]")]);
    assert!(std::ptr::eq(frames(&batch, Encoding::Json), frames(&batch, Encoding::Json)));
    let lengths = frames(&batch, Encoding::Json).iter().flatten();
    let bytes: usize = lengths.map(|frame| frame.to_text().expect("text").len()).sum();
    assert!(bytes <= batch.bytes(), "the bound of a queue holds");
}

#[test]
fn payloads_of_all_encodings_are_said_as_json_and_what_is_not_text_has_no_frame() {
    let batch = batch(&[
        (Encoding::Json.into(), b"[\"one\"]"),
        (Encoding::Json.into(), b"\xff\xfe"),
        (Encoding::MsgPack.into(), b"\x91\xa1a"),
        (Encoding::Cbor.into(), b"\x81"),
        (Encoding::Cbor.into(), b"\x80\xa1\x61k\xf6"),
    ]);
    let texts = texts(&batch);
    let wanted =
        [Some(r#",["one"]]"#), None, Some(r#"},["a"]]"#), None, Some(r#"},[],{"k":null}]"#)];
    for (text, wanted) in texts.iter().zip(wanted) {
        assert_eq!(text.is_some(), wanted.is_some(), "{texts:?}");
        assert!(
            text.as_deref().is_none_or(|text| text.ends_with(wanted.expect("a text"))),
            "{texts:?}"
        );
    }
    assert_eq!(texts.len(), wanted.len());
}

#[test]
fn events_of_the_router_have_no_details_but_their_topic() {
    let target = |n, names_topic| Target { subscription: SubscriptionId(n), names_topic };
    let event = RouterEvent {
        topic: Topic::new("r", "wamp.session.on_join"),
        about: None,
        publication: 42,
        payload: Bytes::from_static(b"[[]]"),
    };
    let batch = EventBatch::of_router(&event, &[target(1, false), target(2, true)]);
    let wanted = [r"[36,1,42,{},[[]]]", r#"[36,2,42,{"topic":"wamp.session.on_join"},[[]]]"#];
    assert_eq!(texts(&batch), wanted.map(|text| Some(text.to_owned())));
}

/// What a later version wrote costs its own event, and nobody another.
#[test]
fn contents_of_a_later_version_are_left_out_one_by_one() {
    let json = Encoding::Json.into();
    let batch = batch(&[(Content::Later(9), b"[1]"), (Content::Raw, b"[1]"), (json, b"[1]")]);
    for encoding in [Encoding::Json, Encoding::MsgPack, Encoding::Cbor] {
        let is_said: Vec<_> = frames(&batch, encoding).iter().map(Option::is_some).collect();
        assert_eq!(is_said, [false, true, true], "{encoding:?}");
    }
    let raw = texts(&batch)[1].clone().expect("said");
    assert!(raw.ends_with(r#",["\u0000WzFd"]]"#), "{raw}");
}
