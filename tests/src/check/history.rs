//! What happened in a run, as its clients saw it.

use super::IdKey;

/// A whole run, or several. All times are ns of one clock.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// All that published to the topic.
    pub publishers: Vec<Publisher>,
    /// All that subscribed to it.
    pub subscribers: Vec<Subscriber>,
}

/// One session that published.
#[derive(Clone, Debug)]
pub struct Publisher {
    /// The number in its payloads, unique in the run.
    pub id: u32,
    /// Its messages: the one with sequence number n stands at n − 1.
    pub publications: Vec<Publication>,
}

/// One message, as its publisher knows it.
#[derive(Clone, Copy, Debug)]
pub struct Publication {
    /// Not after it left.
    pub sent_ns: u64,
    /// What the broker said.
    pub outcome: Outcome,
}

/// What a publisher knows of a message in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// PUBLISHED: it has this position for ever.
    Acknowledged {
        /// The publication id.
        position: u64,
        /// Not before the answer arrived.
        at_ns: u64,
    },
    /// Refused for what it is: it never appears.
    Refused,
    /// No answer was asked for, or none came, or the broker does not know: once or never.
    Unknown,
}

/// One session that received.
#[derive(Clone, Debug)]
pub struct Subscriber {
    /// For the report.
    pub name: String,
    /// It was owed every message from this position on; 0 when it was there before the first.
    pub from: u64,
    /// In the order of arrival.
    pub events: Vec<Event>,
    /// It was there to the end, so that it must have everything; `false` when its connection
    /// broke: then it must have everything up to its last event.
    pub complete: bool,
    /// Events on the topic whose payload is none that was sent, and the first of them.
    pub damaged: (u64, Option<String>),
}

/// One received message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The publication id.
    pub position: u64,
    /// The permanent id.
    pub id: IdKey,
    /// From the payload.
    pub publisher: u32,
    /// From the payload.
    pub seq: u32,
}
