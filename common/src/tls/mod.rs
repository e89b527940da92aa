//! TLS of ports and links, with rustls and `ring`, from the files of the tables `[tls]` and
//! `[cluster-tls]`.
//!
//! ```text
//!   [tls]          client --https, wss--> entry        the entry shows a certificate
//!   [cluster-tls]  node ------wss------> sync, ndb     both show one that ca-file has issued
//! ```
//! - [`Tls`] holds what one table gives. [`Tls::reload`] reads the files again: later handshakes
//!   use them, connections that stand are not touched. [`reload_on_hangup`] does so at SIGHUP.
//! - A port with TLS speaks nothing else. Handshakes run beside each other, bounded in number and
//!   time: see `listener.rs`.
//! - On the port of a sync or ndb node a client may show no certificate and read the operators'
//!   pages; `/link` is for those that show one.

mod files;
mod listener;
mod metrics;
mod stream;
mod unverified;
mod validity;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::config::{Config, TlsFiles};
use crate::telemetry::on_hangup;

use files::Loaded;

pub use files::TlsError;
pub use listener::ClientAddress;
pub(crate) use listener::Port;
pub(crate) use stream::Stream;
pub(crate) use unverified::connect_unverified;

/// The certificates of one table, as they were when they were last read.
#[derive(Debug)]
pub struct Tls {
    files: TlsFiles,
    /// Bound on a handshake: `limits.hello-timeout`.
    handshake_timeout: Duration,
    current: RwLock<Loaded>,
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
        metrics::set_expiry(files.table, loaded.not_after_seconds);
        let current = RwLock::new(loaded);
        Ok(Self { files: files.clone(), handshake_timeout, current })
    }

    /// Reads the files again, for handshakes that begin after this. On an error what was in use
    /// stays.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn reload(&self) -> Result<(), TlsError> {
        let loaded = files::load(&self.files)?;
        metrics::set_expiry(self.files.table, loaded.not_after_seconds);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = loaded;
        Ok(())
    }

    fn acceptor(&self) -> TlsAcceptor {
        self.current().server.into()
    }

    pub(crate) fn connector(&self) -> TlsConnector {
        self.current().client.into()
    }

    fn current(&self) -> Loaded {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Reloads each of `all` at each SIGHUP, for as long as the process runs; says in the log what
/// became of it. From the first poll on SIGHUP does not end the process, with nothing to reload
/// neither.
pub async fn reload_on_hangup(all: Vec<Arc<Tls>>) {
    let mut hangups = on_hangup();
    while hangups.recv().await.is_some() {
        for tls in &all {
            let (tls, table) = (Arc::clone(tls), tls.files.table);
            // Files may lie on a disk that is slow just now.
            let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
            let is_good = match reloaded {
                Ok(Ok(())) => {
                    tracing::info!(table, "certificates read again");
                    true
                }
                Ok(Err(error)) => {
                    tracing::error!(table, %error, "certificates not changed: the old ones stay");
                    false
                }
                Err(error) => {
                    tracing::error!(table, %error, "certificates not changed: the old ones stay");
                    false
                }
            };
            metrics::reloaded(table, is_good);
        }
    }
}
