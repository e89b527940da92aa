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
//! A segment's own group is that of its shard, but only a *willing* group gets segments: one with W
//! linked nodes that say so, and that answers. Else the next one of the round gets it; with none it
//! stays, and its group's linked nodes have it for the moment they can take it.
//!
//! ```text
//!   own group 1 of 4:   1 --unwilling--> 2 --unwilling--> 3 --unwilling--> 0
//! ```
//! What is unresolved at a group that is willing no more goes on in the same way, oldest first. The
//! segment itself never changes: the vote decides which copy counts (DESIGN §5, *Placement*).
//!
//! Invariants:
//! - S1: closed segments have consecutive seqs, and the open one has the next.
//! - S2: no segment closes empty or with more messages than allowed.
//! - S3: segments are placed in the order of their seqs, so every session is answered in
//!   publishing order.
//! - S4: every message is told about once: placed, or given up. A given-up message keeps its room
//!   until its segment is placed, for until then its bytes are held. A message with
//!   [`Publish::wait`] is never given up.
//! - S5: an unresolved segment is with a willing group whenever there is one.
//! - S6: a message is called durable only when its segment and all before it are.
//! - S7: the parts of a write are in one segment, at consecutive offsets, or none of them is in any
//!   (`write`).

mod closed;
mod groups;
mod io;
mod open;
mod pending;
mod recorded;
mod sealed;
#[cfg(test)]
mod tests;
mod write;

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use vixen_core::id::{GroupId, MapVersion, NdbId, OwnerId, Position, SegmentId, Seq, Shard, Stamp};
use vixen_core::membership::Membership;
use vixen_core::segment::Record;
use vixen_core::time::WallTime;
use vixen_core::wire::{NdbStanding, RefuseReason};

use crate::api::{Publish, SessionId};
use closed::Closed;
use groups::Groups;
pub use io::{Effects, Input, Note, Unresolved};
use open::Open;
use pending::Pending;
pub use recorded::SEGMENTER;

/// How often a segment is sent again to one ndb node that refuses it, until that node's next
/// link: a node that refuses a whole segment three times has another trouble than a gap.
const RESENDS_MAX: u8 = 3;

/// What does not change while an entry runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SegmenterOptions {
    /// Owns the segments made here, until it is renewed.
    pub owner: OwnerId,
    /// Who stores: at least one group, of which W nodes have to be willing before it gets a segment.
    pub membership: Membership,
    /// A group of which W nodes do not take a segment for so long, and no other in between, is
    /// passed over until it shows a sign of life.
    pub stall_ms: u64,
    /// A publisher that waited longer gets an error, unless it chose to wait on.
    pub publish_timeout_ms: u64,
    /// Most messages in a segment.
    pub messages_max: u32,
    /// Most bytes in a segment, except for a single message or write that is larger.
    pub bytes_max: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Segmenter {
    options: SegmenterOptions,
    /// Stands for the groups of the options.
    map: MapVersion,
    groups: Groups,
    closed: VecDeque<Closed>,
    open: Open,
    unacknowledged_bytes: usize,
    /// When the last segment of the present owner was elected.
    elected_at: Option<WallTime>,
}

impl Segmenter {
    /// A segmenter that has made nothing yet.
    ///
    /// # Panics
    /// Without a group: nothing could be stored.
    #[must_use]
    pub fn new(options: SegmenterOptions) -> Self {
        assert!(options.membership.ndb().next().is_some(), "a cluster has an ndb group");
        let id = SegmentId { owner: options.owner, seq: Seq::FIRST };
        // Owners begin at different shards, so that idle entries do not all use the first group.
        let spread = options.owner.0.as_u128() % u128::from(Shard::COUNT);
        let shard = Shard(u32::try_from(spread).unwrap_or_default());
        let map = options.membership.map();
        let open = Open::new(id, shard, map);
        Self {
            groups: Groups::new(&options.membership),
            options,
            map,
            closed: VecDeque::new(),
            open,
            unacknowledged_bytes: 0,
            elected_at: None,
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
            Input::Flush => self.on_flush(now, fx),
            Input::NdbUp { ndb } => self.on_ndb_up(now, ndb, fx),
            Input::NdbDown { ndb } => self.on_ndb_down(now, ndb, fx),
            Input::NdbSilent { ndb, is_silent } => self.on_silence(now, ndb, is_silent, fx),
            Input::Standing { from, standing } => self.on_standing(now, from, standing, fx),
            Input::Trim { from, segment } => self.on_trim(now, from, segment, fx),
            Input::Refused { from, segment, reason } => {
                self.on_refused(now, from, segment, reason, fx);
            }
            Input::Durable { from, segment } => self.on_durable(from, segment, fx),
            Input::Placed { segment, first, stamp } => self.on_placed(segment, first, stamp, fx),
            Input::Renew { owner } => self.on_renew(now, owner, fx),
            Input::Timeout { missing } => self.on_timeout(now, &missing, fx),
            Input::Write { session, write } => self.on_write(now, session, &write, fx),
        }
        self.check();
    }

    /// When [`Input::Timeout`] is due: a publisher has waited for long enough, other than with
    /// [`Publish::wait`], or a group has.
    #[must_use]
    pub fn timeout_at(&self) -> Option<WallTime> {
        let oldest = self.pendings().find_map(Pending::oldest);
        let publisher = oldest.map(|at| at.plus_millis(self.options.publish_timeout_ms));
        let stall = self.closed.iter().filter_map(|closed| self.stall_at(closed)).min();
        publisher.into_iter().chain(stall).min()
    }

    /// When the patience with a segment's group ends; `None` where W nodes have it, and for a group
    /// that is not willing anyhow.
    fn stall_at(&self, closed: &Closed) -> Option<WallTime> {
        if closed.trims.len() >= self.groups.write_quorum() {
            return None;
        }
        let since = self.groups.alive_at(closed.group)?.max(closed.given_at);
        Some(since.plus_millis(self.options.stall_ms))
    }

    /// What a linked ndb node said last on its link; `None` until it has, which counts as not
    /// willing.
    #[must_use]
    pub fn standing(&self, ndb: NdbId) -> Option<NdbStanding> {
        self.groups.standing(ndb)
    }

    /// Whether a group is passed over for not answering.
    #[must_use]
    pub fn is_stalled(&self, group: GroupId) -> bool {
        self.groups.is_stalled(group)
    }

    /// Bytes of all messages that have no place yet, as [`Publish::counted_bytes`] counts them.
    #[must_use]
    pub const fn unacknowledged_bytes(&self) -> usize {
        self.unacknowledged_bytes
    }

    /// Owns what is made now.
    #[must_use]
    pub const fn owner(&self) -> OwnerId {
        self.options.owner
    }

    /// When the owner was made, or last got a place, by the order's clock; `None` for one without a
    /// time.
    #[must_use]
    pub fn owner_seen_at(&self) -> Option<WallTime> {
        let made = self.options.owner.made_at()?;
        Some(self.elected_at.unwrap_or_default().max(made))
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
            let record = record_of(session, message);
            let added = self.open.added_bytes(&message.topic, &record);
            let is_full = self.open.bytes + added > self.options.bytes_max
                || self.open.builder.is_topic_table_full();
            if is_full && self.open.builder.count() > 0 {
                self.close(now, fx);
            }
            self.append(now, session, message, record);
            if self.open.builder.count() >= self.options.messages_max {
                self.close(now, fx);
            }
        }
    }

    fn append(&mut self, now: WallTime, session: SessionId, message: &Publish, record: Record<'_>) {
        let offset = self.open.put(now, &message.topic, record);
        self.open.pending.push(now, session, offset, message);
        self.unacknowledged_bytes += message.counted_bytes();
    }

    fn on_flush(&mut self, now: WallTime, fx: &mut Effects) {
        let may_close = self.closed.is_empty();
        if self.open.builder.count() > 0 && may_close {
            self.close(now, fx);
        }
    }

    /// Closes the open segment, sends it, and opens the next.
    fn close(&mut self, now: WallTime, fx: &mut Effects) {
        let id = self.open.builder.id();
        let next = Open::new(id.next(), self.open.shard.next(), self.map);
        let Open { builder, pending, opened_at, .. } = std::mem::replace(&mut self.open, next);
        let chunk = builder.close();
        let meta = chunk.meta;
        let own = meta.map.group_of(meta.shard);
        let group = self.groups.first_willing(own).unwrap_or(own);
        let awaits_durable = pending.awaits_durable();
        let closed = Closed::new(chunk, pending, opened_at, (group, now));
        closed.send_to_group(&self.groups, fx);
        fx.notes.push(Note::Closed { meta });
        if awaits_durable {
            // Without them it would never get its place, whoever has it on disk.
            self.closed.iter_mut().for_each(|earlier| earlier.await_durable(&self.groups, fx));
        }
        self.closed.push_back(closed);
    }

    /// Gives what is at an unwilling group to a willing one, if there is one (S5).
    fn move_on(&mut self, now: WallTime, fx: &mut Effects) {
        for closed in &mut self.closed {
            if self.groups.is_willing(closed.group) {
                continue;
            }
            let own = closed.meta.map.group_of(closed.meta.shard);
            let Some(to) = self.groups.first_willing(own) else { return };
            let from = std::mem::replace(&mut closed.group, to);
            closed.given_at = now;
            closed.trims.clear();
            closed.durable.clear();
            closed.refusals.clear();
            closed.send_to_group(&self.groups, fx);
            fx.notes.push(Note::Moved { segment: closed.meta.id, from, to });
        }
    }

    fn on_ndb_up(&mut self, now: WallTime, ndb: NdbId, fx: &mut Effects) {
        self.groups.node_up(now, ndb);
        for closed in self.closed.iter_mut().filter(|closed| closed.group == ndb.group) {
            closed.refusals.remove(&ndb);
            closed.send_again(ndb, fx);
        }
        self.move_on(now, fx);
    }

    fn on_ndb_down(&mut self, now: WallTime, ndb: NdbId, fx: &mut Effects) {
        self.groups.node_down(now, ndb);
        self.move_on(now, fx);
    }

    /// A silent node counts as not willing; it has the segments that were sent to it, or gets them
    /// when it wakes.
    fn on_silence(&mut self, now: WallTime, ndb: NdbId, is_silent: bool, fx: &mut Effects) {
        self.groups.node_silent(now, ndb, is_silent);
        self.move_on(now, fx);
    }

    fn on_standing(&mut self, now: WallTime, from: NdbId, standing: NdbStanding, fx: &mut Effects) {
        let before = self.groups.said(now, from, standing);
        let was_unwilling = before.is_some_and(|before| before != NdbStanding::Willing);
        if standing == NdbStanding::Willing && was_unwilling {
            // What it got in between it did not take.
            let here = self.closed.iter().filter(|closed| closed.group == from.group);
            for closed in here.filter(|closed| !closed.trims.contains(&from)) {
                closed.send_again(from, fx);
            }
        }
        self.move_on(now, fx);
    }

    fn on_trim(&mut self, now: WallTime, from: NdbId, segment: SegmentId, fx: &mut Effects) {
        let write_quorum = self.groups.write_quorum();
        let is_taken = self
            .find(segment)
            .filter(|closed| closed.group == from.group)
            .is_some_and(|closed| closed.trims.insert(from) && closed.trims.len() == write_quorum);
        if is_taken {
            self.groups.has_taken(now, from.group);
        }
        if self.groups.is_stalled(from.group) {
            self.groups.has_answered(now, from.group);
            self.move_on(now, fx);
        }
    }

    fn on_durable(&mut self, from: NdbId, segment: SegmentId, fx: &mut Effects) {
        let write_quorum = self.groups.write_quorum();
        let here = self.find(segment).filter(|closed| closed.group == from.group);
        let Some(closed) = here else { return };
        closed.durable.insert(from);
        closed.is_durable |= closed.durable.len() >= write_quorum;
        self.tell_durable(fx);
    }

    /// In publishing order, and not before all earlier segments are durable or placed: one that is lost
    /// takes the places of all that follow it (rule 1 of the vote).
    fn tell_durable(&mut self, fx: &mut Effects) {
        for closed in self.closed.iter_mut().take_while(|closed| closed.is_durable) {
            closed.pending.be_durable(closed.meta.id, &mut fx.outgoing);
        }
    }

    fn on_refused(
        &mut self,
        now: WallTime,
        from: NdbId,
        segment: SegmentId,
        reason: RefuseReason,
        fx: &mut Effects,
    ) {
        // Resolved in the meantime, or moved: others have it, and this one needs it no more.
        let here = self.find(segment).filter(|closed| closed.group == from.group);
        let Some(closed) = here else {
            return self.learn_unwilling(now, from, reason, fx);
        };
        let again = match reason {
            RefuseReason::Gap | RefuseReason::Mismatch => {
                let refusals = closed.refusals.entry(from).or_default();
                *refusals = refusals.saturating_add(1);
                *refusals <= RESENDS_MAX
            }
            RefuseReason::TooLarge => false,
            RefuseReason::Unwilling => {
                closed.trims.remove(&from);
                fx.notes.push(Note::Unwilling { segment, at: from });
                return self.learn_unwilling(now, from, reason, fx);
            }
        };
        if again {
            closed.send_again(from, fx);
        } else {
            fx.notes.push(Note::GaveUp { segment, to: from, reason });
        }
    }

    /// A refusal can say as much as a standing, and may come before it.
    fn learn_unwilling(
        &mut self,
        now: WallTime,
        from: NdbId,
        reason: RefuseReason,
        fx: &mut Effects,
    ) {
        let is_news = match (reason, self.groups.standing(from)) {
            (
                RefuseReason::Unwilling,
                None | Some(NdbStanding::Willing | NdbStanding::DiskStalled),
            ) => true,
            (RefuseReason::Unwilling, Some(NdbStanding::DiskFull | NdbStanding::NoFeeds))
            | (RefuseReason::Gap | RefuseReason::Mismatch | RefuseReason::TooLarge, _) => false,
        };
        if is_news {
            self.on_standing(now, from, NdbStanding::DiskFull, fx);
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

    fn on_placed(&mut self, segment: SegmentId, first: Position, stamp: Stamp, fx: &mut Effects) {
        let oldest = self.closed.pop_front();
        let mut closed = match oldest {
            Some(closed) if closed.meta.id == segment => closed,
            Some(_) | None => panic!("S3: {segment} was placed before an earlier one"),
        };
        closed.pending.place(first, stamp, &mut fx.outgoing);
        self.elected_at = Some(stamp.wall_time());
        fx.permits += closed.pending.bytes();
        self.unacknowledged_bytes -= closed.pending.bytes();
        self.tell_durable(fx);
    }

    fn on_renew(&mut self, now: WallTime, owner: OwnerId, fx: &mut Effects) {
        self.options.owner = owner;
        self.elected_at = None;
        let mut id = SegmentId { owner, seq: Seq::FIRST };
        for closed in &mut self.closed {
            closed.rename(id);
            closed.given_at = now;
            closed.send_to_group(&self.groups, fx);
            id = id.next();
        }
        self.open.builder.rename(id);
    }

    fn on_timeout(&mut self, now: WallTime, missing: &str, fx: &mut Effects) {
        self.give_up(now, missing, fx);
        let is_due = |at: WallTime| at <= now;
        let stalled = self.closed.iter().filter(|closed| self.stall_at(closed).is_some_and(is_due));
        for group in stalled.map(|closed| closed.group).collect::<BTreeSet<_>>() {
            self.groups.stall(group);
            fx.notes.push(Note::Stalled { group });
        }
        self.move_on(now, fx);
    }

    fn give_up(&mut self, now: WallTime, missing: &str, fx: &mut Effects) {
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
            self.closed.iter().all(|closed| {
                self.groups.is_willing(closed.group)
                    || self.groups.first_willing(closed.group).is_none()
            }),
            "S5: a willing group has what is unresolved"
        );
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

/// What is stored of a message; the topic is set where it is appended.
fn record_of(session: SessionId, message: &Publish) -> Record<'_> {
    Record {
        topic: 0,
        content: message.content,
        flags: message.flags,
        session: session.0,
        attributes: &message.attributes,
        payload: &message.payload,
    }
}
