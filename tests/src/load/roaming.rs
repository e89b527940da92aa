//! Publishers that go on at another entry when theirs is gone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::arrivals::Arrivals;
use super::clock::RunClock;
use super::measure::{End, Latency, PublisherRun, Window};
use super::options::LoadOptions;
use super::progress::Progress;
use super::publisher::PublisherTask;
use crate::check::{Outcome, Publisher};
use crate::client::Connection;

/// Before the next entry is tried, when one takes no sessions.
const PAUSE: Duration = Duration::from_millis(20);

/// Publishers without subscribers. Each session is a [`Publisher`] of the history: what a lost one
/// had sent without an answer is not sent again.
#[derive(Debug)]
pub struct Roaming {
    progress: Arc<Progress>,
    stop: watch::Sender<bool>,
    lanes: Vec<JoinHandle<Vec<PublisherRun>>>,
}

/// What roaming publishers left behind.
#[derive(Debug)]
pub struct RoamingResult {
    /// All sessions that published.
    pub publishers: Vec<Publisher>,
    /// Why sessions ended before the end.
    pub losses: Vec<String>,
    /// Answers that did not come in time, by publisher.
    pub troubles: Vec<String>,
    /// The first ERROR that any of them got.
    pub first_error: Option<String>,
    /// From due time to PUBLISHED.
    pub acknowledge: Latency,
}

struct Lane {
    index: usize,
    options: Arc<LoadOptions>,
    topics: Arc<[String]>,
    next_id: Arc<AtomicU32>,
    window: Window,
    clock: RunClock,
    progress: Arc<Progress>,
    arrivals: Arrivals,
    stop: watch::Receiver<bool>,
}

impl Roaming {
    /// Begins to publish, at all entries in turn. Of the options those for subscribers do not
    /// count.
    ///
    /// # Errors
    /// When the options make no sense.
    pub fn start(options: LoadOptions) -> anyhow::Result<Self> {
        options.check()?;
        let topics: Arc<[String]> = options.topic_names().into();
        let next_id = Arc::new(AtomicU32::new(options.first_publisher));
        let options = Arc::new(options);
        let (stop, stopped) = watch::channel(false);
        let progress = Arc::new(Progress::default());
        let clock = RunClock::start();
        let window = Window::new(clock.now_ns(), &options);
        let arrivals = Arrivals::new(clock, options.publishers, 0);
        let lane = |index| Lane {
            index,
            options: Arc::clone(&options),
            topics: Arc::clone(&topics),
            next_id: Arc::clone(&next_id),
            window,
            clock,
            progress: Arc::clone(&progress),
            arrivals: arrivals.clone(),
            stop: stopped.clone(),
        };
        let lanes = (0..options.publishers).map(|index| tokio::spawn(lane(index).run())).collect();
        Ok(Self { progress, stop, lanes })
    }

    /// Counters that go on while it runs.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Ends sending; what was sent is still answered.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// As [`stop`](Self::stop) and [`finish`](Self::finish).
    ///
    /// # Errors
    /// As for [`finish`](Self::finish).
    pub async fn stopped(self) -> anyhow::Result<RoamingResult> {
        self.stop();
        self.finish().await
    }

    /// Waits until everything is answered, or given up.
    ///
    /// # Errors
    /// When a task panicked.
    pub async fn finish(self) -> anyhow::Result<RoamingResult> {
        let mut result = RoamingResult {
            publishers: Vec::new(),
            losses: Vec::new(),
            troubles: Vec::new(),
            first_error: None,
            acknowledge: Latency::new(),
        };
        for lane in self.lanes {
            for run in lane.await? {
                result.take(run);
            }
        }
        Ok(result)
    }
}

impl RoamingResult {
    fn take(&mut self, run: PublisherRun) {
        let name = format!("publisher {}", run.publisher.id);
        match run.end {
            End::Done => {}
            End::Lost { reason } => self.losses.push(format!("{name}: {reason}")),
            End::GaveUp { missing } => {
                self.troubles.push(format!("{name}: {missing} did not come in time"));
            }
        }
        self.first_error = self.first_error.take().or(run.first_error);
        self.acknowledge.merge(&run.latency);
        self.publishers.push(run.publisher);
    }

    /// The last acknowledged position of each of `topics` topics; 0 where there is none.
    #[must_use]
    pub fn last_positions(&self, topics: usize) -> Vec<u64> {
        let mut last = vec![0; topics.max(1)];
        for publisher in &self.publishers {
            for (seq, publication) in (1..).zip(&publisher.publications) {
                if let Outcome::Acknowledged { position, .. } = publication.outcome {
                    let of_topic = &mut last[LoadOptions::turn(topics, seq)];
                    *of_topic = position.max(*of_topic);
                }
            }
        }
        last
    }
}

impl Lane {
    async fn run(self) -> Vec<PublisherRun> {
        let mut runs = Vec::new();
        let mut turn = self.index;
        while !*self.stop.borrow() {
            let url = &self.options.publish[turn % self.options.publish.len()];
            turn += 1;
            let Ok(connection) = Connection::open(url, &self.options.realm).await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let run = self.session(connection).run().await;
            let is_over = !matches!(run.end, End::Lost { .. });
            runs.push(run);
            if is_over {
                break;
            }
        }
        runs
    }

    fn session(&self, connection: Connection) -> PublisherTask {
        let arrivals = self.arrivals.acknowledged().nth(self.index).unwrap_or_default();
        PublisherTask {
            connection,
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            index: self.index,
            options: Arc::clone(&self.options),
            topics: Arc::clone(&self.topics),
            window: self.window,
            clock: self.clock,
            progress: Arc::clone(&self.progress),
            arrivals,
            stop: self.stop.clone(),
        }
    }
}
