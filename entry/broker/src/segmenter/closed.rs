//! A closed segment without a place: who has it, and what its publishers wait for.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, SegmentId};
use vixen_core::segment::{Chunk, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, PublishMessage};

use super::groups::Groups;
use super::io::{Effects, Note};
use super::pending::Pending;
use super::sealed;

/// See the module.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) meta: SegmentMeta,
    pub(super) opened_at: WallTime,
    /// Where it is at present.
    pub(super) group: GroupId,
    /// When that group got it.
    pub(super) given_at: WallTime,
    /// BEGIN, KEEPs, OVER.
    sealed: Vec<Message>,
    pub(super) pending: Pending,
    pub(super) trims: BTreeSet<NdbId>,
    /// Those of the group that said it is on their disk.
    pub(super) durable: BTreeSet<NdbId>,
    /// W of one group have said so.
    pub(super) is_durable: bool,
    /// Resends for refusals on the node's present link.
    pub(super) refusals: BTreeMap<NdbId, u8>,
}

impl Closed {
    /// Closed now, for this group, which nobody of has it yet.
    pub(super) fn new(
        chunk: Chunk,
        pending: Pending,
        opened_at: WallTime,
        (group, now): (GroupId, WallTime),
    ) -> Self {
        let meta = chunk.meta;
        let sealed = sealed::messages_of(chunk, pending.awaits_durable());
        Self {
            meta,
            opened_at,
            group,
            given_at: now,
            sealed,
            pending,
            trims: BTreeSet::new(),
            durable: BTreeSet::new(),
            is_durable: false,
            refusals: BTreeMap::new(),
        }
    }

    /// The same messages as another segment, which nobody has yet.
    pub(super) fn rename(&mut self, id: SegmentId) {
        self.meta.id = id;
        for message in &mut self.sealed {
            match message {
                Message::Publish(PublishMessage::BeginAdvanceSegment { segment, .. })
                | Message::Publish(PublishMessage::KeepAdvanceHistory { segment, .. })
                | Message::Publish(PublishMessage::AwaitDurable { segment }) => *segment = id,
                Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => meta.id = id,
                other => unreachable!("{} is in no sealed segment", other.name()),
            }
        }
        self.trims.clear();
        self.durable.clear();
        self.is_durable = false;
        self.refusals.clear();
    }

    /// Somebody waits for it to be durable, if nobody did before.
    pub(super) fn await_durable(&mut self, groups: &Groups, fx: &mut Effects) {
        let last = self.sealed.last();
        if self.is_durable
            || matches!(last, Some(Message::Publish(PublishMessage::AwaitDurable { .. })))
        {
            return;
        }
        let message = Message::Publish(PublishMessage::AwaitDurable { segment: self.meta.id });
        let linked = groups.linked(self.group);
        fx.sends.extend(linked.map(|ndb| (ndb, message.clone())));
        self.sealed.push(message);
    }

    fn send(&self, ndb: NdbId, fx: &mut Effects) {
        fx.sends.extend(self.sealed.iter().map(|message| (ndb, message.clone())));
    }

    pub(super) fn send_again(&self, ndb: NdbId, fx: &mut Effects) {
        self.send(ndb, fx);
        fx.notes.push(Note::SentAgain { segment: self.meta.id, to: ndb });
    }

    pub(super) fn send_to_group(&self, groups: &Groups, fx: &mut Effects) {
        groups.linked(self.group).for_each(|ndb| self.send(ndb, fx));
    }
}
