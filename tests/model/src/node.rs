//! One sync node of the model: the shipped vote, its disk, and what its feed has told.
//!
//! The order of a step is the driver's, by the same [`Commits`]: step, commit what something waits for,
//! send, put elections on the feed, tell the watermark. A crash chooses which of the rows that wait had
//! been written, or comes in a commit, when what does not wait for that has left.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;
use std::time::Instant;

use vixen_core::id::{Ballot, Lane, OwnerId, SegmentId, Seq, Stamp, SyncId};
use vixen_core::segment::{Acceptance, Elected};
use vixen_core::time::WallTime;
use vixen_core::wire::{FeedMessage, Marks, Message, VoteMessage};
use vixen_kit::sync_disk::SyncDisk;
use vixen_vote::{
    After, Commits, Effects, Elections, Input, Orderer, OwnerRow, Recovered, VoteOptions, Write,
};

use crate::event::Event;
use crate::fault::Fault;
use crate::instance::membership;

/// Wall time of all nodes that is right, for ever: stamps rise by their counters, and hedge delays
/// end when the checker says so.
pub(crate) const WALL: WallTime = WallTime(1_800_000_000_000);

/// When something was elected before.
const BEFORE: WallTime = WallTime(WALL.0 - 1);

/// Rule 8 draws the line here.
pub(crate) const AHEAD_MS_MAX: u64 = 10_000;

/// Where clocks of nodes, and the order, are that were ahead once.
pub(crate) const LATE: WallTime = WallTime(WALL.0 + 3_600_000);

/// Wall time that is wrong: an order that is ahead is less than the bound behind it.
const WILD: WallTime = WallTime(LATE.0 + 5_000);

/// The monotonic clock of all nodes, which stands still as well: no row waits for so long that it is
/// written for that.
static CLOCK: LazyLock<Instant> = LazyLock::new(Instant::now);

/// What leaves for readers in one step, in this order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Turn {
    /// The node has started again: its feed is followed anew.
    pub(crate) is_new: bool,
    pub(crate) accepted: Vec<Acceptance>,
    pub(crate) elected: Vec<Elected>,
    pub(crate) marks: Option<Marks>,
    /// What a feed that begins here is told accepted first.
    pub(crate) pending: Vec<Acceptance>,
}

/// What readers have heard of a node: crashes do not take it back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Feed {
    /// Every segment that it ever told to be elected.
    pub(crate) elected: BTreeSet<Elected>,
    /// All that it ever told accepted.
    pub(crate) votes: BTreeSet<Acceptance>,
    /// What it has told accepted since it started last.
    pub(crate) accepted: BTreeSet<Acceptance>,
    /// The last watermark since it started last.
    pub(crate) marks: Option<Marks>,
    /// The highest floor and the highest clock that it ever told.
    pub(crate) told: (Stamp, Stamp),
    /// Step by step, where readers may be behind.
    pub(crate) turns: Vec<Turn>,
    /// A watermark was below one before.
    pub(crate) has_fallen: bool,
    /// An assertion of the vote failed.
    pub(crate) has_panicked: bool,
}

impl Feed {
    /// What is told in a step; `lags`: it is kept.
    fn tell(&mut self, turn: Turn, lags: bool) {
        if turn.is_new {
            self.accepted.clear();
            self.marks = None;
        }
        self.votes.extend(&turn.accepted);
        self.accepted.extend(&turn.accepted);
        self.elected.extend(&turn.elected);
        if let Some(marks) = turn.marks {
            let (floor, clock) = self.told;
            self.has_fallen |= marks.floor < floor || marks.clock < clock;
            self.told = (floor.max(marks.floor), clock.max(marks.clock));
            self.marks = Some(marks);
        }
        let says_nothing = turn.accepted.is_empty() && turn.elected.is_empty();
        if lags && !(says_nothing && turn.marks.is_none() && !turn.is_new) {
            self.turns.push(turn);
        }
    }
}

/// See the module doc.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    id: SyncId,
    /// `None` while it is down.
    votes: Option<Orderer>,
    /// Whether its wall time is wrong.
    is_wild: bool,
    disk: SyncDisk,
    commits: Commits,
    /// Peers to which it has a link, as it knows.
    links: BTreeSet<SyncId>,
    /// It cannot crash any more.
    is_settled: bool,
    /// Readers may be behind.
    lags: bool,
    pub(crate) feed: Feed,
}

/// What an event lets out.
pub(crate) type Sends = Vec<(SyncId, Input)>;

/// What a node is, and has let out, that dies in the commit of a step.
#[derive(Clone, Debug)]
pub(crate) struct Torn {
    pub(crate) node: Node,
    pub(crate) sends: Sends,
}

impl Node {
    /// A node, up, without links, whose disk has nothing but a ceiling of the clock, and the newest
    /// election of an owner that is not of the instance; both may be zero.
    pub(crate) fn new(
        id: SyncId,
        ceiling: Stamp,
        newest: Stamp,
        (is_wild, lags): (bool, bool),
        fault: Option<Fault>,
    ) -> Self {
        let mut disk = SyncDisk::default();
        disk.apply(Write::Ceiling(ceiling));
        if newest > Stamp::ZERO {
            let row = OwnerRow { contiguous: Seq::FIRST, stamp: newest };
            disk.apply(Write::OwnerSettled(OwnerId(uuid::Uuid::nil()), row));
        }
        let mut votes = Orderer::with_rules(Fault::rules(fault), options(id), &disk.recover());
        if ceiling == Stamp::ZERO {
            // It runs for a while: its ceiling is ahead of its clock, which one that starts must write first.
            let (owner, mut fx) = (OwnerId(uuid::Uuid::nil()), Effects::default());
            let stamp = Lane::new(0).map_or(Stamp::ZERO, |lane| Stamp::at(BEFORE, lane));
            let row = OwnerRow { contiguous: Seq::FIRST, stamp };
            votes.step(WALL, Input::OwnerSettled { owner, row }, &mut fx);
            fx.writes.into_iter().chain(fx.later).for_each(|write| disk.apply(write));
        }
        Self {
            id,
            votes: Some(votes),
            is_wild,
            disk,
            commits: Commits::default(),
            links: BTreeSet::new(),
            is_settled: false,
            lags,
            feed: Feed::default(),
        }
    }

    pub(crate) const fn is_up(&self) -> bool {
        self.votes.is_some()
    }

    pub(crate) const fn links(&self) -> &BTreeSet<SyncId> {
        &self.links
    }

    pub(crate) const fn is_settled(&self) -> bool {
        self.is_settled
    }

    /// How many segments it knows elected, when it cannot crash any more.
    pub(crate) fn settled(&self) -> usize {
        if self.is_settled { self.disk.elections() } else { 0 }
    }

    /// Election rows, and whether vote rows, that a crash may lose.
    pub(crate) fn waiting(&self) -> (usize, bool) {
        (self.commits.waiting_elections().len(), self.commits.waiting_votes().next().is_some())
    }

    /// What comes of it when the node dies in the commit of this step: what leaves before that has left, and no row
    /// of the step is on disk, nor one that waited. Nothing where nothing leaves before.
    pub(crate) fn torn(&self, event: &Event, fault: Option<Fault>) -> Option<Torn> {
        let (Event::Input(input), false) = (event, self.is_settled) else { return None };
        let mut node = self.clone();
        let mut fx = node.vote(input.clone(), fault)?;
        let early = node.commits.early(&mut fx);
        let sends = node.linked(early.into_iter().map(|sent| (sent.to, sent.message)));
        let has_told = fault == Some(Fault::ToldBeforeCommit) && !fx.accepted.is_empty();
        if has_told {
            let accepted = fx.accepted.iter().map(|(acceptance, _)| *acceptance).collect();
            node.feed.tell(Turn { accepted, ..Turn::default() }, node.lags);
        }
        node.crash(0, false);
        (!sends.is_empty() || has_told).then_some(Torn { node, sends })
    }

    /// Advances by one event; what leaves.
    pub(crate) fn step(&mut self, event: &Event, fault: Option<Fault>) -> Sends {
        let sends = self.on_event(event, fault);
        if self.is_settled {
            self.settle();
        }
        sends
    }

    fn on_event(&mut self, event: &Event, fault: Option<Fault>) -> Sends {
        match event {
            Event::Input(input) => self.input(input.clone(), fault),
            Event::LinkUp(peer) => self.link_up(*peer, fault),
            Event::LinkDown(peer) => {
                self.links.remove(peer);
                self.input(Input::PeerDown { peer: *peer }, fault)
            }
            Event::Crash { elections, votes } => {
                self.crash(usize::from(*elections), *votes);
                Sends::new()
            }
            Event::Restart => {
                let recovered = recovered(&self.disk, fault);
                let votes = Orderer::with_rules(Fault::rules(fault), options(self.id), &recovered);
                self.votes = Some(votes);
                self.tell(Turn { is_new: true, ..Turn::default() }, fault);
                Sends::new()
            }
            Event::Jump => {
                self.is_wild = !self.is_wild;
                Sends::new()
            }
            Event::Settle => {
                self.is_settled = true;
                Sends::new()
            }
        }
    }

    /// Whether the message is late for ever: see `cluster`.
    pub(crate) fn is_inert(&self, input: &Input) -> bool {
        let segment = match input {
            Input::PickChallenger { meta, .. }
            | Input::ProposeFast { meta, .. }
            | Input::VoteFast { meta, .. } => meta.id,
            Input::ElectSegment { proposal, .. } | Input::Vote { proposal, .. } => proposal.meta.id,
            Input::Reject { segment, .. } => *segment,
            Input::Resolved { elected } => elected.meta.id,
            // The others are answered, or are no messages.
            _ => return false,
        };
        self.is_settled && self.disk.is_elected(segment)
    }

    fn crash(&mut self, elections: usize, votes: bool) {
        let commits = std::mem::take(&mut self.commits);
        if votes {
            commits.waiting_votes().for_each(|write| self.disk.apply(write));
        }
        let elections = commits.waiting_elections().iter().take(elections);
        elections.for_each(|write| self.disk.apply(*write));
        self.votes = None;
        self.links.clear();
    }

    fn settle(&mut self) {
        let commits = std::mem::take(&mut self.commits);
        commits.waiting_elections().iter().for_each(|write| self.disk.apply(*write));
        self.disk = std::mem::take(&mut self.disk).reduced();
    }

    /// The link comes up, and a message that says nothing comes first on it: with wall time frozen
    /// a node cannot tell later messages from this one by when they came, so states need not
    /// differ by who has been heard.
    fn link_up(&mut self, peer: SyncId, fault: Option<Fault>) -> Sends {
        self.links.insert(peer);
        let mut sends = self.input(Input::PeerUp { peer }, fault);
        sends.extend(self.input(nothing_from(peer), fault));
        sends
    }

    /// The step of the vote; nothing where an assertion fails, or the node is down.
    fn vote(&mut self, input: Input, fault: Option<Fault>) -> Option<Effects> {
        let wall = if self.is_wild { WILD } else { WALL };
        let votes = self.votes.as_mut()?;
        let mut fx = Effects::default();
        let stepped = catch_unwind(AssertUnwindSafe(|| votes.step(wall, input, &mut fx)));
        if stepped.is_err() {
            self.feed.has_panicked = true;
            self.votes = None;
            return None;
        }
        assert!(fx.later.is_empty(), "nothing is forgotten in the model");
        let is_early = |message: &Message| match fault {
            Some(Fault::ReplyBeforeCommit) => true,
            Some(Fault::FastVoteBeforeCommit) => {
                matches!(message, Message::Vote(VoteMessage::VoteFast { .. }))
            }
            Some(Fault::VoteBeforeCommit) => {
                matches!(message, Message::Vote(VoteMessage::Vote { .. }))
            }
            Some(Fault::FastBeforePrevious) => {
                matches!(message, Message::Vote(VoteMessage::ProposeFast { .. }))
            }
            _ => false,
        };
        let early = fx.sends.iter_mut().filter(|sent| is_early(&sent.message));
        early.for_each(|sent| sent.after = After::Nothing);
        if fault == Some(Fault::ReplyBeforeCommit) {
            fx.accepted.iter_mut().for_each(|(_, after)| *after = After::Nothing);
            fx.elected.iter_mut().for_each(|election| election.after = After::Nothing);
        }
        Some(fx)
    }

    /// What of these goes out on links.
    fn linked(&self, said: impl Iterator<Item = (SyncId, Message)>) -> Sends {
        let linked = said.filter(|(to, _)| self.links.contains(to));
        linked.filter_map(|(to, message)| Some((to, Input::from_peer(self.id, message)?))).collect()
    }

    fn input(&mut self, input: Input, fault: Option<Fault>) -> Sends {
        let Some(mut fx) = self.vote(input, fault) else { return Sends::new() };
        let early = self.commits.early(&mut fx);
        let Ok(left) = self.commits.turn(*CLOCK, fx, false, &mut self.disk);
        let fx = left.expect("the disk has room");
        let turn = Turn {
            accepted: fx.accepted.iter().map(|(acceptance, _)| *acceptance).collect(),
            elected: fx.elected.iter().map(|election| election.elected).collect(),
            ..Turn::default()
        };
        let catch_ups = fx.catch_ups.iter().flat_map(|(to, owner, after)| {
            let waiting = self.commits.elections();
            let waiting = waiting.filter(|e| e.meta.id.owner == *owner && e.meta.id.seq > *after);
            let Ok(stored) = self.disk.elected_of(*owner, *after, usize::MAX);
            stored.into_iter().chain(waiting).map(|elected| {
                (*to, Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }))
            })
        });
        let said = early.iter().chain(&fx.sends).map(|sent| (sent.to, sent.message.clone()));
        let sends = self.linked(said.chain(catch_ups));
        self.tell(turn, fault);
        sends
    }

    /// Tells readers, the watermark last, if it has changed.
    fn tell(&mut self, mut turn: Turn, fault: Option<Fault>) {
        let Some(votes) = &self.votes else { return };
        let marks = match fault {
            Some(Fault::DraftsForgottenAtRestart) => {
                let drafts = votes.report(WALL).pending.into_iter().filter_map(|p| p.draft);
                Some(Marks::at(drafts.min().map_or(votes.clock(), Stamp::just_below)))
            }
            _ => votes.watermark(),
        };
        let before = self.feed.marks.filter(|_| !turn.is_new);
        turn.marks = marks.filter(|marks| before != Some(*marks));
        if self.lags && fault != Some(Fault::NewFeedForgets) {
            turn.pending = votes.told().collect();
        }
        self.feed.tell(turn, self.lags);
    }
}

/// What the vote starts from, as the fault has it.
fn recovered(disk: &SyncDisk, fault: Option<Fault>) -> Recovered {
    let mut recovered = disk.recover();
    if fault == Some(Fault::ClockNotRestored) {
        recovered.ceiling = Stamp::ZERO;
    }
    if fault == Some(Fault::DraftsForgottenAtRestart) {
        recovered.votes.iter_mut().for_each(|vote| vote.draft = None);
    }
    recovered
}

/// A message that changes nothing but that its sender has been heard: ballot 0 rejects nothing.
pub(crate) fn nothing_from(peer: SyncId) -> Input {
    let segment = SegmentId { owner: OwnerId(uuid::Uuid::nil()), seq: Seq::FIRST };
    Input::Reject { from: peer, segment, promised: Ballot(0) }
}

fn options(id: SyncId) -> VoteOptions {
    VoteOptions { id, membership: membership().clone(), clock_ahead_max_ms: AHEAD_MS_MAX }
}
