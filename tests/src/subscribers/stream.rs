//! What one subscription got over all the sessions that it had.

use serde_json::Value;

use crate::check::{Event, IdKey, Subscriber};
use crate::client::Payload;
use crate::load::LoadOptions;

/// Which of the topics of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them, by a prefix.
    All,
    /// The one with this turn, exactly.
    Topic(usize),
}

/// The events of a subscription, in the order of arrival, and where to go on.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) wanted: Wanted,
    /// Of the load, in the order of turns.
    topics: Vec<String>,
    payload_bytes: usize,
    pub(crate) events: Vec<Event>,
    damaged: (u64, Option<String>),
}

impl Stream {
    pub(crate) const fn new(wanted: Wanted, topics: Vec<String>, payload_bytes: usize) -> Self {
        Self { wanted, topics, payload_bytes, events: Vec::new(), damaged: (0, None) }
    }

    /// The position of the last event; 0 before the first.
    pub(crate) fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }

    /// Options and topic of a SUBSCRIBE that goes on where this stands.
    pub(crate) fn subscribe(&self, by_id: bool) -> String {
        let after = match self.events.last() {
            None => "0".to_owned(),
            Some(last) if by_id => format!("\"{}\"", last.id),
            Some(last) => last.position.to_string(),
        };
        match self.wanted {
            Wanted::All => {
                // All names begin with the topic and a dot.
                let prefix = self.topics[0].trim_end_matches(|c: char| c.is_ascii_digit());
                format!(r#"{{"match":"prefix","after":{after}}},"{prefix}""#)
            }
            Wanted::Topic(turn) => format!(r#"{{"after":{after}}},"{}""#, self.topics[turn]),
        }
    }

    /// Takes an EVENT; `text` is all of it.
    pub(crate) fn take(&mut self, position: u64, details: &[u8], payload: &[u8], text: &[u8]) {
        if let Some(event) = self.read(position, details, payload) {
            self.events.push(event);
        } else {
            self.damaged.0 += 1;
            self.damaged.1.get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
        }
    }

    /// `None` when anything about it is not as it must be.
    fn read(&self, position: u64, details: &[u8], payload: &[u8]) -> Option<Event> {
        let content =
            Payload::parse_args(payload).filter(|_| payload.len() == self.payload_bytes)?;
        let turn = LoadOptions::turn(self.topics.len(), content.seq);
        let details: Value = serde_json::from_slice(details).ok()?;
        let topic = match self.wanted {
            Wanted::All => Some(self.topics[turn].as_str()),
            Wanted::Topic(wanted) if wanted == turn => None,
            Wanted::Topic(_) => return None,
        };
        let is_good = details["topic"].as_str() == topic
            && details["position"].as_u64() == Some(position)
            && details["time"].is_string();
        let id = IdKey::new(details["id"].as_str()?.as_bytes()).filter(|_| is_good)?;
        Some(Event { position, id, publisher: content.publisher, seq: content.seq })
    }

    /// For the checker.
    pub(crate) fn into_subscriber(self, name: String) -> Subscriber {
        Subscriber { name, from: 0, events: self.events, complete: true, damaged: self.damaged }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(wanted: Wanted) -> Stream {
        let topics = (0..2).map(|number| format!("a.b.{number}")).collect();
        Stream::new(wanted, topics, 48)
    }

    fn args(seq: u32) -> Vec<u8> {
        let mut args = Vec::new();
        Payload { publisher: 1, seq, sent_ns: 3 }.write_args(48, &mut args);
        args
    }

    #[test]
    fn a_stream_goes_on_after_its_last_event() {
        let mut all = stream(Wanted::All);
        assert_eq!(all.subscribe(true), r#"{"match":"prefix","after":0},"a.b.""#);
        let details = br#"{"id":"2611a0a0","position":7,"time":"t","topic":"a.b.1"}"#;
        all.take(7, details, &args(3), b"text");
        assert_eq!((all.last(), all.damaged.0), (7, 0));
        assert_eq!(all.subscribe(false), r#"{"match":"prefix","after":7},"a.b.""#);
        assert_eq!(all.subscribe(true), r#"{"match":"prefix","after":"2611a0a0"},"a.b.""#);
        assert_eq!(stream(Wanted::Topic(1)).subscribe(false), r#"{"after":0},"a.b.1""#);
    }

    #[test]
    fn an_event_with_anything_wrong_is_damaged() {
        let good = r#"{"id":"2611a0a0","position":7,"time":"t","topic":"a.b.1"}"#;
        let with = |from: &str, to: &str| good.replace(from, to);
        for bad in [
            with("a.b.1", "a.b.0"),
            with("7", "8"),
            with(r#","time":"t""#, ""),
            with("2611a0a0", "-"),
            with(r#","topic":"a.b.1""#, ""),
        ] {
            let mut all = stream(Wanted::All);
            all.take(7, bad.as_bytes(), &args(3), b"text");
            assert_eq!((all.last(), all.damaged), (0, (1, Some("text".to_owned()))), "{bad}");
        }
        // Of another topic; and a topic that an exact subscription has no need of.
        let bare = with(r#","topic":"a.b.1""#, "");
        for (turn, details, is_good) in [(0, &bare, false), (1, &bare, true)] {
            let mut exact = stream(Wanted::Topic(turn));
            exact.take(7, details.as_bytes(), &args(3), b"text");
            assert_eq!(exact.events.len(), usize::from(is_good));
        }
    }
}
