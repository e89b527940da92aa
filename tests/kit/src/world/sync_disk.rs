//! What a sync node of the World has on disk: the rows of the vote.

use std::collections::BTreeMap;
use std::convert::Infallible;

use vixen_core::id::{GroupId, OwnerId, SegmentId, Seq, Stamp};
use vixen_core::segment::Elected;
use vixen_core::time::WallTime;
use vixen_vote::{Elections, OwnerRow, Recovered, VoteState, Write};

/// See the module.
#[derive(Clone, Debug, Default)]
pub(super) struct SyncDisk {
    pub(super) ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
    pub(super) trimmed_to: Stamp,
    forgotten_to: WallTime,
}

impl SyncDisk {
    pub(super) fn apply(&mut self, write: Write) {
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
                let made = owner.made_at().expect("one without a time is not forgotten");
                self.forgotten_to = self.forgotten_to.max(made);
            }
        }
    }

    fn put_owner(&mut self, owner: OwnerId, row: OwnerRow) {
        let known = self.owners.entry(owner).or_default();
        *known = (*known).max(row);
    }

    /// As the store does: elections of an owner that is forgotten do not bring it back.
    pub(super) fn recover(&self) -> Recovered {
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

    pub(super) fn elected(&self) -> impl Iterator<Item = &Elected> {
        self.elected.values()
    }

    /// Forgets elections up to a stamp that W nodes of their group have applied, as far as owners are
    /// elected without a gap.
    pub(super) fn forget(&mut self, upto: Stamp, floors: &BTreeMap<GroupId, Stamp>) {
        let owners = &self.owners;
        let goes = |id: &SegmentId, elected: &Elected| {
            let floor = floors.get(&elected.challenger.group);
            elected.stamp() <= upto
                && floor.is_some_and(|floor| elected.stamp() <= *floor)
                && owners.get(&id.owner).is_none_or(|row| id.seq <= row.contiguous)
        };
        let gone = self.elected.extract_if(.., |id, elected| goes(id, elected));
        let newest = gone.map(|(_, elected)| elected.stamp()).max().unwrap_or_default();
        self.trimmed_to = self.trimmed_to.max(newest);
    }
}

impl Elections for SyncDisk {
    type Error = Infallible;

    fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, Infallible> {
        let mut known: Vec<_> =
            self.elected().filter(|elected| elected.stamp() > after).copied().collect();
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
