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

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::sleep;

use vixen_broker::access::{Act, SubscribeOptions};
use vixen_broker::api::{After, RequestId, SessionInfo, Subscribe, SubscribeError, SubscriptionId};
use vixen_broker::client::{Effects, EndReason, RequestError, Told};
use vixen_broker::event::EventBatch;
use vixen_broker::history::HistoryError;
use vixen_core::id::Position;
use vixen_core::segment::Match;
use vixen_core::time::WallTime;
use vixen_runtime::clock::wall_time;
use vixen_runtime::tls::ClientAddress;

use super::asked::{self, Ruling};
use super::object::put_object;
use super::publish::{REALM, problem_of};
use super::resume::{LastEventId, Reset};
use super::waiting::Waiting;
use crate::admission::{Permit, Rights, RightsLost};
use crate::gates::context::SessionContext;
use crate::gates::driver::{Driver, Next, Stopped, Wake};
use crate::gates::options::{after, matching_of};
use crate::gates::refusal::OptionError;
use crate::gates::web::{self, Problem, admitted};

/// Without an event for so long a comment is sent: whoever is gone is noticed, and proxies see that
/// the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// What browsers wait before they reconnect.
const RETRY: &str = "retry: 1000\n\n";

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
    // Before anything that may have to wait for a procedure.
    let permit = context.admission.admit(address).map_err(Problem::of_full)?;
    let mut session = super::identity::identify(context, headers, address, asked.realm).await?;
    let options = asked.options(wall_time()).map_err(|error| problem_of(error.into()))?;
    let mut wanted = loop {
        let wanted = session.subscribe(&asked.topic, &options);
        let wanted = wanted.map_err(|refusal| problem_of(refusal.into()))?;
        let pattern = (&wanted.pattern.uri, wanted.pattern.matching);
        let told = asked::options_of(query, headers);
        match asked::ruling(context, &mut session, Act::Subscribe, pattern, told).await? {
            Ruling::Allowed { .. } => break wanted,
            Ruling::Denied(refusal) => return Err(problem_of(refusal)),
            Ruling::Again => {}
        }
    };
    let last = LastEventId::of(headers);
    match last {
        LastEventId::Absent => {}
        LastEventId::Point(point) => wanted.after = Some(After::Point(point)),
        LastEventId::Unreadable => wanted.after = None,
    }
    let info = Arc::clone(session.info());
    let mut driver = Driver::new(context, info.session, address);
    driver.open(Arc::clone(&info), session.permissions().clone());
    let mut stream = EventStream {
        driver,
        info,
        rights: session.into_rights(),
        wanted,
        request: RequestId(0),
        subscription: None,
        stands: false,
        may_reset: last != LastEventId::Absent,
        knows_not_where: last == LastEventId::Unreadable,
        stopping: context.stopping.clone(),
        is_over: false,
        waiting: Waiting::new(context.reads.core()),
        out: BytesMut::from(RETRY),
        _permit: permit,
    };
    stream.subscribe().await?;
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

impl From<Stopped> for End {
    fn from(Stopped: Stopped) -> Self {
        Self::Stopped
    }
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
    driver: Driver<Infallible>,
    info: Arc<SessionInfo>,
    rights: Rights,
    wanted: Subscribe,
    /// The last subscribe.
    request: RequestId,
    subscription: Option<SubscriptionId>,
    /// Whether the subscription stands.
    stands: bool,
    /// Whether it goes on from elsewhere when it cannot go on where it was.
    may_reset: bool,
    /// Where it was cannot be read: it goes on after the end of the order, once that is told.
    knows_not_where: bool,
    stopping: watch::Receiver<bool>,
    is_over: bool,
    waiting: Waiting,
    out: BytesMut,
    _permit: Permit,
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
        self.driver.give_back();
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
        self.rights.judge_reader(std::slice::from_ref(&self.wanted.pattern)).map_err(End::Lost)?;
        // Its only subscription may stand, as was just found.
        let _nothing = self.driver.on_reload(self.rights.permissions());
        Ok(())
    }

    /// The stream ends with this.
    fn fail(&mut self, end: &End) {
        self.is_over = true;
        if let End::Lost(lost) = end {
            tracing::debug!(session = self.info.session.0, %lost, "stream of events over");
            // What is made and not given out.
            self.out.clear();
        }
        self.out.put_slice(error_event(&end.problem()).as_bytes());
    }

    /// Waits for the next thing, and deals with it.
    async fn turn(&mut self) -> Result<(), End> {
        self.driver.begin_read();
        if let Some(waiting) = self.waiting.news(self.driver.is_reading()) {
            self.out.put_slice(format!("event: waiting\ndata: {waiting}\n\n").as_bytes());
            return Ok(());
        }
        let mut stopping = self.stopping.clone();
        tokio::select! {
            biased;
            () = stopped(&mut stopping) => return Err(End::Stopped),
            // Before anything is taken that came after it.
            () = self.rights.changed() => self.judge()?,
            wake = self.driver.wake() => self.on_wake(wake).await?,
            () = self.waiting.changed() => {}
            () = sleep(HEARTBEAT) => self.out.put_slice(b":\n\n"),
        }
        Ok(())
    }

    async fn on_wake(&mut self, wake: Wake) -> Result<(), End> {
        let is_read = matches!(wake, Wake::Read(_));
        let mut fx = Effects::default();
        let next = self.driver.on_wake(wake, &mut fx).await?;
        if is_read {
            self.waiting.read(fx.failed.as_ref());
        }
        match next {
            Next::Take => {
                self.take(&mut fx).await?;
                // One by one: what is told may make it subscribe anew.
                while !self.is_over && self.driver.take_one(&mut fx) {
                    self.take(&mut fx).await?;
                }
                Ok(())
            }
            Next::Steps => Ok(self.do_steps().await?),
            Next::Wait => Ok(()),
        }
    }

    async fn do_steps(&mut self) -> Result<(), Stopped> {
        self.driver.do_steps(|never| match never {}).await
    }

    /// Does what effects owe.
    async fn take(&mut self, fx: &mut Effects) -> Result<(), End> {
        self.driver.settle(fx).await?;
        for told in fx.told.drain(..) {
            self.tell(told).await?;
        }
        match fx.lost.take() {
            Some(error) => self.reset_or_fail(error).await,
            None => Ok(()),
        }
    }

    async fn tell(&mut self, told: Told) -> Result<(), End> {
        match told {
            Told::Events { batch, taken } => self.put(&batch, taken),
            Told::Subscribed { request, subscription, end } if request == self.request => {
                self.subscription = Some(subscription);
                if std::mem::take(&mut self.knows_not_where) {
                    self.may_reset = false;
                    web::count(StatusCode::BAD_REQUEST);
                    // What is told is the position after it.
                    let end = Position(end.0.saturating_sub(1));
                    return self.reset(Reset::after(end), &Problem::last_event_id(end)).await;
                }
                // A client that is there and too slow is told as others are, and comes back.
                self.may_reset = false;
                self.stands = true;
            }
            Told::Refused { error, .. } => {
                return match error {
                    RequestError::Subscribe(error) => Err(End::Refused(error)),
                    RequestError::History(error) => self.reset_or_fail(error).await,
                    RequestError::Ended(EndReason::Complete) => {
                        self.end();
                        Ok(())
                    }
                    RequestError::Ended(EndReason::NotAuthorized) | RequestError::NotAuthorized => {
                        Err(lost())
                    }
                    RequestError::Repeated => unreachable!("each request here has its own number"),
                };
            }
            Told::Ended { reason: EndReason::Complete, .. } => self.end(),
            Told::Ended { reason: EndReason::NotAuthorized, .. } => return Err(lost()),
            Told::Subscribed { .. }
            | Told::Resolved(_)
            | Told::Unsubscribed { .. }
            | Told::Call(_) => {}
        }
        Ok(())
    }

    /// It cannot go on where it was, or begin there.
    async fn reset_or_fail(&mut self, error: HistoryError) -> Result<(), End> {
        let may_reset = std::mem::take(&mut self.may_reset);
        match Reset::of(&error).filter(|_| may_reset) {
            Some(reset) => self.reset(reset, &Problem::of_history(&error)).await,
            None => Err(End::Failed(error)),
        }
    }

    /// Tells the client, and subscribes again.
    async fn reset(&mut self, reset: Reset, problem: &Problem) -> Result<(), End> {
        let event = format!("event: reset\nid: {}\ndata: {}\n\n", reset.last, problem.object());
        self.out.put_slice(event.as_bytes());
        if let Some(subscription) = self.subscription.take() {
            self.driver.leave(subscription);
        }
        self.wanted.after = Some(reset.after);
        Ok(self.subscribe().await?)
    }

    async fn subscribe(&mut self) -> Result<(), Stopped> {
        self.request = RequestId(self.request.0 + 1);
        let wanted = match self.knows_not_where {
            // Only where the order ends is to be learnt.
            true => Subscribe { limit: None, is_snapshot: false, ..self.wanted.clone() },
            false => self.wanted.clone(),
        };
        self.driver.subscribe(self.request, wanted);
        self.do_steps().await
    }

    fn put(&mut self, batch: &EventBatch, taken: Vec<usize>) {
        for index in taken {
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
    }

    /// The subscription has got what it wanted.
    fn end(&mut self) {
        if !self.is_over {
            self.is_over = true;
            self.out.put_slice(b"event: complete\ndata: {}\n\n");
        }
    }
}

/// The client may not read its topic any more.
const fn lost() -> End {
    End::Lost(RightsLost::Topic(Act::Subscribe))
}

/// Ends once the node stops, or is gone.
async fn stopped(stopping: &mut watch::Receiver<bool>) {
    let _or_gone = stopping.wait_for(|stopping| *stopping).await;
}
