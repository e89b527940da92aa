//! The view: one test a row of its table, then what any messages make of it.

mod limits;
mod matching;
mod naive;
mod once;
mod random;
mod table;

use bytes::Bytes;
use uuid::Uuid;

use vixen_core::id::{Life, OwnerId};
use vixen_core::segment::{
    Attributes, Condition, Content, Encoding, Head, Judged, Member, Put, Record, RecordFlags,
    StateTopic, Topic, When,
};

use super::*;

const REALM: &str = "com.x";
const LIFE: Life = Life { owner: OwnerId(Uuid::from_u128(7)), number: 1 };
const JSON: Content = Content::Arguments(Encoding::Json);

/// A message as it stands in the order.
#[derive(Clone, Debug)]
struct Message {
    topic: String,
    content: Content,
    attributes: Vec<u8>,
    payload: Vec<u8>,
}

impl Message {
    /// Of a key of the realm, with the text of its arguments.
    fn new(key: &str, judged: Judged, payload: &str) -> Self {
        let topic = topic_of(REALM, key);
        let attributes = Attributes { judged: Some(Box::new(judged)), ..Attributes::default() };
        let (attributes, payload) = (attributes.to_bytes(), payload.as_bytes().to_vec());
        Self { topic, content: JSON, attributes, payload }
    }

    fn put(key: &str, head: Head, payload: &str) -> Self {
        Self::new(key, Judged::Put(Put::default(), head), payload)
    }

    fn delete(key: &str, head: Head) -> Self {
        Self::new(key, Judged::Delete(head), "")
    }

    fn member(key: &str, behind: u16, payload: &str) -> Self {
        let member = Member { behind, is_free: false };
        Self::new(key, Judged::MemberPut(Put::default(), member), payload)
    }

    fn apply(&self, state: &mut State, position: u64, at: u64) -> Outcome {
        let record = Record {
            topic: 0,
            content: self.content,
            flags: RecordFlags::EXCLUDE_ME,
            session: 7,
            attributes: &self.attributes,
            payload: &self.payload,
        };
        let outcome = state.apply(Position(position), WallTime(at), &self.topic, &record);
        state.check();
        outcome
    }
}

fn topic_of(realm: &str, key: &str) -> String {
    StateTopic::Key(Topic::new(realm, key)).to_topic().uri.to_string()
}

fn when(is: Condition) -> Head {
    Head { when: vec![When { key: None, is }], ..Head::of_parts(1) }
}

fn of(key: &str, is: Condition) -> When {
    When { key: Some(key.to_owned()), is }
}

fn value(text: &'static str) -> Condition {
    Condition::Value { content: JSON, bytes: Bytes::from_static(text.as_bytes()) }
}

/// A view that gets messages at positions 10, 20, 30 … a second apart.
#[derive(Clone, Default)]
struct Desk {
    state: State,
    position: u64,
    now: u64,
}

impl Desk {
    fn say(&mut self, message: &Message) -> Outcome {
        self.position += 10;
        self.now += 1_000;
        message.apply(&mut self.state, self.position, self.now)
    }

    /// At the position after the last one.
    fn say_next(&mut self, message: &Message) -> Outcome {
        self.position -= 9;
        self.say(message)
    }

    fn put(&mut self, key: &str, payload: &str) -> Outcome {
        self.say(&Message::put(key, Head::of_parts(1), payload))
    }

    /// The version of a key, and the text of its arguments.
    fn get(&self, key: &str) -> Option<(u64, String)> {
        let value = self.state.get(REALM, key)?;
        Some((value.version.0, String::from_utf8_lossy(value.payload()).into_owned()))
    }
}

const ACCEPTED: Outcome = Outcome::Head(Verdict::Accepted);

fn refused(at: u16, found: Found) -> Outcome {
    Outcome::Head(Verdict::Refused(Refusal::Condition { at, found }))
}

fn found(version: u64) -> Found {
    Found::Version(Position(version))
}

fn made(head: u64) -> Outcome {
    Outcome::Member { head: Position(head), is_made: true }
}

fn there(version: u64, payload: &str) -> Option<(u64, String)> {
    Some((version, payload.to_owned()))
}
