//! Names of things: who stores and votes, what is stored and voted, and where it stands.

mod life;
mod permanent;
mod stamp;

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::WallTime;

pub use life::Life;
pub use permanent::{ParsePermanentIdError, PermanentId};
pub use stamp::{LANES, Lane, Stamp};

/// One sync node, by its lane: `0..64`, unique in the cluster. For messages and keys: people read
/// its [`NodeName`](crate::name::NodeName), which a [`Roster`](crate::roster::Roster) knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SyncId(pub u8);

/// One ndb group, by its place in the configuration, from 0. Its text is the number: `group 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct GroupId(pub u16);

impl fmt::Display for GroupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One ndb node: its group, and its place in the group, `0..64`. For messages and keys, as
/// [`SyncId`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NdbId {
    /// The group whose segments it holds.
    pub group: GroupId,
    /// Its place in the group's member list, from 0.
    pub member: u8,
}

/// Who makes a row of segments: a UUIDv7 that an entry makes at its start, and again when the one it
/// has is old. All that one process makes differ in their times only.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct OwnerId(pub Uuid);

impl OwnerId {
    /// The same entry's owner id of another time.
    #[must_use]
    pub fn made_anew(self, at: WallTime) -> Self {
        let bytes = self.0.as_bytes();
        let mut own = [0; 10];
        own.copy_from_slice(&bytes[6..]);
        Self(uuid::Builder::from_unix_timestamp_millis(at.0, &own).into_uuid())
    }

    /// Whether both are of one entry process.
    #[must_use]
    pub fn is_of_entry(self, other: Self) -> bool {
        self == other || self.made_at().is_some_and(|at| self == other.made_anew(at))
    }

    /// When it was made, by the clock of its entry (RFC 9562 §5.7); `None` for an id that no entry
    /// makes.
    #[must_use]
    pub fn made_at(&self) -> Option<WallTime> {
        let since_epoch = self.0.get_timestamp().filter(|_| self.0.get_version_num() == 7)?;
        let (seconds, nanos) = since_epoch.to_unix();
        Some(WallTime(seconds.saturating_mul(1_000).saturating_add(u64::from(nanos) / 1_000_000)))
    }
}

impl fmt::Display for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for OwnerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Numbers an owner's segments: 1, 2, 3 …
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Seq(pub u64);

impl Seq {
    /// The first segment of an owner; it has no predecessor.
    pub const FIRST: Self = Self(1);

    /// The number after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The number before this one; 0, which no segment has, stays.
    #[must_use]
    pub const fn before(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An advance segment: its owner and its number. See `docs/design/001-names-on-the-wire.md` for
/// why the pair is the id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SegmentId {
    /// The entry incarnation that received its messages.
    pub owner: OwnerId,
    /// Its number among the owner's segments.
    pub seq: Seq,
}

impl SegmentId {
    /// Bytes of the fixed-width key form.
    pub const KEY_BYTES: usize = 24;

    /// The owner's segment before this one; `None` for the first.
    #[must_use]
    pub const fn previous(self) -> Option<Self> {
        if self.seq.0 <= 1 {
            return None;
        }
        Some(Self { owner: self.owner, seq: Seq(self.seq.0 - 1) })
    }

    /// The owner's segment after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self { owner: self.owner, seq: self.seq.next() }
    }

    /// Store key: owner (16 bytes), then seq (8 bytes), big-endian, so byte order is id order.
    #[must_use]
    pub fn to_key(self) -> [u8; Self::KEY_BYTES] {
        let mut key = [0; Self::KEY_BYTES];
        key[..16].copy_from_slice(self.owner.0.as_bytes());
        key[16..].copy_from_slice(&self.seq.0.to_be_bytes());
        key
    }

    /// Reads what [`to_key`](Self::to_key) wrote; `None` for another length.
    #[must_use]
    pub fn from_key(key: &[u8]) -> Option<Self> {
        let key: &[u8; Self::KEY_BYTES] = key.try_into().ok()?;
        let (owner, seq) = key.split_at(16);
        Some(Self {
            owner: OwnerId(Uuid::from_slice(owner).ok()?),
            seq: Seq(u64::from_be_bytes(seq.try_into().ok()?)),
        })
    }
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.seq)
    }
}

impl fmt::Debug for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Number of a Paxos ballot; 0 is the home coordinator's.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Ballot(pub u32);

impl fmt::Display for Ballot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Place of a message in the total order: 1, 2, 3 …, below 2^53. It is the WAMP publication id.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Position(pub u64);

impl Position {
    /// The first message ever.
    pub const FIRST: Self = Self(1);

    /// The position `count` messages further on.
    #[must_use]
    pub const fn plus(self, count: u32) -> Self {
        Self(self.0 + count as u64)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Placement of a segment: `0..2^20`, handed out round-robin; group = shard mod number of groups.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Shard(pub u32);

impl Shard {
    /// Number of shards.
    pub const COUNT: u32 = 1 << 20;

    /// The next shard, round-robin.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) % Self::COUNT)
    }

    /// The group that holds this shard among `groups` groups (at least one).
    #[must_use]
    pub const fn group(self, groups: u16) -> GroupId {
        #[expect(clippy::cast_possible_truncation, reason = "the remainder is below a u16")]
        GroupId((self.0 % groups as u32) as u16)
    }
}

/// Which division of the shards placed a segment: the number of ndb groups then. Groups are only
/// ever added, so a higher number is a later division, and what an earlier one placed stays where
/// it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MapVersion(pub u16);

impl MapVersion {
    /// The group that holds `shard` by this division, unless it lacks live nodes. Group 0 of a
    /// division without groups, which no node has.
    #[must_use]
    pub const fn group_of(self, shard: Shard) -> GroupId {
        shard.group(if self.0 == 0 { 1 } else { self.0 })
    }
}

/// Random id of one store directory, made when it is created (DESIGN §4 rule 9).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct StoreId(pub Uuid);

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// First 128 bits of a BLAKE3 hash: of a segment's blob, or of the order up to a row.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Digest(pub [u8; 16]);

impl Digest {
    /// Hashes the parts as one run of bytes.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut digester = Digester::default();
        parts.iter().for_each(|part| digester.update(part));
        digester.finish()
    }
}

/// A digest in the making, of bytes as they come.
#[derive(Clone, Debug, Default)]
pub struct Digester(blake3::Hasher);

impl Digester {
    /// Takes the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// As [`Digest::of`] all bytes that came.
    #[must_use]
    pub fn finish(&self) -> Digest {
        let mut digest = [0; 16];
        digest.copy_from_slice(&self.0.finalize().as_bytes()[..16]);
        Digest(digest)
    }

    /// All 256 bits of the hash: for sums of hashes, where 128 would be few.
    #[must_use]
    pub fn finish_wide(&self) -> [u8; 32] {
        *self.0.finalize().as_bytes()
    }
}

impl io::Write for Digester {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn segment_keys_round_trip_and_sort_like_the_ids(a: u128, b: u128, x: u64, y: u64) {
            let left = SegmentId { owner: OwnerId(Uuid::from_u128(a)), seq: Seq(x) };
            let right = SegmentId { owner: OwnerId(Uuid::from_u128(b)), seq: Seq(y) };
            prop_assert_eq!(SegmentId::from_key(&left.to_key()), Some(left));
            prop_assert_eq!(left.cmp(&right), left.to_key().cmp(&right.to_key()));
        }
    }

    #[test]
    fn a_first_segment_has_no_previous_one() {
        let first = SegmentId { owner: OwnerId(Uuid::from_u128(7)), seq: Seq::FIRST };
        assert_eq!(first.previous(), None);
        assert_eq!(first.next().previous(), Some(first));
    }

    #[test]
    fn what_one_entry_makes_differs_in_its_time_only() {
        let first = OwnerId(Uuid::from_u128(0x018f_0000_0000_7abc_8def_0123_4567_89ab));
        let made = first.made_at().expect("a time");
        let later = first.made_anew(made.plus_millis(5));
        assert_eq!(later.made_at(), Some(made.plus_millis(5)));
        assert_eq!(later.made_anew(made), first);
        assert!(later > first && later.is_of_entry(first) && first.is_of_entry(later));
        let other = OwnerId(Uuid::from_u128(first.0.as_u128() + 1));
        assert!(!other.is_of_entry(first));
        let no_time = OwnerId(Uuid::from_u128(7));
        assert!(no_time.is_of_entry(no_time) && !no_time.is_of_entry(OwnerId(Uuid::from_u128(8))));
    }

    #[test]
    fn shards_go_round_and_map_to_groups() {
        assert_eq!(Shard(Shard::COUNT - 1).next(), Shard(0));
        assert_eq!(Shard(5).group(3), GroupId(2));
    }
}
