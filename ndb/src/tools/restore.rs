//! `vixen-ndb restore`.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::Context;

use vixen_runtime::dirlock::DirLock;
use vixen_runtime::journal::{JOURNAL_FILE, Journal};
use vixen_runtime::telemetry::remark;

use super::backup::{copy_file, is_of_a_volume, sync, verify};
use super::place::{Place, Target, is_there, is_within};
use super::text::{count, size};
use super::{Outcome, say};
use crate::store::JOURNAL_BYTES;
use crate::store::inspect::journal_row;

/// Days are copied into this directory, and leave it when all are whole.
const PARTIAL: &str = "restoring";

/// Put a backup in the place of an empty store.
///
/// The node must not run, and its directory must be absent or empty; what rebuild has put aside there
/// does not count, nor does the lost+found of a volume. The backup is verified first, then copied; it stays as it is. The restored store
/// has the same store id as the one that was copied: for storage nodes it is only a name on the
/// status page, and has no part in the vote.
///
/// A node whose peers are alive needs no backup: it fetches everything from them (see rebuild). A
/// restored one fetches from them what is newer than the backup.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  deploy/cluster stop D1                  # or as your supervisor stops it
  mv /var/lib/vixen/D1 /var/lib/vixen/D1.old
  vixen-ndb restore --config vixen.toml --node D1 --from /backup/D1-2026-11-21
  deploy/cluster restart D1

Exit codes:
  0  restored: the node can be started
  1  the backup has problems, and nothing was restored: see --damaged-too
  2  not restored, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// The backup.
    #[arg(long, value_name = "BACKUP")]
    from: PathBuf,
    /// Restore a backup that has problems: the node fetches what is damaged from its peers.
    #[arg(long)]
    damaged_too: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        anyhow::ensure!(is_there(&self.from)?, "there is no backup {}", self.from.display());
        anyhow::ensure!(
            !is_within(&place.dir, &self.from)?,
            "{} is the backup {}, or lies in it, and a backup stays as it is: restore to another directory",
            place.dir.display(),
            self.from.display()
        );
        check_empty(&place.dir)?;
        let source = Place { dir: self.from.clone(), is_backup: true, ..place.clone() };
        let (backup, days) = source.survey()?;
        if let (Some(own), Some(found)) = (place.group, backup.find_group(&days).unwrap_or(None)) {
            anyhow::ensure!(
                own == found,
                "{} is of group {own}, and the backup is of a node of group {found}",
                place.name
            );
        }
        if verify(&self.from, &place)? != Outcome::Good && !self.damaged_too {
            say("not restored: the backup has problems\n");
            return Ok(Outcome::Problems);
        }
        let _lock = DirLock::take_for_tool(&place.dir, &place.name)?;
        // Again, now that nobody else can write.
        check_empty(&place.dir)?;
        let has_journal = journal_row(&days).is_some_and(|row| !row.is_closed());
        let copies_journal = has_journal && self.from.join(JOURNAL_FILE).exists();
        let names: Vec<_> = days.into_iter().map(|(day, _)| day.to_string()).collect();
        let bytes = copy_days(&self.from, &place.dir, &names, copies_journal)?;
        if has_journal && !copies_journal {
            // The node makes one itself, and says that it had none.
            begin_journal(&place).unwrap_or_else(|error| {
                remark(&format!("restore: no journal is made, the node makes its own: {error:#}"));
            });
        }
        say(&format!(
            "restored {}, {}, to {}\nStart {} now: {}.\n",
            count(names.len() as u64, "day"),
            size(bytes),
            place.dir.display(),
            place.name,
            if place.members == Some(1) {
                "it has no peers, so what is newer than the backup is lost"
            } else {
                "it fetches what is newer from its peers"
            }
        ));
        Ok(Outcome::Good)
    }
}

/// Where the days say that there is a journal, which a backup of a running node does not have, the store gets one with
/// nothing in it.
fn begin_journal(place: &Place) -> anyhow::Result<()> {
    let (store, days) = place.survey()?;
    let newest = days.last().map(|(day, _)| *day);
    let newest = newest.map_or(Ok(None), |day| store.open(day));
    // A damaged day says nothing of it: the node will.
    if let Ok(Some(newest)) = newest
        && let Ok(id) = newest.store_id()
    {
        Journal::create(&place.dir, id, JOURNAL_BYTES)?;
    }
    Ok(())
}

fn copy_days(
    from: &Path,
    to: &Path,
    names: &[String],
    copies_journal: bool,
) -> anyhow::Result<u64> {
    let partial = to.join(PARTIAL);
    if partial.exists() {
        // A restore that was interrupted has left it.
        fs::remove_dir_all(&partial)?;
    }
    fs::create_dir(&partial).with_context(|| format!("cannot create {}", partial.display()))?;
    let mut total = 0;
    for (n, name) in names.iter().enumerate() {
        let failed = || format!("cannot copy day {name}");
        let dir = partial.join(name);
        fs::create_dir(&dir).with_context(failed)?;
        let file = dir.join("data.mdb");
        let bytes = fs::copy(from.join(name).join("data.mdb"), &file).with_context(failed)?;
        fs::File::open(&file).and_then(|file| file.sync_all()).with_context(failed)?;
        sync(&dir)?;
        total += bytes;
        remark(&format!(
            "restore: day {name} copied, {} ({} of {})",
            size(bytes),
            n + 1,
            names.len()
        ));
    }
    if copies_journal {
        copy_file(&from.join(JOURNAL_FILE), &partial.join(JOURNAL_FILE))
            .context("cannot copy the journal")?;
    }
    sync(&partial)?;
    if copies_journal {
        // Before the days: a node that starts with them would miss it.
        fs::rename(partial.join(JOURNAL_FILE), to.join(JOURNAL_FILE))
            .context("cannot put the journal in its place")?;
        sync(to)?;
    }
    // The oldest first: whatever is there after a crash is a store as it once was.
    for name in names {
        fs::rename(partial.join(name), to.join(name))
            .with_context(|| format!("cannot put day {name} in its place"))?;
        sync(to)?;
    }
    fs::remove_dir(&partial)?;
    sync(to)?;
    Ok(total)
}

/// Refuses a directory with anything in it but the lock, what was put aside before, and what the
/// root of a new volume has.
fn check_empty(dir: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", dir.display()));
        }
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        anyhow::ensure!(
            is_of_a_volume(&entry)
                || name == "LOCK"
                || name == PARTIAL
                || name.to_string_lossy().starts_with(super::rebuild::ASIDE_PREFIX),
            "{} is not empty: it has {}. Stop the node and move the directory away first; restore \
             never writes over a store",
            dir.display(),
            name.display()
        );
    }
    Ok(())
}
