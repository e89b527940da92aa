//! Haste: which words of a feed somebody waits for, and which may wait for company.
//!
//! A reader waits for what is of its own segments, and for all where somebody waits for what it reads
//! (`AwaitFeed`). It needs to be told what each node accepts, and the watermark after it; then it counts, and the election
//! may come later. One that has not all feeds (`CountElections`) needs one RESOLVED, and the watermarks of a quorum at or
//! above it: those of the owner's first quorum, while all of that is there. What others say of the same goes at their
//! leisure (`docs/design/026-fewer-frames.md`).
//!
//! ```text
//!   ACCEPTED at s, waited for             clock_wanted = s
//!   RESOLVED at s, waited for, no count   floor_wanted = s
//!   WATERMARK w                           now, while one of its marks is below what is wanted
//! ```

use std::collections::BTreeMap;

use vixen_core::id::{OwnerId, Stamp};
use vixen_core::wire::{FeedMessage, Marks, Message};
use vixen_runtime::link::Haste;

/// What is known of one reader.
#[derive(Clone, Copy, Debug)]
struct Reader {
    /// The entry that it is, if it is one.
    owner: Option<OwnerId>,
    /// Somebody waits for all that it reads.
    is_awaited: bool,
    /// It has followed, and was not told a watermark since.
    is_behind: bool,
    /// It counts what nodes accept.
    counts: bool,
    /// Somebody waits for a clock up to here.
    clock_wanted: Stamp,
    /// Somebody waits for a floor up to here.
    floor_wanted: Stamp,
    /// The same, of elections that others tell at once, or that it counts.
    wanted_soon: Stamp,
    /// The last watermark.
    told: Marks,
    /// The highest that it was told elected.
    resolved: Stamp,
}

impl Reader {
    /// Of one that has said nothing.
    const NEW: Self = Self {
        owner: None,
        is_awaited: true,
        is_behind: true,
        counts: false,
        clock_wanted: Stamp::ZERO,
        floor_wanted: Stamp::ZERO,
        wanted_soon: Stamp::ZERO,
        told: Marks::at(Stamp::ZERO),
        resolved: Stamp::ZERO,
    };
}

impl Reader {
    /// Whether somebody waits for the segments of an owner.
    fn waits_for(&self, owner: OwnerId) -> bool {
        self.is_awaited || self.owner.is_some_and(|entry| owner.is_of_entry(entry))
    }
}

/// See the module doc. `L` is what a link is known by.
#[derive(Debug)]
pub(super) struct Hastes<L> {
    readers: BTreeMap<L, Reader>,
}

impl<L> Default for Hastes<L> {
    fn default() -> Self {
        Self { readers: BTreeMap::new() }
    }
}

impl<L: Copy + Ord> Hastes<L> {
    /// A reader follows, from wherever it is: until it has a watermark, all is waited for.
    pub(super) fn follow(&mut self, link: L, owner: Option<OwnerId>) {
        let is_awaited = self.readers.get(&link).is_none_or(|reader| reader.is_awaited);
        self.readers.insert(link, Reader { owner, is_awaited, ..Reader::NEW });
    }

    /// A reader says whether somebody waits for what it reads.
    pub(super) fn set_awaited(&mut self, link: L, is_awaited: bool) {
        // It may say so before it follows.
        let reader = self.readers.entry(link).or_insert(Reader::NEW);
        reader.is_awaited = is_awaited;
        if is_awaited {
            // Also the watermark of what was said before.
            reader.floor_wanted = reader.floor_wanted.max(reader.resolved);
        }
    }

    /// A reader says whether it has all feeds.
    pub(super) fn set_counts(&mut self, link: L, counts: bool) {
        self.readers.entry(link).or_insert(Reader::NEW).counts = counts;
    }

    /// Its link is gone.
    pub(super) fn remove(&mut self, link: L) {
        self.readers.remove(&link);
    }

    /// How long a message on a link may wait; `is_reserve_of` tells for whose segments others are quicker.
    pub(super) fn of(
        &mut self,
        link: L,
        message: &Message,
        is_reserve_of: impl Fn(OwnerId) -> bool,
    ) -> Haste {
        let Some(reader) = self.readers.get_mut(&link) else { return Haste::Now };
        match message {
            Message::Feed(FeedMessage::SegmentAccepted { acceptance }) => {
                let stamp = acceptance.challenger.stamp;
                if !reader.waits_for(acceptance.meta.id.owner) {
                    return if reader.is_behind { Haste::Now } else { Haste::Later };
                }
                reader.clock_wanted = reader.clock_wanted.max(stamp);
                Haste::Now
            }
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                let (owner, stamp) = (elected.meta.id.owner, elected.stamp());
                reader.resolved = reader.resolved.max(stamp);
                if !reader.waits_for(owner) {
                    return if reader.is_behind { Haste::Now } else { Haste::Later };
                }
                if (reader.counts || is_reserve_of(owner)) && !reader.is_behind {
                    reader.wanted_soon = reader.wanted_soon.max(stamp);
                    return Haste::Soon;
                }
                reader.floor_wanted = reader.floor_wanted.max(stamp);
                Haste::Now
            }
            Message::Feed(FeedMessage::Watermark { marks }) => {
                let was_behind = std::mem::take(&mut reader.is_behind);
                let told = std::mem::replace(&mut reader.told, *marks);
                let is_wanted =
                    told.clock < reader.clock_wanted || told.floor < reader.floor_wanted;
                if was_behind || is_wanted {
                    Haste::Now
                } else if told.floor < reader.wanted_soon {
                    Haste::Soon
                } else {
                    Haste::Later
                }
            }
            _ => Haste::Now,
        }
    }
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{Digest, GroupId, MapVersion, SegmentId, Seq, Shard};
    use vixen_core::segment::{Challenger, Elected, SegmentMeta};

    use super::*;

    const MINE: OwnerId = OwnerId(uuid::Uuid::from_u128(1));
    const THEIRS: OwnerId = OwnerId(uuid::Uuid::from_u128(2));

    fn resolved(owner: OwnerId, stamp: u64) -> Message {
        let meta = SegmentMeta {
            id: SegmentId { owner, seq: Seq(1) },
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 1,
            digest: Digest::of(&[]),
        };
        let challenger = Challenger { stamp: Stamp(stamp), group: GroupId(0) };
        let elected = Elected { meta, challenger };
        Message::Feed(FeedMessage::AdvanceSegmentResolved { elected })
    }

    const fn watermark(stamp: u64) -> Message {
        Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(stamp)) })
    }

    /// An entry and an ndb node that have followed and caught up, and wait for nothing.
    fn idle() -> Hastes<u8> {
        let mut hastes = Hastes::default();
        for (link, owner) in [(0, Some(MINE)), (1, None)] {
            hastes.follow(link, owner);
            assert_eq!(hastes.of(link, &resolved(THEIRS, 1), |_| true), Haste::Now, "behind");
            assert_eq!(hastes.of(link, &watermark(1), |_| true), Haste::Now, "and caught up");
            hastes.set_awaited(link, false);
        }
        hastes
    }

    #[test]
    fn an_entry_waits_for_its_own_segments_and_the_watermark_after_them() {
        let mut hastes = idle();
        assert_eq!(hastes.of(0, &resolved(THEIRS, 5), |_| false), Haste::Later);
        assert_eq!(hastes.of(0, &watermark(5), |_| false), Haste::Later);
        assert_eq!(hastes.of(0, &resolved(MINE, 9), |_| false), Haste::Now);
        assert_eq!(hastes.of(0, &watermark(7), |_| false), Haste::Now, "held by a draft");
        assert_eq!(
            hastes.of(0, &resolved(THEIRS, 8), |_| false),
            Haste::Later,
            "not in its own right"
        );
        assert_eq!(hastes.of(0, &watermark(9), |_| false), Haste::Now, "this is what it waits for");
        assert_eq!(hastes.of(0, &watermark(10), |_| false), Haste::Later);
    }

    #[test]
    fn what_others_of_the_majority_tell_at_once_comes_soon() {
        let mut hastes = idle();
        assert_eq!(hastes.of(0, &resolved(MINE, 9), |owner| owner == MINE), Haste::Soon);
        assert_eq!(hastes.of(0, &watermark(9), |_| true), Haste::Soon);
        assert_eq!(hastes.of(0, &watermark(10), |_| true), Haste::Later);
        assert_eq!(hastes.of(0, &resolved(MINE, 11), |_| false), Haste::Now, "one of them is gone");
        assert_eq!(hastes.of(0, &watermark(11), |_| false), Haste::Now);
    }

    #[test]
    fn a_reader_that_is_awaited_waits_for_all_and_so_does_one_that_has_said_nothing() {
        let mut hastes = idle();
        assert_eq!(hastes.of(1, &resolved(THEIRS, 5), |_| false), Haste::Later);
        hastes.set_awaited(1, true);
        assert_eq!(hastes.of(1, &resolved(THEIRS, 6), |_| false), Haste::Now);
        assert_eq!(hastes.of(1, &watermark(6), |_| false), Haste::Now);
        hastes.follow(2, None);
        assert_eq!(hastes.of(2, &watermark(6), |_| false), Haste::Now);
        assert_eq!(hastes.of(2, &resolved(THEIRS, 7), |_| false), Haste::Now);
        assert_eq!(hastes.of(2, &watermark(7), |_| false), Haste::Now);
        hastes.remove(1);
        assert_eq!(hastes.of(1, &watermark(8), |_| false), Haste::Now, "no reader");
    }

    #[test]
    fn who_begins_to_wait_waits_for_the_watermark_of_what_it_was_told_before() {
        let mut hastes = idle();
        assert_eq!(hastes.of(1, &resolved(THEIRS, 5), |_| false), Haste::Later);
        hastes.set_awaited(1, true);
        assert_eq!(hastes.of(1, &watermark(5), |_| false), Haste::Now);
    }

    #[test]
    fn a_reader_may_say_that_nobody_waits_before_it_follows() {
        let mut hastes = Hastes::default();
        hastes.set_awaited(0, false);
        hastes.follow(0, Some(MINE));
        assert_eq!(hastes.of(0, &watermark(1), |_| false), Haste::Now, "behind");
        assert_eq!(hastes.of(0, &resolved(THEIRS, 2), |_| false), Haste::Later);
        assert_eq!(hastes.of(0, &resolved(MINE, 3), |_| false), Haste::Now);
    }

    #[test]
    fn who_follows_anew_stays_as_awaited_as_it_was() {
        let mut hastes = idle();
        hastes.follow(1, None);
        assert_eq!(hastes.of(1, &resolved(THEIRS, 5), |_| true), Haste::Now, "behind");
        assert_eq!(hastes.of(1, &watermark(5), |_| true), Haste::Now);
        assert_eq!(hastes.of(1, &resolved(THEIRS, 6), |_| false), Haste::Later);
    }
}
