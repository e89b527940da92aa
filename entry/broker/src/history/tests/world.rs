//! The order, what nodes know of it, and how they answer.

use rand::RngExt;
use rand::rngs::StdRng;

use vixen_core::id::Stamp;
use vixen_core::segment::{Encoding, Record, RecordFlags, Records, Topic};
use vixen_core::wire::HistoryQuery;

use super::*;

/// A stored segment, as every node knows it.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) group: GroupId,
    pub(super) first: u64,
    pub(super) stamp: Stamp,
    /// Topic of each message.
    pub(super) topics: Vec<usize>,
}

pub(super) const TOPICS: [&str; 3] = ["a", "b", "b.c"];

impl Stored {
    pub(super) fn end(&self) -> u64 {
        self.first + self.topics.len() as u64
    }

    /// Messages of it at the positions, if they match.
    pub(super) fn select(&self, positions: &[u64]) -> TailSegment {
        let mut records = Vec::new();
        for position in positions {
            let topic = self.topics[usize::try_from(position - self.first).expect("small")];
            let payload = format!("[{position}]");
            let record = Record {
                topic: u16::try_from(topic).expect("three"),
                content: Encoding::Json.into(),
                flags: RecordFlags::default(),
                session: 1,
                attributes: &[],
                payload: payload.as_bytes(),
            };
            record.write_to(&mut records);
        }
        let is_all = positions.len() == self.topics.len();
        let offset = |position: &u64| u32::try_from(position - self.first).expect("small");
        let offsets = if is_all { vec![] } else { positions.iter().map(offset).collect() };
        TailSegment {
            first: Position(self.first),
            count: u32::try_from(self.topics.len()).expect("small"),
            stamp: self.stamp,
            topics: TOPICS.iter().map(|uri| Topic::new("r", uri)).collect(),
            offsets,
            records: records.into(),
        }
    }
}

/// The order, and what a node knows of it.
pub(super) struct World {
    pub(super) order: Vec<Stored>,
    /// First position that is left.
    pub(super) base: u64,
}

impl World {
    pub(super) fn random(rng: &mut StdRng, groups: u16) -> Self {
        let mut order = Vec::new();
        let (mut first, mut stamp) = (1, 1_000);
        for _segment in 0..rng.random_range(0..40) {
            let topics: Vec<_> =
                (0..rng.random_range(1..6)).map(|_| rng.random_range(0..3)).collect();
            let group = GroupId(rng.random_range(0..groups));
            stamp += rng.random_range(1..4);
            order.push(Stored { group, first, stamp: Stamp(stamp), topics });
            first = order.last().map_or(1, Stored::end);
        }
        Self { order, base: 1 }
    }

    pub(super) fn next(&self) -> u64 {
        self.order.last().map_or(1, Stored::end)
    }

    /// Id of each message, and its position.
    pub(super) fn ids(&self, known: usize) -> Vec<(PermanentId, u64)> {
        let of = |stored: &Stored| {
            let (stamp, first) = (stored.stamp, stored.first);
            (0..)
                .zip(first..stored.end())
                .map(move |(offset, position)| (PermanentId { stamp, offset }, position))
        };
        self.order[..known].iter().flat_map(of).collect::<Vec<_>>()
    }

    /// What a node of `group` that knows `known` segments answers, as the wire says it is to.
    pub(super) fn answer(
        &self,
        rng: &mut StdRng,
        group: GroupId,
        known: usize,
        query: &HistoryQuery,
    ) -> (Vec<TailSegment>, HistoryEnd) {
        let end = self.order[..known].last().map_or(1, Stored::end).max(self.base);
        let ids = self.ids(known);
        let from = match (query.from, query.is_backward) {
            (HistoryPlace::Position(position), _) => position.0,
            (HistoryPlace::Id { stamp, offset }, false) => {
                let wanted = PermanentId { stamp, offset };
                ids.iter().find(|(id, _)| *id >= wanted).map_or(end, |(_, position)| *position)
            }
            (HistoryPlace::Id { stamp, offset }, true) => {
                let wanted = PermanentId { stamp, offset };
                ids.iter().rfind(|(id, _)| *id <= wanted).map_or(0, |(_, position)| *position)
            }
            (HistoryPlace::End, _) => end - 1,
        };
        if from < self.base && (from > 0 || self.base > 1) {
            return (vec![], HistoryEnd::Trimmed { first: Position(self.base) });
        }
        let until = query.until.map(|until| until.0);
        let positions: Vec<_> = if query.is_backward {
            (until.unwrap_or(1).max(self.base)..(from + 1).min(end)).rev().collect()
        } else {
            (from..until.unwrap_or(u64::MAX).min(end)).collect()
        };
        let mut segments: Vec<(usize, Vec<u64>)> = Vec::new();
        // A batch ends where the node likes, but gets on.
        let (sent_max, seen_max) = (rng.random_range(1..9), rng.random_range(1..60));
        let sent_max = sent_max.min(query.messages_max);
        let mut sent = 0;
        for (seen, position) in positions.iter().copied().enumerate() {
            let index = self.order.iter().position(|stored| position < stored.end());
            let index = index.expect("below the end");
            let stored = &self.order[index];
            let topic = stored.topics[usize::try_from(position - stored.first).expect("small")];
            let topic = Topic::new("r", TOPICS[topic]);
            let matches = query.topics.iter().any(|pattern| pattern.matches(&topic));
            if seen >= seen_max || (matches && stored.group == group && sent >= sent_max) {
                let next = Position(position);
                return (self.cut(query, segments), HistoryEnd::Next { next, is_end: false });
            }
            if stored.group == group && matches {
                if rng.random_ratio(1, 150) {
                    let next = Position(position);
                    return (self.cut(query, segments), HistoryEnd::Unavailable { next });
                }
                sent += 1;
                match segments.last_mut().filter(|(last, _)| *last == index) {
                    Some((_, positions)) => positions.push(position),
                    None => segments.push((index, vec![position])),
                }
            }
        }
        let next = if query.is_backward {
            until.unwrap_or(1).max(self.base).min(from + 1) - 1
        } else {
            from.max(until.unwrap_or(u64::MAX).min(end))
        };
        (self.cut(query, segments), HistoryEnd::Next { next: Position(next), is_end: true })
    }

    pub(super) fn cut(
        &self,
        query: &HistoryQuery,
        segments: Vec<(usize, Vec<u64>)>,
    ) -> Vec<TailSegment> {
        let each = segments.into_iter().map(|(index, mut positions)| {
            if query.is_backward {
                positions.reverse();
            }
            self.order[index].select(&positions)
        });
        each.collect()
    }

    /// What a read is to give out, by position.
    pub(super) fn expected(&self, request: &HistoryRequest, next: u64) -> Vec<u64> {
        let at_or_after = |bound: Bound| {
            move |(id, position): (PermanentId, u64)| match bound {
                Bound::Position(bound) => position >= bound.0,
                Bound::Id(bound) => id >= bound,
            }
        };
        let start: Box<dyn Fn((PermanentId, u64)) -> bool> = match request.start {
            Start::Anywhere | Start::At(HistoryPlace::End) => Box::new(|_| true),
            Start::At(HistoryPlace::Position(start)) => {
                Box::new(move |(_, position)| match request.direction {
                    Direction::Forward => position >= start.0,
                    Direction::Backward => position <= start.0,
                })
            }
            Start::At(HistoryPlace::Id { stamp, offset }) => Box::new(move |(id, _)| {
                let start = PermanentId { stamp, offset };
                match request.direction {
                    Direction::Forward => id >= start,
                    Direction::Backward => id <= start,
                }
            }),
        };
        let topic_of = |position| {
            let stored = self.order.iter().find(|stored| position < stored.end());
            let stored = stored.expect("stored");
            let topic = stored.topics[usize::try_from(position - stored.first).expect("small")];
            Topic::new("r", TOPICS[topic])
        };
        let mut wanted: Vec<_> = self
            .ids(self.order.len())
            .into_iter()
            .filter(|at| at.1 < next && at.1 >= self.base && start(*at))
            .filter(|at| match (request.until, request.direction) {
                (None, _) => true,
                (Some(bound), Direction::Forward) => !at_or_after(bound)(*at),
                (Some(bound), Direction::Backward) => at_or_after(bound)(*at),
            })
            .map(|(_, position)| position)
            .filter(|position| {
                request.topics.iter().any(|pattern| pattern.matches(&topic_of(*position)))
            })
            .collect();
        if request.direction == Direction::Backward {
            wanted.reverse();
        }
        wanted.truncate(usize::try_from(request.limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX));
        wanted
    }
}

/// Positions of the messages of a segment, checked against their payloads.
pub(super) fn positions_of(segment: &TailSegment) -> Vec<u64> {
    let mut records = Records::new(&segment.records);
    let each = records.by_ref().enumerate().map(|(index, record)| {
        let offset = segment.offsets.get(index).map_or(index as u64, |offset| u64::from(*offset));
        let position = segment.first.0 + offset;
        assert_eq!(record.payload, format!("[{position}]").as_bytes());
        position
    });
    let positions = each.collect();
    assert!(records.is_complete());
    positions
}
