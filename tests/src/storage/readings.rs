//! What is read from the stores while they suffer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;

use vixen_core::id::{GroupId, NdbId};

use super::dump::{Dumped, read_history};
use super::judge::{Stored, common_prefix};
use super::tail::read_tail;
use super::trial::{GROUP_SIZE, Trial};
use crate::check::Event;
use crate::harness::Tier;

/// A reading that is not through by then is broken off; what it gave counts.
const TIMEOUT: Duration = Duration::from_secs(20);
/// Between two readings of a reader.
const PAUSE: Duration = Duration::from_millis(250);
/// Differences kept in words.
const KEPT: usize = 5;

/// What several readings from the first message on gave. Each must be how the stored messages
/// begin, so each is how the longest of them begins.
#[derive(Clone, Debug)]
pub(super) struct Readings {
    name: String,
    /// Whose share they read; `None`: everything.
    group: Option<usize>,
    longest: Vec<Event>,
    count: usize,
    messages: usize,
    /// Readings that gave nothing, or were broken off.
    failures: usize,
    differences: Vec<String>,
}

impl Readings {
    pub(super) fn new(name: String, group: Option<usize>) -> Self {
        let (longest, differences) = (Vec::new(), Vec::new());
        Self { name, group, longest, count: 0, messages: 0, failures: 0, differences }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// In a few words.
    pub(super) fn summary(&self) -> String {
        let Self { count, messages, failures, .. } = self;
        format!("{count} readings, {messages} messages; {failures} broken off")
    }

    /// Takes a reading, in the order of arrival.
    pub(super) fn add(&mut self, events: Vec<Event>) {
        self.count += 1;
        self.messages += events.len();
        let mut pairs = self.longest.iter().zip(&events).enumerate();
        if let Some((at, (before, now))) = pairs.find(|(_, (before, now))| before != now) {
            self.complain(format!("message {at} was {before:?} once and {now:?} later"));
        }
        if events.len() > self.longest.len() {
            self.longest = events;
        }
    }

    /// Takes the readings of another reader of the same.
    fn merge(&mut self, other: Self) {
        let (count, messages) = (self.count + other.count, self.messages + other.messages);
        self.add(other.longest);
        // The longest was among them.
        (self.count, self.messages) = (count, messages);
        self.failures += other.failures;
        self.differences.extend(other.differences);
    }

    /// Takes an answer of an entry.
    pub(super) fn add_history(&mut self, read: anyhow::Result<(Dumped, Option<String>)>) {
        match read {
            Ok((dumped, error)) => {
                self.failures += usize::from(error.is_some());
                if let (1.., Some(line)) = &dumped.damaged {
                    self.complain(format!("a line that cannot be: {line}"));
                }
                self.add(dumped.events);
            }
            Err(error) => {
                eprintln!("{}: {error:#}", self.name);
                self.failures += 1;
            }
        }
    }

    fn complain(&mut self, what: String) {
        if self.differences.len() < KEPT {
            self.differences.push(format!("{}: {what}", self.name));
        }
    }

    /// What was wrong.
    pub(super) fn wrong(mut self, stored: &Stored) -> Vec<String> {
        let all = match self.group {
            Some(group) => stored.groups.get(group).map_or(&[][..], Vec::as_slice),
            None => &stored.subscriber.events,
        };
        let differs = |(at, event): &(usize, &Event)| all.get(*at) != Some(*event);
        if let Some((at, event)) = self.longest.iter().enumerate().find(differs) {
            let what =
                format!("message {at} was {event:?}, and in the end it is {:?}", all.get(at));
            self.complain(what);
        }
        self.differences
    }
}

/// Readers that go on until they are told to stop.
#[derive(Debug)]
pub(super) struct Readers {
    stop: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<Readings>>,
}

impl Readers {
    /// Reads the tails of these ndb nodes again and again, over links, and the history of every
    /// entry.
    pub(super) fn start(trial: &Trial, nodes: &[String]) -> anyhow::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut tasks = Vec::new();
        for name in nodes {
            let (address, terms) = (trial.cluster.address(name)?, trial.cluster.terms()?);
            let (node, group) = node_of(trial, name)?;
            let (realm, topics) = (trial.realm(), trial.topics());
            let mut readings = Readings::new(format!("tail of {name}"), Some(group));
            let name = name.clone();
            let is_stopped = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                while !is_stopped.load(Ordering::Relaxed) {
                    let mut events = Vec::new();
                    let at = (name.as_str(), address.as_str(), &terms);
                    let read = read_tail(at, node, &realm, &topics, TIMEOUT, &mut events).await;
                    readings.add(events);
                    if let Err(error) = read {
                        readings.failures += 1;
                        if is_lie(&error) {
                            readings.complain(format!("{error:#}"));
                        }
                    }
                    tokio::time::sleep(PAUSE).await;
                }
                readings
            }));
        }
        for name in trial.cluster.ids_of(Tier::Entry) {
            let address = trial.cluster.address(&name)?;
            let (realm, topics) = (trial.realm(), trial.topics());
            let mut readings = Readings::new(format!("history at {name}"), None);
            let is_stopped = Arc::clone(&stop);
            tasks.push(tokio::spawn(async move {
                let prefix = common_prefix(&topics);
                while !is_stopped.load(Ordering::Relaxed) {
                    let read = read_history(&address, &realm, prefix, &topics, TIMEOUT).await;
                    readings.add_history(read);
                    tokio::time::sleep(PAUSE).await;
                }
                readings
            }));
        }
        Ok(Self { stop, tasks })
    }

    /// Ends all readers; what they read is judged with the rest.
    pub(super) async fn stop(self, trial: &mut Trial) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for task in self.tasks {
            let readings = task.await?;
            trial.readings_of(&readings.name, readings.group).merge(readings);
        }
        Ok(())
    }
}

/// Whether the node sent something wrong; one that is away or late did not.
fn is_lie(error: &anyhow::Error) -> bool {
    let text = format!("{error:#}");
    let lies =
        ["malformed", "not a generated payload", "more records", "no such topic", "went back"];
    lies.iter().any(|lie| text.contains(lie))
}

/// The node as links call it, and its group.
pub(super) fn node_of(trial: &Trial, name: &str) -> anyhow::Result<(NdbId, usize)> {
    let ids = trial.ndb_ids();
    let at = ids.iter().position(|id| id == name).unwrap_or(0);
    let (group, member) = (at / GROUP_SIZE, at % GROUP_SIZE);
    let id = NdbId { group: GroupId(group.try_into()?), member: member.try_into()? };
    Ok((id, group))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{IdKey, Subscriber};

    fn event(position: u64) -> Event {
        Event { position, id: IdKey::default(), publisher: 1, seq: 1 }
    }

    /// Positions 1 and 5 in one group, 2 in the other.
    fn wrong(group: Option<usize>, readings: &[&[u64]]) -> usize {
        let events = [1, 2, 5].map(event).to_vec();
        let groups = vec![vec![event(1), event(5)], vec![event(2)]];
        let name = String::new();
        let subscriber = Subscriber { name, from: 0, events, complete: true, damaged: (0, None) };
        let stored = Stored { subscriber, groups, rows: 0, broken: Vec::new() };
        let mut all = Readings::new("r".to_owned(), group);
        readings.iter().for_each(|reading| all.add(reading.iter().copied().map(event).collect()));
        all.wrong(&stored).len()
    }

    #[test]
    fn a_reading_is_how_the_stored_messages_begin() {
        assert_eq!(wrong(None, &[&[], &[1, 2], &[1]]), 0);
        assert_eq!(wrong(Some(0), &[&[1], &[1, 5]]), 0);
        assert_eq!(wrong(None, &[&[1, 5]]), 1, "one is left out");
        assert_eq!(wrong(Some(1), &[&[2, 3]]), 1, "one is too much");
    }

    #[test]
    fn a_short_reading_that_differs_from_a_longer_one_is_found() {
        assert_eq!(wrong(None, &[&[1, 2, 5], &[1, 3]]), 1);
        assert_eq!(wrong(None, &[&[1, 3], &[1, 2, 5]]), 1);
    }
}
