//! Ids that are made of the system's clock and randomness.

use uuid::Uuid;
use vixen_core::id::{OwnerId, StoreId};

use crate::clock::wall_time;

/// A new owner id.
#[must_use]
pub fn new_owner_id() -> OwnerId {
    OwnerId(Uuid::now_v7()).made_anew(wall_time())
}

/// A new random store id.
#[must_use]
pub fn new_store_id() -> StoreId {
    StoreId(Uuid::now_v7())
}
