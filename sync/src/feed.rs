//! Feeds: what followers of this node are told of elections, and the watermark after them.
//!
//! A feed starts from the store at the follower's stamp, in bounded batches as its link drains.
//! What is elected meanwhile goes out at once, so a stamp below the reading point is not missed;
//! repeats are harmless. Watermarks begin when the store has been read to its end (rule 7: each
//! RESOLVED goes out before any watermark at or above its stamp).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::Stamp;
use vixen_core::name::NodeName;
use vixen_core::segment::Elected;
use vixen_core::wire::Message;
use vixen_runtime::link::{LinkId, LinkSender, Linked};

use crate::store::{Store, StoreError};

/// Rows read from the store for one follower at a time.
const BATCH: usize = 4_096;
/// No more is read for a follower whose link has this much waiting.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// How long elections that others tell at once wait for company.
const GATHER: Duration = Duration::from_millis(3);

struct Follower {
    name: NodeName,
    sender: LinkSender,
    /// The store is read up to here; `None` once it has been read to its end.
    reading: Option<Stamp>,
    told: Stamp,
}

/// All followers of this node.
pub(crate) struct Feeds {
    followers: BTreeMap<LinkId, Follower>,
    /// Elections not told yet, oldest first.
    untold: Vec<Elected>,
    untold_due: Option<Instant>,
    /// A watermark up to here is of use: nothing is known elected above it.
    elected_to: Stamp,
}

impl Feeds {
    /// No followers yet; all that was ever elected is at or below `elected_to`.
    pub(crate) const fn new(elected_to: Stamp) -> Self {
        Self { followers: BTreeMap::new(), untold: Vec::new(), untold_due: None, elected_to }
    }

    /// Starts a feed, or starts it again from another stamp. Where elections after that stamp are
    /// forgotten the reader is told, and must follow again from further on.
    pub(crate) fn follow(
        &mut self,
        link: LinkId,
        reader: &Linked,
        after: Stamp,
        trimmed_to: Stamp,
    ) {
        if after < trimmed_to {
            self.followers.remove(&link);
            let _down_follows = reader.sender.send(Message::FeedTrimmed { to: trimmed_to });
            return;
        }
        let (name, sender) = (reader.name.clone(), reader.sender.clone());
        let follower = Follower { name, sender, reading: Some(after), told: Stamp::ZERO };
        self.followers.insert(link, follower);
    }

    /// Ends all feeds: this node has learned that elections it does not know are settled up to
    /// `trimmed_to`, so its watermark would cover what it cannot tell (rule 7). Readers that are
    /// further on follow again at once.
    pub(crate) fn trim(&mut self, trimmed_to: Stamp) {
        for follower in std::mem::take(&mut self.followers).into_values() {
            let _down_follows = follower.sender.send(Message::FeedTrimmed { to: trimmed_to });
        }
    }

    pub(crate) fn remove(&mut self, link: LinkId) {
        self.followers.remove(&link);
    }

    pub(crate) fn len(&self) -> usize {
        self.followers.len()
    }

    /// Whether some follower has not read the store to its end: call `read_on` again soon.
    pub(crate) fn is_reading(&self) -> bool {
        self.followers.values().any(|follower| follower.reading.is_some())
    }

    /// Takes an election to tell all followers. Where this node was a reserve, others of the
    /// majority tell at once: then it waits a little for company, since a send costs the same for
    /// many.
    pub(crate) fn publish(&mut self, elected: Elected, is_urgent: bool, now: Instant) {
        self.elected_to = self.elected_to.max(elected.stamp());
        self.untold.push(elected);
        let due = if is_urgent { now } else { now + GATHER };
        self.untold_due = Some(self.untold_due.map_or(due, |before| before.min(due)));
    }

    /// When to call `tell`; `None` while nothing is untold.
    pub(crate) const fn due_at(&self) -> Option<Instant> {
        self.untold_due
    }

    /// Reads on in the store for followers with room; `unwritten` are elections not in it yet.
    pub(crate) fn read_on(
        &mut self,
        store: &Store,
        unwritten: impl Iterator<Item = Elected> + Clone,
    ) -> Result<(), StoreError> {
        let trimmed_to = store.trimmed_to();
        let is_overtaken =
            |follower: &Follower| follower.reading.is_some_and(|after| after < trimmed_to);
        self.followers.retain(|_, follower| {
            let overtaken = is_overtaken(follower);
            if overtaken {
                let _down_follows = follower.sender.send(Message::FeedTrimmed { to: trimmed_to });
            }
            !overtaken
        });
        for follower in self.followers.values_mut() {
            let Some(after) = follower.reading else { continue };
            if follower.sender.waiting_bytes() > WAITING_BYTES_MAX || follower.sender.is_closed() {
                continue;
            }
            let rows = store.elected_after(after, BATCH)?;
            follower.reading =
                (rows.len() == BATCH).then(|| rows.last().map(Elected::stamp)).flatten();
            let rest = unwritten.clone().filter(|_| follower.reading.is_none());
            for elected in rows.into_iter().chain(rest) {
                let _down_follows =
                    follower.sender.send(Message::AdvanceSegmentResolved { elected });
            }
        }
        Ok(())
    }

    /// Tells followers the elections that are due, and then the watermark to those that have read
    /// the store to its end. `watermark` must be of now: it covers elections that are not told yet.
    pub(crate) fn tell(&mut self, watermark: Option<Stamp>, now: Instant) {
        if self.untold_due.is_some_and(|due| due > now) {
            // A watermark must not go out before the elections it covers.
            return;
        }
        self.untold_due = None;
        for elected in self.untold.drain(..) {
            for follower in self.followers.values() {
                let _down_follows =
                    follower.sender.send(Message::AdvanceSegmentResolved { elected });
            }
        }
        let Some(stamp) = watermark else { return };
        for follower in self.followers.values_mut() {
            let is_of_use = follower.told < self.elected_to && stamp > follower.told;
            if follower.reading.is_none() && is_of_use {
                follower.told = stamp;
                let _down_follows = follower.sender.send(Message::Watermark { stamp });
            }
        }
    }

    /// For the status page.
    pub(crate) fn report(&self) -> Vec<serde_json::Value> {
        let line = |(link, follower): (&LinkId, &Follower)| {
            serde_json::json!({
                "link": link.to_string(),
                "reader": follower.name,
                "reading_from_store": follower.reading.is_some(),
                "told_watermark": follower.told.0,
                "waiting_bytes": follower.sender.waiting_bytes(),
            })
        };
        self.followers.iter().map(line).collect()
    }
}
