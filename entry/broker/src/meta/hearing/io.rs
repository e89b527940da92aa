//! What goes into hearing, and what comes out.

use std::collections::BTreeSet;
use std::sync::Arc;

use vixen_core::id::OwnerId;
use vixen_core::time::WallTime;
use vixen_core::wire::{CallMessage, MetaHolders, MetaSession};

use crate::dealer::Link;
use crate::delivery::Change;

/// What this entry has.
pub trait Own {
    /// Sessions of a realm above this one, rising, so many at most.
    fn sessions_after(&self, realm: &str, after: u64, max: usize) -> Vec<MetaSession>;
    /// Who has subscriptions of a realm, above this subscription and session of it, so many at most; and the last one
    /// that was looked at, if there may be more.
    fn holders_after(
        &self,
        realm: &str,
        after: (u64, u64),
        max: usize,
    ) -> (Vec<MetaHolders>, Option<(u64, u64)>);
    /// Whether somebody here has a subscription.
    fn has_subscription(&self, realm: &str, subscription: u64) -> bool;
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Input {
    /// These are the realms in which somebody here hears what the router says.
    Hears {
        /// All of them.
        realms: BTreeSet<Arc<str>>,
    },
    /// The order says that an entry has begun: nobody was there before.
    Began {
        /// Which.
        owner: OwnerId,
    },
    /// A new link to an entry; what was before it is over.
    LinkUp {
        /// The link.
        link: Link,
    },
    /// A link is gone.
    LinkDown {
        /// The link.
        link: Link,
    },
    /// Nothing comes on a link any more, or something comes again.
    LinkSilent {
        /// The link.
        link: Link,
        /// Nothing comes.
        is_silent: bool,
    },
    /// An entry has said this on its link: `HearMeta`, `SessionsAre` or `SubscriptionsAre`.
    Heard {
        /// The link.
        link: Link,
        /// What.
        message: CallMessage,
    },
    /// A session of this entry has come, or gone.
    Session {
        /// Its realm.
        realm: Arc<str>,
        /// It.
        session: MetaSession,
        /// It has gone.
        is_over: bool,
    },
    /// A subscription of this entry has come or gone, or somebody who has it.
    Changed {
        /// When it was made.
        created: WallTime,
        /// What has changed.
        change: Change,
    },
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Words to other entries, in this order.
    pub sends: Vec<(Link, CallMessage)>,
    /// What is told to those who listen here.
    pub events: Vec<Event>,
    /// Realms in which other entries begin to hear of this one's subscriptions, or cease to.
    pub heard: Vec<(Arc<str>, bool)>,
    /// Links on which something came that no entry says. They are to be ended.
    pub misfits: Vec<Link>,
    /// Sessions and holders of subscriptions of which nothing is told, as too much is known of their entry.
    pub left_out: usize,
}

/// What has happened at another entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A session has come.
    Joined(Arc<str>, MetaSession),
    /// A session has gone.
    Left(Arc<str>, MetaSession),
    /// Of a subscription, which was made then.
    Changed(WallTime, Change),
}
