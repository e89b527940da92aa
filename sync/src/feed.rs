//! Feeds: what followers of this node are told of elections, and the watermark after them.
//!
//! A feed starts from the store at the follower's stamp, in bounded batches as its link drains.
//! What is elected meanwhile goes out at once, so a stamp below the reading point is not missed;
//! repeats are harmless. Watermarks begin when the store has been read to its end (rule 7: each
//! RESOLVED goes out before any watermark at or above its stamp).

use std::collections::BTreeMap;

use vixen_common::id::Stamp;
use vixen_common::link::{LinkId, LinkSender};
use vixen_common::segment::Elected;
use vixen_common::wire::{Message, PeerId};

use crate::store::{Store, StoreError};

/// Rows read from the store for one follower at a time.
const BATCH: usize = 4_096;
/// No more is read for a follower whose link has this much waiting.
const WAITING_BYTES_MAX: usize = 1 << 20;

struct Follower {
    peer: PeerId,
    sender: LinkSender,
    /// The store is read up to here; `None` once it has been read to its end.
    reading: Option<Stamp>,
    told: Stamp,
}

/// All followers of this node.
#[derive(Default)]
pub(crate) struct Feeds {
    followers: BTreeMap<LinkId, Follower>,
}

impl Feeds {
    /// Starts a feed, or starts it again from another stamp.
    pub(crate) fn follow(&mut self, link: LinkId, peer: PeerId, sender: LinkSender, after: Stamp) {
        let follower = Follower { peer, sender, reading: Some(after), told: Stamp::ZERO };
        self.followers.insert(link, follower);
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

    /// Tells all followers of new elections.
    pub(crate) fn publish(&self, elected: Elected) {
        for follower in self.followers.values() {
            let _down_follows = follower.sender.send(Message::AdvanceSegmentResolved { elected });
        }
    }

    /// Reads on in the store for followers with room; `unwritten` are elections not in it yet.
    pub(crate) fn read_on(
        &mut self,
        store: &Store,
        unwritten: impl Iterator<Item = Elected> + Clone,
    ) -> Result<(), StoreError> {
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

    /// Tells the watermark to all followers that have read the store to its end.
    pub(crate) fn tell(&mut self, watermark: Stamp) {
        for follower in self.followers.values_mut() {
            if follower.reading.is_none() && watermark > follower.told {
                follower.told = watermark;
                let _down_follows = follower.sender.send(Message::Watermark { stamp: watermark });
            }
        }
    }

    /// For the status page.
    pub(crate) fn report(&self) -> Vec<serde_json::Value> {
        let line = |(link, follower): (&LinkId, &Follower)| {
            serde_json::json!({
                "link": link.to_string(),
                "reader": follower.peer.to_string(),
                "reading_from_store": follower.reading.is_some(),
                "told_watermark": follower.told.0,
                "waiting_bytes": follower.sender.waiting_bytes(),
            })
        };
        self.followers.iter().map(line).collect()
    }
}
