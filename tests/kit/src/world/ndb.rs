//! A storage node of the World: the shipped replica and reader of the order, and what its driver does
//! about them, as thin as can be.
//!
//! To be replaced by the pure core of `ndb/` wherever that does the same.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use vixen_core::id::{NdbId, OwnerId, SegmentId, Stamp, SyncId};
use vixen_core::membership::Membership;
use vixen_core::order::{self, Reader};
use vixen_core::segment::{Blob, TopicPattern};
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Message, NdbStanding, NodeMessage, OrderBase,
    PublishMessage, ReadMessage, ReplicaMessage,
};
use vixen_replica::replica::{Effects, Input};
use vixen_replica::{Body, Lost, Place, Refused, Replica, ReplicaOptions};

use super::fetch::Fetch;
use super::io::{Arrived, Counted, Fact, Name, Now, Out};
use super::mutant::Mutant;
use super::ndb_disk::{Job, NdbDisk};
use super::tail::{self, Findings, Source, Tail, View};

/// Rows of the order wait so long for company, as in the driver.
const LAZY_WRITE_US: u64 = 100_000;
/// Between two offers of what stays without a place, as in the driver.
const ROUND_US: u64 = 1_000_000;
/// Rows of the order in one answer.
const ROWS_MAX: usize = 8;

/// See the module.
pub(super) struct NdbNode {
    id: NdbId,
    membership: Membership,
    mutant: Option<Mutant>,
    pub(super) disk: NdbDisk,
    process: Option<Process>,
}

/// What a crash takes.
struct Process {
    replica: Replica,
    reader: Reader,
    view: View,
    fetch: Fetch,
    /// Handed to the disk, oldest first.
    writing: VecDeque<Job>,
    /// Rows of the order that wait.
    rows: Vec<Place>,
    rows_due_us: Option<u64>,
    linked: BTreeMap<Name, Option<OwnerId>>,
    silent: BTreeSet<Name>,
    standing: NdbStanding,
    is_full: bool,
    tails: BTreeMap<Name, Tail>,
    parts: BTreeMap<Name, (Vec<TopicPattern>, Vec<TopicPattern>)>,
    awaited: BTreeSet<SegmentId>,
    expired: BTreeMap<SegmentId, BTreeSet<SyncId>>,
    round_at_us: u64,
    lingering: BTreeSet<SegmentId>,
    /// The newest election that it was told of.
    learned_to: Stamp,
    /// The group keeps nothing that was elected up to then.
    too_old: Stamp,
}

impl NdbNode {
    pub(super) const fn new(id: NdbId, membership: Membership, mutant: Option<Mutant>) -> Self {
        Self { id, membership, mutant, disk: NdbDisk::new(), process: None }
    }

    pub(super) fn start(&mut self, now: Now) {
        let mut recovered = self.disk.recover();
        if self.mutant == Some(Mutant::TemporaryForgotten) {
            recovered.temporary.clear();
        }
        let reader = Reader::new(&self.membership, recovered.head.stamp, recovered.head.next);
        let options = ReplicaOptions {
            group: self.id.group,
            segment_bytes_max: 1 << 20,
            incoming_bytes_max: 8 << 20,
        };
        let replica = Replica::new(options, recovered);
        let mut fetch = Fetch::default();
        replica.missing().keys().for_each(|segment| fetch.want(*segment, now.us));
        self.process = Some(Process {
            replica,
            reader,
            view: View::of(&self.disk, self.id.group),
            fetch,
            writing: VecDeque::new(),
            rows: Vec::new(),
            rows_due_us: None,
            linked: BTreeMap::new(),
            silent: BTreeSet::new(),
            standing: NdbStanding::NoFeeds,
            is_full: false,
            tails: BTreeMap::new(),
            parts: BTreeMap::new(),
            awaited: BTreeSet::new(),
            expired: BTreeMap::new(),
            round_at_us: now.us + ROUND_US,
            lingering: BTreeSet::new(),
            learned_to: Stamp::ZERO,
            too_old: Stamp::ZERO,
        });
    }

    pub(super) fn crash(&mut self) {
        self.process = None;
    }

    pub(super) fn due_us(&self, now: Now) -> Option<u64> {
        let process = self.process.as_ref()?;
        let order = process.reader.due_at().map(|at| {
            let wait = at.saturating_duration_since(now.instant).as_micros();
            now.us + u64::try_from(wait).unwrap_or(u64::MAX / 2)
        });
        let due = [order, process.rows_due_us, process.fetch.due_us(), Some(process.round_at_us)];
        due.into_iter().flatten().min()
    }

    /// One turn of the loop: step all, write, answer.
    pub(super) fn turn(&mut self, now: Now, arrived: Vec<Arrived>, out: &mut Out) {
        let Self { disk, process: Some(process), .. } = self else { return };
        let mut node = Turn {
            now,
            id: self.id,
            membership: &self.membership,
            mutant: self.mutant,
            disk,
            process,
            out,
        };
        let mut fx = Effects::default();
        for one in arrived {
            node.take(one, &mut fx);
        }
        node.read_order(order::Input::Tick { takes_rows: true }, &mut fx);
        node.tell_standing();
        node.settle(fx);
        node.fetch_due();
        node.round();
        node.run_tails();
    }

    /// What the node would lose with its process: jobs that are not on disk.
    pub(super) fn writing(&self) -> usize {
        self.process.as_ref().map_or(0, |process| process.writing.len())
    }

    /// Where its order ends, and what it lacks; `None` while it is down.
    pub(super) fn head(&self) -> Option<(OrderBase, Vec<SegmentId>)> {
        let process = self.process.as_ref()?;
        Some((process.view.head, process.replica.missing().keys().copied().collect()))
    }

    /// What it waits for, for the trace.
    pub(super) fn describe(&self) -> String {
        let Some(process) = &self.process else { return "down".to_owned() };
        format!("{:?}, linked to {:?}", process.fetch, process.linked.keys())
    }

    /// Segments that it has on disk without a place.
    pub(super) fn unresolved(&self) -> Vec<SegmentId> {
        let process = self.process.as_ref();
        process.map_or_else(Vec::new, |p| {
            p.replica.unresolved().map(|durable| durable.get().id).collect()
        })
    }
}

/// A node at its turn.
struct Turn<'a> {
    now: Now,
    id: NdbId,
    membership: &'a Membership,
    mutant: Option<Mutant>,
    disk: &'a mut NdbDisk,
    process: &'a mut Process,
    out: &'a mut Out,
}

impl Turn<'_> {
    fn take(&mut self, arrived: Arrived, fx: &mut Effects) {
        match arrived {
            Arrived::Up { peer, owner } => self.on_up(peer, owner, fx),
            Arrived::Down { peer } => self.on_down(peer, fx),
            Arrived::Silent { peer, is_silent } => self.on_silent(peer, is_silent, fx),
            Arrived::Message { from, message } => self.on_message(from, message, fx),
            Arrived::Written { jobs } => self.on_written(jobs, fx),
            Arrived::DiskFull { is_full } => self.process.is_full = is_full,
            Arrived::TooOld { upto } => {
                self.process.too_old = self.process.too_old.max(upto);
                self.trim();
            }
            Arrived::ExpireOwners { .. } | Arrived::Asked { .. } => {
                unreachable!("not of an ndb node")
            }
        }
    }

    /// On a new link everything unresolved that is the peer's business is said again.
    fn on_up(&mut self, peer: Name, owner: Option<OwnerId>, fx: &mut Effects) {
        self.process.linked.insert(peer, owner);
        self.process.silent.remove(&peer);
        self.process.tails.remove(&peer);
        self.process.parts.remove(&peer);
        self.out.send(
            peer,
            Message::Node(NodeMessage::NdbStanding { standing: self.process.standing }),
        );
        match peer {
            Name::Sync(feed) => {
                self.read_order(order::Input::FeedUp { feed }, fx);
                self.out.send(
                    peer,
                    Message::Draft(DraftMessage::OrderApplied { stamp: self.disk.head.stamp }),
                );
                for durable in self.process.replica.unresolved() {
                    self.out.sends.push((peer, durable.generate_draft()));
                }
            }
            Name::Ndb(id) => {
                if id.group == self.id.group {
                    self.process.fetch.peer_up(id);
                }
                self.read_order(order::Input::PeerUp { peer: id }, fx);
            }
            Name::Entry(_) => {}
        }
    }

    fn on_down(&mut self, peer: Name, fx: &mut Effects) {
        let owner = self.process.linked.remove(&peer).flatten();
        self.process.silent.remove(&peer);
        self.process.tails.remove(&peer);
        self.process.parts.remove(&peer);
        match peer {
            Name::Sync(feed) => self.read_order(order::Input::FeedDown { feed }, fx),
            Name::Ndb(id) => {
                self.process.fetch.peer_down(id);
                self.read_order(order::Input::PeerDown { peer: id }, fx);
            }
            Name::Entry(_) => {
                let Some(owner) = owner else { return };
                self.process.awaited.retain(|segment| !segment.owner.is_of_entry(owner));
                self.process.replica.step(Input::OwnerDown { owner }, fx);
            }
        }
    }

    fn on_silent(&mut self, peer: Name, is_silent: bool, fx: &mut Effects) {
        if is_silent {
            self.process.silent.insert(peer);
        } else {
            self.process.silent.remove(&peer);
        }
        let Name::Ndb(id) = peer else { return };
        if is_silent {
            self.process.fetch.peer_down(id);
        } else if id.group == self.id.group {
            self.process.fetch.peer_up(id);
        }
        self.read_order(order::Input::PeerSilent { peer: id, is_silent }, fx);
    }

    fn on_message(&mut self, from: Name, message: Message, fx: &mut Effects) {
        match from {
            Name::Sync(id) => self.on_sync(id, message, fx),
            Name::Ndb(id) => self.on_ndb(id, message, fx),
            Name::Entry(_) => self.on_entry(from, message, fx),
        }
    }

    fn on_sync(&mut self, from: SyncId, message: Message, fx: &mut Effects) {
        match message {
            Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                self.read_order(order::Input::Resolved { from, elected }, fx);
            }
            Message::Feed(FeedMessage::Watermark { stamp }) => {
                self.read_order(order::Input::Watermark { from, stamp }, fx);
            }
            Message::Feed(FeedMessage::FeedTrimmed { to }) => {
                self.read_order(order::Input::FeedTrimmed { from, to }, fx);
            }
            Message::Draft(DraftMessage::DraftAnswered { segment, answer }) => {
                self.on_draft_answered(from, segment, answer, fx);
            }
            other => panic!("a sync node says {} to an ndb node", other.name()),
        }
    }

    fn on_draft_answered(
        &mut self,
        from: SyncId,
        segment: SegmentId,
        answer: DraftAnswer,
        fx: &mut Effects,
    ) {
        if !self.process.replica.is_pending(segment) || answer == DraftAnswer::Elected {
            return;
        }
        let by = self.process.expired.entry(segment).or_default();
        by.insert(from);
        if by.len() < self.membership.quorum() {
            return;
        }
        self.process.expired.remove(&segment);
        self.out.count(Counted::OwnerExpired);
        self.tell_owner(
            segment.owner,
            &Message::Draft(DraftMessage::DraftAnswered { segment, answer }),
        );
        self.process.fetch.got(segment);
        self.process.replica.step(Input::Expired { segment }, fx);
    }

    fn on_ndb(&mut self, from: NdbId, message: Message, fx: &mut Effects) {
        let peer = Name::Ndb(from);
        match message {
            Message::Node(NodeMessage::NdbStanding { .. }) => {}
            Message::Replica(ReplicaMessage::FetchOrder { from: first }) => {
                self.serve_order(peer, first)
            }
            Message::Replica(ReplicaMessage::OrderRows { first, rows }) => {
                self.read_order(order::Input::Rows { from, first, rows }, fx);
            }
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }) => {
                self.read_order(order::Input::OrderTrimmed { from, asked, base }, fx);
            }
            Message::Replica(ReplicaMessage::FetchSegments { segments }) => {
                self.serve_segments(peer, segments)
            }
            Message::Replica(ReplicaMessage::SegmentBlob { segment, blob }) => {
                self.process
                    .replica
                    .step(Input::Fetched { segment, blob: Blob::from_bytes(blob) }, fx);
            }
            Message::Replica(ReplicaMessage::SegmentsMissing { segments }) => {
                for segment in segments {
                    let is_placed = self.process.replica.missing().contains_key(&segment);
                    if !is_placed && self.process.fetch.is_tired_of(segment) {
                        self.process.fetch.got(segment);
                        self.process.replica.unwant(segment);
                    }
                }
            }
            Message::Replica(ReplicaMessage::OfferSegments { segments }) => {
                self.process.replica.step(Input::Offered { segments }, fx);
            }
            other => panic!("an ndb node says {} to an ndb node", other.name()),
        }
    }

    fn on_entry(&mut self, peer: Name, message: Message, fx: &mut Effects) {
        let Some(from) = self.process.linked.get(&peer).copied().flatten() else { return };
        let input = match message {
            Message::Publish(PublishMessage::BeginAdvanceSegment { segment, .. }) => {
                Input::Begin { from, segment }
            }
            Message::Publish(PublishMessage::KeepAdvanceHistory {
                segment,
                offset,
                topics,
                count,
                records,
            }) => Input::Keep { from, segment, offset, topics, count, records },
            Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => {
                Input::Over { from, meta }
            }
            Message::Publish(PublishMessage::AwaitDurable { segment }) => {
                return self.on_await_durable(segment);
            }
            Message::Read(ReadMessage::InterestPart { add, remove }) => {
                let parts = self.process.parts.entry(peer).or_default();
                parts.0.extend(add);
                parts.1.extend(remove);
                return;
            }
            Message::Read(ReadMessage::FollowTail { from, topics }) => {
                let (mut all, _) = self.process.parts.remove(&peer).unwrap_or_default();
                all.extend(topics);
                let mut sends = Vec::new();
                let tail = Tail::open(&self.process.view, from, &all, &mut sends);
                self.process.tails.insert(peer, tail);
                return self.tell_all(peer, sends);
            }
            Message::Read(ReadMessage::ChangeInterest { version, add, remove }) => {
                let (mut adds, mut removes) = self.process.parts.remove(&peer).unwrap_or_default();
                adds.extend(add);
                removes.extend(remove);
                let mut sends = Vec::new();
                if let Some(tail) = self.process.tails.get_mut(&peer) {
                    tail.change(version, &adds, &removes, &mut sends);
                }
                return self.tell_all(peer, sends);
            }
            Message::Read(ReadMessage::ReadHistory { request, query }) => {
                let mut findings = Findings::default();
                let (segments, end) = tail::history(self.source(), &query, &mut findings);
                for segment in segments {
                    self.out.send(
                        peer,
                        Message::Read(ReadMessage::HistorySegment { request, segment }),
                    );
                }
                self.out.send(peer, Message::Read(ReadMessage::HistoryEnd { request, end }));
                return findings.damaged.into_iter().for_each(|lost| self.lose_once(lost));
            }
            Message::Replica(ReplicaMessage::FetchOrder { from: first }) => {
                return self.serve_order(peer, first);
            }
            other => panic!("an entry says {} to an ndb node", other.name()),
        };
        self.process.replica.step(input, fx);
    }

    fn tell_all(&mut self, peer: Name, messages: Vec<Message>) {
        self.out.sends.extend(messages.into_iter().map(|message| (peer, message)));
    }

    /// The links of the entry that an owner is of.
    fn tell_owner(&mut self, owner: OwnerId, message: &Message) {
        let linked = self.process.linked.iter();
        let meant = linked.filter(|(_, of)| of.is_some_and(|of| owner.is_of_entry(of)));
        self.out.sends.extend(meant.map(|(peer, _)| (*peer, message.clone())));
    }

    fn tell_sync(&mut self, message: &Message) {
        let linked = self.process.linked.keys();
        let meant = linked.filter(|peer| matches!(peer, Name::Sync(_)));
        self.out.sends.extend(meant.map(|peer| (*peer, message.clone())));
    }

    fn on_await_durable(&mut self, segment: SegmentId) {
        if self.process.replica.durable(segment).is_some() {
            self.tell_owner(
                segment.owner,
                &Message::Publish(PublishMessage::SegmentDurable { segment }),
            );
        } else if !self.process.replica.is_placed(segment) {
            self.process.awaited.insert(segment);
        }
    }

    /// Steps what reads the order, and the replica with what that has learned.
    fn read_order(&mut self, input: order::Input, fx: &mut Effects) {
        let mut read = order::Effects::default();
        self.process.reader.step(input, self.now.instant, &mut read);
        for elected in read.learned {
            self.process.learned_to = self.process.learned_to.max(elected.stamp());
            self.process.replica.step(Input::Elected { elected }, fx);
        }
        for placed in read.placed {
            self.out.facts.push(Fact::Placed(placed));
            self.process.replica.step(Input::Placed { placed }, fx);
        }
        for (feed, after) in read.follows {
            let after = match self.mutant {
                Some(Mutant::FollowsFromAhead) => after.max(self.process.learned_to),
                _ => after,
            };
            self.out.send(Name::Sync(feed), Message::Feed(FeedMessage::FollowFeed { after }));
        }
        for (peer, from) in read.fetches {
            self.out.send(Name::Ndb(peer), Message::Replica(ReplicaMessage::FetchOrder { from }));
        }
        super::note_order(&read.notes, self.out);
        if let Some(base) = read.left_behind {
            self.rebase(base, fx);
        }
    }

    fn rebase(&mut self, base: OrderBase, fx: &mut Effects) {
        self.out.count(Counted::Rebased);
        // What is placed so far goes to disk before: after that its rows have no place there.
        self.settle(std::mem::take(fx));
        self.process.replica.step(Input::Rebase { base }, fx);
        self.process.view.rebase(base);
        self.hand_over_rows();
        self.hand_over(vec![Job::Rebase(base)]);
        self.read_order(order::Input::Rebase { base }, fx);
    }

    /// What is too old goes, as far as it is on disk here.
    fn trim(&mut self) {
        let upto = self.process.too_old.min(self.disk.head.stamp);
        if upto > self.disk.base.stamp {
            self.hand_over(vec![Job::Trim(upto)]);
        }
    }

    fn on_written(&mut self, jobs: usize, fx: &mut Effects) {
        let head = self.disk.head;
        let mut stored = Vec::new();
        for job in self.process.writing.drain(..jobs) {
            if let Job::Store(store) = &job {
                stored.push(store.meta.id);
            }
            self.disk.apply(job);
        }
        for segment in stored {
            // Its bytes are read from disk from now on.
            if let Some((_, seen)) = self.process.view.find(segment)
                && matches!(seen.body, Body::Memory(_))
            {
                seen.body = Body::Stored;
            }
            if self.mutant != Some(Mutant::DraftBeforeCommit) {
                self.process.replica.step(Input::Committed { segment }, fx);
            }
        }
        if self.disk.base.next > self.process.view.base.next {
            self.out.count(Counted::Trimmed);
            self.out.facts.push(Fact::Trimmed { first: self.disk.base.next });
            let gone = self.process.replica.missing().values();
            let gone: Vec<_> =
                gone.filter(|lost| lost.first < self.disk.base.next).map(|l| l.meta.id).collect();
            gone.into_iter().for_each(|segment| self.process.fetch.got(segment));
            self.process.replica.trim(self.disk.base.next);
            self.process.view.trim(self.disk.base);
        }
        if self.disk.head != head {
            self.tell_sync(&Message::Draft(DraftMessage::OrderApplied {
                stamp: self.disk.head.stamp,
            }));
        }
    }

    /// Does what the steps owe: writes first.
    fn settle(&mut self, mut fx: Effects) {
        let mut early = Effects::default();
        if self.mutant == Some(Mutant::DraftBeforeCommit) {
            for store in &fx.stores {
                self.process.replica.step(Input::Committed { segment: store.meta.id }, &mut early);
            }
        }
        fx.drafts.extend(early.drafts);
        self.note_placed(&fx);
        for refused in &fx.refused {
            if *refused != Refused::Unwanted {
                self.out.count(Counted::Refused);
            }
        }
        self.hand_over(fx.stores.into_iter().map(Job::Store).collect());
        if self.process.rows_due_us.is_some_and(|at| at <= self.now.us) {
            self.hand_over_rows();
        }
        for segment in &fx.dropped {
            self.process.awaited.remove(segment);
        }
        self.hand_over(fx.dropped.into_iter().map(Job::Drop).collect());
        for (owner, message) in fx.answers {
            self.tell_owner(owner, &message);
            if let (
                Some(Mutant::TrimIsDurable),
                Message::Publish(PublishMessage::TrimAdvanceSegment { segment }),
            ) = (self.mutant, message)
            {
                self.tell_owner(
                    owner,
                    &Message::Publish(PublishMessage::SegmentDurable { segment }),
                );
            }
        }
        for durable in fx.drafts {
            let segment = durable.get().id;
            if self.process.awaited.remove(&segment) {
                self.tell_owner(segment.owner, &durable.id().segment_durable());
            }
            self.tell_sync(&durable.generate_draft());
        }
    }

    fn note_placed(&mut self, fx: &Effects) {
        let now_us = self.now.us;
        let process = &mut *self.process;
        for place in &fx.placed {
            let meta = place.row.elected.meta;
            process.view.push(place.first, place.row, place.body.clone());
            process.rows.push(place.clone());
            process.rows_due_us.get_or_insert(now_us + LAZY_WRITE_US);
            let placed = SegmentId { seq: vixen_core::id::Seq(0), ..meta.id }..=meta.id;
            process.awaited.extract_if(placed, |_| true).for_each(drop);
            if place.body == Body::Missing {
                process.fetch.want(meta.id, now_us);
            } else {
                process.fetch.got(meta.id);
            }
        }
        for segment in &fx.unwanted {
            process.fetch.got(*segment);
        }
        for segment in &fx.wanted {
            process.fetch.want(*segment, now_us);
        }
        for segment in &fx.arrived {
            self.out.count(Counted::Fetched);
            process.fetch.got(*segment);
            let stored = fx.stores.iter().find(|store| store.meta.id == *segment);
            if let (Some(store), Some((_, seen))) = (stored, process.view.find(*segment)) {
                seen.body = Body::Memory(store.blob.clone());
            }
        }
    }

    fn hand_over_rows(&mut self) {
        self.process.rows_due_us = None;
        let rows = std::mem::take(&mut self.process.rows);
        self.hand_over(rows.into_iter().map(Job::Place).collect());
    }

    fn hand_over(&mut self, jobs: Vec<Job>) {
        self.out.jobs += jobs.len();
        self.process.writing.extend(jobs);
    }

    fn fetch_due(&mut self) {
        for (to, segments) in self.process.fetch.take_due(self.now.us) {
            self.out
                .send(Name::Ndb(to), Message::Replica(ReplicaMessage::FetchSegments { segments }));
        }
    }

    /// What is done once in a while.
    fn round(&mut self) {
        if self.process.round_at_us <= self.now.us {
            self.process.round_at_us = self.now.us + ROUND_US;
            self.trim();
            self.scrub();
            self.offer();
        }
    }

    /// Reads everything stored, and has what is damaged mended.
    fn scrub(&mut self) {
        if self.mutant == Some(Mutant::DamageUnnoticed) {
            return;
        }
        let mut fx = Effects::default();
        for meta in self.disk.damaged() {
            match self.process.view.find(meta.id) {
                Some((first, seen)) if seen.body == Body::Stored => {
                    let lost = Lost { meta, first, stamp: seen.row.elected.stamp() };
                    self.lose_once(lost);
                }
                // On its way from a peer, or of another group, and gone when its row is on disk.
                Some(_) => {}
                None if self.process.replica.lose_pending(meta, &mut fx) => {
                    self.out.count(Counted::Damaged);
                    self.hand_over(vec![Job::Drop(meta.id)]);
                }
                None => {}
            }
        }
        self.settle(fx);
    }

    /// Segments that stay without a place are offered to the group.
    fn offer(&mut self) {
        let unresolved = self.process.replica.unresolved();
        let unresolved: Vec<_> = unresolved.map(|durable| durable.get()).collect();
        let before = std::mem::take(&mut self.process.lingering);
        let segments: Vec<_> =
            unresolved.iter().filter(|meta| before.contains(&meta.id)).copied().collect();
        self.process.lingering = unresolved.iter().map(|meta| meta.id).collect();
        if segments.is_empty() {
            return;
        }
        for peer in self.process.linked.keys() {
            if matches!(peer, Name::Ndb(id) if id.group == self.id.group) {
                let segments = segments.clone();
                self.out
                    .sends
                    .push((*peer, Message::Replica(ReplicaMessage::OfferSegments { segments })));
            }
        }
    }

    fn serve_order(&mut self, peer: Name, from: vixen_core::id::Position) {
        let message = match self.disk.order_from(from, ROWS_MAX) {
            Ok(rows) => Message::Replica(ReplicaMessage::OrderRows { first: from, rows }),
            Err(base) => Message::Replica(ReplicaMessage::OrderTrimmed { asked: from, base }),
        };
        self.out.send(peer, message);
    }

    fn serve_segments(&mut self, peer: Name, segments: Vec<SegmentId>) {
        let mut absent = Vec::new();
        for segment in segments {
            let held = self.process.replica.blob_of(segment);
            match held.or_else(|| tail::whole(self.disk, segment)) {
                Some(blob) => {
                    let blob = blob.as_bytes().clone();
                    self.out.send(
                        peer,
                        Message::Replica(ReplicaMessage::SegmentBlob { segment, blob }),
                    );
                }
                None => absent.push(segment),
            }
        }
        if !absent.is_empty() {
            self.out
                .send(peer, Message::Replica(ReplicaMessage::SegmentsMissing { segments: absent }));
        }
    }

    fn source(&self) -> Source<'_> {
        Source {
            group: self.id.group,
            view: &self.process.view,
            disk: self.disk,
            is_careless: self.mutant == Some(Mutant::DamageUnnoticed),
        }
    }

    fn run_tails(&mut self) {
        let mut tails = std::mem::take(&mut self.process.tails);
        let mut findings = Findings::default();
        for (peer, tail) in &mut tails {
            let mut sends = Vec::new();
            tail.advance(self.source(), &mut findings, &mut sends);
            self.tell_all(*peer, sends);
        }
        self.process.tails = tails;
        findings.damaged.into_iter().for_each(|lost| self.lose_once(lost));
    }

    /// What a reader found damaged is asked of peers. Every reader that comes across it says so.
    fn lose_once(&mut self, lost: Lost) {
        if self.process.replica.missing().contains_key(&lost.meta.id) {
            return;
        }
        self.out.count(Counted::Damaged);
        let _a_place_is_lost = self.process.replica.lose(lost);
        self.process.fetch.want(lost.meta.id, self.now.us);
        if let Some(seen) = self.process.view.rows.get_mut(&lost.first) {
            seen.body = Body::Missing;
        }
        self.hand_over(vec![Job::Lose(lost)]);
    }

    /// Whether new segments are taken.
    fn tell_standing(&mut self) {
        let process = &mut *self.process;
        let is_heard =
            |peer: &&Name| matches!(peer, Name::Sync(_)) && !process.silent.contains(peer);
        let feeds = process.linked.keys().filter(is_heard).count();
        let standing = if process.is_full {
            NdbStanding::DiskFull
        } else if feeds < self.membership.quorum() {
            NdbStanding::NoFeeds
        } else {
            NdbStanding::Willing
        };
        if standing != process.standing {
            process.standing = standing;
            process.replica.set_willing(standing != NdbStanding::DiskFull);
            let told = process
                .linked
                .keys()
                .map(|peer| (*peer, Message::Node(NodeMessage::NdbStanding { standing })));
            self.out.sends.extend(told);
        }
    }
}
