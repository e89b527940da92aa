//! Keys of the databases, and reading them back.
//!
//! ```text
//! segment: owner 16 bytes | seq u64 big-endian
//! stamp:   u64 big-endian
//! owner:   16 bytes
//! ```

use vixen_core::id::{OwnerId, SegmentId, Seq, Stamp};

use super::StoreError;

pub(super) const fn stamp(stamp: Stamp) -> [u8; 8] {
    stamp.0.to_be_bytes()
}

pub(super) fn stamp_from(bytes: &[u8]) -> Result<Stamp, StoreError> {
    let bytes = bytes.try_into().map_err(|_length| StoreError::Key(bytes.to_vec()))?;
    Ok(Stamp(u64::from_be_bytes(bytes)))
}

pub(super) fn number_from(bytes: &[u8]) -> Result<u64, StoreError> {
    stamp_from(bytes).map(|stamp| stamp.0)
}

pub(super) fn segment_from(key: &[u8]) -> Result<SegmentId, StoreError> {
    SegmentId::from_key(key).ok_or_else(|| StoreError::Key(key.to_vec()))
}

pub(super) fn owner_from(key: &[u8]) -> Result<OwnerId, StoreError> {
    uuid::Uuid::from_slice(key).map(OwnerId).map_err(|_length| StoreError::Key(key.to_vec()))
}

/// First and last possible key of the owner's segments after `seq`, both inclusive.
pub(super) fn segments_after(
    owner: OwnerId,
    seq: Seq,
) -> ([u8; SegmentId::KEY_BYTES], [u8; SegmentId::KEY_BYTES]) {
    let from = SegmentId { owner, seq: seq.next() }.to_key();
    (from, SegmentId { owner, seq: Seq(u64::MAX) }.to_key())
}

/// First and last possible key of the owner's segments up to `seq`, both inclusive.
pub(super) fn segments_up_to(
    owner: OwnerId,
    seq: Seq,
) -> ([u8; SegmentId::KEY_BYTES], [u8; SegmentId::KEY_BYTES]) {
    (SegmentId { owner, seq: Seq(0) }.to_key(), SegmentId { owner, seq }.to_key())
}
