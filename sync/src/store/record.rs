//! What a commit writes in the journal.
//!
//! ```text
//! version of rows u8 | postcard of: commits, rows, standings, trimmed-to
//! ```
//! Rows are those of the databases, in the encoding that they have there. Numbers of variants are their order, and are not
//! used again.

use serde::{Deserialize, Serialize};

use vixen_core::id::{OwnerId, Stamp, SyncId};
use vixen_core::segment::Elected;
use vixen_vote::{Batch, OwnerRow, Standing, VoteState, Write};

use super::StoreError;

/// A commit, as it is in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// Of the store, with this one.
    pub(super) commits: u64,
    rows: Vec<Row>,
    pub(super) standings: Vec<(SyncId, Standing)>,
    /// Elections are forgotten up to here.
    pub(super) trimmed_to: Stamp,
}

/// A [`Write`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Row {
    Vote(VoteState),
    Ceiling(Stamp),
    Elected(Elected, OwnerRow),
    OwnerSettled(OwnerId, OwnerRow),
    DropOwner(OwnerId),
}

impl From<&Write> for Row {
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

impl From<Row> for Write {
    fn from(row: Row) -> Self {
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
            Some((version, _)) => Err(StoreError::RowsVersion(*version)),
            None => Err(StoreError::Row(postcard::Error::DeserializeUnexpectedEnd)),
        }
    }
}
