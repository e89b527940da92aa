//! Rows of the order index.

use serde::{Deserialize, Serialize};

use vixen_common::id::Digest;
use vixen_common::segment::Elected;

/// One segment's place in the order, chained to all rows before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderRow {
    /// The segment and its stamp and group.
    pub elected: Elected,
    /// Hash of the previous row's chain and of `elected`: two nodes with the same chain at a
    /// position agree on everything before it.
    pub chain: Digest,
}

impl OrderRow {
    /// The row that follows one with chain `previous`; `Digest::default()` before the first.
    #[must_use]
    pub fn chained(previous: Digest, elected: Elected) -> Self {
        // Encoding a value of fixed parts into memory does not fail.
        let row = postcard::to_stdvec(&elected).unwrap_or_default();
        Self { elected, chain: Digest::of(&[&previous.0, &row]) }
    }
}
