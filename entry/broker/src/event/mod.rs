//! Events: canonical messages as their subscribers get them.
//!
//! ```text
//! segment --build--> EventBatch --made_once(form)--> what a gate writes
//!                     (shared)     (by the first session that needs that form)
//! ```
//! A batch is made once for all sessions. Each takes the events of its own subscriptions that are
//! meant for it; what gates make of it, frames for instance, is kept with it and shared.

#[cfg(test)]
mod tests;

use std::any::Any;
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use vixen_core::id::{PermanentId, Position, Stamp};
use vixen_core::segment::{
    Attributes, AttributesError, Content, Encoding, Passthru, Publisher, Receiver, RecordFlags,
    Records, Topic, TopicPattern,
};
use vixen_core::wire::TailSegment;

use crate::api::{SessionId, SubscriptionId};

/// Bytes of an event beside its payload, about: it is not made yet when it is counted.
pub const EVENT_OVERHEAD_BYTES: usize = 160;

/// Payloads that are at least this part of their segment share it with its other readers.
const SHARED_PART: (usize, usize) = (3, 4);

/// A subscription that has a topic, and what its events need to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Whose subscribers get the event.
    pub subscription: SubscriptionId,
    /// Whether the event says which topic it is of: a pattern has many.
    pub names_topic: bool,
}

/// One message for the subscribers of one subscription.
#[derive(Clone, Debug)]
pub struct Event {
    /// Whose subscribers get it.
    pub subscription: SubscriptionId,
    /// Where it stands. Events that are not stored have a random number.
    pub position: Position,
    /// Its place in the segment.
    pub offset: u32,
    /// The publisher.
    pub publisher: SessionId,
    /// It is not for its own publisher.
    pub excludes_publisher: bool,
    /// What came with the message.
    pub attributes: Option<Arc<Attributes>>,
    /// As they are stored: lists of receivers may be long.
    pub attributes_bytes: usize,
    /// Its topic, where the subscription has several.
    pub topic: Option<Topic>,
    /// What the payload is.
    pub content: Content,
    /// As it was published.
    pub payload: Bytes,
}

impl Event {
    /// Whether it is meant for this session: its publisher may have excluded it.
    #[must_use]
    pub fn is_for(&self, receiver: &Receiver<'_>) -> bool {
        let is_own = self.publisher.0 == receiver.session;
        !(is_own && self.excludes_publisher)
            && self.attributes.as_ref().is_none_or(|attributes| attributes.admit(receiver))
    }

    /// The publisher, as far as subscribers may know.
    #[must_use]
    pub fn disclosed(&self) -> Option<&Publisher> {
        self.attributes.as_ref()?.publisher.as_ref()
    }

    /// How its payload is packed, where that is for its subscribers alone to know.
    #[must_use]
    pub fn passthru(&self) -> Option<&Passthru> {
        self.attributes.as_ref()?.passthru.as_deref()
    }
}

/// Forms that gates make of a batch, a number each, below [`FORMS`]: which is whose is theirs to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Form(u8);

/// Number of forms there may be.
pub const FORMS: usize = 4;

impl Form {
    /// The form with this number.
    ///
    /// # Panics
    /// There is none: in a constant, which does not compile then.
    #[must_use]
    pub const fn new(number: u8) -> Self {
        assert!((number as usize) < FORMS, "as many as there are");
        Self(number)
    }
}

/// What the router itself has to say: not stored, so it has no place.
#[derive(Clone, Debug)]
pub struct RouterEvent {
    /// Of those reserved for routers.
    pub topic: Topic,
    /// What it tells of beside its own topic.
    pub about: Option<About>,
    /// Any number that no position is.
    pub publication: u64,
    /// Arguments as JSON.
    pub payload: Bytes,
}

/// What an event of the router tells of: it is for those who may have to do with all of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// Topics: for those who may subscribe them.
    Topics(TopicPattern),
    /// Procedures: for those who may call them.
    Procedures(TopicPattern),
}

/// Canonical messages of one segment that somebody has subscribed, in order.
#[derive(Debug)]
pub struct EventBatch {
    /// `None`: they are not stored.
    stamp: Option<Stamp>,
    about: Option<About>,
    events: Vec<Event>,
    /// What it counts in queues.
    bytes: usize,
    made: [OnceLock<Box<dyn Any + Send + Sync>>; FORMS],
}

/// What became of a segment.
#[derive(Debug)]
pub struct Built {
    /// In the order of positions.
    pub batch: EventBatch,
    /// For each topic of the table, whether an event is of it.
    pub hit: Vec<bool>,
    /// Whether the segment could not be read to its end.
    pub is_malformed: bool,
    /// Messages left out: a later version wrote what this one has to know.
    pub left_out: usize,
}

/// Makes the events of `segment`, where `targets` are the subscriptions of each topic of its table.
#[must_use]
pub fn build(segment: &TailSegment, targets: &[Vec<Target>]) -> Built {
    let mut events = Vec::new();
    let mut hit = vec![false; targets.len()];
    let (mut is_malformed, mut left_out) = (false, 0);
    let mut records = Records::new(&segment.records);
    for (index, record) in records.by_ref().enumerate() {
        let topic = usize::from(record.topic);
        let offset = offset_of(segment, index);
        let (Some(offset), Some(targets)) = (offset, targets.get(topic)) else {
            is_malformed = true;
            break;
        };
        let Some((last, others)) = targets.split_last() else { continue };
        let attributes = match attributes_of(record.attributes) {
            Ok(attributes) => attributes,
            Err(AttributesError::Malformed) => {
                is_malformed = true;
                break;
            }
            // It might say who may see it: nobody does.
            Err(AttributesError::Unknown(_)) => {
                left_out += 1;
                continue;
            }
        };
        hit[topic] = true;
        let event = |target: &Target| Event {
            subscription: target.subscription,
            position: segment.first.plus(offset),
            offset,
            publisher: SessionId(record.session),
            excludes_publisher: record.flags.contains(RecordFlags::EXCLUDE_ME),
            attributes: attributes.clone(),
            attributes_bytes: record.attributes.len(),
            topic: segment.topics.get(topic).filter(|_| target.names_topic).cloned(),
            content: record.content,
            payload: segment.records.slice_ref(record.payload),
        };
        events.extend(others.iter().map(event));
        events.push(event(last));
    }
    is_malformed |= !records.is_complete();
    let held_bytes = hold(&mut events, segment.records.len());
    let mut batch = EventBatch::new(Some(segment.stamp), events);
    batch.bytes = batch.bytes.max(held_bytes);
    Built { batch, hit, is_malformed, left_out }
}

/// Copies payloads out of the segment where they are no large part of it: a slice holds all of it,
/// for as long as the slowest subscriber. The bytes that are held from now on.
fn hold(events: &mut [Event], segment_bytes: usize) -> usize {
    // The events of one message follow each other and share its payload.
    let shares =
        |at: usize| at > 0 && events[at - 1].payload.as_ptr() == events[at].payload.as_ptr();
    let is_shared: Vec<bool> = (0..events.len()).map(shares).collect();
    let own = is_shared.iter().zip(&*events).filter(|(is_shared, _)| !**is_shared);
    let used: usize = own.map(|(_, event)| event.payload.len()).sum();
    let (part, whole) = SHARED_PART;
    if used.saturating_mul(whole) >= segment_bytes.saturating_mul(part) {
        return segment_bytes;
    }
    let mut copy = BytesMut::with_capacity(used);
    let ranges = is_shared.iter().zip(&*events).map(|(is_shared, event)| {
        if !is_shared {
            copy.extend_from_slice(&event.payload);
        }
        copy.len() - event.payload.len()..copy.len()
    });
    let ranges: Vec<_> = ranges.collect();
    let copy = copy.freeze();
    for (event, range) in events.iter_mut().zip(ranges) {
        event.payload = copy.slice(range);
    }
    used
}

fn attributes_of(bytes: &[u8]) -> Result<Option<Arc<Attributes>>, AttributesError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    Attributes::from_bytes(bytes).map(|attributes| Some(Arc::new(attributes)))
}

/// The offset of the record at `index`; `None` when the segment does not say.
fn offset_of(segment: &TailSegment, index: usize) -> Option<u32> {
    let offset = if segment.offsets.is_empty() {
        u32::try_from(index).ok()?
    } else {
        *segment.offsets.get(index)?
    };
    (offset < segment.count).then_some(offset)
}

impl EventBatch {
    fn new(stamp: Option<Stamp>, events: Vec<Event>) -> Self {
        let bytes_of =
            |event: &Event| EVENT_OVERHEAD_BYTES + event.attributes_bytes + event.payload.len();
        let bytes = events.iter().map(bytes_of).sum();
        Self { stamp, about: None, events, bytes, made: Default::default() }
    }

    /// An event of the router itself.
    #[must_use]
    pub fn of_router(router: &RouterEvent, targets: &[Target]) -> Self {
        let events = targets.iter().map(|target| Event {
            subscription: target.subscription,
            position: Position(router.publication),
            offset: 0,
            publisher: SessionId(0),
            excludes_publisher: false,
            attributes: None,
            attributes_bytes: 0,
            topic: target.names_topic.then(|| router.topic.clone()),
            content: Encoding::Json.into(),
            payload: router.payload.clone(),
        });
        Self { about: router.about.clone(), ..Self::new(None, events.collect()) }
    }

    /// What it tells of, beside its own topic.
    #[must_use]
    pub const fn about(&self) -> Option<&About> {
        self.about.as_ref()
    }

    /// All events, in order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Where the first of them stands, if they are stored.
    #[must_use]
    pub fn first_position(&self) -> Option<Position> {
        self.stamp.and_then(|_| self.events.first()).map(|event| event.position)
    }

    /// The permanent id of one of them, if they are stored.
    #[must_use]
    pub fn id_of(&self, event: &Event) -> Option<PermanentId> {
        self.stamp.map(|stamp| PermanentId { stamp, offset: event.offset })
    }

    /// Whether they are stored, and have places.
    #[must_use]
    pub const fn is_stored(&self) -> bool {
        self.stamp.is_some()
    }

    /// When its segment was elected, if the events are stored.
    #[must_use]
    pub const fn stamp(&self) -> Option<Stamp> {
        self.stamp
    }

    /// What it holds while it waits, about: the size of all frames of one serializer, or of what its
    /// payloads are part of, whichever is more.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// What a gate makes of all events; made by the first call, and shared by all that follow.
    ///
    /// # Panics
    /// Two gates use one form for different things.
    #[must_use]
    pub fn made_once<T: Any + Send + Sync>(&self, form: Form, make: impl FnOnce() -> T) -> &T {
        let made = self.made[usize::from(form.0)].get_or_init(|| Box::new(make()));
        made.downcast_ref().expect("a form is made by one gate")
    }
}
