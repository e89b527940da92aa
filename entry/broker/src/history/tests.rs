//! One step, exact effects; then random groups that fail in every way, against the order itself.

mod random;
mod steps;
mod world;

use vixen_core::membership::Membership;
use vixen_core::roster::Roster;

use super::*;

const START: WallTime = WallTime(1_800_000_000_000);

fn ndb(group: u16, member: u8) -> NdbId {
    NdbId { group: GroupId(group), member }
}

fn owner() -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(0))
}
