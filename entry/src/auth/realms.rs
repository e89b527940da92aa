//! The realms of the configuration, and logging in to them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use vixen_broker::access::Permissions;
use vixen_core::time::WallTime;
use vixen_runtime::config::{Access, RealmConfig, Secret};

use super::decision::{Decision, Principal, Unfit};
use super::identity::{Identity, Method};
use super::login::{self, Nonce, Step};
use super::pending::Pending;
use super::realm::{OPEN_ROLE, State};
use super::refusal::Refusal;
use super::request::{Answer, LoginRequest};
use super::stand_in::StandIns;

/// The realms as of the newest configuration. Clones are the same realms.
#[derive(Clone)]
pub struct Realms(Arc<Shared>);

struct Shared {
    stand_ins: StandIns,
    version: AtomicU64,
    state: RwLock<Arc<State>>,
}

impl Realms {
    /// The realms of a configuration: `[[realm]]`, or that there are none and everybody may do
    /// everything; and the secret of entries, which makes the answers to unknown users the same at
    /// all of them. Takes some tenths of a second where there are realms.
    #[must_use]
    pub fn new(realms: &[RealmConfig], access: Access, secret: &Secret) -> Self {
        Self::with(realms, access, StandIns::new(secret))
    }

    pub(super) fn with(realms: &[RealmConfig], access: Access, stand_ins: StandIns) -> Self {
        if !realms.is_empty() {
            stand_ins.prepare();
        }
        Self(Arc::new(Shared {
            stand_ins,
            version: AtomicU64::new(0),
            state: RwLock::new(Arc::new(State::new(realms, access))),
        }))
    }

    /// Puts another configuration in place. Sessions keep what they have until they ask
    /// [`permissions`](Self::permissions) again, and [`version`](Self::version) tells when.
    pub fn replace(&self, realms: &[RealmConfig], access: Access) {
        let state = Arc::new(State::new(realms, access));
        *self.0.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.0.version.fetch_add(1, Ordering::Release);
    }

    /// Another number after each [`replace`](Self::replace).
    #[must_use]
    pub fn version(&self) -> u64 {
        self.0.version.load(Ordering::Acquire)
    }

    /// Whether everybody may do everything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open)
    }

    /// How many the configuration has.
    #[must_use]
    pub fn len(&self) -> usize {
        match &*self.state() {
            State::Open => 0,
            State::Configured(realms) => realms.len(),
        }
    }

    /// Whether the configuration has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Begins a login.
    ///
    /// The first method that the client offers and the realm has is the one: whether the user has
    /// it would tell whether there is such a user.
    #[must_use]
    pub fn log_in(&self, request: &LoginRequest<'_>, nonce: &Nonce, now: WallTime) -> Step {
        let state = self.state();
        login::begin(&self.0.stand_ins, &state, request, nonce, now).unwrap_or_else(Step::Refused)
    }

    /// Takes the answer to a challenge.
    ///
    /// # Errors
    /// [`Refusal::Denied`] when the proof is wrong, there is no such user, or the configuration has
    /// meanwhile lost or changed it; [`Refusal::ChannelBinding`] when it is bound to a channel.
    pub fn authenticate(&self, pending: Pending, answer: &Answer<'_>) -> Result<Identity, Refusal> {
        let identity = pending.verify(answer)?;
        if self.permissions(&identity).is_some() { Ok(identity) } else { Err(Refusal::Denied) }
    }

    /// Takes what the procedure has decided that [`Pending::authenticator`] names.
    ///
    /// # Errors
    /// [`Refusal::Denied`] where it says no; [`Refusal::NoDecision`] where it says nothing that may be, such as a role
    /// that the realm does not have.
    pub fn decide(&self, pending: Pending, decision: Decision) -> Result<Identity, Refusal> {
        let identity = pending.decided(decision)?;
        let is_known = self.permissions(&identity).is_some();
        if is_known { Ok(identity) } else { Err(Refusal::NoDecision) }
    }

    /// Why nobody comes in to a realm as its authenticator has decided, if that is so now.
    #[must_use]
    pub fn unfit(&self, realm: &str, principal: &Principal) -> Option<Unfit> {
        let has_role = match &*self.state() {
            State::Open => false,
            State::Configured(realms) => {
                realms.get(realm).is_some_and(|realm| realm.has_role(&principal.role))
            }
        };
        let of_role = (!has_role).then(|| Unfit::role(&principal.role));
        of_role.or_else(|| principal.misnamed(realm))
    }

    /// What a session may do now. `None` when the configuration does not know it any more: its
    /// realm, user or role is gone, or the user has another role or secret. Its session is to be
    /// closed.
    #[must_use]
    pub fn permissions(&self, identity: &Identity) -> Option<Permissions> {
        match &*self.state() {
            State::Open => {
                let is_open =
                    identity.authmethod == Method::Anonymous && *identity.authrole == *OPEN_ROLE;
                is_open.then_some(Permissions::OPEN)
            }
            State::Configured(realms) => {
                realms.get(&*identity.realm)?.permissions(identity, &self.0.stand_ins)
            }
        }
    }

    /// Whether the configuration still knows a session as it is.
    #[must_use]
    pub fn is_still_valid(&self, identity: &Identity) -> bool {
        self.permissions(identity).is_some()
    }

    fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Shows how many, and no users.
impl std::fmt::Debug for Realms {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Realms({}, version {})", self.len(), self.version())
    }
}
