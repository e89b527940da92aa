//! A reader of feeds, as an entry or an ndb node is: links that break and resume.

use std::collections::{BTreeMap, VecDeque};

use vixen_common::frontier::{Learned, Placed, Placing};
use vixen_common::id::{Position, Stamp, SyncId};
use vixen_common::segment::Elected;

/// What a feed carries, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Resolved(Elected),
    Watermark(Stamp),
}

pub(crate) struct Reader {
    placing: Placing,
    feeds: BTreeMap<SyncId, VecDeque<Told>>,
    pub(crate) placed: Vec<Placed>,
}

impl Reader {
    pub(crate) fn new(nodes: usize) -> Self {
        Self {
            placing: Placing::new(nodes, Stamp::ZERO, Position::FIRST),
            feeds: BTreeMap::new(),
            placed: Vec::new(),
        }
    }

    pub(crate) fn follows(&self, node: SyncId) -> bool {
        self.feeds.contains_key(&node)
    }

    /// Where a new feed begins.
    pub(crate) fn resume(&self) -> Stamp {
        self.placing.frontier().delivered()
    }

    /// A new link: what the node sends first.
    pub(crate) fn open(&mut self, node: SyncId, begin: Vec<Elected>, watermark: Option<Stamp>) {
        let mut feed: VecDeque<_> = begin.into_iter().map(Told::Resolved).collect();
        feed.extend(watermark.map(Told::Watermark));
        self.feeds.insert(node, feed);
    }

    /// The link breaks; what was under way is lost.
    pub(crate) fn close(&mut self, node: SyncId) {
        self.feeds.remove(&node);
    }

    pub(crate) fn tell(&mut self, node: SyncId, told: Told) {
        if let Some(feed) = self.feeds.get_mut(&node) {
            feed.push_back(told);
        }
    }

    /// Reads some of a feed; places what is certain.
    pub(crate) fn read(&mut self, node: SyncId, count: usize) {
        let Some(feed) = self.feeds.get_mut(&node) else { return };
        for told in feed.drain(..count.min(feed.len())) {
            match told {
                Told::Resolved(elected) => {
                    let learned = self.placing.learn(elected);
                    assert_ne!(learned, Learned::Violation, "frontier passed {elected:?}");
                }
                Told::Watermark(stamp) => self.placing.raise(node, stamp),
            }
        }
        while let Some(placed) = self.placing.take_next() {
            self.placed.push(placed);
        }
    }
}
