//! Somebody who was let in: who it is, what it may do for now, and where what it does is checked.

use std::net::IpAddr;
use std::sync::Arc;

use vixen_broker::access::{
    Act, CallMessage, Ingress, IngressLimits, Message, Permissions, Refusal, RegisterOptions,
    SubscribeOptions, TopicText,
};
use vixen_broker::api::calls::{Call, CallFeatures, Payload, Register};
use vixen_broker::api::{Publish, RequestId, SessionId, SessionInfo, Subscribe};
use vixen_core::segment::{Match, TopicPattern};

use super::{Admission, Rights, RightsLost, origin_of};
use crate::auth::Identity;

/// See the module.
#[derive(Debug)]
pub(crate) struct AdmittedSession {
    ingress: Ingress,
    rights: Rights,
}

impl AdmittedSession {
    /// Somebody who has just logged in, at this address; `is_announced` where others are to hear of it, `calls`
    /// what it announced.
    ///
    /// # Errors
    /// The configuration does not know it, just now.
    pub(crate) fn new(
        admission: &Arc<Admission>,
        session: SessionId,
        identity: Identity,
        address: IpAddr,
        is_announced: bool,
        calls: CallFeatures,
        limits: IngressLimits,
    ) -> Result<Self, RightsLost> {
        let info = Arc::new(SessionInfo {
            session,
            realm: Arc::clone(&identity.realm),
            authid: Arc::clone(&identity.authid),
            authrole: Arc::clone(&identity.authrole),
            authmethod: identity.authmethod.as_str(),
            authprovider: identity.authprovider,
            origin: origin_of(address),
            is_announced,
            calls,
        });
        let rights = Rights::new(admission, identity, address)?;
        Ok(Self { ingress: Ingress::new(info, limits), rights })
    }

    /// Who it is.
    pub(crate) const fn info(&self) -> &Arc<SessionInfo> {
        self.ingress.info()
    }

    /// What it may do, as of the last judgement.
    pub(crate) const fn permissions(&self) -> &Permissions {
        self.rights.permissions()
    }

    /// What it may do, to be judged again.
    pub(crate) const fn rights(&mut self) -> &mut Rights {
        &mut self.rights
    }

    /// What is left to hold on to, once everything that comes in is checked.
    pub(crate) fn into_rights(self) -> Rights {
        self.rights
    }

    /// The message as it is published. Where an authorizer is asked about it, [`spend_asked`](Self::spend_asked)
    /// counts it against the quotas, once that says yes.
    ///
    /// # Errors
    /// It may not be.
    pub(crate) fn publish(
        &mut self,
        message: Message<'_, impl TopicText>,
    ) -> Result<Publish, Refusal> {
        let publish = self.ingress.publish(self.rights.permissions(), message)?;
        // Last: what is refused otherwise uses nothing up.
        if self.permissions().authorizer().is_none() {
            self.spend(&publish)?;
        }
        Ok(publish)
    }

    /// Counts a message that its authorizer lets pass. Without one, it was counted before.
    ///
    /// # Errors
    /// The quotas do not let it pass.
    pub(crate) fn spend_asked(&self, publish: &Publish) -> Result<(), Refusal> {
        if self.permissions().authorizer().is_some() { self.spend(publish) } else { Ok(()) }
    }

    /// Counts a message against the quotas.
    ///
    /// # Errors
    /// They do not let it pass.
    pub(crate) fn spend(&self, publish: &Publish) -> Result<(), Refusal> {
        Ok(self.rights.spend(&publish.topic.uri, publish.message_bytes())?)
    }

    /// Why a message that was to be published may not be any more.
    pub(crate) const fn not_any_more() -> Refusal {
        Refusal::NotAuthorized(Act::Publish)
    }

    /// The call as it is made.
    ///
    /// # Errors
    /// It may not be.
    pub(crate) fn call(
        &mut self,
        message: CallMessage<'_, impl TopicText>,
    ) -> Result<Call, Refusal> {
        self.ingress.call(self.rights.permissions(), message)
    }

    /// What it wants to answer.
    ///
    /// # Errors
    /// It may not.
    pub(crate) fn register(
        &self,
        request: RequestId,
        procedure: &impl TopicText,
        options: &RegisterOptions,
    ) -> Result<Register, Refusal> {
        let register = self.ingress.register(self.permissions(), request, procedure, options)?;
        // Last: what is refused otherwise uses nothing up.
        self.rights.spend_registration(register.procedure.len())?;
        Ok(register)
    }

    /// Whether a callee may name its error so.
    pub(crate) fn is_error(&self, uri: &str) -> bool {
        self.ingress.is_error(uri)
    }

    /// Whether an answer is let in, beside an error's URI of so many bytes.
    ///
    /// # Errors
    /// It is larger than may be, or not packed as it says.
    pub(crate) fn check_answer(&self, uri_bytes: usize, payload: &Payload) -> Result<(), Refusal> {
        self.ingress.check_payload(uri_bytes, payload)
    }

    /// What it wants to get.
    ///
    /// # Errors
    /// It may not have it.
    pub(crate) fn subscribe(
        &self,
        topic: &impl TopicText,
        options: &SubscribeOptions,
    ) -> Result<Subscribe, Refusal> {
        self.ingress.subscribe(self.permissions(), topic, options)
    }

    /// The topics that it may read by this pattern.
    ///
    /// # Errors
    /// It is none, or not all of it may be read.
    pub(crate) fn pattern(
        &self,
        topic: &impl TopicText,
        matching: Match,
    ) -> Result<TopicPattern, Refusal> {
        self.ingress.pattern(self.permissions(), topic, matching)
    }
}
