//! Ids that are made of the system's clock and randomness.

use uuid::Uuid;
use vixen_core::id::{OwnerId, StoreId};

/// A new owner id.
#[must_use]
pub fn new_owner_id() -> OwnerId {
    OwnerId(Uuid::now_v7())
}

/// A new random store id.
#[must_use]
pub fn new_store_id() -> StoreId {
    StoreId(Uuid::now_v7())
}
