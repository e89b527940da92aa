//! A storage node of the World: the shipped core and tails. The World plays its links, its disk and its
//! clock, as the driver in `ndb/src/node` has them.

pub(super) mod disk;
mod reads;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use vixen_core::id::{NdbId, SegmentId, Stamp};
use vixen_core::membership::Membership;
use vixen_core::order::Placed;
use vixen_core::segment::SegmentMeta;
use vixen_core::wire::{FeedMessage, Message, OrderBase, PeerId, PublishMessage, ReadMessage};
use vixen_replica::tail::{Change, InterestChange, RecentOrder, Tail};
use vixen_replica::{
    Committed, CoreOptions, DiskNews, Effects, Finding, Input, Job, Look, NdbCore, Note, Refused,
    RetentionPolicy, To,
};

use super::io::{Arrived, Counted, Fact, Name, Now, Out};
use super::mutant::Mutant;
use super::note_order;
use disk::NdbDisk;
use reads::Source;

/// Between two looks at the room on the disk, as in the driver.
const ROOM_LOOK: Duration = Duration::from_millis(200);
/// Between two reads of everything stored.
const SCRUB_US: u64 = 1_000_000;

/// Bounds of a storage node.
#[derive(Clone, Copy, Debug)]
pub(super) struct NdbOptions {
    /// So long a day stays.
    pub(super) keeps: Option<Duration>,
    /// Bytes of the recent end of the order in memory.
    pub(super) recent_bytes_max: usize,
}

/// See the module.
pub(super) struct NdbNode {
    id: NdbId,
    membership: Membership,
    options: NdbOptions,
    mutant: Option<Mutant>,
    pub(super) disk: NdbDisk,
    process: Option<Process>,
}

/// What a crash takes.
struct Process {
    core: NdbCore,
    recent: RecentOrder,
    /// Handed to the disk, oldest first.
    writing: VecDeque<Job>,
    /// So many jobs of what is still to be told as written are so already, by the journal.
    ahead: usize,
    linked: BTreeMap<Name, PeerId>,
    tails: BTreeMap<Name, Tail>,
    parts: BTreeMap<Name, InterestChange>,
    /// Something has changed that tails may wait for.
    has_news: bool,
    scrub_at_us: u64,
    /// The newest election that it was told of.
    learned_to: Stamp,
}

impl NdbNode {
    pub(super) const fn new(
        id: NdbId,
        membership: Membership,
        options: NdbOptions,
        mutant: Option<Mutant>,
    ) -> Self {
        let disk = NdbDisk::new(id.group);
        Self { id, membership, options, mutant, disk, process: None }
    }

    pub(super) fn start(&mut self, now: Now) {
        self.disk.replay(now.us);
        let mut recovered = self.disk.recover();
        if self.mutant == Some(Mutant::TemporaryForgotten) {
            recovered.temporary.clear();
        }
        let options = CoreOptions {
            id: self.id,
            membership: self.membership.clone(),
            segment_bytes_max: 1 << 20,
            retention: RetentionPolicy { age: self.options.keeps, bytes: None },
            room_look: ROOM_LOOK,
        };
        let OrderBase { next, stamp, .. } = recovered.head;
        self.process = Some(Process {
            core: NdbCore::new(options, recovered, now.instant),
            recent: RecentOrder::new(next, stamp, self.options.recent_bytes_max),
            writing: VecDeque::new(),
            ahead: 0,
            linked: BTreeMap::new(),
            tails: BTreeMap::new(),
            parts: BTreeMap::new(),
            has_news: false,
            scrub_at_us: now.us + SCRUB_US,
            learned_to: Stamp::ZERO,
        });
    }

    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    pub(super) fn due_us(&self, now: Now) -> Option<u64> {
        let process = self.process.as_ref()?;
        Some(now.us_of(process.core.due_at()).min(process.scrub_at_us))
    }

    /// One turn of the loop: step all, write, send.
    pub(super) fn turn(&mut self, now: Now, arrived: Vec<Arrived>, out: &mut Out) {
        let Self { id, disk, process: Some(process), mutant, .. } = self else { return };
        let mut turn = Turn { now, id: *id, mutant: *mutant, disk, process, out };
        let mut fx = Effects::default();
        for one in arrived {
            turn.take(one, &mut fx);
        }
        turn.scrub(&mut fx);
        turn.end(fx);
    }

    /// What the node would lose with its process: jobs that are not on disk.
    pub(super) fn writing(&self) -> usize {
        self.process
            .as_ref()
            .map_or(0, |process| process.writing.len() + process.core.waiting_rows())
    }

    /// Where its order ends, and what it lacks; `None` while it is down.
    pub(super) fn head(&self) -> Option<(OrderBase, Vec<SegmentId>)> {
        let replica = self.process.as_ref()?.core.replica();
        Some((replica.head(), replica.missing().keys().copied().collect()))
    }

    /// What it waits for, for the trace.
    pub(super) fn describe(&self) -> String {
        let Some(process) = &self.process else { return "down".to_owned() };
        format!("{:?}, linked to {:?}", process.core, process.linked.keys())
    }

    /// Segments that it has on disk without a place.
    pub(super) fn unresolved(&self) -> impl Iterator<Item = SegmentId> {
        let unresolved =
            self.process.iter().flat_map(|process| process.core.replica().unresolved());
        unresolved.map(|durable| durable.get().id)
    }
}

/// Segments without a place go into the journal before all else is written, but not before what is to be done with
/// one of the same id.
fn take_arrived(writing: &mut VecDeque<Job>) -> Vec<Job> {
    let mut passed = BTreeSet::new();
    let (mut arrived, mut others) = (Vec::new(), VecDeque::new());
    for job in std::mem::take(writing) {
        let is_free = job.segment().is_some_and(|segment| !passed.contains(&segment));
        if job.is_arrival() && is_free {
            arrived.push(job);
        } else {
            passed.extend(job.segment());
            others.push_back(job);
        }
    }
    *writing = others;
    arrived
}

/// A node at its turn.
struct Turn<'a> {
    now: Now,
    id: NdbId,
    mutant: Option<Mutant>,
    disk: &'a mut NdbDisk,
    process: &'a mut Process,
    out: &'a mut Out,
}

impl Turn<'_> {
    fn step(&mut self, input: Input, fx: &mut Effects) {
        self.process.core.step(input, self.now.instant, fx);
    }

    fn take(&mut self, arrived: Arrived, fx: &mut Effects) {
        match arrived {
            Arrived::Up { name, peer } => self.on_up(name, peer, fx),
            Arrived::Down { name } => self.on_down(name, fx),
            Arrived::Silent { name, is_silent } => {
                if let Some(peer) = self.process.linked.get(&name).copied() {
                    self.step(Input::Silent { peer, is_silent }, fx);
                }
            }
            Arrived::Message { from, message } => self.on_message(from, message, fx),
            Arrived::Written { jobs, by_journal } => {
                if by_journal {
                    let arrived = take_arrived(&mut self.process.writing);
                    self.process.ahead += arrived.len();
                    self.disk.append(&arrived);
                    self.commit(arrived, fx);
                }
                let ahead = jobs.min(self.process.ahead);
                self.process.ahead -= ahead;
                let jobs = self.process.writing.drain(..jobs - ahead).collect();
                self.commit(jobs, fx);
                self.disk.checkpoint(self.now.us);
            }
            Arrived::ExpireOwners { .. } | Arrived::Asked { .. } => {
                unreachable!("not of an ndb node")
            }
        }
    }

    fn commit(&mut self, jobs: Vec<Job>, fx: &mut Effects) {
        if jobs.is_empty() {
            return;
        }
        let held: Vec<_> = stored(&jobs).collect();
        if !held.is_empty() {
            self.out.facts.push(Fact::Held(held));
        }
        let committed = self.disk.commit(jobs.into_iter());
        self.step(Input::Committed(committed), fx);
    }

    fn on_up(&mut self, name: Name, peer: PeerId, fx: &mut Effects) {
        // Of an entry that was there before, the end of the link is heard of with the new one.
        if let Some(before) = self.process.linked.insert(name, peer).filter(|other| *other != peer)
        {
            self.step(Input::Down { peer: before }, fx);
        }
        self.end_tail(name);
        self.step(Input::Up { peer }, fx);
    }

    fn on_down(&mut self, name: Name, fx: &mut Effects) {
        self.end_tail(name);
        if let Some(peer) = self.process.linked.remove(&name) {
            self.step(Input::Down { peer }, fx);
        }
    }

    fn end_tail(&mut self, name: Name) {
        self.process.tails.remove(&name);
        self.process.parts.remove(&name);
    }

    fn on_message(&mut self, name: Name, message: Message, fx: &mut Effects) {
        let Some(peer) = self.process.linked.get(&name).copied() else { return };
        if let Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) = &message {
            self.process.learned_to = self.process.learned_to.max(elected.stamp());
        }
        match (peer, message) {
            (PeerId::Entry { .. }, Message::Read(message)) => self.on_reader(name, message, fx),
            (from, message) => {
                self.step(Input::Said { from, message }, fx);
                for read in std::mem::take(&mut fx.reads) {
                    let answers = self.source().answer(read);
                    answers.into_iter().for_each(|message| self.out.send(name, message));
                }
            }
        }
    }

    /// What an entry says of its tail, and its reads of what is stored.
    fn on_reader(&mut self, name: Name, message: ReadMessage, fx: &mut Effects) {
        let process = &mut *self.process;
        match message {
            ReadMessage::InterestPart { add, remove } => {
                process.parts.entry(name).or_default().extend(add, remove);
            }
            ReadMessage::FollowTail { from, topics } => {
                let mut parts = process.parts.remove(&name).unwrap_or_default();
                parts.extend(topics, Vec::new());
                let (tail, opened) = Tail::open(from, process.recent.head(), parts.add);
                process.tails.insert(name, tail);
                process.has_news = true;
                self.out.send(name, opened);
            }
            ReadMessage::ChangeInterest { version, add, remove } => {
                let mut change = process.parts.remove(&name).unwrap_or_default();
                change.extend(add, remove);
                if let Some(tail) = process.tails.get_mut(&name) {
                    tail.change(Some(version), change);
                    process.has_news = true;
                }
            }
            ReadMessage::ReadHistory { request, query } => {
                let (segments, end, found) = self.source().history(&query);
                let parts = segments
                    .into_iter()
                    .map(|segment| ReadMessage::HistorySegment { request, segment });
                let end = ReadMessage::HistoryEnd { request, end };
                for message in parts.chain([end]) {
                    self.out.send(name, Message::Read(message));
                }
                found.into_iter().for_each(|finding| self.step(Input::Found(finding), fx));
            }
            other => panic!("an entry says {} to an ndb node", Message::Read(other).name()),
        }
    }

    /// Reads everything stored, now and then.
    fn scrub(&mut self, fx: &mut Effects) {
        if self.process.scrub_at_us > self.now.us {
            return;
        }
        self.process.scrub_at_us = self.now.us + SCRUB_US;
        if self.mutant != Some(Mutant::DamageUnnoticed) {
            for finding in self.disk.scrub() {
                self.step(Input::Found(finding), fx);
            }
        }
    }

    /// All is stepped: what waits for time, and then what steps owe. What tails find is theirs again.
    fn end(&mut self, mut fx: Effects) {
        loop {
            self.step(Input::Tick, &mut fx);
            self.look(&mut fx);
            self.settle(fx);
            fx = Effects::default();
            let found = self.run_tails();
            if found.is_empty() {
                return;
            }
            found.into_iter().for_each(|finding| self.step(Input::Found(finding), &mut fx));
        }
    }

    /// Looks at the disk, as the core asks.
    fn look(&mut self, fx: &mut Effects) {
        while !fx.looks.is_empty() {
            for look in std::mem::take(&mut fx.looks) {
                let seen = match look {
                    Look::Room => Input::Room(self.disk.room()),
                    Look::Days => Input::Days { days: self.disk.days(), now: self.now.wall },
                    Look::Chain { peer, next, chain } => {
                        let Some(row) = self.disk.row_before(next) else { continue };
                        Input::Compared { peer, next, agrees: row.chain == chain }
                    }
                    Look::Index { .. } => unreachable!("there is no index of topics"),
                };
                self.step(seen, fx);
            }
        }
    }

    /// Does what steps owe: writes first.
    fn settle(&mut self, mut fx: Effects) {
        if self.mutant == Some(Mutant::DraftBeforeCommit) {
            self.commit_early(&mut fx);
        }
        self.process.has_news |= !fx.changes.is_empty();
        for change in fx.changes {
            if let Change::Placed(place) = &change {
                let placed = Placed { first: place.first, elected: place.row.elected };
                self.out.facts.push(Fact::Placed(placed));
            }
            self.process.recent.apply(&change);
        }
        self.out.jobs += fx.jobs.len();
        self.process.writing.extend(fx.jobs);
        for (to, message) in fx.sends {
            self.send(to, message);
        }
        fx.notes.into_iter().for_each(|note| self.note(note));
    }

    /// What is only handed over is told as if it were on disk.
    fn commit_early(&mut self, fx: &mut Effects) {
        let stored: Vec<SegmentId> = stored(&fx.jobs).map(|meta| meta.id).collect();
        if !stored.is_empty() {
            let (base, head) = (self.disk.base, self.disk.head);
            let committed = Committed { base, head, stored, ..Committed::default() };
            self.step(Input::Committed(committed), fx);
        }
    }

    fn send(&mut self, to: To, message: Message) {
        let meant = self.process.linked.iter().filter(|(_, peer)| to.is_meant(peer));
        let names: Vec<Name> = meant.map(|(name, _)| *name).collect();
        let learned_to = self.process.learned_to;
        for name in names {
            match (self.mutant, &message) {
                (
                    Some(Mutant::TrimIsDurable),
                    Message::Publish(PublishMessage::TrimAdvanceSegment { segment }),
                ) => {
                    let segment = *segment;
                    let durable = Message::Publish(PublishMessage::SegmentDurable { segment });
                    self.out.send(name, message.clone());
                    self.out.send(name, durable);
                }
                (
                    Some(Mutant::FollowsFromAhead),
                    Message::Feed(FeedMessage::FollowFeed { after }),
                ) => {
                    let after = (*after).max(learned_to);
                    self.out.send(name, Message::Feed(FeedMessage::FollowFeed { after }));
                }
                _ => self.out.send(name, message.clone()),
            }
        }
    }

    /// What the core tells people, as far as the World counts it, or allows it.
    fn note(&mut self, note: Note) {
        match note {
            Note::Order(note) => note_order(&[note], self.out),
            Note::Refused(Refused::Unwanted) => {}
            Note::Refused(_) => self.out.count(Counted::Refused),
            Note::Fetched { .. } => self.out.count(Counted::Fetched),
            Note::Damaged { .. } | Note::DamagedPending { .. } => self.out.count(Counted::Damaged),
            Note::Expired { segment } => {
                self.out.count(Counted::OwnerExpired);
                self.out.facts.push(Fact::Expired { segment });
            }
            Note::LeftBehind { .. } => self.out.count(Counted::Rebased),
            Note::TrimmedTo { first } => {
                self.out.count(Counted::Trimmed);
                self.out.facts.push(Fact::Trimmed { first });
            }
            Note::Extended { .. } => self.out.count(Counted::Extended),
            Note::Disk(DiskNews::Stalled) => self.out.count(Counted::DiskStalled),
            Note::Offered { .. } => self.out.count(Counted::Offered),
            Note::ChainDiffers { .. } | Note::Trusted { .. } => {
                self.out.facts.push(Fact::Contradiction(format!("{note:?}")));
            }
            Note::NotForNdb { .. }
            | Note::DamagedRow { .. }
            | Note::Reindexed
            | Note::IndexAtOdds { .. }
            | Note::IndexMended { .. } => panic!("{:?}: {note:?}", self.id),
            Note::Committed { .. }
            | Note::Placed { .. }
            | Note::Dropped { .. }
            | Note::DraftAnswered { .. }
            | Note::AskingForOrder { .. }
            | Note::AskingForSegments { .. }
            | Note::KeptByGroup { .. }
            | Note::WaitsToDrop { .. }
            | Note::DiskRoom(_)
            | Note::Disk(DiskNews::Back(_))
            | Note::ChainsDiffering { .. }
            | Note::Nowhere { .. }
            | Note::CatchUp { .. } => {}
        }
    }

    fn source(&self) -> Source<'_> {
        let is_careless = self.mutant == Some(Mutant::DamageUnnoticed);
        Source { disk: self.disk, recent: &self.process.recent, is_careless }
    }

    /// Tails go on where something has changed.
    fn run_tails(&mut self) -> Vec<Finding> {
        let mut found = Vec::new();
        if !std::mem::take(&mut self.process.has_news) {
            return found;
        }
        let mut tails = std::mem::take(&mut self.process.tails);
        for (name, tail) in &mut tails {
            let mut sends = Vec::new();
            self.source().advance(tail, |message| sends.push(message), &mut found);
            sends.into_iter().for_each(|message| self.out.send(*name, message));
        }
        self.process.tails = tails;
        found
    }
}

/// What jobs store.
fn stored<'j>(jobs: impl IntoIterator<Item = &'j Job>) -> impl Iterator<Item = SegmentMeta> {
    jobs.into_iter()
        .filter_map(|job| if let Job::Store(store) = job { Some(store.meta) } else { None })
}
