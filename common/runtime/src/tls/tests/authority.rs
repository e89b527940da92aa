//! Certificates for tests, made in memory.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use tempfile::TempDir;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::config::TlsFiles;
use crate::tls::Tls;

/// One that tests trust, or do not.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
    pub(crate) pem: String,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Issued {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).expect("PEM")
    }
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for a host, for both ends of a connection.
    pub(crate) fn issue(&self, host: &str) -> Issued {
        self.issue_with(host, |_params| {})
    }

    /// A certificate for a host by an authority that this one has issued, whose certificate comes
    /// first.
    pub(crate) fn intermediate(&self, name: &str, host: &str) -> (String, Issued) {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.signed_by(&key, &self.issuer).expect("a certificate").pem();
        let between = Self { issuer: Issuer::new(params, key), pem };
        let issued = between.issue(host);
        (between.pem, issued)
    }

    pub(crate) fn issue_with(
        &self,
        host: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new([host.to_owned()]).expect("a host");
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Issued { certificate: certificate.pem(), key: key.serialize_pem() }
    }

    /// A client that trusts this authority, and shows a certificate or none.
    pub(crate) fn client(&self, shown: Option<&Issued>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("PEM");
        roots.add(root).expect("an authority");
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .expect("a version of ring")
            .with_root_certificates(roots);
        let config = match shown {
            None => builder.with_no_client_auth(),
            Some(shown) => {
                let key = PrivateKeyDer::from_pem_slice(shown.key.as_bytes()).expect("PEM");
                builder.with_client_auth_cert(vec![shown.der()], key).expect("a pair")
            }
        };
        Arc::new(config).into()
    }
}

/// A folder with the files of a table.
pub(crate) struct Folder {
    dir: TempDir,
    pub(crate) files: TlsFiles,
}

impl Folder {
    /// `[cluster-tls]` with `ca`, else `[tls]`.
    pub(crate) fn new(issued: &Issued, ca: Option<&Authority>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let at = |name: &str| dir.path().join(name);
        let table = if ca.is_some() { TlsFiles::LINKS } else { TlsFiles::CLIENTS };
        let files = TlsFiles {
            table,
            certificate: at("node.pem"),
            key: at("node.key"),
            ca: ca.map(|_| at("ca.pem")),
        };
        let folder = Self { dir, files };
        folder.put(issued);
        if let Some(ca) = ca {
            folder.write("ca.pem", &ca.pem);
        }
        folder
    }

    pub(crate) fn put(&self, issued: &Issued) {
        self.write("node.pem", &issued.certificate);
        self.write("node.key", &issued.key);
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path().join(name), text).expect("written");
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Time enough for handshakes.
    pub(crate) fn load(&self) -> Arc<Tls> {
        Arc::new(Tls::load(&self.files, Duration::from_secs(30)).expect("good files"))
    }
}
