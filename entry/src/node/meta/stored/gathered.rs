//! What is gathered for one answer, read by read.
//!
//! Messages of a subscription are not all for who asks: a read may bring few of them, or none. So the next one goes on
//! where it has stopped, until there are as many as were asked for, or as large an answer as one is, or all is read.
//! After a bounded number of reads it is answered with what there is; with nothing in hand, by an error that names the
//! place to go on from: an empty list always means that there is no more.

use vixen_broker::api::calls::MetaError;
use vixen_broker::history::{
    Bound, Direction, HistoryError, HistoryRequest, Start, end_of, first_of,
};
use vixen_broker::replay::ReadPart;
use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::Match;
use vixen_core::wire::{HistoryPlace, TailSegment};

use super::{Of, Wanted};
use crate::gates::wamp::stored_events;

/// Reads for one answer.
const READS_MAX: u32 = 16;
/// Messages of each but the first, which brings as many as are wanted.
const MESSAGES_MAX: u64 = 16_384;
/// Bytes of events after which there are enough. A read brings about as much.
const ANSWER_BYTES: usize = 1 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct Gathered {
    of: Of,
    wanted: Wanted,
    next: Option<HistoryRequest>,
    reads: u32,
    /// In the order of the answer.
    events: Vec<String>,
    bytes: usize,
    /// The last message that was looked at, where there may be more and it is not read.
    stopped_at: Option<Position>,
}

impl Gathered {
    pub(super) fn new(of: Of, wanted: Wanted) -> Self {
        let next = wanted.request(&of.pattern);
        Self { of, wanted, next, reads: 0, events: Vec::new(), bytes: 0, stopped_at: None }
    }

    /// The next read, of which [`on_read`](Self::on_read) takes what it brings; `None`: there is an answer.
    pub(super) fn next(&self) -> Option<HistoryRequest> {
        self.next.clone()
    }

    /// Takes what the read has brought.
    ///
    /// # Errors
    /// Why it has not.
    pub(super) fn on_read(
        &mut self,
        outcome: Result<ReadPart, HistoryError>,
    ) -> Result<(), HistoryError> {
        let Some(request) = self.next.take() else { return Ok(()) };
        self.reads += 1;
        match outcome {
            Ok(part) => self.take(request, &part),
            Err(HistoryError::Trimmed { first }) if self.reads < READS_MAX => {
                self.next = what_is_left(request, first);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// The events, as JSON.
    ///
    /// # Errors
    /// There is none so far, and there may be more.
    pub(super) fn answer(self) -> Result<Vec<String>, MetaError> {
        let argument = match self.wanted.direction {
            Direction::Forward => "after_publication",
            Direction::Backward => "before_publication",
        };
        match self.stopped_at.filter(|_| self.events.is_empty()) {
            Some(last) => Err(MetaError::NothingSoFar { argument, last }),
            None => Ok(self.events),
        }
    }

    fn take(&mut self, request: HistoryRequest, part: &ReadPart) {
        for segment in &part.segments {
            for event in self.events_of(segment) {
                if self.is_full() {
                    return;
                }
                self.bytes += event.len();
                self.events.push(event);
            }
        }
        let Some(last) = part.segments.last().filter(|_| !part.is_complete) else { return };
        let (position, id) = last_of(last, self.wanted.direction);
        if self.is_full() || self.wanted.has_ended(position, id) {
            return;
        }
        let next = self.after(request, position, id);
        if self.reads < READS_MAX {
            self.next = next;
        } else {
            self.stopped_at = next.map(|_| position);
        }
    }

    /// In the direction.
    fn events_of(&self, segment: &TailSegment) -> Vec<String> {
        let Of { info, subscription, pattern } = &self.of;
        let names_topic = pattern.matching != Match::Exact;
        let wanted = &self.wanted;
        let within =
            |position, id| wanted.has_begun(position, id) && !wanted.has_ended(position, id);
        let target = (*subscription, names_topic);
        let mut events = stored_events(segment, pattern, target, &info.receiver(), within);
        if wanted.direction == Direction::Backward {
            events.reverse();
        }
        events
    }

    fn is_full(&self) -> bool {
        self.events.len() as u64 >= self.wanted.limit || self.bytes >= ANSWER_BYTES
    }

    /// The read after one that has ended with this message; none, where nothing can be there.
    fn after(
        &self,
        request: HistoryRequest,
        position: Position,
        id: PermanentId,
    ) -> Option<HistoryRequest> {
        let jump = self.wanted.jump().filter(|_| !self.wanted.has_begun(position, id));
        let next = match self.wanted.direction {
            Direction::Forward => position.plus(1),
            Direction::Backward => Position(position.0.checked_sub(1)?),
        };
        let place = Some(next).filter(|next| *next >= Position::FIRST)?;
        let start = jump.unwrap_or(Start::At(HistoryPlace::Position(place)));
        Some(HistoryRequest { start, limit: Some(MESSAGES_MAX), ..request })
    }
}

/// The same of what retention has left: what it has dropped is not there.
fn what_is_left(request: HistoryRequest, first: Position) -> Option<HistoryRequest> {
    match request.direction {
        Direction::Forward => Some(HistoryRequest { start: Start::Anywhere, ..request }),
        // Down to there; what is not at all above it is asked for once.
        Direction::Backward => match request.until {
            Some(Bound::Position(until)) if until >= first => None,
            Some(Bound::Position(_) | Bound::Id(_)) | None => {
                Some(HistoryRequest { until: Some(Bound::Position(first)), ..request })
            }
        },
    }
}

/// The message of a segment that a read in this direction has come to last.
fn last_of(segment: &TailSegment, direction: Direction) -> (Position, PermanentId) {
    let position = match direction {
        Direction::Forward => Position(end_of(segment).0.saturating_sub(1)),
        Direction::Backward => first_of(segment),
    };
    let offset = position.0.saturating_sub(segment.first.0);
    let offset = u32::try_from(offset).unwrap_or(u32::MAX);
    (position, PermanentId { stamp: segment.stamp, offset })
}

#[cfg(test)]
mod tests;
