//! Pending: whose messages a segment carries, and whom to answer.
//!
//! Kept beside the segment's bytes as runs, one a publish, so that a segment of thousands of
//! messages is answered with work per session and one copy per wanted answer.
//!
//! ```text
//!   offsets      0    1    2    3    4    5    6    7
//!   impatient   |---- a ----|         |-b--|-- a ----|     give_up takes these, oldest first
//!   patient                 |-- a ----|                    place takes all, by their offsets
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::hash::{Hash, Hasher};

use rustc_hash::FxHasher;

use vixen_core::id::{PermanentId, Position, SegmentId, Stamp};
use vixen_core::time::WallTime;

use crate::api::{
    AckLevel, Acknowledged, Answer as Told, Outgoing, Place, Publish, PublishError, RequestId,
    SessionId,
};

/// Consecutive messages of one session that arrived together and wait alike. A write is one message.
#[derive(Debug)]
struct Run {
    session: SessionId,
    at: WallTime,
    /// Of its first message.
    offset: u32,
    /// Offsets that its messages take: more than there are messages where writes have several parts.
    parts: u32,
    messages: u32,
    bytes: usize,
    wanted: usize,
}

/// Runs in the order of their offsets.
#[derive(Debug, Default)]
struct Queue {
    runs: VecDeque<Run>,
    /// Offset and request of every message that wants an answer.
    wanted: VecDeque<(u32, RequestId)>,
}

/// The messages of one segment that nobody was told about yet.
#[derive(Debug, Default)]
pub(super) struct Pending {
    /// Given up after a time.
    impatient: Queue,
    /// With [`Publish::wait`].
    patient: Queue,
    /// Of [`AckLevel::Durable`]; given up like impatient ones.
    durable: Queue,
    bytes: usize,
}

/// What sessions are told, one answer each, in the order of their first messages.
#[derive(Default)]
struct Answers {
    list: Vec<Answer>,
    places: BTreeMap<SessionId, usize>,
}

/// The answer of one session, under construction.
struct Answer {
    session: SessionId,
    messages: usize,
    bytes: usize,
    answers: Vec<Told>,
}

impl Pending {
    /// Adds the message at `offset`, which must be the one after the last.
    pub(super) fn push(
        &mut self,
        now: WallTime,
        session: SessionId,
        offset: u32,
        message: &Publish,
    ) {
        self.push_write(now, session, offset, message, (1, message.counted_bytes()));
    }

    /// Adds a write of so many parts and [counted](Publish::counted_bytes) bytes, whose head is at `offset`,
    /// which must be the one after the last. It is answered as its head asks for, once.
    pub(super) fn push_write(
        &mut self,
        now: WallTime,
        session: SessionId,
        offset: u32,
        head: &Publish,
        (parts, bytes): (u32, usize),
    ) {
        self.bytes += bytes;
        let queue = match (head.level, head.wait) {
            // Whoever waits on wants the place.
            (_, true) => &mut self.patient,
            (AckLevel::Durable, false) => &mut self.durable,
            (AckLevel::Canonical, false) => &mut self.impatient,
        };
        queue.wanted.extend(head.acknowledge.map(|request| (offset, request)));
        let wanted = usize::from(head.acknowledge.is_some());
        match queue.runs.back_mut() {
            Some(run) if run.session == session && run.at == now && run.end() == offset => {
                run.parts += parts;
                run.messages += 1;
                run.bytes += bytes;
                run.wanted += wanted;
            }
            _ => {
                let run = Run { session, at: now, offset, parts, messages: 1, bytes, wanted };
                queue.runs.push_back(run);
            }
        }
    }

    /// Bytes of all its messages, told or not: what they hold of the entry's room.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest message came that can be given up and was not.
    pub(super) fn oldest(&self) -> Option<WallTime> {
        let queues = [&self.impatient, &self.durable];
        queues.into_iter().filter_map(|queue| queue.runs.front()).map(|run| run.at).min()
    }

    /// Whether somebody waits for the segment to be durable.
    pub(super) fn awaits_durable(&self) -> bool {
        !self.durable.runs.is_empty()
    }

    /// Tells those who wait for that.
    pub(super) fn be_durable(&mut self, id: SegmentId, outgoing: &mut Vec<(SessionId, Outgoing)>) {
        let mut answers = Answers::default();
        while !self.durable.runs.is_empty() {
            self.durable.answer_first(&mut answers, |_at, offset| {
                Ok(Acknowledged::Durable { publication: publication(id, offset) })
            });
        }
        answers.finish(outgoing);
    }

    /// Number of answers still wanted.
    pub(super) fn wanted(&self) -> usize {
        self.queues().into_iter().map(|queue| queue.wanted.len()).sum()
    }

    /// Whether every wanted answer belongs to a run; for checks.
    pub(super) fn is_consistent(&self) -> bool {
        self.queues().into_iter().all(|queue| {
            queue.runs.iter().map(|run| run.wanted).sum::<usize>() == queue.wanted.len()
                && queue.runs.iter().is_sorted_by(|a, b| a.end() <= b.offset)
        })
    }

    /// Tells everybody left where the messages stand: the segment begins at `first`, and was
    /// elected at `stamp`.
    pub(super) fn place(
        &mut self,
        first: Position,
        stamp: Stamp,
        outgoing: &mut Vec<(SessionId, Outgoing)>,
    ) {
        let mut answers = Answers::default();
        while let Some(queue) = self.next_queue() {
            queue.answer_first(&mut answers, |_at, offset| {
                let id = PermanentId { stamp, offset };
                Ok(Acknowledged::Canonical(Place { position: first.plus(offset), id }))
            });
        }
        answers.finish(outgoing);
    }

    /// Tells everybody whose messages came until `last`, inclusive, that they wait for `missing`,
    /// except those who wait on.
    pub(super) fn give_up(
        &mut self,
        now: WallTime,
        last: WallTime,
        missing: &str,
        outgoing: &mut Vec<(SessionId, Outgoing)>,
    ) {
        let mut answers = Answers::default();
        while let Some(queue) = first_of([&mut self.impatient, &mut self.durable])
            && queue.runs.front().is_some_and(|run| run.at <= last)
        {
            queue.answer_first(&mut answers, |at, _offset| {
                let waited_ms = now.millis_since(at);
                Err(PublishError::NoQuorum { waited_ms, missing: missing.to_owned() })
            });
        }
        answers.finish(outgoing);
    }

    const fn queues(&self) -> [&Queue; 3] {
        [&self.impatient, &self.patient, &self.durable]
    }

    /// The queue with the run of the lowest offset; `None` without any run.
    fn next_queue(&mut self) -> Option<&mut Queue> {
        first_of([&mut self.impatient, &mut self.patient, &mut self.durable])
    }
}

/// The queue with the run of the lowest offset; `None` without any run.
fn first_of<const N: usize>(queues: [&mut Queue; N]) -> Option<&mut Queue> {
    let offset = |queue: &Queue| queue.runs.front().map(|run| run.offset);
    queues.into_iter().filter(|queue| offset(queue).is_some()).min_by_key(|queue| offset(queue))
}

/// Tells a message without a place from others: a number of `2^52..2^53`, which no position is.
fn publication(id: SegmentId, offset: u32) -> u64 {
    let mut hasher = FxHasher::default();
    (id, offset).hash(&mut hasher);
    1 << 52 | hasher.finish() >> 12
}

impl Queue {
    /// Takes the first run, if there is one.
    fn answer_first(
        &mut self,
        answers: &mut Answers,
        outcome: impl Fn(WallTime, u32) -> Result<Acknowledged, PublishError>,
    ) {
        let Some(run) = self.runs.pop_front() else { return };
        let answer = answers.of(run.session);
        answer.messages += run.messages as usize;
        answer.bytes += run.bytes;
        let told = self.wanted.drain(..run.wanted);
        answer.answers.extend(told.map(|(offset, request)| (request, outcome(run.at, offset))));
    }
}

impl Run {
    /// Offset after its last message.
    const fn end(&self) -> u32 {
        self.offset + self.parts
    }
}

impl Answers {
    fn of(&mut self, session: SessionId) -> &mut Answer {
        let place = *self.places.entry(session).or_insert_with(|| {
            self.list.push(Answer { session, messages: 0, bytes: 0, answers: Vec::new() });
            self.list.len() - 1
        });
        &mut self.list[place]
    }

    fn finish(self, outgoing: &mut Vec<(SessionId, Outgoing)>) {
        outgoing.extend(self.list.into_iter().map(|answer| {
            let Answer { session, messages, bytes, answers } = answer;
            (session, Outgoing::Resolved { messages, bytes, answers })
        }));
    }
}
