//! What a sync node has on disk of the vote: its rows, written as the store of `sync/src/store` writes them.

use std::collections::BTreeMap;
use std::convert::Infallible;

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp};
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_vote::{Batch, Disk, Elections, OwnerRow, Recovered, VoteState, Write};

/// See the module. Where a test needs more, as room that ends, it wraps this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SyncDisk {
    ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
    trimmed_to: Stamp,
    forgotten_to: WallTime,
}

impl SyncDisk {
    /// Writes a row.
    pub fn apply(&mut self, write: Write) {
        match write {
            Write::Vote(vote) => {
                self.votes.insert(vote.meta.id, vote);
            }
            Write::Ceiling(ceiling) => self.ceiling = ceiling,
            Write::Elected(elected, owner) => {
                self.votes.remove(&elected.meta.id);
                self.elected.insert(elected.meta.id, elected);
                self.put_owner(elected.meta.id.owner, owner);
            }
            Write::OwnerSettled(owner, row) => {
                self.votes.retain(|id, _| id.owner != owner || id.seq > row.contiguous);
                self.put_owner(owner, row);
            }
            Write::DropOwner(owner) => {
                self.owners.remove(&owner);
                self.votes.retain(|id, _| id.owner != owner);
                self.forgotten_to =
                    self.forgotten_to.max(owner.made_at().unwrap_or(WallTime(u64::MAX)));
            }
        }
    }

    fn put_owner(&mut self, owner: OwnerId, row: OwnerRow) {
        let known = self.owners.entry(owner).or_default();
        *known = (*known).max(row);
    }

    /// What a start finds. Elections of an owner that is forgotten do not bring it back.
    #[must_use]
    pub fn recover(&self) -> Recovered {
        let beyond = |(id, elected): (&SegmentId, &Elected)| {
            let row = self.owners.get(&id.owner)?;
            (id.seq > row.contiguous).then_some((*id, elected.stamp()))
        };
        Recovered {
            ceiling: self.ceiling,
            owners: self.owners.iter().map(|(id, row)| (*id, *row)).collect(),
            beyond: self.elected.iter().filter_map(beyond).collect(),
            votes: self.votes.values().copied().collect(),
            forgotten_to: self.forgotten_to,
        }
    }

    /// Elections up to here are forgotten.
    #[must_use]
    pub const fn trimmed_to(&self) -> Stamp {
        self.trimmed_to
    }

    /// How many elections there are.
    #[must_use]
    pub fn elections(&self) -> usize {
        self.elected.len()
    }

    /// Whether a segment is known elected.
    #[must_use]
    pub fn is_elected(&self, segment: SegmentId) -> bool {
        self.elected.contains_key(&segment)
    }

    /// Forgets elections up to a stamp, those that may go.
    pub fn forget(&mut self, upto: Stamp, may_go: impl Fn(&Elected) -> bool) {
        let goes = |elected: &Elected| elected.stamp() <= upto && may_go(elected);
        let gone = self.elected.extract_if(.., |_, elected| goes(elected));
        let newest = gone.map(|(_, elected)| elected.stamp()).max().unwrap_or_default();
        self.trimmed_to = self.trimmed_to.max(newest);
    }

    /// Only what peers can ask for: for a node that cannot crash any more.
    #[must_use]
    pub fn reduced(self) -> Self {
        Self { elected: self.elected, ..Self::default() }
    }
}

impl Disk for SyncDisk {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        batch.writes.iter().for_each(|write| self.apply(*write));
        self.trimmed_to = self.trimmed_to.max(batch.trimmed_to.unwrap_or_default());
        Ok(true)
    }
}

impl Elections for SyncDisk {
    type Error = Infallible;

    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, Infallible> {
        let known = self.elected.values().filter(|elected| elected.stamp() > after);
        let mut known: Vec<Elected> = known.copied().collect();
        known.sort_unstable_by_key(Elected::stamp);
        known.truncate(limit);
        Ok(known)
    }

    fn elected_of(
        &self,
        owner: OwnerId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Elected>, Infallible> {
        let from = SegmentId { owner, seq: after.next() };
        let to = SegmentId { owner, seq: Seq(u64::MAX) };
        Ok(self.elected.range(from..=to).map(|(_, elected)| *elected).take(limit).collect())
    }
}
