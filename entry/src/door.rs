//! The door of an entry: who may come in, how many, and what they may do once they are in.
//!
//! One for all sessions and requests. Logins and permissions are those of [`auth`](crate::auth);
//! here they meet the clock, the randomness and the addresses of clients.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use metrics::{counter, describe_counter};
use serde_json::{Map, Value};
use tokio::sync::watch;

use vixen_common::address::{AddressBlock, AddressCounts};
use vixen_common::config::Config;
use vixen_common::time::WallTime;

use crate::auth::{
    FailureGate, FailureLimits, Hello, Identity, Nonce, Pending, Permissions, Realms, Refusal, Step,
};

const LOGIN_FAILURES: &str = "vixen_entry_login_failures_total";
const CONNECTIONS_REFUSED: &str = "vixen_entry_connections_refused_total";
const REALM_RELOADS: &str = "vixen_entry_realm_reloads_total";

/// Gives the metrics of the door their help texts.
pub(crate) fn describe_door_metrics() {
    describe_counter!(LOGIN_FAILURES, "Logins that were refused");
    describe_counter!(CONNECTIONS_REFUSED, "Connections of clients refused for their number");
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
}

#[derive(Debug, Default)]
struct Present {
    total: usize,
    of: AddressCounts,
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
        Self {
            realms: Realms::new(&config.realms, &config.cluster.secret),
            failures: Mutex::new(FailureGate::new(FailureLimits {
                failures_max: limits.login_failures_max,
                window: limits.login_failure_window,
                addresses_max: FailureLimits::ADDRESSES_MAX,
            })),
            present: Mutex::default(),
            present_max: limits.sessions_max,
            per_address_max: limits.sessions_per_address_max,
            reloads: watch::Sender::new(0),
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
        if self.is_closed_for(address) {
            return self.refused(address, Refusal::Throttled);
        }
        match self.realms.hello(hello, nonce, now) {
            Step::Refused(refusal) => self.refused(address, refusal),
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
        let outcome = if self.is_closed_for(address) {
            Err(Refusal::Throttled)
        } else {
            self.realms.authenticate(pending, signature, extra)
        };
        outcome.inspect_err(|refusal| {
            self.refused(address, *refusal);
        })
    }

    /// What a session may do now; `None` when the configuration does not know it any more.
    pub(crate) fn permissions(&self, identity: &Identity) -> Option<Permissions> {
        self.realms.permissions(identity)
    }

    /// Takes the realms of a configuration that was read again, and tells all sessions.
    pub(crate) fn reload(&self, config: &Config) {
        self.realms.replace(&config.realms);
        self.reloads.send_modify(|version| *version += 1);
    }

    /// Changes whenever the realms were read again.
    pub(crate) fn reloads(&self) -> watch::Receiver<u64> {
        self.reloads.subscribe()
    }

    fn is_closed_for(&self, address: IpAddr) -> bool {
        lock(&self.failures).closed_for(address, Instant::now()).is_some()
    }

    fn refused(&self, address: IpAddr, refusal: Refusal) -> Step {
        counter!(LOGIN_FAILURES, "reason" => refusal.label()).increment(1);
        if refusal.is_failed_proof() && lock(&self.failures).on_failure(address, Instant::now()) {
            tracing::warn!(ip = %address, "too many failed logins: further ones are refused");
        }
        Step::Refused(refusal)
    }
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

/// Takes the realms of a configuration that was read again; where there is none, what was before
/// holds.
pub(crate) fn reload_realms(door: &Door, config: Result<&Config, &str>) {
    let outcome = match config {
        Ok(config) => {
            door.reload(config);
            tracing::info!(realms = config.realms.len(), "realms read again");
            "ok"
        }
        Err(_logged) => "failed",
    };
    counter!(REALM_RELOADS, "outcome" => outcome).increment(1);
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
}
