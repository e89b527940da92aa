//! Power cuts: a process is killed, and what it had written and not made durable is lost, in part.
//!
//! ```text
//!   node ── write, rename, fsync, … ──> power_cut.so ──> files
//!                                           └──> notes: how to undo it    } kill -9, then
//!                       files  <── some of what no sync had made durable  } `PowerSupply::cut`
//! ```
//! A library in C (`tests/power/power_cut.c`) is preloaded into the process and notes how to undo
//! every change below its data directory. Of what a disk may keep when power goes:
//! - *Content*: each sector of 512 bytes has, on its own, any of the states that it had since the
//!   last sync of its file; so writes are torn, and a later one may be there without an earlier.
//!   A write by `O_DSYNC` makes its own sectors durable, and no other.
//! - *Size*: any that the file had since, or any sector between.
//! - *Names*: creating, removing and renaming count once the directory is synced, also when the
//!   file is synced itself. Of one directory the first so many are kept: file systems order them.
//!   A directory that was not created takes all that is in it along.
//! - *Shared mappings* for writing are never synced here: each sector is as it was, or as it is.
//!
//! What changes files and is not modelled fails the run. What a sync has returned for is kept: disks
//! that lie about it, and sectors that come back as something never written, are other faults; for
//! the latter see the damage of [`storage`](crate::storage).

mod files;
mod names;
mod notes;

#[cfg(test)]
mod tests;

use std::fs;
use std::ops::AddAssign;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rand::rngs::StdRng;

use crate::harness::NodeSetup;
use notes::Notes;

/// The library, as it was compiled with this program.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/power_cut.so"));

/// Where the processes of a cluster get their power from.
#[derive(Debug)]
pub struct PowerSupply {
    dir: PathBuf,
    library: PathBuf,
}

/// What syncs do.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk {
    /// Each takes up to so many µs, as a disk does: that widens the time in which power may go.
    pub sync_us: u32,
    /// They return, and nothing is durable: what no node survives.
    pub lies: bool,
    /// The process kills itself at the change or sync of this number, counted from 1; 0: it does not.
    pub cut_at: u32,
}

/// What becomes of what was not durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Any of it is lost, in a manner drawn for each file and directory.
    Drawn,
    /// All of it is lost.
    Lost,
    /// Names and sizes are kept, all content that was not durable is lost.
    Emptied,
    /// All changes since the process began are lost, durable or not: for tests of the library.
    Undone,
}

/// What a power cut took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Sectors that had changed since their last sync.
    pub sectors_unsynced: u64,
    /// Of them, such that are not as they were when power went.
    pub sectors_lost: u64,
    /// Names created, removed or changed since the last sync of their directory.
    pub names_unsynced: u64,
    /// Of them, undone.
    pub names_lost: u64,
    /// Changes of files that are not modelled.
    pub escapes: Vec<String>,
}

impl AddAssign for Losses {
    fn add_assign(&mut self, mut other: Self) {
        self.sectors_unsynced += other.sectors_unsynced;
        self.sectors_lost += other.sectors_lost;
        self.names_unsynced += other.names_unsynced;
        self.names_lost += other.names_lost;
        self.escapes.append(&mut other.escapes);
    }
}

impl PowerSupply {
    /// Keeps the library and the notes in `dir`, which is on the file system of the stores.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn new(dir: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        // The process sees paths without symbolic links.
        let dir = dir.canonicalize()?;
        let library = dir.join("power_cut.so");
        fs::write(&library, LIBRARY)?;
        Ok(Self { dir, library })
    }

    /// How the node `id` with this data directory is started, so that its power can be
    /// [cut](Self::cut).
    ///
    /// # Errors
    /// When its notes have no place.
    pub fn setup(&self, id: &str, store: &Path, disk: Disk) -> anyhow::Result<NodeSetup> {
        let notes = self.dir.join(id);
        fs::create_dir_all(&notes)?;
        let store = real_path(store)?;
        let mut env = vec![
            ("LD_PRELOAD".to_owned(), self.library.display().to_string()),
            ("POWER_CUT_STORE".to_owned(), store.display().to_string()),
            ("POWER_CUT_NOTES".to_owned(), notes.display().to_string()),
            ("POWER_CUT_STANDS".to_owned(), self.stands(id).display().to_string()),
            ("POWER_CUT_SYNC_US".to_owned(), disk.sync_us.to_string()),
            ("POWER_CUT_AT".to_owned(), disk.cut_at.to_string()),
        ];
        if disk.lies {
            env.push(("POWER_CUT_LIES".to_owned(), "1".to_owned()));
        }
        Ok(NodeSetup { env, ..NodeSetup::default() })
    }

    /// While this file is there, no sync of the node `id` returns: its disk stands still.
    #[must_use]
    pub fn stands(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.stands"))
    }

    /// Leaves in the data directory of a node that was killed what a disk might have kept, and
    /// begins its notes anew.
    ///
    /// # Errors
    /// When files or notes cannot be read or written.
    pub fn cut(
        &self,
        id: &str,
        store: &Path,
        fate: Fate,
        rng: &mut StdRng,
    ) -> anyhow::Result<Losses> {
        let kept = self.dir.join(id);
        let store = real_path(store)?;
        let bytes = match fs::read(kept.join("notes")) {
            Ok(bytes) => bytes,
            // It never began.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Ok(Losses::default());
            }
            Err(error) => return Err(error).context("the notes of a power cut"),
        };
        let notes = Notes::read(&bytes, fate == Fate::Undone);
        let mut losses = Losses { escapes: notes.escapes.clone(), ..Losses::default() };
        files::lose(&notes.files, &[&store, &kept], fate, rng, &mut losses)?;
        names::lose(&notes.names, &store, &kept, fate, rng, &mut losses)?;
        fs::remove_dir_all(&kept)?;
        fs::create_dir(&kept)?;
        Ok(losses)
    }
}

/// The path without symbolic links; the last name may not exist.
fn real_path(path: &Path) -> anyhow::Result<PathBuf> {
    let parent = path.parent().context("a data directory has a parent")?;
    fs::create_dir_all(parent)?;
    Ok(parent.canonicalize()?.join(path.file_name().context("a data directory has a name")?))
}
