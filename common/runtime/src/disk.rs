//! Room on a disk: how much is free, whether that is less than a node leaves, and which failures to
//! write mean that there is none.

use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::libc::EIO;
use nix::sys::statvfs::statvfs;

/// Between two looks at the room on a disk: the reserve must last so long.
pub const DISK_LOOK: Duration = Duration::from_millis(200);
/// Beyond the reserve by this part, there is room again.
const RESUME_PART: u64 = 16;
/// Less than a commit may take.
const NO_ROOM_BYTES: u64 = 4 << 20;

/// The room where a store is.
#[derive(Debug)]
pub struct Room {
    dir: PathBuf,
    reserve: u64,
    free: u64,
    is_low: bool,
}

impl Room {
    /// Of the disk that `dir` is on, of which `reserve` bytes are to stay free. Nobody has looked yet.
    #[must_use]
    pub const fn new(dir: PathBuf, reserve: u64) -> Self {
        Self { dir, reserve, free: 0, is_low: false }
    }

    /// Looks; whether [`is_low`](Self::is_low) has changed. What cannot be looked at stays as it was.
    pub fn look(&mut self) -> bool {
        free_bytes(&self.dir).is_ok_and(|free| self.note(free))
    }

    fn note(&mut self, free: u64) -> bool {
        self.free = free;
        let resume = self.reserve.saturating_add(self.reserve / RESUME_PART);
        let is_low = free < if self.is_low { resume } else { self.reserve };
        std::mem::replace(&mut self.is_low, is_low) != is_low
    }

    /// Whether less than the reserve is free, or was and not much more is.
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.is_low
    }

    /// Bytes free at the last look.
    #[must_use]
    pub const fn free(&self) -> u64 {
        self.free
    }

    /// Bytes that are to stay free.
    #[must_use]
    pub const fn reserve(&self) -> u64 {
        self.reserve
    }
}

/// Bytes free on the disk that `dir` is on, for who is not root.
///
/// # Errors
/// When the system does not tell.
pub fn free_bytes(dir: &Path) -> Result<u64, Error> {
    let disk = statvfs(dir)?;
    Ok(disk.blocks_available().saturating_mul(disk.fragment_size()))
}

/// Whether a write of a store in `dir` failed for want of room: it can be done again.
#[must_use]
pub fn has_no_room(dir: &Path, error: &Error) -> bool {
    if matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded) {
        return true;
    }
    // A page that found room for its first part only is an I/O error to LMDB.
    error.raw_os_error() == Some(EIO) && free_bytes(dir).is_ok_and(|free| free < NO_ROOM_BYTES)
}

#[cfg(test)]
mod tests {
    use nix::libc::{EDQUOT, ENOSPC};

    use super::*;

    #[test]
    fn there_is_room_again_only_well_beyond_the_reserve() {
        let mut room = Room::new(PathBuf::new(), 160);
        assert!(!room.note(160) && !room.is_low());
        assert!(room.note(159) && room.is_low());
        assert!(!room.note(169) && room.is_low(), "it would go to and fro");
        assert!(room.note(170) && !room.is_low());
        let mut all = Room::new(PathBuf::new(), u64::MAX);
        assert!(all.note(u64::MAX - 1) && all.is_low());
    }

    #[test]
    fn an_io_error_is_one_of_room_only_where_there_is_none() {
        let dir = tempfile::tempdir().expect("dir");
        assert!(
            free_bytes(dir.path()).expect("told") > NO_ROOM_BYTES,
            "it is needed for this test"
        );
        let of = |errno| has_no_room(dir.path(), &Error::from_raw_os_error(errno));
        assert!(of(ENOSPC) && of(EDQUOT) && !of(EIO));
    }
}
