//! One subscriber of a workload.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::arrivals::ArrivalTimes;
use super::clock::RunClock;
use super::measure::{End, Latency, SubscriberRun, Window};
use super::options::LoadOptions;
use super::progress::Progress;
use super::publisher::describe;
use crate::check::{Event, IdKey, Subscriber};
use crate::client::{ClientError, Connection, Payload, ServerMessage};

/// A subscriber that has SUBSCRIBED.
pub(super) struct SubscriberTask {
    pub(super) connection: Connection,
    pub(super) name: String,
    /// Of the topics, in the order of turns.
    pub(super) subscriptions: Vec<u64>,
    pub(super) payload_bytes: usize,
    pub(super) window: Window,
    pub(super) clock: RunClock,
    pub(super) progress: Arc<Progress>,
    pub(super) arrivals: ArrivalTimes,
    /// The last position that will come, once that is known.
    pub(super) target: watch::Receiver<Option<u64>>,
    pub(super) patience: Duration,
}

struct State {
    events: Vec<Event>,
    damaged: (u64, Option<String>),
    latency: Latency,
    delivered: u64,
    last_ns: u64,
}

impl SubscriberTask {
    /// Receives until the target is reached, the connection breaks, or nothing comes any more.
    pub(super) async fn run(mut self) -> SubscriberRun {
        let mut state = State {
            events: Vec::new(),
            damaged: (0, None),
            latency: Latency::new(),
            delivered: 0,
            last_ns: 0,
        };
        let end = match self.drive(&mut state).await {
            Ok(end) => end,
            Err(error) => End::Lost { reason: describe(&error) },
        };
        SubscriberRun {
            subscriber: Subscriber {
                name: self.name,
                from: 0,
                events: state.events,
                complete: !matches!(end, End::Lost { .. }),
                damaged: state.damaged,
            },
            latency: state.latency,
            delivered: state.delivered,
            last_ns: state.last_ns,
            end,
        }
    }

    async fn drive(&mut self, state: &mut State) -> Result<End, ClientError> {
        loop {
            let target = *self.target.borrow_and_update();
            let last = state.events.last().map_or(0, |event| event.position);
            if target.is_some_and(|target| target <= last) {
                return Ok(End::Done);
            }
            let missing = target.map_or(0, |target| target - last);
            tokio::select! {
                biased;
                exchanged = self.connection.exchange() => exchanged?,
                changed = self.target.changed() => {
                    if changed.is_err() {
                        return Ok(End::Done);
                    }
                }
                () = tokio::time::sleep(self.patience), if target.is_some() => {
                    return Ok(End::GaveUp { missing });
                }
            }
            self.take_events(state)?;
        }
    }

    fn take_events(&mut self, state: &mut State) -> Result<(), ClientError> {
        let before = state.events.len();
        let mut now_ns = None;
        while let Some(text) = self.connection.next_text()? {
            let at_ns = *now_ns.get_or_insert_with(|| self.clock.now_ns());
            match ServerMessage::parse(text) {
                Some(ServerMessage::Event { subscription, publication, details, payload })
                    if self.subscriptions.contains(&subscription) =>
                {
                    let id = crate::client::permanent_id(details).and_then(IdKey::new);
                    let content = Payload::parse_args(payload)
                        .filter(|_content| payload.len() == self.payload_bytes)
                        .filter(|content| is_of(content.seq, &self.subscriptions, subscription));
                    let (Some(id), Some(content)) = (id, content) else {
                        state.damaged.0 += 1;
                        state
                            .damaged
                            .1
                            .get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                        continue;
                    };
                    state.events.push(Event {
                        position: publication,
                        id,
                        publisher: content.publisher,
                        seq: content.seq,
                    });
                    state.last_ns = at_ns;
                    state.delivered += u64::from(self.window.contains(at_ns));
                    if self.window.contains(content.sent_ns) {
                        state.latency.record(at_ns.saturating_sub(content.sent_ns));
                    }
                }
                Some(ServerMessage::Ended { text }) => {
                    let message = String::from_utf8_lossy(text).into_owned();
                    return Err(ClientError::Aborted { message });
                }
                _unexpected => {
                    let what = String::from_utf8_lossy(text).into_owned();
                    return Err(ClientError::Protocol { what });
                }
            }
        }
        let delivered = state.events.len() - before;
        self.progress.add_delivered(delivered as u64);
        if delivered > 0 {
            self.arrivals.record(state.last_ns);
        }
        Ok(())
    }
}

/// Whether the message came for the topic that it went to.
fn is_of(seq: u32, subscriptions: &[u64], subscription: u64) -> bool {
    subscriptions.get(LoadOptions::turn(subscriptions.len(), seq)) == Some(&subscription)
}
