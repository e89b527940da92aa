//! One publisher of a workload.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::arrivals::ArrivalTimes;
use super::clock::{RunClock, to_ns};
use super::measure::{End, Latency, PublisherRun, Window};
use super::options::{Amount, LoadOptions, Pace};
use super::progress::Progress;
use super::ticker::{Schedule, ticker_of};
use crate::check::{Outcome, Publication, Publisher};
use crate::client::{ClientError, Connection, Payload, ServerMessage, write_publish};

/// Bytes that may wait for the socket before a publisher without a window stops making more.
const QUEUED_BYTES_MAX: usize = 64 << 10;
/// Later than any run.
const FAR: Duration = Duration::from_secs(365 * 86_400);

/// A publisher that is connected and has not begun.
pub(super) struct PublisherTask {
    pub(super) connection: Connection,
    pub(super) id: u32,
    pub(super) index: usize,
    pub(super) options: Arc<LoadOptions>,
    pub(super) topics: Arc<[String]>,
    pub(super) window: Window,
    pub(super) clock: RunClock,
    pub(super) progress: Arc<Progress>,
    pub(super) arrivals: ArrivalTimes,
    pub(super) stop: watch::Receiver<bool>,
}

struct State {
    id: u32,
    options: Arc<LoadOptions>,
    topics: Arc<[String]>,
    window: Window,
    schedule: Option<Schedule>,
    publications: Vec<Publication>,
    /// Acknowledgements asked for and not answered.
    outstanding: usize,
    /// Messages still to be sent after the warm-up; `None`: no bound.
    left: Option<u64>,
    sending: bool,
    latency: Latency,
    first_error: Option<String>,
}

impl PublisherTask {
    /// Publishes to the end of the workload and waits for the answers.
    pub(super) async fn run(mut self) -> PublisherRun {
        let now_ns = self.clock.now_ns();
        let schedule = match self.options.pace {
            Pace::Closed { .. } => None,
            Pace::Open { per_second } => {
                Some(Schedule::new(now_ns, self.index, self.options.publishers, per_second))
            }
        };
        let left = match self.options.amount {
            Amount::Messages(all) => Some(all.div_ceil(self.options.publishers as u64)),
            Amount::Time(_) | Amount::UntilStopped => None,
        };
        let mut state = State {
            id: self.id,
            options: Arc::clone(&self.options),
            topics: Arc::clone(&self.topics),
            window: self.window,
            schedule,
            publications: Vec::new(),
            outstanding: 0,
            left,
            sending: true,
            latency: Latency::new(),
            first_error: None,
        };
        let end = match self.drive(&mut state).await {
            Ok(true) => self.close().await,
            Ok(false) => End::GaveUp { missing: state.outstanding as u64 },
            Err(error) => End::Lost { reason: describe(&error) },
        };
        PublisherRun {
            publisher: Publisher { id: state.id, publications: state.publications },
            latency: state.latency,
            end,
            first_error: state.first_error,
        }
    }

    /// Sends and receives until all is answered (`true`) or patience ends (`false`).
    async fn drive(&mut self, state: &mut State) -> Result<bool, ClientError> {
        let mut ticker = match &state.schedule {
            Some(schedule) => Some(ticker_of(schedule, self.clock.now_ns())?),
            None => None,
        };
        let begin = Instant::now();
        let patience = self.options.patience;
        // With a number of messages to send, silence ends it; with a time, the time does.
        let (ends_in, silence_ends) = match self.options.amount {
            Amount::Time(time) => (self.options.warmup + time, false),
            Amount::Messages(_) => (patience, true),
            Amount::UntilStopped => (FAR, false),
        };
        let mut deadline = std::pin::pin!(sleep_until(begin + ends_in));
        loop {
            let was_sending = state.sending;
            let sent = state.send_due(&mut self.connection, self.clock);
            self.progress.add_sent(sent);
            if !state.sending && state.outstanding == 0 && self.connection.queued_bytes() == 0 {
                return Ok(true);
            }
            if was_sending && (!state.sending || silence_ends && sent > 0) {
                deadline.as_mut().reset(Instant::now() + patience);
            }
            tokio::select! {
                biased;
                exchanged = self.connection.exchange() => exchanged?,
                () = async {
                    match &mut ticker {
                        Some(ticker) => ticker.tick().await,
                        None => std::future::pending().await,
                    }
                }, if state.sending => {}
                () = &mut deadline => {
                    if !state.sending || silence_ends {
                        return Ok(false);
                    }
                    state.finish_sending(&mut self.connection, self.clock);
                    deadline.as_mut().reset(Instant::now() + patience);
                }
                _stopped = self.stop.wait_for(|stop| *stop), if state.sending => {
                    state.finish_sending(&mut self.connection, self.clock);
                    deadline.as_mut().reset(Instant::now() + patience);
                }
            }
            let answered = state.take_answers(&mut self.connection, self.clock)?;
            self.progress.add_answered(answered.acknowledged, answered.errors);
            if let Some(at_ns) = answered.acknowledged_ns {
                self.arrivals.record(at_ns);
            }
            if !state.sending && answered.acknowledged + answered.errors > 0 {
                deadline.as_mut().reset(Instant::now() + patience);
            }
        }
    }

    async fn close(self) -> End {
        let closed = tokio::time::timeout(self.options.patience, self.connection.close()).await;
        match closed {
            Ok(Ok(())) => End::Done,
            Ok(Err(error)) => End::Lost { reason: format!("at goodbye: {}", describe(&error)) },
            Err(_elapsed) => End::Lost { reason: "goodbye was not answered".to_owned() },
        }
    }
}

/// The error with its cause.
pub(super) fn describe(error: &ClientError) -> String {
    let cause = std::error::Error::source(error);
    error.to_string() + &cause.map(|cause| format!(": {cause}")).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, Default)]
struct Answered {
    acknowledged: u64,
    /// When they arrived, if there are any.
    acknowledged_ns: Option<u64>,
    errors: u64,
}

impl State {
    /// Queues what is due now; the number of messages.
    fn send_due(&mut self, connection: &mut Connection, clock: RunClock) -> u64 {
        let before = self.publications.len();
        let now_ns = clock.now_ns();
        while self.sending && self.may_send(connection, now_ns) {
            let last = self.left == Some(1) && self.window.contains(now_ns);
            self.send(connection, now_ns, last);
            if self.window.contains(now_ns)
                && let Some(left) = &mut self.left
            {
                *left -= 1;
                self.sending = *left > 0;
            }
        }
        (self.publications.len() - before) as u64
    }

    fn may_send(&self, connection: &Connection, now_ns: u64) -> bool {
        match (self.options.pace, &self.schedule) {
            (Pace::Open { .. }, Some(schedule)) => {
                schedule.due_ns(self.publications.len() as u64 + 1) <= now_ns
            }
            (Pace::Open { .. }, None) => false,
            (Pace::Closed { window }, _) if self.options.acknowledge => self.outstanding < window,
            (Pace::Closed { .. }, _) => connection.queued_bytes() < QUEUED_BYTES_MAX,
        }
    }

    fn send(&mut self, connection: &mut Connection, now_ns: u64, last: bool) {
        let number = self.publications.len() as u64 + 1;
        let acknowledge = self.options.acknowledge || last;
        let sent_ns = self.schedule.map_or(now_ns, |schedule| schedule.due_ns(number));
        // Four thousand million messages of one publisher are far beyond any run.
        let seq = u32::try_from(number).unwrap_or(u32::MAX);
        let payload = Payload { publisher: self.id, seq, sent_ns };
        let topic = &self.topics[LoadOptions::turn(self.topics.len(), seq)];
        connection.send_with(|out| {
            write_publish(number, acknowledge, topic, out);
            payload.write_args(self.options.payload_bytes, out);
            out.push(b']');
        });
        self.publications.push(Publication { sent_ns: now_ns, outcome: Outcome::Unknown });
        self.outstanding += usize::from(acknowledge);
    }

    /// Ends sending before the amount is reached. Without acknowledgements one more message is
    /// sent that has one.
    fn finish_sending(&mut self, connection: &mut Connection, clock: RunClock) {
        if !self.options.acknowledge {
            self.send(connection, clock.now_ns(), true);
        }
        self.sending = false;
    }

    fn take_answers(
        &mut self,
        connection: &mut Connection,
        clock: RunClock,
    ) -> Result<Answered, ClientError> {
        let mut answered = Answered::default();
        let mut now_ns = None;
        while let Some(text) = connection.next_text()? {
            // Once per batch: what arrived together arrived now.
            let at_ns = *now_ns.get_or_insert_with(|| clock.now_ns());
            match ServerMessage::parse(text) {
                Some(ServerMessage::Published { request, publication }) => {
                    answered.acknowledged += 1;
                    answered.acknowledged_ns = Some(at_ns);
                    let outcome = Outcome::Acknowledged { position: publication, at_ns };
                    let sent_ns = self.settle(request, outcome)?;
                    if self.window.contains(sent_ns) {
                        self.latency.record(at_ns.saturating_sub(sent_ns));
                    }
                }
                Some(ServerMessage::Error { kind: 16, request, uri, text }) => {
                    answered.errors += 1;
                    self.first_error
                        .get_or_insert_with(|| String::from_utf8_lossy(text).into_owned());
                    let outcome = if is_final(uri) { Outcome::Refused } else { Outcome::Unknown };
                    self.settle(request, outcome)?;
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
        Ok(answered)
    }

    /// Notes the answer to a request; returns from when its latency counts.
    fn settle(&mut self, request: u64, outcome: Outcome) -> Result<u64, ClientError> {
        let index = usize::try_from(request).ok().and_then(|request| request.checked_sub(1));
        let publication = index.and_then(|index| self.publications.get_mut(index));
        let Some(publication) = publication.filter(|p| p.outcome == Outcome::Unknown) else {
            let what = format!("an answer to request {request}, which was not asked or answered");
            return Err(ClientError::Protocol { what });
        };
        publication.outcome = outcome;
        self.outstanding = self.outstanding.saturating_sub(1);
        Ok(self.schedule.map_or(publication.sent_ns, |schedule| schedule.due_ns(request)))
    }
}

/// Whether an error says that the message will never appear. Others, such as one for want of a
/// quorum, leave that open.
fn is_final(uri: &[u8]) -> bool {
    [
        &b"wamp.error.invalid_uri"[..],
        b"wamp.error.invalid_argument",
        b"wamp.error.not_authorized",
        b"wamp.error.payload_size_exceeded",
    ]
    .contains(&uri)
}

/// When a message counts: after the warm-up.
impl Window {
    pub(super) fn new(now_ns: u64, options: &LoadOptions) -> Self {
        let from_ns = now_ns + to_ns(options.warmup);
        let to_ns = match options.amount {
            Amount::Time(time) => Some(from_ns + to_ns(time)),
            Amount::Messages(_) | Amount::UntilStopped => None,
        };
        Self { from_ns, to_ns }
    }

    /// Whether a message of this time is measured.
    pub(super) fn contains(&self, at_ns: u64) -> bool {
        self.from_ns <= at_ns && self.to_ns.is_none_or(|to_ns| at_ns <= to_ns)
    }
}
