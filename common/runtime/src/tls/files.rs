//! From PEM files to what rustls works with.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::client::ResolvesClientCert;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::server::{NoClientAuth, ResolvesServerCert, WebPkiClientVerifier};
use tokio_rustls::rustls::sign::{CertifiedKey, SingleCertAndKey};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{ClientConfig, Error, RootCertStore, ServerConfig};

use crate::config::TlsFiles;

use super::CertifiedNames;
use super::pem::{Wanted, plain, problem_of};
use super::validity::{Validity, validity};

/// WebSocket (RFC 6455) is an upgrade of HTTP/1.1; axum is built without HTTP/2 here.
const ALPN: &[u8] = b"http/1.1";

const CERTIFICATE: &str = "certificate-file";
const KEY: &str = "key-file";
const CA: &str = "ca-file";

/// Files that give no TLS. The text names the file, what is wrong, the key that led there, and the
/// fix.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(
        "{file}: cannot be read: {cause} (from {table}.{key}); name a file that this user can read",
        file = file.display()
    )]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The table of the configuration file.
        table: &'static str,
        /// The key in that table.
        key: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file can be read and not used.
    #[error("{file}: {problem} (from {table}.{key}); {fix}", file = file.display())]
    Unusable {
        /// The file.
        file: PathBuf,
        /// The table of the configuration file.
        table: &'static str,
        /// The key in that table.
        key: &'static str,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: &'static str,
    },
}

/// What one reading of a table's files gives.
#[derive(Clone, Debug)]
pub(super) struct Loaded {
    /// For connections that are accepted.
    pub(super) server: Arc<ServerConfig>,
    /// For those that are dialled. Without `ca-file` it trusts nobody.
    pub(super) client: Arc<ClientConfig>,
    /// From when to when the certificates that are shown are valid, the node's own first.
    pub(super) chain: Vec<Validity>,
    /// Which nodes the own certificate is for.
    pub(super) names: CertifiedNames,
}

impl Loaded {
    /// When the first of the certificates expires, Unix seconds: from then on none is of use.
    pub(super) fn not_after_seconds(&self) -> Option<i64> {
        self.chain.iter().map(|validity| validity.not_after).min()
    }
}

pub(super) fn load(files: &TlsFiles) -> Result<Loaded, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let certified = Arc::new(certified_key(files, &provider)?);
    let chain = certified.cert.iter().filter_map(|shown| validity(shown)).collect();
    let names = certified.cert.first().map(CertifiedNames::of).unwrap_or_default();
    let (roots, verifier) = match &files.ca {
        Some(ca) => peers(files, ca, &certified, &provider)?,
        None => (RootCertStore::empty(), Arc::new(NoClientAuth) as Arc<dyn ClientCertVerifier>),
    };
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let shown = Arc::clone(&resolver) as Arc<dyn ResolvesServerCert>;
    let mut server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable(files, CERTIFICATE, error.to_string(), SUPPORTED))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(shown);
    server.alpn_protocols = vec![ALPN.to_vec()];
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(|error| unusable(files, CERTIFICATE, error.to_string(), SUPPORTED))?
        .with_root_certificates(roots)
        .with_client_cert_resolver(resolver as Arc<dyn ResolvesClientCert>);
    Ok(Loaded { server: Arc::new(server), client: Arc::new(client), chain, names })
}

const SUPPORTED: &str = "use an ECDSA (P-256, P-384), Ed25519 or RSA (2048 bits or more) key";

fn certified_key(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsError> {
    let fix = "put the certificate there in PEM (-----BEGIN CERTIFICATE-----), then the \
               intermediate ones";
    let chain = certificates(files, CERTIFICATE, &files.certificate, fix)?;
    let text = read(files, KEY, &files.key)?;
    let key = PrivateKeyDer::from_pem_slice(plain(&text)).map_err(|error| {
        let fix = "put the unencrypted key there in PEM (-----BEGIN PRIVATE KEY-----)";
        unusable(files, KEY, problem_of(&error, &text, Wanted::Key), fix)
    })?;
    let own = own_place(&chain, &key, provider);
    CertifiedKey::from_der(chain, key, provider).map_err(|error| match (error, own) {
        (Error::InconsistentKeys(_), Some(place)) => {
            let problem = format!(
                "its certificates are in the wrong order: the node's own is number {place}"
            );
            let fix =
                "put the node's own certificate first, then the one that issued it, and so on";
            unusable(files, CERTIFICATE, problem, fix)
        }
        (Error::InconsistentKeys(_), None) => {
            let problem = format!("is not the key of {}", files.certificate.display());
            unusable(files, KEY, problem, "give the key that the certificate was made with")
        }
        (error @ Error::InvalidCertificate(_), _) => {
            let problem = format!("its first certificate is broken: {error}");
            unusable(files, CERTIFICATE, problem, fix)
        }
        (other, _) => unusable(files, KEY, format!("has a key of no use: {other}"), SUPPORTED),
    })
}

/// Which of the certificates goes with the key, from 1.
fn own_place(
    chain: &[CertificateDer<'static>],
    key: &PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Option<usize> {
    let is_own = |certificate: &CertificateDer<'static>| {
        CertifiedKey::from_der(vec![certificate.clone()], key.clone_key(), provider).is_ok()
    };
    chain.iter().position(is_own).map(|at| at + 1)
}

/// Whom the other end of a link must descend from, as a dialler and as a listener see it. That the
/// own certificate does is made sure of here, since nobody else would link to this node.
fn peers(
    files: &TlsFiles,
    ca: &Path,
    own: &CertifiedKey,
    provider: &Arc<CryptoProvider>,
) -> Result<(RootCertStore, Arc<dyn ClientCertVerifier>), TlsError> {
    let fix = "put the certificates of the authorities there in PEM (-----BEGIN CERTIFICATE-----)";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(files, CA, ca, fix)? {
        let added = roots.add(certificate);
        added.map_err(|error| unusable(files, CA, format!("is no authority: {error}"), fix))?;
    }
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots.clone()), Arc::clone(provider))
            // The operators' pages are for those that show none.
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable(files, CA, format!("is of no use: {error}"), fix))?;
    if let Some((first, intermediates)) = own.cert.split_first() {
        let verified = verifier.verify_client_cert(first, intermediates, UnixTime::now());
        verified.map_err(|error| {
            let problem = format!("would be refused by peers with {}: {error}", ca.display());
            let fix = "give a certificate that is valid now, issued by that authority for both \
                       server and client authentication";
            unusable(files, CERTIFICATE, problem, fix)
        })?;
    }
    Ok((roots, verifier))
}

/// At least one.
fn certificates(
    files: &TlsFiles,
    key: &'static str,
    file: &Path,
    fix: &'static str,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(files, key, file)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(plain(&text)).collect();
    let error = match found {
        Ok(found) if found.is_empty() => pem::Error::NoItemsFound,
        Ok(found) => return Ok(found),
        Err(error) => error,
    };
    let problem = problem_of(&error, &text, Wanted::Certificate);
    Err(unusable_file(files, key, file, problem, fix))
}

fn read(files: &TlsFiles, key: &'static str, file: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(file).map_err(|cause| TlsError::Unreadable {
        file: file.to_owned(),
        table: files.table,
        key,
        cause,
    })
}

fn unusable(files: &TlsFiles, key: &'static str, problem: String, fix: &'static str) -> TlsError {
    let file = match key {
        KEY => &files.key,
        CA => files.ca.as_ref().unwrap_or(&files.certificate),
        _ => &files.certificate,
    };
    unusable_file(files, key, file, problem, fix)
}

fn unusable_file(
    files: &TlsFiles,
    key: &'static str,
    file: &Path,
    problem: String,
    fix: &'static str,
) -> TlsError {
    TlsError::Unusable { file: file.to_owned(), table: files.table, key, problem, fix }
}
