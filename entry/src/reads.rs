//! One read of what is stored: a batch, held until whoever wants it has taken it.
//!
//! A read ends by itself, however slow the client is that it is for: so all have their turn. Clients
//! that catch up with what comes live have turns of their own, which no answer of `/history` takes.

use std::sync::Arc;

use tokio::sync::Semaphore;

use vixen_broker::history::{HistoryError, HistoryRequest, Page, end_of, messages_of};
use vixen_broker::replay::{ReadPart, overlaps_of};
use vixen_core::id::Position;
use vixen_core::wire::TailSegment;

use crate::node::{EntryHandle, HistoryStream};

/// Bytes of messages after which a read of a replay stops.
const REPLAY_BYTES: usize = 1 << 20;
/// Reads of replays at a time. With those of answers they are fewer than an entry makes.
const REPLAY_READS_MAX: usize = 32;
/// Bytes of messages after which a page stops.
const PAGE_BYTES: usize = 512 << 10;
/// Reads of pages at a time.
const PAGE_READS_MAX: usize = 16;
/// What a segment takes beside its records.
const SEGMENT_BYTES: usize = 128;

/// What all that reads shares.
#[derive(Clone, Debug)]
pub(crate) struct ReadContext {
    core: EntryHandle,
    replays: Arc<Semaphore>,
    pages: Arc<Semaphore>,
}

impl ReadContext {
    pub(crate) fn new(core: EntryHandle) -> Self {
        let turns = |max| Arc::new(Semaphore::new(max));
        Self { core, replays: turns(REPLAY_READS_MAX), pages: turns(PAGE_READS_MAX) }
    }

    /// Whose store it is.
    pub(crate) const fn core(&self) -> &EntryHandle {
        &self.core
    }
}

/// Reads what a subscriber wants, or as much of it as a batch holds.
///
/// # Errors
/// As the read of history that it is.
pub(crate) async fn read(
    context: ReadContext,
    request: HistoryRequest,
) -> Result<ReadPart, HistoryError> {
    let limit = request.limit;
    // Of one message there is an event for each.
    let bytes_max = REPLAY_BYTES / overlaps_of(&request.topics);
    let _turn = context.replays.acquire().await.map_err(|_closed| HistoryError::Stopped)?;
    let mut stream = context.core.history(request).await?;
    let mut segments = Vec::new();
    let end = take(&mut stream, bytes_max, &mut segments).await?;
    match (end, segments.last()) {
        (None, Some(last)) => {
            let next = end_of(last);
            Ok(ReadPart { segments, next, is_complete: false })
        }
        (None, None) => Err(HistoryError::Stopped),
        (Some(next), _) => {
            let messages = segments.iter().map(messages_of).sum::<u64>();
            let is_complete = limit.is_none_or(|limit| messages < limit);
            Ok(ReadPart { segments, next, is_complete })
        }
    }
}

/// Reads a page of a long answer, or as much of it as a batch holds. Where it fails, what came before
/// is a page: the next one fails.
///
/// # Errors
/// As the read of history that it is.
pub(crate) async fn read_page(
    context: ReadContext,
    request: HistoryRequest,
) -> Result<Page, HistoryError> {
    let _turn = context.pages.acquire().await.map_err(|_closed| HistoryError::Stopped)?;
    let mut stream = context.core.history(request).await?;
    let order_end = stream.order_end();
    let mut segments = Vec::new();
    let has_ended = match take(&mut stream, PAGE_BYTES, &mut segments).await {
        Ok(end) => end.is_some(),
        Err(error) if segments.is_empty() => return Err(error),
        Err(_for_the_next) => false,
    };
    Ok(Page { segments, has_ended, order_end })
}

/// Takes what a read gives out, until it has ended or has brought so many bytes. Where it has ended,
/// or `None`.
async fn take(
    stream: &mut HistoryStream,
    bytes_max: usize,
    segments: &mut Vec<TailSegment>,
) -> Result<Option<Position>, HistoryError> {
    let mut bytes = 0;
    while let Some(more) = stream.next().await? {
        bytes += more.iter().map(|segment| SEGMENT_BYTES + segment.records.len()).sum::<usize>();
        segments.extend(more);
        if bytes >= bytes_max {
            return Ok(None);
        }
    }
    stream.end().map(Some).ok_or(HistoryError::Stopped)
}
