//! Scrub: reads everything that is stored and tells what is not as it was written.

use std::sync::Arc;

use vixen_core::id::{Digest, Position};
use vixen_core::segment::Blob;
use vixen_core::time::UtcDay;

use crate::store::day::DayEnv;
use crate::store::{Store, StoreError, read};
use vixen_replica::{Finding, Lost, OrderRow};

/// Rows looked at in one transaction.
const ROWS_BATCH: usize = 128;
/// Bytes read at a time when a day is looked up in its index.
const LOOK_UP_BYTES: u64 = 8 << 20;

/// What one step of a scrub read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScrubStep {
    /// Where the next step begins; `None` at the end of the order.
    pub(crate) next: Option<Position>,
    /// What the next step's first row is chained to.
    pub(crate) chain: Option<Digest>,
    /// Segments looked at.
    pub(crate) segments: u64,
    /// Messages in them.
    pub(crate) messages: u64,
    /// Bytes of blobs read.
    pub(crate) bytes: u64,
    /// What is wrong.
    pub(crate) findings: Vec<Finding>,
}

impl Store {
    /// Reads on from `from`, which must be the beginning of a row or of the order, until about
    /// `bytes_max` are read. `chain`: what its row is chained to, where that is known. Blocking.
    ///
    /// # Errors
    /// When LMDB itself fails.
    pub(crate) fn scrub(
        &self,
        from: Position,
        chain: Option<Digest>,
        bytes_max: u64,
    ) -> Result<ScrubStep, StoreError> {
        let (base, head) = (self.base(), self.head());
        let begin = from.max(base.next);
        let chain =
            if begin == base.next { Some(base.chain) } else { chain.filter(|_| begin == from) };
        // A backup may not know what its first row is chained to.
        let chain = chain.filter(|chain| begin == Position::FIRST || *chain != Digest::default());
        let mut step = ScrubStep { chain, ..ScrubStep::default() };
        let mut at = begin;
        while at < head.next {
            if step.bytes >= bytes_max || step.segments >= 16 * ROWS_BATCH as u64 {
                step.next = Some(at);
                return Ok(step);
            }
            let Some(env) = self.days().day_at(at).cloned() else { break };
            let rows = read::rows_of_day(&env, at, ROWS_BATCH)?;
            let is_next = rows.first().is_some_and(|(first, _)| *first == at);
            if !is_next {
                step.findings.push(Finding::Row { at });
                let Some(after) = self.next_row_after(at)? else { break };
                step.chain = None;
                at = after;
                continue;
            }
            for (first, row) in rows {
                let chained = step.chain.map(|chain| OrderRow::chained(chain, row.elected).chain);
                let is_chained = chained.is_none_or(|chain| chain == row.chain);
                // A transaction of its own: whoever holds two at once stands in the way of a map that
                // grows between them, and of itself.
                let is_found = env.read().and_then(|txn| env.finds_row(&txn, first))?;
                if !is_chained || !is_found {
                    step.findings.push(Finding::Row { at: first });
                }
                step.chain = Some(row.chain);
                self.scrub_segment(&env, first, row, &mut step)?;
                at = first.plus(row.elected.meta.count);
                if step.bytes >= bytes_max {
                    break;
                }
            }
        }
        Ok(step)
    }

    fn scrub_segment(
        &self,
        env: &Arc<DayEnv>,
        first: Position,
        row: OrderRow,
        step: &mut ScrubStep,
    ) -> Result<(), StoreError> {
        let elected = row.elected;
        let meta = elected.meta;
        step.segments += 1;
        step.messages += u64::from(meta.count);
        if elected.challenger.group != self.options.group {
            return Ok(());
        }
        let lost = Lost { meta, first, stamp: elected.stamp() };
        let txn = env.read()?;
        let is_noted = env.missing.get(&txn, &meta.id.to_key())?.is_some();
        let Some(bytes) = env.blob(&txn, meta.id)? else {
            if !is_noted {
                step.findings.push(Finding::NoBlob(lost));
            }
            return Ok(());
        };
        step.bytes += bytes.len() as u64;
        if read::check(&bytes, &meta).is_err() {
            if !is_noted {
                step.findings.push(Finding::Blob(lost));
            }
            return Ok(());
        }
        let blob = Blob::from_bytes(bytes);
        if let Ok((topics, _records)) = blob.open()
            && !env.is_indexed(&txn, first, &topics)?
        {
            step.findings.push(Finding::NotIndexed { first, elected });
        }
        Ok(())
    }

    /// Looks up all segments of a day in its topic index, and hands over those that it lacks. Whether it came by
    /// all of them.
    ///
    /// # Errors
    /// When LMDB itself fails.
    pub(crate) fn look_up(
        &self,
        day: UtcDay,
        mut found: impl FnMut(Finding),
    ) -> Result<bool, StoreError> {
        let range = {
            let days = self.days();
            let first = days.firsts.iter().find(|(_, of)| **of == day).map(|(first, _)| *first);
            first.map(|first| (first, Self::first_after(&days, first)))
        };
        let Some((mut at, end)) = range else { return Ok(true) };
        let mut is_whole = true;
        while at < end {
            let step = self.scrub(at, None, LOOK_UP_BYTES)?;
            is_whole &= !step.findings.iter().any(|found| matches!(found, Finding::Row { .. }));
            step.findings.into_iter().for_each(&mut found);
            let Some(next) = step.next else { break };
            at = next;
        }
        Ok(is_whole)
    }

    /// Where the day after the one that begins at `first` does.
    fn first_after(days: &crate::store::Days, first: Position) -> Position {
        let next = days.firsts.range(Position(first.0.saturating_add(1))..).next();
        next.map_or(days.head.next, |(next, _)| *next)
    }

    /// Verifies the bytes of segments without a place.
    ///
    /// # Errors
    /// When LMDB itself fails.
    pub(crate) fn scrub_temporary(&self) -> Result<Vec<Finding>, StoreError> {
        let envs: Vec<_> = self.days().envs.values().cloned().collect();
        let mut findings = Vec::new();
        for env in envs {
            let txn = env.read()?;
            let (metas, _damaged) = env.temporaries(&txn)?;
            for meta in metas {
                let bytes = env.blob(&txn, meta.id)?;
                if bytes.is_none_or(|bytes| read::check(&bytes, &meta).is_err()) {
                    findings.push(Finding::Temporary(meta));
                }
            }
        }
        Ok(findings)
    }

    /// The first whole row that begins after `at`.
    fn next_row_after(&self, at: Position) -> Result<Option<Position>, StoreError> {
        let (envs, head): (Vec<_>, _) = {
            let days = self.days();
            let from = days.firsts.range(..=at).next_back().map_or(at, |(first, _)| *first);
            let envs = days.firsts.range(from..).filter_map(|(_, day)| days.envs.get(day).cloned());
            (envs.collect(), days.head.next)
        };
        for env in envs {
            let txn = env.read()?;
            let key = at.0.saturating_add(1).to_be_bytes();
            let range = (std::ops::Bound::Included(&key[..]), std::ops::Bound::Unbounded);
            for item in env.order.range(&txn, &range)? {
                let (key, value) = item?;
                // Where the tree is damaged, a search may lead to one before.
                if let Ok((first, _)) = DayEnv::order_row(key, value)
                    && first > at
                    && first < head
                {
                    return Ok(Some(first));
                }
            }
        }
        Ok(None)
    }
}
