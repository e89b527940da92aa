//! Haste: which words of a feed somebody waits for, and which may wait for company.
//!
//! A reader waits for what is of its own segments, and for all where somebody waits for what it reads
//! (`AwaitFeed`). It needs to be told what each node accepts, and the watermark after it; then it counts, and the election
//! comes later, or as soon as it says that it cannot count. One that has not all feeds (`CountElections`) needs one RESOLVED, and the watermarks of a quorum at or
//! above it: those of the owner's first quorum, while all of that is there. What others say of the same goes at their
//! leisure (`docs/design/026-fewer-frames.md`).
//!
//! ```text
//!   ACCEPTED at s, waited for             clock_wanted = s
//!   ... at a ballot                       floor_wanted = s as well: some node does not vote
//!   RESOLVED at s, waited for, no count   floor_wanted = s
//!   WATERMARK w                           now, while one of its marks is below what is wanted
//!   of a segment that nobody waits for    now, where its feed is held by it below what is wanted
//! ```
//! The last is where segments of two owners cross: what was told accepted holds the feed below its lowest draft until
//! it is known elected, and what is waited for may stand above.

use std::collections::BTreeMap;

use vixen_core::id::{Ballot, OwnerId, SegmentId, Stamp};
use vixen_core::wire::{FeedMessage, Marks, Message, VoteMessage};
use vixen_runtime::link::Haste;

/// How long a word to a sync node may wait; `gathers` tells whose votes of the fast round it waits for. The other nodes
/// only learn from them, most often with what the same node says next. A standing comes before what depends on it, and
/// goes with that.
pub(super) fn of_vote(message: &Message, gathers: impl Fn(OwnerId, Ballot) -> bool) -> Haste {
    match message {
        Message::Vote(VoteMessage::VoteFast { meta, ballot, .. })
            if !gathers(meta.id.owner, *ballot) =>
        {
            Haste::Next
        }
        Message::Vote(VoteMessage::SyncStanding { .. }) => Haste::Next,
        _ => Haste::Now,
    }
}

/// What is known of one reader.
#[derive(Debug)]
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
    /// The same, of elections that others tell at once.
    wanted_soon: Stamp,
    /// The last watermark.
    told: Marks,
    /// The highest that it was told elected.
    resolved: Stamp,
    /// What it was told accepted and not elected, of owners that it does not wait for: each holds its feed below this.
    holds: BTreeMap<SegmentId, Stamp>,
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
        holds: BTreeMap::new(),
    };
}

impl Reader {
    /// Whether somebody waits for the segments of an owner.
    fn waits_for(&self, owner: OwnerId) -> bool {
        self.is_awaited || self.owner.is_some_and(|entry| owner.is_of_entry(entry))
    }

    /// How long a word may wait of a segment that nobody waits for in its own right, and that holds the feed below
    /// `lowest`.
    fn of_others(&self, lowest: Stamp) -> Haste {
        if self.is_behind || lowest <= self.clock_wanted.max(self.floor_wanted) {
            Haste::Now
        } else if lowest <= self.wanted_soon {
            Haste::Soon
        } else {
            Haste::Later
        }
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
        let reader = self.readers.entry(link).or_insert(Reader::NEW);
        reader.counts = counts;
        if !counts {
            // Without a count it is floors that it goes by, also of what it was told before.
            reader.floor_wanted = reader.floor_wanted.max(reader.clock_wanted).max(reader.resolved);
        }
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
                let (segment, stamp) = (acceptance.meta.id, acceptance.challenger.stamp);
                if !reader.waits_for(segment.owner) {
                    let lowest = reader.holds.entry(segment).or_insert(acceptance.lowest);
                    *lowest = acceptance.lowest.min(*lowest);
                    let lowest = *lowest;
                    return reader.of_others(lowest);
                }
                reader.clock_wanted = reader.clock_wanted.max(stamp);
                if acceptance.ballot.is_some() {
                    reader.floor_wanted = reader.floor_wanted.max(stamp);
                }
                Haste::Now
            }
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                let (owner, stamp) = (elected.meta.id.owner, elected.stamp());
                reader.resolved = reader.resolved.max(stamp);
                let lowest = reader.holds.remove(&elected.meta.id).unwrap_or(stamp);
                if !reader.waits_for(owner) {
                    return reader.of_others(lowest);
                }
                if reader.counts && !reader.is_behind {
                    return Haste::Later;
                }
                if is_reserve_of(owner) && !reader.is_behind {
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
    use vixen_core::segment::{Acceptance, Challenger, Elected, SegmentMeta};

    use super::*;

    const MINE: OwnerId = OwnerId(uuid::Uuid::from_u128(1));
    const THEIRS: OwnerId = OwnerId(uuid::Uuid::from_u128(2));

    fn meta(owner: OwnerId) -> SegmentMeta {
        SegmentMeta {
            id: SegmentId { owner, seq: Seq(1) },
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 1,
            digest: Digest::of(&[]),
        }
    }

    const fn challenger(stamp: u64) -> Challenger {
        Challenger { stamp: Stamp(stamp), group: GroupId(0) }
    }

    fn accepted(owner: OwnerId, ballot: Option<Ballot>, stamp: u64, lowest: u64) -> Message {
        let (meta, challenger, lowest) = (meta(owner), challenger(stamp), Stamp(lowest));
        let acceptance = Acceptance { meta, ballot, challenger, lowest };
        Message::Feed(FeedMessage::SegmentAccepted { acceptance })
    }

    const fn marks(floor: u64, clock: u64) -> Message {
        let marks = Marks { floor: Stamp(floor), clock: Stamp(clock), since: Stamp::ZERO };
        Message::Feed(FeedMessage::Watermark { marks })
    }

    fn resolved(owner: OwnerId, stamp: u64) -> Message {
        let elected = Elected { meta: meta(owner), challenger: challenger(stamp) };
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
        assert_eq!(hastes.of(0, &resolved(THEIRS, 8), |_| false), Haste::Now, "what has held it");
        assert_eq!(hastes.of(0, &resolved(THEIRS, 10), |_| false), Haste::Later, "beyond it");
        assert_eq!(hastes.of(0, &watermark(9), |_| false), Haste::Now, "this is what it waits for");
        assert_eq!(hastes.of(0, &watermark(10), |_| false), Haste::Later);
    }

    #[test]
    fn a_vote_goes_now_to_the_node_that_gathers_them() {
        let (meta, challenger) = (meta(MINE), challenger(9));
        let vote = |ballot| Message::Vote(VoteMessage::VoteFast { meta, ballot, challenger });
        let leads_first = |owner, ballot| (owner, ballot) == (MINE, Ballot(0));
        assert_eq!(of_vote(&vote(Ballot(0)), leads_first), Haste::Now);
        assert_eq!(of_vote(&vote(Ballot(1)), leads_first), Haste::Next);
        let standing = Message::Vote(VoteMessage::SyncStanding { run: 1, commits: 1 });
        assert_eq!(of_vote(&standing, leads_first), Haste::Next);
        let proposal = Message::Vote(VoteMessage::ProposeFast { meta, challenger });
        assert_eq!(of_vote(&proposal, |_, _| false), Haste::Now);
    }

    #[test]
    fn who_counts_is_told_elections_later_and_with_all_else_when_it_cannot() {
        let mut hastes = idle();
        hastes.set_counts(0, true);
        assert_eq!(hastes.of(0, &accepted(MINE, None, 9, 9), |_| false), Haste::Now);
        assert_eq!(hastes.of(0, &marks(3, 9), |_| false), Haste::Now);
        assert_eq!(hastes.of(0, &resolved(MINE, 9), |_| false), Haste::Later);
        assert_eq!(hastes.of(0, &marks(4, 10), |_| false), Haste::Later);
        hastes.set_counts(0, false);
        assert_eq!(hastes.of(0, &watermark(10), |_| false), Haste::Now, "of what it was told");
        assert_eq!(hastes.of(0, &resolved(MINE, 11), |_| false), Haste::Now);
    }

    #[test]
    fn the_floor_is_waited_for_where_a_node_does_not_vote() {
        let mut hastes = idle();
        hastes.set_counts(0, true);
        assert_eq!(hastes.of(0, &accepted(MINE, None, 9, 9), |_| true), Haste::Now);
        assert_eq!(hastes.of(0, &marks(3, 9), |_| true), Haste::Now, "its clock");
        assert_eq!(hastes.of(0, &marks(4, 10), |_| true), Haste::Later, "which it has");
        let again = accepted(MINE, Some(Ballot(0)), 9, 9);
        assert_eq!(hastes.of(0, &again, |_| true), Haste::Now);
        assert_eq!(hastes.of(0, &marks(9, 10), |_| true), Haste::Now, "its floor, not 20 ms later");
        assert_eq!(hastes.of(0, &marks(10, 11), |_| true), Haste::Later);
    }

    #[test]
    fn what_holds_a_feed_below_what_is_waited_for_does_not_wait() {
        let theirs = || accepted(THEIRS, None, 8, 5);
        for counts in [true, false] {
            let mut hastes = idle();
            hastes.set_counts(0, counts);
            assert_eq!(hastes.of(0, &theirs(), |_| true), Haste::Later, "nobody waits yet");
            assert_eq!(hastes.of(0, &accepted(MINE, None, 6, 6), |_| true), Haste::Now);
            // Also from a draft below, whatever the stamp is.
            assert_eq!(hastes.of(0, &resolved(THEIRS, 8), |_| true), Haste::Now);
            assert_eq!(hastes.of(0, &theirs(), |_| true), Haste::Now, "of a node that is later");
            assert_eq!(
                hastes.of(0, &accepted(THEIRS, None, 9, 9), |_| true),
                Haste::Now,
                "as before"
            );
            assert_eq!(hastes.of(0, &resolved(THEIRS, 9), |_| true), Haste::Now);
            assert_eq!(hastes.of(0, &accepted(THEIRS, None, 10, 10), |_| true), Haste::Later);
            assert_eq!(
                hastes.of(0, &resolved(THEIRS, 10), |_| true),
                Haste::Later,
                "not held by it"
            );
        }
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
