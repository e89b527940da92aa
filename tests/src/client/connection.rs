//! One session over one WebSocket.

use std::future::poll_fn;
use std::net::Ipv4Addr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use super::ClientError;
use super::frame::{Frame, read_frame, write_close, write_pong, write_text};
use super::message::{ServerMessage, write_publish};

const SUBPROTOCOL: &str = "wamp.2.json";

/// What a client is unless it says otherwise, with no feature of any of these.
const ROLES: &str = r#"{"publisher":{},"subscriber":{},"caller":{},"callee":{}}"#;

/// How much a connection may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketOptions {
    /// Of the input buffer, at first: it grows for a frame that does not fit.
    pub input_bytes: usize,
    /// SO_RCVBUF: what the kernel takes for a client that does not read; `None`: as it likes.
    pub kernel_receive_bytes: Option<u32>,
    /// The address of the client's end; `None`: as the kernel likes.
    pub from: Option<Ipv4Addr>,
}

impl Default for SocketOptions {
    /// For a client with much traffic.
    fn default() -> Self {
        Self { input_bytes: 256 << 10, kernel_receive_bytes: None, from: None }
    }
}

/// A WAMP session. Sending queues; [`exchange`](Self::exchange) does the transfer, both ways.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    /// Its id, from WELCOME on.
    session: u64,
    /// Received and not yet read: `start..end`.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Queued and not yet sent: `sent..`.
    output: Vec<u8>,
    sent: usize,
    scratch: Vec<u8>,
}

async fn connect(address: &str, options: SocketOptions) -> std::io::Result<TcpStream> {
    let SocketOptions { kernel_receive_bytes, from, .. } = options;
    if kernel_receive_bytes.is_none() && from.is_none() {
        return TcpStream::connect(address).await;
    }
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = kernel_receive_bytes {
        // Before the connection is made, for the window is announced with it.
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(from) = from {
        socket.bind((from, 0).into())?;
    }
    let mut addresses = tokio::net::lookup_host(address).await?;
    let first = addresses.find(std::net::SocketAddr::is_ipv4);
    let first = first.ok_or_else(|| std::io::Error::other("no IPv4 address"))?;
    socket.connect(first).await
}

impl Connection {
    /// Connects to `url` (`ws://host:port/path`) and joins `realm`.
    ///
    /// # Errors
    /// When anything up to WELCOME fails.
    pub async fn open(url: &str, realm: &str) -> Result<Self, ClientError> {
        Self::open_with(url, realm, SocketOptions::default()).await
    }

    /// As [`open`](Self::open), with other buffers.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_with(
        url: &str,
        realm: &str,
        socket: SocketOptions,
    ) -> Result<Self, ClientError> {
        Self::open_as(url, realm, ROLES, socket).await
    }

    /// As [`open_with`](Self::open_with), and announces these roles, a JSON object with the features of each.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub async fn open_as(
        url: &str,
        realm: &str,
        roles: &str,
        socket: SocketOptions,
    ) -> Result<Self, ClientError> {
        let mut connection = Self::handshake(url, socket).await?;
        let hello = format!(r#"[1,"{realm}",{{"agent":"vixen-bench","roles":{roles}}}]"#);
        connection.send(hello.as_bytes());
        let welcome = |message: &ServerMessage<'_>| match message {
            ServerMessage::Welcome { session } => Some(*session),
            _ => None,
        };
        connection.session = connection.wait_for(welcome).await?;
        Ok(connection)
    }

    /// The id of the session.
    #[must_use]
    pub const fn session(&self) -> u64 {
        self.session
    }

    /// The port of the client's end.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn local_port(&self) -> std::io::Result<u16> {
        Ok(self.stream.local_addr()?.port())
    }

    async fn handshake(url: &str, socket: SocketOptions) -> Result<Self, ClientError> {
        let bad_url = || ClientError::Url { url: url.to_owned() };
        let mut request = url.into_client_request().map_err(|_bad| bad_url())?;
        let uri = request.uri();
        let port = uri.port_u16().unwrap_or(80);
        let address = format!("{}:{port}", uri.host().ok_or_else(bad_url)?);
        request
            .headers_mut()
            .insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
        let stream = connect(&address, socket)
            .await
            .map_err(|source| ClientError::Connect { address, source })?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(4 << 10);
        let no_handshake = |reason: String| ClientError::Handshake { url: url.to_owned(), reason };
        let (upgraded, response) = client_async_with_config(request, stream, Some(config))
            .await
            .map_err(|error| no_handshake(error.to_string()))?;
        let chosen = response.headers().get("sec-websocket-protocol");
        if chosen.is_none_or(|chosen| chosen != SUBPROTOCOL) {
            return Err(no_handshake(format!("the server chose {chosen:?}")));
        }
        // A WAMP server is silent until HELLO, so tungstenite has nothing buffered.
        Ok(Self {
            stream: upgraded.into_inner(),
            session: 0,
            input: vec![0; socket.input_bytes],
            start: 0,
            end: 0,
            output: Vec::new(),
            sent: 0,
            scratch: Vec::new(),
        })
    }

    /// Subscribes to `topic`; from now on all of it comes. Returns the subscription id.
    ///
    /// # Errors
    /// When the broker refuses or the connection fails.
    pub async fn subscribe(&mut self, request: u64, topic: &str) -> Result<u64, ClientError> {
        self.send(format!(r#"[32,{request},{{}},"{topic}"]"#).as_bytes());
        self.wait_for(|message| match message {
            ServerMessage::Subscribed { request: r, subscription } if *r == request => {
                Some(*subscription)
            }
            _ => None,
        })
        .await
    }

    /// Publishes `args` (a JSON array) and waits for its position.
    ///
    /// # Errors
    /// When the broker refuses or the connection fails.
    pub async fn publish(
        &mut self,
        request: u64,
        topic: &str,
        args: &str,
    ) -> Result<u64, ClientError> {
        let mut text = Vec::new();
        write_publish(request, true, topic, &mut text);
        text.extend_from_slice(args.as_bytes());
        text.push(b']');
        self.send(&text);
        self.wait_for(|message| match message {
            ServerMessage::Published { request: r, publication } if *r == request => {
                Some(*publication)
            }
            _ => None,
        })
        .await
    }

    /// Ends the connection with a TCP reset, without a word.
    pub fn reset(self) {
        // Without it the drop ends the connection too, by FIN: no reason to fail.
        let _closed_otherwise = self.stream.set_zero_linger();
    }

    /// Says GOODBYE, waits for the server's, and closes; either side may close first.
    ///
    /// # Errors
    /// When the connection ends without the server's GOODBYE.
    pub async fn close(mut self) -> Result<(), ClientError> {
        self.send(br#"[6,{},"wamp.close.close_realm"]"#);
        let mut goodbye = false;
        loop {
            match self.take_goodbye() {
                Ok(seen) if seen && !goodbye => {
                    goodbye = true;
                    write_close(&mut self.output);
                }
                Ok(_nothing_new) => {}
                Err(ClientError::Closed { .. }) if goodbye => return Ok(()),
                Err(error) => return Err(error),
            }
            match self.exchange().await {
                Ok(()) => {}
                // Everything was said: how the transport ends does not matter.
                Err(_ended) if goodbye => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what there is; whether the server said GOODBYE in it, and only then it may close.
    fn take_goodbye(&mut self) -> Result<bool, ClientError> {
        let mut goodbye = false;
        loop {
            match self.next_text() {
                Ok(Some(text)) => {
                    let message = ServerMessage::parse(text);
                    goodbye |= matches!(message, Some(ServerMessage::Ended { .. }));
                }
                Ok(None) => return Ok(goodbye),
                // A close right behind the goodbye: the end of the transport tells as well.
                Err(ClientError::Closed { .. }) if goodbye => return Ok(true),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads on until `wanted` finds what it looks for; what comes before is dropped.
    async fn wait_for<T>(
        &mut self,
        mut wanted: impl FnMut(&ServerMessage<'_>) -> Option<T>,
    ) -> Result<T, ClientError> {
        loop {
            while let Some(text) = self.next_text()? {
                let message = ServerMessage::parse(text);
                let words = || String::from_utf8_lossy(text).into_owned();
                match message {
                    None => return Err(ClientError::protocol(words())),
                    Some(ServerMessage::Ended { .. }) => {
                        return Err(ClientError::Aborted { message: words() });
                    }
                    Some(ServerMessage::Error { .. }) => {
                        return Err(ClientError::Refused { message: words() });
                    }
                    Some(message) => {
                        if let Some(found) = wanted(&message) {
                            return Ok(found);
                        }
                    }
                }
            }
            self.exchange().await?;
        }
    }

    /// Queues one message.
    pub fn send(&mut self, text: &[u8]) {
        write_text(text, &mut self.output);
    }

    /// Queues one message that `write` makes, without an allocation.
    pub fn send_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.scratch.clear();
        write(&mut self.scratch);
        write_text(&self.scratch, &mut self.output);
    }

    /// Bytes queued and not yet taken by the socket.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.output.len() - self.sent
    }

    /// Sends what is queued and receives what there is. Returns when something was received, or
    /// when everything queued has been sent; with nothing queued it waits for something to
    /// receive. May be cancelled at any time without loss.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn exchange(&mut self) -> Result<(), ClientError> {
        self.make_room();
        poll_fn(|cx| self.poll_exchange(cx)).await
    }

    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ClientError>> {
        let flushed = self.poll_send(cx)?;
        let mut buffer = ReadBuf::new(&mut self.input[self.end..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
            Poll::Ready(Ok(())) => {
                let received = buffer.filled().len();
                self.end += received;
                if received == 0 {
                    return Poll::Ready(Err(ClientError::Closed { reason: None }));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.into())),
            Poll::Pending if flushed => Poll::Ready(Ok(())),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Sends as much as the socket takes; `true` when that emptied the queue.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Result<bool, ClientError> {
        if self.queued_bytes() == 0 {
            return Ok(false);
        }
        while self.queued_bytes() > 0 {
            match Pin::new(&mut self.stream).poll_write(cx, &self.output[self.sent..]) {
                Poll::Ready(written) => self.sent += written?,
                Poll::Pending => return Ok(false),
            }
        }
        self.output.clear();
        self.sent = 0;
        Ok(true)
    }

    /// Moves an unread rest to the front, and grows for a frame that does not fit.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        if self.end == self.input.len() {
            self.input.resize(self.input.len() * 2, 0);
        }
    }

    /// The next message received by earlier [`exchange`](Self::exchange)s; `None` when there is
    /// no whole one left.
    ///
    /// # Errors
    /// When the server closed, or sent what it must not.
    pub fn next_text(&mut self) -> Result<Option<&[u8]>, ClientError> {
        loop {
            let Some((frame, length)) = read_frame(&self.input[self.start..self.end])? else {
                return Ok(None);
            };
            let at = self.start;
            self.start += length;
            match frame {
                Frame::Text(text) => {
                    // The range again, for the borrow checker does not see that `frame` may leave.
                    let begin = at + length - text.len();
                    return Ok(Some(&self.input[begin..at + length]));
                }
                Frame::Ping(payload) => write_pong(payload, &mut self.output),
                Frame::Pong => {}
                Frame::Close(payload) => {
                    let reason = payload.split_first_chunk::<2>().map(|(code, text)| {
                        let code = u16::from_be_bytes(*code);
                        format!("{code} {}", String::from_utf8_lossy(text))
                    });
                    return Err(ClientError::Closed { reason });
                }
            }
        }
    }
}
