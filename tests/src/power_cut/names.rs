//! Names that are lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::files::paths_below;
use super::notes::{NameChange, NameNote};
use super::{Fate, Losses};

/// Undoes changes of names in and of `store`; what they had removed is in `kept`.
pub(super) fn lose(
    names: &[NameNote],
    store: &Path,
    kept: &Path,
    fate: Fate,
    rng: &mut StdRng,
    losses: &mut Losses,
) -> anyhow::Result<()> {
    losses.names_unsynced += names.len() as u64;
    let lost = draw(names, fate, rng);
    for note in names.iter().rev().filter(|note| lost.contains(&note.number)) {
        losses.names_lost += u64::from(undo(note, store, kept)?);
    }
    Ok(())
}

/// Of each directory the last so many.
fn draw(names: &[NameNote], fate: Fate, rng: &mut StdRng) -> BTreeSet<u64> {
    let mut of_directories: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for note in names {
        of_directories.entry(note.directory).or_default().push(note.number);
    }
    let mut lost = BTreeSet::new();
    for numbers in of_directories.into_values() {
        let kept = match fate {
            Fate::Lost | Fate::Undone => 0,
            Fate::Emptied => numbers.len(),
            Fate::Drawn => match rng.random_range(0..3) {
                0 => 0,
                1 => numbers.len(),
                _some => rng.random_range(0..=numbers.len()),
            },
        };
        lost.extend(numbers.into_iter().skip(kept));
    }
    lost
}

/// `false` when there is nothing to undo: the process was killed between the note and the change,
/// or the directory is gone with a loss that came before.
fn undo(note: &NameNote, store: &Path, kept: &Path) -> anyhow::Result<bool> {
    let kept = kept.join(note.number.to_string());
    let Some(directory) = directory_of(note.directory, store)? else { return Ok(false) };
    match &note.change {
        NameChange::Created { name } => {
            let path = directory.join(name);
            let Ok(found) = fs::symlink_metadata(&path) else { return Ok(false) };
            let removed =
                if found.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.with_context(|| path.display().to_string())?;
        }
        NameChange::Removed { name } => {
            if fs::symlink_metadata(&kept).is_err() {
                return Ok(false);
            }
            fs::rename(&kept, directory.join(name))?;
        }
        NameChange::Renamed { from_directory, from, to, replaced } => {
            let Some(old) = directory_of(*from_directory, store)? else { return Ok(false) };
            let (old, new) = (old.join(from), directory.join(to));
            if fs::symlink_metadata(&old).is_ok() || fs::symlink_metadata(&new).is_err() {
                return Ok(false);
            }
            fs::rename(&new, &old)?;
            if *replaced && fs::symlink_metadata(&kept).is_ok() {
                fs::rename(&kept, &new)?;
            }
        }
    }
    Ok(true)
}

/// Where a directory is now: one with the store in it, or in the store.
fn directory_of(inode: u64, store: &Path) -> anyhow::Result<Option<PathBuf>> {
    let parent = store.parent().context("a data directory has a parent")?;
    if fs::metadata(parent)?.ino() == inode {
        return Ok(Some(parent.to_owned()));
    }
    Ok(paths_below(&[store])?.remove(&inode))
}
