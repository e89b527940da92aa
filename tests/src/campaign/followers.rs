//! Subscribers that come back, by WAMP and by HTTP.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use super::http::{self, ServerSentEvent};
use super::{PAYLOAD_BYTES, SOON};
use crate::check::{Event, IdKey, Subscriber};
use crate::load::LoadOptions;
use crate::storage::{common_prefix, parse};
use crate::subscribers::{Fared, Resumer, Stream, Wanted};

const BY_WAMP: usize = 3;
const BY_HTTP: usize = 2;
/// A session is left after so long at most, and another entry is gone to.
const SESSION_MS_MAX: u64 = 8_000;
/// Before the next entry is tried, when one takes no sessions.
const PAUSE: Duration = Duration::from_millis(20);

pub(super) struct Followers {
    target: watch::Sender<Option<Vec<u64>>>,
    by_wamp: Vec<JoinHandle<Fared>>,
    by_http: Vec<JoinHandle<Followed>>,
}

/// What a subscriber got.
pub(super) struct Followed {
    pub(super) subscriber: Subscriber,
    /// How it fared.
    pub(super) words: String,
    /// What never came.
    pub(super) trouble: Option<String>,
}

impl Followers {
    /// All of them have all topics.
    pub(super) fn start(load: &LoadOptions, addresses: Vec<String>, seed: u64) -> Self {
        let (target, targeted) = watch::channel(None);
        let rng = |number: usize| StdRng::seed_from_u64(seed.wrapping_add(number as u64));
        let by_wamp = (0..BY_WAMP).map(|number| {
            let resumer = Resumer {
                name: format!("WAMP {number}"),
                realm: load.realm.clone(),
                urls: load.publish.clone(),
                streams: vec![Stream::new(Wanted::All, load.topic_names(), PAYLOAD_BYTES)],
                rng: rng(number),
                cuts: u32::MAX,
                cut_ms_max: SESSION_MS_MAX,
                cuts_left: Arc::new(AtomicU64::new(u64::from(u32::MAX))),
                target: targeted.clone(),
                patience: SOON,
            };
            tokio::spawn(resumer.run())
        });
        let by_wamp = by_wamp.collect();
        let by_http = (0..BY_HTTP).map(|number| {
            let follower = EventSource {
                name: format!("/events {number}"),
                addresses: addresses.clone(),
                realm: load.realm.clone(),
                topics: load.topic_names(),
                rng: rng(BY_WAMP + number),
                target: targeted.clone(),
                events: Vec::new(),
                last_id: None,
                damaged: (0, None),
                sessions: 0,
            };
            tokio::spawn(follower.run())
        });
        Self { target, by_wamp, by_http: by_http.collect() }
    }

    /// Waits until all have everything up to the last position of each topic.
    pub(super) async fn stopped(self, last: Vec<u64>) -> anyhow::Result<Vec<Followed>> {
        self.target.send_replace(Some(last));
        let mut all = Vec::new();
        for task in self.by_wamp {
            let Fared { name, streams, sessions, by_id, losses, trouble, .. } = task.await?;
            for stream in streams {
                let subscriber = stream.into_subscriber(name.clone());
                let words = format!(
                    "{} events in {sessions} sessions, {} of them lost, {by_id} times back by \
                     permanent id",
                    subscriber.events.len(),
                    losses.len()
                );
                all.push(Followed { subscriber, words, trouble: trouble.clone() });
            }
        }
        for task in self.by_http {
            all.push(task.await?);
        }
        Ok(all)
    }
}

/// What a browser does, at any entry each time.
struct EventSource {
    name: String,
    addresses: Vec<String>,
    realm: String,
    topics: Vec<String>,
    rng: StdRng,
    target: watch::Receiver<Option<Vec<u64>>>,
    events: Vec<Event>,
    /// The `Last-Event-ID` it comes back with: a permanent id.
    last_id: Option<String>,
    damaged: (u64, Option<String>),
    sessions: u64,
}

impl EventSource {
    async fn run(mut self) -> Followed {
        let mut trouble = None;
        let mut until: Option<Instant> = None;
        while !self.has_all() {
            if self.target.borrow().is_some()
                && *until.get_or_insert_with(|| Instant::now() + SOON) < Instant::now()
            {
                trouble = Some(format!("{}: events did not come in time", self.name));
                break;
            }
            self.session().await;
            sleep(PAUSE).await;
        }
        let words = format!("{} events in {} sessions", self.events.len(), self.sessions);
        let (events, damaged) = (self.events, self.damaged);
        let subscriber = Subscriber { name: self.name, from: 0, events, complete: true, damaged };
        Followed { subscriber, words, trouble }
    }

    fn last(&self) -> u64 {
        self.events.last().map_or(0, |event| event.position)
    }

    fn has_all(&self) -> bool {
        let target = self.target.borrow();
        target.as_ref().is_some_and(|last| last.iter().all(|last| *last <= self.last()))
    }

    /// Whatever ends it, another follows.
    async fn session(&mut self) {
        let address = self.addresses[self.rng.random_range(0..self.addresses.len())].clone();
        let time = Duration::from_millis(self.rng.random_range(0..SESSION_MS_MAX));
        let (last, prefix) = (self.last_id.clone(), common_prefix(&self.topics).to_owned());
        let mut target = self.target.clone();
        let was_known = target.borrow_and_update().is_some();
        let mut got = Vec::new();
        let following = http::follow(&address, &prefix, last.as_deref(), |event| got.push(event));
        let _however_it_ends = tokio::select! {
            ended = timeout(time, following) => ended.is_ok_and(|ended| ended.is_ok()),
            // Soon everything is there: to be looked at.
            _known = target.changed(), if !was_known => true,
        };
        self.sessions += u64::from(!got.is_empty());
        for event in got {
            self.take(event);
        }
    }

    /// A message, or a word of the entry's: that it waits is none of what is judged, a reset is never due.
    fn take(&mut self, ServerSentEvent { kind, id, data }: ServerSentEvent) {
        if kind == "waiting" {
            return;
        }
        let mut read = parse(data.as_bytes(), &self.realm, &self.topics);
        let known = (kind == "message").then(|| read.events.pop()).flatten();
        match known.filter(|event| IdKey::new(id.as_bytes()) == Some(event.id)) {
            Some(event) => {
                self.events.push(event);
                self.last_id = Some(id);
            }
            None => {
                self.damaged.0 += 1;
                self.damaged.1.get_or_insert_with(|| format!("{kind} {id}: {data}"));
            }
        }
    }
}
