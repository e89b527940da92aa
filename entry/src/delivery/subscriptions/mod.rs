//! Subscriptions: which session wants which topics, and since which interest.
//!
//! A pattern is *asked* for with a numbered change of the interest and *applied* once every tail
//! carries that change. Only then do its sessions hear of their subscriptions. Each is one of two:
//! - *live*: it gets the events as they come,
//! - *replaying*: it reads what is stored, and gets nothing until it joins.
//!
//! Sessions that want the same pattern share a subscription. One of its own has a session that
//! already has the shared one and wants to read the past beside it.

use std::collections::{BTreeMap, BTreeSet};

use vixen_common::id::Position;
use vixen_common::segment::{Match, Topic, TopicPattern};

use crate::broker::{
    JoinId, Outgoing, RequestId, SessionId, SubscribeError, SubscribeMode, SubscriptionId,
};
use crate::events::Target;

/// WAMP message codes of the requests that can be refused (WAMP spec §3.4).
const SUBSCRIBE: u8 = 32;
const UNSUBSCRIBE: u8 = 34;

/// Where the answers to sessions go.
type Answers = Vec<(SessionId, Outgoing)>;

/// What happened to subscriptions that others may hear of (WAMP spec *Subscription Meta API*).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// The first session has subscribed.
    Created {
        /// The session.
        session: SessionId,
        /// The new subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// A session has subscribed.
    Subscribed {
        /// The session.
        session: SessionId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// A session has a subscription no more.
    Unsubscribed {
        /// The session.
        session: SessionId,
        /// The subscription.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
    /// The last session is gone.
    Deleted {
        /// The session.
        session: SessionId,
        /// The subscription that was.
        subscription: SubscriptionId,
        /// Its topics.
        pattern: TopicPattern,
    },
}

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
}

/// A pattern; one of its own has the number of the subscription beside it.
type Key = (TopicPattern, Option<SubscriptionId>);

/// What sessions have subscribed.
#[derive(Debug)]
struct Wanted {
    id: SubscriptionId,
    /// Get events.
    live: BTreeSet<SessionId>,
    /// Read what is stored.
    replaying: BTreeSet<SessionId>,
    /// To be told once the interest is applied, in order.
    waiting: Vec<(SessionId, RequestId, SubscribeMode)>,
}

/// A pattern that tails carry, or will.
#[derive(Debug, Default)]
struct Interest {
    /// Version of the interest that asked for it; `None` until the next flush.
    asked: Option<u64>,
    /// Before this, tails may have gone by without it. `None` until it is applied.
    complete_from: Option<Position>,
    /// Subscriptions that need it.
    users: usize,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subscriptions {
    per_session_max: usize,
    next_id: u64,
    wanted: BTreeMap<Key, Wanted>,
    by_id: BTreeMap<SubscriptionId, Key>,
    /// All a session wants, told or waiting.
    sessions: BTreeMap<SessionId, BTreeSet<SubscriptionId>>,
    /// Keys of those that are no exact topics: tried one by one.
    patterns: BTreeSet<Key>,
    interests: BTreeMap<TopicPattern, Interest>,
    /// Number of interests asked for.
    asked: usize,
    /// Subscriptions with waiting sessions.
    waiting: BTreeSet<Key>,
    /// Patterns whose place in the interest may change at the next flush.
    touched: BTreeSet<TopicPattern>,
    /// What others may hear of.
    changes: Vec<Change>,
}

impl Wanted {
    fn is_idle(&self) -> bool {
        self.live.is_empty() && self.replaying.is_empty() && self.waiting.is_empty()
    }

    fn has_told(&self) -> bool {
        !self.live.is_empty() || !self.replaying.is_empty()
    }
}

impl Subscriptions {
    pub(super) const fn new(per_session_max: usize) -> Self {
        Self {
            per_session_max,
            next_id: 1,
            wanted: BTreeMap::new(),
            by_id: BTreeMap::new(),
            sessions: BTreeMap::new(),
            patterns: BTreeSet::new(),
            interests: BTreeMap::new(),
            asked: 0,
            waiting: BTreeSet::new(),
            touched: BTreeSet::new(),
            changes: Vec::new(),
        }
    }

    /// Takes a SUBSCRIBE. Without an answer it waits for the interest.
    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        request: RequestId,
        pattern: TopicPattern,
        mode: SubscribeMode,
        now: Now,
        answers: &mut Answers,
    ) {
        let held = self.sessions.entry(session).or_default();
        let shared = self.wanted.get(&(pattern.clone(), None)).map(|wanted| wanted.id);
        let has_shared = shared.is_some_and(|id| held.contains(&id));
        let is_private = match mode {
            SubscribeMode::Live => false,
            SubscribeMode::Replay => has_shared,
            SubscribeMode::PrivateReplay | SubscribeMode::Snapshot => true,
        };
        if (is_private || !has_shared) && held.len() >= self.per_session_max {
            let max = self.per_session_max;
            let error = SubscribeError::TooMany { max };
            answers.push((session, Outgoing::Refused { request, kind: SUBSCRIBE, error }));
            return;
        }
        let known = shared.filter(|_| !is_private);
        let id = known.unwrap_or_else(|| {
            let id = SubscriptionId(self.next_id);
            self.next_id += 1;
            id
        });
        held.insert(id);
        let key = (pattern, is_private.then_some(id));
        if known.is_none() {
            self.add(id, &key, mode);
        }
        let Some(wanted) = self.wanted.get_mut(&key) else { return };
        wanted.waiting.push((session, request, mode));
        self.waiting.insert(key.clone());
        self.tell(&key, now, answers);
    }

    fn add(&mut self, id: SubscriptionId, key: &Key, mode: SubscribeMode) {
        self.by_id.insert(id, key.clone());
        if !key.0.is_exact() {
            self.patterns.insert(key.clone());
        }
        let wanted =
            Wanted { id, live: BTreeSet::new(), replaying: BTreeSet::new(), waiting: Vec::new() };
        self.wanted.insert(key.clone(), wanted);
        if mode != SubscribeMode::Snapshot {
            self.interests.entry(key.0.clone()).or_default().users += 1;
            self.touched.insert(key.0.clone());
        }
    }

    /// Answers those who wait for a subscription, if its interest is applied.
    fn tell(&mut self, key: &Key, now: Now, answers: &mut Answers) {
        let Some(wanted) = self.wanted.get_mut(key) else { return };
        let is_snapshot = |mode| mode == SubscribeMode::Snapshot;
        let live_from = if wanted.waiting.iter().all(|(_, _, mode)| is_snapshot(*mode)) {
            now.end
        } else {
            let interest = self.interests.get_mut(&key.0);
            let Some(interest) = interest.filter(|interest| interest.is_applied(now.applied))
            else {
                return;
            };
            let complete_from = *interest.complete_from.get_or_insert(now.furthest);
            complete_from.max(now.passed)
        };
        let id = wanted.id;
        for (session, request, mode) in wanted.waiting.drain(..) {
            let was_told = !wanted.live.is_empty() || !wanted.replaying.is_empty();
            let is_new = if mode == SubscribeMode::Live {
                !wanted.replaying.contains(&session) && wanted.live.insert(session)
            } else {
                wanted.replaying.insert(session)
            };
            let end = now.end.max(now.passed);
            let told = Outgoing::Subscribed { request, subscription: id, live_from, end };
            answers.push((session, told));
            if is_new {
                let pattern = || key.0.clone();
                if !was_told {
                    let pattern = pattern();
                    self.changes.push(Change::Created { session, subscription: id, pattern });
                }
                let pattern = pattern();
                self.changes.push(Change::Subscribed { session, subscription: id, pattern });
            }
        }
        self.waiting.remove(key);
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
            let Some(key) = self.by_id.get(id) else { continue };
            let Some(wanted) = self.wanted.get_mut(key) else { continue };
            if wanted.replaying.remove(&session) {
                wanted.live.insert(session);
            } else if !wanted.live.contains(&session) {
                continue;
            }
            // Live already: by a join for what it had under the same number before.
            // It was told of the subscription, so the interest was applied then.
            let interest = self.interests.get(&key.0);
            let complete_from = interest.and_then(|interest| interest.complete_from);
            from = from.max(complete_from.unwrap_or(now.furthest));
        }
        answers.push((session, Outgoing::Joined { join, from }));
    }

    /// A session was left out from `from` on: all it had live is replaying now.
    pub(super) fn lag(&mut self, session: SessionId, from: Position, answers: &mut Answers) {
        let mut subscriptions = Vec::new();
        for id in self.sessions.get(&session).into_iter().flatten() {
            let wanted = self.by_id.get(id).and_then(|key| self.wanted.get_mut(key));
            let Some(wanted) = wanted else { continue };
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
        let key = self.by_id.get(&subscription).cloned();
        let wanted = key.as_ref().and_then(|key| self.wanted.get_mut(key));
        let (Some(key), Some(wanted)) = (key, wanted) else {
            let error = SubscribeError::NoSuchSubscription;
            return Outgoing::Refused { request, kind: UNSUBSCRIBE, error };
        };
        if !(wanted.live.remove(&session) | wanted.replaying.remove(&session)) {
            let error = SubscribeError::NoSuchSubscription;
            return Outgoing::Refused { request, kind: UNSUBSCRIBE, error };
        }
        // One that has asked again meanwhile will be told, and holds it still.
        let is_waiting = wanted.waiting.iter().any(|(waiting, _, _)| *waiting == session);
        if let Some(held) = self.sessions.get_mut(&session).filter(|_| !is_waiting) {
            held.remove(&subscription);
            if held.is_empty() {
                self.sessions.remove(&session);
            }
        }
        self.left(session, subscription, &key);
        Outgoing::Unsubscribed { request }
    }

    /// Forgets a session and all it wanted.
    pub(super) fn remove_session(&mut self, session: SessionId) {
        for id in self.sessions.remove(&session).into_iter().flatten() {
            let Some(key) = self.by_id.get(&id).cloned() else { continue };
            let Some(wanted) = self.wanted.get_mut(&key) else { continue };
            let was_told = wanted.live.remove(&session) | wanted.replaying.remove(&session);
            wanted.waiting.retain(|(waiting, _, _)| *waiting != session);
            if wanted.waiting.is_empty() {
                self.waiting.remove(&key);
            }
            if was_told {
                self.left(session, id, &key);
            } else {
                self.drop_idle(&key);
            }
        }
    }

    /// A session has left a subscription that it was told of.
    fn left(&mut self, session: SessionId, subscription: SubscriptionId, key: &Key) {
        let pattern = || key.0.clone();
        self.changes.push(Change::Unsubscribed { session, subscription, pattern: pattern() });
        if self.wanted.get(key).is_some_and(|wanted| !wanted.has_told()) {
            self.changes.push(Change::Deleted { session, subscription, pattern: pattern() });
        }
        self.drop_idle(key);
    }

    fn drop_idle(&mut self, key: &Key) {
        let Some(wanted) = self.wanted.get(key).filter(|wanted| wanted.is_idle()) else { return };
        self.by_id.remove(&wanted.id);
        self.wanted.remove(key);
        self.patterns.remove(key);
        // A snapshot of its own counts in no interest: it was never added to one.
        if let Some(interest) = self.interests.get_mut(&key.0) {
            let users =
                self.wanted.range((key.0.clone(), None)..).take_while(|(k, _)| k.0 == key.0);
            interest.users = users.count();
            self.touched.insert(key.0.clone());
        }
    }

    /// What the interest with number `version` adds and removes; `None` when nothing changed, and
    /// the number is not used.
    pub(super) fn change(
        &mut self,
        version: u64,
    ) -> Option<(Vec<TopicPattern>, Vec<TopicPattern>)> {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for pattern in std::mem::take(&mut self.touched) {
            let Some(interest) = self.interests.get_mut(&pattern) else { continue };
            match (interest.users, interest.asked) {
                (0, asked) => {
                    self.interests.remove(&pattern);
                    if asked.is_some() {
                        self.asked -= 1;
                        remove.push(pattern);
                    }
                }
                (_, None) => {
                    interest.asked = Some(version);
                    self.asked += 1;
                    add.push(pattern);
                }
                (_, Some(_)) => {}
            }
        }
        (!add.is_empty() || !remove.is_empty()).then_some((add, remove))
    }

    /// Tells the waiting sessions whose patterns the interest has by now.
    pub(super) fn apply(&mut self, now: Now, answers: &mut Answers) {
        for interest in self.interests.values_mut() {
            if interest.complete_from.is_none() && interest.is_applied(now.applied) {
                interest.complete_from = Some(now.furthest);
            }
        }
        for key in self.waiting.clone() {
            self.tell(&key, now, answers);
        }
    }

    /// The subscriptions with live sessions that have the topic, and these sessions.
    pub(super) fn of(&self, topic: &Topic) -> Vec<(Target, &BTreeSet<SessionId>)> {
        let exact = TopicPattern::from(topic.clone());
        let exact = self.wanted.range((exact, None)..).take_while(|((pattern, _), _)| {
            pattern.is_exact() && pattern.uri == topic.uri && pattern.realm == topic.realm
        });
        let patterns = self.patterns.iter().filter(|(pattern, _)| pattern.matches(topic));
        let patterns = patterns.filter_map(|key| Some((key, self.wanted.get(key)?)));
        exact
            .chain(patterns)
            .filter(|(_, wanted)| !wanted.live.is_empty())
            .map(|((pattern, _), wanted)| {
                let names_topic = pattern.matching != Match::Exact;
                (Target { subscription: wanted.id, names_topic }, &wanted.live)
            })
            .collect()
    }

    /// What happened since the last call.
    pub(super) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// All patterns asked for.
    pub(super) fn interest(&self) -> Vec<TopicPattern> {
        let asked = self.interests.iter().filter(|(_, interest)| interest.asked.is_some());
        asked.map(|(pattern, _)| pattern.clone()).collect()
    }

    /// Whether anything is asked for.
    pub(super) const fn has_interest(&self) -> bool {
        self.asked > 0
    }

    /// Number of subscriptions.
    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// Asserts what the module promises; walks everything.
    pub(super) fn check(&self) {
        assert_eq!(self.by_id.len(), self.wanted.len(), "D1: one id for each subscription");
        let asked = self.interests.values().filter(|interest| interest.asked.is_some()).count();
        assert_eq!(self.asked, asked, "D1: patterns asked for");
        for (key, wanted) in &self.wanted {
            assert_eq!(self.by_id.get(&wanted.id), Some(key), "D1: ids name their patterns");
            assert_eq!(self.waiting.contains(key), !wanted.waiting.is_empty(), "D1: waiting");
            assert!(!wanted.is_idle(), "D1: what nobody wants is gone");
            assert!(wanted.live.is_disjoint(&wanted.replaying), "D1: live or replaying");
            let waiting = wanted.waiting.iter().map(|(session, _, _)| session);
            for session in wanted.live.iter().chain(&wanted.replaying).chain(waiting) {
                let held = self.sessions.get(session);
                assert!(held.is_some_and(|held| held.contains(&wanted.id)), "D1: both ways");
            }
        }
        for (pattern, interest) in &self.interests {
            assert!(
                interest.users > 0 || self.touched.contains(pattern),
                "D1: what nobody wants goes at the next flush"
            );
        }
    }
}

impl Interest {
    fn is_applied(&self, applied: u64) -> bool {
        self.asked.is_some_and(|asked| asked <= applied)
    }
}
