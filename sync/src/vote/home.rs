//! Which node coordinates which ballot.

use vixen_common::id::{Ballot, OwnerId, SyncId};

/// The home coordinator of all segments of `owner`, by rendezvous hash: every node that knows the
/// same members agrees, and a change of members moves only the owners it must.
///
/// # Panics
/// When `members` is empty; a configuration has at least one sync node.
#[must_use]
pub fn home(owner: OwnerId, members: &[SyncId]) -> SyncId {
    let heaviest = members.iter().copied().max_by_key(|id| weight(owner, *id));
    assert!(heaviest.is_some(), "a vote has members");
    heaviest.unwrap_or(SyncId(0))
}

/// Owner and lane, well mixed: two rounds of the finalizer of SplitMix64 (Steele et al., *Fast
/// Splittable Pseudorandom Number Generators*, 2014). Nobody gains by choosing a home, so it need
/// not be a cryptographic hash, and it is asked for at each step.
fn weight(owner: OwnerId, id: SyncId) -> (u64, SyncId) {
    let (high, low) = owner.0.as_u64_pair();
    (mix(mix(high ^ u64::from(id.0)) ^ low), id)
}

const fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// The node that owns `ballot` of the owner's segments: number `(home + ballot) mod n` of the
/// sorted members.
#[must_use]
pub fn coordinator(owner: OwnerId, ballot: Ballot, members: &[SyncId]) -> SyncId {
    let home = home(owner, members);
    let at = members.iter().position(|id| *id == home).unwrap_or(0);
    let turn = usize::try_from(ballot.0).unwrap_or(0);
    members[(at + turn % members.len()) % members.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_common::id::OwnerId;

    fn owner(n: u128) -> OwnerId {
        OwnerId(uuid::Uuid::from_u128(n))
    }

    #[test]
    fn owners_spread_over_all_members() {
        let members = [SyncId(0), SyncId(1), SyncId(2)];
        let homes: Vec<_> = (0..300).map(|n| home(owner(n), &members)).collect();
        for member in members {
            assert!(homes.iter().filter(|home| **home == member).count() > 50);
        }
    }

    #[test]
    fn ballots_go_round_the_members() {
        let members = [SyncId(3), SyncId(5), SyncId(9)];
        let first = coordinator(owner(1), Ballot(0), &members);
        assert_eq!(first, home(owner(1), &members));
        assert_eq!(coordinator(owner(1), Ballot(3), &members), first);
        assert_ne!(coordinator(owner(1), Ballot(1), &members), first);
    }
}
