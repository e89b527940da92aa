//! Rows that are in the journal and not in LMDB yet.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_vote::{Standing, Write};

use super::record::Record;

/// What some commits wrote, as LMDB is to have it, and elections as readers ask for them.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// In the order of the commits. A vote that a later row replaces or removes is none of LMDB's: it is taken out.
    writes: Vec<Option<Write>>,
    /// Where votes are in `writes`.
    votes: BTreeMap<SegmentId, usize>,
    ceiling: Option<Stamp>,
    elected: BTreeMap<Stamp, Elected>,
    stamps: BTreeMap<SegmentId, Stamp>,
    standings: BTreeMap<SyncId, Standing>,
    /// Elections that are in LMDB and forgotten.
    forgotten: BTreeMap<Stamp, SegmentId>,
    trimmed_to: Stamp,
    commits: u64,
}

impl Rows {
    /// Adds those of the next commit, and what is forgotten with it.
    pub(super) fn add(&mut self, record: &Record, forgotten: &[Elected]) {
        for write in record.writes() {
            self.add_write(write);
        }
        self.standings.extend(record.standings.iter().copied());
        self.forgotten.extend(forgotten.iter().map(|elected| (elected.stamp(), elected.meta.id)));
        self.trimmed_to = self.trimmed_to.max(record.trimmed_to);
        self.commits = record.commits;
    }

    fn add_write(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => {
                self.take_out(vote.meta.id);
                self.votes.insert(vote.meta.id, self.writes.len());
            }
            Write::Elected(elected, _) => {
                self.take_out(elected.meta.id);
                self.elected.insert(elected.stamp(), elected);
                self.stamps.insert(elected.meta.id, elected.stamp());
            }
            Write::Ceiling(ceiling) => {
                self.ceiling = Some(ceiling);
                return;
            }
            Write::OwnerSettled(..) | Write::DropOwner(_) => {}
        }
        self.writes.push(Some(write));
    }

    fn take_out(&mut self, segment: SegmentId) {
        if let Some(at) = self.votes.remove(&segment) {
            self.writes[at] = None;
        }
    }

    /// In the order in which LMDB is to have them.
    pub(super) fn writes(&self) -> impl Iterator<Item = Write> {
        self.writes.iter().flatten().copied().chain(self.ceiling.map(Write::Ceiling))
    }

    pub(super) fn standings(&self) -> impl Iterator<Item = (SyncId, Standing)> {
        self.standings.iter().map(|(peer, standing)| (*peer, *standing))
    }

    pub(super) fn forgotten(&self) -> impl Iterator<Item = (Stamp, SegmentId)> {
        self.forgotten.iter().map(|(stamp, segment)| (*stamp, *segment))
    }

    pub(super) fn has_forgotten(&self, stamp: Stamp) -> bool {
        self.forgotten.contains_key(&stamp)
    }

    pub(super) const fn trimmed_to(&self) -> Stamp {
        self.trimmed_to
    }

    pub(super) const fn commits(&self) -> u64 {
        self.commits
    }

    /// Elections beyond a stamp, by stamp.
    pub(super) fn elected_after(&self, after: Stamp) -> impl Iterator<Item = Elected> {
        self.elected.range((Excluded(after), Unbounded)).map(|(_, elected)| *elected)
    }

    /// Elections of an owner beyond a seq, by seq.
    pub(super) fn elected_of(&self, owner: OwnerId, after: Seq) -> impl Iterator<Item = Elected> {
        let (from, to) =
            (SegmentId { owner, seq: after.next() }, SegmentId { owner, seq: Seq(u64::MAX) });
        self.stamps.range(from..=to).filter_map(|(_, stamp)| self.elected.get(stamp).copied())
    }
}
