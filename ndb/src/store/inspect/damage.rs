//! Which errors say that the bytes on disk are not what was written.

use nix::libc::{EFBIG, EINVAL, EIO, ENOMEM};

use vixen_runtime::journal::JournalError;
use vixen_runtime::lmdb::OpenError;

use crate::store::StoreError;

impl StoreError {
    /// Whether the bytes on disk are not what was written, so that only a backup or the peers help.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Open(OpenError::Lmdb(error)) | Self::Lmdb(error) => is_damage(error),
            Self::Journal(error) => match error {
                JournalError::Missing { .. }
                | JournalError::Foreign { .. }
                | JournalError::Header { .. }
                | JournalError::Damaged { .. } => true,
                JournalError::Format { .. } | JournalError::Io { .. } => false,
            },
            Self::Open(OpenError::StoreId { .. })
            | Self::JournalRecord
            | Self::Row { .. }
            | Self::Order(_)
            | Self::Damaged(_) => true,
            Self::Open(OpenError::Directory { .. } | OpenError::Format { .. })
            | Self::Directory { .. }
            | Self::OldLayout { .. }
            | Self::JournalVersion(_)
            | Self::Encode(_)
            | Self::Trimmed { .. }
            | Self::Misfit(_) => false,
        }
    }
}

/// Garbled pages show in many ways: as what LMDB calls corrupt, as sizes that no memory can hold,
/// as a state that cannot be.
fn is_damage(error: &heed::Error) -> bool {
    use heed::MdbError;
    match error {
        heed::Error::Mdb(error) => !matches!(
            error,
            MdbError::MapFull | MdbError::DbsFull | MdbError::ReadersFull | MdbError::TlsFull
        ),
        heed::Error::Io(error) => {
            matches!(error.raw_os_error(), Some(EIO | ENOMEM | EINVAL | EFBIG))
        }
        heed::Error::Encoding(_) | heed::Error::Decoding(_) | heed::Error::EnvAlreadyOpened => {
            false
        }
    }
}
