//! Looking into the journal of a store, beside a running node.
//!
//! The node writes meanwhile. What was seen at a first look was durable before a second one, and up to where LMDB has all
//! is read last: what is beyond, and is not whole at the second look, is damage.

use vixen_runtime::journal::{JournalError, Look, Sequence};

use super::{Inspector, Surveyed};
use crate::store::StoreError;
use crate::store::arrivals::{JournalRow, segments_of};

/// What became of a store's journal.
#[derive(Debug)]
pub(crate) enum JournalState {
    /// The store says of none.
    None,
    /// The store says of one, and it is not there: so it is in a backup of a running node.
    Missing,
    /// It cannot be used.
    Unusable(JournalError),
    /// This record was durable, and is not whole.
    Damaged(Sequence),
    /// It is whole, as far as LMDB does not have it.
    Whole(InJournal),
}

/// What a journal has that LMDB does not have all of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct InJournal {
    /// Segments.
    pub(crate) segments: u64,
    /// Their bytes.
    pub(crate) bytes: u64,
    /// Segments that are not what was written.
    pub(crate) damaged: u64,
    /// A last record was not written whole: nobody was answered for it.
    pub(crate) is_torn: bool,
}

/// What surveyed days say of the journal.
pub(crate) fn journal_row(days: &[Surveyed]) -> Option<JournalRow> {
    days.iter().filter_map(|(_, bounds)| bounds.as_ref().ok()?.journal).max()
}

impl Inspector {
    /// Looks at the journal. Blocking.
    ///
    /// # Errors
    /// When a day or the journal cannot be read.
    pub(crate) fn journal(&self) -> Result<JournalState, StoreError> {
        let looks = Look::at(&self.dir).and_then(|first| Ok((first, Look::at(&self.dir)?)));
        let Some(row) = journal_row(&self.survey()?).filter(|row| !row.is_closed()) else {
            return Ok(JournalState::None);
        };
        let (first, second) = match looks {
            Ok(looks) => looks,
            Err(JournalError::Missing { .. }) => return Ok(JournalState::Missing),
            Err(error) if error.of_the_disk().is_some() => return Err(error.into()),
            Err(error) => return Ok(JournalState::Unusable(error)),
        };
        if second.id != row.id() {
            // What a restore has made has nothing in it.
            return Ok(if second.newest == Sequence::default() {
                JournalState::None
            } else {
                let path = self.dir.join(vixen_runtime::journal::JOURNAL_FILE);
                JournalState::Unusable(JournalError::Foreign { path })
            });
        }
        if let Some(damaged) = second.first_damaged(row.applied(), first.newest) {
            return Ok(JournalState::Damaged(damaged));
        }
        let newest = second.newest;
        let (mut found, mut last) = (InJournal::default(), row.applied());
        for record in second.beyond(row.applied()) {
            // A later one is being written beside one that was not seen.
            if record.sequence != last.next() {
                break;
            }
            last = record.sequence;
            for (meta, blob) in segments_of(record.body)? {
                found.segments += 1;
                found.bytes += u64::from(meta.bytes);
                found.damaged += u64::from(blob.is_none());
            }
        }
        found.is_torn = newest > last;
        Ok(JournalState::Whole(found))
    }
}
