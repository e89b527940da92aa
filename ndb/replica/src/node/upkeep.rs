//! What an ndb node does now and then, and what its readers find.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{Digest, NdbId, Position, SegmentId};
use vixen_core::segment::{Blob, Elected, SegmentMeta};
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::{Message, NodeMessage, Nowhere, OrderBase, ReplicaMessage, Retained};

use super::reading::ROWS_BEFORE_MAX;
use super::{Effects, Look, NdbCore, Note, To};
use crate::rows::Lost;
use crate::storage::{Extended, Finding, Job};
use crate::tail::Change;
use crate::upkeep::{
    Audit, CatchUpRate, Days, Expiry, Fetch, Offers, Repairs, Retention, RetentionPolicy,
};

/// Between two rounds of audit and offers.
const ROUND: Duration = Duration::from_secs(1);
/// Between two looks at the age and size of the days.
const RETENTION_LOOK: Duration = Duration::from_secs(5);
/// A segment without a place is asked for so often, at nodes that turn out not to have it.
const OFFERED_TRIES_MAX: u32 = 10;
/// No more rows from before the order begins are asked for while so many placed segments lack their
/// bytes.
const MISSING_MAX: usize = 2 * ROWS_BEFORE_MAX;

/// A day is indexed anew so often; where that does not help, reads go by its order until the next start.
const INDEXED_ANEW_MAX: u32 = 3;

/// Days whose topic index was found at odds with the order since the start. One at a time is indexed anew.
#[derive(Clone, Debug, Default)]
struct Reindexing {
    /// How often each was, the one under way included.
    times: BTreeMap<UtcDay, u32>,
    waiting: BTreeSet<UtcDay>,
    under_way: Option<UtcDay>,
    /// Its segments could not all be looked up.
    is_broken_off: bool,
}

/// When what is due next.
#[derive(Debug)]
pub(super) struct Timers {
    room_at: Instant,
    round_at: Instant,
    retention_at: Instant,
}

impl Timers {
    pub(super) fn due_at(&self) -> Instant {
        self.room_at.min(self.round_at).min(self.retention_at)
    }
}

/// The machines of the upkeep, one a concern.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) fetch: Fetch,
    pub(super) retention: Retention,
    pub(super) audit: Audit,
    pub(super) repairs: Repairs,
    pub(super) expiry: Expiry,
    pub(super) rate: CatchUpRate,
    offers: Offers,
    pub(super) timers: Timers,
    room_look: Duration,
    /// The chain told last.
    told: Position,
    /// Nothing from this position on is given out.
    pub(super) trusted_to: Position,
    /// Placed segments that no node of the group has.
    pub(super) nowhere: Nowhere,
    /// Segments that were missing and came, since the start.
    fetched_total: u64,
    reindexing: Reindexing,
}

impl Upkeep {
    pub(super) fn new(
        policy: RetentionPolicy,
        room_look: Duration,
        group_majority: usize,
        now: Instant,
    ) -> Self {
        Self {
            fetch: Fetch::default(),
            retention: Retention::new(policy, group_majority),
            audit: Audit::default(),
            repairs: Repairs::default(),
            expiry: Expiry::default(),
            rate: CatchUpRate::default(),
            offers: Offers::default(),
            timers: Timers { room_at: now, round_at: now + ROUND, retention_at: now },
            room_look,
            told: Position(0),
            trusted_to: Position(u64::MAX),
            nowhere: Nowhere::default(),
            fetched_total: 0,
            reindexing: Reindexing::default(),
        }
    }
}

impl NdbCore {
    /// Does what is due.
    pub(super) fn upkeep_due(&mut self, now: Instant, fx: &mut Effects) {
        let timers = &mut self.upkeep.timers;
        if timers.room_at <= now {
            timers.room_at = now + self.upkeep.room_look;
            fx.looks.push(Look::Room);
        }
        if timers.retention_at <= now {
            timers.retention_at = now + RETENTION_LOOK;
            fx.looks.push(Look::Days);
        }
        if timers.round_at <= now {
            timers.round_at = now + ROUND;
            self.offer_lingering(fx);
            self.tell_chain(fx);
            self.ask_for_repairs(now, fx);
            self.take_back(now, fx);
            self.note_catch_up(now, fx);
            self.note_nowhere(now, fx);
        }
    }

    /// Segments that stay without a place are offered to the group.
    fn offer_lingering(&mut self, fx: &mut Effects) {
        let unresolved: Vec<SegmentMeta> = self.replica.unresolved().map(|m| m.get()).collect();
        let segments = self.upkeep.offers.round(&unresolved);
        if !segments.is_empty() {
            fx.notes.push(Note::Offered { segments: segments.len() });
            fx.sends.push((
                To::Group(self.id.group),
                Message::Replica(ReplicaMessage::OfferSegments { segments }),
            ));
        }
    }

    /// Tells the other nodes how the order on disk ends, where that has changed.
    fn tell_chain(&mut self, fx: &mut Effects) {
        let OrderBase { next, chain, .. } = self.stored.head;
        if next != self.upkeep.told && next != Position::FIRST {
            self.upkeep.told = next;
            fx.sends.push((To::AllNdb, Message::Replica(ReplicaMessage::ChainAt { next, chain })));
        }
    }

    pub(super) fn on_chain(
        &mut self,
        peer: NdbId,
        next: Position,
        chain: Digest,
        fx: &mut Effects,
    ) {
        let head = self.stored.head.next;
        let now = self.upkeep.audit.heard(peer, next, chain, head);
        let reached = self.upkeep.audit.take_reached(head);
        let all = now.map(|(next, chain)| (peer, next, chain)).into_iter().chain(reached);
        fx.looks.extend(all.map(|(peer, next, chain)| Look::Chain { peer, next, chain }));
    }

    pub(super) fn on_compared(
        &mut self,
        peer: NdbId,
        next: Position,
        agrees: bool,
        fx: &mut Effects,
    ) {
        let audit = &mut self.upkeep.audit;
        if audit.compared(peer, next, agrees) {
            fx.notes.push(Note::ChainDiffers { peer, next });
        }
        fx.notes.push(Note::ChainsDiffering { peers: audit.differing().count() });
        let to = audit.distrusted_from().unwrap_or(Position(u64::MAX));
        if std::mem::replace(&mut self.upkeep.trusted_to, to) != to {
            fx.notes.push(Note::Trusted { to });
            fx.changes.push(Change::Trusted(to));
        }
    }

    /// Takes what a reader of the store came across; every reader that does reports it.
    pub(super) fn on_found(&mut self, finding: Finding, now: Instant, fx: &mut Effects) {
        match finding {
            Finding::Blob(lost) => self.on_lost(lost, false, now, fx),
            Finding::NoBlob(lost) => self.on_lost(lost, true, now, fx),
            Finding::Row { at } => {
                if self.upkeep.repairs.found(at) {
                    fx.notes.push(Note::DamagedRow { at });
                }
            }
            Finding::NotIndexed { first, elected } => {
                fx.notes.push(Note::Reindexed);
                self.hand_over([Job::Index { first, elected }], now, fx);
            }
            Finding::AtOdds(day) => self.index_anew(day, now, fx),
            Finding::LookedUp(day) => {
                self.hand_over([Job::IndexAnew { day, begins: false }], now, fx);
            }
            Finding::NotLookedUp(day) => {
                self.upkeep.reindexing.is_broken_off =
                    self.upkeep.reindexing.under_way == Some(day);
            }
            Finding::Temporary(meta) => {
                let mut asked = crate::replica::Effects::default();
                let is_lost = self.replica.lose_pending(meta, &mut asked);
                if is_lost {
                    fx.notes.push(Note::DamagedPending { segment: meta.id });
                    self.hand_over([Job::Drop(meta.id)], now, fx);
                }
                self.settle(asked, now, fx);
            }
        }
    }

    fn on_lost(&mut self, lost: Lost, are_gone: bool, now: Instant, fx: &mut Effects) {
        // A reader may find again what is being mended: to lose it then would take the good bytes.
        let is_news = !self.replica.missing().contains_key(&lost.meta.id);
        if is_news && !self.buffer.brings(lost.meta.id) {
            fx.notes.push(Note::Damaged { lost, are_gone });
            let was_held = self.replica.lose(lost);
            let dropped = was_held.then_some(Job::Drop(lost.meta.id));
            self.upkeep.fetch.want(lost.meta.id, now);
            self.hand_over(dropped.into_iter().chain([Job::Lose(lost)]), now, fx);
        }
    }

    /// The index and the order of a day were found at odds by a read by topic, which went by the order, or
    /// by the writer.
    pub(super) fn index_anew(&mut self, day: UtcDay, now: Instant, fx: &mut Effects) {
        // Many readers come across it.
        let all = &mut self.upkeep.reindexing;
        let times = all.times.entry(day).or_default();
        let is_due = *times < INDEXED_ANEW_MAX && all.under_way != Some(day);
        let is_new = is_due && all.under_way.is_none();
        if is_new {
            *times += 1;
            (all.under_way, all.is_broken_off) = (Some(day), false);
        } else if is_due {
            all.waiting.insert(day);
        }
        fx.notes.push(Note::IndexAtOdds { day, is_new });
        if is_new {
            self.hand_over([Job::IndexAnew { day, begins: true }], now, fx);
        }
    }

    /// A new index is on disk to its end: what is found at odds from here on is new, and the next day may begin.
    pub(super) fn on_index_ended(&mut self, days: &[UtcDay], now: Instant, fx: &mut Effects) {
        for day in days {
            fx.notes.push(Note::IndexMended { day: *day });
            let all = &mut self.upkeep.reindexing;
            if all.under_way == Some(*day) {
                all.under_way = None;
                if let Some(next) = all.waiting.pop_first() {
                    self.index_anew(next, now, fx);
                }
            }
        }
    }

    /// Rows of the order are whole again: segments that could not be looked up can be.
    pub(super) fn look_up_again(&mut self, fx: &mut Effects) {
        let all = &mut self.upkeep.reindexing;
        if let Some(day) = all.under_way.filter(|_| std::mem::take(&mut all.is_broken_off)) {
            fx.looks.push(Look::Index { day });
        }
    }

    fn ask_for_repairs(&mut self, now: Instant, fx: &mut Effects) {
        for (peer, from) in self.upkeep.repairs.take_due(now, &self.peers.ndb()) {
            fx.sends.push((To::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from })));
        }
    }

    /// Takes rows that were asked for to mend the order.
    pub(super) fn on_repair_rows(
        &mut self,
        first: Position,
        rows: Vec<Elected>,
        now: Instant,
        fx: &mut Effects,
    ) {
        self.hand_over([Job::Repair { first, rows }], now, fx);
    }

    /// The order begins here now: what is before is nobody's business any more.
    pub(super) fn on_trimmed_to(&mut self, first: Position, fx: &mut Effects) {
        let gone = self.replica.missing().values().filter(|lost| lost.first < first);
        gone.for_each(|lost| self.upkeep.fetch.got(lost.meta.id));
        self.replica.trim(first);
        self.upkeep.retention.forget_noted();
        fx.notes.push(Note::TrimmedTo { first });
    }

    /// Tells the group what this node would keep, and drops what the group agrees to.
    pub(super) fn on_days(
        &mut self,
        days: &[(UtcDay, u64)],
        wall: WallTime,
        now: Instant,
        fx: &mut Effects,
    ) {
        let (base, head) = (self.stored.base, self.stored.head);
        let looked = self.upkeep.retention.look(wall, Days { days, base, head });
        if let Some(retained) = looked.tell {
            fx.sends.push((
                To::Group(self.id.group),
                Message::Replica(ReplicaMessage::Retaining { retained }),
            ));
        }
        if let Some(keep_from) = looked.trim {
            self.hand_over([Job::Trim { keep_from }], now, fx);
        }
        fx.notes.extend(looked.waits.map(|keep_from| Note::WaitsToDrop { keep_from }));
    }

    pub(super) fn on_retaining(&mut self, from: NdbId, retained: Retained, now: Instant) {
        if self.upkeep.retention.said(from, retained) {
            self.look_at_retention(now);
        }
    }

    /// What a peer keeps has changed, or what is here.
    fn look_at_retention(&mut self, now: Instant) {
        let at = &mut self.upkeep.timers.retention_at;
        *at = (*at).min(now);
    }

    /// Asks a peer for rows from before the order begins here, while the group keeps some.
    fn take_back(&mut self, now: Instant, fx: &mut Effects) {
        let has_room = self.replica.missing().len() <= MISSING_MAX && !self.room.is_low;
        let (base, head) = (self.stored.base, self.stored.head);
        let taken = self.upkeep.retention.take_back(now, base, head, has_room);
        if let Some(first) = taken.note {
            fx.notes.push(Note::KeptByGroup { base: base.next, first });
            self.hand_over([Job::KeptByGroup(first)], now, fx);
        }
        if let Some(peer) = taken.ask {
            fx.sends.push((
                To::Ndb(peer),
                Message::Replica(ReplicaMessage::FetchOrderBefore { before: base.next }),
            ));
        }
    }

    /// Takes rows from before the order begins here.
    pub(super) fn on_order_before(
        &mut self,
        before: Position,
        base: OrderBase,
        rows: Vec<Elected>,
        now: Instant,
        fx: &mut Effects,
    ) {
        if before != self.stored.base.next {
            return;
        }
        if let Some((base, rows)) = self.upkeep.retention.take_rows(before, base, rows) {
            self.hand_over([Job::Extend { base, rows }], now, fx);
        }
    }

    /// The order begins earlier now; its bytes there are to come.
    pub(super) fn on_extended(&mut self, extended: Extended, now: Instant, fx: &mut Effects) {
        for lost in extended.lost {
            // One that was held while the order that has its place was not here.
            if self.replica.lose(lost) {
                self.hand_over([Job::Drop(lost.meta.id)], now, fx);
            }
            self.upkeep.fetch.want(lost.meta.id, now);
        }
        let (first, rows) = (extended.base.next, extended.rows);
        fx.notes.push(Note::Extended { first, rows });
        self.upkeep.retention.extended();
        self.look_at_retention(now);
        self.take_back(now, fx);
    }

    /// Asks peers for missing segments, when it is time and there is room for them.
    pub(super) fn fetch_due(&mut self, now: Instant, fx: &mut Effects) {
        let fetch = &mut self.upkeep.fetch;
        if !self.room.may_fetch() || fetch.due_at().is_none_or(|at| at > now) {
            return;
        }
        for (peer, segments) in fetch.take_due(now) {
            fx.notes.push(Note::AskingForSegments { peer, segments: segments.len() });
            fx.sends.push((
                To::Ndb(peer),
                Message::Replica(ReplicaMessage::FetchSegments { segments }),
            ));
        }
    }

    /// Segments that a peer does not have. One without a place that nobody has any more is not asked
    /// for for ever: it is elected, or offered again, or gone.
    pub(super) fn on_segments_missing(
        &mut self,
        from: NdbId,
        segments: &[SegmentId],
        now: Instant,
    ) {
        let fetch = &mut self.upkeep.fetch;
        fetch.lacks(from, segments, now);
        for segment in segments {
            let is_placed = self.replica.missing().contains_key(segment);
            if !is_placed && fetch.tries_of(*segment) >= OFFERED_TRIES_MAX {
                fetch.got(*segment);
                self.replica.unwant(*segment);
            }
        }
    }

    /// Bytes that were asked for, or placed without them, are here.
    pub(super) fn on_arrived(&mut self, segment: SegmentId, blob: Option<Blob>, fx: &mut Effects) {
        self.upkeep.fetch.got(segment);
        self.upkeep.fetched_total += 1;
        fx.notes.push(Note::Fetched { segments: 1 });
        fx.changes.extend(blob.map(|blob| Change::Arrived(segment, blob)));
    }

    /// Placed segments that no node of the group has: said once, and when they are found.
    fn note_nowhere(&mut self, now: Instant, fx: &mut Effects) {
        let others = self.membership.group(self.id.group).len().saturating_sub(1);
        let missing = self.replica.missing();
        let nowhere = self.upkeep.fetch.nowhere(others, now);
        let lost = nowhere.filter_map(|segment| missing.get(&segment));
        let nowhere = Nowhere::of(lost.map(|lost| lost.first));
        let before = std::mem::replace(&mut self.upkeep.nowhere, nowhere);
        if nowhere != before {
            fx.sends.push((To::All, Message::Node(NodeMessage::NdbNowhere { nowhere })));
            fx.notes.push(Note::Nowhere { before, now: nowhere });
        }
    }

    /// How far catching up has come.
    fn note_catch_up(&mut self, now: Instant, fx: &mut Effects) {
        let missing = self.replica.missing();
        let bytes = missing.values().map(|lost| u64::from(lost.meta.bytes)).sum();
        let (segments, fetched) = (missing.len() as u64, self.upkeep.fetched_total);
        let is_said = self.upkeep.rate.round(now, segments, bytes, fetched).is_some();
        fx.notes.push(Note::CatchUp { report: self.upkeep.rate.report(), is_said });
    }
}
