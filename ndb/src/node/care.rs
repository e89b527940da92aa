//! What an ndb node does now and then: retention, room on the disk, the audit, offers of segments
//! that stay unresolved, and the mending of what readers found damaged.

use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::{Digest, NdbId, Position, SegmentId};
use vixen_core::segment::{Elected, SegmentMeta};
use vixen_core::time::UtcDay;
use vixen_core::wire::{Message, Nowhere, PeerId};
use vixen_runtime::disk::DISK_LOOK;

use super::disk_wait::DiskNews;
use super::{NdbError, NdbNode};
use crate::store::{Finding, Job};
use crate::tail::Trouble;
use vixen_replica::{Effects, Lost};

/// Between two rounds of audit and offers.
const ROUND: Duration = Duration::from_secs(1);
/// Between two looks at the age and size of the days.
const RETENTION_LOOK: Duration = Duration::from_secs(5);
/// Segments in one offer.
const OFFER_MAX: usize = 4_096;
/// A peer that was asked for rows of the order for a repair has so long to answer.
const REPAIR_MAX: Duration = Duration::from_secs(2);
/// Damaged rows of the order that are asked for in one round: each answer is some 300 KiB.
const REPAIRS_MAX: usize = 8;
/// With less than this part of the reserve left, nothing is fetched.
const FETCH_PART: u64 = 4;

/// When what is due next.
#[derive(Debug)]
pub(super) struct Care {
    disk_at: Instant,
    round_at: Instant,
    retention_at: Instant,
    /// Unresolved in the round before as well.
    lingering: std::collections::BTreeSet<SegmentId>,
    /// The chain told last.
    told: Position,
    /// Where rows of the order are damaged, and when a peer was asked for them.
    repairs: std::collections::BTreeMap<Position, Option<Instant>>,
    /// Whose turn it is to be asked.
    turn: usize,
    /// Days whose topic index was found at odds with the order since the start.
    indexed_anew: std::collections::BTreeSet<UtcDay>,
}

impl Care {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            disk_at: now,
            round_at: now + ROUND,
            retention_at: now,
            lingering: std::collections::BTreeSet::new(),
            told: Position(0),
            repairs: std::collections::BTreeMap::new(),
            turn: 0,
            indexed_anew: std::collections::BTreeSet::new(),
        }
    }

    pub(super) fn due_at(&self) -> Instant {
        self.disk_at.min(self.round_at).min(self.retention_at)
    }

    pub(super) fn repairs(&self) -> usize {
        self.repairs.len()
    }

    /// What a peer keeps has changed, or what is here.
    pub(super) fn look_at_retention(&mut self, now: Instant) {
        self.retention_at = self.retention_at.min(now);
    }
}

impl NdbNode {
    /// Does what is due.
    pub(super) fn care(&mut self) -> Result<(), NdbError> {
        let now = Instant::now();
        if self.care.disk_at <= now {
            self.care.disk_at = now + DISK_LOOK;
            self.look_at_disk();
        }
        if self.care.retention_at <= now {
            self.care.retention_at = now + RETENTION_LOOK;
            self.store.clear_stale_readers()?;
            self.retain()?;
        }
        if self.care.round_at <= now {
            self.care.round_at = now + ROUND;
            self.offer_lingering();
            self.tell_chain();
            self.ask_for_repairs(now);
            self.ask_for_kept()?;
            self.note_progress(now);
            self.note_nowhere(now);
        }
        Ok(())
    }

    fn look_at_disk(&mut self) {
        let has_changed = self.room.look();
        let (free_bytes, reserve_bytes) = (self.room.free(), self.room.reserve());
        self.metrics.disk_free(free_bytes);
        if !has_changed {
            return;
        }
        let path = self.options.dir.display();
        if self.room.is_low() {
            tracing::error!(
                %path,
                free_bytes,
                reserve_bytes,
                "the disk is full up to its reserve: no new segments are taken, reads go on"
            );
        } else {
            tracing::info!(%path, free_bytes, "the disk has room again: segments are taken");
        }
        self.tell_readiness();
    }

    /// The disk has fallen silent, or has answered.
    pub(super) fn tell_disk(&mut self, news: Option<DiskNews>) {
        match news {
            None => return,
            Some(DiskNews::Stalled) => {
                self.metrics.disk_stalls.increment(1);
                tracing::warn!(
                    "the disk does not answer: what is to be written waits, reads go on where they can"
                );
            }
            Some(DiskNews::Back(after)) => {
                let stalled_s = format!("{:.1}", after.as_secs_f64());
                tracing::info!(stalled_s, "the disk answers again");
            }
        }
        self.tell_readiness();
    }

    /// Whether what is placed and missing is fetched: the reserve is there for it, but not all of it.
    pub(super) const fn may_fetch(&self) -> bool {
        !self.room.is_low() || self.room.free() >= self.room.reserve() / FETCH_PART
    }

    /// Segments that stay without a place are offered to the group: so those that fewer than W nodes
    /// have, because their entry died, become canonical.
    fn offer_lingering(&mut self) {
        let unresolved: Vec<SegmentMeta> = self.replica.unresolved().collect();
        let lingering = unresolved.iter().filter(|meta| self.care.lingering.contains(&meta.id));
        let segments: Vec<_> = lingering.take(OFFER_MAX).copied().collect();
        self.care.lingering = unresolved.iter().map(|meta| meta.id).collect();
        if segments.is_empty() {
            return;
        }
        self.metrics.offered.increment(segments.len() as u64);
        let group = self.options.id.group;
        let is_meant = |peer: &PeerId| matches!(peer, PeerId::Ndb { id, .. } if id.group == group);
        self.tell(is_meant, &Message::OfferSegments { segments });
    }

    /// Tells the other nodes how the order on disk ends, where that has changed.
    fn tell_chain(&mut self) {
        let head = self.store.head();
        if head.next == self.care.told || head.next == Position::FIRST {
            return;
        }
        self.care.told = head.next;
        let message = Message::ChainAt { next: head.next, chain: head.chain };
        self.tell(|peer| matches!(peer, PeerId::Ndb { .. }), &message);
    }

    pub(super) fn on_chain(&mut self, peer: NdbId, next: Position, chain: Digest) {
        let head = self.store.head().next;
        let now = self.audit.heard(peer, next, chain, head);
        let reached = self.audit.take_reached(head);
        let all = now.map(|(next, chain)| (peer, next, chain)).into_iter().chain(reached);
        for (peer, next, chain) in all.collect::<Vec<_>>() {
            // One read of a row that was written lately.
            // Dropped, or damaged: nothing to compare.
            if let Ok(Some(row)) = self.store.row_before(next) {
                self.on_compared(peer, next, row.chain == chain);
            }
        }
    }

    fn on_compared(&mut self, peer: NdbId, next: Position, agrees: bool) {
        if self.audit.compared(peer, next, agrees) {
            self.metrics.chain_differences.increment(1);
            tracing::error!(
                peer = %self.options.roster.ndb(peer), position = %next,
                "the order of this peer is another than the order here"
            );
        }
        self.metrics.chains_differing(self.audit.differing().count());
        self.trust_to(self.audit.distrusted_from());
    }

    /// Takes what a reader of the store came across.
    pub(super) fn on_trouble(
        &mut self,
        trouble: Trouble,
        fx: &mut Effects,
    ) -> Result<(), NdbError> {
        let finding = match trouble {
            Trouble::Failed(error) => return Err(error.into()),
            Trouble::Found(finding) => finding,
        };
        match finding {
            Finding::Blob(lost) => {
                // Every reader that comes across it reports it.
                if !self.replica.missing().contains_key(&lost.meta.id) {
                    self.metrics.damaged.increment(1);
                    tracing::error!(
                        segment = %lost.meta.id, position = %lost.first,
                        "stored bytes are damaged, asking peers"
                    );
                    self.lose(lost)?;
                }
            }
            Finding::NoBlob(lost) => {
                if !self.replica.missing().contains_key(&lost.meta.id) {
                    self.metrics.damaged.increment(1);
                    tracing::error!(
                        segment = %lost.meta.id, position = %lost.first,
                        "stored bytes are gone, asking peers"
                    );
                    self.lose(lost)?;
                }
            }
            Finding::Row { at } => {
                // Asked for with the next round: readers come across it again and again.
                if let Entry::Vacant(unknown) = self.care.repairs.entry(at) {
                    unknown.insert(None);
                    self.metrics.damaged_rows.increment(1);
                    tracing::error!(position = %at, "a row of the order is damaged, asking peers");
                }
            }
            Finding::NotIndexed { first, elected } => {
                self.metrics.reindexed.increment(1);
                self.hand_over(vec![Job::Index { first, elected }])?;
            }
            Finding::AtOdds(day) => self.index_anew(day)?,
            Finding::LookedUp(day) => {
                tracing::info!(%day, "the topic index of the day is mended");
                self.hand_over(vec![Job::IndexAnew { day, begins: false }])?;
            }
            Finding::Temporary(meta) => {
                if self.replica.lose_pending(meta, fx) {
                    self.metrics.damaged.increment(1);
                    tracing::error!(
                        segment = %meta.id,
                        "stored bytes of a segment without a place are damaged, asking peers"
                    );
                    self.hand_over(vec![Job::Drop(meta.id)])?;
                }
            }
        }
        Ok(())
    }

    /// A read by topic found the index and the order of a day at odds; it went by the order.
    fn index_anew(&mut self, day: UtcDay) -> Result<(), NdbError> {
        self.metrics.index_at_odds.increment(1);
        // Many readers come across it, and what is odd and harmless is left over.
        if !self.care.indexed_anew.insert(day) {
            return Ok(());
        }
        tracing::error!(
            %day,
            "the topic index of the day and its order are at odds: it is read by the order, and \
             indexed anew"
        );
        self.hand_over(vec![Job::IndexAnew { day, begins: true }])?;
        let (store, trouble) = (Arc::clone(&self.store), self.trouble.clone());
        tokio::task::spawn_blocking(move || {
            let looked_up = store.look_up(day, |finding| {
                let _node_has_ended = trouble.send(Trouble::Found(finding));
            });
            let _node_has_ended = trouble.send(match looked_up {
                Ok(()) => Trouble::Found(Finding::LookedUp(day)),
                Err(error) => Trouble::Failed(error),
            });
        });
        Ok(())
    }

    fn lose(&mut self, lost: Lost) -> Result<(), NdbError> {
        self.replica.lose(lost);
        self.fetching.want(lost.meta.id, Instant::now());
        self.hand_over(vec![Job::Lose(lost)])
    }

    fn ask_for_repairs(&mut self, now: Instant) {
        let peers: Vec<_> = self.ndb_peers().into_iter().collect();
        if peers.is_empty() {
            return;
        }
        let is_due = |asked: &Option<Instant>| asked.is_none_or(|at| at + REPAIR_MAX <= now);
        let due = self.care.repairs.iter().filter(|(_, asked)| is_due(asked)).map(|(at, _)| *at);
        for at in due.take(REPAIRS_MAX).collect::<Vec<_>>() {
            self.care.repairs.insert(at, Some(now));
            self.care.turn = self.care.turn.wrapping_add(1);
            let peer = peers[self.care.turn % peers.len()];
            if let Some(sender) = self.senders_of_peer(peer).next() {
                let _down_follows = sender.send(Message::FetchOrder { from: at });
            }
        }
    }

    /// Takes rows that were asked for to mend the order; `false` when they were not.
    pub(super) fn on_repair_rows(
        &mut self,
        first: Position,
        rows: &[Elected],
    ) -> Result<bool, NdbError> {
        if rows.is_empty() || self.care.repairs.remove(&first).is_none() {
            return Ok(false);
        }
        self.hand_over(vec![Job::Repair { first, rows: rows.to_vec() }])?;
        Ok(true)
    }

    /// The order begins here now: what is before is nobody's business any more.
    pub(super) fn on_trimmed_to(&mut self, first: Position) {
        let gone = self.replica.missing().values().filter(|lost| lost.first < first);
        let gone: Vec<_> = gone.map(|lost| lost.meta.id).collect();
        gone.into_iter().for_each(|segment| self.fetching.got(segment));
        self.replica.trim(first);
        self.retaining.forget_noted();
        self.metrics.first_position(first);
        tracing::info!(position = %first, "the order begins here now");
    }

    /// Placed segments that no node of the group has: said once, and when they are found.
    fn note_nowhere(&mut self, now: Instant) {
        let others = self.options.membership.group(self.options.id.group).len().saturating_sub(1);
        let missing = self.replica.missing();
        let lost = self.fetching.nowhere(others, now).filter_map(|segment| missing.get(&segment));
        let nowhere = Nowhere::of(lost.map(|lost| lost.first));
        if nowhere == self.nowhere {
            return;
        }
        let Nowhere { segments, .. } = nowhere;
        self.metrics.nowhere(segments);
        let Nowhere { segments: before, .. } = std::mem::replace(&mut self.nowhere, nowhere);
        self.tell(|_all| true, &Message::NdbNowhere { nowhere });
        let group = self.options.id.group;
        if segments > before {
            tracing::error!(
                %group, segments,
                "placed segments are at no node of the group: their messages are lost unless a store \
                 that has them is put back"
            );
        } else if segments == 0 {
            tracing::info!(%group, "all placed segments are at nodes of the group, or here");
        }
        self.tell_readiness();
    }

    /// Says in the log how far catching up has come.
    fn note_progress(&mut self, now: Instant) {
        let missing = self.replica.missing();
        let bytes = missing.values().map(|lost| u64::from(lost.meta.bytes)).sum();
        let (segments, fetched) = (missing.len() as u64, self.fetched_total);
        let report = self.progress.round(now.into_std(), segments, bytes, fetched);
        self.metrics.catch_up(segments, bytes);
        if let Some(report) = report {
            tracing::info!(
                segments_to_go = report.segments,
                mib_to_go = report.bytes >> 20,
                segments_per_second = report.per_second,
                seconds_to_go = report.seconds_to_go,
                position = %self.reader.next_position(),
                "catching up"
            );
        }
    }

    /// Shared with tails.
    pub(super) fn trusted(&self) -> Arc<std::sync::atomic::AtomicU64> {
        Arc::clone(&self.trusted_to)
    }
}
