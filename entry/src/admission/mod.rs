//! Admission: who may come in, how many, and what they may do once they are in.
//!
//! One for all sessions and requests of an entry, whatever their gate. Logins are those of [`auth`](crate::auth),
//! permissions and quotas those of the broker; here they meet the clock, the randomness and the addresses of
//! clients. Whoever is let in is a [`AdmittedSession`], which checks what it publishes and subscribes.

mod answers;
mod attempts;
mod full;
mod reload;
mod rights;
mod session;

use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{counter, describe_counter};
use serde_json::{Value, json};
use tokio::sync::watch;

use vixen_broker::access::{Cost, Exceeded, Meters, Permissions, Publisher, Quotas};
use vixen_broker::api::{Holder, Origin};
use vixen_core::tier::Tier;
use vixen_core::time::WallTime;
use vixen_runtime::address::{AddressBlock, AddressCounts, WideBlock};
use vixen_runtime::config::Config;

use crate::auth::{
    Account, Answer, FailureLimits, Identity, LoginRequest, LoginThrottle, Nonce, Pending, Realms,
    Refusal, Step,
};
pub(crate) use answers::{AnswerPlace, Answers, describe_answer_metrics};
pub(crate) use attempts::Attempt;
pub(crate) use full::{Full, Kind};
use reload::ReloadRefused;
pub(crate) use reload::{reload_realms, tell_exposure};
pub(crate) use rights::{Rights, RightsLost};
pub(crate) use session::AdmittedSession;

const LOGIN_FAILURES: &str = "vixen_entry_login_failures_total";
const CONNECTIONS_REFUSED: &str = "vixen_entry_connections_refused_total";
const QUOTA_REFUSALS: &str = "vixen_entry_quota_refusals_total";
const REALM_RELOADS: &str = "vixen_entry_realm_reloads_total";

/// Gives the metrics of admission their help texts.
pub(crate) fn describe_admission_metrics() {
    describe_counter!(LOGIN_FAILURES, "Logins that were refused");
    describe_counter!(CONNECTIONS_REFUSED, "Connections of clients refused for their number");
    describe_counter!(
        QUOTA_REFUSALS,
        "Messages and registrations refused because a quota is used up"
    );
    describe_counter!(REALM_RELOADS, "Realms read again at SIGHUP");
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Admission {
    realms: Realms,
    failures: Mutex<LoginThrottle>,
    /// Changes whenever a login is over that a procedure decides.
    attempts: watch::Sender<u64>,
    present: Mutex<Present>,
    present_max: usize,
    per_address_max: usize,
    reloads: watch::Sender<u64>,
    meters: Mutex<Meters>,
    /// Nobody outside can tell which topics have one digest.
    topic_keys: RandomState,
    /// What became of the last one.
    last_reload: Mutex<Option<String>>,
}

#[derive(Debug, Default)]
struct Present {
    total: usize,
    of: AddressCounts,
}

/// A place inside, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Permit {
    admission: Arc<Admission>,
    address: IpAddr,
}

impl Admission {
    /// That of a configuration.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        // Of an entry that may start, the configuration has it.
        let secret = config.cluster.secrets.of(Tier::Entry).expect("an entry has its secret");
        Self {
            realms: Realms::new(&config.realms, config.access, secret),
            failures: Mutex::new(LoginThrottle::new(FailureLimits {
                failures_max: limits.login_failures_max,
                window: limits.login_failure_window,
                remembered_max: FailureLimits::REMEMBERED_MAX,
            })),
            attempts: watch::Sender::new(0),
            present: Mutex::default(),
            present_max: limits.sessions_max,
            per_address_max: limits.sessions_per_address_max,
            reloads: watch::Sender::new(0),
            meters: Mutex::default(),
            topic_keys: RandomState::new(),
            last_reload: Mutex::default(),
        }
    }

    /// Lets one more connection of an address in.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Full> {
        let mut present = lock(&self.present);
        let full = |holder, max, limit| Full { kind: Kind::Sessions, holder, max, limit };
        let reached = if present.total >= self.present_max {
            Some(full(Holder::Entry, self.present_max, "sessions-max"))
        } else {
            let (block, max) = (AddressBlock::of(address), self.per_address_max);
            let site_max = max.saturating_mul(WideBlock::SHARES);
            let is_own = present.of.of(block) >= max;
            let (holder, of_holder) =
                if is_own { (Holder::Address, max) } else { (Holder::Site, site_max) };
            let counted = present.of.take_within(block, max, site_max);
            counted.err().map(|_full| full(holder, of_holder, "sessions-per-address-max"))
        };
        if let Some(full) = reached {
            counter!(CONNECTIONS_REFUSED, "limit" => full.limit).increment(1);
            return Err(full);
        }
        present.total += 1;
        drop(present);
        Ok(Permit { admission: Arc::clone(self), address })
    }

    /// Begins a login, if the gate could read what the client says.
    pub(crate) fn log_in(
        &self,
        address: IpAddr,
        request: Result<LoginRequest<'_>, Refusal>,
        nonce: &Nonce,
        now: WallTime,
    ) -> Step {
        let step = match &request {
            Ok(request) => self.realms.log_in(request, nonce, now),
            Err(refusal) => Step::Refused(*refusal),
        };
        match step {
            Step::Refused(refusal) => {
                count_failure(refusal);
                Step::Refused(refusal)
            }
            Step::Challenge { pending, .. } if self.is_closed_for(address, pending.account()) => {
                count_failure(Refusal::Throttled);
                Step::Refused(Refusal::Throttled)
            }
            // Whoever is anonymous guesses nothing.
            step @ (Step::Welcome(_) | Step::Challenge { .. }) => step,
        }
    }

    /// Takes the answer to a challenge, if the gate could read it.
    pub(crate) fn authenticate(
        &self,
        address: IpAddr,
        pending: Pending,
        answer: Result<Answer<'_>, Refusal>,
    ) -> Result<Identity, Refusal> {
        let (account, name) = (pending.account(), pending.name());
        if self.is_closed_for(address, account) {
            count_failure(Refusal::Throttled);
            return Err(Refusal::Throttled);
        }
        let outcome = answer.and_then(|answer| self.realms.authenticate(pending, &answer));
        self.count(address, account, &name, &outcome);
        outcome
    }

    fn count(
        &self,
        address: IpAddr,
        account: Account,
        name: &str,
        outcome: &Result<Identity, Refusal>,
    ) {
        match outcome {
            Ok(_identity) => lock(&self.failures).on_success(address, account, Instant::now()),
            Err(refusal) => {
                count_failure(*refusal);
                if refusal.is_failed_proof() {
                    self.failed(address, account, name);
                }
            }
        }
    }

    /// What a session may do now; `None` when the configuration does not know it any more.
    pub(crate) fn permissions(&self, identity: &Identity) -> Option<Permissions> {
        self.realms.permissions(identity)
    }

    /// Takes the realms of a configuration that was read again, and tells all sessions.
    ///
    /// # Errors
    /// It has none: then what was before holds. A file that was cut off, by an editor or a copy that
    /// is half done, would open everything or shut everybody out.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), ReloadRefused> {
        if config.realms.is_empty() {
            if !config.access.open {
                return Err(ReloadRefused::NobodyLeft);
            }
            if !self.realms.is_open() {
                return Err(ReloadRefused::WouldOpen);
            }
        }
        self.realms.replace(&config.realms, config.access);
        self.reloads.send_modify(|version| *version += 1);
        Ok(())
    }

    /// Who may come in, for the status page.
    pub(crate) fn status(&self) -> Value {
        json!({
            "open": self.realms.is_open(),
            "realms": self.realms.len(),
            "last_reload": *lock(&self.last_reload),
        })
    }

    /// Counts a message of so many bytes, or another record that has no topic, if the quotas let it pass.
    ///
    /// # Errors
    /// They do not, and nothing is counted.
    pub(crate) fn spend(
        &self,
        realm: &Arc<str>,
        publisher: &Publisher,
        quotas: &Quotas,
        topic: Option<&str>,
        bytes: usize,
    ) -> Result<(), Exceeded> {
        if quotas.are_unlimited() {
            return Ok(());
        }
        let topic = topic.map(|topic| self.topic_keys.hash_one(topic));
        let cost = Cost { bytes: bytes as u64, topic };
        let mut meters = lock(&self.meters);
        let spent = meters.spend(Instant::now(), realm, publisher, quotas, cost);
        drop(meters);
        spent.inspect_err(|exceeded| {
            let labels = [("quota", exceeded.kind.key()), ("of", exceeded.scope.label())];
            counter!(QUOTA_REFUSALS, &labels).increment(1);
        })
    }

    /// Changes whenever the realms were read again.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    fn is_closed_for(&self, address: IpAddr, account: Account) -> bool {
        lock(&self.failures).closed_for(address, account, Instant::now()).is_some()
    }

    fn failed(&self, address: IpAddr, account: Account, name: &str) {
        let full = lock(&self.failures).on_failure(address, account, Instant::now());
        if full.address {
            tracing::warn!(ip = %address, "too many failed logins from an address: further ones have to wait");
        }
        if full.account {
            tracing::warn!(authid = name, ip = %address, "too many failed logins for a name: further ones have to wait");
        }
    }
}

fn count_failure(refusal: Refusal) {
    counter!(LOGIN_FAILURES, "reason" => refusal.label()).increment(1);
}

impl Permit {
    /// Whose place it is.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut present = lock(&self.admission.present);
        present.total -= 1;
        present.of.give_back(AddressBlock::of(self.address));
    }
}

/// Where a client at `address` is, for what the broker bounds by it.
pub(crate) fn origin_of(address: IpAddr) -> Origin {
    let block = AddressBlock::of(address);
    Origin { client: block.first(), site: (!block.is_site()).then(|| block.wide().first()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Admission {
    /// Everybody may come in.
    pub(crate) fn of_tests() -> Arc<Self> {
        Self::for_sessions(usize::MAX)
    }

    /// Everybody may come in while there is a place.
    pub(crate) fn for_sessions(sessions_max: usize) -> Arc<Self> {
        let listen = ([127, 0, 0, 1], 0).into();
        let mut config = Config::nearcast(std::path::PathBuf::from("unused"), listen);
        config.limits.sessions_max = sessions_max;
        Arc::new(Self::new(&config))
    }
}

#[cfg(test)]
mod tests;
