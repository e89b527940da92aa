//! The bytes of a whole segment, as hashed, stored and sent to peers.
//!
//! ```text
//! +------------+-----------------+---------------------------+---------+
//! | version u8 | table bytes u32 | topic table (postcard)    | records |   little-endian
//! +------------+-----------------+---------------------------+---------+
//! ```

use bytes::Bytes;

use super::record::Records;
use super::{SegmentMeta, Topic};
use crate::id::Digest;

const VERSION: u8 = 1;
const PREFIX_BYTES: usize = 5;

/// A segment's bytes. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob(Bytes);

/// Why bytes are not the blob of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlobError {
    /// The first byte is no known format version.
    #[error("blob has format version {0}, this node reads {VERSION}")]
    Version(u8),
    /// The topic table does not parse.
    #[error("topic table is malformed")]
    Table,
    /// A record is cut short, of unknown encoding, or of a topic outside the table.
    #[error("a record is malformed")]
    Record,
    /// There is no record: a segment without one has no place of its own in the order.
    #[error("blob has no record")]
    Empty,
    /// The number of records is not the announced one.
    #[error("{found} records where {announced} were announced")]
    Count {
        /// Records in the blob.
        found: u32,
        /// Records in the meta.
        announced: u32,
    },
    /// Size or hash are not the announced ones.
    #[error("size or digest differ from the announced ones")]
    Digest,
}

impl Blob {
    /// Builds the blob of `topics` and packed `records`.
    #[must_use]
    pub fn assemble(topics: &[Topic], records: &[&[u8]]) -> Self {
        let prefix = Self::prefix(topics);
        let total = prefix.len() + records.iter().map(|r| r.len()).sum::<usize>();
        let mut bytes = Vec::with_capacity(total);
        bytes.extend_from_slice(&prefix);
        records.iter().for_each(|part| bytes.extend_from_slice(part));
        Self(bytes.into())
    }

    /// The part before the records.
    pub(super) fn prefix(topics: &[Topic]) -> Vec<u8> {
        let mut bytes = vec![VERSION, 0, 0, 0, 0];
        bytes = postcard::to_extend(topics, bytes).unwrap_or_default();
        let table = u32::try_from(bytes.len().saturating_sub(PREFIX_BYTES)).unwrap_or(u32::MAX);
        bytes[1..PREFIX_BYTES].copy_from_slice(&table.to_le_bytes());
        bytes
    }

    /// Takes bytes read from a disk or a peer, unchecked: see [`verify`](Self::verify).
    #[must_use]
    pub const fn from_bytes(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &Bytes {
        &self.0
    }

    /// Checks size, hash, table and every record against `meta`.
    ///
    /// # Errors
    /// The first thing that does not fit.
    pub fn verify(&self, meta: &SegmentMeta) -> Result<(), BlobError> {
        if self.0.len() as u64 != u64::from(meta.bytes) || Digest::of(&[&self.0]) != meta.digest {
            return Err(BlobError::Digest);
        }
        let (topics, records) = self.open()?;
        let mut reader = Records::new(&records);
        let mut found = 0u32;
        for record in reader.by_ref() {
            if usize::from(record.topic) >= topics.len() {
                return Err(BlobError::Record);
            }
            found += 1;
        }
        if !reader.is_complete() {
            return Err(BlobError::Record);
        }
        if found == 0 {
            return Err(BlobError::Empty);
        }
        if found != meta.count {
            return Err(BlobError::Count { found, announced: meta.count });
        }
        Ok(())
    }

    /// Splits into the topic table and the packed records, which share this blob's memory.
    ///
    /// # Errors
    /// A version or a table that this node cannot read.
    pub fn open(&self) -> Result<(Vec<Topic>, Bytes), BlobError> {
        let prefix = self.0.get(..PREFIX_BYTES).ok_or(BlobError::Table)?;
        if prefix[0] != VERSION {
            return Err(BlobError::Version(prefix[0]));
        }
        let table = u32::from_le_bytes([prefix[1], prefix[2], prefix[3], prefix[4]]);
        let end = usize::try_from(table)
            .ok()
            .and_then(|t| t.checked_add(PREFIX_BYTES))
            .filter(|end| *end <= self.0.len())
            .ok_or(BlobError::Table)?;
        let (topics, rest) = postcard::take_from_bytes::<Vec<Topic>>(&self.0[PREFIX_BYTES..end])
            .map_err(|_malformed| BlobError::Table)?;
        if !rest.is_empty() {
            return Err(BlobError::Table);
        }
        Ok((topics, self.0.slice(end..)))
    }
}
