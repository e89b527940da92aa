//! The door of an entry: who may come in, how many, and what they may do once they are in.
//!
//! One for all sessions and requests. Logins and permissions are those of [`auth`](crate::auth);
//! here they meet the clock, the randomness and the addresses of clients.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{counter, describe_counter};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use vixen_broker::api::Origin;
use vixen_core::tier::Tier;
use vixen_core::time::WallTime;
use vixen_runtime::address::{AddressBlock, AddressCounts};
use vixen_runtime::config::Config;

use crate::auth::{
    Account, FailureGate, FailureLimits, Hello, Identity, Nonce, Pending, Permissions, Realms,
    Refusal, Step,
};
use crate::quota::{Cost, Exceeded, Meters, Publisher, Quotas};

const LOGIN_FAILURES: &str = "vixen_entry_login_failures_total";
const CONNECTIONS_REFUSED: &str = "vixen_entry_connections_refused_total";
const QUOTA_REFUSALS: &str = "vixen_entry_quota_refusals_total";
const REALM_RELOADS: &str = "vixen_entry_realm_reloads_total";

/// Gives the metrics of the door their help texts.
pub(crate) fn describe_door_metrics() {
    describe_counter!(LOGIN_FAILURES, "Logins that were refused");
    describe_counter!(CONNECTIONS_REFUSED, "Connections of clients refused for their number");
    describe_counter!(QUOTA_REFUSALS, "Messages refused because a quota is used up");
    describe_counter!(REALM_RELOADS, "Realms read again at SIGHUP");
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Door {
    realms: Realms,
    failures: Mutex<FailureGate>,
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

/// Why realms that were read again are not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReloadRefused {
    /// There are none any more, and it is not said that everybody may come in.
    #[error("the file has no [[realm]] any more: is it whole?")]
    NobodyLeft,
    /// There are none any more, and it is said that everybody may come in.
    #[error("access.open would open what has realms: that takes a restart")]
    WouldOpen,
}

/// A place inside, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Admission {
    door: Arc<Door>,
    address: IpAddr,
}

impl Door {
    /// The door of a configuration.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        let limits = &config.limits;
        // Of an entry that may start, the configuration has it.
        let secret = config.cluster.secrets.of(Tier::Entry).expect("an entry has its secret");
        Self {
            realms: Realms::new(&config.realms, config.access, secret),
            failures: Mutex::new(FailureGate::new(FailureLimits {
                failures_max: limits.login_failures_max,
                window: limits.login_failure_window,
                remembered_max: FailureLimits::REMEMBERED_MAX,
            })),
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
    /// The key of the limit that is reached.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Admission, &'static str> {
        let mut present = lock(&self.present);
        let reached = if present.total >= self.present_max {
            Some("sessions-max")
        } else {
            let counted = present.of.take(AddressBlock::of(address), self.per_address_max);
            counted.err().map(|_full| "sessions-per-address-max")
        };
        if let Some(limit) = reached {
            counter!(CONNECTIONS_REFUSED, "limit" => limit).increment(1);
            return Err(limit);
        }
        present.total += 1;
        drop(present);
        Ok(Admission { door: Arc::clone(self), address })
    }

    /// Begins a login.
    pub(crate) fn hello(
        &self,
        address: IpAddr,
        hello: &Hello<'_>,
        nonce: &Nonce,
        now: WallTime,
    ) -> Step {
        match self.realms.hello(hello, nonce, now) {
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

    /// Takes the answer to a challenge.
    pub(crate) fn authenticate(
        &self,
        address: IpAddr,
        pending: Pending,
        signature: &str,
        extra: &Map<String, Value>,
    ) -> Result<Identity, Refusal> {
        let account = pending.account();
        if self.is_closed_for(address, account) {
            count_failure(Refusal::Throttled);
            return Err(Refusal::Throttled);
        }
        let outcome = self.realms.authenticate(pending, signature, extra);
        match &outcome {
            Ok(_identity) => lock(&self.failures).on_success(address, account, Instant::now()),
            Err(refusal) => {
                count_failure(*refusal);
                if refusal.is_failed_proof() {
                    self.failed(address, account);
                }
            }
        }
        outcome
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

    /// Counts a message of so many bytes, if the quotas let it pass.
    ///
    /// # Errors
    /// They do not, and nothing is counted.
    pub(crate) fn spend(
        &self,
        realm: &Arc<str>,
        publisher: &Publisher,
        quotas: &Quotas,
        topic: &str,
        bytes: usize,
    ) -> Result<(), Exceeded> {
        if quotas.are_unlimited() {
            return Ok(());
        }
        let cost = Cost { bytes: bytes as u64, topic: self.topic_keys.hash_one(topic) };
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

    fn failed(&self, address: IpAddr, account: Account) {
        if lock(&self.failures).on_failure(address, account, Instant::now()) {
            tracing::warn!(ip = %address, "too many failed logins: further ones have to wait");
        }
    }
}

fn count_failure(refusal: Refusal) {
    counter!(LOGIN_FAILURES, "reason" => refusal.label()).increment(1);
}

impl Admission {
    /// Whose place it is.
    pub(crate) const fn address(&self) -> IpAddr {
        self.address
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        let mut present = lock(&self.door.present);
        present.total -= 1;
        present.of.give_back(AddressBlock::of(self.address));
    }
}

/// Where a client at `address` is, for what the broker bounds by it.
pub(crate) fn origin_of(address: IpAddr) -> Origin {
    let block = AddressBlock::of(address);
    Origin { client: block.first(), site: (!block.is_site()).then(|| block.wide().first()) }
}

/// Takes the realms of a configuration that was read again; where there is none, what was before
/// holds.
pub(crate) fn reload_realms(door: &Door, config: Result<&Config, &str>) {
    let (outcome, told) = match config.map(|config| (config, door.reload(config))) {
        Ok((config, Ok(()))) => {
            tracing::info!(realms = config.realms.len(), "realms read again");
            ("ok", "ok".to_owned())
        }
        Ok((_, Err(error))) => {
            tracing::error!(%error, "realms not read again: what was before holds");
            ("refused", format!("refused: {error}"))
        }
        Err(logged) => ("failed", format!("failed: {logged}")),
    };
    *lock(&door.last_reload) = Some(told);
    counter!(REALM_RELOADS, "outcome" => outcome).increment(1);
}

/// Says what a configuration leaves to whoever can connect, where that is not this machine alone.
pub(crate) fn tell_exposure(config: &Config, listen: SocketAddr) {
    if listen.ip().is_loopback() {
        return;
    }
    if config.access.open {
        tracing::warn!(
            %listen,
            "this entry is open: whoever can connect may publish and read everything; [[realm]] \
             tables say who may do what"
        );
    }
    let has_users = config.realms.iter().any(|realm| !realm.users.is_empty());
    if has_users && config.tls.is_none() {
        tracing::warn!(
            %listen,
            "clients log in without TLS here: [tls], or a proxy in front that ends it, keeps tickets \
             and messages from others"
        );
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
impl Door {
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
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn places_are_counted_by_address_and_in_all() {
        let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
        (config.limits.sessions_max, config.limits.sessions_per_address_max) = (3, 2);
        let door = Arc::new(Door::new(&config));
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let first = door.admit(a).expect("the first");
        let _second = door.admit(a).expect("the second");
        assert_eq!(door.admit(a).map(drop), Err("sessions-per-address-max"));
        let _third = door.admit(b).expect("another address");
        assert_eq!(door.admit(c).map(drop), Err("sessions-max"));
        drop(first);
        assert!(door.admit(a).is_ok(), "the place is free again");
    }

    #[test]
    fn a_network_of_ipv6_has_the_places_of_one_address_and_a_site_those_of_eight() {
        let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
        config.limits.sessions_per_address_max = 1;
        let door = Arc::new(Door::new(&config));
        let at = |network: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 1, network, 0, 0, 0, host]);
        let full = Err("sessions-per-address-max");
        let mut inside = Vec::new();
        for network in 0..8 {
            inside.push(door.admit(at(network, 1)).expect("the first of its network"));
            assert_eq!(door.admit(at(network, 2)).map(drop), full, "of the same network");
        }
        assert_eq!(door.admit(at(8, 1)).map(drop), full, "of the same site");
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, 1]);
        assert!(door.admit(elsewhere).is_ok(), "another site");
    }

    #[test]
    fn the_broker_knows_networks_and_sites_as_the_door_does() {
        let of = |text: &str| origin_of(text.parse().expect("an address"));
        let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
        let one = Origin { client: ip("10.0.0.1"), site: None };
        assert_eq!([of("10.0.0.1"), of("::ffff:10.0.0.1")], [one, one]);
        let network = Origin { client: ip("2001:db8:1:2::"), site: Some(ip("2001:db8:1::")) };
        assert_eq!([of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9")], [network, network]);
    }

    #[test]
    fn a_reload_opens_nothing_and_shuts_nobody_out() {
        let config = |realms: &str| {
            let cluster = "cluster = { name = \"test\", secret = \"a-long-secret\", \
                           data-dir = \"data\", write-quorum = 1 }\n\
                           sync = [{ id = \"S1\", lane = 0, address = \"127.0.0.1:1\" }]\n\
                           ndb-group = [{ member = [{ id = \"D1\", address = \"127.0.0.1:2\" }] }]\n";
            let text = format!("{cluster}{realms}");
            let file = std::path::Path::new("vixen.toml");
            Config::parse(&text, file, &std::collections::BTreeMap::new()).expect("good")
        };
        let one = "[[realm]]\nname = \"r1\"\nanonymous.role = \"guest\"\n[[realm.role]]\nname = \"guest\"\n";
        let open = "[access]\nopen = true\n";
        let told = |door: &Door| door.status()["last_reload"].as_str().map(str::to_owned);
        let door = Door::new(&config(one));
        let mut reloads = door.reloads();
        for (text, words) in [("", "refused: the file has no"), (open, "refused: access.open")] {
            reload_realms(&door, Ok(&config(text)));
            assert!(told(&door).is_some_and(|told| told.starts_with(words)), "{text}");
            assert!(!door.realms.is_open() && door.realms.len() == 1, "{text}");
            assert!(!reloads.has_changed().expect("there"), "{text}: nobody is told");
        }
        reload_realms(&door, Err("vixen.toml: no"));
        assert_eq!(told(&door).as_deref(), Some("failed: vixen.toml: no"));

        let door = Door::new(&config(open));
        reload_realms(&door, Ok(&config("")));
        assert!(door.realms.is_open(), "an open entry does not shut everybody out");
        for text in [open, one] {
            reload_realms(&door, Ok(&config(text)));
            assert_eq!(told(&door).as_deref(), Some("ok"), "{text}");
        }
        assert!(!door.realms.is_open() && door.reloads().borrow_and_update().ge(&2));
        reloads.mark_unchanged();
    }
}
