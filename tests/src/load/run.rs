//! A workload from start to end.

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::arrivals::Arrivals;
use super::clock::RunClock;
use super::measure::{LoadResult, PublisherRun, SubscriberRun, Window};
use super::options::LoadOptions;
use super::progress::Progress;
use super::publisher::PublisherTask;
use super::subscriber::SubscriberTask;
use crate::check::Outcome;
use crate::client::Connection;

/// A workload that runs in the background.
#[derive(Debug)]
pub struct Load {
    progress: Arc<Progress>,
    arrivals: Arrivals,
    stop: watch::Sender<bool>,
    target: watch::Sender<Option<u64>>,
    window: Window,
    publishers: Vec<JoinHandle<PublisherRun>>,
    subscribers: Vec<JoinHandle<SubscriberRun>>,
}

impl Load {
    /// Connects and subscribes everybody, then begins to publish.
    ///
    /// # Errors
    /// When the options make no sense, or somebody cannot connect or subscribe.
    pub async fn start(options: LoadOptions) -> anyhow::Result<Self> {
        options.check()?;
        let topics: Arc<[String]> = options.topic_names().into();
        let options = Arc::new(options);
        let (stop, stopped) = watch::channel(false);
        let (target, targeted) = watch::channel(None);
        let progress = Arc::new(Progress::default());
        let mut listening = Vec::new();
        for index in 0..options.subscribers {
            let url = &options.subscribe[index % options.subscribe.len()];
            let name = format!("subscriber {index} at {url}");
            let mut connection =
                Connection::open(url, &options.realm).await.with_context(|| name.clone())?;
            let mut subscriptions = Vec::new();
            for (request, topic) in (1..).zip(&*topics) {
                let subscribed = connection.subscribe(request, topic).await;
                subscriptions.push(subscribed.with_context(|| name.clone())?);
            }
            listening.push((name, connection, subscriptions));
        }
        let mut publishing = Vec::new();
        for index in 0..options.publishers {
            let url = &options.publish[index % options.publish.len()];
            let connection = Connection::open(url, &options.realm)
                .await
                .with_context(|| format!("publisher {index} at {url}"))?;
            publishing.push(connection);
        }
        let clock = RunClock::start();
        let window = Window::new(clock.now_ns(), &options);
        let arrivals = Arrivals::new(clock, options.publishers, options.subscribers);
        let subscribers = listening
            .into_iter()
            .zip(arrivals.delivered())
            .map(|((name, connection, subscriptions), arrivals)| SubscriberTask {
                connection,
                name,
                subscriptions,
                payload_bytes: options.payload_bytes,
                window,
                clock,
                progress: Arc::clone(&progress),
                arrivals,
                target: targeted.clone(),
                patience: options.patience,
            })
            .map(|task| tokio::spawn(task.run()))
            .collect();
        let publishers = (options.first_publisher..)
            .zip(publishing)
            .zip(arrivals.acknowledged())
            .enumerate()
            .map(|(index, ((id, connection), arrivals))| PublisherTask {
                connection,
                id,
                index,
                options: Arc::clone(&options),
                topics: Arc::clone(&topics),
                window,
                clock,
                progress: Arc::clone(&progress),
                arrivals,
                stop: stopped.clone(),
            })
            .map(|task| tokio::spawn(task.run()))
            .collect();
        Ok(Self { progress, arrivals, stop, target, window, publishers, subscribers })
    }

    /// Counters that go on while it runs.
    #[must_use]
    pub fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// When answers and events arrived, publishers and subscribers in the order of the options'
    /// URLs; it goes on as well.
    #[must_use]
    pub fn arrivals(&self) -> Arrivals {
        self.arrivals.clone()
    }

    /// Whether a client has ended: before [`stop`](Self::stop) that is by losing its connection,
    /// unless the workload ends by itself.
    #[must_use]
    pub fn has_ended_client(&self) -> bool {
        self.publishers.iter().any(JoinHandle::is_finished)
            || self.subscribers.iter().any(JoinHandle::is_finished)
    }

    /// Ends sending; what was sent is still answered and received.
    pub fn stop(&self) {
        self.stop.send_replace(true);
    }

    /// Waits until everything is sent, answered and received, or given up.
    ///
    /// # Errors
    /// When a task panicked.
    pub async fn finish(self) -> anyhow::Result<LoadResult> {
        let mut publishers = Vec::new();
        for task in self.publishers {
            publishers.push(task.await?);
        }
        let publications = publishers.iter().flat_map(|run| &run.publisher.publications);
        let last = publications.filter_map(|publication| match publication.outcome {
            Outcome::Acknowledged { position, .. } => Some(position),
            Outcome::Refused | Outcome::Unknown => None,
        });
        self.target.send_replace(Some(last.max().unwrap_or(0)));
        let mut subscribers = Vec::new();
        for task in self.subscribers {
            subscribers.push(task.await?);
        }
        Ok(LoadResult::new(self.window, publishers, subscribers))
    }

    /// Starts a workload that ends by itself, and waits for that.
    ///
    /// # Errors
    /// As for [`start`](Self::start) and [`finish`](Self::finish).
    pub async fn run(options: LoadOptions) -> anyhow::Result<LoadResult> {
        Self::start(options).await?.finish().await
    }
}
