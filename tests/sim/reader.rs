//! A reader of the order, as an entry or an ndb node is: the shipped [`order::Reader`] behind links that
//! break and fall silent.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use vixen_core::id::{GroupId, NdbId, Position, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{self, Effects, Input, Note, Placed};
use vixen_core::segment::Elected;

/// A link to a sync node.
#[derive(Default)]
struct Feed {
    /// What is under way, in order.
    told: VecDeque<Input>,
    /// Whether the node tells what is new.
    is_followed: bool,
}

/// A link to another reader, which has its order on disk as an ndb node has.
#[derive(Default)]
struct Peer {
    /// Answers under way, by when they arrive.
    answers: BTreeMap<u64, Input>,
    is_silent: bool,
}

pub(crate) struct Reader {
    reader: order::Reader,
    feeds: BTreeMap<SyncId, Feed>,
    peers: BTreeMap<NdbId, Peer>,
    pub(crate) placed: Vec<Placed>,
    /// Segments that were placed by rows of another reader.
    pub(crate) by_rows: u64,
}

/// What a step asks for: feeds to begin after a stamp, and rows from a position on.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) follows: Vec<(SyncId, Stamp)>,
    pub(crate) fetches: Vec<(NdbId, Position)>,
}

impl Reader {
    pub(crate) fn new(membership: &Membership) -> Self {
        Self {
            reader: order::Reader::new(membership, Stamp::ZERO, Position::FIRST),
            feeds: BTreeMap::new(),
            peers: BTreeMap::new(),
            placed: Vec::new(),
            by_rows: 0,
        }
    }

    pub(crate) fn step(&mut self, input: Input, now: Instant) -> Wishes {
        let mut fx = Effects::default();
        self.reader.step(input, now, &mut fx);
        let Effects { learned: _, placed, follows, fetches, left_behind, notes } = fx;
        assert_eq!(left_behind, None, "nobody drops the order");
        for note in notes {
            match note {
                Note::Contradicts { from, elected } => {
                    panic!("frontier passed {elected:?}, which {from:?} tells of")
                }
                Note::BaseContradicts { .. } => panic!("nobody drops the order: {note:?}"),
                Note::RowsTaken { segments, .. } => self.by_rows += segments as u64,
                Note::FeedTrimmed { .. } | Note::FeedResumed { .. } => {}
            }
        }
        self.placed.extend(placed);
        Wishes { follows, fetches }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.reader.due_at().is_some_and(|at| at <= now)
    }

    /// Stamp of the last segment placed.
    pub(crate) const fn delivered(&self) -> Stamp {
        self.reader.delivered()
    }

    /// Everything up to there is placed here.
    pub(crate) const fn passed(&self) -> Stamp {
        self.reader.frontier().sigma()
    }

    pub(crate) fn is_linked(&self, node: SyncId) -> bool {
        self.feeds.contains_key(&node)
    }

    pub(crate) fn link(&mut self, node: SyncId) {
        self.feeds.insert(node, Feed::default());
    }

    /// The link breaks; what was under way is lost. Whether there was one.
    pub(crate) fn unlink(&mut self, node: SyncId) -> bool {
        self.feeds.remove(&node).is_some()
    }

    /// The node begins to tell: first what it has by now.
    pub(crate) fn open(&mut self, node: SyncId, begin: Vec<Elected>, watermark: Option<Stamp>) {
        let feed = self.feeds.get_mut(&node).expect("only linked nodes are followed");
        feed.is_followed = true;
        feed.told.extend(begin.into_iter().map(|elected| Input::Resolved { from: node, elected }));
        feed.told.extend(watermark.map(|stamp| Input::Watermark { from: node, stamp }));
    }

    /// The node does not tell from where it was asked to, or no more.
    pub(crate) fn end(&mut self, node: SyncId, trimmed_to: Stamp) {
        let feed = self.feeds.get_mut(&node).expect("only linked nodes are followed");
        feed.is_followed = false;
        feed.told.push_back(Input::FeedTrimmed { from: node, to: trimmed_to });
    }

    pub(crate) fn follows(&self, node: SyncId) -> bool {
        self.feeds.get(&node).is_some_and(|feed| feed.is_followed)
    }

    /// What a node tells all who follow it.
    pub(crate) fn tell(&mut self, node: SyncId, told: Input) {
        if let Some(feed) = self.feeds.get_mut(&node).filter(|feed| feed.is_followed) {
            feed.told.push_back(told);
        }
    }

    pub(crate) fn has_news(&self, node: SyncId) -> bool {
        self.feeds.get(&node).is_some_and(|feed| !feed.told.is_empty())
    }

    /// The next that a node told, if its link is still up.
    pub(crate) fn take_told(&mut self, node: SyncId) -> Option<Input> {
        self.feeds.get_mut(&node)?.told.pop_front()
    }

    pub(crate) fn has_peer(&self, peer: NdbId) -> bool {
        self.peers.contains_key(&peer)
    }

    pub(crate) fn is_silent(&self, peer: NdbId) -> bool {
        self.peers.get(&peer).is_some_and(|peer| peer.is_silent)
    }

    /// A link to another reader comes up, or breaks.
    pub(crate) fn set_peer(&mut self, peer: NdbId, is_up: bool) -> Input {
        if is_up {
            self.peers.insert(peer, Peer::default());
            Input::PeerUp { peer }
        } else {
            self.peers.remove(&peer);
            Input::PeerDown { peer }
        }
    }

    /// A linked reader falls silent, or is heard again.
    pub(crate) fn set_silent(&mut self, peer: NdbId, is_silent: bool) -> Input {
        self.peers.get_mut(&peer).expect("only linked readers are heard").is_silent = is_silent;
        Input::PeerSilent { peer, is_silent }
    }

    /// An answer of another reader is under way.
    pub(crate) fn answered(&mut self, peer: NdbId, at_ms: u64, answer: Input) {
        let peer = self.peers.get_mut(&peer).expect("only linked readers are asked");
        assert!(!peer.is_silent, "nothing is asked of who is silent");
        peer.answers.insert(at_ms, answer);
    }

    /// An answer that has arrived.
    pub(crate) fn take_answer(&mut self, peer: NdbId, now_ms: u64) -> Option<Input> {
        let peer = self.peers.get_mut(&peer).filter(|peer| !peer.is_silent)?;
        let first = peer.answers.first_entry().filter(|first| *first.key() <= now_ms)?;
        Some(first.remove())
    }

    /// Its order from a position on, `rows` of it at most.
    pub(crate) fn rows(&self, first: Position, rows: usize) -> Vec<Elected> {
        let from = self.placed.partition_point(|placed| placed.first < first);
        self.placed[from..].iter().take(rows).map(|placed| placed.elected).collect()
    }
}

/// A reader as others ask it.
pub(crate) fn ndb_of(which: usize) -> NdbId {
    NdbId { group: GroupId(0), member: u8::try_from(which).expect("few readers") }
}
