//! One process a data directory.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
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
        "{path} is in use by another process; stop that one, or give this node another directory",
        path = path.display()
    )]
    Taken {
        /// The directory.
        path: PathBuf,
    },
    /// Its node runs, and a tool wants it.
    #[error(
        "{node} runs, and has the directory {path}: stop it, and do this again",
        path = path.display()
    )]
    NodeRuns {
        /// The node, or what stands for it.
        node: String,
        /// The directory.
        path: PathBuf,
    },
    /// It cannot be made or written.
    #[error("cannot use the directory {path}: {cause}; {fix}", path = path.display())]
    Unusable {
        /// The directory.
        path: PathBuf,
        /// What the system said; part of the text, and so no source of the error.
        cause: std::io::Error,
        /// What to do.
        fix: &'static str,
    },
}

impl DirLock {
    /// Creates `dir` where it is missing and takes its file `LOCK`. Blocking, but never waiting.
    ///
    /// # Errors
    /// When another process holds it, or it cannot be written.
    pub fn take(dir: &Path) -> Result<Self, DirLockError> {
        let unusable = |cause| unusable(dir, cause);
        durable::create_dir(dir).map_err(unusable)?;
        let file = File::create(dir.join("LOCK")).map_err(unusable)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(DirLockError::Taken { path: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(unusable(source)),
        }
    }

    /// The same for a tool that works on the directory of `node`, which must not run.
    ///
    /// # Errors
    /// When the node runs, or another tool is at work there, or it cannot be written.
    pub fn take_for_tool(dir: &Path, node: &str) -> Result<Self, DirLockError> {
        Self::take(dir).map_err(|error| match error {
            DirLockError::Taken { path } => DirLockError::NodeRuns { node: node.to_owned(), path },
            other @ (DirLockError::NodeRuns { .. } | DirLockError::Unusable { .. }) => other,
        })
    }
}

fn unusable(dir: &Path, cause: std::io::Error) -> DirLockError {
    let fix = match cause.kind() {
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
            "a file is in its place, or in that of a folder above it: move it away, or name another \
             directory"
        }
        ErrorKind::PermissionDenied => {
            "let the user that runs this node write there, or name another directory"
        }
        ErrorKind::ReadOnlyFilesystem => {
            "mount its file system for writing, or name another directory"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "make room there",
        _ => "name a directory that this user can make and write",
    };
    DirLockError::Unusable { path: dir.to_owned(), cause, fix }
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
    fn one_that_cannot_be_used_is_told_with_the_reason_and_a_fix() {
        let dir = tempfile::tempdir().expect("dir");
        let file = dir.path().join("file");
        std::fs::write(&file, "").expect("written");
        for (path, reason) in [
            (file.clone(), "File exists (os error 17); a file is in its place"),
            (file.join("below"), "Not a directory (os error 20); a file is in its place"),
            ("/proc/vixen".into(), "(os error 2); name a directory"),
        ] {
            let error = DirLock::take(&path).expect_err("not a directory");
            let text = error.to_string();
            assert!(text.starts_with(&format!("cannot use the directory {}: ", path.display())));
            assert!(text.contains(reason), "{text}");
            assert!(std::error::Error::source(&error).is_none(), "told twice: {text}");
        }
        let error = unusable(&file, ErrorKind::PermissionDenied.into()).to_string();
        assert!(error.contains("let the user that runs this node write there"), "{error}");
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
