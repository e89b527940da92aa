//! Content that is lost.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::notes::{FileNotes, SECTOR, SECTOR_BYTES};
use super::{Fate, Losses};

/// How a file fares.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Nothing had reached the disk.
    Lost,
    /// Nothing but the size had.
    Emptied,
    /// Everything had.
    Kept,
    /// What was written before this note had.
    Before(u64),
    /// This share of the sectors has any earlier state, each on its own.
    Scattered(f64),
}

/// Undoes changes of content below `roots`.
pub(super) fn lose(
    files: &BTreeMap<u64, FileNotes<'_>>,
    roots: &[&Path],
    fate: Fate,
    rng: &mut StdRng,
    losses: &mut Losses,
) -> anyhow::Result<()> {
    let paths = paths_below(roots)?;
    for (inode, notes) in files {
        let Some(path) = paths.get(inode) else { continue };
        let manner = match fate {
            Fate::Lost | Fate::Undone => Manner::Lost,
            Fate::Emptied => Manner::Emptied,
            Fate::Drawn => draw(notes, rng),
        };
        lose_of(path, notes, manner, rng, losses)
            .with_context(|| format!("taking from {}", path.display()))?;
    }
    Ok(())
}

fn draw(notes: &FileNotes<'_>, rng: &mut StdRng) -> Manner {
    let states = notes.sectors.values().flatten().map(|(number, _before)| *number);
    let numbers: BTreeSet<u64> =
        states.chain(notes.sizes.iter().map(|(number, _size)| *number)).collect();
    match rng.random_range(0..8) {
        0 => Manner::Lost,
        1 => Manner::Kept,
        2 | 3 => {
            let at = rng.random_range(0..numbers.len().max(1));
            numbers.into_iter().nth(at).map_or(Manner::Lost, Manner::Before)
        }
        _scattered => Manner::Scattered([0.05, 0.5, 0.95][rng.random_range(0..3)]),
    }
}

fn lose_of(
    path: &Path,
    notes: &FileNotes<'_>,
    manner: Manner,
    rng: &mut StdRng,
    losses: &mut Losses,
) -> anyhow::Result<()> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    let size = file.metadata()?.len();
    for (sector, states) in &notes.sectors {
        let before = match manner {
            Manner::Kept => None,
            Manner::Lost | Manner::Emptied => states.first(),
            Manner::Before(until) => states.iter().find(|(number, _before)| *number >= until),
            Manner::Scattered(share) => {
                let state = rng.random_range(0..states.len());
                states.get(state).filter(|_state| rng.random_bool(share))
            }
        };
        losses.sectors_unsynced += 1;
        let Some((_number, before)) = before else { continue };
        let mut whole = [0; SECTOR_BYTES];
        whole[..before.len()].copy_from_slice(before);
        let mut now = [0; SECTOR_BYTES];
        let mut have = 0;
        while let got @ 1.. = file.read_at(&mut now[have..], sector * SECTOR + have as u64)? {
            have += got;
        }
        losses.sectors_lost += u64::from(now != whole);
        // Beyond the end this makes the file longer, but for the size that is set below.
        file.write_all_at(&whole, sector * SECTOR)?;
    }
    file.set_len(size_after(notes, size, manner, rng))?;
    Ok(())
}

fn size_after(notes: &FileNotes<'_>, now: u64, manner: Manner, rng: &mut StdRng) -> u64 {
    let before = |found: Option<&(u64, u64)>| found.map_or(now, |(_number, size)| *size);
    match manner {
        Manner::Kept | Manner::Emptied => now,
        Manner::Lost => before(notes.sizes.first()),
        Manner::Before(until) => before(notes.sizes.iter().find(|(number, _)| *number >= until)),
        Manner::Scattered(_share) => {
            let had = before(notes.sizes.get(rng.random_range(0..=notes.sizes.len())));
            let least = before(notes.sizes.first());
            let between = least.div_ceil(SECTOR)..=now / SECTOR;
            if rng.random_bool(0.5) || between.is_empty() {
                had
            } else {
                rng.random_range(between) * SECTOR
            }
        }
    }
}

/// Files and directories below `roots`, by inode.
pub(super) fn paths_below(roots: &[&Path]) -> anyhow::Result<BTreeMap<u64, PathBuf>> {
    let mut paths = BTreeMap::new();
    let mut waiting: Vec<PathBuf> = roots.iter().map(|root| root.to_path_buf()).collect();
    while let Some(path) = waiting.pop() {
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        if found.is_dir() {
            for entry in fs::read_dir(&path)? {
                waiting.push(entry?.path());
            }
        }
        paths.insert(found.ino(), path);
    }
    Ok(paths)
}
