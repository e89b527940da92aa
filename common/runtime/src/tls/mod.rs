//! TLS of ports and links, with rustls and `ring`, from the files of the tables `[tls]` and
//! `[cluster-tls]`.
//!
//! ```text
//!   [tls]          client --https, wss--> entry        the entry shows a certificate
//!   [cluster-tls]  node ------wss------> sync, ndb     both show one that ca-file has issued
//! ```
//! - [`Tls`] holds what one table gives. [`Tls::reload`] reads files again, under the same names or
//!   others: later handshakes use them, connections that stand are not touched. That is done at
//!   SIGHUP: see [`reload`](crate::reload).
//! - A port with TLS speaks nothing else. Handshakes run beside each other, bounded in number and
//!   time: see `listener.rs`.
//! - On the port of a sync or ndb node a client may show no certificate and read the operators'
//!   pages; `/link` is for those that show one.

mod concern;
mod files;
mod listener;
mod metrics;
mod names;
mod pem;
mod stream;
mod unverified;
mod validity;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_rustls::{TlsAcceptor, TlsConnector};

use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::time::WallTime;

use crate::clock::wall_time;
use crate::config::{Config, TlsFiles};

use files::Loaded;

pub use concern::{Concern, Trouble};
pub use files::TlsError;
pub use listener::ClientAddress;
pub(crate) use listener::Port;
pub use names::{CertifiedNames, NameConcern};
pub(crate) use stream::Stream;
pub(crate) use unverified::connect_unverified;

/// The certificates of one table, as they were when they were last read.
#[derive(Debug)]
pub struct Tls {
    table: &'static str,
    /// Bound on a handshake: `limits.hello-timeout`.
    handshake_timeout: Duration,
    current: RwLock<Current>,
}

/// What was read last, and from where.
#[derive(Clone, Debug)]
struct Current {
    files: TlsFiles,
    loaded: Loaded,
}

impl Tls {
    /// What the client port shows, if the configuration has `[tls]`.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn of_clients(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        Self::of_table(config.tls.as_ref(), config)
    }

    /// What links show and trust, if the configuration has `[cluster-tls]`.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn of_links(config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        Self::of_table(config.cluster_tls.as_ref(), config)
    }

    fn of_table(files: Option<&TlsFiles>, config: &Config) -> Result<Option<Arc<Self>>, TlsError> {
        files.map(|files| Self::load(files, config.limits.hello_timeout).map(Arc::new)).transpose()
    }

    /// Reads the files of a table. `handshake_timeout` is for connections that are accepted.
    ///
    /// # Errors
    /// When a file cannot be read, is not what its key promises, or does not go with the others.
    pub fn load(files: &TlsFiles, handshake_timeout: Duration) -> Result<Self, TlsError> {
        metrics::describe();
        let loaded = files::load(files)?;
        metrics::set_expiry(files.table, loaded.not_after_seconds());
        let current = RwLock::new(Current { files: files.clone(), loaded });
        Ok(Self { table: files.table, handshake_timeout, current })
    }

    /// Reads `files`, or those it has read last, for handshakes that begin after this. On an error
    /// what was in use stays.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn reload(&self, files: Option<&TlsFiles>) -> Result<(), TlsError> {
        let files = files.cloned().unwrap_or_else(|| self.current().files);
        let loaded = files::load(&files)?;
        metrics::set_expiry(self.table, loaded.not_after_seconds());
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Current { files, loaded };
        Ok(())
    }

    /// Reloads, says in the log what became of it, and counts it.
    pub(crate) fn reload_and_tell(&self, files: Option<&TlsFiles>) {
        let reloaded = self.reload(files);
        metrics::reloaded(self.table, reloaded.is_ok());
        let table = self.table;
        match reloaded {
            Ok(()) => {
                tracing::info!(table, "certificates read again");
                self.tell_concerns(wall_time());
            }
            Err(error) => {
                tracing::error!(table, %error, "certificates not changed: the old ones stay");
            }
        }
    }

    /// What is wrong, or soon will be, with the times of the certificates that are shown.
    #[must_use]
    pub fn concerns(&self, now: WallTime) -> Vec<Concern> {
        let Current { files, loaded } = self.current();
        concern::concerns(&files, &loaded.chain, now)
    }

    /// Whether the certificate of links says which node it is for.
    #[must_use]
    pub fn name_concern(&self, cluster: &str, tier: Tier, node: &NodeName) -> Option<NameConcern> {
        let Current { files, loaded } = self.current();
        loaded.names.concern((files.certificate, cluster), tier, node)
    }

    /// Says in the log what [`concerns`](Self::concerns) finds.
    pub(crate) fn tell_concerns(&self, now: WallTime) {
        for concern in self.concerns(now) {
            let (table, file) = (concern.table, concern.file.display().to_string());
            tracing::warn!(table, file, reason = %concern.trouble, "certificate to be renewed");
        }
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.current().loaded.server.into()
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        self.current().loaded.client.into()
    }

    fn current(&self) -> Current {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
