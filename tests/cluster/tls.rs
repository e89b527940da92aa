//! A cluster with TLS on every port, from the outside.

use std::path::Path;
use std::sync::Arc;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::{WebSocketStream, client_async};

use vixen_tests::harness::{Cluster, ClusterOptions, Tier, get, wait_until};

use crate::config::{ends, text};
use crate::support::{SOON, logged};

const HOST: &str = "127.0.0.1";

/// An authority, and a folder with its certificate and with one that it has issued.
pub(crate) struct Certificates {
    dir: TempDir,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) client: Arc<ClientConfig>,
}

impl Certificates {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = params.self_signed(&key).expect("a certificate");
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).expect("an authority");
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions of ring")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let dir = tempfile::tempdir().expect("a folder");
        std::fs::write(dir.path().join("ca.pem"), authority.pem()).expect("written");
        let new = Self { dir, issuer: Issuer::new(params, key), client: Arc::new(client) };
        new.renew();
        new
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Replaces what nodes show, and returns it.
    fn renew(&self) -> CertificateDer<'static> {
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([HOST.to_owned()]).expect("a host");
        let issued = params.signed_by(&key, &self.issuer).expect("a certificate");
        std::fs::write(self.path().join("node.pem"), issued.pem()).expect("written");
        std::fs::write(self.path().join("node.key"), key.serialize_pem()).expect("written");
        issued.der().clone()
    }

    /// Both tables of the configuration file.
    pub(crate) fn tables(&self) -> String {
        let dir = self.path().display();
        let pair =
            format!("certificate-file = \"{dir}/node.pem\"\nkey-file = \"{dir}/node.key\"\n");
        format!("[tls]\n{pair}[cluster-tls]\n{pair}ca-file = \"{dir}/ca.pem\"\n")
    }

    pub(crate) async fn connect(&self, address: &str) -> anyhow::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::clone(&self.client));
        let stream = TcpStream::connect(address).await?;
        Ok(connector.connect(ServerName::try_from(HOST)?, stream).await?)
    }
}

/// A WAMP session over wss.
struct Session(WebSocketStream<TlsStream<TcpStream>>);

impl Session {
    async fn open(certificates: &Certificates, address: &str) -> anyhow::Result<Self> {
        let mut request = format!("wss://{address}/ws").into_client_request()?;
        let protocol = HeaderValue::from_static("wamp.2.json");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let stream = certificates.connect(address).await?;
        let (socket, _response) = client_async(request, stream).await?;
        let mut session = Self(socket);
        let welcome = session.ask(json!([1, "realm1", {"roles": {"publisher": {}}}])).await?;
        anyhow::ensure!(welcome[0] == 2, "no WELCOME: {welcome}");
        Ok(session)
    }

    async fn ask(&mut self, message: Value) -> anyhow::Result<Value> {
        self.0.send(message.to_string().into()).await?;
        let answer = tokio::time::timeout(SOON, self.0.next()).await?;
        let answer = answer.ok_or_else(|| anyhow::anyhow!("closed"))??;
        Ok(serde_json::from_str(answer.to_text()?)?)
    }

    /// Publishes, and returns the position.
    async fn publish(&mut self, request: u64) -> anyhow::Result<u64> {
        let options = json!({"acknowledge": true});
        let published = self.ask(json!([16, request, options, "com.example.tls", [1]])).await?;
        anyhow::ensure!(published[0] == 17 && published[1] == request, "no place: {published}");
        published[2].as_u64().ok_or_else(|| anyhow::anyhow!("no position: {published}"))
    }
}

fn hang_up(cluster: &Cluster, id: &str) -> anyhow::Result<()> {
    let pid = Pid::from_raw(i32::try_from(cluster.pid(id)?)?);
    Ok(kill(pid, Signal::SIGHUP)?)
}

/// Waits until a node has reloaded both its tables, or the one it has, `times`.
async fn reloaded(cluster: &Cluster, id: &str, outcome: &str, times: f64) -> anyhow::Result<()> {
    let (name, label) = ("vixen_common_tls_reloads_total", format!("outcome=\"{outcome}\""));
    wait_until(&format!("{id} to reload, {outcome}"), SOON, || async {
        let count = cluster.metric_with(id, name, &label).await?;
        anyhow::ensure!(count >= times, "{count} times");
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn a_cluster_with_tls_everywhere_takes_new_certificates_while_it_serves() -> anyhow::Result<()>
{
    let certificates = Certificates::new();
    let options = ClusterOptions {
        entries: 1,
        extra: certificates.tables(),
        tls: Some(Arc::clone(&certificates.client)),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(options).await?;
    let entry = cluster.address("E1")?;
    let mut session = Session::open(&certificates, &entry).await?;
    let first = session.publish(1).await?;

    // Nobody gets in by another way.
    assert_eq!(get(&entry, "/readyz").await?.status, 400, "plain HTTP");
    for id in ["S1", "D1"] {
        let answer = cluster.get(id, "/link").await?;
        assert_eq!(answer.status, 403, "{id} takes links without a certificate: {}", answer.body);
    }

    let config = cluster.config_file().to_str().expect("a path of the test");
    for (tier, node) in [(Tier::Sync, "S1"), (Tier::Ndb, "D1"), (Tier::Entry, "E1")] {
        let health = ends(tier, &["--config", config, "--node", node, "--health"]).await;
        assert!(health.status.success(), "{node}: {}", text(&health));
    }

    let new = certificates.renew();
    for id in cluster.ids() {
        hang_up(&cluster, &id)?;
        let tables = if id == "E1" { 2.0 } else { 1.0 };
        reloaded(&cluster, &id, "ok", tables).await?;
        let stream = certificates.connect(&cluster.address(&id)?).await?;
        let shown = stream.get_ref().1.peer_certificates().map(|shown| shown[0].clone());
        assert_eq!(shown, Some(new.clone()), "{id} shows another one");
    }
    // The old session, over the old links.
    let second = session.publish(2).await?;
    assert!(second > first, "{first}, then {second}");

    // Under other names, as the configuration says now.
    let newer = certificates.renew();
    for kind in ["pem", "key"] {
        let name = |stem: &str| certificates.path().join(format!("{stem}.{kind}"));
        std::fs::rename(name("node"), name("other"))?;
    }
    let config = std::fs::read_to_string(cluster.config_file())?;
    std::fs::write(cluster.config_file(), config.replace("/node.", "/other."))?;
    for id in cluster.ids() {
        hang_up(&cluster, &id)?;
        let tables = if id == "E1" { 4.0 } else { 2.0 };
        reloaded(&cluster, &id, "ok", tables).await?;
        let stream = certificates.connect(&cluster.address(&id)?).await?;
        let shown = stream.get_ref().1.peer_certificates().map(|shown| shown[0].clone());
        assert_eq!(shown, Some(newer.clone()), "{id} has read the old names");
    }

    std::fs::write(certificates.path().join("other.key"), "nothing of use")?;
    hang_up(&cluster, "E1")?;
    reloaded(&cluster, "E1", "failed", 2.0).await?;
    let words = ["ERROR", "other.key: has no private key (from tls.key-file); put"];
    logged(&cluster, "E1", &words).await;
    let third = Session::open(&certificates, &entry).await?.publish(1).await?;
    assert!(third > second, "{second}, then {third}");
    Ok(())
}

#[tokio::test]
async fn files_that_give_no_tls_stop_the_start_with_file_key_and_fix() {
    let certificates = Certificates::new();
    let stranger = Certificates::new();
    let key = certificates.path().join("node.key");
    let config = certificates.path().join("vixen.toml");
    let nodes = "[cluster]\nname = \"test\"\nsecret = \"test-secret-123\"\ndata-dir = \"data\"\n\
                 write-quorum = 1\n[[sync]]\nid = \"S1\"\nlane = 0\naddress = \"127.0.0.1:1\"\n\
                 [[ndb-group]]\n[[ndb-group.member]]\nid = \"D1\"\naddress = \"127.0.0.1:2\"\n\
                 [[entry]]\nid = \"E1\"\nlisten = \"127.0.0.1:3\"\n[access]\nopen = true\n";
    std::fs::write(&config, nodes.to_owned() + &certificates.tables()).expect("written");
    let config = config.to_str().expect("a path of the test");
    for (problem, fix) in [
        ("node.key: is not the key of ", "give the key that the certificate was made with"),
        ("node.key: cannot be read: ", "name a file that this user can read"),
    ] {
        if problem.contains("is not the key") {
            std::fs::copy(stranger.path().join("node.key"), &key).expect("copied");
        } else {
            std::fs::remove_file(&key).expect("removed");
        }
        for (tier, node) in [(Tier::Sync, "S1"), (Tier::Ndb, "D1"), (Tier::Entry, "E1")] {
            for check in [&["--check-config"][..], &[]] {
                let output =
                    ends(tier, &[&["--config", config, "--node", node], check].concat()).await;
                let text = text(&output);
                assert!(!output.status.success(), "{node} starts: {text}");
                for word in [problem, "tls.key-file", fix] {
                    assert!(text.contains(word), "{node}: no {word:?} in: {text}");
                }
            }
        }
    }
    assert!(!certificates.path().join("data").exists(), "a store was made before the refusal");
}
