//! A reader of feeds, as an entry or an ndb node is: links that break and resume, and feeds that
//! are trimmed.

use std::collections::{BTreeMap, VecDeque};

use vixen_core::id::{Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{Learned, Placed, Sequencer};
use vixen_core::segment::Elected;

/// What a feed carries, in order.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Told {
    Resolved(Elected),
    Watermark(Stamp),
}

pub(crate) struct Reader {
    placing: Sequencer,
    feeds: BTreeMap<SyncId, VecDeque<Told>>,
    pub(crate) placed: Vec<Placed>,
}

impl Reader {
    pub(crate) fn new(membership: &Membership) -> Self {
        Self {
            placing: Sequencer::new(membership, Stamp::ZERO, Position::FIRST),
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

    /// Everything up to there is placed here.
    pub(crate) fn passed(&self) -> Stamp {
        self.resume().max(self.placing.frontier().sigma())
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

    pub(crate) fn has_news(&self, node: SyncId) -> bool {
        self.feeds.get(&node).is_some_and(|feed| !feed.is_empty())
    }

    /// Takes the order from a node that has placed more.
    pub(crate) fn take_rows(&mut self, rows: &[Placed]) {
        for row in rows.iter().skip(self.placed.len()) {
            let taken = self.placing.take_row(row.first, row.elected);
            self.placed.push(taken.expect("rows are next to each other"));
        }
        self.place();
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
        self.place();
    }

    fn place(&mut self) {
        while let Some(placed) = self.placing.take_next() {
            self.placed.push(placed);
        }
    }
}
