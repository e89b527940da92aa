//! Pending: whose messages a segment carries, and whom to answer.
//!
//! Kept beside the segment's bytes as runs, one a publish, so that a segment of thousands of
//! messages is answered with work per session and one copy per wanted answer.

use std::collections::{BTreeMap, VecDeque};

use vixen_common::id::Position;
use vixen_common::time::WallTime;

use crate::broker::{Outgoing, PublishError, RequestId, SessionId};

/// Consecutive messages of one session that arrived together.
#[derive(Debug)]
struct Run {
    session: SessionId,
    at: WallTime,
    messages: usize,
    bytes: usize,
    wanted: usize,
}

/// The messages of one segment that nobody was told about yet, in the order of their offsets.
#[derive(Debug, Default)]
pub(super) struct Pending {
    runs: VecDeque<Run>,
    /// Offset and request of every message that wants an answer.
    wanted: VecDeque<(u32, RequestId)>,
    bytes: usize,
}

/// The answer of one session, under construction.
struct Answer {
    session: SessionId,
    messages: usize,
    bytes: usize,
    answers: Vec<(RequestId, Result<Position, PublishError>)>,
}

impl Pending {
    /// Adds the message at `offset`, which must be above all before.
    pub(super) fn push(
        &mut self,
        now: WallTime,
        session: SessionId,
        offset: u32,
        acknowledge: Option<RequestId>,
        bytes: usize,
    ) {
        self.bytes += bytes;
        let wanted = usize::from(acknowledge.is_some());
        self.wanted.extend(acknowledge.map(|request| (offset, request)));
        match self.runs.back_mut() {
            Some(run) if run.session == session && run.at == now => {
                run.messages += 1;
                run.bytes += bytes;
                run.wanted += wanted;
            }
            _ => self.runs.push_back(Run { session, at: now, messages: 1, bytes, wanted }),
        }
    }

    /// Bytes of all its messages, told or not: what they hold of the entry's room.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// When the oldest message that nobody was told about came.
    pub(super) fn oldest(&self) -> Option<WallTime> {
        self.runs.front().map(|run| run.at)
    }

    /// Number of answers still wanted; for checks.
    pub(super) fn wanted(&self) -> usize {
        self.wanted.len()
    }

    /// Sum over the runs; for checks.
    pub(super) fn wanted_by_runs(&self) -> usize {
        self.runs.iter().map(|run| run.wanted).sum()
    }

    /// Tells everybody left where the messages stand; the segment begins at `first`.
    pub(super) fn place(&mut self, first: Position, outgoing: &mut Vec<(SessionId, Outgoing)>) {
        self.answer(WallTime(u64::MAX), outgoing, |_at, offset| Ok(first.plus(offset)));
    }

    /// Tells everybody whose messages came until `last`, inclusive, that they wait for `missing`.
    pub(super) fn give_up(
        &mut self,
        now: WallTime,
        last: WallTime,
        missing: &str,
        outgoing: &mut Vec<(SessionId, Outgoing)>,
    ) {
        self.answer(last, outgoing, |at, _offset| {
            let waited_ms = now.millis_since(at);
            Err(PublishError::NoQuorum { waited_ms, missing: missing.to_owned() })
        });
    }

    fn answer(
        &mut self,
        last: WallTime,
        outgoing: &mut Vec<(SessionId, Outgoing)>,
        outcome: impl Fn(WallTime, u32) -> Result<Position, PublishError>,
    ) {
        let mut answers: Vec<Answer> = Vec::new();
        let mut places: BTreeMap<SessionId, usize> = BTreeMap::new();
        while let Some(run) = self.runs.pop_front_if(|run| run.at <= last) {
            let session = run.session;
            let place = *places.entry(session).or_insert_with(|| {
                answers.push(Answer { session, messages: 0, bytes: 0, answers: Vec::new() });
                answers.len() - 1
            });
            let answer = &mut answers[place];
            answer.messages += run.messages;
            answer.bytes += run.bytes;
            let told = self.wanted.drain(..run.wanted);
            answer.answers.extend(told.map(|(offset, request)| (request, outcome(run.at, offset))));
        }
        outgoing.extend(answers.into_iter().map(|answer| {
            let Answer { session, messages, bytes, answers } = answer;
            (session, Outgoing::Resolved { messages, bytes, answers })
        }));
    }
}
