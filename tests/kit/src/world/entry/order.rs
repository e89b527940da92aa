//! The order as an entry of the World reads it.

use vixen_broker::delivery::{self, Slot};
use vixen_broker::segmenter;
use vixen_core::id::{Position, Stamp};
use vixen_core::order::{self, Placed, Reader};
use vixen_core::wire::{FeedMessage, Message, ReplicaMessage};

use super::{Effects, Turn};
use crate::world::io::{Counted, Fact, Name};
use crate::world::mutant::Mutant;
use crate::world::note_order;

impl Turn<'_> {
    /// The first tail tells where the order stands: from there on it is read.
    pub(super) fn begin(&mut self, after: Stamp, next: Position, fx: &mut Effects) {
        if self.process.reader.is_some() {
            return;
        }
        let rules = Mutant::reads(self.mutant);
        self.process.reader = Some(Reader::with_rules(rules, self.membership, after, next));
        let feeds = self.process.sync.iter().map(|feed| order::Input::FeedUp { feed: *feed });
        let ndb = self.process.ndb.iter();
        let peers = ndb.clone().map(|(peer, _)| order::Input::PeerUp { peer: *peer });
        let silent = ndb.filter(|(_, is_silent)| **is_silent);
        let silent =
            silent.map(|(peer, _)| order::Input::PeerSilent { peer: *peer, is_silent: true });
        for input in feeds.chain(peers).chain(silent).collect::<Vec<_>>() {
            self.read_order(input, fx);
        }
    }

    /// Before the base is known there is nothing to read.
    pub(super) fn read_order(&mut self, input: order::Input, fx: &mut Effects) {
        if let Some(reader) = &mut self.process.reader {
            reader.step(input, self.now.instant, &mut fx.order);
        }
    }

    pub(super) fn settle_order(&mut self, fx: &mut Effects) {
        self.read_order(order::Input::Tick { takes_rows: true }, fx);
        let read = std::mem::take(&mut fx.order);
        let learned = read.learned.iter().map(|elected| elected.stamp()).max();
        self.process.learned_to = self.process.learned_to.max(learned.unwrap_or_default());
        for (feed, after) in read.follows {
            let after = match self.mutant {
                Some(Mutant::FollowsFromAhead) => after.max(self.process.learned_to),
                _ => after,
            };
            self.out.send(Name::Sync(feed), Message::Feed(FeedMessage::FollowFeed { after }));
        }
        for (feed, is_able) in read.counts {
            let count = FeedMessage::CountElections { is_able };
            self.out.send(Name::Sync(feed), Message::Feed(count));
        }
        for (peer, from) in read.fetches {
            self.out.send(Name::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from }));
        }
        note_order(&read.notes, self.out);
        if read.left_behind.is_some() {
            // What became of this entry's messages cannot be told any more.
            self.out.count(Counted::LeftBehind);
            self.out.ends = true;
        }
        self.on_placed(read.placed, fx);
    }

    pub(super) fn on_placed(&mut self, placed: Vec<Placed>, fx: &mut Effects) {
        if placed.is_empty() {
            return;
        }
        let slots = placed.iter().map(|placed| Slot {
            first: placed.first,
            count: placed.elected.meta.count,
            group: placed.elected.challenger.group,
        });
        let slots = slots.collect();
        for placed in placed {
            self.out.facts.push(Fact::Placed(placed));
            let segment = placed.elected.meta.id;
            if segment.owner == self.process.segmenter.owner() {
                let (first, stamp) = (placed.first, placed.elected.stamp());
                self.segmenter(segmenter::Input::Placed { segment, first, stamp }, fx);
            }
        }
        self.delivery(delivery::Input::Placed { slots }, fx);
    }
}
