//! What a node of the model has on disk.

use std::collections::BTreeMap;
use std::convert::Infallible;

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp};
use vixen_core::segment::Elected;
use vixen_vote::{Batch, OwnerRow, Recovered, VoteState, Write};

use crate::fault::Fault;

/// The store of a node: what a restart finds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Disk {
    ceiling: Stamp,
    votes: BTreeMap<SegmentId, VoteState>,
    elected: BTreeMap<SegmentId, Elected>,
    owners: BTreeMap<OwnerId, OwnerRow>,
}

impl Disk {
    pub(crate) fn apply(&mut self, write: Write) {
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
            Write::DropOwner(_) => unreachable!("no owner of the model has a time"),
        }
    }

    fn put_owner(&mut self, owner: OwnerId, row: OwnerRow) {
        let known = self.owners.entry(owner).or_default();
        *known = (*known).max(row);
    }

    /// What the vote starts from, as the fault has it.
    pub(crate) fn recover(&self, fault: Option<Fault>) -> Recovered {
        let beyond = |(id, elected): (&SegmentId, &Elected)| {
            let row = self.owners.get(&id.owner).copied().unwrap_or_default();
            (id.seq > row.contiguous).then_some((*id, elected.stamp()))
        };
        let mut recovered = Recovered {
            ceiling: self.ceiling,
            owners: self.owners.iter().map(|(id, row)| (*id, *row)).collect(),
            beyond: self.elected.iter().filter_map(beyond).collect(),
            votes: self.votes.values().copied().collect(),
            ..Recovered::default()
        };
        if fault == Some(Fault::ClockNotRestored) {
            recovered.ceiling = Stamp::ZERO;
        }
        if fault == Some(Fault::DraftsForgottenAtRestart) {
            recovered.votes.iter_mut().for_each(|vote| vote.draft = None);
        }
        recovered
    }

    /// Elected segments of the owner beyond `after`.
    pub(crate) fn elected_of(&self, owner: OwnerId, after: Seq) -> impl Iterator<Item = Elected> {
        let is_asked = move |e: &&Elected| e.meta.id.owner == owner && e.meta.id.seq > after;
        self.elected.values().filter(is_asked).copied()
    }

    pub(crate) fn elections(&self) -> usize {
        self.elected.len()
    }

    pub(crate) fn is_elected(&self, segment: SegmentId) -> bool {
        self.elected.contains_key(&segment)
    }

    /// Only what peers can ask for: for a node that cannot crash any more.
    pub(crate) fn reduced(self) -> Self {
        Self { elected: self.elected, ..Self::default() }
    }
}

impl vixen_vote::Disk for Disk {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        batch.writes.iter().for_each(|write| self.apply(*write));
        Ok(true)
    }
}
