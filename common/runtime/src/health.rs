//! `--health`: asks a node whether it is ready, for what starts and watches nodes.
//!
//! An image may have no shell and no curl, and a port may have TLS, so the binaries ask by
//! themselves. The node is found as it finds itself: by the configuration and its name.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use vixen_core::name::NodeName;

use crate::config::{Config, ConfigError};
use crate::tls::connect_unverified;

/// Whoever asks is more patient than this, or never sees the text.
const PATIENCE: Duration = Duration::from_secs(5);
/// An answer of `/readyz` is a line.
const ANSWER_BYTES_MAX: u64 = 64 << 10;

/// A node to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthTarget {
    /// What the text calls it.
    pub node: String,
    /// `host:port` where it listens; all addresses of a machine are asked at its loopback.
    pub address: String,
    /// Whether its port speaks TLS.
    pub has_tls: bool,
}

/// Why a node is not known to be ready.
#[derive(Debug, thiserror::Error)]
pub enum HealthError {
    /// It says so itself.
    #[error("{node} is not ready: {reason}")]
    NotReady {
        /// The node.
        node: String,
        /// What it answered.
        reason: String,
    },
    /// It does not answer.
    #[error("{node} does not answer at {address}")]
    NoAnswer {
        /// The node.
        node: String,
        /// Where it was asked.
        address: String,
        /// Why.
        source: io::Error,
    },
    /// It listens where nobody can know.
    #[error("{node} takes any free port, so nobody can ask it: give it one, such as {example}")]
    AnyPort {
        /// The node.
        node: String,
        /// An address with a port.
        example: &'static str,
    },
}

impl HealthTarget {
    /// The node `name` of the configuration, of whichever tier it is: one health check serves all
    /// containers of an image. `listen` is an entry's, and wins over the file.
    ///
    /// # Errors
    /// When no node is called so, and `listen` does not make an entry of it.
    pub fn of_node(
        config: &Config,
        name: &NodeName,
        listen: Option<SocketAddr>,
    ) -> Result<Self, ConfigError> {
        let links = config.cluster_tls.is_some();
        let (address, has_tls) = if let Ok(member) = config.sync_member(name) {
            (member.bind_address(), links)
        } else if let Ok((_id, member)) = config.ndb_member(name) {
            (member.bind_address(), links)
        } else {
            let entry = config.entry_member(name, listen)?;
            (entry.listen.to_string(), config.tls.is_some())
        };
        Ok(Self { node: name.to_string(), address, has_tls })
    }

    /// Asks `/readyz` and returns a line that says that the node is ready. It must not be called
    /// within a runtime.
    ///
    /// The port's certificate is not verified, as it is not by Kubernetes either: nothing is told
    /// but the question, and the node asked is this one.
    ///
    /// # Errors
    /// When the node is not ready, or does not answer within five seconds.
    pub fn ask(&self) -> Result<String, HealthError> {
        let address = self.reachable()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let answer = runtime.and_then(|runtime| {
            runtime.block_on(async {
                let answer = timeout(PATIENCE, get_readiness(&address, self.has_tls)).await;
                answer.unwrap_or_else(|_elapsed| {
                    let text = format!("nothing within {} s", PATIENCE.as_secs());
                    Err(io::Error::new(io::ErrorKind::TimedOut, text))
                })
            })
        });
        let node = self.node.clone();
        match answer {
            Ok((200, text)) => Ok(format!("{node} is {text}")),
            Ok((_status, reason)) => Err(HealthError::NotReady { node, reason }),
            Err(source) => Err(HealthError::NoAnswer { node, address, source }),
        }
    }

    /// The address to dial.
    fn reachable(&self) -> Result<String, HealthError> {
        // A name with a port is dialled as it is.
        let Ok(mut address) = self.address.parse::<SocketAddr>() else {
            return Ok(self.address.clone());
        };
        if address.port() == 0 {
            let node = self.node.clone();
            return Err(HealthError::AnyPort { node, example: "127.0.0.1:9031" });
        }
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
                IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
            });
        }
        Ok(address.to_string())
    }
}

/// The status of `/readyz`, and its text as one line.
async fn get_readiness(address: &str, has_tls: bool) -> io::Result<(u16, String)> {
    let stream = TcpStream::connect(address).await?;
    let answer = if has_tls {
        get(connect_unverified(stream).await?, address).await?
    } else {
        get(stream, address).await?
    };
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "that is not HTTP"))
}

async fn get(mut stream: impl AsyncRead + AsyncWrite + Unpin, host: &str) -> io::Result<String> {
    // HTTP/1.0: the answer comes unchunked and ends with the connection.
    let request = format!("GET /readyz HTTP/1.0\r\nhost: {host}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    let lines: Vec<_> = body.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    Some((status, lines.join("; ")))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use serde_json::json;

    use vixen_core::words::Words;

    use super::*;
    use crate::server::{self, Timeouts};
    use crate::telemetry::{Readiness, install_metrics, ops_router};
    use crate::tls::Tls;
    use crate::tls::tests::authority::{Authority, Folder};

    fn target(address: &str, has_tls: bool) -> HealthTarget {
        HealthTarget { node: "S1".to_owned(), address: address.to_owned(), has_tls }
    }

    /// Serves the pages of a node on a port of its own; returns the port.
    async fn serve_pages(tls: Option<Arc<Tls>>, ready: Result<(), String>) -> u16 {
        let listener = server::listen("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let ready = match ready {
            Ok(()) => Readiness::Ready,
            Err(reason) => Readiness::NotReady { waits_for: Words::new(reason) },
        };
        let ready = Arc::new(move || ready.clone());
        let status = Arc::new(|| Box::pin(async { json!({}) }) as _);
        let router = ops_router(install_metrics(), ready, status);
        let timeouts = Timeouts::default();
        tokio::spawn(server::serve(listener, tls, router, timeouts, std::future::pending()));
        port
    }

    async fn ask(target: HealthTarget) -> Result<String, String> {
        let asked = tokio::task::spawn_blocking(move || target.ask()).await.expect("no panic");
        asked.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn a_node_is_asked_where_it_listens_and_its_reason_is_passed_on() {
        let port = serve_pages(None, Ok(())).await;
        for address in [format!("127.0.0.1:{port}"), format!("0.0.0.0:{port}")] {
            assert_eq!(ask(target(&address, false)).await.as_deref(), Ok("S1 is ready"));
        }
        let port = serve_pages(None, Err("1 of 2 sync nodes".to_owned())).await;
        let told = ask(target(&format!("localhost:{port}"), false)).await;
        assert_eq!(told, Err("S1 is not ready: 1 of 2 sync nodes".to_owned()));
    }

    #[tokio::test]
    async fn a_port_with_tls_is_asked_whatever_its_certificate_is() {
        let folder = Folder::new(&Authority::new("unknown").issue("another.example"), None);
        let port = serve_pages(Some(folder.load()), Ok(())).await;
        let address = format!("127.0.0.1:{port}");
        assert_eq!(ask(target(&address, true)).await.as_deref(), Ok("S1 is ready"));
        let told = ask(target(&address, false)).await.expect_err("it speaks TLS");
        assert!(told.contains("this port speaks TLS"), "{told}");
    }

    #[tokio::test]
    async fn one_that_does_not_answer_is_told_with_its_address() {
        // Bound, so that nobody else gets it, and not listened at.
        let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
        nobody.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let address = nobody.local_addr().expect("bound").to_string();
        let told = ask(target(&address, false)).await;
        assert_eq!(told, Err(format!("S1 does not answer at {address}")));
        let told = ask(target("127.0.0.1:0", false)).await.expect_err("no port");
        assert!(told.contains("any free port"), "{told}");
    }

    #[test]
    fn nodes_of_all_tiers_are_found_by_their_names() {
        let listen: SocketAddr = "0.0.0.0:9031".parse().expect("an address");
        let mut config = Config::nearcast(PathBuf::from("unused"), listen);
        config.sync[0].listen = Some("0.0.0.0:9041".parse().expect("an address"));
        let of = |name: &str, listen: Option<SocketAddr>| {
            HealthTarget::of_node(&config, &name.parse().expect("a name"), listen)
        };
        for (name, address) in [("S1", "0.0.0.0:9041"), ("D1", "memory"), ("E1", "0.0.0.0:9031")] {
            assert_eq!(of(name, None).expect("it is there").address, address);
        }
        assert_eq!(of("E9", Some(listen)).expect("an entry").address, "0.0.0.0:9031");
        let unknown = of("X9", None).expect_err("no such node").to_string();
        assert!(unknown.contains("X9"), "{unknown}");
    }

    #[test]
    fn an_answer_of_several_lines_becomes_one() {
        let answer = "HTTP/1.0 503 Service Unavailable\r\na: b\r\n\r\nfirst\n\nsecond\n";
        assert_eq!(parse(answer), Some((503, "first; second".to_owned())));
        assert_eq!(parse("SSH-2.0\r\n\r\n"), None);
    }
}
