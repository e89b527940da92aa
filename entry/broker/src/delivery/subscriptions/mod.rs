//! Subscriptions: which session wants which topics, and since which interest.
//!
//! A pattern is *asked* for with a numbered change of the interest and *applied* once every tail
//! carries that change. Only then do its sessions hear of their subscriptions. Each is one of two:
//! - *live*: it gets the events as they come,
//! - *replaying*: it reads what is stored, and gets nothing until it joins.
//!
//! Sessions that want the same pattern share a subscription. One of its own has a session that
//! already has the shared one and wants to read the past beside it.

mod heard;
mod interests;
mod limits;
mod look;
mod shares;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::id::Position;
use vixen_core::patterns::{PatternIndex, Steps};
use vixen_core::segment::{Match, Topic, TopicPattern};
use vixen_core::time::WallTime;

use super::numbers::{Numbering, Numbers};
use crate::api::{
    JoinId, Origin, Outgoing, RequestId, RequestKind, SessionId, SubscribeError, SubscribeMode,
    SubscriptionId,
};
use crate::event::Target;
pub use heard::Change;
use heard::Hearers;
use interests::Interests;
use limits::PatternCounts;
pub use limits::SubscriptionLimits;
use shares::{Part, Shares};

/// Where the answers to sessions go.
type Answers = Vec<(SessionId, Outgoing)>;

/// Where the order stands at this entry.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Now {
    /// The change of the interest that every tail carries.
    pub(super) applied: u64,
    /// Everything of interest before it is delivered.
    pub(super) passed: Position,
    /// No tail is further.
    pub(super) furthest: Position,
    /// The end of what is known to be placed.
    pub(super) end: Position,
    /// The time.
    pub(super) time: WallTime,
}

/// Who sends a SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asker {
    pub(super) session: SessionId,
    /// Where its client is; the same for all that it sends.
    pub(super) origin: Origin,
    pub(super) request: RequestId,
}

/// What sessions have subscribed.
#[derive(Debug)]
struct Wanted {
    pattern: TopicPattern,
    /// Of one session alone.
    is_private: bool,
    /// Tails need not carry it: it is never live.
    is_snapshot: bool,
    /// When its first session was told of it.
    created: WallTime,
    /// Get events.
    live: BTreeSet<SessionId>,
    /// Read what is stored.
    replaying: BTreeSet<SessionId>,
    /// To be told once the interest is applied, in order.
    waiting: Vec<(SessionId, RequestId, SubscribeMode)>,
}

/// The subscriptions of one pattern.
#[derive(Debug, Default)]
struct OfPattern {
    shared: Option<SubscriptionId>,
    private: BTreeSet<SubscriptionId>,
}

/// What one session has, told or waiting.
#[derive(Debug)]
struct Held {
    /// Where its client is.
    origin: Origin,
    all: BTreeSet<SubscriptionId>,
    /// Number of those that are no exact topics.
    patterns: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subscriptions {
    limits: SubscriptionLimits,
    numbers: Numbers,
    wanted: BTreeMap<SubscriptionId, Wanted>,
    by_realm: BTreeMap<Arc<str>, BTreeSet<SubscriptionId>>,
    index: PatternIndex<OfPattern>,
    sessions: BTreeMap<SessionId, Held>,
    interests: Interests,
    counts: PatternCounts,
    shares: Shares,
    /// Number of those that are of entries alone.
    of_entries: usize,
    hearers: Hearers,
    /// What others may hear of.
    changes: Vec<Change>,
}

impl Wanted {
    fn new(pattern: TopicPattern, is_private: bool, is_snapshot: bool) -> Self {
        let (live, replaying) = (BTreeSet::new(), BTreeSet::new());
        let created = WallTime(0);
        Self { pattern, is_private, is_snapshot, created, live, replaying, waiting: Vec::new() }
    }

    /// What a session that has it has of it.
    const fn part(&self, origin: Origin) -> Part<'_> {
        Part { origin, pattern: &self.pattern, is_snapshot: self.is_snapshot }
    }

    fn is_idle(&self) -> bool {
        self.live.is_empty() && self.replaying.is_empty() && self.waiting.is_empty()
    }

    fn has_told(&self) -> bool {
        !self.live.is_empty() || !self.replaying.is_empty()
    }
}

impl Held {
    const fn new(origin: Origin) -> Self {
        Self { origin, all: BTreeSet::new(), patterns: 0 }
    }
}

impl OfPattern {
    fn ids(&self) -> impl Iterator<Item = SubscriptionId> {
        self.shared.iter().chain(&self.private).copied()
    }
}

impl Subscriptions {
    pub(super) fn new(limits: SubscriptionLimits, numbering: &Numbering) -> Self {
        Self {
            limits,
            numbers: Numbers::new(numbering),
            wanted: BTreeMap::new(),
            by_realm: BTreeMap::new(),
            index: PatternIndex::new(),
            sessions: BTreeMap::new(),
            interests: Interests::default(),
            counts: PatternCounts::default(),
            shares: Shares::default(),
            of_entries: 0,
            hearers: Hearers::default(),
            changes: Vec::new(),
        }
    }

    /// Takes a SUBSCRIBE. Without an answer it waits for the interest.
    pub(super) fn subscribe(
        &mut self,
        asker: Asker,
        pattern: TopicPattern,
        mode: SubscribeMode,
        now: Now,
        answers: &mut Answers,
    ) {
        let Asker { session, origin, request } = asker;
        let shared = self.index.get(&pattern).and_then(|of_pattern| of_pattern.shared);
        let has_shared = shared.is_some_and(|id| self.holds(session, id));
        let is_private = match mode {
            SubscribeMode::Live => false,
            SubscribeMode::Replay => has_shared,
            SubscribeMode::PrivateReplay | SubscribeMode::Snapshot => true,
        };
        let known = shared.filter(|_| !is_private);
        let is_new_to_session = known.is_none() || !has_shared;
        if is_new_to_session && let Err(error) = self.admit(asker, &pattern, mode, known) {
            answers.push((
                session,
                Outgoing::Refused { request, kind: RequestKind::Subscribe, error },
            ));
            return;
        }
        let id = known.unwrap_or_else(|| self.add(pattern, is_private, mode));
        let Some(wanted) = self.wanted.get_mut(&id) else { return };
        let held = self.sessions.entry(session).or_insert_with(|| Held::new(origin));
        if held.all.insert(id) {
            held.patterns += usize::from(!wanted.pattern.is_exact());
            self.shares.add(id, wanted.part(held.origin));
        }
        wanted.waiting.push((session, request, mode));
        self.tell(id, now, answers);
    }

    fn holds(&self, session: SessionId, id: SubscriptionId) -> bool {
        self.sessions.get(&session).is_some_and(|held| held.all.contains(&id))
    }

    /// Whether a session may have one more subscription: this `known` one, or one that is new to the
    /// entry.
    fn admit(
        &self,
        Asker { session, origin, .. }: Asker,
        pattern: &TopicPattern,
        mode: SubscribeMode,
        known: Option<SubscriptionId>,
    ) -> Result<(), SubscribeError> {
        if pattern.is_of_entries() {
            // It is this entry itself that wants it.
            return Ok(());
        }
        let limits = &self.limits;
        let (all, patterns) =
            self.sessions.get(&session).map_or((0, 0), |held| (held.all.len(), held.patterns));
        if all >= limits.per_session_max {
            return Err(SubscribeError::TooMany { max: limits.per_session_max });
        }
        let max = limits.patterns_per_session_max;
        if !pattern.is_exact() && patterns >= max {
            return Err(SubscribeError::TooManyPatternsOfSession { max });
        }
        let is_snapshot = mode == SubscribeMode::Snapshot;
        self.shares.admit(known, Part { origin, pattern, is_snapshot }, limits)?;
        if known.is_some() {
            return Ok(());
        }
        self.counts.admit(pattern, limits)?;
        let steps = self.index.cost_with(pattern);
        let max = limits.wildcard_steps_max;
        if steps > max && steps > self.index.cost(&pattern.realm) {
            return Err(SubscribeError::TooManyShapes { max });
        }
        if is_snapshot { Ok(()) } else { self.interests.admit(pattern, limits) }
    }

    fn add(
        &mut self,
        pattern: TopicPattern,
        is_private: bool,
        mode: SubscribeMode,
    ) -> SubscriptionId {
        let is_free = |number| !self.wanted.contains_key(&SubscriptionId(number));
        let id = SubscriptionId(if is_private {
            self.numbers.next(is_free)
        } else {
            self.numbers.of(&pattern, is_free)
        });
        if self.index.get(&pattern).is_none() {
            self.index.insert(&pattern, OfPattern::default());
        }
        if let Some(of_pattern) = self.index.get_mut(&pattern) {
            if is_private {
                of_pattern.private.insert(id);
            } else {
                of_pattern.shared = Some(id);
            }
        }
        self.counts.add(&pattern);
        self.enter_realm(&pattern.realm, id);
        self.of_entries += usize::from(pattern.is_of_entries());
        let is_snapshot = mode == SubscribeMode::Snapshot;
        if !is_snapshot {
            self.interests.add_user(&pattern);
            self.hearers.add(&pattern);
        }
        self.wanted.insert(id, Wanted::new(pattern, is_private, is_snapshot));
        id
    }

    /// Answers those who wait for a subscription, if its interest is applied.
    fn tell(&mut self, id: SubscriptionId, now: Now, answers: &mut Answers) {
        let Some(wanted) = self.wanted.get_mut(&id) else { return };
        if wanted.waiting.is_empty() {
            return;
        }
        let live_from = if wanted.is_snapshot {
            now.end
        } else {
            let Some(interest) = self.interests.applied(&wanted.pattern, now.applied) else {
                self.interests.await_applied(&wanted.pattern);
                return;
            };
            let complete_from = *interest.complete_from.get_or_insert(now.furthest);
            complete_from.max(now.passed)
        };
        let is_heard = self.hearers.hear(&wanted.pattern.realm);
        for (session, request, mode) in std::mem::take(&mut wanted.waiting) {
            let was_told = wanted.has_told();
            if !was_told {
                wanted.created = now.time;
            }
            let is_new = if mode == SubscribeMode::Live {
                !wanted.replaying.contains(&session) && wanted.live.insert(session)
            } else {
                wanted.replaying.insert(session)
            };
            let end = now.end.max(now.passed);
            // A tail that nobody waited for is behind: what was placed before is of the past.
            let live_from =
                if mode == SubscribeMode::Live { live_from.max(end) } else { live_from };
            let told = Outgoing::Subscribed { request, subscription: id, live_from, end };
            answers.push((session, told));
            if is_new && is_heard {
                let pattern = || wanted.pattern.clone();
                if !was_told {
                    let pattern = pattern();
                    self.changes.push(Change::Created { session, subscription: id, pattern });
                }
                let pattern = pattern();
                self.changes.push(Change::Subscribed { session, subscription: id, pattern });
            }
        }
    }

    /// Makes subscriptions live that were replaying.
    pub(super) fn join(
        &mut self,
        session: SessionId,
        join: JoinId,
        subscriptions: &[SubscriptionId],
        now: Now,
        answers: &mut Answers,
    ) {
        let mut from = now.passed;
        for id in subscriptions {
            let Some(wanted) = self.wanted.get_mut(id) else { continue };
            if wanted.replaying.remove(&session) {
                wanted.live.insert(session);
            } else if !wanted.live.contains(&session) {
                continue;
            }
            // Live already: by a join for what it had under the same number before.
            // It was told of the subscription, so the interest was applied then.
            let interest = self.interests.get(&wanted.pattern);
            let complete_from = interest.and_then(|interest| interest.complete_from);
            from = from.max(complete_from.unwrap_or(now.furthest));
        }
        answers.push((session, Outgoing::Joined { join, from }));
    }

    /// Sessions that get something live.
    pub(super) fn live_sessions(&self) -> Vec<SessionId> {
        let is_live = |id: &SubscriptionId, session: &SessionId| {
            self.wanted.get(id).is_some_and(|wanted| wanted.live.contains(session))
        };
        let live = self.sessions.iter();
        let live = live.filter(|(session, held)| held.all.iter().any(|id| is_live(id, session)));
        live.map(|(session, _)| *session).collect()
    }

    /// A session was left out from `from` on: all it had live is replaying now.
    pub(super) fn lag(&mut self, session: SessionId, from: Position, answers: &mut Answers) {
        let mut subscriptions = Vec::new();
        for id in self.sessions.get(&session).into_iter().flat_map(|held| &held.all) {
            let Some(wanted) = self.wanted.get_mut(id) else { continue };
            if wanted.live.remove(&session) {
                wanted.replaying.insert(session);
                subscriptions.push(*id);
            }
        }
        answers.push((session, Outgoing::Lagging { from, subscriptions }));
    }

    /// Takes an UNSUBSCRIBE. One whose SUBSCRIBED was not sent yet names nothing.
    pub(super) fn unsubscribe(
        &mut self,
        session: SessionId,
        request: RequestId,
        subscription: SubscriptionId,
    ) -> Outgoing {
        let wanted = self.wanted.get_mut(&subscription);
        let wanted = wanted
            .filter(|wanted| wanted.live.contains(&session) || wanted.replaying.contains(&session));
        let Some(wanted) = wanted else {
            let error = SubscribeError::NoSuchSubscription;
            return Outgoing::Refused { request, kind: RequestKind::Unsubscribe, error };
        };
        wanted.live.remove(&session);
        wanted.replaying.remove(&session);
        // One that has asked again meanwhile will be told, and holds it still.
        let is_waiting = wanted.waiting.iter().any(|(waiting, _, _)| *waiting == session);
        if let Some(held) = self.sessions.get_mut(&session).filter(|_| !is_waiting) {
            if held.all.remove(&subscription) {
                self.shares.remove(subscription, wanted.part(held.origin));
            }
            held.patterns -= usize::from(!wanted.pattern.is_exact());
            if held.all.is_empty() {
                self.sessions.remove(&session);
            }
        }
        self.left(session, subscription);
        Outgoing::Unsubscribed { request }
    }

    /// Forgets a session and all it wanted.
    pub(super) fn remove_session(&mut self, session: SessionId) {
        let Some(held) = self.sessions.remove(&session) else { return };
        for id in held.all {
            let Some(wanted) = self.wanted.get_mut(&id) else { continue };
            self.shares.remove(id, wanted.part(held.origin));
            let was_told = wanted.live.remove(&session) | wanted.replaying.remove(&session);
            wanted.waiting.retain(|(waiting, _, _)| *waiting != session);
            if was_told {
                self.left(session, id);
            } else {
                self.drop_idle(id);
            }
        }
    }

    /// A session has left a subscription that it was told of.
    fn left(&mut self, session: SessionId, subscription: SubscriptionId) {
        let heard = self.wanted.get(&subscription);
        let heard = heard.filter(|wanted| self.hearers.hear(&wanted.pattern.realm));
        if let Some(wanted) = heard {
            let pattern = || wanted.pattern.clone();
            self.changes.push(Change::Unsubscribed { session, subscription, pattern: pattern() });
            if !wanted.has_told() {
                self.changes.push(Change::Deleted { session, subscription, pattern: pattern() });
            }
        }
        self.drop_idle(subscription);
    }

    fn drop_idle(&mut self, id: SubscriptionId) {
        if !self.wanted.get(&id).is_some_and(Wanted::is_idle) {
            return;
        }
        let Some(Wanted { pattern, is_snapshot, .. }) = self.wanted.remove(&id) else { return };
        if let Some(of_pattern) = self.index.get_mut(&pattern) {
            of_pattern.private.remove(&id);
            of_pattern.shared = of_pattern.shared.filter(|shared| *shared != id);
            if of_pattern.ids().next().is_none() {
                self.index.remove(&pattern);
            }
        }
        self.counts.remove(&pattern);
        self.leave_realm(&pattern.realm, id);
        self.of_entries -= usize::from(pattern.is_of_entries());
        if is_snapshot {
            return;
        }
        self.interests.remove_user(&pattern);
        self.hearers.remove(&pattern);
    }

    /// What the interest with number `version` adds and removes; `None` when nothing changed, and
    /// the number is not used.
    pub(super) fn change(
        &mut self,
        version: u64,
    ) -> Option<(Vec<TopicPattern>, Vec<TopicPattern>)> {
        self.interests.change(version)
    }

    /// Tells the waiting sessions whose patterns the interest has by now.
    pub(super) fn apply(&mut self, now: Now, answers: &mut Answers) {
        for pattern in self.interests.apply(now.applied, now.furthest) {
            let ids: Vec<_> =
                self.index.get(&pattern).into_iter().flat_map(OfPattern::ids).collect();
            ids.into_iter().for_each(|id| self.tell(id, now, answers));
        }
    }

    /// The subscriptions with live sessions that have the topic, and these sessions, by number; and
    /// what it took to find them.
    pub(super) fn of(&self, topic: &Topic) -> (Vec<(Target, &BTreeSet<SessionId>)>, Steps) {
        let mut found = Vec::new();
        let steps = self.index.for_each(topic, |of_pattern| {
            for subscription in of_pattern.ids() {
                let live = self.wanted.get(&subscription).filter(|wanted| !wanted.live.is_empty());
                found.extend(live.map(|wanted| {
                    let names_topic = wanted.pattern.matching != Match::Exact;
                    (Target { subscription, names_topic }, &wanted.live)
                }));
            }
        });
        found.sort_unstable_by_key(|(target, _)| target.subscription);
        (found, steps)
    }

    /// Whether anybody in a realm may have subscribed what the router says of itself.
    pub(super) fn hears_meta(&self, realm: &str) -> bool {
        self.hearers.are_here(realm)
    }

    /// What happened since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// All patterns asked for.
    pub(super) fn interest(&self) -> Vec<TopicPattern> {
        self.interests.all_asked()
    }

    /// Whether anything is asked for.
    pub(super) const fn has_interest(&self) -> bool {
        self.interests.is_any_asked()
    }

    /// Whether anything is asked for that somebody waits for.
    pub(super) const fn is_awaited(&self) -> bool {
        self.interests.is_any_awaited()
    }

    /// Number of subscriptions of clients.
    pub(super) fn len(&self) -> usize {
        self.wanted.len() - self.of_entries
    }

    /// Number of subscriptions that are no exact topics.
    pub(super) const fn patterns(&self) -> usize {
        self.counts.all()
    }

    /// Bytes of all patterns that tails carry, or will.
    pub(super) const fn interest_bytes(&self) -> usize {
        self.interests.bytes()
    }

    /// Asserts what the module promises; walks everything.
    pub(super) fn check(&self) {
        let mut users = BTreeMap::new();
        for (id, wanted) in &self.wanted {
            let of_pattern = self.index.get(&wanted.pattern).expect("D1: patterns name their ids");
            let is_shared = of_pattern.shared == Some(*id);
            assert_eq!(is_shared, !wanted.is_private, "D1: shared or private");
            assert!(is_shared || of_pattern.private.contains(id), "D1: patterns name their ids");
            assert!(!wanted.is_idle(), "D1: what nobody wants is gone");
            assert!(wanted.live.is_disjoint(&wanted.replaying), "D1: live or replaying");
            let waiting = wanted.waiting.iter().map(|(session, _, _)| session);
            for session in wanted.live.iter().chain(&wanted.replaying).chain(waiting) {
                assert!(self.holds(*session, *id), "D1: both ways");
            }
            if !wanted.is_snapshot {
                *users.entry(wanted.pattern.clone()).or_default() += 1;
            }
        }
        for held in self.sessions.values() {
            let patterns = held.all.iter().filter(|id| !self.wanted[id].pattern.is_exact());
            assert_eq!(held.patterns, patterns.count(), "D1: patterns of a session");
        }
        let parts = self
            .sessions
            .values()
            .flat_map(|held| held.all.iter().map(|id| (*id, self.wanted[id].part(held.origin))));
        self.shares.check(parts);
        self.interests.check(&users);
        self.counts.check(self.wanted.values().map(|wanted| wanted.pattern.clone()));
        let of_realms = self.by_realm.iter();
        let of_realms = of_realms.flat_map(|(realm, all)| all.iter().map(move |id| (realm, *id)));
        let mut of_realms: Vec<_> = of_realms.map(|(realm, id)| (id, realm)).collect();
        of_realms.sort_unstable();
        let known = self.wanted.iter().map(|(id, wanted)| (*id, &wanted.pattern.realm));
        assert!(known.eq(of_realms), "D1: each is of its realm");
        let of_entries = self.wanted.values().filter(|wanted| wanted.pattern.is_of_entries());
        assert_eq!(self.of_entries, of_entries.count(), "D1: those of entries");
        let live = self.wanted.values().filter(|wanted| !wanted.is_snapshot);
        self.hearers.check(live.map(|wanted| &wanted.pattern));
    }
}
