//! `GET /events`: a subscription as Server-Sent Events (HTML standard, *Server-sent events*).
//!
//! ```text
//! id: 2611210516h30pperk2a0
//! data: {"position":42,"id":"2611210516h30pperk2a0","time":"…","topic":"a.b","args":[1]}
//! ```
//! The id is the permanent id, and `Last-Event-ID` is `after`: a browser that reconnects by itself, to
//! this entry or another, goes on where it was, without a gap and without a repeat. Where that cannot
//! be, because retention has dropped what follows, the order is another one, or no entry has sent that
//! id, it gets `event: reset` with the reason, and goes on from the first message that is left, or from
//! the end: `docs/design/012-another-order.md`.
//! While what comes next is in a group of which no node is there, or no ndb node is there at all,
//! `event: waiting` says so, with the nodes.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use vixen_broker::access::SubscribeOptions;
use vixen_broker::api::{Outgoing, SubscribeError, SubscriptionId};
use vixen_broker::event::EventBatch;
use vixen_broker::history::HistoryError;
use vixen_broker::replay::{After, Effects, ReadPart, Subscriber, Wish};
use vixen_core::id::Position;
use vixen_core::segment::Match;
use vixen_core::time::WallTime;
use vixen_runtime::clock::wall_time;
use vixen_runtime::tls::ClientAddress;

use super::object::put_object;
use super::publish::{REALM, problem_of};
use super::resume::{LastEventId, Reset};
use super::visitor::{REQUEST, Visitor};
use super::waiting::Waiting;
use crate::admission::{Rights, RightsLost};
use crate::gates::context::SessionContext;
use crate::gates::options::{after, matching_of};
use crate::gates::refusal::OptionError;
use crate::gates::web::{self, Problem, admitted};
use crate::metrics::count_unsayable;
use crate::outbound::SessionEvent;
use crate::reads::{Reader, read};

/// Without an event for so long a comment is sent: whoever is gone is noticed, and proxies see that
/// the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What browsers wait before they reconnect.
const RETRY: &str = "retry: 1000\n\n";

type Reading = Pin<Box<dyn Future<Output = Result<ReadPart, HistoryError>> + Send>>;

pub(super) async fn events(
    State(context): State<SessionContext>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    query: Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    match open(&context, &query, &headers, client.ip).await {
        Ok(stream) => answer(Body::from_stream(body(stream))),
        Err(problem) if problem.is_temporary() && wants_stream(&headers) => {
            web::count(problem.status());
            answer(come_back(&problem).into())
        }
        Err(problem) => problem.into_response(),
    }
}

fn answer(body: Body) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        // Proxies of the nginx kind would hold events back.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, body).into_response()
}

/// Whether an `EventSource` asks, which has to say so (HTML standard).
fn wants_stream(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    accepted
        .flat_map(|value| value.split(','))
        .any(|kind| kind.split(';').next().is_some_and(|kind| kind.trim() == "text/event-stream"))
}

/// A whole stream that tells the problem and ends. An `EventSource` that gets another status than 200
/// gives up for good; when a stream ends it comes back after `retry`, with its `Last-Event-ID`.
fn come_back(problem: &Problem) -> String {
    let retry_ms = match problem.status() {
        // It takes a place that others wait for as well.
        StatusCode::TOO_MANY_REQUESTS => 5_000,
        _ => 1_000,
    };
    format!("retry: {retry_ms}\n\n{}", error_event(problem))
}

fn error_event(problem: &Problem) -> String {
    format!("event: error\ndata: {}\n\n", problem.object())
}

/// What a query asks for. Its parameters are called as the options of a WAMP SUBSCRIBE.
#[derive(Debug)]
struct Asked<'q> {
    realm: &'q str,
    topic: &'q str,
    matching: Option<&'q str>,
    after: Option<&'q str>,
    limit: Option<u64>,
    is_snapshot: bool,
}

impl<'q> Asked<'q> {
    fn parse(query: &'q [(String, String)]) -> Result<Self, Problem> {
        let mut topic = None;
        let mut asked = Self {
            realm: REALM,
            topic: "",
            matching: None,
            after: None,
            limit: None,
            is_snapshot: false,
        };
        for (index, (key, text)) in query.iter().enumerate() {
            if query[..index].iter().any(|(other, _)| other == key) {
                return Err(Problem::bad_request(&format!("{key} is given twice: give it once")));
            }
            match key.as_str() {
                "realm" => asked.realm = text,
                "topic" => topic = Some(text),
                "match" => asked.matching = Some(text),
                "after" => asked.after = Some(text),
                "limit" => {
                    let number = text.parse::<u64>();
                    let number = number.map_err(|_| Problem::bad_request("limit is not a number"));
                    asked.limit = Some(number?);
                }
                "snapshot" => {
                    asked.is_snapshot = match text.as_str() {
                        "" | "true" | "1" => true,
                        "false" | "0" => false,
                        _ => {
                            return Err(Problem::bad_request("snapshot is neither true nor false"));
                        }
                    };
                }
                other => {
                    let message = format!(
                        "{other} is no parameter: use topic, match, after, limit, snapshot, realm"
                    );
                    return Err(Problem::bad_request(&message));
                }
            }
        }
        asked.topic = topic.ok_or_else(|| Problem::bad_request("topic is missing"))?;
        Ok(asked)
    }

    fn options(&self, now: WallTime) -> Result<SubscribeOptions, OptionError> {
        let matching = match self.matching {
            None => Match::Exact,
            Some(name) => matching_of(name).ok_or(OptionError::Invalid("match"))?,
        };
        let after = self.after.map(|text| after(text, now)).transpose()?;
        if self.limit == Some(0) {
            return Err(OptionError::Invalid("limit"));
        }
        let (limit, is_snapshot) = (self.limit, self.is_snapshot);
        Ok(SubscribeOptions { matching, after, limit, is_snapshot })
    }
}

/// Subscribes, and waits until the subscription stands.
async fn open(
    context: &SessionContext,
    query: &[(String, String)],
    headers: &HeaderMap,
    address: IpAddr,
) -> Result<EventStream, Problem> {
    admitted(context)?;
    let asked = Asked::parse(query)?;
    let admitted = super::identity::identify(context, headers, address, asked.realm)?;
    let options = asked.options(wall_time()).map_err(|error| problem_of(error.into()))?;
    let wish = admitted.subscribe(&asked.topic, &options);
    let mut wish = wish.map_err(|refusal| problem_of(refusal.into()))?;
    let info = Arc::clone(admitted.info());
    let last = LastEventId::of(headers);
    match last {
        LastEventId::Absent => {}
        LastEventId::Point(point) => wish.after = Some(After::Point(point)),
        LastEventId::Unreadable => wish.after = None,
    }
    let (session, pattern, mode) = (info.session, wish.pattern.clone(), wish.mode());
    let visitor = Visitor::open(context, info, address).await?;
    let subscribe = SessionEvent::Subscribe { session, request: REQUEST, pattern, mode };
    visitor.tell(subscribe).await?;
    let mut stream = EventStream {
        visitor,
        rights: admitted.into_rights(),
        wish,
        subscriber: Subscriber::default(),
        reads: context.reads.of(address),
        stopping: context.stopping.clone(),
        incoming: VecDeque::new(),
        unwritten_bytes: 0,
        reading: None,
        read_at: None,
        subscription: None,
        stands: false,
        may_reset: last != LastEventId::Absent,
        knows_not_where: last == LastEventId::Unreadable,
        reset_after: None,
        is_over: false,
        waiting: Waiting::new(context.reads.core()),
        out: BytesMut::from(RETRY),
    };
    // Whoever has to wait for a group that is gone is told by the stream. A browser that waits for long,
    // as while a whole tier is away, gets a comment: a proxy would give up with a status of its own.
    while !stream.stands && !stream.is_over && stream.out.len() == RETRY.len() {
        stream.turn().await.map_err(|end| end.problem())?;
    }
    Ok(stream)
}

/// Why a stream ends.
enum End {
    Stopped,
    Failed(HistoryError),
    Refused(SubscribeError),
    Lost(RightsLost),
}

impl End {
    fn problem(&self) -> Problem {
        match self {
            Self::Stopped => Problem::shutting_down(),
            Self::Failed(error) => Problem::of_history(error),
            Self::Refused(error) => Problem::of_subscription(error),
            Self::Lost(lost) => Problem::of_rights(*lost),
        }
    }
}

/// A subscription as a body.
struct EventStream {
    visitor: Visitor,
    rights: Rights,
    wish: Wish,
    subscriber: Subscriber,
    reads: Reader,
    stopping: watch::Receiver<bool>,
    incoming: VecDeque<Outgoing>,
    unwritten_bytes: usize,
    reading: Option<Reading>,
    /// No read begins before.
    read_at: Option<Instant>,
    subscription: Option<SubscriptionId>,
    /// Whether the subscription stands.
    stands: bool,
    /// Whether it goes on from elsewhere when it cannot go on where it was.
    may_reset: bool,
    /// Where it was cannot be read: it goes on after the end of the order, once that is told.
    knows_not_where: bool,
    reset_after: Option<Position>,
    is_over: bool,
    waiting: Waiting,
    out: BytesMut,
}

fn body(stream: EventStream) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(stream, |mut stream| async move {
        let chunk = stream.next_chunk().await?;
        Some((Ok(chunk), stream))
    })
}

impl EventStream {
    async fn next_chunk(&mut self) -> Option<Bytes> {
        // What was given before is written: the body is asked for more when there is room.
        self.visitor.give_back(std::mem::take(&mut self.unwritten_bytes));
        // Nobody may have asked for more in a long time.
        if !self.is_over
            && self.rights.have_changed()
            && let Err(end) = self.judge()
        {
            self.fail(&end);
        }
        while self.out.is_empty() {
            if self.is_over {
                return None;
            }
            if let Err(end) = self.turn().await {
                self.fail(&end);
            }
        }
        Some(self.out.split().freeze())
    }

    /// The realms were read again.
    fn judge(&mut self) -> Result<(), End> {
        self.rights.judge_reader(std::slice::from_ref(&self.wish.pattern)).map_err(End::Lost)
    }

    /// The stream ends with this.
    fn fail(&mut self, end: &End) {
        self.is_over = true;
        if let End::Lost(lost) = end {
            tracing::debug!(session = self.visitor.info().session.0, %lost, "stream of events over");
            // What is made and not given out.
            self.out.clear();
        }
        self.out.put_slice(error_event(&end.problem()).as_bytes());
    }

    /// Waits for the next thing, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        if self.reading.is_none()
            && self.read_at.is_none()
            && let Some(request) = self.subscriber.next_read()
        {
            self.reading = Some(Box::pin(read(self.reads.clone(), request)));
        }
        let reads = self.reading.is_some() || self.read_at.is_some();
        if let Some(waiting) = self.waiting.news(reads) {
            self.out.put_slice(format!("event: waiting\ndata: {waiting}\n\n").as_bytes());
            return Ok(());
        }
        let heartbeat = Instant::now() + HEARTBEAT;
        let mut stopping = self.stopping.clone();
        let is_blocked = self.subscriber.is_blocked();
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return Err(End::Stopped),
            // Before anything is taken that came after it.
            () = self.rights.changed() => self.judge()?,
            outcome = done(&mut self.reading) => {
                self.reading = None;
                let fx = self.subscriber.on_read(outcome);
                self.settle(fx).await?;
                self.take_incoming();
            }
            received = self.visitor.receive(&mut self.incoming), if !is_blocked => {
                received.map_err(|_stopped| End::Stopped)?;
                self.take_incoming();
            }
            () = sleep_until(self.read_at.unwrap_or(heartbeat)), if self.read_at.is_some() => {
                self.read_at = None;
            }
            () = self.waiting.changed() => {}
            () = sleep_until(heartbeat) => self.out.put_slice(b":\n\n"),
        }
        if let Some(end) = self.reset_after.take() {
            self.may_reset = false;
            web::count(StatusCode::BAD_REQUEST);
            self.reset(Reset::after(end), &Problem::last_event_id(end)).await?;
        }
        match self.incoming.front() {
            Some(Outgoing::Refused { error, .. }) => Err(End::Refused(*error)),
            _ => Ok(()),
        }
    }

    fn take_incoming(&mut self) {
        while !self.subscriber.is_blocked()
            && let Some(outgoing) = self.incoming.pop_front()
        {
            self.unwritten_bytes += outgoing.queued_bytes();
            match outgoing {
                Outgoing::Events(batch) => self.put(&batch, true),
                Outgoing::Subscribed { subscription, end, .. }
                    if std::mem::take(&mut self.knows_not_where) =>
                {
                    self.subscription = Some(subscription);
                    // What is told is the position after it.
                    self.reset_after = Some(Position(end.0.saturating_sub(1)));
                    return;
                }
                Outgoing::Subscribed { subscription, live_from, end, .. } => {
                    self.subscription = Some(subscription);
                    self.stands =
                        self.subscriber.subscribed(subscription, &self.wish, live_from, end);
                }
                Outgoing::Joined { join, from } => self.subscriber.on_joined(join, from),
                Outgoing::Lagging { from, subscriptions } => {
                    self.subscriber.on_lagging(from, &subscriptions);
                }
                refused @ Outgoing::Refused { .. } => {
                    self.incoming.push_front(refused);
                    return;
                }
                Outgoing::Resolved { .. } | Outgoing::Unsubscribed { .. } => {}
            }
        }
    }

    async fn settle(&mut self, fx: Effects) -> Result<(), End> {
        let Effects { announce, batches, join, ended, refused, lost, pause, failed, left_out } = fx;
        count_unsayable(left_out);
        self.waiting.read(failed.as_ref());
        if let Some(error) = refused.into_iter().map(|(_, error)| error).chain(lost).next() {
            let may_reset = std::mem::take(&mut self.may_reset);
            return match Reset::of(&error).filter(|_| may_reset) {
                Some(reset) => self.reset(reset, &Problem::of_history(&error)).await,
                None => Err(End::Failed(error)),
            };
        }
        // A client that is there and too slow is told as others are, and comes back.
        self.may_reset &= announce.is_empty();
        self.stands |= !announce.is_empty();
        for batch in &batches {
            self.put(batch, false);
        }
        if !ended.is_empty() {
            self.end();
        }
        if let Some((join, subscriptions)) = join {
            let session = self.visitor.info().session;
            let join = SessionEvent::Join { session, join, subscriptions };
            self.visitor.tell(join).await.map_err(|_stopped| End::Stopped)?;
        }
        self.read_at = pause.map(|pause| Instant::now() + pause);
        Ok(())
    }

    /// Tells the client, and subscribes again.
    async fn reset(&mut self, reset: Reset, problem: &Problem) -> Result<(), End> {
        let event = format!("event: reset\nid: {}\ndata: {}\n\n", reset.last, problem.object());
        self.out.put_slice(event.as_bytes());
        self.subscriber = Subscriber::default();
        self.wish.after = Some(reset.after);
        let (session, request) = (self.visitor.info().session, REQUEST);
        let (pattern, mode) = (self.wish.pattern.clone(), self.wish.mode());
        let unsubscribe = self.subscription.take();
        let unsubscribe = unsubscribe.map(|subscription| SessionEvent::Unsubscribe {
            session,
            request,
            subscription,
        });
        let subscribe = SessionEvent::Subscribe { session, request, pattern, mode };
        for event in unsubscribe.into_iter().chain([subscribe]) {
            self.visitor.tell(event).await.map_err(|_stopped| End::Stopped)?;
        }
        Ok(())
    }

    fn put(&mut self, batch: &EventBatch, is_live: bool) {
        if batch.about().is_some_and(|about| !self.rights.permissions().may_read(about)) {
            return;
        }
        let receiver = self.visitor.info().receiver();
        let mut ended = Vec::new();
        for index in self.subscriber.take(batch, is_live, &receiver, &mut ended) {
            let mark = self.out.len();
            if let Some(id) = batch.events().get(index).and_then(|event| batch.id_of(event)) {
                self.out.put_slice(format!("id: {id}\n").as_bytes());
            }
            self.out.put_slice(b"data: ");
            if put_object(&mut self.out, batch, index) {
                self.out.put_slice(b"\n\n");
            } else {
                self.out.truncate(mark);
            }
        }
        if !ended.is_empty() {
            self.end();
        }
    }

    /// The subscription has got what it wanted.
    fn end(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.out.put_slice(b"event: complete\ndata: {}\n\n");
        }
    }
}

/// Resolves once the read is done; never without one.
async fn done(reading: &mut Option<Reading>) -> Result<ReadPart, HistoryError> {
    match reading {
        Some(reading) => reading.await,
        None => std::future::pending().await,
    }
}

/// Ends once the node stops, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _or_gone = stopping.wait_for(|stopping| *stopping).await;
}
