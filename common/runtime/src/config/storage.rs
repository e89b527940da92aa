//! Table `[storage]`: how long messages are kept, and how the disks are looked after.

use std::time::Duration;

use serde::Serialize;

use super::error::ConfigError;
use super::read::TableReader;

const MIB: u64 = 1 << 20;
/// The part of `disk-reserve` that a sync node leaves free.
const SYNC_PART: u64 = 16;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Table `[storage]`, for ndb nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Storage {
    /// `retention-age`: a day whose end is longer ago is dropped. `None`, the default: no day is
    /// too old.
    pub retention_age: Option<Duration>,
    /// `retention-bytes`: the oldest days are dropped while the store of a node takes more than
    /// this; the present day stays. `None`, the default: it may take any size.
    pub retention_bytes: Option<u64>,
    /// `disk-reserve`: with less free on its disk, an ndb node takes no new segments; with less than
    /// a [sixteenth](Self::sync_reserve) of it, a sync node does not vote. Default 256 MiB.
    pub disk_reserve: u64,
    /// `scrub-period`: within this time everything stored is read and verified once. Default 7
    /// days.
    pub scrub_period: Duration,
}

impl Default for Storage {
    fn default() -> Self {
        Self {
            retention_age: None,
            retention_bytes: None,
            disk_reserve: 256 * MIB,
            scrub_period: 7 * DAY,
        }
    }
}

impl Storage {
    pub(super) const KEYS: &'static [&'static str] =
        &["retention-age", "retention-bytes", "disk-reserve", "scrub-period"];

    /// What a sync node leaves free: it writes little, and where it shares a disk with an ndb node
    /// that one is to cease first.
    #[must_use]
    pub const fn sync_reserve(&self) -> u64 {
        self.disk_reserve / SYNC_PART
    }

    /// Takes what the table sets and leaves the rest at its default.
    pub(super) fn read(mut table: TableReader<'_>) -> Result<Self, ConfigError> {
        let mut storage = Self::default();
        let (mut age, mut bytes) = (Duration::ZERO, 0);
        table.duration("retention-age", &mut age)?;
        table.size("retention-bytes", &mut bytes)?;
        table.size("disk-reserve", &mut storage.disk_reserve)?;
        table.duration("scrub-period", &mut storage.scrub_period)?;
        storage.retention_age = (!age.is_zero()).then_some(age);
        storage.retention_bytes = (bytes > 0).then_some(bytes);
        Ok(storage)
    }
}
