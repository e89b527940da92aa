//! What this entry has, for others.

use std::ops::Bound;

use vixen_core::wire::{CALL_URI_BYTES_MAX, MetaHolders, MetaSession, MetaSubscription};

use super::Own;
use crate::api::{SessionId, SubscriptionId};
use crate::delivery::Delivery;
use crate::meta::Meta;
use crate::meta::wire::session_of;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct OwnSide<'a> {
    /// Its sessions.
    pub meta: &'a Meta,
    /// Its subscriptions.
    pub delivery: &'a Delivery,
}

impl Own for OwnSide<'_> {
    fn sessions_after(&self, realm: &str, after: u64, max: usize) -> Vec<MetaSession> {
        let behind = (Bound::Excluded(SessionId(after)), Bound::Unbounded);
        let all = self.meta.realms.get(realm).into_iter().flat_map(|all| all.range(behind));
        let all = all.filter_map(|session| self.meta.members.get(session));
        all.take(max).map(|member| session_of(&member.info)).collect()
    }

    fn holders_after(
        &self,
        realm: &str,
        (subscription, session): (u64, u64),
        max: usize,
    ) -> (Vec<MetaHolders>, Option<(u64, u64)>) {
        let after = (SubscriptionId(subscription), SessionId(session));
        let mut left = max;
        let mut found = Vec::new();
        for (id, pattern, created, sessions) in self.delivery.holders_after(realm, after, max) {
            let sessions: Vec<_> = sessions.into_iter().take(left).map(|by| by.0).collect();
            let Some(until) = sessions.last().copied() else { continue };
            left -= sessions.len();
            // Nobody takes a longer one.
            if pattern.uri.len() <= CALL_URI_BYTES_MAX {
                let (uri, matching) = (pattern.uri.clone(), pattern.matching);
                let of = MetaSubscription { subscription: id.0, created, uri, matching };
                found.push(MetaHolders { of, sessions });
            }
            if left == 0 {
                return (found, Some((id.0, until)));
            }
        }
        (found, None)
    }

    fn has_subscription(&self, realm: &str, subscription: u64) -> bool {
        self.delivery.details(realm, SubscriptionId(subscription)).is_some()
    }
}
