//! The realms of a configuration that is read again, and what one leaves open.

use std::net::SocketAddr;

use metrics::counter;

use vixen_runtime::config::Config;

use super::{Admission, REALM_RELOADS, lock};

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

/// Takes the realms of a configuration that was read again; where there is none, what was before
/// holds.
pub(crate) fn reload_realms(admission: &Admission, config: Result<&Config, &str>) {
    let (outcome, told) = match config.map(|config| (config, admission.reload(config))) {
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
    *lock(&admission.last_reload) = Some(told);
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
