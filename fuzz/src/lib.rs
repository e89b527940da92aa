//! What is fuzzed: one function a target, which panics when something is wrong. `fuzz_targets/`
//! gives them to libFuzzer, `tests/seeds.rs` to a plain `cargo test` with the seeds.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::Path;

use bytes::{Bytes, BytesMut};
use vixen_core::id::Position;
use vixen_core::payload::scan::Elements;
use vixen_core::payload::{
    PayloadError, as_json, opaque_members, split, transcode, transcode_value,
};
use vixen_core::segment::{
    Attributes, Blob, Content, Encoding, Judged, Receiver, RecordFlags, Records, StateTopic,
};
use vixen_core::time::WallTime;
use vixen_core::wire::{FrameReader, FrameWriter, Greeting, Hello, Message, Welcome};
use vixen_entry::gates::wamp::fuzz::{hello, take_frames};
use vixen_filter::{Data, Filter, Limits};
use vixen_runtime::config::Config;
use vixen_views::record::{Record, Said};
use vixen_views::registrations::Registrations;
use vixen_views::state::{Outcome, State};

const ENCODINGS: [Encoding; 3] = [Encoding::Json, Encoding::MsgPack, Encoding::Cbor];
const BATCHED: [&str; 3] = ["wamp.2.json.batched", "wamp.2.msgpack.batched", "wamp.2.cbor.batched"];

/// A target, and its name.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: [Target; 13] = [
    ("wamp_json", wamp_json),
    ("wamp_msgpack", wamp_msgpack),
    ("wamp_cbor", wamp_cbor),
    ("wamp_batched", wamp_batched),
    ("transcode", transcode_payload),
    ("link_frame", link_frame),
    ("link_hello", link_hello),
    ("segment", segment),
    ("calls_record", calls_record),
    ("calls_checkpoint", calls_checkpoint),
    ("state", state),
    ("config", config),
    ("filter", filter),
];

/// A frame under `wamp.2.json`, as the first one and in an open session.
pub fn wamp_json(data: &[u8]) {
    wamp("wamp.2.json", data);
}

/// A frame under `wamp.2.msgpack`, as the first one and in an open session.
pub fn wamp_msgpack(data: &[u8]) {
    wamp("wamp.2.msgpack", data);
}

/// A frame under `wamp.2.cbor`, as the first one and in an open session.
pub fn wamp_cbor(data: &[u8]) {
    wamp("wamp.2.cbor", data);
}

/// A batch; the first byte tells the serializer.
pub fn wamp_batched(data: &[u8]) {
    let Some((first, batch)) = data.split_first() else { return };
    wamp(BATCHED[usize::from(*first) % BATCHED.len()], batch);
}

fn wamp(subprotocol: &str, data: &[u8]) {
    assert_eq!(take_frames(subprotocol, &[data]), [], "nobody publishes before HELLO");
    for (encoding, payload) in take_frames(subprotocol, &[&hello(subprotocol), data]) {
        for to in ENCODINGS {
            let mut out = BytesMut::new();
            let result = transcode(&payload, encoding, to, &mut out);
            let is_good = matches!(result, Ok(()) | Err(PayloadError::KeyInKey { .. }));
            assert!(is_good, "published, and not to be read: {result:?}");
        }
    }
}

type Convert = fn(&[u8], Encoding, Encoding, &mut BytesMut) -> Result<(), PayloadError>;

/// A payload, from any encoding into any; the first byte tells which.
pub fn transcode_payload(data: &[u8]) {
    let Some((first, payload)) = data.split_first() else { return };
    let (from, to) = (usize::from(*first) % 3, usize::from(*first) / 3 % 3);
    let (from, to) = (ENCODINGS[from], ENCODINGS[to]);
    let _either = Elements::parse(payload, from);
    let _either = split(payload, from);
    let _either = as_json(payload, from, &mut BytesMut::new());
    let _text = opaque_members(payload, from);
    if from == to {
        return;
    }
    let whole = |payload: &[u8], from: Encoding, to: Encoding, out: &mut BytesMut| {
        transcode(payload, from, to, out)
    };
    let both: [Convert; 2] = [whole, transcode_value];
    for convert in both {
        let mut out = BytesMut::from("before");
        match convert(payload, from, to, &mut out) {
            Err(_) => assert_eq!(out, "before", "what failed leaves nothing"),
            Ok(()) => {
                let out = &out["before".len()..];
                // Escapes are the longest: six characters for a byte, and two for a quote in a key.
                assert!(out.len() <= 64 + 24 * payload.len(), "{} of {}", out.len(), payload.len());
                let mut back = BytesMut::new();
                convert(out, to, from, &mut back).expect("what was made can be read");
            }
        }
    }
}

/// Messages on a link: heads and bodies of frames, each after its length in two bytes.
pub fn link_frame(data: &[u8]) {
    let mut reader = FrameReader::default();
    let mut rest = data;
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let length = usize::from(u16::from_le_bytes(*length)).min(after.len());
        let (part, after) = after.split_at(length);
        rest = after;
        match reader.take(Bytes::copy_from_slice(part)) {
            Ok(Some(messages)) => again(messages),
            Ok(None) => {}
            Err(_ends_the_link) => return,
        }
    }
}

/// What was read is written and read the same.
fn again(messages: Vec<Message>) {
    let mut writer = FrameWriter::default();
    for message in &messages {
        // What a node does with all of them.
        assert!(message.queued_bytes() > 0 && !message.name().is_empty());
        writer.push(message.clone());
    }
    let mut reader = FrameReader::default();
    let read: Vec<_> =
        writer.take().filter_map(|part| reader.take(part).expect("was written")).collect();
    assert_eq!(read, [messages]);
}

/// A word of the HELLO between nodes; the first byte tells which.
pub fn link_hello(data: &[u8]) {
    fn word<T: serde::de::DeserializeOwned + serde::Serialize + PartialEq + Debug>(data: &[u8]) {
        let Ok(word) = postcard::from_bytes::<T>(data) else { return };
        let again = postcard::to_stdvec(&word).expect("it has a form");
        assert_eq!(postcard::from_bytes::<T>(&again).as_ref(), Ok(&word));
    }
    let Some((first, data)) = data.split_first() else { return };
    match first % 3 {
        0 => word::<Greeting>(data),
        1 => word::<Hello>(data),
        _ => word::<Welcome>(data),
    }
}

/// The bytes of a segment, its records, and their attributes; the first byte tells which.
pub fn segment(data: &[u8]) {
    let Some((first, data)) = data.split_first() else { return };
    match first % 3 {
        0 => {
            let blob = Blob::from_bytes(Bytes::copy_from_slice(data));
            let Ok((topics, packed)) = blob.open() else { return };
            let again = Blob::assemble(&topics, &[&packed]);
            assert_eq!(again.open(), Ok((topics, packed.clone())));
            records(&packed);
        }
        1 => records(data),
        _ => attributes(data),
    }
}

fn records(packed: &[u8]) {
    let mut reader = Records::new(packed);
    let mut again = Vec::new();
    for record in reader.by_ref() {
        attributes(record.attributes);
        record.write_to(&mut again);
    }
    assert!(packed.starts_with(&again), "a record is written as it was read");
    assert_eq!(reader.is_complete(), packed.len() == again.len());
}

fn attributes(bytes: &[u8]) {
    let Ok(attributes) = Attributes::from_bytes(bytes) else { return };
    assert_eq!(Attributes::from_bytes(&attributes.to_bytes()).as_ref(), Ok(&attributes));
    let _either = attributes.admit(&Receiver { session: 1, authid: "a", authrole: "b" });
}

/// Messages of realm `#calls`, each after its topic in a byte and its length in two.
pub fn calls_messages(mut data: &[u8]) -> Vec<(&'static str, &[u8])> {
    const TOPICS: [&str; 5] = ["lives", "checkpoint", "realm.r", "realm.", "waits"];
    let mut messages = Vec::new();
    while let Some(([topic, low, high], rest)) = data.split_first_chunk::<3>() {
        let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, rest) = rest.split_at(length);
        data = rest;
        messages.push((TOPICS[usize::from(*topic) % TOPICS.len()], payload));
    }
    messages
}

/// What a view makes of messages.
pub fn calls_record(data: &[u8]) {
    let mut view = Registrations::new();
    let mut position = Position(0);
    for (topic, payload) in calls_messages(data) {
        position = position.plus(1);
        if let Ok(record) = Record::read(topic, payload) {
            assert_eq!(record.topic().uri.as_ref(), topic);
            assert_eq!(record.to_bytes(), payload, "a record has one form");
        }
        let _any = view.apply_message(position, WallTime(position.0 * 20_000), topic, payload);
        view.check();
    }
}

/// A record that is a checkpoint in one part.
pub fn calls_checkpoint(data: &[u8]) {
    let Ok(Record { said: Said::Checkpoint(part), .. }) = Record::read("checkpoint", data) else {
        return;
    };
    let state = part.state.clone();
    let Ok(view) = Registrations::restore(&[part]) else { return };
    view.check();
    let written: Vec<_> = view.checkpoint().into_iter().flat_map(|part| part.state).collect();
    assert_eq!(written, state, "a view has one form");
}

/// A message of realm `#state`.
pub struct StateMessage<'a> {
    /// Its topic.
    pub topic: &'static str,
    /// What the payload is.
    pub content: Content,
    /// As they are stored.
    pub attributes: &'a [u8],
    /// As it is stored.
    pub payload: &'a [u8],
}

/// Messages of realm `#state`: topic and content in a byte, then attributes and payload, each with its length in a
/// byte before it.
pub fn state_messages(mut data: &[u8]) -> Vec<StateMessage<'_>> {
    const TOPICS: [&str; 8] =
        ["k.r.a", "k.r.b", "k.s.a", "k.%2a.a", "k.*.a", "o.r", "v.lives", "waits"];
    let mut messages = Vec::new();
    while let Some((first, rest)) = data.split_first() {
        let (attributes, rest) = after_its_length(rest);
        let (payload, rest) = after_its_length(rest);
        data = rest;
        let topic = TOPICS[usize::from(first % 8)];
        let content = Content::from_number(first / 8);
        messages.push(StateMessage { topic, content, attributes, payload });
    }
    messages
}

fn after_its_length(data: &[u8]) -> (&[u8], &[u8]) {
    let Some((length, rest)) = data.split_first() else { return (&[], &[]) };
    rest.split_at(usize::from(*length).min(rest.len()))
}

/// What a view of keys makes of messages.
pub fn state(data: &[u8]) {
    let _any = state_outcomes(data);
}

/// The same, and what became of each.
pub fn state_outcomes(data: &[u8]) -> Vec<Outcome> {
    let mut view = State::new();
    let mut position = Position(0);
    let mut outcomes = Vec::new();
    for StateMessage { topic, content, attributes, payload } in state_messages(data) {
        position = position.plus(1);
        if let Some(known) = StateTopic::of(topic) {
            assert_eq!(known.to_topic().uri.as_ref(), topic, "a topic has one form");
        }
        if let Ok((Some(bytes), _)) = Attributes::take_judged(attributes)
            && let Ok(judged) = Judged::from_bytes(bytes)
        {
            assert_eq!(judged.to_bytes(), bytes, "what is judged has one form");
        }
        let flags = RecordFlags::default();
        let record = vixen_core::segment::Record {
            topic: 0,
            content,
            flags,
            session: 7,
            attributes,
            payload,
        };
        outcomes.push(view.apply(position, WallTime(position.0 * 1_000), topic, &record));
        view.check();
    }
    outcomes
}

/// A configuration file.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // It would be opened, and there are files that never end.
    if text.contains("file") {
        return;
    }
    if let Err(error) = Config::parse(text, Path::new("fuzz.toml"), &BTreeMap::new()) {
        assert!(error.to_string().contains("fuzz.toml"), "{error}");
    }
}

/// A filter and a message, as [`filter`] takes them: what the payload is in a byte, the length of the filter in two, the
/// filter, the payload.
pub fn filter_and_message(data: &[u8]) -> Option<(&[u8], vixen_filter::Message<'_>)> {
    let ([content, low, high], rest) = data.split_first_chunk::<3>()?;
    let length = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
    let (rule, payload) = rest.split_at(length);
    let publisher = vixen_filter::Publisher { session: 1, authid: "a", authrole: "b" };
    let message = vixen_filter::Message {
        topic: "a.b",
        position: Position(7),
        time: WallTime(1_700_000_000_000),
        publisher: Some(publisher),
        content: Content::from_number(content % 6),
        payload,
    };
    Some((rule, message))
}

/// A filter, asked about a message.
pub fn filter(data: &[u8]) {
    let Some((rule, message)) = filter_and_message(data) else { return };
    let limits = Limits::default();
    let mut scratch = BytesMut::new();
    let data = Data::read(&message, &mut scratch);
    let Ok(filter) = Filter::compile(rule, &limits) else { return };
    let longer = Limits { bytes: usize::MAX, ..limits };
    let again = Filter::compile(filter.rule().as_bytes(), &longer).expect("as it was told");
    assert_eq!(again.rule(), filter.rule(), "a filter has one form");
    let Ok(data) = data else { return };
    let answer = filter.ask(&data);
    assert!(answer.steps <= limits.steps);
    assert_eq!(again.ask(&data), answer);
}
