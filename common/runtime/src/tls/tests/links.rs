//! Links with TLS: who gets one, and who does not.

use rcgen::SanType;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite;

use vixen_core::id::{StoreId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::wire::PeerId;

use super::authority::{Authority, Folder, Issued};
use super::*;
use crate::config::Config;
use crate::ids::new_owner_id;
use crate::link::{DialTarget, Expected, Identity, LinkEvent, Owners, dial};
use crate::server::node_router;
use crate::telemetry::Readiness;

pub(crate) fn identity(peer: PeerId, tls: Option<Arc<Tls>>) -> Identity {
    let name = match peer {
        PeerId::Entry { .. } => "E1",
        PeerId::Sync { .. } | PeerId::Ndb { .. } => "S1",
    };
    let name: NodeName = name.parse().expect("a name");
    let roster = Roster::new([(SyncId(0), "S1".parse().expect("a name"))], []);
    Identity {
        name,
        roster,
        cluster: "test".into(),
        secrets: (*b"test-secret-123").into(),
        peer,
        terms: Config::nearcast("unused".into(), ([127, 0, 0, 1], 0).into()).terms(),
        queue_bytes_max: 1 << 20,
        tls,
        admit: Arc::new(|_peer| true),
        owners: Owners::default(),
    }
}

/// The port of a sync node, and what comes over its links.
pub(crate) async fn open_node(tls: Option<Arc<Tls>>) -> (SocketAddr, mpsc::Receiver<LinkEvent>) {
    let (inbox, events) = mpsc::channel(16);
    let peer = PeerId::Sync { id: SyncId(0), store: StoreId(uuid::Uuid::now_v7()) };
    let status = || -> crate::telemetry::BoxFuture<'static, _> { Box::pin(async { 1.into() }) };
    let router = node_router(
        identity(peer, tls.clone()),
        inbox,
        Arc::new(|| Readiness::Ready),
        Arc::new(status),
    );
    (open_port(tls, router).await, events)
}

/// What an entry with `tls` that dials `address` is told.
async fn first_event(tls: Option<Arc<Tls>>, address: SocketAddr) -> LinkEvent {
    let (inbox, mut events) = mpsc::channel(16);
    let identity = identity(PeerId::Entry { owner: new_owner_id() }, tls);
    let expected = Expected::Sync(SyncId(0));
    let dialler = dial(identity, DialTarget { address: address.to_string(), expected }, inbox);
    let dialler = tokio::spawn(dialler);
    let event = timeout(SOON, events.recv()).await.expect("a link in time").expect("open");
    dialler.abort();
    event
}

/// How the WebSocket handshake for `/link` fails.
async fn refused_link(address: SocketAddr, by: &TlsConnector) -> tungstenite::Error {
    let stream = match connect(address, by).await {
        Ok(stream) => stream,
        Err(error) => return error.into(),
    };
    let url = format!("wss://{address}/link");
    client_async(url, stream).await.map(|_socket| ()).expect_err("no link")
}

#[tokio::test]
async fn nodes_with_certificates_of_one_authority_are_linked() {
    let ca = Authority::new("good");
    let listener = Folder::new(&ca.issue(HOST), Some(&ca));
    let dialler = Folder::new(&ca.issue("entry.example"), Some(&ca));
    let (address, mut events) = open_node(Some(listener.load())).await;
    let up = first_event(Some(dialler.load()), address).await;
    assert!(matches!(up, LinkEvent::Up { peer: PeerId::Sync { .. }, .. }), "{up:?}");
    let up = timeout(SOON, events.recv()).await.expect("a link in time").expect("open");
    assert!(matches!(up, LinkEvent::Up { peer: PeerId::Entry { .. }, .. }), "{up:?}");
}

#[tokio::test]
async fn without_a_certificate_the_pages_are_there_and_the_link_is_not() {
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), Some(&ca));
    let (address, _events) = open_node(Some(folder.load())).await;
    for path in ["/healthz", "/readyz", "/metrics", "/status"] {
        let stream = connect(address, &ca.client(None)).await.expect("a handshake");
        let page = get_page(stream, path).await;
        assert!(page.starts_with("HTTP/1.1 200 "), "{path}: {page}");
    }
    let tungstenite::Error::Http(response) = refused_link(address, &ca.client(None)).await else {
        panic!("not told in HTTP");
    };
    assert_eq!(response.status(), 403);
    let body = String::from_utf8_lossy(response.body().as_deref().unwrap_or_default()).into_owned();
    assert!(body.contains("set [cluster-tls] on both nodes"), "{body}");
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused() {
    install_metrics();
    let (ca, other) = (Authority::new("good"), Authority::new("other"));
    let folder = Folder::new(&ca.issue(HOST), Some(&ca));
    let (address, _events) = open_node(Some(folder.load())).await;
    let stranger: Issued = other.issue("entry.example");
    let before = failures("certificate");
    let refused = refused_link(address, &ca.client(Some(&stranger))).await;
    assert!(refused.to_string().contains("UnknownCA"), "{refused}");
    // The client may hear of it before it is counted.
    timeout(SOON, async {
        while failures("certificate") == before {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("counted");
}

#[tokio::test]
async fn after_a_reload_with_another_authority_only_its_certificates_link() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = Folder::new(&old.issue(HOST), Some(&old));
    let tls = folder.load();
    let (address, mut events) = open_node(Some(Arc::clone(&tls))).await;
    let old_entry = Folder::new(&old.issue("entry.example"), Some(&old));
    let (inbox, mut standing) = mpsc::channel::<LinkEvent>(16);
    let peer = PeerId::Entry { owner: new_owner_id() };
    let target = DialTarget { address: address.to_string(), expected: Expected::Sync(SyncId(0)) };
    tokio::spawn(dial(identity(peer, Some(old_entry.load())), target, inbox));
    let up = timeout(SOON, standing.recv()).await.expect("a link in time");
    assert!(matches!(up, Some(LinkEvent::Up { .. })), "{up:?}");
    events.recv().await.expect("the same link");

    folder.put(&new.issue(HOST));
    folder.write("ca.pem", &new.pem);
    tls.reload(None).expect("good files");
    let refused = refused_link(address, &new.client(Some(&old.issue("entry.example")))).await;
    assert!(refused.to_string().contains("UnknownCA"), "{refused}");
    let new_entry = Folder::new(&new.issue("entry.example"), Some(&new));
    let up = first_event(Some(new_entry.load()), address).await;
    assert!(matches!(up, LinkEvent::Up { .. }), "{up:?}");
    // The first link has nothing to tell: it stands.
    let quiet: Result<LinkEvent, _> = standing.try_recv();
    assert!(matches!(quiet, Err(mpsc::error::TryRecvError::Empty)), "{quiet:?}");
}

#[tokio::test]
async fn a_certificate_that_names_another_node_links_it_at_neither_end() {
    let ca = Authority::new("good");
    let named = |host, uri: &str| {
        let issued = ca.issue_with(host, |params| {
            params.subject_alt_names.push(SanType::URI(uri.try_into().expect("ASCII")));
        });
        Folder::new(&issued, Some(&ca)).load()
    };
    let (s1, e1) = ("vixen://test/sync/S1", "vixen://test/entry/E1");
    for (listener, dialler, refused) in [
        (s1, e1, None),
        (s1, "vixen://test/entry/E2", Some(e1)),
        // A sync node's certificate does not make an entry of it, nor the other way round.
        (s1, s1, Some(e1)),
        ("vixen://test/sync/S2", e1, Some(s1)),
        (e1, e1, Some(s1)),
    ] {
        let (address, _events) = open_node(Some(named(HOST, listener))).await;
        let event = first_event(Some(named("entry.example", dialler)), address).await;
        match (event, refused) {
            (LinkEvent::Up { .. }, None) => {}
            (LinkEvent::Failed { refusal: Some(text), .. }, Some(wanted)) => {
                assert!(text.contains(&format!("not for {wanted}")), "{text}");
            }
            (other, _) => panic!("{listener} {dialler}: {other:?}"),
        }
    }
}
