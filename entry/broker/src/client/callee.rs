//! What a session is callee of, for the case that its rights change; and what it may be told.

use std::collections::BTreeMap;
use std::sync::Arc;

use vixen_core::segment::Match;

use super::io::Ask;
use super::{Effects, OWN_REQUEST, Told};
use crate::access::{CalleeDisclosure, Permissions};
use crate::api::RequestId;
use crate::api::calls::{
    CallTold, CallWord, CalleeRequest, MetaError, RegisterError, RegistrationId,
};

/// A procedure or pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Wanted {
    uri: Arc<str>,
    matching: Match,
    /// Callers are told who answers.
    is_disclosed: bool,
}

impl Wanted {
    fn is_allowed(&self, permissions: &Permissions) -> bool {
        permissions.register(&self.uri, self.matching).is_some()
    }

    /// Whether callers were told who answers, and are not to be any more.
    fn is_to_hide(&self, permissions: &Permissions) -> bool {
        let disclosure = permissions.register(&self.uri, self.matching);
        self.is_disclosed && disclosure.is_some_and(|is| is != CalleeDisclosure::Told)
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Callee {
    /// Without an answer, oldest first.
    registering: Vec<(RequestId, Wanted)>,
    /// Without an answer, oldest first.
    unregistering: Vec<(RequestId, RegistrationId)>,
    holds: BTreeMap<RegistrationId, Wanted>,
}

impl Callee {
    /// Whether it is callee of this procedure, not by a pattern, and may be.
    pub(super) fn is_of(&self, procedure: &str, permissions: &Permissions) -> bool {
        let is_it = |wanted: &Wanted| wanted.matching == Match::Exact && *wanted.uri == *procedure;
        self.holds.values().any(|wanted| is_it(wanted) && wanted.is_allowed(permissions))
    }

    /// It is to be handed to the broker; `false`: not this one, whose client is told so. Which of two requests of one
    /// id an answer is for could not be told.
    pub(super) fn on_word(&mut self, word: &CallWord, fx: &mut Effects) -> bool {
        match word {
            CallWord::Register(register) => {
                let request = register.request;
                if waits(&self.registering, request) {
                    return refuse_repeated(request, CalleeRequest::Register, fx);
                }
                let (uri, matching) = (Arc::clone(&register.procedure), register.matching);
                let wanted = Wanted { uri, matching, is_disclosed: register.is_disclosed };
                self.registering.push((request, wanted));
            }
            CallWord::Unregister { request, registration } => {
                if waits(&self.unregistering, *request) {
                    return refuse_repeated(*request, CalleeRequest::Unregister, fx);
                }
                self.unregistering.push((*request, *registration));
            }
            CallWord::Call(_)
            | CallWord::Spoiled { .. }
            | CallWord::Withdrawn { .. }
            | CallWord::Cancel { .. }
            | CallWord::Hide { .. }
            | CallWord::Yield { .. }
            | CallWord::Fail { .. } => {}
        }
        true
    }

    pub(super) fn on_told(&mut self, told: CallTold, permissions: &Permissions, fx: &mut Effects) {
        match &told {
            CallTold::Registered { request, registration } => {
                let wanted = take(&mut self.registering, *request);
                let registration = *registration;
                fx.told.push(Told::Call(told));
                match wanted {
                    // The realms were read again meanwhile.
                    Some(wanted) if !wanted.is_allowed(permissions) => leave(registration, fx),
                    Some(mut wanted) => {
                        hide(registration, &mut wanted, permissions, fx);
                        self.holds.insert(registration, wanted);
                    }
                    None => {}
                }
                return;
            }
            CallTold::Unregistered { request } | CallTold::Refused { request, .. }
                if *request == OWN_REQUEST =>
            {
                return;
            }
            CallTold::Unregistered { request } => {
                if let Some(registration) = take(&mut self.unregistering, *request) {
                    self.holds.remove(&registration);
                }
            }
            // A request's number may be that of one of the other kind.
            CallTold::Refused { request, kind: CalleeRequest::Register, .. } => {
                take(&mut self.registering, *request);
            }
            CallTold::Refused { request, kind: CalleeRequest::Unregister, .. } => {
                take(&mut self.unregistering, *request);
            }
            CallTold::Revoked { registration } => {
                self.holds.remove(registration);
            }
            CallTold::Result { request, about: Some(about), .. }
                if !permissions.may_read_stored(about) =>
            {
                let (request, error) = (*request, MetaError::NotAuthorized.into());
                return fx.told.push(Told::Call(CallTold::Failed { request, error }));
            }
            CallTold::Result { .. }
            | CallTold::Failed { .. }
            | CallTold::Invocation { .. }
            | CallTold::Interrupt { .. } => {}
        }
        fx.told.push(Told::Call(told));
    }

    /// Ends what the session may not have any more, and hides it where it is not to be seen. What waits for its
    /// answer is judged when that comes.
    pub(super) fn on_reload(&mut self, permissions: &Permissions, fx: &mut Effects) {
        let lost = self.holds.extract_if(.., |_id, wanted| !wanted.is_allowed(permissions));
        lost.for_each(|(registration, _)| leave(registration, fx));
        for (registration, wanted) in &mut self.holds {
            hide(*registration, wanted, permissions, fx);
        }
    }
}

/// Callers are not told any more who answers, if they are not to be.
fn hide(
    registration: RegistrationId,
    wanted: &mut Wanted,
    permissions: &Permissions,
    fx: &mut Effects,
) {
    if wanted.is_to_hide(permissions) {
        wanted.is_disclosed = false;
        fx.ask.push(Ask::HideRegistration { registration });
    }
}

/// Tells both sides that it is over.
fn leave(registration: RegistrationId, fx: &mut Effects) {
    fx.ask.push(Ask::LeaveRegistration { registration });
    fx.told.push(Told::Call(CallTold::Revoked { registration }));
}

fn waits<T>(waiting: &[(RequestId, T)], request: RequestId) -> bool {
    waiting.iter().any(|(asked, _)| *asked == request)
}

fn refuse_repeated(request: RequestId, kind: CalleeRequest, fx: &mut Effects) -> bool {
    let error = RegisterError::Repeated;
    fx.told.push(Told::Call(CallTold::Refused { request, kind, error }));
    false
}

fn take<T>(waiting: &mut Vec<(RequestId, T)>, request: RequestId) -> Option<T> {
    let index = waiting.iter().position(|(asked, _)| *asked == request)?;
    Some(waiting.remove(index).1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{CalleeDisclosure, Permission, Quotas};
    use vixen_core::segment::{Content, TopicPattern};

    use crate::api::calls::{Payload, Register};

    fn register(request: u64, uri: &str) -> CallWord {
        CallWord::Register(Register {
            request: RequestId(request),
            procedure: uri.into(),
            matching: Match::Exact,
            invoke: crate::api::calls::Invoke::Single,
            concurrency: None,
            is_forced: false,
            is_disclosed: true,
            forwards_timeout: false,
        })
    }

    fn unregister(request: u64, registration: u64) -> CallWord {
        let registration = RegistrationId(registration);
        CallWord::Unregister { request: RequestId(request), registration }
    }

    /// Goes to the broker.
    fn hand(callee: &mut Callee, word: &CallWord) {
        let mut fx = Effects::default();
        assert!(callee.on_word(word, &mut fx) && fx.told.is_empty(), "{fx:?}");
    }

    fn registered(request: u64, registration: u64) -> CallTold {
        let registration = RegistrationId(registration);
        CallTold::Registered { request: RequestId(request), registration }
    }

    /// May register below `a.`.
    fn some() -> Permissions {
        let register = Some(CalleeDisclosure::Told);
        let (uri, matching) = ("a.".to_owned(), Match::Prefix);
        let permission = Permission { uri, matching, register, ..Permission::default() };
        Permissions::new([permission], Quotas::UNLIMITED)
    }

    fn none() -> Permissions {
        Permissions::new([], Quotas::UNLIMITED)
    }

    #[test]
    fn a_refused_unregister_is_no_answer_to_a_register_of_its_number() {
        let (mut callee, all) = (Callee::default(), Permissions::OPEN);
        hand(&mut callee, &register(5, "b.x"));
        let request = RequestId(5);
        hand(&mut callee, &unregister(5, 99));
        let (kind, error) = (CalleeRequest::Unregister, RegisterError::NoSuchRegistration);
        told(&mut callee, CallTold::Refused { request, kind, error }, &all);
        told(&mut callee, registered(5, 11), &all);
        let mut fx = Effects::default();
        callee.on_reload(&some(), &mut fx);
        assert_eq!(revoked(&fx), [11], "it is in the books, and is judged");
    }

    /// The books had the procedure of the one for the other: which may be judged by was not known.
    #[test]
    fn a_request_of_an_id_that_waits_is_refused_and_goes_nowhere() {
        let mut callee = Callee::default();
        for (first, second, wanted) in [
            (register(5, "a.x"), register(5, "b.x"), CalleeRequest::Register),
            (unregister(5, 11), unregister(5, 12), CalleeRequest::Unregister),
        ] {
            hand(&mut callee, &first);
            let mut fx = Effects::default();
            assert!(!callee.on_word(&second, &mut fx));
            let [Told::Call(CallTold::Refused { request: RequestId(5), kind, error })] =
                &fx.told[..]
            else {
                panic!("{fx:?}");
            };
            assert_eq!((*kind, error), (wanted, &RegisterError::Repeated));
        }
        told(&mut callee, registered(5, 11), &Permissions::OPEN);
        told(&mut callee, CallTold::Unregistered { request: RequestId(5) }, &Permissions::OPEN);
        // Both are answered.
        hand(&mut callee, &register(5, "b.x"));
        hand(&mut callee, &unregister(5, 12));
    }

    fn told(callee: &mut Callee, told: CallTold, permissions: &Permissions) -> Effects {
        let mut fx = Effects::default();
        callee.on_told(told, permissions, &mut fx);
        fx
    }

    fn revoked(fx: &Effects) -> Vec<u64> {
        let revoked = fx.told.iter().filter_map(|told| match told {
            Told::Call(CallTold::Revoked { registration }) => Some(registration.0),
            _other => None,
        });
        revoked.collect()
    }

    fn left(fx: &Effects) -> Vec<u64> {
        let left = fx.ask.iter().map(|ask| match ask {
            Ask::LeaveRegistration { registration } => registration.0,
            other => panic!("{other:?}"),
        });
        left.collect()
    }

    #[test]
    fn callee_of_a_procedure_is_who_holds_it_and_may() {
        let (mut callee, all) = (Callee::default(), Permissions::OPEN);
        assert!(callee.on_word(&register(1, "a.x"), &mut Effects::default()));
        assert!(!callee.is_of("a.x", &all), "it has asked to be");
        told(&mut callee, registered(1, 11), &all);
        assert!(callee.is_of("a.x", &all) && !callee.is_of("a.y", &all));
        assert!(callee.is_of("a.x", &some()) && !callee.is_of("a.x", &none()));
        let prefix = match register(2, "a.z") {
            CallWord::Register(register) => {
                CallWord::Register(Register { matching: Match::Prefix, ..register })
            }
            other => other,
        };
        assert!(callee.on_word(&prefix, &mut Effects::default()));
        told(&mut callee, registered(2, 12), &all);
        assert!(!callee.is_of("a.z", &all), "by a pattern");
        told(&mut callee, CallTold::Revoked { registration: RegistrationId(11) }, &all);
        assert!(!callee.is_of("a.x", &all));
    }

    #[test]
    fn a_registration_that_is_not_allowed_any_more_is_left_and_revoked() {
        let mut callee = Callee::default();
        for (request, uri) in [(1, "a.x"), (2, "b.x"), (3, "b.y")] {
            hand(&mut callee, &register(request, uri));
            let fx = told(&mut callee, registered(request, 10 + request), &Permissions::OPEN);
            assert_eq!((fx.told.len(), fx.ask.len()), (1, 0));
        }
        hand(&mut callee, &unregister(4, 13));
        told(&mut callee, CallTold::Unregistered { request: RequestId(4) }, &Permissions::OPEN);
        let mut fx = Effects::default();
        callee.on_reload(&some(), &mut fx);
        assert_eq!((revoked(&fx), left(&fx)), (vec![12], vec![12]));
        // The answer to that is for nobody.
        let answer = CallTold::Unregistered { request: OWN_REQUEST };
        assert!(told(&mut callee, answer, &some()).told.is_empty());
        let mut fx = Effects::default();
        callee.on_reload(&some(), &mut fx);
        assert!(fx.told.is_empty() && fx.ask.is_empty(), "once");
    }

    #[test]
    fn a_result_about_topics_is_for_those_who_may_subscribe_them() {
        let result = || CallTold::Result {
            request: RequestId(7),
            is_progress: false,
            callee: None,
            about: Some(Box::new(TopicPattern::new("r", "b.", Match::Prefix))),
            missing: Vec::new(),
            payload: Payload::new(Content::Raw, bytes::Bytes::new()),
        };
        let mut callee = Callee::default();
        let fx = told(&mut callee, result(), &Permissions::OPEN);
        assert!(matches!(fx.told[..], [Told::Call(CallTold::Result { .. })]), "{fx:?}");
        let fx = told(&mut callee, result(), &some());
        let [Told::Call(CallTold::Failed { request: RequestId(7), error })] = &fx.told[..] else {
            panic!("{fx:?}");
        };
        assert_eq!(*error, MetaError::NotAuthorized.into());
    }

    #[test]
    fn one_that_was_on_its_way_is_judged_when_it_stands() {
        let mut callee = Callee::default();
        hand(&mut callee, &register(1, "b.x"));
        hand(&mut callee, &register(2, "a.x"));
        let fx = told(&mut callee, registered(1, 11), &some());
        assert_eq!((fx.told.len(), revoked(&fx), left(&fx)), (2, vec![11], vec![11]));
        let fx = told(&mut callee, registered(2, 12), &some());
        assert_eq!((fx.told.len(), left(&fx)), (1, vec![]));
    }

    #[test]
    fn what_was_refused_or_revoked_is_not_held() {
        let mut callee = Callee::default();
        hand(&mut callee, &register(1, "b.x"));
        hand(&mut callee, &register(2, "b.y"));
        let refused = CallTold::Refused {
            request: RequestId(1),
            kind: CalleeRequest::Register,
            error: RegisterError::AlreadyExists("b.x".into()),
        };
        told(&mut callee, refused, &Permissions::OPEN);
        told(&mut callee, registered(2, 12), &Permissions::OPEN);
        let revoked = CallTold::Revoked { registration: RegistrationId(12) };
        told(&mut callee, revoked, &Permissions::OPEN);
        let mut fx = Effects::default();
        callee.on_reload(&some(), &mut fx);
        assert!(fx.told.is_empty() && callee.registering.is_empty());
    }

    #[test]
    fn a_callee_that_is_not_to_be_seen_any_more_is_hidden_once() {
        let hidden = || {
            let register = Some(CalleeDisclosure::Hidden);
            let (uri, matching) = (String::new(), Match::Prefix);
            let permission = Permission { uri, matching, register, ..Permission::default() };
            Permissions::new([permission], Quotas::UNLIMITED)
        };
        let is_hidden = |fx: &Effects, id| match &fx.ask[..] {
            [Ask::HideRegistration { registration }] => registration.0 == id,
            _other => false,
        };
        let mut callee = Callee::default();
        hand(&mut callee, &register(1, "a.x"));
        told(&mut callee, registered(1, 11), &Permissions::OPEN);
        // One that is on its way.
        hand(&mut callee, &register(2, "a.y"));
        let mut fx = Effects::default();
        callee.on_reload(&hidden(), &mut fx);
        assert!(is_hidden(&fx, 11) && fx.told.is_empty(), "{fx:?}");
        let fx = told(&mut callee, registered(2, 12), &hidden());
        assert!(is_hidden(&fx, 12), "{fx:?}");
        let mut fx = Effects::default();
        callee.on_reload(&hidden(), &mut fx);
        assert!(fx.ask.is_empty(), "{fx:?}");
    }
}
