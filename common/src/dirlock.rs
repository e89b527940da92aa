//! One process a data directory.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use crate::durable;

/// Holds a directory for this process; the system gives it back when the process ends, however.
#[derive(Debug)]
pub struct DirLock {
    file: File,
}

/// Why a directory cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum DirLockError {
    /// Another process has it.
    #[error(
        "{path} is in use by another process; stop that one, or give this node another directory"
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("cannot use the directory {path}")]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl DirLock {
    /// Creates `dir` where it is missing and takes its file `LOCK`. Blocking, but never waiting.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, DirLockError> {
        let unusable = |source| DirLockError::Unusable { path: dir.to_owned(), source };
        durable::create_dir(dir).map_err(unusable)?;
        let file = File::create(dir.join("LOCK")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(DirLockError::Taken { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }
}

impl Drop for DirLock {
    fn drop(&mut self) {
        // Closing alone is not enough: a child process that has not come to its `exec` yet has the
        // file open as well, and the lock with it.
        if let Err(error) = self.file.unlock() {
            tracing::debug!(%error, "lock not given back: it goes with the process");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_held_once_and_given_back() {
        let dir = tempfile::tempdir().expect("dir");
        let held = DirLock::take(&dir.path().join("a")).expect("free");
        let again = DirLock::take(&dir.path().join("a")).expect_err("taken");
        assert!(again.to_string().contains("in use by another process"), "{again}");
        drop(held);
        DirLock::take(&dir.path().join("a")).expect("free again");
    }

    #[test]
    fn it_is_given_back_though_a_child_process_being_made_has_the_file_open() {
        let dir = tempfile::tempdir().expect("dir");
        let held = DirLock::take(dir.path()).expect("free");
        let of_child = held.file.try_clone().expect("another descriptor");
        drop(held);
        DirLock::take(dir.path()).expect("free again");
        drop(of_child);
    }
}
