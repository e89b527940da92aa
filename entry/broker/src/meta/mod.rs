//! Meta: what the router itself answers, of sessions, subscriptions and registrations.
//!
//! ```text
//!   caller --CALL wamp.…--> dealer --MetaCall--> Question --> Meta --> Reply --> dealer --RESULT--> caller
//! ```
//! Sources: WAMP spec *Session Meta API*, *Registration Meta API*, *Subscription Meta API*;
//! `docs/design/027-calls.md` *Who may, and what the router itself answers*.
//!
//! Registrations are those of the view, alike at all entries. Of sessions and subscriptions this entry knows its
//! own: a [`Question`] is a value that is put to others ([`Surveys`]), and replies are merged. Whether a caller may ask is
//! the gate's to say, by its permission to call.
//!
//! Invariants:
//! - M1: what is told of a realm, or done in it, is of the realm of who asks.
//! - M2: nobody ends its own session.

mod hearing;
mod procedure;
mod question;
mod survey;
mod testaments;
#[cfg(test)]
mod tests;
mod wire;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use vixen_core::segment::{Match, Topic, TopicPattern};
use vixen_views::record::RegistrationId;
use vixen_views::registrations::{Listed, Registrations};

use crate::access::{Permissions, is_dotted, is_reserved};
use crate::api::calls::{MetaError, Scope, Testament};
use crate::api::{Origin, Publish, SessionId, SessionInfo, SubscriptionId};
use crate::delivery::Delivery;
pub use hearing::{
    Effects as HearingEffects, Event as HeardEvent, Hearing, Input as HearingInput, Own, OwnSide,
};
pub use procedure::Procedure;
pub use question::{
    Details, Found, Goodbye, Lists, Missing, Question, RegistrationQuestion, Reply, SessionDetails,
    Whom,
};
pub use survey::{
    About, Ask, Done, Effects as SurveyEffects, Input as SurveyInput, Surveys, Unanswered,
    WAIT as SURVEY_WAIT,
};
pub use testaments::TestamentLimits;
use testaments::Testaments;
pub use wire::session_of;

/// Bytes of what is added to the details of a session at most.
pub const ADDED_BYTES_MAX: usize = 4 << 10;
/// What an entry of these takes beside its texts.
const ADDED_ENTRY_BYTES: usize = 64;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asker {
    /// The realm.
    pub realm: Arc<str>,
    /// The session.
    pub session: SessionId,
}

/// What the driver owes after a question.
#[derive(Debug, Default)]
pub struct Effects {
    /// Sessions that are to be ended.
    pub ends: Vec<(SessionId, Arc<Goodbye>)>,
}

/// A session that others hear of.
#[derive(Debug)]
struct Member {
    info: Arc<SessionInfo>,
    added: BTreeMap<String, String>,
}

/// See the module.
#[derive(Debug)]
pub struct Meta {
    testaments: Testaments,
    members: BTreeMap<SessionId, Member>,
    realms: BTreeMap<Arc<str>, BTreeSet<SessionId>>,
}

impl Meta {
    /// Nobody is there.
    #[must_use]
    pub const fn new(limits: TestamentLimits) -> Self {
        let testaments = Testaments::new(limits);
        Self { testaments, members: BTreeMap::new(), realms: BTreeMap::new() }
    }

    /// A session is welcome. One that nobody is to hear of is passed over.
    pub fn open(&mut self, info: &Arc<SessionInfo>) {
        if info.is_announced {
            let member = Member { info: Arc::clone(info), added: BTreeMap::new() };
            self.members.insert(info.session, member);
            self.realms.entry(Arc::clone(&info.realm)).or_default().insert(info.session);
        }
    }

    /// A session is gone. Returns what it has left to be published then, in order.
    pub fn close(&mut self, session: SessionId) -> Vec<Publish> {
        if let Some(Member { info, .. }) = self.members.remove(&session)
            && let Some(of_realm) = self.realms.get_mut(&info.realm)
        {
            of_realm.remove(&session);
            if of_realm.is_empty() {
                self.realms.remove(&info.realm);
            }
        }
        self.testaments.take(session)
    }

    /// A session, which is open, leaves a testament, from where its client is; its number.
    ///
    /// # Errors
    /// It has as many as it may have, or all have.
    pub fn add_testament(
        &mut self,
        of: (SessionId, Origin),
        testament: Testament,
        leaving: usize,
    ) -> Result<u64, MetaError> {
        let reached = |(key, max)| MetaError::TooManyTestaments { key, max };
        self.testaments.add(of, testament, leaving).map_err(reached)
    }

    /// What a session may do has changed, `None` that it may nothing: testaments that it may not publish are forgotten.
    pub fn judge_testaments(&mut self, session: SessionId, permissions: Option<&Permissions>) {
        let may = |permissions: &Permissions, left: &Publish| {
            permissions.publish(&left.topic.uri).is_some()
        };
        self.testaments.retain(session, |left| permissions.is_some_and(|all| may(all, left)));
    }

    /// A session takes its testaments of a scope back; how many.
    pub fn flush_testaments(&mut self, session: SessionId, scope: Scope) -> usize {
        self.testaments.flush(session, scope)
    }

    /// What this entry says of its own sessions and subscriptions, and does to them.
    pub fn answer(
        &mut self,
        asker: &Asker,
        question: Question,
        delivery: &Delivery,
        fx: &mut Effects,
    ) -> Reply {
        let realm = &*asker.realm;
        match question {
            Question::CountSessions(authroles) => {
                let count = match authroles.as_deref() {
                    None => self.realms.get(realm).map_or(0, BTreeSet::len),
                    authroles => self.of_roles(realm, authroles).count(),
                };
                Reply::Count(u64::try_from(count).unwrap_or(u64::MAX))
            }
            Question::ListSessions(authroles) => {
                Reply::Ids(self.of_roles(realm, authroles.as_deref()).collect())
            }
            Question::GetSession(session) => match self.member(realm, session) {
                Some(of) => Reply::Session(SessionDetails::new(&of.info, of.added.clone())),
                None => Reply::NoSuch(Missing::Session(session.0)),
            },
            Question::Kill { whom, goodbye } => self.kill(asker, &whom, goodbye, fx),
            Question::ModifyDetails(session, delta) => self.modify(realm, session, delta),
            Question::ListSubscriptions => {
                let mut lists = Lists::default();
                for (id, pattern) in delivery.all_of(realm) {
                    lists.push(pattern.matching, id.0);
                }
                Reply::Lists(lists)
            }
            Question::LookupSubscription { uri, matching } => {
                // As it is subscribed.
                let is_dotted = matching == Match::Exact && is_dotted(&uri);
                let matching = if is_dotted { Match::Dotted } else { matching };
                let pattern = TopicPattern::new(realm, &uri, matching);
                let found = delivery.lookup(&pattern);
                Reply::Found(found.map(|(is_private, id)| Found { is_private, id: id.0 }))
            }
            Question::MatchSubscriptions(uri) => {
                let matching = delivery.matching(&Topic::new(realm, &uri));
                Reply::Ids(matching.into_iter().map(|id| id.0).collect())
            }
            Question::GetSubscription(id) => match delivery.details(realm, id) {
                Some((pattern, created)) => {
                    Reply::Subscription(Details::new(id.0, created, pattern))
                }
                None => no_subscription(id),
            },
            Question::ListSubscribers(id) => match delivery.subscribers(realm, id) {
                Some(all) => Reply::Ids(all.into_iter().map(|session| session.0).collect()),
                None => no_subscription(id),
            },
            Question::CountSubscribers(id) => match delivery.count_subscribers(realm, id) {
                Some(count) => Reply::Count(u64::try_from(count).unwrap_or(u64::MAX)),
                None => no_subscription(id),
            },
        }
    }

    /// Ids that the answer to a question has, at most: whoever answers on a link has room for them first.
    #[must_use]
    pub fn items_of(&self, realm: &str, question: &Question, delivery: &Delivery) -> usize {
        let sessions = || self.realms.get(realm).map_or(0, BTreeSet::len);
        match question {
            Question::ListSessions(_)
            | Question::Kill { whom: Whom::Authid(_) | Whom::Authrole(_), .. } => sessions(),
            Question::ListSubscriptions | Question::MatchSubscriptions(_) => {
                delivery.count_of(realm)
            }
            Question::ListSubscribers(id) => delivery.count_subscribers(realm, *id).unwrap_or(0),
            Question::CountSessions(_)
            | Question::GetSession(_)
            | Question::Kill { .. }
            | Question::ModifyDetails(..)
            | Question::LookupSubscription { .. }
            | Question::GetSubscription(_)
            | Question::CountSubscribers(_) => 0,
        }
    }

    /// Sessions and subscriptions that are looked at for the answer to a question, at most.
    #[must_use]
    pub fn looks_of(&self, realm: &str, question: &Question, delivery: &Delivery) -> usize {
        match question {
            Question::CountSessions(Some(_)) | Question::Kill { whom: Whom::All, .. } => {
                self.realms.get(realm).map_or(0, BTreeSet::len)
            }
            Question::CountSessions(None)
            | Question::ListSessions(_)
            | Question::GetSession(_)
            | Question::Kill { .. }
            | Question::ModifyDetails(..)
            | Question::ListSubscriptions
            | Question::LookupSubscription { .. }
            | Question::MatchSubscriptions(_)
            | Question::GetSubscription(_)
            | Question::ListSubscribers(_)
            | Question::CountSubscribers(_) => self.items_of(realm, question, delivery),
        }
    }

    /// M1.
    fn member(&self, realm: &str, session: SessionId) -> Option<&Member> {
        self.members.get(&session).filter(|member| *member.info.realm == *realm)
    }

    fn of_roles(&self, realm: &str, authroles: Option<&[String]>) -> impl Iterator<Item = u64> {
        let all = self.realms.get(realm).into_iter().flatten();
        all.filter(move |session| {
            authroles.is_none_or(|authroles| {
                self.members.get(session).is_some_and(|member| {
                    authroles.iter().any(|role| **role == *member.info.authrole)
                })
            })
        })
        .map(|session| session.0)
    }

    fn kill(&self, asker: &Asker, whom: &Whom, goodbye: Goodbye, fx: &mut Effects) -> Reply {
        let is_meant = |member: &Member| match whom {
            Whom::Session(session) => member.info.session == *session,
            Whom::Authid(authid) => *member.info.authid == **authid,
            Whom::Authrole(authrole) => *member.info.authrole == **authrole,
            Whom::All => true,
        };
        let all = self.realms.get(&asker.realm).into_iter().flatten();
        let of_realm = all.filter_map(|session| self.members.get(session));
        let meant: Vec<_> = match whom {
            Whom::Session(session) => self.member(&asker.realm, *session).into_iter().collect(),
            Whom::Authid(_) | Whom::Authrole(_) | Whom::All => of_realm.collect(),
        };
        let meant = meant.into_iter().filter(|member| is_meant(member));
        // M2.
        let meant = meant.map(|member| member.info.session).filter(|it| *it != asker.session);
        let goodbye = Arc::new(goodbye);
        let killed: Vec<_> = meant.collect();
        fx.ends.extend(killed.iter().map(|session| (*session, Arc::clone(&goodbye))));
        match whom {
            Whom::Session(session) if *session == asker.session => {
                Reply::NoSuch(Missing::OwnSession(session.0))
            }
            Whom::Session(session) if killed.is_empty() => {
                Reply::NoSuch(Missing::Session(session.0))
            }
            Whom::Session(_) => Reply::Done,
            Whom::Authid(_) | Whom::Authrole(_) => {
                Reply::Ids(killed.into_iter().map(|session| session.0).collect())
            }
            Whom::All => Reply::Count(u64::try_from(killed.len()).unwrap_or(u64::MAX)),
        }
    }

    fn modify(
        &mut self,
        realm: &str,
        session: SessionId,
        delta: BTreeMap<String, Option<String>>,
    ) -> Reply {
        let member = self.members.get_mut(&session);
        let Some(member) = member.filter(|member| *member.info.realm == *realm) else {
            return Reply::NoSuch(Missing::Session(session.0));
        };
        let mut added = member.added.clone();
        for (key, value) in delta {
            match value {
                Some(value) => added.insert(key, value),
                None => added.remove(&key),
            };
        }
        let bytes: usize =
            added.iter().map(|(key, value)| ADDED_ENTRY_BYTES + key.len() + value.len()).sum();
        if bytes > ADDED_BYTES_MAX {
            return Reply::TooMuch;
        }
        member.added = added;
        Reply::Done
    }
}

/// What the view says of registrations.
#[must_use]
pub fn of_registrations(
    view: &Registrations,
    realm: &str,
    question: &RegistrationQuestion,
) -> Reply {
    // M1.
    let get = |id: u64| {
        let found = view.get(RegistrationId(id));
        found.filter(|found| *found.pattern.realm == *realm)
    };
    let none = |id: u64| Reply::NoSuch(Missing::Registration(id));
    match question {
        RegistrationQuestion::List => {
            let Listed { exact, prefix, wildcard } = view.list(realm);
            let ids = |list: Vec<RegistrationId>| list.into_iter().map(|id| id.0).collect();
            Reply::Lists(Lists { exact: ids(exact), prefix: ids(prefix), wildcard: ids(wildcard) })
        }
        RegistrationQuestion::Lookup { uri, matching } => {
            let found = view.find(&TopicPattern::new(realm, uri, *matching));
            Reply::Found(found.map(|found| Found { is_private: false, id: found.id.0 }))
        }
        RegistrationQuestion::Match(uri) => {
            let found = view.lookup(&Topic::new(realm, uri));
            // What the router serves itself is nobody's.
            let found =
                found.filter(|found| found.pattern.matching == Match::Exact || !is_reserved(uri));
            Reply::Found(found.map(|found| Found { is_private: false, id: found.id.0 }))
        }
        RegistrationQuestion::Get(id) => get(*id).map_or(none(*id), Reply::registration),
        RegistrationQuestion::ListCallees(id) => match get(*id) {
            Some(found) => {
                Reply::Ids(found.callees.iter().map(|(_, callee)| callee.session).collect())
            }
            None => none(*id),
        },
        RegistrationQuestion::CountCallees(id) => match get(*id) {
            Some(found) => Reply::Count(u64::try_from(found.callees.len()).unwrap_or(u64::MAX)),
            None => none(*id),
        },
    }
}

const fn no_subscription(id: SubscriptionId) -> Reply {
    Reply::NoSuch(Missing::Subscription(id.0))
}
