//! One read of a feed: a batch out of the store, held until the subscriber has taken it.

use std::sync::Arc;

use tokio::sync::Semaphore;

use vixen_common::wire::TailSegment;

use super::ReadPart;
use crate::history::{HistoryError, HistoryRequest};
use crate::node::EntryHandle;

/// Bytes of messages after which a read stops.
const READ_BYTES: usize = 1 << 20;
/// Reads of feeds at a time. A read ends by itself, however slow its subscriber is: so all have
/// their turn, and the rest of what an entry may read at a time is left to `/history`.
const READS_MAX: usize = 32;

/// What feeds share.
#[derive(Clone, Debug)]
pub(crate) struct ReadContext {
    core: EntryHandle,
    turns: Arc<Semaphore>,
}

impl ReadContext {
    pub(crate) fn new(core: EntryHandle) -> Self {
        Self { core, turns: Arc::new(Semaphore::new(READS_MAX)) }
    }

    /// Whose store it is.
    pub(crate) const fn core(&self) -> &EntryHandle {
        &self.core
    }
}

/// Reads what `request` wants, or as much of it as a batch holds.
///
/// # Errors
/// As the read of history that it is.
pub(crate) async fn read(
    context: ReadContext,
    request: HistoryRequest,
) -> Result<ReadPart, HistoryError> {
    let limit = request.limit;
    let _turn = context.turns.acquire().await.map_err(|_closed| HistoryError::Stopped)?;
    let mut stream = context.core.history(request).await?;
    let mut segments = Vec::new();
    let mut bytes = 0;
    while let Some(more) = stream.next().await? {
        bytes += more.iter().map(|segment| segment.records.len()).sum::<usize>();
        segments.extend(more);
        if bytes >= READ_BYTES
            && let Some(next) = segments.last().map(end_of)
        {
            return Ok(ReadPart { segments, next, is_complete: false });
        }
    }
    let messages = segments.iter().map(messages_of).sum::<u64>();
    let next = stream.end().ok_or(HistoryError::Stopped)?;
    Ok(ReadPart { segments, next, is_complete: limit.is_none_or(|limit| messages < limit) })
}

/// The position after the last message that a segment brought.
fn end_of(segment: &TailSegment) -> vixen_common::id::Position {
    match segment.offsets.last() {
        Some(last) => segment.first.plus(*last).plus(1),
        None => segment.first.plus(segment.count),
    }
}

fn messages_of(segment: &TailSegment) -> u64 {
    let messages = if segment.offsets.is_empty() {
        usize::try_from(segment.count).unwrap_or(usize::MAX)
    } else {
        segment.offsets.len()
    };
    messages as u64
}
