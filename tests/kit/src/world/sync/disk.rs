//! The disk of a sync node of the World: rows of the vote, the count of its commits, what is remembered of
//! peers, and room that may end.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use vixen_core::id::{StoreId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::Elected;
use vixen_vote::{Batch, Disk, Orderer, Retention, Standing, Standings};

use crate::sync_disk::SyncDisk;
use crate::world::io::Room;

/// See the module.
#[derive(Clone, Debug)]
pub(in crate::world) struct Stored {
    pub(super) store: StoreId,
    pub(super) rows: SyncDisk,
    pub(super) commits: u64,
    peers: BTreeMap<SyncId, Standing>,
    pub(in crate::world) room: Room,
}

impl Stored {
    pub(super) fn new(store: StoreId) -> Self {
        let (rows, peers) = (SyncDisk::default(), BTreeMap::new());
        Self { store, rows, commits: 0, peers, room: Room::Enough }
    }

    /// A start is counted as a commit, if there is room for it.
    pub(super) fn count_start(&mut self) -> bool {
        let Ok(is_counted) = self.write(&Batch::default());
        is_counted
    }

    /// What is remembered of peers.
    pub(super) fn standings(&self) -> Standings {
        Standings::new(self.peers.iter().map(|(peer, standing)| (*peer, *standing)).collect())
    }
}

impl Disk for Stored {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        if self.room == Room::Nothing {
            return Ok(false);
        }
        self.commits += 1;
        self.peers.extend(batch.standings.iter().copied());
        self.rows.write(batch)
    }
}

/// The disk, and what says which elections may go with a commit.
pub(super) struct Writer<'a> {
    pub(super) disk: &'a mut Stored,
    pub(super) orderer: &'a Orderer,
    pub(super) retention: &'a mut Retention,
    pub(super) membership: &'a Membership,
    /// So long elections stay that W nodes have applied.
    pub(super) keeps: Option<Duration>,
    pub(super) now: Instant,
}

impl Disk for Writer<'_> {
    type Error = Infallible;

    fn write(&mut self, batch: &Batch) -> Result<bool, Infallible> {
        let is_written = self.disk.write(batch)?;
        let keeps = self.keeps.filter(|_| is_written && batch.has_elections);
        if let Some(keeps) = keeps {
            let newest = self.orderer.newest_elected();
            let upto = self.retention.known_for(keeps, newest, self.now);
            let floors = self.retention.floors(self.membership);
            let may_go = |elected: &Elected| {
                let owner = self.orderer.owner_row(elected.meta.id.owner);
                Retention::may_go(&floors, owner, elected)
            };
            self.disk.rows.forget(upto, may_go);
        }
        Ok(is_written)
    }
}
