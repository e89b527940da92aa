//! `vixen-ndb backup`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;

use vixen_runtime::config::Limits;
use vixen_runtime::dirlock::DirLock;
use vixen_runtime::journal::JOURNAL_FILE;
use vixen_runtime::telemetry::remark;

use super::place::{Place, Target, is_within};
use super::text::{count, size};
use super::verify::Report;
use super::{Outcome, say};
use crate::store::inspect::{InJournal, Inspector, JournalState, Surveyed, journal_row};
use crate::store::{JournalRow, days_in};

/// In the root of a volume, the copy is here until it is whole.
const PARTIAL_WITHIN: &str = "backup.partial";

/// Copy the store of a running or stopped node to another directory.
///
/// The copy is as of one moment for each day, made by LMDB itself, so the node may run and write
/// meanwhile. The newest day is copied first: the days before it are complete by then, so the copy
/// never has a gap. Of a stopped node the journal is copied as well: after a kill it may be the only one that has
/// what was acknowledged last. Of a running one it is left out, and it is said how much that is: such segments have
/// no place yet, or get it a moment later. The directory appears under its name only when the copy is whole and on disk.
/// Then it is verified, unless --no-verify.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  vixen-ndb backup --config vixen.toml --node D1 --to /backup/D1-2026-11-21
  vixen-ndb restore --config vixen.toml --node D1 --from /backup/D1-2026-11-21

The directory must be empty or absent. Until the end the copy is in a directory beside it,
DIR.partial, or within it, DIR/backup.partial, where a disk is mounted at it; what an interrupted
backup has left there is to be deleted before the next. The lost+found of a volume does not count.

While a day is copied, the node keeps all pages of that day that the copy still needs: its file may
grow meanwhile.

Exit codes:
  0  the backup is made, and good
  1  the backup is made, and has the problems that were listed: so has the store
  2  no backup was made, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Where the backup goes: a directory that is empty or does not exist.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Do not verify the copy.
    #[arg(long)]
    no_verify: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        let (store, days) = place.survey()?;
        anyhow::ensure!(
            !is_within(&self.to, &place.dir)?,
            "{} is the store {}, or lies in it and would be lost with it: give another directory",
            self.to.display(),
            place.dir.display()
        );
        let has_root = check_free(&self.to)?;
        let partial = if has_root { self.to.join(PARTIAL_WITHIN) } else { partial_of(&self.to)? };
        anyhow::ensure!(
            !partial.exists(),
            "{} is what an interrupted backup has left: delete it, and start again",
            partial.display()
        );
        let made = fs::create_dir(&partial)
            .with_context(|| format!("cannot create {}", partial.display()));
        let copied = made
            .and_then(|()| copy_journal(&store, &days, &partial))
            .and_then(|()| copy_days(&store, &days, &partial));
        let copied = copied.and_then(|copied| {
            if has_root {
                move_out(&partial, &self.to)?;
                return Ok(copied);
            }
            fs::rename(&partial, &self.to)
                .with_context(|| format!("cannot rename it to {}", self.to.display()))?;
            let parent = self.to.canonicalize()?;
            sync(parent.parent().unwrap_or(&parent))?;
            Ok(copied)
        });
        let (days, bytes) = match copied {
            Ok(copied) => copied,
            Err(error) => {
                // It is this process's own, and of no use.
                let _or_it_stays = fs::remove_dir_all(&partial);
                return Err(error.context("no backup was made"));
            }
        };
        let (days, bytes) = (count(days, "day"), size(bytes));
        say(&format!("copied {days}, {bytes}, to {}\n", self.to.display()));
        if self.no_verify {
            return Ok(Outcome::Good);
        }
        verify(&self.to, &place)
    }
}

/// Verifies a backup of the store in `place`, and prints the report.
pub(super) fn verify(dir: &Path, place: &Place) -> anyhow::Result<Outcome> {
    let store = Inspector::new(dir.to_owned(), Limits::default().store_bytes_max);
    let days = store.survey()?;
    let group = place.group(&store, &days)?;
    let report = Report::of(&store, &days, group, false);
    say(&report.text("backup", &store, group));
    Ok(match report.outcome() {
        Outcome::Good => Outcome::Good,
        // It is there, such as it is.
        Outcome::Problems | Outcome::Failed => Outcome::Problems,
    })
}

/// Copies the journal, unless the node runs and writes it. What it has is in the days that are copied afterwards, or
/// beyond what they say of it, also when the node starts meanwhile.
fn copy_journal(store: &Inspector, days: &[Surveyed], to: &Path) -> anyhow::Result<()> {
    let from = store.dir().join(JOURNAL_FILE);
    if journal_row(days).is_none_or(JournalRow::is_closed) || !from.exists() {
        return Ok(());
    }
    match DirLock::take(store.dir()) {
        Ok(_lock) => copy_file(&from, &to.join(JOURNAL_FILE)).context("cannot copy the journal"),
        // Its directory may be one that can only be read.
        Err(_runs_or_not_to_be_had) => {
            // Whatever else is to be said of it, verify says.
            if let Ok(JournalState::Whole(InJournal { segments, bytes, .. })) = store.journal() {
                say(&format!(
                    "left out: the journal, which the node writes, with {}, {}\n",
                    count(segments, "segment"),
                    size(bytes)
                ));
            }
            Ok(())
        }
    }
}

/// Copies a file; durable on return, but for its name.
pub(super) fn copy_file(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::copy(from, to)?;
    Ok(fs::File::open(to)?.sync_all()?)
}

/// Copies all days, the newest first; how many they were, and their bytes.
fn copy_days(store: &Inspector, days: &[Surveyed], to: &Path) -> anyhow::Result<(u64, u64)> {
    let names: Vec<_> = days.iter().map(|(day, _)| *day).rev().collect();
    let (mut days, mut total) = (0, 0);
    for (n, name) in names.iter().enumerate() {
        let failed = || format!("cannot copy day {name}");
        // Retention may drop days meanwhile, the oldest first: those that are copied have no gap.
        let Some(day) = store.open(*name).with_context(failed)? else { continue };
        let dir = to.join(name.to_string());
        fs::create_dir(&dir).with_context(failed)?;
        let bytes = day.copy_to(&dir.join("data.mdb")).with_context(failed)?;
        sync(&dir).with_context(failed)?;
        days += 1;
        total += bytes;
        remark(&format!(
            "backup: day {name} copied, {} ({} of {})",
            size(bytes),
            n + 1,
            names.len()
        ));
    }
    sync(to)?;
    Ok((days, total))
}

/// Refuses a directory that cannot become the backup at the end. Whether the days are to be moved
/// into it one by one, because it cannot be replaced: it is the root of a volume.
fn check_free(dir: &Path) -> anyhow::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let Ok(found) = fs::metadata(dir) else { return Ok(false) };
    anyhow::ensure!(found.is_dir(), "{} is not a directory", dir.display());
    let entries = fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))?;
    let mut is_volume = false;
    for entry in entries {
        let entry = entry?;
        is_volume |= is_of_a_volume(&entry);
        anyhow::ensure!(
            is_of_a_volume(&entry) || entry.file_name() == PARTIAL_WITHIN,
            "{} is not empty: it has {}; give a directory that does not exist yet",
            dir.display(),
            entry.file_name().display()
        );
    }
    let parent = dir.canonicalize()?;
    let parent = fs::metadata(parent.parent().unwrap_or(&parent))?;
    Ok(is_volume || parent.dev() != found.dev() || parent.ino() == found.ino())
}

/// What every new volume has in its root.
pub(super) fn is_of_a_volume(entry: &fs::DirEntry) -> bool {
    entry.file_name() == "lost+found" && entry.file_type().is_ok_and(|kind| kind.is_dir())
}

/// Moves all days into the directory around, the oldest first: after a crash there is a backup of the
/// days up to one, and the directory that says that it is not whole.
fn move_out(partial: &Path, to: &Path) -> anyhow::Result<()> {
    for day in days_in(partial)? {
        let name = day.to_string();
        fs::rename(partial.join(&name), to.join(&name))
            .with_context(|| format!("cannot put day {name} in its place"))?;
    }
    if partial.join(JOURNAL_FILE).exists() {
        fs::rename(partial.join(JOURNAL_FILE), to.join(JOURNAL_FILE))
            .context("cannot put the journal in its place")?;
    }
    sync(to)?;
    fs::remove_dir(partial)?;
    sync(to)
}

/// Where the copy is until it is whole: on the same disk.
fn partial_of(dir: &Path) -> anyhow::Result<PathBuf> {
    let name = dir.file_name().with_context(|| format!("{} has no name", dir.display()))?;
    let mut name = name.to_owned();
    name.push(".partial");
    Ok(dir.with_file_name(name))
}

/// Makes what was created in a directory durable.
pub(super) fn sync(dir: &Path) -> anyhow::Result<()> {
    let synced = fs::File::open(dir).and_then(|dir| dir.sync_all());
    synced.with_context(|| format!("cannot sync {}", dir.display()))
}
