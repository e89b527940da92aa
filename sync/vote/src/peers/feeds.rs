//! Feeds: what followers of this node are told of elections, and the watermark after them.
//!
//! A feed starts from the store at the follower's stamp, in bounded batches as its link drains.
//! What is elected meanwhile goes out at once, so a stamp below the reading point is not missed;
//! repeats are harmless. Watermarks begin when the store has been read to its end (rule 7: each
//! RESOLVED goes out before any watermark at or above its stamp).
//!
//! Invariant:
//! - V3: the watermark that is told never falls.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::id::Stamp;
use vixen_core::segment::Elected;
use vixen_core::wire::{FeedMessage, Message};

use super::{BATCH, Elections, Outbox};

/// How long elections that others tell at once wait for company.
const GATHER: Duration = Duration::from_millis(3);

#[derive(Clone, Copy, Debug)]
struct Follower {
    /// The store is read up to here; `None` once it has been read to its end.
    reading: Option<Stamp>,
    told: Stamp,
}

/// One feed, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedReport<L> {
    /// Its link.
    pub link: L,
    /// It is being told what is in the store.
    pub is_reading: bool,
    /// The last watermark that it was told.
    pub told: Stamp,
}

/// All followers of this node.
#[derive(Debug)]
pub struct Feeds<L> {
    followers: BTreeMap<L, Follower>,
    /// Elections not told yet, oldest first.
    untold: Vec<Elected>,
    untold_due: Option<Instant>,
    /// A watermark up to here is of use: nothing is known elected above it.
    elected_to: Stamp,
    /// The last watermark.
    told: Stamp,
}

impl<L: Copy + Ord> Feeds<L> {
    /// No followers yet; all that was ever elected is at or below `elected_to`.
    #[must_use]
    pub const fn new(elected_to: Stamp) -> Self {
        let told = Stamp::ZERO;
        Self { followers: BTreeMap::new(), untold: Vec::new(), untold_due: None, elected_to, told }
    }

    /// Starts a feed, or starts it again from another stamp. Where elections after that stamp are
    /// forgotten the reader is told, and must follow again from further on.
    pub fn follow(&mut self, link: L, after: Stamp, trimmed_to: Stamp, out: &mut Outbox<L>) {
        if after < trimmed_to {
            self.followers.remove(&link);
            out.push((link, Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to })));
            return;
        }
        self.followers.insert(link, Follower { reading: Some(after), told: Stamp::ZERO });
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

    /// Takes an election to tell all followers. Where this node was a reserve, others of the
    /// majority tell at once: then it waits a little for company, since a send costs the same for
    /// many.
    pub fn publish(&mut self, elected: Elected, is_urgent: bool, now: Instant) {
        self.elected_to = self.elected_to.max(elected.stamp());
        self.untold.push(elected);
        let due = if is_urgent { now } else { now + GATHER };
        self.untold_due = Some(self.untold_due.map_or(due, |before| before.min(due)));
    }

    /// When to call `tell`; `None` while nothing is untold.
    #[must_use]
    pub const fn due_at(&self) -> Option<Instant> {
        self.untold_due
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

    /// Tells followers the elections that are due, and then the watermark to those that have read
    /// the store to its end. `watermark` must be of now: it covers elections that are not told yet.
    pub fn tell(&mut self, watermark: Option<Stamp>, now: Instant, out: &mut Outbox<L>) {
        if let Some(watermark) = watermark {
            assert!(watermark >= self.told, "V3: the watermark never falls");
            self.told = watermark;
        }
        if self.untold_due.is_some_and(|due| due > now) {
            // A watermark must not go out before the elections it covers.
            return;
        }
        self.untold_due = None;
        for elected in self.untold.drain(..) {
            let links = self.followers.keys();
            out.extend(links.map(|link| {
                (*link, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }))
            }));
        }
        let Some(stamp) = watermark else { return };
        for (link, follower) in &mut self.followers {
            let is_of_use = follower.told < self.elected_to && stamp > follower.told;
            if follower.reading.is_none() && is_of_use {
                follower.told = stamp;
                out.push((*link, Message::Feed(FeedMessage::Watermark { stamp })));
            }
        }
    }

    /// The last watermark.
    #[must_use]
    pub const fn told(&self) -> Stamp {
        self.told
    }

    /// For people.
    pub fn report(&self) -> impl Iterator<Item = FeedReport<L>> {
        self.followers.iter().map(|(link, follower)| FeedReport {
            link: *link,
            is_reading: follower.reading.is_some(),
            told: follower.told,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::orderer::tests::meta;
    use vixen_core::id::{GroupId, OwnerId, Seq};
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
        (1, Message::Feed(FeedMessage::Watermark { stamp: Stamp(stamp) }))
    }

    #[test]
    fn a_feed_begins_with_the_store_and_its_watermark_comes_last() {
        let (mut feeds, now, mut out) = (Feeds::new(Stamp(20)), Instant::now(), Vec::new());
        feeds.follow(1, Stamp(10), Stamp::ZERO, &mut out);
        feeds.publish(elected(3), true, now);
        feeds.tell(Some(Stamp(35)), now, &mut out);
        assert_eq!(out, [resolved(3)], "no watermark before the store is read");
        let stored = Stored(vec![elected(1), elected(2)]);
        let unwritten = [elected(3)].into_iter();
        let Ok(()) = feeds.read_on(&stored, Stamp::ZERO, unwritten, |_| true, &mut out);
        feeds.tell(Some(Stamp(36)), now, &mut out);
        assert_eq!(out[1..], [resolved(2), resolved(3), watermark(36)]);
    }

    #[test]
    fn no_watermark_overtakes_an_election_that_waits_for_company() {
        let (mut feeds, now, mut out) = (Feeds::new(Stamp::ZERO), Instant::now(), Vec::new());
        feeds.follow(1, Stamp::ZERO, Stamp::ZERO, &mut out);
        let Ok(()) =
            feeds.read_on(&Stored(Vec::new()), Stamp::ZERO, std::iter::empty(), |_| true, &mut out);
        feeds.publish(elected(1), false, now);
        feeds.tell(Some(Stamp(15)), now, &mut out);
        assert!(out.is_empty());
        feeds.tell(Some(Stamp(15)), now + GATHER, &mut out);
        assert_eq!(out, [resolved(1), watermark(15)]);
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
        let (mut feeds, now, mut out) = (Feeds::<u8>::new(Stamp::ZERO), Instant::now(), Vec::new());
        feeds.tell(Some(Stamp(9)), now, &mut out);
        feeds.tell(Some(Stamp(8)), now, &mut out);
    }
}
