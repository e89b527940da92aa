//! Stored messages over HTTP: `GET /history`, one JSON object a line.
//!
//! The answer is made of pages: a read ends with some messages, they become lines, and the next are
//! read when the client has taken those. A client that takes nothing holds no read, but places: of
//! sessions, and of the answers to its address and out of its realm. What fails before the first line
//! has a status of its own; after it, the last line is an object with `error`.

mod lines;
mod params;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{ConnectInfo, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::watch;
use tokio::time::timeout;

use vixen_broker::access::{Act, Refusal};
use vixen_broker::api::SessionInfo;
use vixen_broker::history::{HistoryError, HistoryRequest, Pages};
use vixen_core::segment::TopicPattern;
use vixen_core::wire::TailSegment;
use vixen_runtime::clock::wall_time;
use vixen_runtime::tls::ClientAddress;

use super::asked::{self, Ruling};
use super::identity::identify;
use super::publish::{REALM, problem_of};
use crate::admission::{AnswerPlace, Permit, Rights, RightsLost};
use crate::gates::context::SessionContext;
use crate::gates::uris;
use crate::gates::web::Problem;
use crate::node::EntryHandle;
use crate::reads::{Reader as StoreReader, read_page};

/// Messages of one read at most.
const PAGE_MESSAGES_MAX: u64 = 8_192;
/// Lines are sent when they are so much, or when nothing more is at hand.
const CHUNK_BYTES: usize = 64 << 10;
/// So long a read waits for its first message while the entry is not ready.
const NOT_READY_TIME: Duration = Duration::from_secs(1);

pub(super) async fn history(
    State(context): State<SessionContext>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    headers: HeaderMap,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let admitted = match &query {
        Ok(Query(pairs)) => match params::parse(pairs, wall_time()) {
            Ok(request) => {
                admitted(&context, (&headers, pairs.as_slice()), client.ip, request).await
            }
            Err(message) => Err(Problem::bad_request(&message)),
        },
        Err(rejection) => Err(Problem::bad_request(&rejection.body_text())),
    };
    let mut lines = match admitted {
        Ok(lines) => lines,
        Err(problem) => return problem.into_response(),
    };
    // The first word decides the status.
    let begun = tokio::select! {
        biased;
        begun = lines.next_page() => begun,
        reason = not_ready(context.reads.core()) => {
            return Problem::not_ready(&reason).into_response();
        }
    };
    let body = match begun {
        Ok(()) => Body::from_stream(body(lines)),
        Err(failed) => return failed.problem().into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, body).into_response()
}

/// Ends when the entry has not been ready for a while, with what it waits for. What is stored may be
/// readable all the same, and then it is there by then.
async fn not_ready(core: &EntryHandle) -> String {
    loop {
        let reason = core.until_not_ready().await;
        if timeout(NOT_READY_TIME, core.until_ready()).await.is_err() {
            return reason;
        }
    }
}

/// Who reads, what of the request it may read, and its places here.
async fn admitted(
    context: &SessionContext,
    (headers, query): (&HeaderMap, &[(String, String)]),
    address: IpAddr,
    mut request: HistoryRequest,
) -> Result<Lines, Problem> {
    // Before anything that may have to wait for a procedure.
    let permit = context.admission.admit(address).map_err(Problem::of_full)?;
    let realm = request.topics.first().map_or(REALM, |pattern| &*pattern.realm);
    let mut admitted = identify(context, headers, address, realm).await?;
    let reader = Arc::clone(admitted.info());
    for pattern in &mut request.topics {
        let is_all = *pattern == TopicPattern::all(&pattern.realm);
        loop {
            let allowed = admitted.pattern(&&*pattern.uri, pattern.matching);
            *pattern = allowed.map_err(|refusal| match refusal {
                Refusal::NotAuthorized(_) if is_all => not_all(&reader),
                other => problem_of(other.into()),
            })?;
            let (uri, matching) = (&pattern.uri, pattern.matching);
            let told = asked::options_of(query, &HeaderMap::new());
            let act = Act::Subscribe;
            match asked::ruling(context, &mut admitted, act, (uri, matching), told).await? {
                Ruling::Allowed { .. } => break,
                Ruling::Denied(refusal) => return Err(problem_of(refusal)),
                Ruling::Again => {}
            }
        }
    }
    let place = context.answers.admit(address, &reader.realm);
    let place = place.map_err(Problem::of_full)?;
    Ok(Lines {
        pages: Pages::new(request, PAGE_MESSAGES_MAX),
        reads: context.reads.of(address),
        rights: admitted.into_rights(),
        stopping: context.stopping.clone(),
        reader,
        segments: Vec::new().into_iter(),
        out: BytesMut::new(),
        is_over: false,
        _places: (permit, place),
    })
}

/// Who reads may not read all topics of the realm.
fn not_all(reader: &SessionInfo) -> Problem {
    let message = format!(
        "not all topics of this realm may be read: name one, as in topic=com.example, or those that \
         begin alike, as in topic=com.example.&match=prefix. For all of them the role {} needs a \
         permission with uri \"\", match \"prefix\" and subscribe, and none below it that denies",
        reader.authrole
    );
    Problem::new(StatusCode::FORBIDDEN, uris::NOT_AUTHORIZED, &message)
}

/// Why an answer breaks off.
enum Failed {
    Read(HistoryError),
    Lost(RightsLost),
}

impl Failed {
    fn problem(&self) -> Problem {
        match self {
            Self::Read(error) => Problem::of_history(error),
            Self::Lost(lost) => Problem::of_rights(*lost),
        }
    }
}

/// A body under way.
struct Lines {
    pages: Pages,
    reads: StoreReader,
    rights: Rights,
    stopping: watch::Receiver<bool>,
    reader: Arc<SessionInfo>,
    /// Taken and not written.
    segments: std::vec::IntoIter<TailSegment>,
    out: BytesMut,
    /// Its last word is said.
    is_over: bool,
    _places: (Permit, AnswerPlace),
}

fn body(lines: Lines) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(lines, |mut lines| async move {
        let chunk = lines.next_chunk().await?;
        Some((Ok(chunk), lines))
    })
}

impl Lines {
    /// Nothing is read while the client takes nothing, and nothing is given out to who has lost the
    /// right to it meanwhile.
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            if self.is_over {
                return None;
            }
            if self.rights.have_changed()
                && let Err(failed) = self.judge()
            {
                return Some(self.last_line(&failed));
            }
            let direction = self.pages.request().direction;
            while self.out.len() < CHUNK_BYTES
                && let Some(segment) = self.segments.next()
            {
                lines::append(&mut self.out, &segment, direction, &self.reader.receiver());
            }
            if !self.out.is_empty() {
                return Some(self.out.split().freeze());
            }
            if let Err(failed) = self.next_page().await {
                return Some(self.last_line(&failed));
            }
        }
    }

    fn last_line(&mut self, failed: &Failed) -> Bytes {
        self.is_over = true;
        Bytes::from(format!("{}\n", failed.problem().object()))
    }

    /// The realms were read again.
    fn judge(&mut self) -> Result<(), Failed> {
        self.rights.judge_reader(&self.pages.request().topics).map_err(Failed::Lost)
    }

    /// Reads the next page, unless there is none.
    async fn next_page(&mut self) -> Result<(), Failed> {
        let Some(request) = self.pages.next() else {
            self.is_over = true;
            return Ok(());
        };
        let mut reading = std::pin::pin!(read_page(self.reads.clone(), request));
        let page = loop {
            tokio::select! {
                biased;
                _told_or_gone = self.stopping.wait_for(|stopping| *stopping) => {
                    return Err(Failed::Read(HistoryError::Stopped));
                }
                () = self.rights.changed() => {
                    let topics = &self.pages.request().topics;
                    self.rights.judge_reader(topics).map_err(Failed::Lost)?;
                }
                page = &mut reading => break page.map_err(Failed::Read)?,
            }
        };
        self.segments = self.pages.take(page).into_iter();
        Ok(())
    }
}

#[cfg(test)]
mod tests;
