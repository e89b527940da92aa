//! Tables `[tls]` and `[cluster-tls]`: the certificates of the client port and of the links.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::load::beside;
use super::read::{Source, TableReader};

/// Table `[tls]`, or `[cluster-tls]`. Paths are relative to the configuration file's folder. What
/// is in the files is looked at by [`Tls::load`](crate::tls::Tls::load).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// `tls` or `cluster-tls`, for errors and metrics.
    pub table: &'static str,
    /// `certificate-file`: the certificate that the node shows, in PEM, followed by the
    /// intermediate ones up to the authority. Required.
    pub certificate: PathBuf,
    /// `key-file`: the private key of the certificate, in PEM. Required.
    pub key: PathBuf,
    /// `ca-file`: the authorities, in PEM, one of which must have issued what the other end of a
    /// link shows. Required in `[cluster-tls]`; `[tls]` has no such key.
    pub ca: Option<PathBuf>,
}

impl TlsFiles {
    /// The table of the client port.
    pub const CLIENTS: &'static str = "tls";
    /// The table of the links.
    pub const LINKS: &'static str = "cluster-tls";
    pub(super) const CLIENTS_KEYS: &'static [&'static str] = &["certificate-file", "key-file"];
    pub(super) const LINKS_KEYS: &'static [&'static str] =
        &["certificate-file", "key-file", "ca-file"];

    /// Reads both tables, `[tls]` first.
    pub(super) fn read(
        source: Source<'_>,
        root: &mut TableReader<'_>,
    ) -> Result<[Option<Self>; 2], ConfigError> {
        let clients = Self::read_table(source, root, Self::CLIENTS, Self::CLIENTS_KEYS)?;
        let links = Self::read_table(source, root, Self::LINKS, Self::LINKS_KEYS)?;
        Ok([clients, links])
    }

    /// A table without a key is a mistake and not a cluster without TLS.
    fn read_table(
        source: Source<'_>,
        root: &mut TableReader<'_>,
        name: &'static str,
        keys: &'static [&'static str],
    ) -> Result<Option<Self>, ConfigError> {
        let is_in_file = root.has(name);
        let mut table = root.table(name, keys)?;
        if !is_in_file && !keys.iter().any(|key| table.is_overridden(key)) {
            return Ok(None);
        }
        let file: &Path = source.file;
        let mut path = |key: &str| Ok(beside(file, table.required(key)?));
        Ok(Some(Self {
            table: name,
            certificate: path("certificate-file")?,
            key: path("key-file")?,
            ca: if keys.contains(&"ca-file") { Some(path("ca-file")?) } else { None },
        }))
    }
}
