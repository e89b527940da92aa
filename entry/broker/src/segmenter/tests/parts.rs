//! Seeded runs of messages and writes: parts never part, and the order is that of publishing.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;
use crate::api::Write;

/// The seed of a failing run is in its message; `VIXEN_SEED` runs one alone.
#[test]
fn parts_never_part_and_order_is_kept_whatever_happens() {
    let given = std::env::var("VIXEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(0..200, |seed: u64| seed..seed + 1);
    let mut seen = Seen::default();
    for seed in seeds {
        eprintln!("VIXEN_SEED={seed}");
        Run::new(seed).go(&mut seen);
    }
    if given.is_none() {
        let Seen { refused, moved, renewed, given_up, durable, alone } = seen;
        for (what, count) in [
            ("refused", refused),
            ("moved", moved),
            ("renewed", renewed),
            ("given up", given_up),
            ("durable", durable),
            ("larger than a segment", alone),
        ] {
            assert!(count > 20, "{what}: {count}, and the runs are to have it");
        }
    }
}

/// The judge of these runs sees it where parts are published like other messages.
#[test]
#[should_panic(expected = "whole, in publishing order")]
fn parts_that_are_published_one_by_one_part() {
    for seed in 0..50 {
        Run { is_parted: true, ..Run::new(seed) }.go(&mut Seen::default());
    }
}

/// How often runs had what they are about.
#[derive(Default)]
struct Seen {
    refused: usize,
    moved: usize,
    renewed: usize,
    given_up: usize,
    durable: usize,
    alone: usize,
}

/// A message, or a write: its parts by their marks.
struct Unit {
    marks: Vec<u64>,
    request: Option<RequestId>,
    wait: bool,
    counted: usize,
}

/// What a unit was told, once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    At(Position),
    Durable,
    GivenUp,
}

struct Run {
    rng: StdRng,
    /// Writes are given to the segmenter as single messages.
    is_parted: bool,
    bench: Bench,
    groups: u16,
    messages_max: u32,
    bytes_max: usize,
    next_mark: u64,
    next_request: u64,
    next_position: u64,
    /// Taken and without a place, in publishing order.
    unplaced: VecDeque<Unit>,
    /// What was sent of each segment: its meta and the marks of its messages.
    sent: BTreeMap<SegmentId, (SegmentMeta, Vec<u64>)>,
    told: BTreeMap<RequestId, Told>,
    /// Units that their sessions were told of, or that nobody asks for.
    resolved: usize,
    units: usize,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let groups = rng.random_range(1..=3);
        let messages_max = rng.random_range(1..=9);
        let bytes_max = rng.random_range(150..900);
        let options = SegmenterOptions {
            owner: owner(),
            membership: Membership::sized(3, (0..groups).map(|_| 3), 2),
            stall_ms: 300,
            publish_timeout_ms: TIMEOUT_MS,
            messages_max,
            bytes_max,
        };
        let bench = Bench { segmenter: Segmenter::new(options), now: at(0) };
        Self {
            rng,
            is_parted: false,
            bench,
            groups,
            messages_max,
            bytes_max,
            next_mark: 1,
            next_request: 1,
            next_position: 1,
            unplaced: VecDeque::new(),
            sent: BTreeMap::new(),
            told: BTreeMap::new(),
            resolved: 0,
            units: 0,
        }
    }

    fn go(mut self, seen: &mut Seen) {
        for _ in 0..300 {
            self.event(seen);
        }
        for ndb in self.nodes() {
            self.step(Input::NdbUp { ndb }, seen);
            self.step(Input::Standing { from: ndb, standing: NdbStanding::Willing }, seen);
        }
        while !self.unplaced.is_empty() {
            self.step(Input::Flush, seen);
            self.place(seen);
        }
        assert_eq!(self.bench.segmenter.unresolved(), 0);
        assert_eq!(self.resolved, self.units, "each is told of once");
        let untold = (1..self.next_request).find(|n| !self.told.contains_key(&RequestId(*n)));
        assert_eq!(untold, None, "each request is answered");
    }

    fn nodes(&self) -> Vec<NdbId> {
        let members = |group| (0..3).map(move |member| NdbId { group: GroupId(group), member });
        (0..self.groups).flat_map(members).collect()
    }

    fn event(&mut self, seen: &mut Seen) {
        let nodes = self.nodes();
        let ndb = nodes[self.rng.random_range(0..nodes.len())];
        let unresolved = self.bench.segmenter.unresolved_segments().map(|each| each.meta.id);
        let unresolved = unresolved.collect::<Vec<_>>();
        let any = (!unresolved.is_empty())
            .then(|| unresolved[self.rng.random_range(0..unresolved.len())]);
        match (self.rng.random_range(0..24), any) {
            (0..4, _) => self.publish(seen),
            (4..8, _) => self.write(seen),
            (8..10, _) => self.step(Input::Flush, seen),
            (10..12, _) => self.step(Input::NdbUp { ndb }, seen),
            (12, _) => self.step(Input::NdbDown { ndb }, seen),
            (13..16, _) => {
                let standing = match self.rng.random_range(0..5) {
                    0 => NdbStanding::DiskFull,
                    _ => NdbStanding::Willing,
                };
                self.step(Input::Standing { from: ndb, standing }, seen);
            }
            (16, Some(segment)) => {
                let reason = [RefuseReason::Gap, RefuseReason::Unwilling, RefuseReason::TooLarge]
                    [self.rng.random_range(0..3)];
                self.step(Input::Refused { from: ndb, segment, reason }, seen);
            }
            (17, Some(segment)) => self.step(Input::Trim { from: ndb, segment }, seen),
            (18..20, Some(segment)) => self.step(Input::Durable { from: ndb, segment }, seen),
            (20..22, _) => self.place(seen),
            (22, _) => {
                self.bench.now = self.bench.now.plus_millis(self.rng.random_range(0..400));
                if self.bench.segmenter.timeout_at().is_some_and(|at| at <= self.bench.now) {
                    self.step(Input::Timeout { missing: String::new() }, seen);
                }
            }
            (23, _) if self.rng.random_bool(0.3) => {
                let owner = self.bench.segmenter.owner();
                let made = owner.made_at().unwrap_or_default().plus_millis(1);
                let owner = owner.made_anew(self.bench.now.max(made));
                seen.renewed += usize::from(!unresolved.is_empty());
                self.step(Input::Renew { owner }, seen);
            }
            _ => {}
        }
    }

    fn part(&mut self) -> Publish {
        let mark = self.next_mark;
        self.next_mark += 1;
        let padding = match self.rng.random_range(0..8) {
            0 => self.rng.random_range(0..self.bytes_max),
            _ => self.rng.random_range(0..60),
        };
        let payload = [&mark.to_be_bytes()[..], &vec![b'.'; padding]].concat();
        let level = match self.rng.random_range(0..4) {
            0 => AckLevel::Durable,
            _ => AckLevel::Canonical,
        };
        Publish {
            topic: Topic::new("r", ["a", "b.b", "c.c.c"][self.rng.random_range(0..3)]),
            payload: payload.into(),
            acknowledge: None,
            level,
            wait: self.rng.random_bool(0.2),
            ..publish("", 0)
        }
    }

    fn asks(&mut self, mut message: Publish) -> Publish {
        if self.rng.random_bool(0.7) {
            message.acknowledge = Some(RequestId(self.next_request));
            self.next_request += 1;
        }
        message
    }

    fn session(&mut self) -> SessionId {
        SessionId(self.rng.random_range(1..4))
    }

    fn publish(&mut self, seen: &mut Seen) {
        let mut messages = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let part = self.part();
            messages.push(self.asks(part));
        }
        self.unplaced.extend(messages.iter().map(|message| unit_of([message])));
        self.units += messages.len();
        let session = self.session();
        self.step(Input::Publish { session, messages }, seen);
    }

    fn write(&mut self, seen: &mut Seen) {
        let count = self.rng.random_range(1..=self.messages_max + 1);
        let head = self.part();
        let head = self.asks(head);
        let rest = (1..count).map(|_| self.part()).collect();
        let write = Write::new(head, rest);
        let bytes = self.bytes_alone(&write);
        let is_refused = count > self.messages_max || bytes > 2 * self.bytes_max;
        self.units += 1;
        let (refused, session) = (seen.refused, self.session());
        if !is_refused {
            self.unplaced.push_back(unit_of(write.parts()));
        }
        if self.is_parted && !is_refused {
            let messages = write.parts().cloned().collect();
            return self.step(Input::Publish { session, messages }, seen);
        }
        self.step(Input::Write { session, write: Box::new(write) }, seen);
        assert_eq!(seen.refused > refused, is_refused, "{count} parts of {bytes} bytes");
    }

    /// As much as they may take of a segment of their own.
    fn bytes_alone(&self, write: &Write) -> usize {
        let mut last = None;
        let table = |topic: &Topic| topic.realm.len() + topic.uri.len() + 8;
        let part = |part: &Publish| {
            let is_new = last.replace(part.topic.clone()).as_ref() != Some(&part.topic);
            let record = record_of(SessionId(1), part).stored_bytes();
            record + if is_new { table(&part.topic) } else { 0 }
        };
        16 + write.parts().map(part).sum::<usize>()
    }

    /// The oldest segment gets its place, if a node can have it.
    fn place(&mut self, seen: &mut Seen) {
        let oldest = self.bench.segmenter.unresolved_segments().next().map(|each| each.meta);
        let Some((meta, (sent, marks))) =
            oldest.and_then(|meta| Some((meta, self.sent.remove(&meta.id)?)))
        else {
            return;
        };
        assert_eq!(meta, sent);
        assert_eq!(meta.count as usize, marks.len());
        assert!(meta.count <= self.messages_max);
        let first = Position(self.next_position);
        self.next_position += u64::from(meta.count);
        let (mut offset, mut units) = (0, Vec::new());
        while offset < marks.len() {
            let unit = self.unplaced.pop_front().expect("nothing is stored that was not taken");
            assert!(marks[offset..].starts_with(&unit.marks), "whole, in publishing order");
            let place = first.plus(u32::try_from(offset).expect("few"));
            offset += unit.marks.len();
            units.push((unit, place));
        }
        if meta.bytes as usize > self.bytes_max {
            assert_eq!(units.len(), 1, "only alone it may be larger than a segment");
            seen.alone += usize::from(marks.len() > 1);
        }
        let mut fx = Effects::default();
        let placed = Input::Placed { segment: meta.id, first, stamp: stamp_of(first.0) };
        self.bench.segmenter.step(self.bench.now, placed, &mut fx);
        assert_eq!(fx.permits, units.iter().map(|(unit, _)| unit.counted).sum::<usize>());
        self.hear(fx, seen);
        for (unit, place) in units {
            let Some(request) = unit.request else { continue };
            match self.told.get(&request) {
                Some(Told::At(told)) => assert_eq!(*told, place, "the place of its head"),
                Some(Told::GivenUp) => assert!(!unit.wait, "who waits on is told the place"),
                Some(Told::Durable) => {}
                None => panic!("{request:?} has its place, and was not answered"),
            }
        }
    }

    fn step(&mut self, input: Input, seen: &mut Seen) {
        let fx = self.bench.step(input);
        if fx.notes.iter().any(|note| matches!(note, Note::TooLarge { .. })) {
            seen.refused += 1;
        } else {
            assert_eq!(fx.permits, 0, "room is held until there is a place");
        }
        self.hear(fx, seen);
    }

    fn hear(&mut self, fx: Effects, seen: &mut Seen) {
        let is_move = |note: &&Note| matches!(note, Note::Moved { .. });
        seen.moved += fx.notes.iter().filter(is_move).count();
        self.note_sends(fx.sends);
        for (_session, outgoing) in fx.outgoing {
            let Outgoing::Resolved { messages, answers, .. } = outgoing else {
                panic!("{outgoing:?}")
            };
            self.resolved += messages;
            for (request, outcome) in answers {
                let told = match outcome {
                    Ok(Acknowledged::Canonical(place)) => Told::At(place.position),
                    Ok(Acknowledged::Durable { .. }) => Told::Durable,
                    Err(PublishError::NoQuorum { .. } | PublishError::TooLarge { .. }) => {
                        Told::GivenUp
                    }
                };
                seen.given_up += usize::from(told == Told::GivenUp);
                seen.durable += usize::from(told == Told::Durable);
                assert!(self.told.insert(request, told).is_none(), "{request:?} is answered twice");
            }
        }
        let held = self.unplaced.iter().map(|unit| unit.counted).sum::<usize>();
        assert_eq!(self.bench.segmenter.unacknowledged_bytes(), held);
    }

    /// Each node gets each segment whole, and all get the same.
    fn note_sends(&mut self, sends: Vec<(NdbId, Message)>) {
        let mut coming: BTreeMap<NdbId, (Vec<Topic>, Vec<Bytes>)> = BTreeMap::new();
        for (ndb, message) in sends {
            match message {
                Message::Publish(PublishMessage::BeginAdvanceSegment { .. }) => {
                    coming.insert(ndb, Default::default());
                }
                Message::Publish(PublishMessage::KeepAdvanceHistory {
                    topics, records, ..
                }) => {
                    let (table, parts) = coming.get_mut(&ndb).expect("begun");
                    table.extend(topics);
                    parts.push(records);
                }
                Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => {
                    let (table, parts) = coming.remove(&ndb).expect("begun");
                    let parts = parts.iter().map(|part| &part[..]).collect::<Vec<_>>();
                    assert_eq!(Blob::assemble(&table, &parts).verify(&meta), Ok(()));
                    let parts = parts.concat();
                    let mark = |payload: &[u8]| {
                        u64::from_be_bytes(*payload.first_chunk().expect("a mark"))
                    };
                    let marks = Records::new(&parts).map(|record| mark(record.payload)).collect();
                    let before = self.sent.insert(meta.id, (meta, marks));
                    assert!(before.is_none_or(|before| before == self.sent[&meta.id]));
                }
                Message::Publish(PublishMessage::AwaitDurable { .. }) => {}
                other => panic!("unexpected {}", other.name()),
            }
        }
    }
}

fn unit_of<'a>(parts: impl IntoIterator<Item = &'a Publish>) -> Unit {
    let parts = parts.into_iter().collect::<Vec<_>>();
    let mark = |part: &&Publish| u64::from_be_bytes(*part.payload.first_chunk().expect("a mark"));
    Unit {
        marks: parts.iter().map(mark).collect(),
        request: parts[0].acknowledge,
        wait: parts[0].wait,
        counted: parts.iter().map(|part| part.counted_bytes()).sum(),
    }
}
