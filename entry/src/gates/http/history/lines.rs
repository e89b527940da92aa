//! Stored messages as lines of JSON.
//!
//! ```text
//! {"position":12,"id":"…","time":"…","topic":"a.b","args":[…],"kwargs":{…}}
//! ```
//! `args` and `kwargs` are the publisher's own text, or made of its MessagePack or CBOR; they are
//! left out when it gave none, and `session` when it is not known. A message of whose payload no
//! JSON can be made has `"malformed":true,"encoding":"…","base64":"…"` instead: no position is left
//! out silently.

use bytes::{BufMut, BytesMut};
use jiff::Timestamp;

use vixen_broker::history::Direction;
use vixen_core::id::{PermanentId, Stamp};
use vixen_core::payload;
use vixen_core::segment::{Attributes, Receiver, Record, Records, Topic};
use vixen_core::wire::TailSegment;

use crate::gates::http::object::put_passthru;
use crate::text::put_key;
use crate::text::{put_decimal, put_string};

/// Most bytes of a line beside its topic and payload.
const LINE_OVERHEAD_BYTES: usize = 192;

/// Appends the messages of a segment that are for the reader, a line each, in the direction. Stops at
/// the first record that cannot be read.
pub(super) fn append(
    out: &mut BytesMut,
    segment: &TailSegment,
    direction: Direction,
    reader: &Receiver<'_>,
) {
    let mut encoder = LineEncoder::new(segment, *reader);
    let records = Records::new(&segment.records);
    match direction {
        Direction::Forward => {
            for (index, record) in records.enumerate() {
                encoder.line(out, index, &record);
            }
        }
        Direction::Backward => {
            let records: Vec<_> = records.collect();
            for (index, record) in records.iter().enumerate().rev() {
                encoder.line(out, index, record);
            }
        }
    }
}

/// What the lines of one segment have in common.
struct LineEncoder<'a> {
    segment: &'a TailSegment,
    reader: Receiver<'a>,
    /// `,"id":"` and the permanent id up to the key of the offset.
    before_offset: String,
    /// `","time":"…","topic":`
    after_offset: String,
    /// The last topic, as JSON: runs of one topic are the common case.
    topic: Option<u16>,
    topic_text: Vec<u8>,
    /// Payloads that are not JSON, as JSON.
    scratch: BytesMut,
}

impl<'a> LineEncoder<'a> {
    fn new(segment: &'a TailSegment, reader: Receiver<'a>) -> Self {
        let id = PermanentId { stamp: segment.stamp, offset: 0 }.to_string();
        let stamp_part = id.strip_suffix("a0").unwrap_or(&id);
        Self {
            segment,
            reader,
            before_offset: format!(",\"id\":\"{stamp_part}"),
            after_offset: format!("\",\"time\":\"{:.3}\",\"topic\":", timestamp(segment.stamp)),
            topic: None,
            topic_text: Vec::new(),
            scratch: BytesMut::new(),
        }
    }

    fn line(&mut self, out: &mut BytesMut, index: usize, record: &Record<'_>) {
        // One that cannot be read might say who may see it: nobody does.
        let Ok(attributes) = Attributes::from_bytes(record.attributes) else { return };
        if !attributes.admit(&self.reader) {
            return;
        }
        let offsets = &self.segment.offsets;
        let all = || u32::try_from(index).unwrap_or(u32::MAX);
        let offset = offsets.get(index).copied().unwrap_or_else(all);
        if self.topic != Some(record.topic) {
            self.take_topic(record.topic);
        }
        out.reserve(LINE_OVERHEAD_BYTES + self.topic_text.len() + record.payload.len());
        out.put_slice(b"{\"position\":");
        put_decimal(out, self.segment.first.plus(offset).0);
        out.put_slice(self.before_offset.as_bytes());
        put_key(out, offset);
        out.put_slice(self.after_offset.as_bytes());
        out.put_slice(&self.topic_text);
        if let Some(publisher) = &attributes.publisher {
            out.put_slice(b",\"publisher\":");
            put_decimal(out, record.session);
            out.put_slice(b",\"publisher_authid\":");
            put_string(out, &publisher.authid);
            out.put_slice(b",\"publisher_authrole\":");
            put_string(out, &publisher.authrole);
        }
        put_passthru(out, attributes.passthru.as_deref());
        put_payload(out, record, &mut self.scratch);
        out.put_slice(b"}\n");
    }

    fn take_topic(&mut self, index: u16) {
        let uri = self.segment.topics.get(usize::from(index)).map_or("", topic_uri);
        self.topic = Some(index);
        self.topic_text.clear();
        // Writing a string to a growing buffer has no way to fail.
        let _infallible = serde_json::to_writer(&mut self.topic_text, uri);
    }
}

fn topic_uri(topic: &Topic) -> &str {
    &topic.uri
}

fn timestamp(stamp: Stamp) -> Timestamp {
    // Stamps hold 42 bits of milliseconds: always within the calendar's range.
    let ms = i64::try_from(stamp.wall_time().0).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// Appends the members of a payload.
fn put_payload(out: &mut BytesMut, record: &Record<'_>, scratch: &mut BytesMut) {
    let Ok((args, kwargs)) = payload::as_json(record.payload, record.content, scratch) else {
        out.put_slice(b",\"malformed\":true,");
        out.put_slice(payload::opaque_members(record.payload, record.content).as_bytes());
        return;
    };
    if let Some(args) = args {
        out.put_slice(b",\"args\":");
        put_on_one_line(out, args);
    }
    if let Some(kwargs) = kwargs {
        out.put_slice(b",\"kwargs\":");
        put_on_one_line(out, kwargs);
    }
}

/// Appends JSON text. A line break in it is white space between tokens, for within strings it is
/// escaped, and would end the line.
fn put_on_one_line(out: &mut BytesMut, text: &[u8]) {
    let start = out.len();
    out.put_slice(text);
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    // `contains` searches by the word.
    if text.contains(&b'\n') || text.contains(&b'\r') {
        out[start..].iter_mut().filter(|byte| is_break(byte)).for_each(|byte| *byte = b' ');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use vixen_core::id::Position;
    use vixen_core::segment::{Audience, Encoding, Publisher, RecordFlags};

    use super::*;

    /// 2026-11-21T10:00:00.123Z, by a node of lane 0.
    const STAMP: Stamp = Stamp((1_795_255_200_123 - 1_577_836_800_000) << 22);

    fn segment(topics: &[&str], messages: &[(u16, u64, &[u8])]) -> TailSegment {
        let mut records = Vec::new();
        for (topic, session, payload) in messages {
            let (topic, session, content) = (*topic, *session, Encoding::Json.into());
            let flags = RecordFlags::default();
            Record { topic, content, flags, session, attributes: &[], payload }
                .write_to(&mut records);
        }
        TailSegment {
            first: Position(10),
            count: 1_000,
            stamp: STAMP,
            topics: topics.iter().map(|uri| Topic::new("r", uri)).collect(),
            offsets: (0..).map(|n| n * 3).take(messages.len()).collect(),
            records: records.into(),
        }
    }

    const READER: Receiver<'_> = Receiver { session: 1, authid: "joe", authrole: "user" };

    fn lines(segment: &TailSegment, direction: Direction) -> Vec<String> {
        let mut out = BytesMut::new();
        append(&mut out, segment, direction, &READER);
        let text = String::from_utf8(out.to_vec()).expect("text");
        assert!(text.is_empty() || text.ends_with('\n'));
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn golden_lines() {
        let messages: [(u16, u64, &[u8]); 4] =
            [(0, 7, b"[1]"), (0, 0, b""), (1, 7, b"[],{\"a\":1e400}"), (1, 7, b"[\"\xff\"]")];
        let segment = segment(&["a.b", "q\"t"], &messages);
        let id = |offset| PermanentId { stamp: STAMP, offset }.to_string();
        let time = "2026-11-21T10:00:00.123Z";
        let wanted = [
            format!(
                r#"{{"position":10,"id":"{}","time":"{time}","topic":"a.b","args":[1]}}"#,
                id(0)
            ),
            format!(r#"{{"position":13,"id":"{}","time":"{time}","topic":"a.b"}}"#, id(3)),
            format!(
                r#"{{"position":16,"id":"{}","time":"{time}","topic":"q\"t","args":[],"kwargs":{{"a":1e400}}}}"#,
                id(6)
            ),
            format!(
                r#"{{"position":19,"id":"{}","time":"{time}","topic":"q\"t","malformed":true,"encoding":"json","base64":"WyL/Il0="}}"#,
                id(9)
            ),
        ];
        assert_eq!(lines(&segment, Direction::Forward), wanted);
        let backward: Vec<_> = wanted.into_iter().rev().collect();
        assert_eq!(lines(&segment, Direction::Backward), backward);
    }

    #[test]
    fn only_those_it_is_for_see_a_message_and_only_a_disclosed_publisher() {
        let publisher = Publisher { authid: "jane".to_owned(), authrole: "user".to_owned() };
        let disclosed = Attributes { publisher: Some(publisher), ..Attributes::default() };
        let exclude = Audience { authids: vec!["joe".to_owned()], ..Audience::default() };
        let excluded = Attributes { exclude, ..Attributes::default() };
        let mut segment = segment(&["t"], &[]);
        let mut records = Vec::new();
        for attributes in [disclosed.to_bytes(), excluded.to_bytes(), vec![0xff], Vec::new()] {
            Record {
                topic: 0,
                content: Encoding::Json.into(),
                flags: RecordFlags::default(),
                session: 7,
                attributes: &attributes,
                payload: b"[]",
            }
            .write_to(&mut records);
        }
        (segment.records, segment.offsets) = (records.into(), Vec::new());
        let lines = lines(&segment, Direction::Forward);
        let members: Vec<_> =
            lines.iter().map(|line| line.split_once(r#""t""#).expect("a topic").1).collect();
        let disclosed = r#","publisher":7,"publisher_authid":"jane","publisher_authrole":"user""#;
        assert_eq!(members, [&format!("{disclosed},\"args\":[]}}"), ",\"args\":[]}"]);
    }

    #[test]
    fn payloads_of_other_encodings_are_shown_as_json() {
        let mut segment = segment(&["t"], &[]);
        let mut records = Vec::new();
        let payloads: [(Encoding, &[u8]); 4] = [
            (Encoding::MsgPack, b"\x91\xa1a\x81\xa1k\xc4\x01\x01"),
            (Encoding::Cbor, b"\x9f\x01\xff"),
            (Encoding::Cbor, b""),
            (Encoding::Cbor, b"\x9f\x01"),
        ];
        for (encoding, payload) in payloads {
            let content = encoding.into();
            let (topic, flags, session, attributes) = (0, RecordFlags::default(), 1, &[][..]);
            Record { topic, content, flags, session, attributes, payload }.write_to(&mut records);
        }
        segment.records = records.into();
        let members: Vec<_> = lines(&segment, Direction::Forward)
            .iter()
            .map(|line| line.split_once(r#""topic":"t""#).expect("a topic").1.to_owned())
            .collect();
        assert_eq!(
            members,
            [
                r#","args":["a"],"kwargs":{"k":"\u0000AQ=="}}"#,
                r#","args":[1]}"#,
                "}",
                r#","malformed":true,"encoding":"cbor","base64":"nwE="}"#,
            ]
        );
    }

    #[test]
    fn a_payload_of_several_lines_is_one_line() {
        let segment = segment(&["t"], &[(0, 1, b"[1,\r\n\"a\\nb\"]\n,\n{\"k\":\n[{}]}")]);
        let line: Value =
            serde_json::from_str(&lines(&segment, Direction::Forward)[0]).expect("JSON");
        assert_eq!((&line["args"], &line["kwargs"]), (&json!([1, "a\nb"]), &json!({"k": [{}]})));
    }

    #[test]
    fn a_payload_that_is_not_args_is_told_and_breaks_no_line() {
        for bad in ["1", "{}", "[1", "[1]]", "[]{}", "[],{}}", "[\"],{}", "[}"] {
            let segment = segment(&["t"], &[(0, 1, bad.as_bytes()), (0, 1, b"[]")]);
            let lines = lines(&segment, Direction::Forward);
            assert_eq!(lines.len(), 2, "{bad}");
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[\\PC\\n\"\\\\\\[\\]{},]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[\\PC\"]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn a_line_is_the_json_of_its_message(
            args in proptest::collection::vec(json(), 0..4),
            kwargs in proptest::option::of(
                proptest::collection::btree_map("\\PC{0,4}", json(), 0..3)
            ),
            topic in "\\PC{0,12}", session in 1u64..1 << 53, is_pretty: bool,
        ) {
            let text = |value: &Value| {
                if is_pretty { format!("{value:#}") } else { value.to_string() }
            };
            let args = Value::from(args);
            let mut payload = text(&args);
            let kwargs = kwargs.map(|map| Value::Object(map.into_iter().collect()));
            if let Some(kwargs) = &kwargs {
                payload = format!("{payload} , {}", text(kwargs));
            }
            let segment = segment(&[&topic], &[(0, session, payload.as_bytes())]);
            let lines = lines(&segment, Direction::Forward);
            prop_assert_eq!(lines.len(), 1);
            let parsed: Value = serde_json::from_str(&lines[0]).expect("JSON");
            let mut wanted = json!({
                "position": 10,
                "id": PermanentId { stamp: STAMP, offset: 0 }.to_string(),
                "time": "2026-11-21T10:00:00.123Z",
                "topic": topic,
                "args": args,
            });
            if let Some(kwargs) = kwargs {
                wanted["kwargs"] = kwargs;
            }
            prop_assert_eq!(parsed, wanted);
        }
    }

    #[test]
    #[ignore = "prints how fast lines are made; for --release"]
    fn lines_a_second() {
        let payload: &[u8] =
            br#"[{"price":101.25,"symbol":"ACME","size":300,"note":"a typical one"}]"#;
        for count in [1, 16, 1_000] {
            let mut segment =
                segment(&["com.example.ticks"], &vec![(0, 77_777_777, payload); count]);
            segment.offsets.clear();
            let mut out = BytesMut::new();
            let start = std::time::Instant::now();
            let rounds = 2_000_000 / count;
            for _round in 0..rounds {
                append(&mut out, &segment, Direction::Forward, &READER);
                if out.len() >= super::super::CHUNK_BYTES {
                    drop(out.split().freeze());
                }
            }
            let rate = (rounds * count) as f64 / start.elapsed().as_secs_f64();
            println!("{count} messages a segment: {rate:.0} lines/s");
        }
    }
}
