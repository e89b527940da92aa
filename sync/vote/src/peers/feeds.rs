//! Feeds: what followers of this node are told of what it accepts and of elections, and the watermark after them.
//!
//! A feed starts from the store at the follower's stamp, in bounded batches as its link drains.
//! What is accepted and elected meanwhile goes out at once, so a stamp below the reading point is not missed;
//! repeats are harmless. Watermarks begin when the store has been read to its end, and what is accepted and pending has
//! been told (rule 7: each RESOLVED goes out before any watermark at or above its stamp, and what was not told accepted
//! holds the watermark).
//!
//! Invariant:
//! - V3: the watermark that is told never falls.

use std::collections::BTreeMap;

use vixen_core::id::Stamp;
use vixen_core::segment::{Acceptance, Elected};
use vixen_core::wire::{FeedMessage, Marks, Message};

use super::{BATCH, Elections, Outbox};

#[derive(Clone, Copy, Debug)]
struct Follower {
    /// The store is read up to here; `None` once it has been read to its end.
    reading: Option<Stamp>,
    /// The last watermark.
    told: Option<Marks>,
}

/// One feed, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedReport<L> {
    /// Its link.
    pub link: L,
    /// It is being told what is in the store.
    pub is_reading: bool,
    /// The floor of the last watermark that it was told.
    pub told: Stamp,
}

/// All followers of this node.
#[derive(Debug)]
pub struct Feeds<L> {
    followers: BTreeMap<L, Follower>,
    /// What is not told yet, oldest first.
    untold: Vec<FeedMessage>,
    /// A floor up to here is of use: nothing is known elected, or accepted at a ballot, above it.
    elected_to: Stamp,
    /// A clock up to here is of use: nothing is known accepted or elected above it.
    accepted_to: Stamp,
    /// The last watermark.
    told: Option<Marks>,
}

impl<L: Copy + Ord> Feeds<L> {
    /// No followers yet; all that was ever elected is at or below `elected_to`.
    #[must_use]
    pub const fn new(elected_to: Stamp) -> Self {
        let followers = BTreeMap::new();
        Self { followers, untold: Vec::new(), elected_to, accepted_to: elected_to, told: None }
    }

    /// Starts a feed, or starts it again from another stamp. Where elections after that stamp are
    /// forgotten the reader is told, and must follow again from further on.
    pub fn follow(&mut self, link: L, after: Stamp, trimmed_to: Stamp, out: &mut Outbox<L>) {
        if after < trimmed_to {
            self.followers.remove(&link);
            out.push((link, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to })));
            return;
        }
        self.followers.insert(link, Follower { reading: Some(after), told: None });
    }

    /// Ends all feeds: this node has learned that elections it does not know are settled up to
    /// `trimmed_to`, so its watermark would cover what it cannot tell (rule 7). Readers that are
    /// further on follow again at once.
    pub fn trim(&mut self, trimmed_to: Stamp, out: &mut Outbox<L>) {
        for (link, _) in std::mem::take(&mut self.followers) {
            out.push((link, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to })));
        }
    }

    /// The link is gone.
    pub fn remove(&mut self, link: L) {
        self.followers.remove(&link);
    }

    /// How many follow.
    #[must_use]
    pub fn followers(&self) -> usize {
        self.followers.len()
    }

    /// Whether some follower has not read the store to its end: call `read_on` again soon.
    #[must_use]
    pub fn is_reading(&self) -> bool {
        self.followers.values().any(|follower| follower.reading.is_some())
    }

    /// Takes what this node has accepted, to tell all followers.
    pub fn accept(&mut self, acceptance: Acceptance) {
        let stamp = acceptance.challenger.stamp;
        self.accepted_to = self.accepted_to.max(stamp);
        if acceptance.ballot.is_some() {
            // It is in the floor, by which readers pass it where some node does not vote.
            self.elected_to = self.elected_to.max(stamp);
        }
        self.untold.push(FeedMessage::SegmentAccepted { acceptance });
    }

    /// Takes an election to tell all followers. What this node has accepted for the segment was taken before.
    pub fn publish(&mut self, elected: Elected) {
        self.elected_to = self.elected_to.max(elected.stamp());
        self.accepted_to = self.accepted_to.max(self.elected_to);
        self.untold.push(FeedMessage::AdvanceSegmentResolved { elected });
    }

    /// Reads on in the store for followers whose links have room; `unwritten` are elections not in it
    /// yet, and those up to `trimmed_to` are forgotten.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read_on<S: Elections>(
        &mut self,
        store: &S,
        trimmed_to: Stamp,
        unwritten: impl Iterator<Item = Elected> + Clone,
        has_room: impl Fn(L) -> bool,
        out: &mut Outbox<L>,
    ) -> Result<(), S::Error> {
        self.followers.retain(|link, follower| {
            let is_overtaken = follower.reading.is_some_and(|after| after < trimmed_to);
            if is_overtaken {
                out.push((*link, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to })));
            }
            !is_overtaken
        });
        for (link, follower) in &mut self.followers {
            let Some(after) = follower.reading.filter(|_| has_room(*link)) else { continue };
            let rows = store.elected_after(after, BATCH)?;
            follower.reading =
                (rows.len() == BATCH).then(|| rows.last().map(Elected::stamp)).flatten();
            let rest = unwritten.clone().filter(|_| follower.reading.is_none());
            let resolved =
                |elected| (*link, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }));
            out.extend(rows.into_iter().chain(rest).map(resolved));
        }
        Ok(())
    }

    /// Tells followers what is not told yet, and then the watermark to those that have read the store to its end; before
    /// the first one on a feed all that is `accepted`: what feeds were told before it began, and is pending. `watermark`
    /// must be of now: it covers what is not told yet.
    pub fn tell<A: Iterator<Item = Acceptance>>(
        &mut self,
        watermark: Option<Marks>,
        accepted: impl Fn() -> A,
        out: &mut Outbox<L>,
    ) {
        for word in self.untold.drain(..) {
            let links = self.followers.keys();
            out.extend(links.map(|link| (*link, Message::Feed(word.clone()))));
        }
        let Some(marks) = watermark else { return };
        if let Some(told) = self.told.replace(marks) {
            let has_fallen = marks.floor < told.floor || marks.clock < told.clock;
            assert!(!has_fallen, "V3: the watermark never falls");
        }
        for (link, follower) in &mut self.followers {
            let is_of_use = follower.told.is_none_or(|told| {
                let is_floor = told.floor < self.elected_to && marks.floor > told.floor;
                is_floor || (told.clock < self.accepted_to && marks.clock > told.clock)
            });
            if follower.reading.is_some() || !is_of_use {
                continue;
            }
            if follower.told.replace(marks).is_none() {
                out.extend(accepted().map(|acceptance| {
                    (*link, Message::Feed(FeedMessage::SegmentAccepted { acceptance }))
                }));
            }
            out.push((*link, Message::Feed(FeedMessage::Watermark { marks })));
        }
    }

    /// The floor of the last watermark.
    #[must_use]
    pub fn told(&self) -> Stamp {
        self.told.map_or(Stamp::ZERO, |marks| marks.floor)
    }

    /// For people.
    pub fn report(&self) -> impl Iterator<Item = FeedReport<L>> {
        self.followers.iter().map(|(link, follower)| FeedReport {
            link: *link,
            is_reading: follower.reading.is_some(),
            told: follower.told.map_or(Stamp::ZERO, |marks| marks.floor),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use vixen_core::id::{Ballot, GroupId, OwnerId, Seq};
    use vixen_core::segment::Challenger;

    /// A store of these elections, by stamp.
    struct Stored(Vec<Elected>);

    impl Elections for Stored {
        type Error = std::convert::Infallible;

        fn elected_after(&self, after: Stamp, limit: usize) -> Result<Vec<Elected>, Self::Error> {
            Ok(self.0.iter().filter(|e| e.stamp() > after).take(limit).copied().collect())
        }

        fn elected_of(&self, _: OwnerId, _: Seq, _: usize) -> Result<Vec<Elected>, Self::Error> {
            Ok(Vec::new())
        }
    }

    fn elected(seq: u64) -> Elected {
        let challenger = Challenger { stamp: Stamp(seq * 10), group: GroupId(0) };
        Elected { meta: meta(1, seq), challenger }
    }

    fn resolved(seq: u64) -> (u8, Message) {
        (1, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: elected(seq) }))
    }

    const fn watermark(stamp: u64) -> (u8, Message) {
        (1, Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(stamp)) }))
    }

    fn acceptance(seq: u64) -> Acceptance {
        let Elected { meta, challenger } = elected(seq);
        Acceptance { meta, ballot: None, challenger, lowest: challenger.stamp }
    }

    fn accepted(seq: u64) -> (u8, Message) {
        let acceptance = acceptance(seq);
        (1, Message::Feed(FeedMessage::SegmentAccepted { acceptance }))
    }

    fn tell(feeds: &mut Feeds<u8>, stamp: u64, out: &mut Outbox<u8>) {
        feeds.tell(Some(Marks::at(Stamp(stamp))), std::iter::empty, out);
    }

    #[test]
    fn a_feed_begins_with_the_store_and_its_watermark_comes_last() {
        let (mut feeds, mut out) = (Feeds::new(Stamp(20)), Vec::new());
        feeds.follow(1, Stamp(10), Stamp::ZERO, &mut out);
        feeds.publish(elected(3));
        tell(&mut feeds, 35, &mut out);
        assert_eq!(out, [resolved(3)], "no watermark before the store is read");
        let stored = Stored(vec![elected(1), elected(2)]);
        let unwritten = [elected(3)].into_iter();
        let Ok(()) = feeds.read_on(&stored, Stamp::ZERO, unwritten, |_| true, &mut out);
        tell(&mut feeds, 36, &mut out);
        assert_eq!(out[1..], [resolved(2), resolved(3), watermark(36)]);
    }

    #[test]
    fn a_new_feed_tells_what_is_accepted_and_pending_before_its_first_watermark() {
        let (mut feeds, mut out) = (Feeds::new(Stamp::ZERO), Vec::new());
        feeds.accept(acceptance(1));
        tell(&mut feeds, 15, &mut out);
        assert_eq!(out, [], "nobody follows");
        feeds.follow(1, Stamp::ZERO, Stamp::ZERO, &mut out);
        feeds.accept(acceptance(2));
        let pending = || [acceptance(1), acceptance(2)].into_iter();
        feeds.tell(Some(Marks::at(Stamp(25))), pending, &mut out);
        let stored = Stored(Vec::new());
        let Ok(()) = feeds.read_on(&stored, Stamp::ZERO, std::iter::empty(), |_| true, &mut out);
        feeds.tell(None, pending, &mut out);
        feeds.tell(Some(Marks::at(Stamp(25))), pending, &mut out);
        feeds.tell(Some(Marks::at(Stamp(26))), pending, &mut out);
        assert_eq!(out, [accepted(2), accepted(1), accepted(2), watermark(25)], "once");
    }

    #[test]
    fn a_clock_is_of_use_for_what_is_accepted_and_a_floor_for_what_is_elected() {
        let (mut feeds, mut out) = (Feeds::new(Stamp::ZERO), Vec::new());
        feeds.follow(1, Stamp::ZERO, Stamp::ZERO, &mut out);
        let stored = Stored(Vec::new());
        let Ok(()) = feeds.read_on(&stored, Stamp::ZERO, std::iter::empty(), |_| true, &mut out);
        tell(&mut feeds, 0, &mut out);
        let marks =
            |floor, clock| Marks { floor: Stamp(floor), clock: Stamp(clock), since: Stamp::ZERO };
        let told = |out: &mut Outbox<u8>| std::mem::take(out).pop().map(|(_, message)| message);
        let watermark = |marks| Some(Message::Feed(FeedMessage::Watermark { marks }));
        assert_eq!(told(&mut out), watermark(marks(0, 0)));
        feeds.accept(acceptance(1));
        feeds.tell(Some(marks(5, 10)), std::iter::empty, &mut out);
        assert_eq!(told(&mut out), watermark(marks(5, 10)));
        feeds.tell(Some(marks(6, 12)), std::iter::empty, &mut out);
        assert_eq!(told(&mut out), None, "nothing is elected, and nothing accepted above");
        feeds.publish(elected(1));
        feeds.tell(Some(marks(10, 12)), std::iter::empty, &mut out);
        assert_eq!(told(&mut out), watermark(marks(10, 12)));
    }

    #[test]
    fn a_floor_is_told_with_what_is_accepted_at_a_ballot() {
        let (mut feeds, mut out) = (Feeds::new(Stamp::ZERO), Vec::new());
        feeds.follow(1, Stamp::ZERO, Stamp::ZERO, &mut out);
        let stored = Stored(Vec::new());
        let Ok(()) = feeds.read_on(&stored, Stamp::ZERO, std::iter::empty(), |_| true, &mut out);
        tell(&mut feeds, 0, &mut out);
        let marks = |floor| Marks { floor: Stamp(floor), clock: Stamp(10), since: Stamp::ZERO };
        let mut told = |feeds: &mut Feeds<u8>, floor| {
            feeds.tell(Some(marks(floor)), std::iter::empty, &mut out);
            std::mem::take(&mut out).pop()
        };
        feeds.accept(acceptance(1));
        let watermark =
            |floor| Some((1, Message::Feed(FeedMessage::Watermark { marks: marks(floor) })));
        assert_eq!(told(&mut feeds, 5), watermark(5), "for its clock");
        feeds.accept(Acceptance { ballot: Some(Ballot(0)), ..acceptance(1) });
        assert_eq!(told(&mut feeds, 10), watermark(10), "the same value, and now in the floor");
    }

    #[test]
    fn who_is_behind_what_is_remembered_is_told_so() {
        let (mut feeds, mut out) = (Feeds::new(Stamp::ZERO), Vec::new());
        feeds.follow(1, Stamp(5), Stamp(6), &mut out);
        assert_eq!(out, [(1, Message::Feed(FeedMessage::FeedTrimmed { to: Stamp(6) }))]);
        assert_eq!(feeds.followers(), 0);
    }

    #[test]
    #[should_panic(expected = "V3")]
    fn a_watermark_does_not_fall() {
        let (mut feeds, mut out) = (Feeds::<u8>::new(Stamp::ZERO), Vec::new());
        tell(&mut feeds, 9, &mut out);
        tell(&mut feeds, 8, &mut out);
    }
}
