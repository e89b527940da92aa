//! The file of a recording.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use vixen_core::name::NodeName;

use crate::clock::wall_time;

/// Its owner, and nobody else: messages are in it.
const MODE: u32 = 0o600;

/// Why a node cannot record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Nothing is overwritten.
    #[error(
        "--record: {} is there already, and is not overwritten: name another file, or a directory that exists, \
         in which each start makes a file of its own", path.display()
    )]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// There is no directory for the file.
    #[error("--record: {} is no directory that exists: make it first", path.display())]
    NoParent {
        /// The directory.
        path: PathBuf,
    },
    /// The file cannot be made.
    #[error("--record: cannot create {}", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The header does not fit into an entry.
    #[error("--record: cannot encode the header")]
    Header(#[from] postcard::Error),
    /// There is no thread to write it.
    #[error("--record: no thread to write it")]
    Thread(#[source] io::Error),
    /// Several nodes of a process need a file each.
    #[error(
        "--record: {} is not a directory that exists: nearcast is three nodes, and each makes a file of its own \
         in it", path.display()
    )]
    NoDirectory {
        /// What was given.
        path: PathBuf,
    },
}

/// Creates it at the path, or in it, where that is a directory.
pub(super) fn create(path: &Path, node: &NodeName) -> Result<(File, PathBuf), RecordError> {
    let path = if path.is_dir() { path.join(name(node)) } else { path.to_owned() };
    let created = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&path);
    match created {
        Ok(file) => Ok((file, path)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(RecordError::Exists { path })
        }
        Err(source) => match missing_directory(&path) {
            Some(path) => Err(RecordError::NoParent { path }),
            None => Err(RecordError::Create { path, source }),
        },
    }
}

/// The directory that the file was to be in, or that was meant, if it is not there.
fn missing_directory(path: &Path) -> Option<PathBuf> {
    if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
        return Some(path.to_owned());
    }
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty())?;
    (!parent.is_dir()).then(|| parent.to_owned())
}

/// `S1-20261130T034501.007Z.vixenrec`.
fn name(node: &NodeName) -> String {
    let now = i64::try_from(wall_time().0).unwrap_or(i64::MAX);
    let now = Timestamp::from_millisecond(now).unwrap_or(Timestamp::MAX);
    format!("{node}-{}.vixenrec", now.strftime("%Y%m%dT%H%M%S%.3fZ"))
}
