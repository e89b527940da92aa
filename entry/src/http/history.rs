//! Stored messages over HTTP: `GET /history`, one JSON object a line.
//!
//! The answer is streamed: a read gives out some segments, they become lines, and the next are
//! asked for when the client has taken those. What fails before the first line has a status of its own;
//! after it, the last line is an object with `error`.

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

use vixen_common::segment::TopicPattern;
use vixen_common::time::WallTime;
use vixen_common::tls::ClientAddress;
use vixen_common::wire::TailSegment;

use super::identity::identify;
use super::problem::Problem;
use super::publish::{REALM, problem_of};
use crate::broker::SessionInfo;
use crate::history::{Direction, HistoryError, HistoryRequest};
use crate::node::{EntryHandle, HistoryStream};
use crate::wamp::{RawUri, Refusal, SessionContext};

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
    let parsed = match &query {
        Ok(Query(pairs)) => params::parse(pairs, WallTime::now()),
        Err(rejection) => Err(rejection.body_text()),
    };
    let parsed = parsed.map_err(|message| Problem::bad_request(&message));
    let (reader, request) =
        match parsed.and_then(|request| admitted(&context, &headers, client.ip, request)) {
            Ok(admitted) => admitted,
            Err(problem) => return problem.into_response(),
        };
    let direction = request.direction;
    let core = context.reads.core();
    // The first word decides the status.
    let begin = async {
        let stream = core.history(request).await?;
        let mut source = Source { stream, stopping: context.stopping.clone() };
        let first = source.next().await?;
        Ok::<_, HistoryError>((source, first))
    };
    let begun = tokio::select! {
        biased;
        begun = begin => begun,
        reason = not_ready(core) => return Problem::not_ready(&reason).into_response(),
    };
    let body = match begun {
        Ok((_, None)) => Body::empty(),
        Ok((source, Some(segments))) => {
            Body::from_stream(body(source, reader, segments, direction))
        }
        Err(error) => return Problem::of_history(&error).into_response(),
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

/// Who reads, and what of the request it may read.
fn admitted(
    context: &SessionContext,
    headers: &HeaderMap,
    address: IpAddr,
    mut request: HistoryRequest,
) -> Result<(Arc<SessionInfo>, HistoryRequest), Problem> {
    let realm = request.topics.first().map_or(REALM, |pattern| &*pattern.realm);
    let (reader, edge) = identify(context, headers, address, realm)?;
    for pattern in &mut request.topics {
        let uri = RawUri::Text((&*pattern.uri).into());
        let is_all = *pattern == TopicPattern::all(&pattern.realm);
        let allowed = edge.pattern(&uri, pattern.matching);
        *pattern = allowed.map_err(|refusal| match refusal {
            Refusal::NotAuthorized(_) if is_all => not_all(refusal, &reader),
            other => problem_of(other),
        })?;
    }
    Ok((reader, request))
}

/// Who reads may not read all topics of the realm.
fn not_all(refusal: Refusal, reader: &SessionInfo) -> Problem {
    let message = format!(
        "not all topics of this realm may be read: name one, as in topic=com.example, or those that \
         begin alike, as in topic=com.example.&match=prefix. For all of them the role {} needs a \
         permission with uri \"\", match \"prefix\" and subscribe, and none below it that denies",
        reader.authrole
    );
    Problem::new(StatusCode::FORBIDDEN, refusal.uri(), &message)
}

/// Stored messages until the node stops.
struct Source {
    stream: HistoryStream,
    stopping: watch::Receiver<bool>,
}

impl Source {
    async fn next(&mut self) -> Result<Option<Vec<TailSegment>>, HistoryError> {
        tokio::select! {
            biased;
            _told_or_gone = self.stopping.wait_for(|stopping| *stopping) => {
                Err(HistoryError::Stopped)
            }
            next = self.stream.next() => next,
        }
    }
}

/// A body under way.
struct Lines {
    /// `None` after its last word.
    source: Option<Source>,
    reader: Arc<SessionInfo>,
    direction: Direction,
    /// Taken and not written.
    segments: std::vec::IntoIter<TailSegment>,
    out: BytesMut,
}

fn body(
    source: Source,
    reader: Arc<SessionInfo>,
    segments: Vec<TailSegment>,
    direction: Direction,
) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    let lines = Lines {
        source: Some(source),
        reader,
        direction,
        segments: segments.into_iter(),
        out: BytesMut::new(),
    };
    stream::unfold(lines, |mut lines| async move {
        let chunk = lines.next_chunk().await?;
        Some((Ok(chunk), lines))
    })
}

impl Lines {
    async fn next_chunk(&mut self) -> Option<Bytes> {
        loop {
            while self.out.len() < CHUNK_BYTES
                && let Some(segment) = self.segments.next()
            {
                lines::append(&mut self.out, &segment, self.direction, &self.reader.receiver());
            }
            if !self.out.is_empty() {
                return Some(self.out.split().freeze());
            }
            match self.source.as_mut()?.next().await {
                Ok(Some(segments)) => self.segments = segments.into_iter(),
                Ok(None) => self.source = None,
                Err(error) => {
                    self.source = None;
                    let problem = Problem::of_history(&error);
                    return Some(Bytes::from(format!("{}\n", problem.object())));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
