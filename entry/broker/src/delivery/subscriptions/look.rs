//! What others may know of the subscriptions of a realm (WAMP spec *Subscription Meta API*): those that somebody
//! was told of, without those of the router's own topics.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use vixen_core::segment::{Topic, TopicPattern};
use vixen_core::time::WallTime;

use super::{OfPattern, Subscriptions, Wanted};
use crate::api::{SessionId, SubscriptionId};

/// Topics of the router itself, of which nothing is told.
const META: &str = "wamp.";

impl Wanted {
    fn is_shown(&self) -> bool {
        self.has_told() && !self.pattern.uri.starts_with(META)
    }
}

impl Subscriptions {
    fn shown(&self, realm: &str, id: SubscriptionId) -> Option<&Wanted> {
        let wanted = self.wanted.get(&id)?;
        (*wanted.pattern.realm == *realm && wanted.is_shown()).then_some(wanted)
    }

    /// All of a realm, by rising ids.
    pub(in crate::delivery) fn all_of(
        &self,
        realm: &str,
    ) -> impl Iterator<Item = (SubscriptionId, &TopicPattern)> {
        let all = self.by_realm.get(realm).into_iter().flatten();
        all.filter_map(|id| {
            let wanted = self.wanted.get(id).filter(|wanted| wanted.is_shown())?;
            Some((*id, &wanted.pattern))
        })
    }

    /// Who has them, by rising subscriptions and sessions above these; of each the first ones, `max` of them or more.
    pub(in crate::delivery) fn holders_after(
        &self,
        realm: &str,
        (after, session): (SubscriptionId, SessionId),
        max: usize,
    ) -> impl Iterator<Item = (SubscriptionId, &TopicPattern, WallTime, Vec<SessionId>)> {
        let all = self.by_realm.get(realm).into_iter().flat_map(move |all| all.range(after..));
        all.filter_map(move |id| {
            let wanted = self.wanted.get(id).filter(|wanted| wanted.is_shown())?;
            let above = if *id == after { Bound::Excluded(session) } else { Bound::Unbounded };
            let range = (above, Bound::Unbounded);
            let (live, replaying) = (wanted.live.range(range), wanted.replaying.range(range));
            let mut sessions: Vec<_> = live.take(max).chain(replaying.take(max)).copied().collect();
            sessions.sort_unstable();
            Some((*id, &wanted.pattern, wanted.created, sessions))
        })
    }

    /// Realms in which somebody may have subscribed the router's own topics, and how often these have changed.
    pub(in crate::delivery) fn meta_realms(&self) -> (u64, impl Iterator<Item = &Arc<str>>) {
        self.hearers.realms()
    }

    /// Other entries hear of changes in a realm, or cease to.
    pub(in crate::delivery) fn hear_elsewhere(&mut self, realm: Arc<str>, is_heard: bool) {
        self.hearers.elsewhere(realm, is_heard);
    }

    /// How many a realm has, those included that are not shown.
    pub(in crate::delivery) fn count_of(&self, realm: &str) -> usize {
        self.by_realm.get(realm).map_or(0, BTreeSet::len)
    }

    /// How many sessions have one: none is live and replays.
    pub(in crate::delivery) fn count_subscribers(
        &self,
        realm: &str,
        id: SubscriptionId,
    ) -> Option<usize> {
        self.shown(realm, id).map(|wanted| wanted.live.len() + wanted.replaying.len())
    }

    /// That of just this pattern: the shared one, before those of sessions alone; and whether it is one of these.
    pub(in crate::delivery) fn lookup(
        &self,
        pattern: &TopicPattern,
    ) -> Option<(bool, SubscriptionId)> {
        let of_pattern = self.index.get(pattern)?;
        let mut all = of_pattern
            .ids()
            .filter_map(|id| self.shown(&pattern.realm, id).map(|wanted| (wanted.is_private, id)));
        all.next()
    }

    /// All that have a topic, by rising ids.
    pub(in crate::delivery) fn matching(&self, topic: &Topic) -> Vec<SubscriptionId> {
        let mut found = Vec::new();
        let _steps = self.index.for_each(topic, |of_pattern: &OfPattern| {
            found.extend(of_pattern.ids().filter(|id| self.shown(&topic.realm, *id).is_some()));
        });
        found.sort_unstable();
        found
    }

    /// What one is of, and when its first session was told of it.
    pub(in crate::delivery) fn details(
        &self,
        realm: &str,
        id: SubscriptionId,
    ) -> Option<(&TopicPattern, WallTime)> {
        self.shown(realm, id).map(|wanted| (&wanted.pattern, wanted.created))
    }

    /// Who has one, rising.
    pub(in crate::delivery) fn subscribers(
        &self,
        realm: &str,
        id: SubscriptionId,
    ) -> Option<Vec<SessionId>> {
        let wanted = self.shown(realm, id)?;
        let mut all: Vec<_> = wanted.live.union(&wanted.replaying).copied().collect();
        all.sort_unstable();
        Some(all)
    }

    pub(super) fn enter_realm(&mut self, realm: &Arc<str>, id: SubscriptionId) {
        self.by_realm.entry(Arc::clone(realm)).or_default().insert(id);
    }

    pub(super) fn leave_realm(&mut self, realm: &Arc<str>, id: SubscriptionId) {
        let Some(all) = self.by_realm.get_mut(realm) else { return };
        all.remove(&id);
        if all.is_empty() {
            self.by_realm.remove(realm);
        }
    }
}
