//! What a client's frames ask for, as steps; and what it is told, as frames.

use tokio::time::Instant;

use vixen_broker::access::{self as broker, Act, CalleeDisclosure, Permissions};
use vixen_broker::api::Publish;
use vixen_broker::api::calls::{CallTold, CallWord, CalleeRequest, Register, Testament};
use vixen_broker::client::{Effects, Told};
use vixen_broker::dealer::Breach;
use vixen_broker::history::HistoryError;
use vixen_core::access::Disclosure;

use super::{Connection, Own};
use crate::admission::AdmittedSession;
use crate::gates::metrics::{count_refusal, count_registration};
use crate::gates::refusal::Refusal;
use crate::gates::wamp::error::{Ending, Violation};
use crate::gates::wamp::metrics::count_subscribe_error;
use crate::gates::wamp::session::{Action, spoiled};

/// Whether a word that the client has said before may not go on; one that may is as it may be now. A call stays, as
/// what it has become: it may be a part of one that is open.
pub(super) fn is_refused(permissions: &Permissions, word: &mut CallWord) -> bool {
    match word {
        CallWord::Call(call) => {
            let is_left = |left: &Testament| permissions.publish(&left.message.topic.uri).is_some();
            if let Some(rights) = &mut call.rights {
                (**rights).clone_from(permissions);
            }
            let may_leave = call.testament.as_deref().is_none_or(is_left);
            match permissions.call(&call.procedure).filter(|_| may_leave) {
                Some(Disclosure::Never) => call.is_disclosed = false,
                Some(Disclosure::OnRequest | Disclosure::Always) => {}
                None => *word = spoiled(call, not_authorized(Act::Call)),
            }
            false
        }
        CallWord::Register(register) => {
            let disclosure = permissions.register(&register.procedure, register.matching);
            register.is_disclosed &= disclosure == Some(CalleeDisclosure::Told);
            disclosure.is_none()
        }
        CallWord::Spoiled { .. }
        | CallWord::Withdrawn { .. }
        | CallWord::Cancel { .. }
        | CallWord::Unregister { .. }
        | CallWord::Hide { .. }
        | CallWord::Yield { .. }
        | CallWord::Fail { .. } => false,
    }
}

fn not_authorized(act: Act) -> Refusal {
    broker::Refusal::NotAuthorized(act).into()
}

impl Connection {
    /// Turns what the session wants into steps.
    pub(super) fn take_action(&mut self, action: Action) {
        match action {
            Action::Publish(publish) => {
                self.metrics.publishes.increment(1);
                self.driver.publish(publish);
            }
            Action::PublishRefused { refusal, answer } => {
                count_refusal(refusal);
                if let Some(answer) = answer {
                    self.driver.gate(Own::Write(answer));
                }
            }
            Action::Open { info, permissions, takes_revocation, welcome } => {
                self.encoder.on_opened(takes_revocation, info.calls);
                self.asking.open(&info, &permissions);
                self.driver.open(info, permissions);
                self.driver.gate(Own::Write(welcome));
            }
            Action::Challenge(challenge) => {
                self.login_by = Instant::now() + self.context.limits.hello_timeout;
                self.driver.gate(Own::Write(challenge));
            }
            Action::AskLogin { question, timeout } => {
                // It is not the client's time.
                self.login_by = Instant::now() + self.context.limits.hello_timeout + timeout;
                self.asking.ask_login(question);
            }
            Action::Subscribe { request, wanted } => self.driver.subscribe(request, *wanted),
            Action::Unsubscribe { request, subscription } => {
                self.driver.unsubscribe(request, subscription);
            }
            Action::SubscribeRefused { refusal, answer } => {
                count_subscribe_error(refusal.uri());
                self.driver.gate(Own::Write(answer));
            }
            Action::Call(word) => self.driver.call(word),
            Action::RegisterRefused { answer } => {
                count_registration("refused");
                self.driver.gate(Own::Write(answer));
            }
            Action::End(ending) => self.driver.gate(Own::End(ending)),
            // What was asked is answered by now: nothing comes of one that is not judged.
            Action::Asked { .. } => {}
        }
    }

    /// The session ends, once all is done that was asked for before.
    pub(super) fn take_end(&mut self, ending: Ending) {
        self.take(Action::End(ending));
    }

    /// Does what may be done of the steps, and writes what comes of it.
    pub(super) async fn do_steps(&mut self) -> Result<(), Ending> {
        let frames = &mut self.frames;
        let done = self.driver.do_steps(|own| match own {
            Own::Write(text) => {
                frames.text(text);
                Ok(())
            }
            Own::End(ending) => Err(ending),
        });
        let outcome = done.await;
        self.note_opening();
        for told in self.driver.take_told() {
            if let Told::Call(CallTold::Refused { kind: CalleeRequest::Register, .. }) = &told {
                count_registration("refused");
            }
            self.encoder.put(told, &mut self.frames);
        }
        self.write().await?;
        outcome
    }

    fn note_opening(&mut self) {
        if self.driver.is_open() && !self.was_opened {
            self.was_opened = true;
            self.meter.allow(usize::MAX);
            self.metrics.sessions.increment(1.0);
            self.metrics.sessions_total.increment(1);
            tracing::debug!(session = self.session.id().0, "session opened");
        }
    }

    /// Refuses what waits for room and may not be any more: messages, calls and registrations. Where another is asked
    /// about the session than was before, that has not been about these: then all of them, as subscriptions before.
    pub(super) fn refuse_steps(&mut self, permissions: &Permissions, asks_another: bool) {
        let refusal = Refusal::from(AdmittedSession::not_any_more());
        let is_out =
            |message: &Publish| asks_another || permissions.publish(&message.topic.uri).is_none();
        for message in self.driver.refuse(is_out) {
            count_refusal(refusal);
            if let Some(request) = message.acknowledge {
                self.frames.text(self.session.refuse_publish(request, refusal));
            }
        }
        let is_out = |word: &mut CallWord| {
            if let CallWord::Call(call) = word
                && asks_another
            {
                *word = spoiled(call, not_authorized(Act::Call));
            }
            is_refused(permissions, word) || asks_another && matches!(word, CallWord::Register(_))
        };
        for word in self.driver.refuse_words(is_out) {
            if let CallWord::Register(Register { request, .. }) = word {
                count_registration("refused");
                let refusal = not_authorized(Act::Register);
                self.frames.text(self.session.refuse_register(request, refusal));
            }
        }
    }

    /// Makes frames of what the client is told, and of what comes `then`; does what else effects owe; and
    /// writes.
    pub(super) async fn settle(
        &mut self,
        mut fx: Effects,
        then: impl FnOnce(&mut Self),
    ) -> Result<(), Ending> {
        for told in fx.told.drain(..) {
            self.encoder.put(told, &mut self.frames);
        }
        then(self);
        self.driver.settle(&mut fx).await?;
        self.driver.answer(self.encoder.take_unsaid()).await?;
        self.write().await?;
        if self.driver.killed().is_some() {
            return Err(Ending::Killed);
        }
        match self.driver.breach() {
            None => {}
            Some(Breach::RepeatedRequest(request)) => {
                return Err(Violation::Repeated(request.0).into());
            }
            Some(Breach::Unread) => return Err(Ending::CallsUnread),
            Some(Breach::RegistrationLost) => return Err(Ending::RegistrationLost),
        }
        match fx.lost {
            None => Ok(()),
            Some(HistoryError::Trimmed { first }) => Err(Ending::Trimmed { first }),
            Some(_stopped) => Err(Ending::Shutdown),
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use vixen_broker::access::{Permission, Quotas};
    use vixen_broker::api::RequestId;
    use vixen_broker::api::calls::{Call, Invoke, Payload};
    use vixen_core::segment::{Encoding, Match};

    use super::*;

    /// Below `a.` calls and registrations are allowed, and nobody is told of.
    fn some() -> Permissions {
        let permission = Permission {
            uri: "a.".to_owned(),
            matching: Match::Prefix,
            call: Some(Disclosure::Never),
            register: Some(CalleeDisclosure::Hidden),
            ..Permission::default()
        };
        Permissions::new([permission], Quotas::UNLIMITED)
    }

    fn call(uri: &str) -> CallWord {
        CallWord::Call(Call {
            request: RequestId(7),
            procedure: uri.into(),
            payload: Payload::new(Encoding::Json, Bytes::new()),
            takes_progress: false,
            has_more: true,
            timeout_ms: None,
            came: None,
            is_disclosed: true,
            routing_key: None,
            testament: None,
            rights: None,
        })
    }

    fn register(uri: &str) -> CallWord {
        CallWord::Register(Register {
            request: RequestId(7),
            procedure: uri.into(),
            matching: Match::Exact,
            invoke: Invoke::Single,
            concurrency: None,
            is_forced: false,
            is_disclosed: true,
            forwards_timeout: false,
        })
    }

    #[test]
    fn words_that_wait_are_judged_by_the_rights_of_now() {
        let (mut good, mut bad) = (call("a.x"), call("b.x"));
        assert!(!is_refused(&some(), &mut good));
        assert!(matches!(good, CallWord::Call(Call { is_disclosed: false, .. })), "{good:?}");
        assert!(!is_refused(&some(), &mut bad));
        let CallWord::Spoiled { request: RequestId(7), has_more: true, error, .. } = bad else {
            panic!("{bad:?}");
        };
        assert_eq!(&*error, "wamp.error.not_authorized");
        let (mut good, mut bad) = (register("a.x"), register("b.x"));
        assert!(!is_refused(&some(), &mut good));
        assert!(matches!(good, CallWord::Register(Register { is_disclosed: false, .. })));
        assert!(is_refused(&some(), &mut bad));
        let (mut as_it_was, mut too) = (call("b.x"), register("b.x"));
        assert!(!is_refused(&Permissions::OPEN, &mut as_it_was));
        assert!(!is_refused(&Permissions::OPEN, &mut too));
        assert_eq!((as_it_was, too), (call("b.x"), register("b.x")));
    }
}
