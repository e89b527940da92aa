//! The replica: what one ndb node does with segments, from the first message to its place.
//!
//! Source: DESIGN §2 and §5; `docs/protocol.md`.
//!
//! ```text
//!   BEGIN/KEEP      OVER             committed         the order
//! incoming ------> writing --------> durable --------> placed
//!                  TRIM at once      GENERATE_DRAFT    position, chain, temporary -> permanent
//! ```
//! A segment of this group that is placed before its bytes are here is *missing*: peers are asked
//! (`upkeep`), and the order goes on without waiting; only tails wait. The order is
//! read beside it, by [`Reader`](vixen_core::order::Reader): what that has placed is an input here.
//!
//! Invariants, asserted where they are named:
//! - R1: GENERATE_DRAFT is asked for only after the segment's commit.
//! - R2: positions are dense, stamps rise, and rows are chained; a row, once made, never changes.
//! - R3: a segment is stored once: what is held or placed is not stored again.

mod incoming;
mod io;

use std::collections::BTreeMap;

use vixen_core::id::{Digest, GroupId, OwnerId, Position, SegmentId, Seq};
use vixen_core::order::Placed;
use vixen_core::segment::{Blob, Elected, SegmentMeta};
use vixen_core::wire::{Message, OrderBase, PublishMessage, RefuseReason};

use crate::durable::Durable;
use crate::rows::{Lost, Mark, OrderRow, Recovered};
use incoming::Incoming;
pub use io::{Body, Effects, Input, Place, Refused, Store};

/// Unresolved segments that are asked for at most: what is beyond is offered again later.
const WANTED_MAX: usize = 16_384;

/// Bounds of a replica.
#[derive(Clone, Debug)]
pub struct ReplicaOptions {
    /// The group this node is of.
    pub group: GroupId,
    /// Largest segment taken, in bytes of its blob.
    pub segment_bytes_max: usize,
    /// Most bytes of incomplete segments.
    pub incoming_bytes_max: usize,
}

/// A segment held and not placed.
#[derive(Clone, Debug)]
struct Held {
    meta: SegmentMeta,
    /// `None` after a restart: then it is in the store.
    blob: Option<Blob>,
    /// The store has it on disk.
    durable: Option<Durable<SegmentMeta>>,
}

/// One ndb node's segments. See the module doc.
#[derive(Debug)]
pub struct Replica {
    options: ReplicaOptions,
    incoming: Incoming,
    held: BTreeMap<SegmentId, Held>,
    missing: BTreeMap<SegmentId, Lost>,
    /// Not placed, not here, and at a peer: offered, or elected.
    wanted: BTreeMap<SegmentId, SegmentMeta>,
    /// Highest placed seq of each owner: an owner's segments are placed in seq order.
    placed: BTreeMap<OwnerId, Seq>,
    /// The position after the last segment placed, its stamp, and the chain up to it.
    head: OrderBase,
    is_willing: bool,
}

impl Replica {
    /// Starts from what the store holds.
    #[must_use]
    pub fn new(options: ReplicaOptions, recovered: Recovered) -> Self {
        let mut missing: BTreeMap<_, _> =
            recovered.missing.into_iter().map(|lost| (lost.meta.id, lost)).collect();
        // Its bytes were found damaged before the row of its place was on disk, which was lost: the mark
        // of what has no place is still there.
        let held = recovered.temporary.into_iter().filter(|meta| !missing.contains_key(&meta.id));
        let held = held.collect::<Vec<_>>();
        // Such a one has no place yet: its bytes are taken as those of any other that has none.
        missing.retain(|_, lost| lost.first < recovered.head.next);
        let held = held.into_iter().map(|meta| {
            let held = Held { meta, blob: None, durable: Some(Durable::committed(meta)) };
            (meta.id, held)
        });
        Self {
            incoming: Incoming::new(options.segment_bytes_max, options.incoming_bytes_max),
            held: held.collect(),
            missing,
            wanted: BTreeMap::new(),
            placed: recovered.owners.into_iter().collect(),
            head: recovered.head,
            is_willing: true,
            options,
        }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, input: Input, fx: &mut Effects) {
        match input {
            Input::Begin { from, segment } => self.on_begin(from, segment, fx),
            Input::Keep { from, segment, offset, topics, count, records } => {
                if self.is_from_owner(from, segment, fx) && !self.is_known(segment) {
                    self.incoming.keep(segment, offset, topics, count, records);
                }
            }
            Input::Over { from, meta } => self.on_over(from, meta, fx),
            Input::OwnerDown { owner } => self.incoming.drop_owner(owner),
            Input::Committed { segment } => self.on_committed(segment, fx),
            Input::Offered { segments } => {
                for meta in segments {
                    // What is asked for already may be an election's word: an offer changes nothing.
                    if !self.wanted.contains_key(&meta.id) {
                        self.want(meta, fx);
                    }
                }
            }
            Input::Expired { segment } => {
                self.wanted.remove(&segment);
                if self.held.remove(&segment).is_some() {
                    fx.dropped.push(segment);
                }
            }
            Input::Rebase { base } => self.on_rebase(base),
            Input::Fetched { segment, blob } => self.on_fetched(segment, blob, fx),
            Input::Elected { elected } => {
                // Fetched before the order passes it.
                if elected.challenger.group == self.options.group {
                    self.want(elected.meta, fx);
                }
            }
            Input::Placed { placed } => self.place(placed, fx),
        }
    }

    fn is_from_owner(&self, from: OwnerId, segment: SegmentId, fx: &mut Effects) -> bool {
        let is_its_own = segment.owner.is_of_entry(from);
        if !is_its_own {
            fx.refused.push(Refused::WrongOwner);
        }
        is_its_own
    }

    /// Whether the segment has its place, or is behind one of its owner that has.
    #[must_use]
    pub fn is_placed(&self, segment: SegmentId) -> bool {
        self.placed.get(&segment.owner).is_some_and(|seq| segment.seq <= *seq)
    }

    /// Whether its bytes are held, or it has its place and its bytes as well.
    fn is_known(&self, segment: SegmentId) -> bool {
        self.held.contains_key(&segment)
            || (self.is_placed(segment) && !self.missing.contains_key(&segment))
    }

    fn on_begin(&mut self, from: OwnerId, segment: SegmentId, fx: &mut Effects) {
        if self.is_from_owner(from, segment, fx) && !self.is_known(segment) {
            self.incoming.begin(segment);
        }
    }

    fn on_over(&mut self, from: OwnerId, meta: SegmentMeta, fx: &mut Effects) {
        if !self.is_from_owner(from, meta.id, fx) {
            return;
        }
        let trim = Message::Publish(PublishMessage::TrimAdvanceSegment { segment: meta.id });
        if self.is_known(meta.id) {
            fx.answers.push((from, trim));
            return;
        }
        if !self.is_willing && !self.missing.contains_key(&meta.id) {
            self.incoming.drop_segment(meta.id);
            Self::refuse(from, meta.id, RefuseReason::Unwilling, fx);
            return;
        }
        // What was elected is what is stored, whoever sends the bytes.
        let elected = self.missing.get(&meta.id).is_none_or(|lost| lost.meta == meta);
        let taken = self.incoming.take(meta).and_then(|blob| match elected {
            true => Ok(blob),
            false => Err(RefuseReason::Mismatch),
        });
        let blob = match taken {
            Ok(blob) => blob,
            Err(reason) => return Self::refuse(from, meta.id, reason, fx),
        };
        fx.answers.push((from, trim));
        self.take_bytes(meta, blob, fx);
    }

    fn refuse(to: OwnerId, segment: SegmentId, reason: RefuseReason, fx: &mut Effects) {
        fx.refused.push(match reason {
            RefuseReason::Gap => Refused::Gap,
            RefuseReason::TooLarge => Refused::TooLarge,
            RefuseReason::Unwilling => Refused::Unwilling,
            RefuseReason::Mismatch => Refused::Mismatch,
        });
        fx.answers
            .push((to, Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason })));
    }

    /// Whether new segments are taken. What is placed here is taken in any case: its bytes are
    /// needed, and the order counts on them.
    pub const fn set_willing(&mut self, is_willing: bool) {
        self.is_willing = is_willing;
    }

    /// Verified bytes of a segment that were not here before.
    fn take_bytes(&mut self, meta: SegmentMeta, blob: Blob, fx: &mut Effects) {
        assert!(!self.is_known(meta.id), "R3: a segment is stored once: {:?}", meta.id);
        let was_wanted = self.wanted.remove(&meta.id).is_some();
        let lost = self.missing.remove(&meta.id);
        if was_wanted || lost.is_some() {
            fx.arrived.push(meta.id);
        }
        let mark = if let Some(Lost { first, stamp, .. }) = lost {
            Mark::Permanent { first, stamp }
        } else {
            let held = Held { meta, blob: Some(blob.clone()), durable: None };
            self.held.insert(meta.id, held);
            Mark::Temporary
        };
        fx.stores.push(Store { meta, blob, mark });
    }

    fn on_committed(&mut self, segment: SegmentId, fx: &mut Effects) {
        // A segment placed meanwhile needs no draft: it is elected.
        if let Some(held) = self.held.get_mut(&segment) {
            // R1, by its type: there is no other draft than of what a commit has made durable.
            fx.drafts.push(*held.durable.insert(Durable::committed(held.meta)));
        }
    }

    fn on_fetched(&mut self, segment: SegmentId, blob: Blob, fx: &mut Effects) {
        let lost = self.missing.get(&segment).map(|lost| lost.meta);
        match lost.or_else(|| self.wanted.get(&segment).copied()) {
            Some(meta) if blob.verify(&meta).is_ok() => self.take_bytes(meta, blob, fx),
            Some(_) | None => fx.refused.push(Refused::Unwanted),
        }
    }

    /// Asks peers for a segment that has no place yet and is not here.
    fn want(&mut self, meta: SegmentMeta, fx: &mut Effects) {
        let is_here = self.held.contains_key(&meta.id) || self.is_placed(meta.id);
        if !is_here && self.wanted.len() < WANTED_MAX {
            // An election, unlike an offer, says it for sure.
            self.wanted.insert(meta.id, meta);
            fx.wanted.push(meta.id);
        }
    }

    fn on_rebase(&mut self, base: OrderBase) {
        if base.next > self.head.next {
            self.head = base;
        }
    }

    fn place(&mut self, placed: Placed, fx: &mut Effects) {
        let Elected { meta, challenger } = placed.elected;
        assert_eq!(placed.first, self.head.next, "R2: positions are dense");
        let row = self.append(placed.elected);
        self.placed.insert(meta.id.owner, meta.id.seq);
        self.wanted.remove(&meta.id);
        // An owner's segments are placed in seq order: what is left of it from before had its place
        // in a part of the order that this node does not get any more.
        let of_owner = SegmentId { seq: Seq(0), ..meta.id }..meta.id;
        let behind = self.held.extract_if(of_owner.clone(), |_, _| true);
        fx.dropped.extend(behind.map(|(segment, _)| segment));
        let behind = self.wanted.extract_if(of_owner, |_, _| true);
        fx.unwanted.extend(behind.map(|(segment, _)| segment));
        let held = self.held.remove(&meta.id);
        let body = match held {
            // Another content under this id: the vote decided for the other.
            Some(held) if held.meta == meta && challenger.group == self.options.group => {
                held.blob.map_or(Body::Stored, Body::Memory)
            }
            Some(_) | None if challenger.group == self.options.group => {
                let (first, stamp) = (placed.first, challenger.stamp);
                self.missing.insert(meta.id, Lost { meta, first, stamp });
                Body::Missing
            }
            Some(_) | None => Body::Elsewhere,
        };
        fx.placed.push(Place { first: placed.first, row, body });
    }

    /// Makes the row that stands next.
    fn append(&mut self, elected: Elected) -> OrderRow {
        let stamp = elected.stamp();
        assert!(stamp > self.head.stamp, "R2: stamps rise: {stamp:?} after {:?}", self.head.stamp);
        let row = OrderRow::chained(self.head.chain, elected);
        let next = self.head.next.plus(elected.meta.count);
        self.head = OrderBase { next, stamp, chain: row.chain };
        row
    }

    /// Durable segments that wait for their election, in order of owner and seq.
    pub fn unresolved(&self) -> impl Iterator<Item = Durable<SegmentMeta>> {
        self.held.values().filter_map(|held| held.durable)
    }

    /// A segment that is held, not placed, and durable.
    #[must_use]
    pub fn durable(&self, segment: SegmentId) -> Option<Durable<SegmentMeta>> {
        self.held.get(&segment)?.durable
    }

    /// All segments held and not placed, with whether they are durable.
    pub fn pending(&self) -> impl Iterator<Item = (SegmentMeta, bool)> {
        self.held.values().map(|held| (held.meta, held.durable.is_some()))
    }

    /// Whether the segment is held and not placed.
    #[must_use]
    pub fn is_pending(&self, segment: SegmentId) -> bool {
        self.held.contains_key(&segment)
    }

    /// Number of segments held and not placed.
    #[must_use]
    pub fn pending_count(&self) -> usize {
        self.held.len()
    }

    /// Bytes of a segment held in memory, for a peer that asks.
    #[must_use]
    pub fn blob_of(&self, segment: SegmentId) -> Option<Blob> {
        self.held.get(&segment)?.blob.clone()
    }

    /// A placed segment's blob turned out unreadable: it is missing from now on. Whether it was held as one
    /// without a place: what is on disk of it without one is to go.
    pub fn lose(&mut self, lost: Lost) -> bool {
        self.missing.insert(lost.meta.id, lost);
        self.held.remove(&lost.meta.id).is_some()
    }

    /// A segment without a place is not asked for any more.
    pub fn unwant(&mut self, segment: SegmentId) {
        self.wanted.remove(&segment);
    }

    /// The bytes of a segment without a place are damaged on disk: they are written again where
    /// they are in memory as well, else it is asked for again, and `true`.
    pub fn lose_pending(&mut self, meta: SegmentMeta, fx: &mut Effects) -> bool {
        let Some(held) = self.held.get(&meta.id) else { return false };
        // Its place does not write the bytes again: the disk gets them now.
        if let Some(blob) = held.blob.clone() {
            fx.stores.push(Store { meta: held.meta, blob, mark: Mark::Temporary });
            return false;
        }
        self.held.remove(&meta.id);
        self.want(meta, fx);
        true
    }

    /// The order before this position was dropped, and with it what was missing there.
    pub fn trim(&mut self, first: Position) {
        self.missing.retain(|_, lost| lost.first >= first);
    }

    /// Placed segments of this group whose bytes are not here.
    #[must_use]
    pub const fn missing(&self) -> &BTreeMap<SegmentId, Lost> {
        &self.missing
    }

    /// Where the order ends here.
    #[must_use]
    pub const fn head(&self) -> OrderBase {
        self.head
    }

    /// Hash of the order up to its head.
    #[must_use]
    pub const fn chain(&self) -> Digest {
        self.head.chain
    }

    /// Bytes of incomplete segments.
    #[must_use]
    pub const fn incoming_bytes(&self) -> usize {
        self.incoming.bytes()
    }
}

#[cfg(test)]
mod tests;
