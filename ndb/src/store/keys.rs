//! Names of the databases of a day, and the form of their keys.

use vixen_core::id::Position;

use super::StoreError;

pub(super) mod db_name {
    pub(in crate::store) const META: &str = "meta";
    pub(in crate::store) const TEMPORARY: &str = "temporary";
    pub(in crate::store) const BLOBS: &str = "blobs";
    pub(in crate::store) const ORDER: &str = "order";
    pub(in crate::store) const MISSING: &str = "missing";
    pub(in crate::store) const OWNERS: &str = "owners";
    pub(in crate::store) const TOPICS: &str = "topics";
    pub(in crate::store) const TOPIC_ROWS: &str = "topic-rows";

    /// All of them: who looks at a day that has only been made finds each.
    pub(in crate::store) const ALL: [&str; 8] =
        [META, TEMPORARY, BLOBS, ORDER, MISSING, OWNERS, TOPICS, TOPIC_ROWS];
}

/// The position that a key of `order` says: keys are big-endian, so that they sort as it does.
pub(super) fn position_of(database: &'static str, key: &[u8]) -> Result<Position, StoreError> {
    let number = key.try_into().map(u64::from_be_bytes);
    number.map(Position).map_err(|_length| StoreError::Row { database, key: key.to_vec() })
}
