//! Segments whose OVER has not come.

use std::collections::BTreeMap;

use bytes::Bytes;

use vixen_core::id::{OwnerId, SegmentId};
use vixen_core::segment::{Blob, SegmentMeta, Topic};
use vixen_core::wire::RefuseReason;

#[derive(Debug, Default)]
struct Open {
    topics: Vec<Topic>,
    records: Vec<Bytes>,
    count: u32,
    bytes: usize,
    /// A KEEP was out of place or beyond a bound: OVER will be refused with this.
    broken: Option<RefuseReason>,
}

/// All incomplete segments, bounded in bytes.
#[derive(Debug)]
pub(super) struct Incoming {
    open: BTreeMap<SegmentId, Open>,
    bytes: usize,
    segment_bytes_max: usize,
    bytes_max: usize,
}

impl Incoming {
    pub(super) const fn new(segment_bytes_max: usize, bytes_max: usize) -> Self {
        Self { open: BTreeMap::new(), bytes: 0, segment_bytes_max, bytes_max }
    }

    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Starts a segment, or starts it again.
    pub(super) fn begin(&mut self, segment: SegmentId) {
        if let Some(old) = self.open.insert(segment, Open::default()) {
            self.bytes -= old.bytes;
        }
    }

    pub(super) fn keep(
        &mut self,
        segment: SegmentId,
        offset: u32,
        topics: Vec<Topic>,
        count: u32,
        records: Bytes,
    ) {
        let room = self.bytes_max.saturating_sub(self.bytes);
        let Some(open) = self.open.get_mut(&segment) else { return };
        if open.broken.is_some() {
            return;
        }
        let table: usize = topics.iter().map(|t| t.realm.len() + t.uri.len() + 4).sum();
        let added = records.len() + table;
        if offset != open.count {
            open.broken = Some(RefuseReason::Gap);
        } else if open.bytes + added > self.segment_bytes_max.saturating_mul(2) {
            open.broken = Some(RefuseReason::TooLarge);
        } else if added > room {
            // Other segments take the room at present: sending again later helps.
            open.broken = Some(RefuseReason::Gap);
        } else {
            open.count = open.count.saturating_add(count);
            open.bytes += added;
            self.bytes += added;
            open.topics.extend(topics);
            // What came may be a part of a far larger buffer, which it would keep.
            open.records.push(Bytes::copy_from_slice(&records));
        }
    }

    /// Takes the segment whole, verified against its meta.
    pub(super) fn take(&mut self, meta: SegmentMeta) -> Result<Blob, RefuseReason> {
        let Some(open) = self.open.remove(&meta.id) else { return Err(RefuseReason::Gap) };
        self.bytes -= open.bytes;
        if let Some(reason) = open.broken {
            return Err(reason);
        }
        let records: Vec<&[u8]> = open.records.iter().map(AsRef::as_ref).collect();
        let blob = Blob::assemble(&open.topics, &records);
        blob.verify(&meta).map_err(|_differs| RefuseReason::Mismatch)?;
        Ok(blob)
    }

    pub(super) fn drop_segment(&mut self, segment: SegmentId) {
        if let Some(open) = self.open.remove(&segment) {
            self.bytes -= open.bytes;
        }
    }

    /// Drops what an entry has begun.
    pub(super) fn drop_owner(&mut self, owner: OwnerId) {
        self.open.retain(|segment, open| {
            let is_its_own = segment.owner.is_of_entry(owner);
            if is_its_own {
                self.bytes -= open.bytes;
            }
            !is_its_own
        });
    }
}
