//! Retention: how days go. Which do is for `upkeep/retention` of the replica. See
//! `docs/design/008-days.md`.
//!
//! ```text
//! the new base is written into the oldest day that stays   (commit)
//! the directory is renamed, so that nobody opens it again
//! readers end; the directory is deleted beside the node's work
//! ```
//! A crash between two of these is made up for at the next start.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use vixen_core::id::{Digest, Position};
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::OrderBase;

use crate::store::day::{DayEnv, sync_dir};
use crate::store::write::Memory;
use crate::store::{Store, StoreError};

/// Directories of days that are being deleted.
pub(in crate::store) const TRIMMED_PREFIX: &str = "trimmed-";

/// Reads are short: one that lasts longer than this does not hold up the deletion.
const READERS_MAX: Duration = Duration::from_secs(10);

impl Store {
    /// Drops the days before `keep_from`; the order begins after them. Returns its first position.
    pub(in crate::store) fn trim(
        &self,
        memory: &mut Memory,
        keep_from: UtcDay,
    ) -> Result<Position, StoreError> {
        let (going, staying) = {
            let days = self.days();
            let going: Vec<_> =
                days.envs.range(..keep_from).map(|(_, env)| Arc::clone(env)).collect();
            let staying = days.envs.range(keep_from..).next().map(|(_, env)| Arc::clone(env));
            (going, staying)
        };
        // The newest day never goes.
        let Some(staying) = staying.filter(|_| !going.is_empty()) else {
            return Ok(self.base().next);
        };
        let newest =
            self.days().envs.values().next_back().map_or_else(|| Arc::clone(&staying), Arc::clone);
        let mut base = self.base();
        for env in &going {
            self.carry_temporary(memory, env, &newest)?;
            let txn = env.read()?;
            if let Some((first, row)) = env.last_row(&txn)? {
                let next = first.plus(row.elected.meta.count);
                base = OrderBase { next, stamp: row.elected.stamp(), chain: row.chain };
            }
        }
        let (first_left, head) = {
            let days = self.days();
            let mut left = days.firsts.iter().filter(|(_, day)| **day >= keep_from);
            (left.next().map(|(first, _)| *first), days.head)
        };
        let next = first_left.unwrap_or(head.next);
        if base.next < next {
            // The last rows that go are damaged: what the next one is chained to is not known.
            let chain = if next == head.next { head.chain } else { Digest::default() };
            base = OrderBase { next, chain, ..base };
        }
        // With rows left, the owners stand beside them.
        let has_rows = first_left.is_some();
        let journal = self.arrivals().row();
        staying.write(&mut |env, txn| {
            // Only a day that goes may have said it.
            journal.map_or(Ok(()), |row| env.put_journal(txn, row))?;
            if !has_rows {
                Self::carry_owners(env, txn, memory)?;
            }
            env.put_base(txn, base)
        })?;
        {
            let mut days = self.days_mut();
            days.envs.retain(|day, _| *day >= keep_from);
            days.firsts.retain(|_, day| *day >= keep_from);
            days.base = base;
            if days.head.next < base.next {
                days.head = base;
            }
        }
        self.discard(going)?;
        Ok(base.next)
    }

    /// The order begins anew at `base`: everything placed goes.
    pub(in crate::store) fn rebase(
        &self,
        memory: &mut Memory,
        base: OrderBase,
        now: WallTime,
    ) -> Result<(), StoreError> {
        let today = self.day(UtcDay::of(now).max(self.newest()))?;
        self.trim(memory, today.day)?;
        today.write(&mut |env, txn| {
            let mut placed = Vec::new();
            for item in env.order.iter(txn)? {
                let (key, value) = item?;
                if let Ok((_, row)) = DayEnv::order_row(key, value) {
                    placed.push(row.elected.meta);
                }
            }
            for meta in placed {
                env.delete_blob(txn, meta.id, Some(&meta))?;
            }
            env.order.clear(txn)?;
            env.missing.clear(txn)?;
            env.clear_index(txn)?;
            Self::carry_owners(env, txn, memory)?;
            env.put_base(txn, base)
        })?;
        let mut days = self.days_mut();
        days.firsts.clear();
        (days.base, days.head) = (base, base);
        Ok(())
    }

    fn newest(&self) -> UtcDay {
        self.days().envs.keys().next_back().copied().unwrap_or_default()
    }

    /// LMDB opens no directory that is still open; readers of a day that was dropped end soon.
    pub(in crate::store) fn wait_until_closed(&self, day: UtcDay) {
        let Ok(dir) = self.dir.canonicalize() else { return };
        if let Some(closing) = heed::env_closing_event(dir.join(day.to_string())) {
            let _or_a_reader_lasts = closing.wait_timeout(READERS_MAX);
        }
    }

    /// Deletes days that are not at hand any more, beside the caller's work.
    fn discard(&self, going: Vec<Arc<DayEnv>>) -> Result<(), StoreError> {
        for env in going {
            // One of that name may still be there, when a day is dropped again.
            let name = |n: u32| self.dir.join(format!("{TRIMMED_PREFIX}{}-{n}", env.day));
            let mut names = (0..=u32::MAX).map(name).filter(|aside| !aside.exists());
            let aside = names.next().unwrap_or_else(|| name(0));
            let failed = |source| StoreError::Directory { path: env.dir.clone(), source };
            std::fs::rename(&env.dir, &aside).map_err(failed)?;
            tracing::info!(day = %env.day, "a day is dropped by retention");
            let delete = move || {
                let closing = env.env.clone().prepare_for_closing();
                drop(env);
                let _or_a_reader_lasts = closing.wait_timeout(READERS_MAX);
                if let Err(error) = std::fs::remove_dir_all(&aside) {
                    tracing::warn!(path = %aside.display(), %error, "cannot delete a dropped day");
                }
            };
            let started = std::thread::Builder::new().name("ndb-trim".to_owned()).spawn(delete);
            started.map_err(|source| StoreError::Directory { path: self.dir.clone(), source })?;
        }
        if self.options.fsync {
            sync_dir(&self.dir)?;
        }
        Ok(())
    }
}

/// Deletes what a stop kept from being deleted.
pub(in crate::store) fn finish_interrupted(dir: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::Directory { path: dir.to_owned(), source };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_name().to_string_lossy().starts_with(TRIMMED_PREFIX) {
            match std::fs::remove_dir_all(entry.path()) {
                // A store of this process that was dropped a moment ago is still deleting it.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                removed => removed.map_err(failed)?,
            }
        }
    }
    Ok(())
}
