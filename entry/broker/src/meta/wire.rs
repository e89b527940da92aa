//! Questions and replies as links carry them.

use std::sync::Arc;

use vixen_core::wire::{
    META_ITEMS_MAX, MetaFound, MetaQuestion, MetaReply, MetaSession, MetaSubscription, MetaWhom,
};

use super::question::{
    Details, Found, Goodbye, Lists, Missing, Question, Reply, SessionDetails, Whom,
};
use crate::api::{SessionId, SessionInfo, SubscriptionId};

impl From<MetaQuestion> for Question {
    fn from(asked: MetaQuestion) -> Self {
        match asked {
            MetaQuestion::CountSessions { authroles } => Self::CountSessions(authroles),
            MetaQuestion::ListSessions { authroles } => Self::ListSessions(authroles),
            MetaQuestion::GetSession { session } => Self::GetSession(SessionId(session)),
            MetaQuestion::Kill { whom, reason, message } => {
                let whom = match whom {
                    MetaWhom::Session(session) => Whom::Session(SessionId(session)),
                    MetaWhom::Authid(authid) => Whom::Authid(authid),
                    MetaWhom::Authrole(authrole) => Whom::Authrole(authrole),
                    MetaWhom::All => Whom::All,
                };
                Self::Kill { whom, goodbye: Goodbye { reason, message } }
            }
            MetaQuestion::ModifyDetails { session, delta } => {
                Self::ModifyDetails(SessionId(session), delta)
            }
            MetaQuestion::ListSubscriptions => Self::ListSubscriptions,
            MetaQuestion::LookupSubscription { uri, matching } => {
                Self::LookupSubscription { uri, matching }
            }
            MetaQuestion::MatchSubscriptions { uri } => Self::MatchSubscriptions(uri),
            MetaQuestion::GetSubscription { subscription } => {
                Self::GetSubscription(SubscriptionId(subscription))
            }
            MetaQuestion::ListSubscribers { subscription } => {
                Self::ListSubscribers(SubscriptionId(subscription))
            }
            MetaQuestion::CountSubscribers { subscription } => {
                Self::CountSubscribers(SubscriptionId(subscription))
            }
        }
    }
}

impl From<Question> for MetaQuestion {
    fn from(question: Question) -> Self {
        match question {
            Question::CountSessions(authroles) => Self::CountSessions { authroles },
            Question::ListSessions(authroles) => Self::ListSessions { authroles },
            Question::GetSession(SessionId(session)) => Self::GetSession { session },
            Question::Kill { whom, goodbye: Goodbye { reason, message } } => {
                let whom = match whom {
                    Whom::Session(SessionId(session)) => MetaWhom::Session(session),
                    Whom::Authid(authid) => MetaWhom::Authid(authid),
                    Whom::Authrole(authrole) => MetaWhom::Authrole(authrole),
                    Whom::All => MetaWhom::All,
                };
                Self::Kill { whom, reason, message }
            }
            Question::ModifyDetails(SessionId(session), delta) => {
                Self::ModifyDetails { session, delta }
            }
            Question::ListSubscriptions => Self::ListSubscriptions,
            Question::LookupSubscription { uri, matching } => {
                Self::LookupSubscription { uri, matching }
            }
            Question::MatchSubscriptions(uri) => Self::MatchSubscriptions { uri },
            Question::GetSubscription(SubscriptionId(subscription)) => {
                Self::GetSubscription { subscription }
            }
            Question::ListSubscribers(SubscriptionId(subscription)) => {
                Self::ListSubscribers { subscription }
            }
            Question::CountSubscribers(SubscriptionId(subscription)) => {
                Self::CountSubscribers { subscription }
            }
        }
    }
}

impl Question {
    /// What is told where there is nothing of the id that it has.
    pub(super) const fn missing(&self) -> Option<Missing> {
        match self {
            Self::GetSession(SessionId(id))
            | Self::Kill { whom: Whom::Session(SessionId(id)), .. }
            | Self::ModifyDetails(SessionId(id), _) => Some(Missing::Session(*id)),
            Self::GetSubscription(SubscriptionId(id))
            | Self::ListSubscribers(SubscriptionId(id))
            | Self::CountSubscribers(SubscriptionId(id)) => Some(Missing::Subscription(*id)),
            Self::CountSessions(_)
            | Self::ListSessions(_)
            | Self::Kill { .. }
            | Self::ListSubscriptions
            | Self::LookupSubscription { .. }
            | Self::MatchSubscriptions(_) => None,
        }
    }

    /// What another entry has answered; `None`: that is no answer to this.
    pub(super) fn reply_of(&self, realm: &Arc<str>, reply: MetaReply) -> Option<Reply> {
        Some(match (self, reply) {
            (_, MetaReply::NoSuch) => Reply::NoSuch(self.missing()?),
            (
                Self::Kill { whom: Whom::Session(_), .. } | Self::ModifyDetails(..),
                MetaReply::Done,
            ) => Reply::Done,
            (Self::ModifyDetails(..), MetaReply::TooMuch) => Reply::TooMuch,
            (
                Self::CountSessions(_)
                | Self::CountSubscribers(_)
                | Self::Kill { whom: Whom::All, .. },
                MetaReply::Count(count),
            ) => Reply::Count(count),
            (
                Self::ListSessions(_)
                | Self::MatchSubscriptions(_)
                | Self::ListSubscribers(_)
                | Self::Kill { whom: Whom::Authid(_) | Whom::Authrole(_), .. },
                MetaReply::Ids(mut ids),
            ) => {
                ids.sort_unstable();
                Reply::Ids(ids)
            }
            (Self::LookupSubscription { .. }, MetaReply::Found(found)) => Reply::Found(
                found.map(|MetaFound { subscription: id, is_private }| Found { is_private, id }),
            ),
            (Self::ListSubscriptions, MetaReply::Lists { exact, prefix, wildcard }) => {
                Reply::Lists(Lists { exact, prefix, wildcard })
            }
            (Self::GetSession(session), MetaReply::Session(of, added))
                if of.session == session.0 =>
            {
                let MetaSession { session: _, authid, authrole, authmethod, authprovider } = *of;
                Reply::Session(SessionDetails {
                    session: *session,
                    realm: Arc::clone(realm),
                    authid,
                    authrole,
                    authmethod,
                    authprovider,
                    added,
                })
            }
            (Self::GetSubscription(id), MetaReply::Subscription(of)) if of.subscription == id.0 => {
                let MetaSubscription { subscription: id, created, uri, matching } = of;
                Reply::Subscription(Details { id, created, uri, matching })
            }
            (
                _,
                MetaReply::Done
                | MetaReply::TooMuch
                | MetaReply::Count(_)
                | MetaReply::Ids(_)
                | MetaReply::Found(_)
                | MetaReply::Lists { .. }
                | MetaReply::Session(..)
                | MetaReply::Subscription(_)
                | MetaReply::NoRoom,
            ) => return None,
        })
    }
}

impl Reply {
    /// In parts, the last of which ends it. Of registrations others are not asked.
    #[must_use]
    pub fn into_parts(self) -> Vec<MetaReply> {
        match self {
            Self::Done => vec![MetaReply::Done],
            Self::Count(count) => vec![MetaReply::Count(count)],
            Self::Ids(ids) if ids.len() <= META_ITEMS_MAX => vec![MetaReply::Ids(ids)],
            Self::Ids(ids) => {
                ids.chunks(META_ITEMS_MAX).map(|part| MetaReply::Ids(part.to_vec())).collect()
            }
            Self::Found(found) => {
                let found = found.map(|Found { is_private, id: subscription }| MetaFound {
                    subscription,
                    is_private,
                });
                vec![MetaReply::Found(found)]
            }
            Self::Lists(lists) => lists.into_parts(),
            Self::Session(details) => {
                let SessionDetails {
                    session,
                    realm: _,
                    authid,
                    authrole,
                    authmethod,
                    authprovider,
                    added,
                } = details;
                let session = session.0;
                let of = MetaSession { session, authid, authrole, authmethod, authprovider };
                vec![MetaReply::Session(Box::new(of), added)]
            }
            Self::Subscription(Details { id, created, uri, matching })
            | Self::Registration(Details { id, created, uri, matching }, _) => {
                let of = MetaSubscription { subscription: id, created, uri, matching };
                vec![MetaReply::Subscription(of)]
            }
            Self::NoSuch(_) => vec![MetaReply::NoSuch],
            Self::TooMuch => vec![MetaReply::TooMuch],
        }
    }
}

impl Lists {
    fn into_parts(self) -> Vec<MetaReply> {
        let Self { exact, prefix, wildcard } = self;
        if exact.len() + prefix.len() + wildcard.len() <= META_ITEMS_MAX {
            return vec![MetaReply::Lists { exact, prefix, wildcard }];
        }
        let chunks = |ids: &[u64], part: fn(Vec<u64>) -> MetaReply| {
            ids.chunks(META_ITEMS_MAX).map(|ids| part(ids.to_vec())).collect::<Vec<_>>()
        };
        let mut parts = chunks(&exact, |exact| MetaReply::Lists {
            exact,
            prefix: Vec::new(),
            wildcard: Vec::new(),
        });
        parts.extend(chunks(&prefix, |prefix| MetaReply::Lists {
            exact: Vec::new(),
            prefix,
            wildcard: Vec::new(),
        }));
        parts.extend(chunks(&wildcard, |wildcard| MetaReply::Lists {
            exact: Vec::new(),
            prefix: Vec::new(),
            wildcard,
        }));
        parts
    }
}

/// A session, as entries tell each other of it.
#[must_use]
pub fn session_of(info: &SessionInfo) -> MetaSession {
    MetaSession {
        session: info.session.0,
        authid: Arc::clone(&info.authid),
        authrole: Arc::clone(&info.authrole),
        authmethod: info.authmethod.into(),
        authprovider: info.authprovider.into(),
    }
}
