//! Rights: what somebody may do here, for as long as what he was let in for lasts.
//!
//! A session, a stream of events, a long answer: each is let in once and goes on for as long as it
//! likes, while the realms may be read again at any time. So each holds its rights, and asks them
//! again when [`changed`](Rights::changed) says so, before anything more is given out. The gates say
//! it each in its own way: [`RightsLost`].

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use vixen_broker::access::{Act, Exceeded, Permissions, Publisher};
use vixen_core::segment::TopicPattern;

use super::{Admission, origin_of};
use crate::auth::{Identity, Method};

/// What a record of registrations takes without its names, in bytes; about, and not less.
const RECORD_BYTES: usize = 64;

/// See the module.
#[derive(Debug)]
pub(crate) struct Rights {
    admission: Arc<Admission>,
    identity: Identity,
    /// Whose quota it is.
    publisher: Publisher,
    permissions: Permissions,
    reloads: watch::Receiver<u64>,
}

/// What the newest configuration has taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RightsLost {
    /// The realm, the user or the role is gone, or the user has another role or secret.
    #[error("the configuration of the realm does not know this session any more")]
    Session,
    /// The role may not do it with that topic any more.
    #[error("the role of this session may not {0} any more")]
    Topic(Act),
}

impl Rights {
    /// Those of an identity that was just let in, at this address.
    ///
    /// # Errors
    /// The configuration does not know it, just now.
    pub(crate) fn new(
        admission: &Arc<Admission>,
        identity: Identity,
        address: IpAddr,
    ) -> Result<Self, RightsLost> {
        // Before they are looked up: no reload falls between the two.
        let reloads = admission.reloads();
        let permissions = admission.permissions(&identity).ok_or(RightsLost::Session)?;
        let publisher = match identity.authmethod {
            Method::Anonymous => Publisher::Anonymous(origin_of(address)),
            _named => Publisher::Named(Arc::clone(&identity.authid)),
        };
        Ok(Self { admission: Arc::clone(admission), identity, publisher, permissions, reloads })
    }

    /// As of the last judgement.
    pub(crate) const fn permissions(&self) -> &Permissions {
        &self.permissions
    }

    /// Counts a message that is about to be published, if the quotas let it pass.
    ///
    /// # Errors
    /// They do not.
    pub(crate) fn spend(&self, topic: &str, bytes: usize) -> Result<(), Exceeded> {
        self.spend_of(Some(topic), bytes)
    }

    /// The same for a registration, whose record has so many bytes of names. That of its end is paid with it: whoever
    /// has nothing left may leave all the same.
    ///
    /// # Errors
    /// They do not let it pass.
    pub(crate) fn spend_registration(&self, name_bytes: usize) -> Result<(), Exceeded> {
        self.spend_of(None, 2 * RECORD_BYTES + name_bytes)
    }

    fn spend_of(&self, topic: Option<&str>, bytes: usize) -> Result<(), Exceeded> {
        let quotas = self.permissions.quotas();
        self.admission.spend(&self.identity.realm, &self.publisher, quotas, topic, bytes)
    }

    /// Whether there was a reload since the last judgement.
    pub(crate) fn have_changed(&self) -> bool {
        self.reloads.has_changed().unwrap_or(false)
    }

    /// Resolves when there was a reload since the last judgement, once for each. Cancel safe.
    pub(crate) async fn changed(&mut self) {
        if self.reloads.changed().await.is_err() {
            // Admission is gone, and the node with it: that is learnt otherwise.
            std::future::pending::<()>().await;
        }
    }

    /// Looks the permissions up again.
    ///
    /// # Errors
    /// The configuration does not know the identity any more.
    pub(crate) fn judge(&mut self) -> Result<&Permissions, RightsLost> {
        self.reloads.mark_unchanged();
        self.permissions = self.admission.permissions(&self.identity).ok_or(RightsLost::Session)?;
        Ok(&self.permissions)
    }

    /// Resolves when a reload has ended the session: for who can do nothing else meanwhile. What is
    /// left of the permissions by then is for [`judge`](Self::judge) to tell. Cancel safe.
    pub(crate) async fn gone(&mut self) {
        loop {
            self.changed().await;
            if self.judge().is_err() {
                return;
            }
        }
    }

    /// As [`judge`](Self::judge), for somebody who reads these topics.
    ///
    /// # Errors
    /// He may not go on.
    pub(crate) fn judge_reader(&mut self, topics: &[TopicPattern]) -> Result<(), RightsLost> {
        let permissions = self.judge()?;
        if topics.iter().all(|topic| permissions.may_read(topic)) {
            Ok(())
        } else {
            Err(RightsLost::Topic(Act::Subscribe))
        }
    }

    /// As [`judge`](Self::judge), for somebody who is about to publish.
    ///
    /// # Errors
    /// He may not go on.
    pub(crate) fn judge_publisher(&mut self, topic: &str) -> Result<(), RightsLost> {
        self.judge_act(Act::Publish, |permissions| permissions.publish(topic).is_some())
    }

    /// As [`judge`](Self::judge), for somebody who is about to call.
    ///
    /// # Errors
    /// He may not go on.
    pub(crate) fn judge_caller(&mut self, procedure: &str) -> Result<(), RightsLost> {
        self.judge_act(Act::Call, |permissions| permissions.call(procedure).is_some())
    }

    fn judge_act(
        &mut self,
        act: Act,
        may: impl FnOnce(&Permissions) -> bool,
    ) -> Result<(), RightsLost> {
        let before = self.permissions.authorizer().map(|before| Arc::clone(&before.procedure));
        let now = self.judge()?;
        // Who is asked now was not asked about it.
        let is_asked = now.authorizer().is_none_or(|now| before.as_ref() == Some(&now.procedure));
        if is_asked && may(now) { Ok(()) } else { Err(RightsLost::Topic(act)) }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use vixen_broker::api::SessionId;
    use vixen_core::time::WallTime;
    use vixen_runtime::config::Config;

    use super::*;
    use crate::auth::{LoginRequest, Nonce, Step};

    /// Whoever comes is asked about.
    const CLUSTER: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "r"
auth-timeout = "2s"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
authorizer = "auth.may"
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "auth.may"
register = true
[[realm.role.permission]]
uri = "auth.other"
register = true
"#;

    fn configured(text: &str) -> Config {
        let config = Config::parse(text, Path::new("vixen.toml"), &BTreeMap::new());
        config.unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn a_yes_is_of_a_procedure_and_not_of_the_time_that_it_has() {
        let admission = Arc::new(Admission::new(&configured(CLUSTER)));
        let address = IpAddr::from([10, 0, 0, 1]);
        let request = Ok(LoginRequest::anonymous("r", SessionId(1)));
        let identity = match admission.log_in(address, request, &Nonce([0; 32]), WallTime(0)) {
            Step::Welcome(identity) => identity,
            other => panic!("{other:?}"),
        };
        let mut rights = Rights::new(&admission, identity, address).expect("let in");
        let mut after = |from: &str, to: &str| {
            assert!(CLUSTER.contains(from), "{from}");
            admission.reload(&configured(&CLUSTER.replacen(from, to, 1))).expect("taken");
            rights.judge_publisher("a.b")
        };
        assert_eq!(after("\"2s\"", "\"3s\""), Ok(()));
        let another = after("authorizer = \"auth.may\"", "authorizer = \"auth.other\"");
        assert_eq!(another, Err(RightsLost::Topic(Act::Publish)));
    }
}
