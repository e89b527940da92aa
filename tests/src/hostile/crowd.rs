//! The crowd: what each kind of hostile client does, again and again.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use super::CLIENTS;
use super::raw::{MALLORYS_BASIC, PONG, Raw, TEXT, WRONG_BASIC};
use crate::client::Connection;

/// The realm of those without a name.
pub(super) const REALM: &str = "hostile";
/// The realm of those with a ticket.
pub(super) const GUARDED: &str = "guarded";
/// What is stored for those who ask for all of it.
const STORED: usize = 24;
const STORED_BYTES: usize = 256 << 10;
/// What a message or body says that it has; a byte is lacking in the end.
const LARGE: usize = 4 << 20;
/// How long a client that only holds something holds it.
const HOLD: Duration = Duration::from_secs(20);
/// The priority of the crowd's thread, see `setpriority(2)`: the last.
const NICEST: i32 = 19;
/// Between two attempts of a client.
const PAUSE: Duration = Duration::from_millis(100);

/// What hostile clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    StalledHistory,
    UnfinishedBody,
    UnfinishedFrame,
    UnfinishedFragment,
    IdleConnection,
    PatternFlood,
    FailedLogin,
    LinkFlood,
    StalledSubscriber,
    LargeAndTiny,
    RightsRevoked,
    NewTopics,
}

/// All of them, and how many clients do it.
const KINDS: [(Kind, usize); 12] = [
    (Kind::StalledHistory, 30),
    (Kind::UnfinishedBody, 20),
    (Kind::UnfinishedFrame, 20),
    (Kind::UnfinishedFragment, 20),
    (Kind::IdleConnection, 20),
    (Kind::PatternFlood, 20),
    (Kind::FailedLogin, 20),
    (Kind::LinkFlood, 10),
    (Kind::StalledSubscriber, 18),
    (Kind::LargeAndTiny, 2),
    (Kind::RightsRevoked, 10),
    (Kind::NewTopics, 10),
];

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::StalledHistory => "stalled /history",
            Self::UnfinishedBody => "unfinished bodies",
            Self::UnfinishedFrame => "unfinished frames before HELLO",
            Self::UnfinishedFragment => "unfinished fragments, with pongs",
            Self::IdleConnection => "idle connections",
            Self::PatternFlood => "floods of patterns",
            Self::FailedLogin => "failed logins",
            Self::LinkFlood => "large frames at /link",
            Self::StalledSubscriber => "stalled subscribers",
            Self::LargeAndTiny => "tiny events among large ones",
            Self::RightsRevoked => "streams of a user who is taken out",
            Self::NewTopics => "floods of new topics",
        }
    }
}

/// What became of the attempts of a kind.
#[derive(Debug, Default)]
struct Tally {
    attempts: AtomicU64,
    /// Ended by the other side, or refused.
    ended: AtomicU64,
}

/// The same, to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Counts {
    attempts: u64,
    ended: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} attempts, {} refused or ended", self.attempts, self.ended)
    }
}

/// The crowd at work, in a thread of its own, which has a processor when nobody else wants it: a crowd
/// comes from other machines, and honest clients and nodes are not to wait for what it does itself.
pub(super) struct Crowd {
    stop: watch::Sender<bool>,
    thread: JoinHandle<()>,
    tallies: BTreeMap<Kind, Arc<Tally>>,
}

/// Stores what the crowd asks for later.
pub(super) async fn fill(address: &str) -> anyhow::Result<()> {
    let mut client = Connection::open(&format!("ws://{address}/ws"), REALM).await?;
    let args = format!("[\"{}\"]", "x".repeat(STORED_BYTES));
    for n in 1..=STORED {
        client.publish(n as u64, "hostile.stored", &args).await?;
    }
    Ok(())
}

impl Crowd {
    /// Comes to `entry`, and to the links of these nodes.
    pub(super) fn start(entry: String, links: [String; 2]) -> anyhow::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let tallies: BTreeMap<_, _> =
            KINDS.map(|(kind, _)| (kind, Arc::new(Tally::default()))).into_iter().collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let of_thread = tallies.clone();
        let thread = std::thread::Builder::new().name("crowd".to_owned()).spawn(move || {
            // Of this thread only, on Linux.
            if let Err(error) = rustix::process::setpriority_process(None, NICEST) {
                eprintln!("the crowd takes as much of the processor as others: {error}");
            }
            runtime.block_on(async move {
                let mut tasks = tokio::task::JoinSet::new();
                for (kind, count) in KINDS {
                    for n in 0..count {
                        let to = match kind {
                            Kind::LinkFlood => links[n % links.len()].clone(),
                            _ => entry.clone(),
                        };
                        let tally = Arc::clone(&of_thread[&kind]);
                        tasks.spawn(again_and_again(kind, n, to, tally, stopped.clone()));
                    }
                }
                debug_assert_eq!(tasks.len(), CLIENTS);
                while tasks.join_next().await.is_some() {}
            });
        })?;
        Ok(Self { stop, thread, tallies })
    }

    /// Sends it away.
    pub(super) fn stopped(self) -> anyhow::Result<Vec<(&'static str, Counts)>> {
        self.stop.send_replace(true);
        self.thread.join().ok().context("the crowd has panicked")?;
        let counts = |(kind, tally): (&Kind, &Arc<Tally>)| {
            let attempts = tally.attempts.load(Ordering::Relaxed);
            (kind.name(), Counts { attempts, ended: tally.ended.load(Ordering::Relaxed) })
        };
        Ok(self.tallies.iter().map(counts).collect())
    }
}

async fn again_and_again(
    kind: Kind,
    n: usize,
    to: String,
    tally: Arc<Tally>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut round = 0_u64;
    while !*stopped.borrow_and_update() {
        tally.attempts.fetch_add(1, Ordering::Relaxed);
        let source = (kind as u8 + 1, u8::try_from(n % 4).unwrap_or(0) + 1);
        let unique = n as u64 * 1_000_000 + round;
        let ended = tokio::select! {
            attempt = attempt(kind, &to, source, unique) => attempt.unwrap_or(true),
            _changed = stopped.changed() => return,
        };
        tally.ended.fetch_add(u64::from(ended), Ordering::Relaxed);
        round += 1;
        // Megabytes of loopback, again and again, would be a test of the machine.
        tokio::time::sleep(if ended { PAUSE * 10 } else { PAUSE }).await;
    }
}

/// One attempt; whether the other side has ended it.
async fn attempt(kind: Kind, to: &str, source: (u8, u8), unique: u64) -> anyhow::Result<bool> {
    let mut raw = Raw::connect(to, source).await?;
    match kind {
        Kind::StalledHistory => {
            let line = format!("GET /history?realm={REALM}&limit=all&topic=hostile.stored");
            raw.request(&line, "").await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::UnfinishedBody => {
            raw.request("POST /publish", &format!("content-length: {LARGE}\r\n")).await?;
            raw.send(&vec![b' '; LARGE - 1]).await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::UnfinishedFrame => {
            raw.upgrade("/ws", "wamp.2.json").await?;
            raw.frame((TEXT, true), LARGE, &vec![b' '; LARGE - 1]).await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::UnfinishedFragment => {
            raw.join(REALM).await?;
            raw.frame((TEXT, false), LARGE - 1, &vec![b' '; LARGE - 1]).await?;
            for _pong in 0..10 {
                raw.frame((PONG, true), 0, b"").await?;
                if raw.hold(HOLD / 10).await {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Kind::IdleConnection => {
            raw.request("GET /healthz", "").await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::PatternFlood => {
            raw.join(REALM).await?;
            for request in 1..=250 {
                let pattern = format!("a.{unique}..{request}..x..y..z..");
                let text = format!(r#"[32,{request},{{"match":"wildcard"}},"{pattern}"]"#);
                raw.text(&text).await?;
            }
            raw.drain(HOLD).await;
            Ok(false)
        }
        Kind::FailedLogin => {
            let line = format!("GET /events?realm={GUARDED}&topic=a.b");
            raw.request(&line, &format!("authorization: Basic {WRONG_BASIC}\r\n")).await?;
            Ok(raw.status().await? != 200)
        }
        Kind::LinkFlood => {
            raw.upgrade("/link", "").await?;
            raw.frame((2, true), LARGE * 4, &vec![0; LARGE]).await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::StalledSubscriber => {
            raw.join(REALM).await?;
            let topic = if (unique / 1_000_000).is_multiple_of(2) {
                "hostile.large"
            } else {
                "hostile.tiny"
            };
            raw.text(&format!(r#"[32,1,{{}},"{topic}"]"#)).await?;
            Ok(raw.hold(HOLD).await)
        }
        Kind::LargeAndTiny => {
            raw.join(REALM).await?;
            let large = "x".repeat(STORED_BYTES);
            for request in 1..=2 {
                for (topic, text) in [("large", &*large), ("tiny", "x"), ("large", &*large)] {
                    raw.text(&format!(r#"[16,{request},{{}},"hostile.{topic}",["{text}"]]"#))
                        .await?;
                }
            }
            raw.drain(PAUSE).await;
            Ok(false)
        }
        Kind::RightsRevoked => {
            let line = format!("GET /events?realm={GUARDED}&topic=a.b");
            raw.request(
                &line,
                &format!("authorization: Basic {MALLORYS_BASIC}\r\nconnection: close\r\n"),
            )
            .await?;
            if raw.status().await? != 200 {
                return Ok(true);
            }
            raw.drain(HOLD).await;
            Ok(true)
        }
        Kind::NewTopics => {
            raw.join(REALM).await?;
            let long = "t".repeat(400);
            for request in 1..=20 {
                raw.text(&format!(r#"[16,{request},{{}},"new.{unique}.{request}.{long}"]"#))
                    .await?;
            }
            raw.drain(PAUSE).await;
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_crowd_is_as_large_as_it_says() {
        assert_eq!(KINDS.iter().map(|(_kind, count)| count).sum::<usize>(), CLIENTS);
        let names: std::collections::BTreeSet<_> =
            KINDS.iter().map(|(kind, _)| kind.name()).collect();
        assert_eq!(names.len(), KINDS.len());
    }
}
