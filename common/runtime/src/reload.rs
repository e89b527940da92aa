//! SIGHUP: a node reads its configuration and its certificates again.
//!
//! Certificates and, at entries, realms are taken while the node runs; everything else of the
//! configuration is for the next start, and the log says which keys that are. A mistake is logged and
//! changes nothing.

use std::sync::Arc;
use std::time::Duration;

use vixen_core::tier::Tier;

use crate::clock::wall_time;
use crate::config::{Config, TlsFiles};
use crate::telemetry::{on_hangup, tell_reloaded, tell_reloading};
use crate::tls::Tls;

/// How often a node says that a certificate ends soon.
const CONCERNS_PERIOD: Duration = Duration::from_secs(86_400);

/// Reads the configuration of this node once more; the error is a text for people.
pub type Load = Arc<dyn Fn() -> Result<Config, String> + Send + Sync>;

/// The certificates that a node has in use.
#[derive(Clone, Debug, Default)]
pub struct Certificates {
    /// Whether the node has a port for clients: for others `[tls]` is not meant.
    pub has_clients: bool,
    /// Of `[tls]`.
    pub clients: Option<Arc<Tls>>,
    /// Of `[cluster-tls]`.
    pub links: Option<Arc<Tls>>,
}

impl Certificates {
    /// Reads the files of both tables again, under the names that `config` gives them. Without a
    /// configuration, under the names that they had: a renewal must not fail for it. Blocking.
    fn reload(&self, config: Option<&Config>) {
        let clients = config.map(|config| config.tls.as_ref());
        let links = config.map(|config| config.cluster_tls.as_ref());
        if self.has_clients {
            reload_table(TlsFiles::CLIENTS, self.clients.as_deref(), clients);
        }
        reload_table(TlsFiles::LINKS, self.links.as_deref(), links);
    }

    fn tell_concerns(&self) {
        for tls in self.clients.iter().chain(&self.links) {
            tls.tell_concerns(wall_time());
        }
    }
}

fn reload_table(table: &str, tls: Option<&Tls>, files: Option<Option<&TlsFiles>>) {
    match (tls, files) {
        (Some(tls), None) => tls.reload_and_tell(None),
        (Some(tls), Some(Some(files))) => tls.reload_and_tell(Some(files)),
        (Some(_), Some(None)) => tracing::warn!(
            table,
            "the table is gone from the configuration: TLS stays as it is until a restart"
        ),
        (None, Some(Some(_))) => tracing::warn!(
            table,
            "the table is new in the configuration: TLS begins with a restart"
        ),
        (None, None | Some(None)) => {}
    }
}

/// The configuration that a node runs with, and as what.
#[derive(Clone, Debug)]
pub struct Running {
    /// As it was at the start.
    pub config: Config,
    /// What the node is.
    pub tier: Tier,
}

impl Running {
    /// Says that `new` was read, and what of it is for the next start.
    fn tell(&self, new: &Config) {
        let waiting = self.config.waits_for_restart(new, self.tier);
        if waiting.is_empty() {
            tracing::info!("configuration read again");
        } else {
            let waits_for_restart = waiting.into_iter().collect::<Vec<_>>().join(", ");
            tracing::warn!(waits_for_restart, "configuration read again");
        }
    }
}

/// Reloads at each SIGHUP, for as long as the process runs; then `apply` gets the configuration, or
/// why there is none. From the first poll on SIGHUP does not end the process.
pub async fn reload_on_hangup(
    load: Load,
    running: Running,
    certificates: Certificates,
    apply: impl Fn(Result<&Config, &str>),
) {
    let mut hangups = on_hangup();
    let mut days = tokio::time::interval(CONCERNS_PERIOD);
    loop {
        tokio::select! {
            hangup = hangups.recv() => if hangup.is_none() { return },
            _at_once_and_daily = days.tick() => {
                certificates.tell_concerns();
                continue;
            }
        }
        tell_reloading();
        let (load, certificates) = (Arc::clone(&load), certificates.clone());
        // Files may lie on a disk that is slow just now.
        let read = tokio::task::spawn_blocking(move || {
            let config = load();
            certificates.reload(config.as_ref().ok());
            config
        });
        let config = read.await.unwrap_or_else(|error| Err(error.to_string()));
        match &config {
            Ok(config) => running.tell(config),
            Err(error) => {
                tracing::error!(error, "configuration not read again: what was before holds");
            }
        }
        apply(config.as_ref().map_err(String::as_str));
        tell_reloaded();
    }
}
