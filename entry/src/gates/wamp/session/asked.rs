//! What the authorizer of a role is asked about before it is done, and what becomes of it then.

use std::sync::Arc;

use bytes::BytesMut;

use vixen_broker::access::{self, Act, Permissions};
use vixen_broker::api::SessionInfo;
use vixen_broker::api::calls::{Call, CallWord};
use vixen_broker::authority::{Judgement, Question};
use vixen_core::segment::Match;

use super::calls::{Frame, REGISTER, text_argument};
use super::{Action, PUBLISH, SUBSCRIBE, Session, refused};
use crate::gates::refusal::{OptionError, Refusal};
use crate::gates::testament::{ADD_TESTAMENT, publish_options_of};
use crate::gates::wamp::message::ClientMessage;

/// The options of a message, as authorizers are told them.
#[derive(Clone, Debug)]
pub(in crate::gates::wamp) struct ToldOptions {
    own: Arc<str>,
    /// Of a message that it leaves to be published when the session ends.
    left: Arc<str>,
}

impl ToldOptions {
    /// Those of a message that needs a right.
    pub(super) fn of(
        frame: Frame<'_>,
        message: &ClientMessage<'_>,
    ) -> Option<Result<Self, OptionError>> {
        let left = match message {
            ClientMessage::Call(call)
                if call.procedure.decode().is_some_and(|uri| uri == ADD_TESTAMENT) =>
            {
                publish_options_of(&frame.payload(call.payload.clone()))
            }
            _other => Ok("{}".into()),
        };
        let own = message.told_options()?;
        Some(own.and_then(|own| Ok(Self { own, left: left? })))
    }
}

/// The action, if it needs a right, to be asked about.
pub(super) fn asked(
    buffer: &mut BytesMut,
    options: Result<ToldOptions, OptionError>,
    action: Action,
) -> Action {
    let needs_right = match &action {
        Action::Publish(_) | Action::Subscribe { .. } => true,
        Action::Call(word) => matches!(word, CallWord::Call(_) | CallWord::Register(_)),
        _refused_before => false,
    };
    match options {
        _any if !needs_right => action,
        Ok(options) => Action::Asked { options, then: Box::new(action) },
        Err(too_long) => refuse(buffer, action, too_long.into()),
    }
}

/// What is to be asked before this is done.
pub(in crate::gates::wamp) fn questions(
    permissions: &Permissions,
    action: &Action,
) -> Vec<Question> {
    let Action::Asked { options, then } = action else { return Vec::new() };
    let ask = |act, uri, matching| permissions.question(act, uri, matching, &options.own);
    match &**then {
        Action::Publish(publish) => {
            ask(Act::Publish, &publish.topic.uri, Match::Exact).into_iter().collect()
        }
        Action::Subscribe { wanted, .. } => {
            let pattern = &wanted.pattern;
            ask(Act::Subscribe, &pattern.uri, pattern.matching).into_iter().collect()
        }
        Action::Call(CallWord::Call(call)) => {
            let left = call.testament.as_ref().and_then(|left| {
                let topic = &left.message.topic.uri;
                permissions.question(Act::Publish, topic, Match::Exact, &options.left)
            });
            ask(Act::Call, &call.procedure, Match::Exact).into_iter().chain(left).collect()
        }
        Action::Call(CallWord::Register(register)) => {
            ask(Act::Register, &register.procedure, register.matching).into_iter().collect()
        }
        _of_no_right => Vec::new(),
    }
}

/// A call that is refused. It may be a part of one that is open: whose answer this is, the broker knows.
pub(in crate::gates::wamp) fn spoiled(call: &Call, refusal: Refusal) -> CallWord {
    CallWord::Spoiled {
        request: call.request,
        procedure: Arc::clone(&call.procedure),
        has_more: call.has_more,
        error: refusal.uri().into(),
        payload: text_argument(&refusal.to_string()),
    }
}

/// What is done in place of what is refused: it is answered.
fn refuse(buffer: &mut BytesMut, action: Action, refusal: Refusal) -> Action {
    match action {
        Action::Publish(publish) => {
            let answer =
                publish.acknowledge.map(|request| refused(buffer, PUBLISH, request, refusal));
            Action::PublishRefused { refusal, answer }
        }
        Action::Subscribe { request, .. } => {
            let answer = refused(buffer, SUBSCRIBE, request, refusal);
            Action::SubscribeRefused { refusal, answer }
        }
        Action::Call(CallWord::Call(call)) => Action::Call(spoiled(&call, refusal)),
        Action::Call(CallWord::Register(register)) => {
            let answer = refused(buffer, REGISTER, register.request, refusal);
            Action::RegisterRefused { answer }
        }
        of_no_right => of_no_right,
    }
}

/// The session is named to others in what it does, as its authorizer wants it.
fn disclose(action: &mut Action, info: &SessionInfo) {
    match action {
        Action::Publish(publish) => publish.disclose(info),
        Action::Call(CallWord::Call(call)) => match &mut call.testament {
            Some(left) => left.message.disclose(info),
            None => call.is_disclosed = true,
        },
        _nobody_hears => {}
    }
}

impl Session {
    /// What is done now that it is known whether it may be: it, or a refusal, as of a role that does not allow it.
    pub(in crate::gates::wamp) fn judged(
        &mut self,
        action: Action,
        judgement: Judgement,
    ) -> Action {
        let Action::Asked { then, .. } = action else { return action };
        let mut action = *then;
        let refusal = match judgement {
            Judgement::Denied(act) => Err(access::Refusal::NotAuthorized(act)),
            Judgement::Allowed { discloses } => {
                if let Some(admitted) = self.admitted().filter(|_| discloses) {
                    disclose(&mut action, admitted.info());
                }
                self.spend(&action)
            }
        };
        match refusal {
            Ok(()) => action,
            Err(refusal) => refuse(&mut self.buffer, action, refusal.into()),
        }
    }

    /// Counts what the authorizer lets pass against the quotas: what it denies uses nothing up.
    fn spend(&self, action: &Action) -> Result<(), access::Refusal> {
        let message = match action {
            Action::Publish(publish) => Some(publish),
            Action::Call(CallWord::Call(call)) => call.testament.as_ref().map(|left| &left.message),
            _uses_nothing => None,
        };
        match (message, self.admitted()) {
            (Some(message), Some(admitted)) => admitted.spend(message),
            _nothing => Ok(()),
        }
    }

    /// What is not allowed any more, by this act, as the realms were read again.
    pub(in crate::gates::wamp) fn denied(&mut self, action: Action, act: Act) -> Action {
        let action = match action {
            Action::Asked { then, .. } => *then,
            action => action,
        };
        refuse(&mut self.buffer, action, access::Refusal::NotAuthorized(act).into())
    }
}
