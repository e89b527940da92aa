//! What a commit writes in the journal.
//!
//! ```text
//! version of rows u8 | postcard of: commits, rows, standings, trimmed-to
//! ```
//! Rows are those of the databases, in the encoding that they have there. Numbers of variants are their order, and are not
//! used again. Rows of version 4 differ in one: a vote ends before what was accepted in the fast round.

use serde::{Deserialize, Serialize};

use vixen_core::id::{Ballot, GroupId, OwnerId, Stamp, SyncId};
use vixen_core::segment::{Challenger, Elected, SegmentMeta};
use vixen_vote::{Batch, OwnerRow, Standing, VoteState, Write};

use super::StoreError;

/// The version of rows without a fast round.
const ROWS_BEFORE: u8 = 4;

/// A commit, as it is in the journal, with rows of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record<V = VoteState> {
    /// Of the store, with this one.
    pub(super) commits: u64,
    rows: Vec<Row<V>>,
    pub(super) standings: Vec<(SyncId, Standing)>,
    /// Elections are forgotten up to here.
    pub(super) trimmed_to: Stamp,
}

/// A [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Row<V> {
    Vote(V),
    Ceiling(Stamp),
    Elected(Elected, OwnerRow),
    OwnerSettled(OwnerId, OwnerRow),
    DropOwner(OwnerId),
}

/// The row of a vote up to version 4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct VoteBefore {
    meta: SegmentMeta,
    draft: Option<Stamp>,
    group: Option<GroupId>,
    promised: Ballot,
    accepted: Option<(Ballot, Challenger)>,
}

impl From<VoteBefore> for VoteState {
    fn from(vote: VoteBefore) -> Self {
        let VoteBefore { meta, draft, group, promised, accepted } = vote;
        Self { meta, draft, group, promised, accepted, fast: None }
    }
}

impl From<&Write> for Row<VoteState> {
    fn from(write: &Write) -> Self {
        match *write {
            Write::Vote(vote) => Self::Vote(vote),
            Write::Ceiling(ceiling) => Self::Ceiling(ceiling),
            Write::Elected(elected, owner) => Self::Elected(elected, owner),
            Write::OwnerSettled(owner, row) => Self::OwnerSettled(owner, row),
            Write::DropOwner(owner) => Self::DropOwner(owner),
        }
    }
}

impl From<Row<VoteBefore>> for Row<VoteState> {
    fn from(row: Row<VoteBefore>) -> Self {
        match row {
            Row::Vote(vote) => Self::Vote(vote.into()),
            Row::Ceiling(ceiling) => Self::Ceiling(ceiling),
            Row::Elected(elected, owner) => Self::Elected(elected, owner),
            Row::OwnerSettled(owner, row) => Self::OwnerSettled(owner, row),
            Row::DropOwner(owner) => Self::DropOwner(owner),
        }
    }
}

impl From<Record<VoteBefore>> for Record {
    fn from(record: Record<VoteBefore>) -> Self {
        let Record { commits, rows, standings, trimmed_to } = record;
        let rows = rows.into_iter().map(Row::from).collect();
        Self { commits, rows, standings, trimmed_to }
    }
}

impl From<Row<VoteState>> for Write {
    fn from(row: Row<VoteState>) -> Self {
        match row {
            Row::Vote(vote) => Self::Vote(vote),
            Row::Ceiling(ceiling) => Self::Ceiling(ceiling),
            Row::Elected(elected, owner) => Self::Elected(elected, owner),
            Row::OwnerSettled(owner, row) => Self::OwnerSettled(owner, row),
            Row::DropOwner(owner) => Self::DropOwner(owner),
        }
    }
}

impl Record {
    pub(super) fn new(commits: u64, batch: &Batch, trimmed_to: Stamp) -> Self {
        let rows = batch.writes.iter().map(Row::from).collect();
        Self { commits, rows, standings: batch.standings.clone(), trimmed_to }
    }

    pub(super) fn writes(&self) -> impl Iterator<Item = Write> {
        self.rows.iter().map(|row| Write::from(*row))
    }

    /// Appends it to `bytes`.
    pub(super) fn encode(&self, bytes: Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let mut bytes = bytes;
        bytes.push(super::ROWS);
        postcard::to_extend(self, bytes).map_err(StoreError::Row)
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, StoreError> {
        match bytes.split_first() {
            Some((&super::ROWS, rows)) => postcard::from_bytes(rows).map_err(StoreError::Row),
            Some((&ROWS_BEFORE, rows)) => {
                let before = postcard::from_bytes::<Record<VoteBefore>>(rows);
                before.map(Self::from).map_err(StoreError::Row)
            }
            Some((version, _)) => Err(StoreError::RowsVersion(*version)),
            None => Err(StoreError::Row(postcard::Error::DeserializeUnexpectedEnd)),
        }
    }
}
