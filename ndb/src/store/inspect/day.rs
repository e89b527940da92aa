//! Reading one day.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use heed::types::Bytes as Raw;
use heed::{CompactionOption, Database};

use vixen_core::id::{GroupId, Position, SegmentId, Seq, Stamp, StoreId};
use vixen_core::segment::{SegmentMeta, Topic};
use vixen_core::time::UtcDay;
use vixen_runtime::lmdb;

use super::{
    BYTES_BATCH, Batch, Cursor, Day, DayBounds, DayNumbers, ROWS_BATCH, Read, SMALL_BATCH, Segment,
};
use crate::store::day::{DayEnv, NameRow, TopicNumber, TopicRow, is_of, read_row};
use crate::store::keys::{db_name, position_of};
use crate::store::{StoreError, row};
use vixen_replica::Lost;

impl Day {
    /// Which day it is.
    pub(crate) const fn day(&self) -> UtcDay {
        self.0.day
    }

    /// Where it begins and ends now.
    ///
    /// # Errors
    /// When LMDB fails, or what `meta` says is damaged.
    pub(super) fn bounds(&self) -> Result<DayBounds, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let base = env.base(&txn)?;
        let kept_by_group = env.kept_by_group(&txn)?;
        // Damaged: that is told of with the small tables, and the order is here all the same.
        let journal = match env.journal(&txn) {
            Err(StoreError::Row { .. }) => None,
            read => read?,
        };
        let without_rows = DayBounds { base, rows: None, kept_by_group, journal };
        let Some((first, _)) = env.order.first(&txn)? else {
            return Ok(without_rows);
        };
        let first = position_of(db_name::ORDER, first)?;
        let Some((key, value)) = env.order.last(&txn)? else {
            return Ok(without_rows);
        };
        let end = match DayEnv::order_row(key, value) {
            Ok((first, row)) => first.plus(row.elected.meta.count),
            // Damaged: it is looked at all the same, and told of then.
            Err(_damaged) => position_of(db_name::ORDER, key)?.plus(1),
        };
        Ok(DayBounds { rows: Some((first, end)), ..without_rows })
    }

    /// The id of its store.
    ///
    /// # Errors
    /// When LMDB fails, or it has none.
    pub(crate) fn store_id(&self) -> Result<StoreId, StoreError> {
        let id = lmdb::store_id(&*self.0.read()?, self.0.meta, &self.0.dir)?;
        id.ok_or_else(|| StoreError::Row { database: db_name::META, key: Vec::new() })
    }

    pub(super) fn find_group(&self) -> Result<Option<GroupId>, StoreError> {
        let env = &self.0;
        let mut next = Some(Cursor::default());
        while let Some(cursor) = next {
            let batch = self.rows(&cursor, Position(u64::MAX), None)?;
            let txn = env.read()?;
            for read in batch.rows {
                let Read::Row(segment) = read else { continue };
                let elected = segment.row.elected;
                let key = elected.meta.id.to_key();
                // A mark means that the bytes may be those of a copy that the vote passed over.
                let is_own = env.missing.get(&txn, &key)?.is_some()
                    || (env.blob(&txn, elected.meta.id)?.is_some()
                        && env.temporary.get(&txn, &key)?.is_none());
                if is_own {
                    return Ok(Some(elected.challenger.group));
                }
            }
            next = batch.next;
        }
        Ok(None)
    }

    /// Where the row stands that holds `position`, or the first after it.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn cursor_at(&self, position: Position) -> Result<Cursor, StoreError> {
        let txn = self.0.read()?;
        let key = position.0.to_be_bytes();
        let upto = (Unbounded, Included(&key[..]));
        let mut before = self.0.order.rev_range(&txn, &upto)?;
        // Keys are positions: the row before the one that is found ends below `position`.
        before.next().transpose()?;
        let before = before.next().transpose()?;
        Ok(Cursor(before.map(|(key, _)| key.to_vec())))
    }

    /// The next rows below `until`, with the blobs of `group`.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn rows(
        &self,
        cursor: &Cursor,
        until: Position,
        group: Option<GroupId>,
    ) -> Result<Batch, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let range = (
            cursor.0.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice())),
            Unbounded::<&[u8]>,
        );
        let (mut batch, mut bytes) = (Batch::default(), 0);
        for item in env.order.range(&txn, &range)? {
            let (key, value) = item?;
            let row = DayEnv::order_row(key, value);
            // Where the tree is damaged, a search may lead to whole rows before.
            if row.is_ok() && cursor.0.as_deref().is_some_and(|after| key <= after) {
                continue;
            }
            // A key that is damaged may say anything, and ends nothing.
            if row.as_ref().is_ok_and(|(first, _)| *first >= until) {
                return Ok(batch);
            }
            let is_whole = row.is_ok();
            batch.rows.push(match row {
                Ok((first, row)) => {
                    let id = row.elected.meta.id;
                    let is_wanted = Some(row.elected.challenger.group) == group;
                    let blob = if is_wanted { env.blob(&txn, id)? } else { None };
                    bytes += blob.as_ref().map_or(0, Bytes::len);
                    let is_missing = is_wanted && env.missing.get(&txn, &id.to_key())?.is_some();
                    let is_found = env.finds_row(&txn, first)?;
                    Read::Row(Segment { first, row, blob, is_missing, is_found })
                }
                Err(_damaged) => Read::Damaged { at: position_of(db_name::ORDER, key).ok() },
            });
            if is_whole && (batch.rows.len() >= ROWS_BATCH || bytes >= BYTES_BATCH) {
                batch.next = Some(Cursor(Some(key.to_vec())));
                return Ok(batch);
            }
        }
        Ok(batch)
    }

    /// Whether the topic index has the segment under all its topics, or readers do not go by it.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn is_indexed(&self, first: Position, topics: &[Topic]) -> Result<bool, StoreError> {
        let look = || self.0.is_indexed(&*self.0.read()?, first, topics);
        // It may have been made anew between two looks.
        Ok(look()? || !self.has_index()? || look()?)
    }

    /// Hands over each segment without a place, with its bytes; `None` for one whose row is
    /// damaged.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn temporaries(
        &self,
        mut see: impl FnMut(Option<(SegmentMeta, Option<Bytes>)>),
    ) -> Result<(), StoreError> {
        let env = &self.0;
        let mut after: Option<Vec<u8>> = None;
        loop {
            let txn = env.read()?;
            let begin = after.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice()));
            let range = (begin, Unbounded::<&[u8]>);
            let (mut bytes, mut last, mut read) = (0, None, Vec::new());
            for item in env.temporary.range(&txn, &range)? {
                let (key, value) = item?;
                let meta = row::decode::<SegmentMeta>(db_name::TEMPORARY, key, value);
                read.push(match meta {
                    Ok(meta) => {
                        let blob = env.blob(&txn, meta.id)?;
                        bytes += blob.as_ref().map_or(0, Bytes::len);
                        Some((meta, blob))
                    }
                    Err(_damaged) => None,
                });
                if bytes >= BYTES_BATCH {
                    last = Some(key.to_vec());
                    break;
                }
            }
            drop(txn);
            read.into_iter().for_each(&mut see);
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    /// Checks each row of the small tables, and hands over the database and key of those that are
    /// not as they were written.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn check_tables(
        &self,
        mut damaged: impl FnMut(&'static str, &[u8]),
    ) -> Result<(), StoreError> {
        let env = &self.0;
        {
            let txn = env.read()?;
            if env.base(&txn).is_err() || env.index(&txn).is_err() || env.journal(&txn).is_err() {
                damaged(db_name::META, &[]);
            }
        }
        self.check_index(&mut damaged)?;
        type Check = fn(&[u8], &[u8]) -> bool;
        let tables: [(&'static str, Database<Raw, Raw>, Check); 2] = [
            (db_name::MISSING, env.missing, |key, value| {
                let lost = row::decode::<Lost>(db_name::MISSING, key, value);
                lost.is_ok_and(|lost| SegmentId::from_key(key) == Some(lost.meta.id))
            }),
            (db_name::OWNERS, env.owners, |key, value| {
                row::decode::<(Seq, Stamp)>(db_name::OWNERS, key, value).is_ok()
            }),
        ];
        for (name, table, is_good) in tables {
            self.each(table, |key, value| {
                if !is_good(key, value) {
                    damaged(name, key);
                }
            })?;
        }
        Ok(())
    }

    /// Checks the rows of the topic index. What generations before have left stands first.
    fn check_index(&self, damaged: &mut impl FnMut(&'static str, &[u8])) -> Result<(), StoreError> {
        let env = &self.0;
        let Ok(index) = env.index(&*env.read()?) else { return Ok(()) };
        if !env.has_index()? {
            return Ok(());
        }
        let mut is_newest = index.generation == 0;
        self.each(env.topics, |key, value| {
            is_newest |= is_of(index.generation, key);
            if is_newest && row::decode::<NameRow>(db_name::TOPICS, key, value).is_err() {
                damaged(db_name::TOPICS, key);
            }
        })?;
        let mut is_newest = index.first == 0;
        self.each(env.topic_rows, |key, value| {
            let row = read_row(key, value);
            is_newest |= row.as_ref().is_ok_and(|row| row.number.0 >= index.first);
            if is_newest && row.is_err() {
                damaged(db_name::TOPIC_ROWS, key);
            }
        })
    }

    /// Whether readers by topic go by the topic index. It is made anew in a store of the format before, and
    /// where something of it was lost.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn has_index(&self) -> Result<bool, StoreError> {
        self.0.has_index()
    }

    /// Runs through a table, a transaction a batch.
    fn each(
        &self,
        table: Database<Raw, Raw>,
        mut see: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), StoreError> {
        let mut after: Option<Vec<u8>> = None;
        loop {
            let txn = self.0.read()?;
            let begin = after.as_ref().map_or(Unbounded, |after| Excluded(after.as_slice()));
            let range = (begin, Unbounded::<&[u8]>);
            let mut last = None;
            for (n, item) in table.range(&txn, &range)?.enumerate() {
                let (key, value) = item?;
                see(key, value);
                if n + 1 >= SMALL_BATCH {
                    last = Some(key.to_vec());
                    break;
                }
            }
            let Some(last) = last else { return Ok(()) };
            after = Some(last);
        }
    }

    /// How many segments have messages of each topic, added to `into`.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn count_topics(
        &self,
        into: &mut BTreeMap<(Arc<str>, Arc<str>), u64>,
    ) -> Result<(), StoreError> {
        let Ok(index) = self.0.index(&*self.0.read()?) else { return Ok(()) };
        let mut by_number: HashMap<TopicNumber, u64> = HashMap::new();
        self.each(self.0.topic_rows, |key, value| {
            if let Ok(TopicRow { number, first: Some(_), .. }) = read_row(key, value) {
                *by_number.entry(number).or_default() += 1;
            }
        })?;
        self.each(self.0.topics, |key, value| {
            if !is_of(index.generation, key) {
                return;
            }
            if let Ok(name) = row::decode::<NameRow>(db_name::TOPICS, key, value)
                && let Some(segments) = by_number.get(&name.number)
            {
                *into.entry((name.realm, name.uri)).or_default() += segments;
            }
        })
    }

    /// Numbers of tables and pages.
    ///
    /// # Errors
    /// When LMDB fails.
    pub(crate) fn numbers(&self) -> Result<DayNumbers, StoreError> {
        let env = &self.0;
        let txn = env.read()?;
        let all = [
            env.meta,
            env.temporary,
            env.blobs,
            env.order,
            env.missing,
            env.owners,
            env.topics,
            env.topic_rows,
        ];
        let main = env.env.stat();
        // Two pages of LMDB's own come first.
        let mut used = 2 + main.branch_pages + main.leaf_pages + main.overflow_pages;
        for database in all {
            let stat = database.stat(&txn)?;
            used += stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        }
        let pages = env.env.info().last_page_number + 1;
        Ok(DayNumbers {
            missing: env.missing.len(&txn)?,
            temporary: env.temporary.len(&txn)?,
            topics: env.topics_len(&txn)?,
            file_bytes: env.disk_bytes(),
            pages_free: pages.saturating_sub(used) as u64,
            page_bytes: u64::from(main.page_size),
        })
    }

    /// Copies the day, as of one moment, into a new file; durable on return.
    ///
    /// # Errors
    /// When LMDB fails, or the file cannot be written.
    pub(crate) fn copy_to(&self, file: &Path) -> Result<u64, StoreError> {
        // Compaction follows what damaged pages say of themselves: where there are any, they are
        // copied as they are.
        let has_copies = self.0.has_copies(&*self.0.read()?)?;
        let compaction =
            if has_copies { CompactionOption::Disabled } else { CompactionOption::Enabled };
        let copy = self.0.env.copy_to_path(file, compaction)?;
        let synced = copy.sync_all().and_then(|()| copy.metadata());
        let failed = |source| StoreError::Directory { path: file.to_owned(), source };
        Ok(synced.map_err(failed)?.len())
    }
}
