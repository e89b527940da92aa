//! The core's part of reading what is stored: what consumers want, and what ndb nodes answer.

use tokio::sync::oneshot;
use tokio::time::Instant;

use vixen_broker::history::{
    Bound, Direction, Effects, End, HistoryError, HistoryItem, HistoryRequest, Input, Known, Note,
    RefPoint, Start, Verdict,
};
use vixen_core::id::NdbId;
use vixen_core::time::WallTime;
use vixen_core::wire::{FeedMessage, HistoryPlace, Message, ReadMessage};
use vixen_runtime::clock::wall_time;

use super::history::{HistoryEvent, HistoryStream};
use super::reads::Asked;
use super::run::EntryNode;

/// So far ahead of the wall a time may be without a question: clocks differ.
const TIME_AHEAD_MS: u64 = 60_000;

impl EntryNode {
    pub(super) fn on_history(&mut self, now: WallTime, event: HistoryEvent) {
        match event {
            HistoryEvent::Open { request, answer } => {
                self.metrics.history_reads.increment(1);
                tracing::debug!(?request, "history is read");
                // The places of those who are gone are free.
                self.reads.sweep(now);
                self.open_history(now, request, answer);
            }
            HistoryEvent::Took { read } => self.reads.step(now, Input::Took { read }),
            HistoryEvent::Dropped { read } => {
                self.reads.consumers.remove(&read);
                self.reads.step(now, Input::Cancel { read });
            }
        }
    }

    fn open_history(
        &mut self,
        now: WallTime,
        request: HistoryRequest,
        answer: oneshot::Sender<HistoryStream>,
    ) {
        self.awaited.read(std::time::Instant::now());
        // What this entry knows may be a little old: nobody has waited for the order here, or another entry has just
        // acknowledged something.
        let is_alone = self.sync.heard().count() < self.options.membership.quorum();
        let known = self.known();
        let goes_to_end = known.is_some_and(|known| goes_to_end(&request, &known));
        let (request, answer) = if is_alone || !goes_to_end {
            (request, answer)
        } else {
            match self.reads.end.catch_up(now, (request, answer)) {
                Ok(()) => return,
                Err(back) => back,
            }
        };
        let stream = match known {
            None => self.reads.refuse(&self.handle, HistoryError::NotReady),
            Some(known) => match request.named.filter(|named| !is_known(*named, &known)) {
                None => self.reads.open(now, &self.handle, request, &known),
                Some(named) => match self.reads.end.wait(now, named, (request, answer)) {
                    Ok(()) => return,
                    Err((_, answer)) => {
                        let busy = HistoryError::Busy { max: End::<Asked>::WAITING_MAX };
                        let _asker_gone = answer.send(self.reads.refuse(&self.handle, busy));
                        return;
                    }
                },
            },
        };
        let _asker_gone = answer.send(stream);
    }

    /// How far the order is known here.
    pub(super) fn known(&self) -> Option<Known> {
        let reader = self.reader.as_ref()?;
        let frontier = reader.frontier();
        // A tail may be ahead of the frontier: what is delivered is stored.
        let next = Some(reader.next_position()).max(self.delivery.passed());
        Some(Known {
            next: next.unwrap_or_default(),
            delivered: frontier.delivered(),
            sigma: frontier.sigma(),
        })
    }

    /// Opens the reads whose place has come, refuses those whose place cannot come, and asks how far
    /// the others may have to wait.
    fn settle_end(&mut self, now: WallTime) {
        let Some(known) = self.known() else { return };
        let (told, question) = self.reads.end.poll(now, &known);
        for ((request, answer), verdict) in told {
            let stream = match verdict {
                Verdict::Within | Verdict::Reached | Verdict::Overdue => {
                    self.reads.open(now, &self.handle, request, &known)
                }
                Verdict::Beyond => {
                    self.reads.refuse(&self.handle, HistoryError::Beyond { end: known.end() })
                }
                Verdict::Unknown { waited_ms } => {
                    self.reads.refuse(&self.handle, HistoryError::EndUnknown { waited_ms })
                }
            };
            let _asker_gone = answer.send(stream);
        }
        if let Some(request) = question {
            for id in self.sync.linked() {
                self.sync.send(id, Message::Feed(FeedMessage::AskReached { request }));
            }
        }
    }

    /// Takes `HistorySegment` and `HistoryEnd`.
    pub(super) fn on_history_message(&mut self, now: WallTime, from: NdbId, message: Message) {
        let input = match message {
            Message::Read(ReadMessage::HistorySegment { request, segment }) => {
                Input::Segment { from, request, segment }
            }
            Message::Read(ReadMessage::HistoryEnd { request, end }) => {
                Input::End { from, request, end }
            }
            other => return self.on_stranger(&self.options.roster.ndb(from), &other),
        };
        self.reads.step(now, input);
    }

    /// Does what this turn's steps owe.
    pub(super) fn settle_history(&mut self, now: WallTime) {
        self.reads.sweep(now);
        self.settle_end(now);
        self.reads.step(now, Input::Flush);
        let Effects { sends, items, notes } = std::mem::take(&mut self.reads.fx);
        for (to, message) in sends {
            self.ndb.send(to, message);
        }
        for (read, item) in items {
            if let HistoryItem::Failed(error) = &item {
                self.metrics.history_failed(error);
                // As often as a client likes: counted, and in the log for who looks for it.
                tracing::debug!(read = read.0, %error, "a read of history failed");
            }
            self.reads.hand(read, item);
        }
        for note in notes {
            match note {
                Note::GaveOut { messages } => self.metrics.history_messages.increment(messages),
                Note::Trouble { read, from, trouble } => {
                    let peer = self.options.roster.ndb(from);
                    tracing::debug!(read = read.0, %peer, %trouble, "history asked for again");
                }
            }
        }
    }

    /// When [`settle_history`](Self::settle_history) is due without an event.
    pub(super) fn history_due_at(&self) -> Option<Instant> {
        self.reads.timeout_at().map(|at| self.clock.instant_of(at))
    }
}

/// Whether a read gives out the newest that there is, and what it names is known.
fn goes_to_end(request: &HistoryRequest, known: &Known) -> bool {
    let HistoryRequest { start, direction, until, named, .. } = request;
    if named.is_some_and(|named| !is_known(named, known)) {
        return false;
    }
    match direction {
        // It ends before its bound.
        Direction::Forward => !until.is_some_and(|until| match until {
            Bound::Position(position) => position <= known.next,
            Bound::Id(id) => known.holds(RefPoint::Id(id)),
        }),
        Direction::Backward => match start {
            Start::Anywhere | Start::At(HistoryPlace::End) => true,
            Start::At(HistoryPlace::Position(position)) => *position >= known.next,
            Start::At(HistoryPlace::Id { stamp, .. }) => *stamp > known.delivered,
        },
    }
}

/// Whether the order has come to what is named, or it is a time that is not, or hardly, ahead: then it
/// stands between messages, whether or not there are any behind it.
fn is_known(named: RefPoint, known: &Known) -> bool {
    let is_time_by_now = match named {
        RefPoint::Time(at) => at <= wall_time().plus_millis(TIME_AHEAD_MS),
        RefPoint::Position(_) | RefPoint::Id(_) => false,
    };
    is_time_by_now || known.holds(named)
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{Position, Stamp};

    use super::*;

    /// An order of five messages.
    const KNOWN: Known = Known { next: Position(6), delivered: Stamp(50), sigma: Stamp(60) };

    fn request(direction: Direction, until: Option<u64>, named: Option<u64>) -> HistoryRequest {
        HistoryRequest {
            start: Start::Anywhere,
            direction,
            until: until.map(|position| Bound::Position(Position(position))),
            topics: Vec::new(),
            limit: None,
            named: named.map(|position| RefPoint::Position(Position(position))),
        }
    }

    fn waits(request: &HistoryRequest) -> bool {
        goes_to_end(request, &KNOWN)
    }

    #[test]
    fn what_ends_before_the_end_that_is_known_waits_for_nothing() {
        let forward = |until, named| request(Direction::Forward, until, named);
        assert!(waits(&forward(None, None)) && waits(&forward(Some(7), None)));
        assert!(waits(&forward(None, Some(5))), "it names a place that is known");
        assert!(!waits(&forward(None, Some(6))), "first the place has to come");
        // A snapshot, and pages after the first, end where the order did when they began.
        assert!(!waits(&forward(Some(6), None)) && !waits(&forward(Some(3), Some(1))));
    }

    #[test]
    fn what_goes_backward_waits_where_it_begins_at_the_end() {
        let from = |place| HistoryRequest {
            start: Start::At(place),
            ..request(Direction::Backward, None, None)
        };
        assert!(waits(&request(Direction::Backward, None, Some(2))), "however far down it goes");
        assert!(waits(&from(HistoryPlace::End)));
        assert!(waits(&from(HistoryPlace::Position(Position(6)))));
        assert!(!waits(&from(HistoryPlace::Position(Position(5)))));
        assert!(!waits(&from(HistoryPlace::Id { stamp: Stamp(50), offset: 0 })));
    }
}
