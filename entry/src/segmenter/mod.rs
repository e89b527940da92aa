//! Segmenter: the messages of all sessions become advance segments of one owner, are sent to the
//! ndb nodes, and their publishers are answered.
//!
//! Source: DESIGN §2 and `docs/design/003-segments-under-way.md` (pacing), DESIGN §6
//! (acknowledgement, publish timeout).
//!
//! ```text
//!              closed, unresolved                       open
//!   +-------------------------------------------+  +-----------+
//!   | seq n    | seq n+1  | ...      | seq m    |  |  seq m+1  | <-- Publish
//!   +-------------------------------------------+  +-----------+
//!     ^ Placed                           ^ nothing under way, or full: the open one closes
//! ```
//! The driver steps everything that waits, then gives [`Input::Flush`]: what came together leaves
//! together. After a pause the first message leaves alone and at once.
//!
//! Invariants:
//! - S1: closed segments have consecutive seqs, and the open one has the next.
//! - S2: no segment closes empty or with more messages than allowed.
//! - S3: segments are placed in the order of their seqs, so every session is answered in
//!   publishing order.
//! - S4: every message is told about once: placed, or given up. A given-up message keeps its room
//!   until its segment is placed, for until then its bytes are held. A message with
//!   [`Publish::wait`] is never given up.

mod parcel;
mod pending;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vixen_common::id::{GroupId, MapVersion, NdbId, OwnerId, Position, SegmentId, Seq, Shard};
use vixen_common::segment::{Encoding, Record, SegmentBuilder, SegmentMeta, Topic};
use vixen_common::time::WallTime;
use vixen_common::wire::{Message, RefuseReason};

use crate::broker::{Outgoing, Publish, SessionId};
use pending::Pending;

/// How often a segment is sent again to one ndb node that refuses it, until that node's next
/// link: a node that refuses a whole segment three times has another trouble than a gap.
const RESENDS_MAX: u8 = 3;

/// Bytes of a blob before its topics and records, generously.
const BLOB_PREFIX_BYTES: usize = 16;

/// Bytes a topic takes in the table beside its two texts.
const TOPIC_OVERHEAD_BYTES: usize = 8;

/// What does not change while an entry runs.
#[derive(Clone, Debug)]
pub struct SegmenterOptions {
    /// Owns all segments made here.
    pub owner: OwnerId,
    /// The ndb nodes of each group; at least one group.
    pub groups: Vec<Vec<NdbId>>,
    /// A publisher that waited longer gets an error, unless it chose to wait on.
    pub publish_timeout_ms: u64,
    /// Most messages in a segment.
    pub messages_max: u32,
    /// Most bytes in a segment, except for a single message that is larger.
    pub bytes_max: usize,
}

/// Everything that can happen to the segmenter.
#[derive(Debug)]
pub enum Input {
    /// A session published, in this order.
    Publish {
        /// The session; it may be gone by now.
        session: SessionId,
        /// Its messages.
        messages: Vec<Publish>,
    },
    /// All that waited has been stepped.
    Flush,
    /// A new link to an ndb node: it may know nothing of what was sent before.
    NdbUp {
        /// The node.
        ndb: NdbId,
    },
    /// The link to an ndb node is gone.
    NdbDown {
        /// The node.
        ndb: NdbId,
    },
    /// An ndb node has the whole segment in memory.
    Trim {
        /// The node.
        from: NdbId,
        /// The segment.
        segment: SegmentId,
    },
    /// An ndb node did not take a segment.
    Refused {
        /// The node.
        from: NdbId,
        /// The segment.
        segment: SegmentId,
        /// Why.
        reason: RefuseReason,
    },
    /// The frontier gave a segment of this owner its place.
    Placed {
        /// The segment.
        segment: SegmentId,
        /// Position of its first message.
        first: Position,
    },
    /// The time of [`Segmenter::timeout_at`] came.
    Timeout {
        /// What an acknowledgement waits for, in words.
        missing: String,
    },
}

/// What the driver owes after a step, in any order between the fields.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages to ndb nodes, in this order for each node.
    pub sends: Vec<(NdbId, Message)>,
    /// Answers to sessions, in this order for each session.
    pub outgoing: Vec<(SessionId, Outgoing)>,
    /// Bytes of the entry's room to give back.
    pub permits: usize,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
}

/// Facts for metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A segment closed.
    Closed {
        /// What it became.
        meta: SegmentMeta,
    },
    /// A segment was sent again.
    SentAgain {
        /// The segment.
        segment: SegmentId,
        /// The node.
        to: NdbId,
    },
    /// A node refused a segment, and it was not sent again.
    GaveUp {
        /// The segment.
        segment: SegmentId,
        /// The node.
        to: NdbId,
        /// Its reason.
        reason: RefuseReason,
    },
    /// Publishers were told that there is no quorum.
    NoQuorum {
        /// Number of their messages that wanted an answer.
        messages: usize,
    },
}

/// A closed segment that has no place yet, for the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unresolved {
    /// What it is.
    pub meta: SegmentMeta,
    /// When it opened.
    pub opened_at: WallTime,
    /// The group that was asked to hold it.
    pub group: GroupId,
    /// The nodes that have it.
    pub trims: Vec<NdbId>,
}

#[derive(Debug)]
struct Open {
    builder: SegmentBuilder,
    shard: Shard,
    pending: Pending,
    opened_at: WallTime,
    /// Upper bound of the blob's size.
    bytes: usize,
    last_topic: Option<Topic>,
}

#[derive(Debug)]
struct Closed {
    meta: SegmentMeta,
    opened_at: WallTime,
    group: GroupId,
    /// BEGIN, KEEPs, OVER.
    parcel: Vec<Message>,
    pending: Pending,
    trims: BTreeSet<NdbId>,
    /// Resends for refusals on the node's present link.
    refusals: BTreeMap<NdbId, u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Segmenter {
    options: SegmenterOptions,
    /// Stands for the groups of the options.
    map: MapVersion,
    up: BTreeSet<NdbId>,
    closed: VecDeque<Closed>,
    open: Open,
    unacknowledged_bytes: usize,
}

impl Open {
    fn new(id: SegmentId, shard: Shard, map: MapVersion) -> Self {
        Self {
            builder: SegmentBuilder::new(id, shard, map),
            shard,
            pending: Pending::default(),
            opened_at: WallTime(0),
            bytes: BLOB_PREFIX_BYTES,
            last_topic: None,
        }
    }

    /// Upper bound of what `record` of `topic` adds to the blob: a topic that is in the table
    /// already, but was not the last one, is counted again.
    fn added_bytes(&self, topic: &Topic, record: &Record<'_>) -> usize {
        let known = self.last_topic.as_ref() == Some(topic);
        let table =
            if known { 0 } else { topic.realm.len() + topic.uri.len() + TOPIC_OVERHEAD_BYTES };
        table + record.stored_bytes()
    }
}

impl Segmenter {
    /// A segmenter that has made nothing yet.
    ///
    /// # Panics
    /// Without a group: nothing could be stored.
    #[must_use]
    pub fn new(options: SegmenterOptions) -> Self {
        assert!(!options.groups.is_empty(), "a cluster has an ndb group");
        let id = SegmentId { owner: options.owner, seq: Seq::FIRST };
        // Owners begin at different shards, so that idle entries do not all use the first group.
        let spread = options.owner.0.as_u128() % u128::from(Shard::COUNT);
        let shard = Shard(u32::try_from(spread).unwrap_or_default());
        let groups = u16::try_from(options.groups.len()).unwrap_or(u16::MAX);
        let map = MapVersion(groups);
        let open = Open::new(id, shard, map);
        Self {
            options,
            map,
            up: BTreeSet::new(),
            closed: VecDeque::new(),
            open,
            unacknowledged_bytes: 0,
        }
    }

    /// Advances by one input. Never blocks and never fails.
    ///
    /// # Panics
    /// When a segment is placed before an earlier one of this owner (S3): the order is broken, and
    /// answering on would tell publishers wrong positions.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::Publish { session, messages } => self.on_publish(now, session, &messages, fx),
            Input::Flush => self.on_flush(fx),
            Input::NdbUp { ndb } => self.on_ndb_up(ndb, fx),
            Input::NdbDown { ndb } => {
                self.up.remove(&ndb);
            }
            Input::Trim { from, segment } => self.on_trim(from, segment),
            Input::Refused { from, segment, reason } => self.on_refused(from, segment, reason, fx),
            Input::Placed { segment, first } => self.on_placed(segment, first, fx),
            Input::Timeout { missing } => self.on_timeout(now, &missing, fx),
        }
        self.check();
    }

    /// When [`Input::Timeout`] is due; `None` while nobody waits, or only messages with
    /// [`Publish::wait`].
    #[must_use]
    pub fn timeout_at(&self) -> Option<WallTime> {
        let oldest = self.pendings().find_map(Pending::oldest)?;
        Some(oldest.plus_millis(self.options.publish_timeout_ms))
    }

    /// Bytes of all messages that have no place yet, as [`Publish::counted_bytes`] counts them.
    #[must_use]
    pub const fn unacknowledged_bytes(&self) -> usize {
        self.unacknowledged_bytes
    }

    /// Closed segments without a place.
    #[must_use]
    pub fn unresolved(&self) -> usize {
        self.closed.len()
    }

    /// The closed segments without a place, oldest first.
    pub fn unresolved_segments(&self) -> impl Iterator<Item = Unresolved> {
        self.closed.iter().map(|closed| Unresolved {
            meta: closed.meta,
            opened_at: closed.opened_at,
            group: closed.group,
            trims: closed.trims.iter().copied().collect(),
        })
    }

    fn pendings(&self) -> impl Iterator<Item = &Pending> {
        self.closed.iter().map(|closed| &closed.pending).chain([&self.open.pending])
    }

    fn on_publish(
        &mut self,
        now: WallTime,
        session: SessionId,
        messages: &[Publish],
        fx: &mut Effects,
    ) {
        for message in messages {
            let record = Record {
                topic: 0,
                encoding: Encoding::Json,
                flags: message.flags,
                session: session.0,
                payload: &message.payload,
            };
            let added = self.open.added_bytes(&message.topic, &record);
            let is_full = self.open.bytes + added > self.options.bytes_max
                || self.open.builder.is_topic_table_full();
            if is_full && self.open.builder.count() > 0 {
                self.close(fx);
            }
            self.append(now, session, message, record);
            if self.open.builder.count() >= self.options.messages_max {
                self.close(fx);
            }
        }
    }

    fn append(&mut self, now: WallTime, session: SessionId, message: &Publish, record: Record<'_>) {
        let open = &mut self.open;
        if open.builder.count() == 0 {
            open.opened_at = now;
        }
        open.bytes += open.added_bytes(&message.topic, &record);
        if open.last_topic.as_ref() != Some(&message.topic) {
            open.last_topic = Some(message.topic.clone());
        }
        let offset = open.builder.push(&message.topic, record);
        open.pending.push(now, session, offset, message);
        self.unacknowledged_bytes += message.counted_bytes();
    }

    fn on_flush(&mut self, fx: &mut Effects) {
        let may_close = self.closed.is_empty();
        if self.open.builder.count() > 0 && may_close {
            self.close(fx);
        }
    }

    /// Closes the open segment, sends it, and opens the next.
    fn close(&mut self, fx: &mut Effects) {
        let id = self.open.builder.id();
        let next = Open::new(id.next(), self.open.shard.next(), self.map);
        let Open { builder, pending, opened_at, .. } = std::mem::replace(&mut self.open, next);
        let chunk = builder.close();
        let meta = chunk.meta;
        let group = meta.map.group_of(meta.shard);
        let parcel = parcel::messages_of(chunk);
        let closed = Closed {
            meta,
            opened_at,
            group,
            parcel,
            pending,
            trims: BTreeSet::new(),
            refusals: BTreeMap::new(),
        };
        for ndb in self.members(group).filter(|ndb| self.up.contains(ndb)) {
            closed.send(ndb, fx);
        }
        fx.notes.push(Note::Closed { meta });
        self.closed.push_back(closed);
    }

    fn members(&self, group: GroupId) -> impl Iterator<Item = NdbId> {
        self.options.groups.get(usize::from(group.0)).into_iter().flatten().copied()
    }

    fn on_ndb_up(&mut self, ndb: NdbId, fx: &mut Effects) {
        self.up.insert(ndb);
        for closed in self.closed.iter_mut().filter(|closed| closed.group == ndb.group) {
            closed.refusals.remove(&ndb);
            closed.send(ndb, fx);
            fx.notes.push(Note::SentAgain { segment: closed.meta.id, to: ndb });
        }
    }

    fn on_trim(&mut self, from: NdbId, segment: SegmentId) {
        if let Some(closed) = self.find(segment)
            && closed.group == from.group
        {
            closed.trims.insert(from);
        }
    }

    fn on_refused(
        &mut self,
        from: NdbId,
        segment: SegmentId,
        reason: RefuseReason,
        fx: &mut Effects,
    ) {
        // Resolved in the meantime: other nodes have it, and this one will fetch it from them.
        let Some(closed) = self.find(segment) else { return };
        let again = match reason {
            RefuseReason::Gap | RefuseReason::Mismatch => {
                let refusals = closed.refusals.entry(from).or_default();
                *refusals = refusals.saturating_add(1);
                *refusals <= RESENDS_MAX
            }
            RefuseReason::TooLarge | RefuseReason::Unwilling => false,
        };
        if again {
            closed.send(from, fx);
            fx.notes.push(Note::SentAgain { segment, to: from });
        } else {
            fx.notes.push(Note::GaveUp { segment, to: from, reason });
        }
    }

    /// The unresolved closed segment of this id, by its distance from the oldest (S1).
    fn find(&mut self, segment: SegmentId) -> Option<&mut Closed> {
        if segment.owner != self.options.owner {
            return None;
        }
        let oldest = self.closed.front()?.meta.id.seq;
        let place = segment.seq.0.checked_sub(oldest.0)?;
        self.closed.get_mut(usize::try_from(place).ok()?)
    }

    fn on_placed(&mut self, segment: SegmentId, first: Position, fx: &mut Effects) {
        let oldest = self.closed.pop_front();
        let mut closed = match oldest {
            Some(closed) if closed.meta.id == segment => closed,
            Some(_) | None => panic!("S3: {segment} was placed before an earlier one"),
        };
        closed.pending.place(first, &mut fx.outgoing);
        fx.permits += closed.pending.bytes();
        self.unacknowledged_bytes -= closed.pending.bytes();
    }

    fn on_timeout(&mut self, now: WallTime, missing: &str, fx: &mut Effects) {
        let last = WallTime(now.0.saturating_sub(self.options.publish_timeout_ms));
        let open = &mut self.open.pending;
        let pendings = self.closed.iter_mut().map(|closed| &mut closed.pending).chain([open]);
        for pending in pendings {
            let before = pending.wanted();
            pending.give_up(now, last, missing, &mut fx.outgoing);
            let messages = before - pending.wanted();
            if messages > 0 {
                fx.notes.push(Note::NoQuorum { messages });
            }
        }
    }

    /// The numbered invariants, cheap enough for every step.
    fn check(&self) {
        let open = self.open.builder.id();
        if let (Some(oldest), Some(newest)) = (self.closed.front(), self.closed.back()) {
            assert_eq!(newest.meta.id.next(), open, "S1: the open segment is next");
            let between = newest.meta.id.seq.0 - oldest.meta.id.seq.0;
            assert_eq!(between + 1, self.closed.len() as u64, "S1: seqs are consecutive");
            let count = newest.meta.count;
            assert!(count > 0 && count <= self.options.messages_max, "S2: {count} messages");
        }
        assert!(self.open.builder.count() < self.options.messages_max, "S2: full ones close");
        debug_assert!(
            self.pendings().all(Pending::is_consistent),
            "S4: every answer belongs to a run"
        );
        debug_assert_eq!(
            self.pendings().map(Pending::bytes).sum::<usize>(),
            self.unacknowledged_bytes,
            "S4: room is held until a segment is placed"
        );
    }
}

impl Closed {
    fn send(&self, ndb: NdbId, fx: &mut Effects) {
        fx.sends.extend(self.parcel.iter().map(|message| (ndb, message.clone())));
    }
}
