//! Subscriptions: which session wants which topic, and since which interest.
//!
//! A topic is *asked* for with a numbered change of the interest and *applied* once every tail
//! carries that change. Only then do its sessions become subscribers.

use std::collections::{BTreeMap, BTreeSet};

use vixen_common::segment::Topic;

use crate::broker::{Outgoing, RequestId, SessionId, SubscribeError, SubscriptionId};

/// WAMP message codes of the requests that can be refused (WAMP spec §3.4).
const SUBSCRIBE: u8 = 32;
const UNSUBSCRIBE: u8 = 34;

/// One topic that sessions here want.
#[derive(Debug)]
struct Wanted {
    id: SubscriptionId,
    /// Version of the interest that asked for it; `None` until the next flush.
    asked: Option<u64>,
    /// Told `Subscribed`.
    subscribers: BTreeSet<SessionId>,
    /// To be told once the interest is applied, in order.
    waiting: Vec<(SessionId, RequestId)>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Subscriptions {
    per_session_max: usize,
    next_id: u64,
    topics: BTreeMap<Topic, Wanted>,
    /// Number of topics asked for.
    asked: usize,
    by_id: BTreeMap<SubscriptionId, Topic>,
    /// All a session wants, told or waiting.
    sessions: BTreeMap<SessionId, BTreeSet<SubscriptionId>>,
    /// Topics with waiting sessions.
    waiting: BTreeSet<Topic>,
    /// Topics whose place in the interest may change at the next flush.
    touched: BTreeSet<Topic>,
}

impl Wanted {
    fn is_idle(&self) -> bool {
        self.subscribers.is_empty() && self.waiting.is_empty()
    }
}

impl Subscriptions {
    pub(super) const fn new(per_session_max: usize) -> Self {
        Self {
            per_session_max,
            next_id: 1,
            topics: BTreeMap::new(),
            asked: 0,
            by_id: BTreeMap::new(),
            sessions: BTreeMap::new(),
            waiting: BTreeSet::new(),
            touched: BTreeSet::new(),
        }
    }

    /// Takes a SUBSCRIBE where the interest is applied up to `applied`. `None`: the answer waits
    /// for the interest.
    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        request: RequestId,
        topic: Topic,
        applied: u64,
    ) -> Option<Outgoing> {
        let known = self.topics.get(&topic).map(|wanted| wanted.id);
        let held = self.sessions.entry(session).or_default();
        let is_new = known.is_none_or(|id| !held.contains(&id));
        if is_new && held.len() >= self.per_session_max {
            let max = self.per_session_max;
            let error = SubscribeError::TooMany { max };
            return Some(Outgoing::Refused { request, kind: SUBSCRIBE, error });
        }
        let id = known.unwrap_or_else(|| {
            let id = SubscriptionId(self.next_id);
            self.next_id += 1;
            self.by_id.insert(id, topic.clone());
            id
        });
        held.insert(id);
        let wanted = self.topics.entry(topic.clone()).or_insert_with(|| Wanted {
            id,
            asked: None,
            subscribers: BTreeSet::new(),
            waiting: Vec::new(),
        });
        if wanted.asked.is_some_and(|asked| asked <= applied) {
            wanted.subscribers.insert(session);
            return Some(Outgoing::Subscribed { request, subscription: id });
        }
        wanted.waiting.push((session, request));
        self.waiting.insert(topic.clone());
        self.touched.insert(topic);
        None
    }

    /// Takes an UNSUBSCRIBE. One whose SUBSCRIBED was not sent yet names nothing.
    pub(super) fn unsubscribe(
        &mut self,
        session: SessionId,
        request: RequestId,
        subscription: SubscriptionId,
    ) -> Outgoing {
        let topic = self.by_id.get(&subscription);
        let wanted = topic.and_then(|topic| self.topics.get_mut(topic));
        let Some((topic, wanted)) = topic.zip(wanted) else {
            let error = SubscribeError::NoSuchSubscription;
            return Outgoing::Refused { request, kind: UNSUBSCRIBE, error };
        };
        if !wanted.subscribers.remove(&session) {
            let error = SubscribeError::NoSuchSubscription;
            return Outgoing::Refused { request, kind: UNSUBSCRIBE, error };
        }
        if wanted.is_idle() {
            self.touched.insert(topic.clone());
        }
        if let Some(held) = self.sessions.get_mut(&session) {
            held.remove(&subscription);
            if held.is_empty() {
                self.sessions.remove(&session);
            }
        }
        Outgoing::Unsubscribed { request }
    }

    /// Forgets a session and all it wanted.
    pub(super) fn remove_session(&mut self, session: SessionId) {
        for id in self.sessions.remove(&session).into_iter().flatten() {
            let Some(topic) = self.by_id.get(&id) else { continue };
            let Some(wanted) = self.topics.get_mut(topic) else { continue };
            wanted.subscribers.remove(&session);
            wanted.waiting.retain(|(waiting, _)| *waiting != session);
            if wanted.waiting.is_empty() {
                self.waiting.remove(topic);
            }
            if wanted.is_idle() {
                self.touched.insert(topic.clone());
            }
        }
    }

    /// What the interest with number `version` adds and removes; `None` when nothing changed, and
    /// the number is not used.
    pub(super) fn change(&mut self, version: u64) -> Option<(Vec<Topic>, Vec<Topic>)> {
        let (mut add, mut remove) = (Vec::new(), Vec::new());
        for topic in std::mem::take(&mut self.touched) {
            let Some(wanted) = self.topics.get_mut(&topic) else { continue };
            match (wanted.is_idle(), wanted.asked) {
                (false, None) => {
                    wanted.asked = Some(version);
                    self.asked += 1;
                    add.push(topic);
                }
                (true, asked) => {
                    self.by_id.remove(&wanted.id);
                    self.topics.remove(&topic);
                    if asked.is_some() {
                        self.asked -= 1;
                        remove.push(topic);
                    }
                }
                (false, Some(_)) => {}
            }
        }
        (!add.is_empty() || !remove.is_empty()).then_some((add, remove))
    }

    /// Tells the waiting sessions whose topics the interest up to `applied` has.
    pub(super) fn apply(&mut self, applied: u64, outgoing: &mut Vec<(SessionId, Outgoing)>) {
        let topics = &mut self.topics;
        self.waiting.retain(|topic| {
            let Some(wanted) = topics.get_mut(topic) else { return false };
            if wanted.asked.is_none_or(|asked| asked > applied) {
                return true;
            }
            for (session, request) in wanted.waiting.drain(..) {
                wanted.subscribers.insert(session);
                outgoing.push((session, Outgoing::Subscribed { request, subscription: wanted.id }));
            }
            false
        });
    }

    /// The subscription of a topic and its subscribers, if it has any.
    pub(super) fn of(&self, topic: &Topic) -> Option<(SubscriptionId, &BTreeSet<SessionId>)> {
        let wanted = self.topics.get(topic)?;
        (!wanted.subscribers.is_empty()).then_some((wanted.id, &wanted.subscribers))
    }

    /// All topics asked for.
    pub(super) fn interest(&self) -> Vec<Topic> {
        let asked = self.topics.iter().filter(|(_, wanted)| wanted.asked.is_some());
        asked.map(|(topic, _)| topic.clone()).collect()
    }

    /// Whether anything is asked for.
    pub(super) const fn has_interest(&self) -> bool {
        self.asked > 0
    }

    /// Number of topics wanted.
    pub(super) fn len(&self) -> usize {
        self.topics.len()
    }

    /// Asserts what the module promises; walks everything.
    pub(super) fn check(&self) {
        assert_eq!(self.by_id.len(), self.topics.len(), "D1: one id for each topic");
        let asked = self.topics.values().filter(|wanted| wanted.asked.is_some()).count();
        assert_eq!(self.asked, asked, "D1: topics asked for");
        for (topic, wanted) in &self.topics {
            assert_eq!(self.by_id.get(&wanted.id), Some(topic), "D1: ids name their topics");
            assert_eq!(self.waiting.contains(topic), !wanted.waiting.is_empty(), "D1: waiting");
            let waiting = wanted.waiting.iter().map(|(session, _)| session);
            for session in wanted.subscribers.iter().chain(waiting) {
                let held = self.sessions.get(session);
                assert!(held.is_some_and(|held| held.contains(&wanted.id)), "D1: both ways");
            }
            assert!(
                !wanted.is_idle() || self.touched.contains(topic),
                "D1: what nobody wants goes at the next flush"
            );
        }
    }
}
