//! Ports with TLS over real sockets on loopback.

pub(crate) mod authority;
mod files;
pub(crate) mod links;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::ConnectInfo;
use axum::extract::ws::WebSocketUpgrade;
use axum::routing::get;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::{WebSocketStream, client_async};

use super::*;
use crate::server::{Timeouts, serve};
use crate::telemetry::install_metrics;
use authority::{Authority, Folder};

/// Bound on anything that loopback does at once.
const SOON: Duration = Duration::from_secs(20);
const HOST: &str = "127.0.0.1";

/// `/who` tells what handlers know of the client, `/echo` sends back what it gets.
fn pages() -> Router {
    let echo = |upgrade: WebSocketUpgrade| async {
        upgrade.on_upgrade(|mut socket| async move {
            while let Some(Ok(message)) = socket.recv().await {
                if socket.send(message).await.is_err() {
                    return;
                }
            }
        })
    };
    let who =
        |ConnectInfo(client): ConnectInfo<ClientAddress>| async move { format!("{client:?}") };
    Router::new().route("/who", get(who)).route("/echo", get(echo))
}

async fn open_port(tls: Option<Arc<Tls>>, router: Router) -> SocketAddr {
    let listener = TcpListener::bind((HOST, 0)).await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let timeouts = Timeouts::default();
    tokio::spawn(serve(listener, tls, router, timeouts, std::future::pending()));
    address
}

async fn connect(address: SocketAddr, by: &TlsConnector) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(HOST).expect("a name");
    let stream = TcpStream::connect(address).await?;
    timeout(SOON, by.connect(name, stream)).await.expect("a handshake in time")
}

/// The whole answer to one GET.
async fn get_page(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    let mut answer = String::new();
    let exchange = async {
        stream.write_all(request.as_bytes()).await.expect("sent");
        stream.read_to_string(&mut answer).await.expect("received");
    };
    timeout(SOON, exchange).await.expect("an answer in time");
    answer
}

async fn echo_over(
    socket: &mut WebSocketStream<impl AsyncRead + AsyncWrite + Unpin>,
    text: &str,
) -> String {
    socket.send(text.into()).await.expect("sent");
    let answer = timeout(SOON, socket.next()).await.expect("an answer in time");
    answer.expect("open").expect("a message").into_text().expect("text").to_string()
}

/// How often handshakes have failed for this reason, in all tests of this process.
fn failures(reason: &str) -> u64 {
    let row = format!("vixen_common_tls_handshakes_failed_total{{reason=\"{reason}\"}} ");
    let text = install_metrics().render();
    text.lines().find_map(|line| line.strip_prefix(&row)?.parse().ok()).unwrap_or_default()
}

#[tokio::test]
async fn a_client_speaks_wss_and_handlers_know_it() {
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), None);
    let address = open_port(Some(folder.load()), pages()).await;
    let stream = connect(address, &ca.client(None)).await.expect("a handshake");
    let url = format!("wss://{address}/echo");
    let (mut socket, _response) = client_async(url, stream).await.expect("an upgrade");
    assert_eq!(echo_over(&mut socket, "hello").await, "hello");

    let stream = connect(address, &ca.client(None)).await.expect("a handshake");
    let who = get_page(stream, "/who").await;
    let wanted = "ClientAddress { ip: 127.0.0.1, is_tls: true, is_certified: false }";
    assert!(who.ends_with(wanted), "{who}");
}

#[tokio::test]
async fn a_port_without_tls_tells_handlers_so() {
    let address = open_port(None, pages()).await;
    let stream = TcpStream::connect(address).await.expect("connected");
    let who = get_page(stream, "/who").await;
    let wanted = "ClientAddress { ip: 127.0.0.1, is_tls: false, is_certified: false }";
    assert!(who.ends_with(wanted), "{who}");
}

#[test]
fn an_ipv4_address_is_the_same_on_a_socket_of_both_kinds() {
    let mapped = "::ffff:192.0.2.1".parse().expect("an address");
    assert_eq!(ClientAddress::plain(mapped).ip.to_string(), "192.0.2.1");
}

#[tokio::test]
async fn http_1_1_is_agreed_on_and_nothing_else() {
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), None);
    let address = open_port(Some(folder.load()), pages()).await;
    for (offered, agreed) in
        [(&["h2", "http/1.1"][..], Some("http/1.1")), (&[], None), (&["h2"], Some("refused"))]
    {
        let mut config = ca.client(None).config().as_ref().clone();
        config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connected = connect(address, &Arc::new(config).into()).await;
        let found = connected
            .as_ref()
            .map_or(Some(&b"refused"[..]), |stream| stream.get_ref().1.alpn_protocol());
        assert_eq!(found, agreed.map(str::as_bytes), "{offered:?}");
    }
}

#[tokio::test]
async fn a_client_that_trusts_another_authority_refuses_and_is_counted() {
    install_metrics();
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), None);
    let address = open_port(Some(folder.load()), pages()).await;
    let before = failures("refused");
    let other = Authority::new("other");
    let error = connect(address, &other.client(None)).await.expect_err("not trusted");
    assert!(error.to_string().contains("UnknownIssuer"), "{error}");
    // The alert is on its way; a handshake behind it is not before it by chance.
    timeout(SOON, async {
        while failures("refused") == before {
            let _page = connect(address, &ca.client(None)).await.expect("a handshake");
        }
    })
    .await
    .expect("counted");
}

#[tokio::test]
async fn plain_http_gets_a_hint_and_the_port_goes_on() {
    install_metrics();
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), None);
    let address = open_port(Some(folder.load()), pages()).await;
    let before = failures("not_tls");
    let answer = get_page(TcpStream::connect(address).await.expect("connected"), "/who").await;
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    assert!(answer.contains("use https:// or wss://"), "{answer}");
    let stream = connect(address, &ca.client(None)).await.expect("a handshake");
    assert!(get_page(stream, "/who").await.starts_with("HTTP/1.1 200 "));
    timeout(SOON, async {
        while failures("not_tls") == before {
            let _page = connect(address, &ca.client(None)).await.expect("a handshake");
        }
    })
    .await
    .expect("counted");
}

#[tokio::test]
async fn slow_handshakes_hold_up_nobody_and_end_in_time() {
    let ca = Authority::new("good");
    let folder = Folder::new(&ca.issue(HOST), None);
    let patience = Duration::from_millis(300);
    let tls = Tls::load(&folder.files, patience).expect("good files");
    let address = open_port(Some(Arc::new(tls)), pages()).await;
    let mut slow = Vec::new();
    for begin in [&b""[..], &[22, 3, 1], &[22, 3, 1, 2, 0, 1]].into_iter().cycle().take(30) {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        stream.write_all(begin).await.expect("sent");
        slow.push(stream);
    }
    let stream = connect(address, &ca.client(None)).await.expect("a handshake");
    assert!(get_page(stream, "/who").await.starts_with("HTTP/1.1 200 "));
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = timeout(SOON, stream.read_to_end(&mut rest)).await.expect("closed in time");
        // Bytes that were not read make the end a reset.
        assert!(ended.is_err() || rest.is_empty(), "{rest:?}");
    }
}

#[tokio::test]
async fn after_a_reload_new_connections_see_the_new_certificate_and_old_ones_live_on() {
    let ca = Authority::new("good");
    let (old, new) = (ca.issue(HOST), ca.issue(HOST));
    let folder = Folder::new(&old, None);
    let tls = folder.load();
    let address = open_port(Some(Arc::clone(&tls)), pages()).await;
    let shown = |stream: &TlsStream<TcpStream>| {
        let certificates = stream.get_ref().1.peer_certificates().expect("shown");
        certificates[0].clone().into_owned()
    };
    let client = ca.client(None);
    let stream = connect(address, &client).await.expect("a handshake");
    assert_eq!(shown(&stream), old.der());
    let url = format!("wss://{address}/echo");
    let (mut standing, _response) = client_async(url, stream).await.expect("an upgrade");

    // The key alone: half of a renewal. Nothing changes.
    folder.write("node.key", &new.key);
    let error = tls.reload(None).expect_err("a pair that is none").to_string();
    assert!(error.contains("node.key: is not the key of "), "{error}");
    let stream = connect(address, &client).await.expect("a handshake");
    assert_eq!(shown(&stream), old.der());

    folder.put(&new);
    tls.reload(None).expect("good files");
    // The same client: what it could resume is from the certificate before.
    let stream = connect(address, &client).await.expect("a handshake");
    assert_eq!(shown(&stream), new.der());
    assert_eq!(echo_over(&mut standing, "still here").await, "still here");
}

#[tokio::test]
async fn a_reload_takes_the_names_that_the_configuration_has_now() {
    let ca = Authority::new("good");
    let (old, new) = (ca.issue(HOST), ca.issue(HOST));
    let (folder, other) = (Folder::new(&old, None), Folder::new(&new, None));
    let tls = folder.load();
    let address = open_port(Some(Arc::clone(&tls)), pages()).await;
    let client = ca.client(None);
    tls.reload(Some(&other.files)).expect("good files");
    let stream = connect(address, &client).await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("shown")[0].clone();
    assert_eq!(shown, new.der());
    // What cannot be read is not remembered either.
    let mut missing = folder.files.clone();
    missing.key = folder.path().join("missing.key");
    tls.reload(Some(&missing)).expect_err("a file that is not there");
    other.put(&old);
    tls.reload(None).expect("the names that were good last");
    let stream = connect(address, &client).await.expect("a handshake");
    let shown = stream.get_ref().1.peer_certificates().expect("shown")[0].clone();
    assert_eq!(shown, old.der());
}

#[tokio::test]
async fn the_expiry_of_the_certificate_in_use_is_a_metric() {
    install_metrics();
    let ca = Authority::new("good");
    let until =
        |year| ca.issue_with(HOST, |params| params.not_after = rcgen::date_time_ymd(year, 3, 1));
    let folder = Folder::new(&until(2040), None);
    let seconds = |tls: &Tls| tls.current().loaded.not_after_seconds();
    let tls = folder.load();
    assert_eq!(seconds(&tls), Some(2_214_172_800));
    folder.put(&until(2041));
    tls.reload(None).expect("good files");
    assert_eq!(seconds(&tls), Some(2_245_708_800));
    let text = install_metrics().render();
    let row = "vixen_common_tls_certificate_expiry_seconds{table=\"tls\"} ";
    assert!(text.contains(row), "{text}");
}
