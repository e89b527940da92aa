//! Sockets of hostile clients: bytes as they like, from addresses of their own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// The ticket of all users who have one.
pub(super) const TICKET: &str = "ticket-of-a-user";

/// `alice:wrong-ticket`, as HTTP Basic has it.
pub(super) const WRONG_BASIC: &str = "YWxpY2U6d3JvbmctdGlja2V0";
/// `mallory:ticket-of-a-user`.
pub(super) const MALLORYS_BASIC: &str = "bWFsbG9yeTp0aWNrZXQtb2YtYS11c2Vy";

/// An answer that does not come by then is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a client that does not read lets the kernel take.
const NARROW: u32 = 4 << 10;

pub(super) const TEXT: u8 = 1;
pub(super) const PONG: u8 = 10;
const FINAL: u8 = 0x80;
const MASKED: u8 = 0x80;

/// A connection from an address of loopback.
pub(super) struct Raw(TcpStream);

impl Raw {
    /// Connects from 127.1.`net`.`host`.
    pub(super) async fn connect(to: &str, (net, host): (u8, u8)) -> anyhow::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_recv_buffer_size(NARROW)?;
        socket.bind(SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, 1, net, host.max(1))), 0))?;
        let stream = timeout(PATIENCE, socket.connect(to.parse()?)).await??;
        Ok(Self(stream))
    }

    pub(super) async fn send(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(PATIENCE, self.0.write_all(bytes)).await.context("not taken in time")??;
        Ok(())
    }

    /// A GET, or whatever `line` is.
    pub(super) async fn request(&mut self, line: &str, headers: &str) -> anyhow::Result<()> {
        let text = format!("{line} HTTP/1.1\r\nhost: 127.0.0.1\r\n{headers}\r\n");
        self.send(text.as_bytes()).await
    }

    /// The status of an answer, with no more read than its head.
    pub(super) async fn status(&mut self) -> anyhow::Result<u16> {
        let mut head = Vec::new();
        timeout(PATIENCE, async {
            while !head.ends_with(b"\r\n\r\n") {
                head.push(self.0.read_u8().await?);
            }
            anyhow::Ok(())
        })
        .await
        .context("no answer in time")??;
        let head = String::from_utf8_lossy(&head);
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.with_context(|| head.into_owned())
    }

    /// Becomes a WebSocket at `path`.
    pub(super) async fn upgrade(&mut self, path: &str, protocol: &str) -> anyhow::Result<()> {
        let protocol = if protocol.is_empty() {
            String::new()
        } else {
            format!("sec-websocket-protocol: {protocol}\r\n")
        };
        let headers = format!(
            "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
             sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{protocol}"
        );
        self.request(&format!("GET {path}"), &headers).await?;
        match self.status().await? {
            101 => Ok(()),
            other => bail!("HTTP {other}"),
        }
    }

    /// A masked frame, by a mask of zeros; of its payload only what is given.
    pub(super) async fn frame(
        &mut self,
        (opcode, is_final): (u8, bool),
        length: usize,
        payload: &[u8],
    ) -> anyhow::Result<()> {
        let mut bytes = vec![if is_final { opcode | FINAL } else { opcode }, MASKED | 127];
        bytes.extend_from_slice(&(length as u64).to_be_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(payload);
        self.send(&bytes).await
    }

    pub(super) async fn text(&mut self, text: &str) -> anyhow::Result<()> {
        self.frame((TEXT, true), text.len(), text.as_bytes()).await
    }

    /// Joins a realm as nobody in particular.
    pub(super) async fn join(&mut self, realm: &str) -> anyhow::Result<()> {
        self.upgrade("/ws", "wamp.2.json").await?;
        self.text(&format!(r#"[1,"{realm}",{{"roles":{{"publisher":{{}},"subscriber":{{}}}}}}]"#))
            .await?;
        // WELCOME, or the end.
        self.some().await
    }

    /// Reads something, at least a byte.
    pub(super) async fn some(&mut self) -> anyhow::Result<()> {
        let mut some = [0; 512];
        let read = timeout(PATIENCE, self.0.read(&mut some)).await.context("nothing in time")??;
        anyhow::ensure!(read > 0, "closed");
        Ok(())
    }

    /// Reads and drops all until the end, or for so long.
    pub(super) async fn drain(&mut self, time: Duration) {
        let mut some = [0; 4096];
        let _time_is_over = timeout(time, async {
            while self.0.read(&mut some).await.is_ok_and(|read| read > 0) {}
        })
        .await;
    }

    /// Holds it without reading, until the other side has closed or the time is over; whether it has.
    pub(super) async fn hold(&mut self, time: Duration) -> bool {
        let mut one = [0; 1];
        // What is there to be read stays there: only an end is waited for.
        let closed = async {
            loop {
                match self.0.peek(&mut one).await {
                    Ok(0) | Err(_) => return,
                    Ok(_unread) => tokio::time::sleep(Duration::from_millis(500)).await,
                }
            }
        };
        timeout(time, closed).await.is_ok()
    }
}
