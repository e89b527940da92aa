//! Stored messages over HTTP: `GET /history`, one JSON object a line.
//!
//! The answer is streamed: a read gives out some segments, they become lines, and the next are
//! asked for when the client has taken those. What fails before the first line has a status of its own;
//! after it, the last line is an object with `error`.

mod lines;
mod params;

use std::convert::Infallible;

use axum::Router;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use bytes::{Bytes, BytesMut};
use futures_util::stream;
use tokio::sync::watch;

use vixen_common::time::WallTime;
use vixen_common::wire::TailSegment;

use super::problem::Problem;
use crate::history::{Direction, HistoryError};
use crate::node::{EntryHandle, HistoryStream};

/// Lines are sent when they are so much, or when nothing more is at hand.
const CHUNK_BYTES: usize = 64 << 10;

/// What the handler needs.
#[derive(Clone)]
struct HistoryContext {
    core: EntryHandle,
    stopping: watch::Receiver<bool>,
}

/// The route `/history`.
pub(crate) fn history_router(core: EntryHandle, stopping: watch::Receiver<bool>) -> Router {
    Router::new().route("/history", get(history)).with_state(HistoryContext { core, stopping })
}

async fn history(
    State(context): State<HistoryContext>,
    query: Result<Query<Vec<(String, String)>>, QueryRejection>,
) -> Response {
    let parsed = match &query {
        Ok(Query(pairs)) => params::parse(pairs, WallTime::now()),
        Err(rejection) => Err(rejection.body_text()),
    };
    let request = match parsed {
        Ok(request) => request,
        Err(message) => {
            return Problem::bad_request(&message).into_response();
        }
    };
    let direction = request.direction;
    let stream = match context.core.history(request).await {
        Ok(stream) => stream,
        Err(error) => return Problem::of_history(&error).into_response(),
    };
    let mut source = Source { stream, stopping: context.stopping };
    // The first word decides the status.
    let body = match source.next().await {
        Ok(None) => Body::empty(),
        Ok(Some(segments)) => Body::from_stream(body(source, segments, direction)),
        Err(error) => return Problem::of_history(&error).into_response(),
    };
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, body).into_response()
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
    direction: Direction,
    /// Taken and not written.
    segments: std::vec::IntoIter<TailSegment>,
    out: BytesMut,
}

fn body(
    source: Source,
    segments: Vec<TailSegment>,
    direction: Direction,
) -> impl stream::Stream<Item = Result<Bytes, Infallible>> + Send {
    let lines = Lines {
        source: Some(source),
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
                lines::append(&mut self.out, &segment, self.direction);
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
