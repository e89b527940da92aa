//! What is in a journal, for who only looks: tools beside a node, and a node that takes what it can of a damaged one.

use std::collections::BTreeMap;
use std::path::Path;

use vixen_core::id::StoreId;

use super::format::{JournalId, Sequence, heads};
use super::{JournalError, Record, read};

/// What is in a journal's file.
#[derive(Clone, Debug)]
pub struct Look {
    /// Which journal it is.
    pub id: JournalId,
    /// Whose.
    pub store: StoreId,
    /// The bodies of all whole records, also those of earlier laps that nothing was written over, by their numbers.
    pub records: BTreeMap<Sequence, Vec<u8>>,
    /// The highest number that a head has, its record whole or not. When that one was written, all before it were durable.
    pub newest: Sequence,
}

impl Look {
    /// Reads the journal in `dir`, of whatever store. Blocking, proportional to the size of the file.
    ///
    /// # Errors
    /// When it is not there, or cannot be read, or is no journal.
    pub fn at(dir: &Path) -> Result<Self, JournalError> {
        let (bytes, header) = read(dir)?;
        let heads = heads(&bytes, &header, Sequence::default());
        let newest = heads.keys().next_back().copied().unwrap_or_default();
        let whole = heads.into_iter().filter(|(_, head)| head.is_whole);
        let records = whole.map(|(sequence, head)| (sequence, bytes[head.found.body].to_vec()));
        Ok(Self { id: header.id, store: header.store, records: records.collect(), newest })
    }

    /// Its whole records beyond `applied`, whatever is missing between them.
    pub fn beyond(self, applied: Sequence) -> impl Iterator<Item = Record> {
        let mut records = self.records;
        let beyond = records.split_off(&applied.next());
        beyond.into_iter().map(|(sequence, body)| Record { sequence, body })
    }

    /// The first record beyond `applied` and before `later` that is not whole here, though `later` was seen. `later` is
    /// from a look before this one, and `applied` was read after it: then what a node writes meanwhile is no damage.
    #[must_use]
    pub fn first_damaged(&self, applied: Sequence, later: Sequence) -> Option<Sequence> {
        let mut wanted = applied.next();
        while wanted < later {
            if !self.records.contains_key(&wanted) {
                return Some(wanted);
            }
            wanted = wanted.next();
        }
        None
    }
}
