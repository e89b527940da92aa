//! A login between a challenge and its answer.

use std::fmt;
use std::sync::Arc;

use super::decision::{Decision, Principal};
use super::identity::Identity;
use super::realm::Authenticator;
use super::refusal::Refusal;
use super::request::Answer;
use super::throttle::Account;
use super::{cra, cryptosign, scram, ticket};

/// A client that was challenged. [`Realms::authenticate`](super::Realms::authenticate) takes its
/// answer; dropping it forgets the login.
#[derive(Clone)]
pub struct Pending {
    /// Who it will be, if there is such a user and the proof is right.
    pub(super) identity: Identity,
    /// Whether the configuration knows a user who can prove it.
    pub(super) is_known: bool,
    pub(super) expected: Expected,
}

/// What proves it.
#[derive(Clone)]
pub(super) enum Expected {
    Ticket(ticket::Expected),
    WampCra(cra::Expected),
    Scram(scram::Expected),
    Cryptosign(cryptosign::Expected),
    /// What a procedure says.
    Decision(Arc<Authenticator>),
}

impl Pending {
    /// Whom it is for, whether there is such a user or not.
    #[must_use]
    pub fn account(&self) -> Account {
        Account::of(&self.identity.realm, &self.identity.authid)
    }

    /// The name that it is for, whether there is such a user or not.
    #[must_use]
    pub fn name(&self) -> std::sync::Arc<str> {
        std::sync::Arc::clone(&self.identity.authid)
    }

    /// Who decides, where that is a procedure. [`Realms::decide`](super::Realms::decide) takes what it says.
    #[must_use]
    pub const fn authenticator(&self) -> Option<&Arc<Authenticator>> {
        match &self.expected {
            Expected::Decision(authenticator) => Some(authenticator),
            Expected::Ticket(_)
            | Expected::WampCra(_)
            | Expected::Scram(_)
            | Expected::Cryptosign(_) => None,
        }
    }

    /// Of whom it is, as far as that is known.
    #[must_use]
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Who it is, as the procedure has decided; whether the realm has the role is not looked at.
    pub(super) fn decided(self, decision: Decision) -> Result<Identity, Refusal> {
        let principal = match decision {
            Decision::Welcome(principal) => *principal,
            Decision::Denied => return Err(Refusal::Denied),
            Decision::None => return Err(Refusal::NoDecision),
        };
        let Self { identity, .. } = self;
        if principal.misnamed(&identity.realm).is_some() {
            return Err(Refusal::NoDecision);
        }
        let Principal { role, authid, realm: _, extra } = principal;
        let authid = authid.map_or_else(|| Arc::clone(&identity.authid), Into::into);
        Ok(Identity { authid, authrole: role.into(), extra: extra.map(Into::into), ..identity })
    }

    /// Checks the answer. An unknown user's is checked as well, for the time that it takes.
    pub(super) fn verify(self, answer: &Answer<'_>) -> Result<Identity, Refusal> {
        let Self { mut identity, is_known, expected } = self;
        let is_right = match expected {
            Expected::Ticket(expected) => expected.verify(answer.proof),
            Expected::WampCra(expected) => expected.verify(answer.proof),
            Expected::Cryptosign(expected) => expected.verify(answer.proof),
            // Nobody has asked it.
            Expected::Decision(_) => return Err(Refusal::NoDecision),
            Expected::Scram(expected) => {
                let (is_right, server_proof) = expected.verify(answer)?;
                identity.server_proof = Some(server_proof);
                is_right
            }
        };
        if bool::from(is_right) & is_known { Ok(identity) } else { Err(Refusal::Denied) }
    }
}

/// Shows who, and not what is expected.
impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending")
            .field("realm", &self.identity.realm)
            .field("authid", &self.identity.authid)
            .field("authmethod", &self.identity.authmethod)
            .finish_non_exhaustive()
    }
}
