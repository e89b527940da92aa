//! Delivery: which session gets which canonical message.
//!
//! Source: DESIGN §6 (interest, tails, merging by position).
//!
//! ```text
//!   sessions --Subscribe--> subscriptions --ChangeInterest--> tails (one a group)
//!   sessions <--Events----- subscriptions <------merge------- tails
//!                                                  ^ the order, from the frontier
//! ```
//! The wanted patterns of all sessions are one interest, changed in numbered steps at each
//! [`Input::Flush`]. A session becomes a subscriber when its `Subscribed` is queued, and that is
//! when every tail that has a linked replica carries the pattern: so nothing published afterwards is
//! missed, and no event comes before SUBSCRIBED. A session that reads the past first joins later,
//! and one that takes events too slowly leaves and joins again: both are told the position from
//! which on they get everything, which is beyond whatever a tail went by before it knew the pattern. A group without a linked replica carries nothing
//! and keeps nobody waiting: when it comes back, its tail is opened with the whole interest from
//! where the merge stands, and the merge has not passed any segment of it. So it is while no group
//! at all is linked. Only until the first tail has told where the order stands, SUBSCRIBED waits.
//!
//! The merge follows the order, not the slowest tail: `merge` says how. So a group that is gone
//! holds back what comes after the first segment of it that nobody here has, and nothing else.
//!
//! Invariants:
//! - D1: topics, ids and sessions of the subscriptions agree.
//! - D2: positions of delivered segments rise, whatever replica they come from.
//! - D3: what a replica says that is not followed now changes nothing.
//! - D4: nothing is queued without interest.
//! - D5: what a replica turns out to have dropped, live subscribers read from the store: nobody goes
//!   without a word past what another replica may have.

mod fan_out;
mod io;
mod merge;
mod numbers;
mod parts;
mod recorded;
mod subscriptions;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use vixen_core::id::{GroupId, NdbId, OwnerId, Position};
use vixen_core::membership::Membership;
use vixen_core::segment::{Topic, TopicPattern};
use vixen_core::time::WallTime;
use vixen_core::wire::{Message, ReadMessage, TailSegment};

use crate::api::{Outgoing, SessionId, SubscriptionId};
use crate::event::{Built, EventBatch, RouterEvent, Target, build};
pub use io::{Effects, Input, Note, Slot, TailStatus};
use merge::{Merge, Taken};
pub use numbers::Numbering;
use parts::send_parts;
use subscriptions::{Asker, Now, Subscriptions};
pub use subscriptions::{Change, SubscriptionLimits};
use tail::{Interest, Tail};

/// What does not change while an entry runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeliveryOptions {
    /// This entry; spreads entries over the replicas.
    pub owner: OwnerId,
    /// Who stores; at least one group.
    pub membership: Membership,
    /// How much subscriptions may take.
    pub subscriptions: SubscriptionLimits,
    /// How they are numbered.
    pub numbering: Numbering,
    /// Bytes of segments that wait for one of another group, about.
    pub waiting_bytes_max: usize,
}

/// See the module.
#[derive(Debug)]
pub struct Delivery {
    subscriptions: Subscriptions,
    tails: BTreeMap<GroupId, Tail>,
    /// Number of the last change of the interest.
    version: u64,
    /// The position after the last placed segment. Unknown until the first tail is open.
    frontier: Option<Position>,
    merge: Merge,
    /// Before it, a replica had dropped something that no tail has brought: nobody is live there.
    complete_from: Position,
    waiting_bytes_max: usize,
}

impl Delivery {
    /// Nobody is subscribed and no tail is open.
    #[must_use]
    pub fn new(options: &DeliveryOptions) -> Self {
        let spread = options.owner.0.as_u128();
        let tails = options
            .membership
            .groups()
            .map(|(group, members)| (group, Tail::new(group, members.to_vec(), spread)));
        Self {
            subscriptions: Subscriptions::new(options.subscriptions, &options.numbering),
            tails: tails.collect(),
            version: 0,
            frontier: None,
            merge: Merge::default(),
            complete_from: Position::default(),
            waiting_bytes_max: options.waiting_bytes_max,
        }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::Subscribe { session, origin, request, pattern, mode } => {
                let now = self.now(now);
                let asker = Asker { session, origin, request };
                self.subscriptions.subscribe(asker, pattern, mode, now, &mut fx.outgoing);
            }
            Input::Join { session, join, subscriptions } => {
                let now = self.now(now);
                self.subscriptions.join(session, join, &subscriptions, now, &mut fx.outgoing);
            }
            Input::Lag { session, from } => {
                self.subscriptions.lag(session, from, &mut fx.outgoing);
            }
            Input::Unsubscribe { session, request, subscription } => {
                let answer = self.subscriptions.unsubscribe(session, request, subscription);
                fx.outgoing.push((session, answer));
            }
            Input::SessionClosed { session } => self.subscriptions.remove_session(session),
            Input::NdbUp { ndb } => self.on_ndb_up(now, ndb, fx),
            Input::NdbDown { ndb } => self.on_ndb_down(now, ndb, fx),
            Input::NdbSilent { ndb, is_silent } => self.on_silence(now, ndb, is_silent, fx),
            Input::TailOpened { from, next } => self.on_tail_opened(now, from, next, fx),
            Input::InterestChanged { from, version, next } => {
                self.on_interest_changed(now, from, version, next, fx);
            }
            Input::Segment { from, segment } => self.on_segment(now, from, segment, fx),
            Input::TailPosition { from, next } => self.on_tail_position(now, from, next, fx),
            Input::Placed { slots } => self.on_placed(slots, fx),
            Input::Flush => self.on_flush(now, fx),
            Input::Timeout => self.on_timeout(now, fx),
            Input::HeardElsewhere { realm, is_heard } => {
                self.subscriptions.hear_elsewhere(realm, is_heard);
            }
        }
        fx.notes.extend(self.subscriptions.take_changes().into_iter().map(Note::Changed));
        if !self.subscriptions.has_interest() {
            self.merge.clear();
        }
        // Where nobody waits, a tail says where it is when it likes to.
        let is_awaited = self.subscriptions.is_awaited();
        for tail in self.tails.values_mut() {
            tail.watch(now, self.frontier, is_awaited);
        }
    }

    /// When [`Input::Timeout`] is due; `None` while no tail is behind.
    #[must_use]
    pub fn timeout_at(&self) -> Option<WallTime> {
        self.tails.values().filter_map(Tail::timeout_at).min()
    }

    /// Number of topics that sessions of clients want.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.len()
    }

    /// Number of these that are no exact topics.
    #[must_use]
    pub const fn patterns(&self) -> usize {
        self.subscriptions.patterns()
    }

    /// Bytes of all patterns that tails carry, or will.
    #[must_use]
    pub const fn interest_bytes(&self) -> usize {
        self.subscriptions.interest_bytes()
    }

    /// Whether anybody in a realm may have subscribed what the router says of itself.
    #[must_use]
    pub fn hears_meta(&self, realm: &str) -> bool {
        self.subscriptions.hears_meta(realm)
    }

    /// The subscriptions of a realm that others may know of, by rising ids.
    pub fn all_of(&self, realm: &str) -> impl Iterator<Item = (SubscriptionId, &TopicPattern)> {
        self.subscriptions.all_of(realm)
    }

    /// How many there are, those included that nobody was told of.
    #[must_use]
    pub fn count_of(&self, realm: &str) -> usize {
        self.subscriptions.count_of(realm)
    }

    /// How many sessions have one.
    #[must_use]
    pub fn count_subscribers(&self, realm: &str, id: SubscriptionId) -> Option<usize> {
        self.subscriptions.count_subscribers(realm, id)
    }

    /// Who has them, by rising subscriptions and sessions above these, with what they are of and when they were made; of
    /// each, so many sessions are found at least.
    pub fn holders_after(
        &self,
        realm: &str,
        after: (SubscriptionId, SessionId),
        max: usize,
    ) -> impl Iterator<Item = (SubscriptionId, &TopicPattern, WallTime, Vec<SessionId>)> {
        self.subscriptions.holders_after(realm, after, max)
    }

    /// Realms in which somebody may have subscribed what the router says of itself, and how often these have changed.
    pub fn meta_realms(&self) -> (u64, impl Iterator<Item = &Arc<str>>) {
        self.subscriptions.meta_realms()
    }

    /// Of these, that of just this pattern, and whether it is of one session alone.
    #[must_use]
    pub fn lookup(&self, pattern: &TopicPattern) -> Option<(bool, SubscriptionId)> {
        self.subscriptions.lookup(pattern)
    }

    /// Of these, all that have a topic, by rising ids.
    #[must_use]
    pub fn matching(&self, topic: &Topic) -> Vec<SubscriptionId> {
        self.subscriptions.matching(topic)
    }

    /// What one of them is of, and when it was made.
    #[must_use]
    pub fn details(&self, realm: &str, id: SubscriptionId) -> Option<(&TopicPattern, WallTime)> {
        self.subscriptions.details(realm, id)
    }

    /// Who has one of them, by rising sessions.
    #[must_use]
    pub fn subscribers(&self, realm: &str, id: SubscriptionId) -> Option<Vec<SessionId>> {
        self.subscriptions.subscribers(realm, id)
    }

    /// Where the tails stand.
    pub fn tails(&self) -> impl Iterator<Item = TailStatus> {
        self.tails.values().map(|tail| TailStatus {
            group: tail.group(),
            at: tail.at(),
            next: tail.next(),
        })
    }

    /// The position before which everything of interest is delivered; `None` before the first
    /// interest.
    #[must_use]
    pub const fn passed(&self) -> Option<Position> {
        self.merge.passed()
    }

    /// Number of segments that came and wait for earlier ones.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.merge.waiting()
    }

    /// The group whose segment is the next of the order, where it is known and not here, and where it
    /// begins.
    #[must_use]
    pub fn waits_for(&self) -> Option<(GroupId, Position)> {
        self.merge.waits_for()
    }

    /// Asserts invariants D1 and D4; walks everything, so it is for tests and simulations.
    ///
    /// # Panics
    /// When one does not hold.
    pub fn check(&self) {
        self.subscriptions.check();
        assert!(
            self.subscriptions.has_interest() || self.merge.is_empty(),
            "D4: nothing is queued without interest"
        );
    }

    /// The change of the interest that every tail with a linked replica carries. Without any it is
    /// the last: all tails will be opened with it, from where the merge stands. 0 while that is
    /// not known.
    fn applied(&self) -> u64 {
        let linked = self.tails.values().filter(|tail| tail.is_linked());
        let all = self.frontier.map_or(0, |_| self.version);
        linked.map(Tail::applied).min().unwrap_or(all)
    }

    fn interest(&self) -> Interest {
        Interest { version: self.version, topics: self.subscriptions.interest() }
    }

    /// Where the order stands.
    fn now(&self, time: WallTime) -> Now {
        Now {
            applied: self.applied(),
            passed: self.merge.passed().unwrap_or_default().max(self.complete_from),
            furthest: self.tails.values().filter_map(Tail::next).max().unwrap_or_default(),
            end: self.frontier.unwrap_or_default(),
            time,
        }
    }

    fn on_ndb_up(&mut self, now: WallTime, ndb: NdbId, fx: &mut Effects) {
        let Some(tail) = self.tails.get_mut(&ndb.group) else { return };
        // What this turn has for the link before would be answered on this one, and its answers
        // taken for those to what follows.
        fx.sends.retain(|(to, _)| *to != ndb);
        fx.anew.push(ndb);
        tail.node_up(ndb);
        self.follow_if_lost(now, ndb.group, fx);
    }

    fn on_ndb_down(&mut self, now: WallTime, ndb: NdbId, fx: &mut Effects) {
        let Some(tail) = self.tails.get_mut(&ndb.group) else { return };
        tail.node_down(ndb);
        self.follow_if_lost(now, ndb.group, fx);
        // The last replica of a group keeps nobody waiting any more.
        self.apply(now, fx);
    }

    /// A silent replica is left for another; one that is heard again may be followed again.
    fn on_silence(&mut self, now: WallTime, ndb: NdbId, is_silent: bool, fx: &mut Effects) {
        let Some(tail) = self.tails.get_mut(&ndb.group) else { return };
        tail.node_silent(ndb, is_silent, &mut fx.sends);
        self.follow_if_lost(now, ndb.group, fx);
        // A group of which nobody is heard keeps nobody waiting.
        self.apply(now, fx);
    }

    /// Follows the best linked replica where none is followed.
    fn follow_if_lost(&mut self, now: WallTime, group: GroupId, fx: &mut Effects) {
        // The interest is looked up only where it is told: it may be large, and links flap.
        let Some(tail) = self.tails.get(&group).filter(|tail| tail.at().is_none()) else { return };
        let Some(to) = tail.choose(None) else { return };
        let interest = self.interest();
        let passed = self.merge.passed();
        if let Some(tail) = self.tails.get_mut(&group) {
            tail.follow(now, to, tail.next().max(passed), interest, &mut fx.sends);
            fx.notes.push(Note::TailMoved { group, from: None, to });
        }
    }

    fn on_tail_opened(&mut self, now: WallTime, from: NdbId, next: Position, fx: &mut Effects) {
        // The answer to an earlier question tells it as well, and may stay the only one for long.
        self.begin_order(next);
        let Some(tail) = self.tails.get_mut(&from.group) else { return };
        let Some(count) = tail.opened(now, from, next) else { return };
        // Without interest, nothing was wanted of what it lost.
        if count > 0 && self.subscriptions.has_interest() {
            fx.notes.push(Note::PositionsMissed { from, count });
            self.leave_out_all(next, fx);
        }
        self.apply(now, fx);
        self.deliver(fx);
    }

    /// A replica has nothing before `next` of what comes next for those who are live; another one of its
    /// group may. They read it from the store, or are told that it is gone.
    fn leave_out_all(&mut self, next: Position, fx: &mut Effects) {
        self.complete_from = self.complete_from.max(next);
        let from = self.merge.passed().unwrap_or_default();
        for session in self.subscriptions.live_sessions() {
            self.subscriptions.lag(session, from, &mut fx.outgoing);
        }
    }

    fn on_interest_changed(
        &mut self,
        now: WallTime,
        from: NdbId,
        version: u64,
        next: Position,
        fx: &mut Effects,
    ) {
        let Some(tail) = self.tails.get_mut(&from.group) else { return };
        if tail.is_open_at(from) && version <= self.version {
            tail.interest_changed(version);
            let is_news = tail.raise(now, from, next);
            self.apply(now, fx);
            if is_news {
                self.deliver(fx);
            }
        }
    }

    fn apply(&mut self, now: WallTime, fx: &mut Effects) {
        let now = self.now(now);
        self.subscriptions.apply(now, &mut fx.outgoing);
    }

    fn on_segment(&mut self, now: WallTime, from: NdbId, segment: TailSegment, fx: &mut Effects) {
        let Some(tail) = self.tails.get_mut(&from.group) else { return };
        if !tail.is_open_at(from) {
            return;
        }
        let first = segment.first;
        if tail.next().is_some_and(|next| first < next) {
            fx.notes.push(Note::Repeated);
            return;
        }
        if self.merge.is_full_at(first, self.waiting_bytes_max) {
            // The tail has gone by all that is before. That may be what the others wait for.
            if tail.raise(now, from, first) {
                self.deliver(fx);
            }
            if self.merge.is_full_at(first, self.waiting_bytes_max) {
                // A group that stands before it does not answer. This tail begins here again later.
                if let Some(tail) = self.tails.get_mut(&from.group) {
                    tail.pause();
                }
                return;
            }
        }
        let Some(tail) = self.tails.get_mut(&from.group) else { return };
        tail.raise(now, from, first.plus(segment.count));
        if !self.subscriptions.has_interest() {
            return;
        }
        if !self.merge.arrived(segment) {
            // D2: it stands before all interest, or another group claims what was passed.
            fx.notes.push(Note::Repeated);
        }
        self.deliver(fx);
    }

    fn on_tail_position(&mut self, now: WallTime, from: NdbId, next: Position, fx: &mut Effects) {
        let Some(tail) = self.tails.get_mut(&from.group) else { return };
        if tail.is_open_at(from) && tail.raise(now, from, next) {
            self.deliver(fx);
        }
    }

    fn on_placed(&mut self, slots: Vec<Slot>, fx: &mut Effects) {
        let has_interest = self.subscriptions.has_interest();
        for slot in slots {
            self.begin_order(slot.first);
            self.frontier = self.frontier.max(Some(slot.end()));
            if has_interest {
                self.merge.placed(slot);
            }
        }
        self.deliver(fx);
    }

    /// The first that tells where the order stands is a tail, as for the frontier.
    fn begin_order(&mut self, at: Position) {
        if self.frontier.is_none() {
            self.frontier = Some(at);
            self.merge.begin(self.frontier);
        }
    }

    /// Delivers what nothing can come before.
    fn deliver(&mut self, fx: &mut Effects) {
        if !self.subscriptions.has_interest() {
            return;
        }
        let horizon = self.tails.values().map(Tail::next).min().flatten();
        self.merge.pass_to(horizon);
        // A group that is not of this entry's configuration holds nothing back: it has no tail.
        let next_of = |group| self.tails.get(&group).map_or(Some(Position(u64::MAX)), Tail::next);
        while let Some(taken) = self.merge.take_next(next_of) {
            match taken {
                Taken::Next(segment) => {
                    for session in self.deliver_segment(&segment, fx) {
                        let from = segment.first;
                        self.subscriptions.lag(session, from, &mut fx.outgoing);
                    }
                }
                Taken::Overlaps => fx.notes.push(Note::Repeated),
            }
        }
    }

    /// Returns whom it left out: they are to read the segment from the store.
    fn deliver_segment(&self, segment: &TailSegment, fx: &mut Effects) -> BTreeSet<SessionId> {
        let found = segment.topics.iter().map(|topic| {
            let (subscribed, steps) = self.subscriptions.of(topic);
            fx.steps += steps.0;
            subscribed
        });
        let mut subscribed: Vec<_> = found.collect();
        let mut left_out = BTreeSet::new();
        for topic in fan_out::crowded(segment, &subscribed.iter().map(Vec::len).collect::<Vec<_>>())
        {
            let crowd = std::mem::take(&mut subscribed[topic]);
            left_out.extend(crowd.into_iter().flat_map(|(_, live)| live.iter().copied()));
        }
        if subscribed.iter().all(Vec::is_empty) {
            return left_out;
        }
        let targets: Vec<Vec<Target>> = subscribed
            .iter()
            .map(|of_topic| of_topic.iter().map(|(target, _)| *target).collect())
            .collect();
        let Built { batch, hit, is_malformed, left_out: messages } = build(segment, &targets);
        if messages > 0 {
            fx.notes.push(Note::LeftOut { messages });
        }
        if is_malformed {
            fx.notes.push(Note::Malformed { first: segment.first });
        }
        if batch.events().is_empty() {
            return left_out;
        }
        let events = fan_out::of_clients(segment, &targets, batch.events());
        if events > 0 {
            fx.notes.push(Note::Delivered { events });
        }
        let hit = subscribed.iter().zip(hit).filter(|(_, hit)| *hit);
        let live =
            hit.flat_map(|(of_topic, _)| of_topic).flat_map(|(_, live)| live.iter().copied());
        let sessions: BTreeSet<SessionId> = live.collect();
        let batch = Arc::new(batch);
        let each = sessions.into_iter();
        fx.outgoing.extend(each.map(|session| (session, Outgoing::Events(Arc::clone(&batch)))));
        left_out
    }

    /// An event of the router itself for all who have subscribed its topic; nothing without any.
    pub fn router_event(&self, event: &RouterEvent, outgoing: &mut Vec<(SessionId, Outgoing)>) {
        let (subscribed, _steps) = self.subscriptions.of(&event.topic);
        if subscribed.is_empty() {
            return;
        }
        let targets: Vec<Target> = subscribed.iter().map(|(target, _)| *target).collect();
        let batch = Arc::new(EventBatch::of_router(event, &targets));
        let sessions: BTreeSet<SessionId> =
            subscribed.iter().flat_map(|(_, live)| live.iter().copied()).collect();
        let each = sessions.into_iter();
        outgoing.extend(each.map(|session| (session, Outgoing::Events(Arc::clone(&batch)))));
    }

    fn on_flush(&mut self, now: WallTime, fx: &mut Effects) {
        let was_empty = !self.subscriptions.has_interest();
        let version = self.version + 1;
        let Some((add, remove)) = self.subscriptions.change(version) else { return };
        self.version = version;
        if was_empty {
            self.begin_interest(now, fx);
        } else {
            for to in self.tails.values().filter_map(Tail::at) {
                let (add, remove) = send_parts(to, add.clone(), remove.clone(), &mut fx.sends);
                fx.sends.push((
                    to,
                    Message::Read(ReadMessage::ChangeInterest { version, add, remove }),
                ));
            }
        }
        if !self.tails.values().any(Tail::is_linked) {
            // Nobody will answer.
            self.apply(now, fx);
        }
    }

    /// Opens every tail anew, from the present end: without interest their positions have not moved,
    /// and what stood in between is not for those who come now. Neither is what is placed already:
    /// the merge begins at the frontier, and so does, later, the tail of a group that is gone.
    fn begin_interest(&mut self, now: WallTime, fx: &mut Effects) {
        self.merge.begin(self.frontier);
        let Interest { version, topics } = self.interest();
        for tail in self.tails.values_mut() {
            let Some(to) = tail.at() else { continue };
            let interest = Interest { version, topics: topics.clone() };
            tail.follow(now, to, None, interest, &mut fx.sends);
        }
    }

    fn on_timeout(&mut self, now: WallTime, fx: &mut Effects) {
        let passed = self.merge.passed();
        let mut interest = None;
        for tail in self.tails.values_mut() {
            if !tail.take_stall(now) {
                continue;
            }
            let from = tail.at();
            let same = from.filter(|_| tail.is_paused());
            if let Some(to) = tail.choose(from).or(same) {
                let topics = interest.get_or_insert_with(|| self.subscriptions.interest()).clone();
                let interest = Interest { version: self.version, topics };
                tail.follow(now, to, tail.next().max(passed), interest, &mut fx.sends);
                fx.notes.push(Note::TailMoved { group: tail.group(), from, to });
            }
        }
    }
}

impl Slot {
    /// The position after its last message.
    const fn end(&self) -> Position {
        self.first.plus(self.count)
    }
}
