//! A connection that ends when the other end is gone and something is to be written, and that has its
//! [`Meter`] count what is read.
//!
//! Whoever reads slowly closes its window, and answers TCP's probes; whoever lost its network answers
//! neither probes nor what is sent. The kernel gives the second up after some 15 minutes (`tcp_retries2`),
//! and with TCP_USER_TIMEOUT the first as well (RFC 5482 §3 counts a closed window too). Here only the
//! second is given up, and sooner.
//!
//! An answer of HTTP is another matter: it holds what it was made of, and places that others wait for.
//! So a connection whose other end acknowledges that it lives, and takes nothing of an answer for long
//! enough, is given up as well.

use std::future::{Future as _, poll_fn};
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use metrics::counter;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::connections::Place;
use super::dropping::Dropping;
use super::intake::Meter;
use crate::tls::Stream;

pub(super) const VANISHED_CONNECTIONS: &str = "vixen_common_vanished_connections_total";
pub(super) const STALLED_CONNECTIONS: &str = "vixen_common_stalled_connections_total";

/// While a write waits, the other end is looked at so often within the time it may be silent.
const LOOKS: u32 = 4;

/// Less says nothing: Linux answers probes every half second at most (`tcp_invalid_ratelimit`), and the
/// first ones come faster.
const SILENCE_MIN: Duration = Duration::from_secs(2);

/// So long somebody whose input was ended may take to read why. Closing with bytes unread would
/// reset the connection, and might take the answer with it. At the pace of what is dropped, that is more than the
/// largest message that clients may send by default.
const LINGER_TIME: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Watched {
    /// `None` while it is being dropped.
    stream: Option<Stream>,
    meter: Meter,
    /// What comes after the meter is over.
    dropping: Dropping,
    /// It holds its place as long as it is open, whatever it is spoken with.
    place: Arc<Place>,
    silence_max: Duration,
    /// The next look. Made when a write waits for the first time: most never do.
    look: Option<Pin<Box<Sleep>>>,
    is_waiting: bool,
    was_silent: bool,
    stall: Option<Stall>,
}

/// How long the other end may take nothing.
struct Stall {
    max: Duration,
    /// The connection serves no requests any more, and whoever took it over looks after it.
    is_over: Arc<AtomicBool>,
    /// What the other end had taken when it last took something, and when that was seen.
    taken_bytes: u64,
    since: Instant,
}

impl Stall {
    /// Whether nothing more was taken for too long.
    fn is_reached(&mut self, tcp: &TcpStream) -> bool {
        let taken_bytes = taken_bytes(tcp);
        if taken_bytes.is_none_or(|taken| taken != self.taken_bytes) {
            self.taken_bytes = taken_bytes.unwrap_or_default();
            self.since = Instant::now();
        }
        self.since.elapsed() >= self.max && !self.is_over.load(Ordering::Relaxed)
    }
}

impl Watched {
    /// Ends `stream` when its other end has not acknowledged anything for `silence_max`, was asked
    /// to, and a write waits. It takes up to half as long again; with a window that was closed
    /// before, as long as TCP waits between two probes, which is two minutes at most.
    pub(super) fn new(
        stream: Stream,
        meter: Meter,
        place: Arc<Place>,
        silence_max: Duration,
    ) -> Self {
        Self {
            stream: Some(stream),
            meter,
            dropping: Dropping::new(),
            place,
            silence_max: silence_max.max(SILENCE_MIN),
            look: None,
            is_waiting: false,
            was_silent: false,
            stall: None,
        }
    }

    /// Ends it as well when the other end takes nothing for `max` while a write waits, until
    /// `is_over`. It takes up to a quarter of the time of silence longer.
    pub(super) fn with_stall(mut self, max: Duration, is_over: Arc<AtomicBool>) -> Self {
        self.stall = Some(Stall { max, is_over, taken_bytes: 0, since: Instant::now() });
        self
    }

    fn stream(&mut self) -> Pin<&mut Stream> {
        Pin::new(self.stream.as_mut().expect("only its drop takes it"))
    }

    /// What becomes of a write: one that waits does so no longer than there is somebody.
    fn watch<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.is_waiting = false;
            return written;
        }
        let interval = self.silence_max / LOOKS;
        let look = self.look.get_or_insert_with(|| Box::pin(sleep(interval)));
        if !self.is_waiting {
            (self.is_waiting, self.was_silent) = (true, false);
            look.as_mut().reset(Instant::now() + interval);
            if let Some(stall) = &mut self.stall {
                stall.since = Instant::now();
            }
        }
        loop {
            ready!(look.as_mut().poll(cx));
            look.as_mut().reset(Instant::now() + interval);
            let is_silent = self
                .stream
                .as_ref()
                .is_some_and(|stream| is_silent(stream.tcp(), self.silence_max));
            // Twice: a probe may be on its way to somebody who is far, but there.
            if is_silent && self.was_silent {
                counter!(VANISHED_CONNECTIONS).increment(1);
                tracing::debug!("connection closed: what was written is not acknowledged");
                let message = "nothing that was written has been acknowledged";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
            self.was_silent = is_silent;
            if let Some(stall) = &mut self.stall
                && let Some(stream) = &self.stream
                && stall.is_reached(stream.tcp())
            {
                counter!(STALLED_CONNECTIONS).increment(1);
                tracing::debug!("connection closed: nothing more of its answer is taken");
                let message = "nothing more of what was written is taken";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
        }
    }
}

/// Whether the other end owes an answer, and has acknowledged nothing for so long.
#[cfg(target_os = "linux")]
fn is_silent(tcp: &TcpStream, silence_max: Duration) -> bool {
    let Ok(info) = tcp_info(tcp) else { return false };
    // A full reader may drop what is sent again and again, but says each time that it is full.
    let is_sent_again =
        info.tcpi_retransmits > 0 && info.tcpi_last_data_sent < info.tcpi_last_ack_recv;
    let is_asked = is_sent_again || info.tcpi_probes > 0;
    is_asked && Duration::from_millis(info.tcpi_last_ack_recv.into()) >= silence_max
}

/// How much the other end has taken so far, where that can be told.
#[cfg(target_os = "linux")]
fn taken_bytes(tcp: &TcpStream) -> Option<u64> {
    tcp_info(tcp).ok().map(|info| info.tcpi_bytes_acked)
}

/// What the kernel knows of a connection: TCP_INFO of tcp(7).
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "nix, rustix and socket2 have no call for it")]
fn tcp_info(tcp: &TcpStream) -> io::Result<nix::libc::tcp_info> {
    use std::os::fd::AsRawFd as _;

    use nix::libc;

    let mut info = std::mem::MaybeUninit::<libc::tcp_info>::zeroed();
    let size = std::mem::size_of::<libc::tcp_info>();
    let mut size = libc::socklen_t::try_from(size).map_err(io::Error::other)?;
    let (level, name) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    // SAFETY: `tcp` holds the descriptor open; `info` has `size` bytes, which the kernel does not
    // write beyond, and both live until it returns.
    let outcome = unsafe {
        libc::getsockopt(tcp.as_raw_fd(), level, name, info.as_mut_ptr().cast(), &raw mut size)
    };
    if outcome != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is integers only, all of them zero before the kernel wrote some.
    Ok(unsafe { info.assume_init() })
}

/// Elsewhere the kernel decides alone.
#[cfg(not(target_os = "linux"))]
fn is_silent(_tcp: &TcpStream, _silence_max: Duration) -> bool {
    false
}

impl AsyncRead for Watched {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.meter.is_over().is_some() {
            let Self { stream, dropping, .. } = &mut *self;
            return dropping.poll(stream.as_mut().expect("only its drop takes it"), cx);
        }
        let before = buffer.filled().len();
        ready!(self.stream().poll_read(cx, buffer))?;
        self.meter.took(buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Watched {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write(cx, bytes);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = self.stream().poll_write_vectored(cx, slices);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = self.stream().poll_flush(cx);
        self.watch(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_shutdown(cx)
    }
}

/// Elsewhere nobody is given up for it.
#[cfg(not(target_os = "linux"))]
fn taken_bytes(_tcp: &TcpStream) -> Option<u64> {
    None
}

impl Drop for Watched {
    fn drop(&mut self) {
        if self.meter.is_over().is_some()
            && let Some(stream) = self.stream.take()
            && let Ok(runtime) = Handle::try_current()
        {
            let dropping = std::mem::replace(&mut self.dropping, Dropping::new());
            runtime.spawn(linger(stream, dropping, Arc::clone(&self.place)));
        }
    }
}

/// Lets the other end read its answer: says that nothing more follows, and drops what comes.
async fn linger(mut stream: Stream, mut dropping: Dropping, _place: Arc<Place>) {
    let until_it_closes = async {
        stream.shutdown().await?;
        poll_fn(|cx| dropping.poll(&mut stream, cx)).await
    };
    let _or_not = timeout(LINGER_TIME, until_it_closes).await;
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use socket2::{SockFilter, SockRef};
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio::time::{timeout, timeout_at};

    use super::super::connections::Connections;
    use super::*;
    use crate::address::AddressBlock;

    const SILENCE_MAX: Duration = SILENCE_MIN;
    /// Bound on what takes a little more than that.
    const SOON: Duration = Duration::from_secs(60);

    static CHUNK: [u8; 64 << 10] = [7; 64 << 10];

    /// The accepted end, and the one of a client that does not read.
    async fn pair() -> (Watched, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let client = TcpStream::connect(address).await.expect("a connection");
        let (accepted, _) = listener.accept().await.expect("a connection");
        let place = Connections::new(1, 1).take(AddressBlock::of(address.ip()), true);
        let (meter, place) = (Meter::of_tests(), place.expect("room"));
        (Watched::new(Stream::Plain(accepted), meter, place, SILENCE_MAX), client)
    }

    /// From now on nothing arrives at this end: the kernel drops it before it looks at it.
    fn vanish(client: &TcpStream) {
        const RETURN: u16 = 6;
        let nothing = [SockFilter::new(RETURN, 0, 0, 0)];
        SockRef::from(client).attach_filter(&nothing).expect("a filter");
    }

    /// Writes for so long; how much was taken.
    async fn write_for(watched: &mut Watched, time: Duration) -> u64 {
        let (mut taken, end) = (0, Instant::now() + time);
        while let Ok(written) = timeout_at(end, watched.write(&CHUNK)).await {
            taken += written.expect("it is there") as u64;
        }
        taken
    }

    async fn write_until_it_fails(watched: &mut Watched) -> io::Error {
        let failing = async {
            loop {
                if let Err(error) = watched.write_all(&CHUNK).await {
                    return error;
                }
            }
        };
        timeout(SOON, failing).await.expect("given up in time")
    }

    #[tokio::test]
    async fn a_client_whose_network_is_gone_is_given_up() {
        let (mut watched, client) = pair().await;
        vanish(&client);
        assert_eq!(write_until_it_fails(&mut watched).await.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn so_is_one_that_had_closed_its_window_before() {
        let (mut watched, client) = pair().await;
        write_for(&mut watched, SILENCE_MAX).await;
        vanish(&client);
        assert_eq!(write_until_it_fails(&mut watched).await.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn one_that_takes_nothing_of_an_answer_is_given_up_and_one_that_reads_a_little_is_not() {
        let is_over = Arc::new(AtomicBool::new(false));
        let stalled = |watched: Watched| watched.with_stall(SILENCE_MAX, Arc::clone(&is_over));
        let (watched, _client) = pair().await;
        let error = write_until_it_fails(&mut stalled(watched)).await;
        assert_eq!(error.to_string(), "nothing more of what was written is taken");

        // A quarter of what the kernel holds, each time: it opens its window then.
        let (watched, mut client) = pair().await;
        let mut watched = stalled(watched);
        let held = write_for(&mut watched, SILENCE_MAX / 2).await;
        let mut piece = vec![0; usize::try_from(held / 4).expect("a size")];
        for _ in 0..3 {
            client.read_exact(&mut piece).await.expect("it is there");
            write_for(&mut watched, SILENCE_MAX / 2).await;
        }

        is_over.store(true, Ordering::Relaxed);
        let end = Instant::now() + 3 * SILENCE_MAX;
        while let Ok(written) = timeout_at(end, watched.write(&CHUNK)).await {
            written.expect("it was taken over");
        }
    }

    #[tokio::test]
    async fn one_that_does_not_read_for_long_is_not_and_gets_everything() {
        let (mut watched, mut client) = pair().await;
        // Several times as long as one may be silent who is asked.
        let taken = write_for(&mut watched, 4 * SILENCE_MAX).await;
        let reading = tokio::spawn(async move {
            let mut bytes = vec![];
            client.read_to_end(&mut bytes).await.expect("everything");
            bytes.len() as u64
        });
        watched.write_all(&CHUNK).await.expect("it is there");
        drop(watched);
        let read = timeout(SOON, reading).await.expect("in time").expect("no panic");
        assert_eq!(read, taken + CHUNK.len() as u64);
    }
}
