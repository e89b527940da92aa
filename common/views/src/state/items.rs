//! Items: what a view is made of, as bytes: so it is summed up, and written in checkpoints.
//!
//! ```text
//! +---------+-----------+----------------+
//! | kind u8 | bytes u32 | body, postcard |   little-endian
//! +---------+-----------+----------------+
//! ```
//! | kind | body |
//! |---|---|
//! | 1 CLOCK | the time of the order, how many messages are applied |
//! | 8 KEY | realm, key, and its value |
//! | 16 WHO | realm, who, and how long its once-marks are known |
//! | 17 MARK | realm, who, name, whether it rests, and the mark |
//!
//! In a checkpoint they stand in the order of their kinds, within a kind of their names, each once. A kind that is not
//! known makes a checkpoint unusable: it has what this version cannot be without. What keys refer to has a kind
//! below theirs.

use serde::{Deserialize, Serialize, Serializer};

use vixen_core::id::Position;
use vixen_core::segment::{Content, RecordFlags};
use vixen_core::time::WallTime;

/// Bytes of an item before its body.
pub(super) const HEAD_BYTES: usize = 5;

/// Kinds are stored; never reuse one.
pub(super) mod kind {
    pub(in super::super) const CLOCK: u8 = 1;
    pub(in super::super) const KEY: u8 = 8;
    pub(in super::super) const WHO: u8 = 16;
    pub(in super::super) const MARK: u8 = 17;
}

/// What can be one.
pub(super) trait Item: Serialize {
    /// Of [`kind`].
    const KIND: u8;

    /// Appends it.
    fn write_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.push(Self::KIND);
        out.extend_from_slice(&[0; HEAD_BYTES - 1]);
        // Writing to a growing buffer has no way to fail.
        *out = postcard::to_extend(self, std::mem::take(out)).unwrap_or_default();
        // What it has was in a message, so it is below 4 GiB.
        let bytes = u32::try_from(out.len() - start - HEAD_BYTES).unwrap_or(u32::MAX);
        out[start + 1..start + HEAD_BYTES].copy_from_slice(&bytes.to_le_bytes());
    }

    /// It alone.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.write_to(&mut out);
        out
    }
}

/// How far the view is, beside its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ClockItem {
    pub(super) time: WallTime,
    pub(super) records: u64,
}

impl Item for ClockItem {
    const KIND: u8 = kind::CLOCK;
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeyItem<'a> {
    pub(super) realm: &'a str,
    pub(super) key: &'a str,
    pub(super) version: Position,
    pub(super) time: WallTime,
    pub(super) session: u64,
    pub(super) content: Content,
    pub(super) flags: RecordFlags,
    pub(super) ttl_ms: Option<u64>,
    #[serde(serialize_with = "in_one")]
    pub(super) attributes: &'a [u8],
    #[serde(serialize_with = "in_one")]
    pub(super) payload: &'a [u8],
}

impl Item for KeyItem<'_> {
    const KIND: u8 = kind::KEY;
}

/// Serde takes slices for lists, byte by byte.
fn in_one<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}
