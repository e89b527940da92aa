//! One step, exact effects; then a scenario with a hand-driven clock.

mod durable;
mod parts;
mod placement;
mod writes;

use bytes::Bytes;
use vixen_core::id::PermanentId;
use vixen_core::membership::Membership;
use vixen_core::segment::{
    Attributes, Blob, Encoding, Publisher, RecordFlags, Records, SegmentMeta, Topic,
};
use vixen_core::wire::{Message, PublishMessage};

use super::*;
use crate::api::{AckLevel, Acknowledged, Outgoing, Place, PublishError, RequestId};

const TIMEOUT_MS: u64 = 1_000;

fn owner() -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(0))
}

fn id(seq: u64) -> SegmentId {
    SegmentId { owner: owner(), seq: Seq(seq) }
}

fn ndb(member: u8) -> NdbId {
    NdbId { group: GroupId(0), member }
}

fn at(ms: u64) -> WallTime {
    WallTime(1_000_000 + ms)
}

fn publish(text: &'static str, request: u64) -> Publish {
    Publish {
        topic: Topic::new("r", "t"),
        content: Encoding::Json.into(),
        payload: Bytes::from_static(text.as_bytes()),
        attributes: Bytes::new(),
        flags: RecordFlags::EXCLUDE_ME,
        acknowledge: (request > 0).then_some(RequestId(request)),
        level: AckLevel::Canonical,
        wait: false,
    }
}

fn patient(text: &'static str, request: u64) -> Publish {
    Publish { wait: true, ..publish(text, request) }
}

/// A segmenter of a group of three with W = 2, and its clock.
struct Bench {
    segmenter: Segmenter,
    now: WallTime,
}

impl Bench {
    fn new(messages_max: u32, bytes_max: usize) -> Self {
        let options = SegmenterOptions {
            owner: owner(),
            membership: Membership::sized(3, [3], 2),
            stall_ms: 700,
            publish_timeout_ms: TIMEOUT_MS,
            messages_max,
            bytes_max,
        };
        Self { segmenter: Segmenter::new(options), now: at(0) }
    }

    fn with_nodes(members: &[u8]) -> Self {
        let mut bench = Self::new(4, 1 << 20);
        for member in members {
            bench.step(Input::NdbUp { ndb: ndb(*member) });
            let standing = NdbStanding::Willing;
            bench.step(Input::Standing { from: ndb(*member), standing });
        }
        bench
    }

    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.segmenter.step(self.now, input, &mut fx);
        fx
    }

    fn publish(&mut self, session: u64, messages: Vec<Publish>) -> Effects {
        self.step(Input::Publish { session: SessionId(session), messages })
    }

    fn trim(&mut self, member: u8, seq: u64) -> Effects {
        self.step(Input::Trim { from: ndb(member), segment: id(seq) })
    }

    fn placed(&mut self, seq: u64, first: u64) -> Effects {
        let (first, stamp) = (Position(first), stamp_of(seq));
        let fx = self.step(Input::Placed { segment: id(seq), first, stamp });
        for place in places(&fx) {
            let offset = u32::try_from(place.position.0 - first.0).expect("of this segment");
            assert_eq!(place.id, PermanentId { stamp, offset }, "the id of the position");
        }
        fx
    }
}

/// When the test elects a segment.
fn stamp_of(seq: u64) -> Stamp {
    Stamp(1_000 + seq)
}

/// All places that sessions were told.
fn places(fx: &Effects) -> Vec<Place> {
    let answers = fx.outgoing.iter().flat_map(|(_, outgoing)| match outgoing {
        Outgoing::Resolved { answers, .. } => &answers[..],
        other => panic!("unexpected {other:?}"),
    });
    let place = |outcome: &Result<Acknowledged, PublishError>| match outcome {
        Ok(Acknowledged::Canonical(place)) => Some(*place),
        Ok(Acknowledged::Durable { .. }) => panic!("nobody asked for that"),
        Err(_) => None,
    };
    answers.filter_map(|(_, outcome)| place(outcome)).collect()
}

/// What was sent: node, name, seq.
fn sent(fx: &Effects) -> Vec<(u8, &'static str, u64)> {
    let seq = |message: &Message| match message {
        Message::Publish(PublishMessage::BeginAdvanceSegment { segment, .. })
        | Message::Publish(PublishMessage::KeepAdvanceHistory { segment, .. }) => segment.seq.0,
        Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => meta.id.seq.0,
        other => panic!("unexpected {}", other.name()),
    };
    fx.sends.iter().map(|(to, message)| (to.member, message.name(), seq(message))).collect()
}

fn whole(member: u8, seq: u64) -> [(u8, &'static str, u64); 3] {
    [
        (member, "begin_advance_segment", seq),
        (member, "keep_advance_history", seq),
        (member, "advance_segment_over", seq),
    ]
}

type Answers = Vec<(RequestId, Result<Position, PublishError>)>;

/// What sessions were told: session, messages, answers with their positions.
fn told(fx: Effects) -> Vec<(u64, usize, Answers)> {
    let position = |acknowledged| match acknowledged {
        Acknowledged::Canonical(place) => place.position,
        Acknowledged::Durable { .. } => panic!("nobody asked for that"),
    };
    let each = fx.outgoing.into_iter().map(|(session, outgoing)| match outgoing {
        Outgoing::Resolved { messages, answers, .. } => {
            let answers = answers.into_iter();
            let answers = answers.map(|(request, outcome)| (request, outcome.map(position)));
            (session.0, messages, answers.collect())
        }
        other => panic!("unexpected {other:?}"),
    });
    each.collect()
}

fn ok(request: u64, position: u64) -> (RequestId, Result<Position, PublishError>) {
    (RequestId(request), Ok(Position(position)))
}

#[test]
fn what_is_unresolved_goes_on_whole_and_in_order_as_a_new_owners() {
    let mut bench = Bench::with_nodes(&[0, 2]);
    bench.publish(7, vec![publish("[1]", 1)]);
    bench.step(Input::Flush);
    bench.trim(0, 1);
    bench.placed(1, 1);
    for (request, session) in [(2, 7), (3, 8)] {
        bench.publish(session, vec![publish("[2]", request); 4]);
    }
    bench.publish(9, vec![publish("[3]", 4)]);
    bench.trim(0, 2);
    let before = bench.segmenter.unresolved_segments().map(|each| each.meta).collect::<Vec<_>>();
    let owner = owner().made_anew(at(9));
    let fx = bench.step(Input::Renew { owner });
    // Seqs begin anew, each node gets each segment whole, and nobody is told anything.
    let seqs = |fx: &Effects| sent(fx).iter().map(|(to, _, seq)| (*to, *seq)).collect::<Vec<_>>();
    let wanted = [(0, 1), (2, 1), (0, 2), (2, 2)].map(|whole| [whole; 3]).concat();
    assert_eq!(seqs(&fx), wanted);
    assert!(fx.outgoing.is_empty());
    let after = bench.segmenter.unresolved_segments().collect::<Vec<_>>();
    for (seq, (before, after)) in (1..).zip(before.iter().zip(&after)) {
        let id = SegmentId { owner, seq: Seq(seq) };
        assert_eq!(after.meta, SegmentMeta { id, ..*before });
        assert!(after.trims.is_empty());
    }
    let place = |seq, first| Input::Placed {
        segment: SegmentId { owner, seq: Seq(seq) },
        first: Position(first),
        stamp: stamp_of(seq),
    };
    let fx = bench.step(place(1, 2));
    assert_eq!(told(fx), [(7, 4, (2..6).map(|position| ok(2, position)).collect())]);
    bench.step(place(2, 6));
    let fx = bench.step(Input::Flush);
    assert_eq!(seqs(&fx), [(0, 3), (2, 3)].map(|whole| [whole; 3]).concat());
}

#[test]
fn the_first_message_leaves_alone_and_at_once() {
    let mut bench = Bench::with_nodes(&[0, 2]);
    let fx = bench.publish(7, vec![publish("[1]", 1)]);
    assert_eq!(sent(&fx), []);
    let fx = bench.step(Input::Flush);
    assert_eq!(sent(&fx), [whole(0, 1), whole(2, 1)].concat());
    assert!(matches!(&fx.notes[..], [Note::Closed { meta }] if meta.count == 1));
    assert!(fx.outgoing.is_empty());
    assert_eq!(fx.permits, 0);
}

#[test]
fn what_is_sent_is_what_was_published() {
    let mut bench = Bench::with_nodes(&[0]);
    let publisher = Publisher { authid: "joe".to_owned(), authrole: "user".to_owned() };
    let attributes = Attributes { publisher: Some(publisher), ..Attributes::default() };
    let attributes = Bytes::from(attributes.to_bytes());
    let disclosed = Publish { attributes: attributes.clone(), ..publish("[2]", 0) };
    bench.publish(7, vec![publish("[1]", 1), disclosed]);
    assert_eq!(bench.segmenter.unacknowledged_bytes(), 2 * (64 + 3) + attributes.len());
    let fx = bench.step(Input::Flush);
    let (mut table, mut bytes, mut over) = (Vec::new(), Bytes::new(), None);
    for (_to, message) in fx.sends {
        match message {
            Message::Publish(PublishMessage::KeepAdvanceHistory {
                topics,
                records,
                offset: 0,
                count: 2,
                ..
            }) => {
                (table, bytes) = (topics, records);
            }
            Message::Publish(PublishMessage::AdvanceSegmentOver { meta }) => over = Some(meta),
            other => assert_eq!(other.name(), "begin_advance_segment"),
        }
    }
    assert_eq!(Blob::assemble(&table, &[&bytes]).verify(&over.expect("sent")), Ok(()));
    let records = Records::new(&bytes);
    let records: Vec<_> =
        records.map(|r| (r.session, r.content, r.flags, r.attributes, r.payload)).collect();
    let (json, flags) = (Encoding::Json.into(), RecordFlags::EXCLUDE_ME);
    let wanted =
        [(7, json, flags, &[][..], &b"[1]"[..]), (7, json, flags, &attributes[..], &b"[2]"[..])];
    assert_eq!(records, wanted);
}

#[test]
fn the_open_segment_waits_while_one_is_under_way() {
    let mut bench = Bench::with_nodes(&[0, 1, 2]);
    bench.publish(7, vec![publish("[1]", 1)]);
    bench.step(Input::Flush);
    bench.publish(7, vec![publish("[2]", 2)]);
    assert_eq!(sent(&bench.step(Input::Flush)), []);
    bench.trim(0, 1);
    bench.trim(2, 1);
    bench.publish(8, vec![publish("[3]", 1)]);
    assert_eq!(sent(&bench.step(Input::Flush)), [], "it has arrived, and has no place yet");
    bench.placed(1, 1);
    assert_eq!(sent(&bench.step(Input::Flush)).len(), 9, "both messages leave together");
    assert_eq!(sent(&bench.step(Input::Flush)), [], "an empty segment stays open");
}

#[test]
fn a_resolved_segment_holds_nothing_back() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1)]);
    bench.step(Input::Flush);
    bench.placed(1, 1);
    bench.publish(7, vec![publish("[2]", 2)]);
    assert_eq!(sent(&bench.step(Input::Flush)), whole(0, 2));
}

#[test]
fn a_full_segment_closes_at_once_by_messages() {
    let mut bench = Bench::with_nodes(&[0]);
    let fx = bench.publish(7, (1..=9).map(|n| publish("[1]", n)).collect());
    assert_eq!(sent(&fx), [whole(0, 1), whole(0, 2)].concat());
    assert_eq!(bench.segmenter.unresolved(), 2);
}

#[test]
fn a_full_segment_closes_at_once_by_bytes() {
    let mut bench = Bench::new(4, 100);
    bench.step(Input::NdbUp { ndb: ndb(0) });
    let long = "[\"0123456789012345678901234567890123456789\"]";
    let fx = bench.publish(7, vec![publish(long, 1), publish(long, 2)]);
    assert_eq!(sent(&fx), whole(0, 1), "the second does not fit beside the first");
}

#[test]
fn answers_are_one_for_each_session_in_publishing_order() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1), publish("[2]", 0)]);
    bench.publish(8, vec![publish("[3]", 5)]);
    bench.publish(7, vec![publish("[4]", 3)]);
    let held = bench.segmenter.unacknowledged_bytes();
    assert_eq!(held, 4 * (64 + 3));
    let fx = bench.placed(1, 101);
    assert_eq!(fx.permits, held);
    assert_eq!(bench.segmenter.unacknowledged_bytes(), 0);
    assert_eq!(told(fx), [(7, 3, vec![ok(1, 101), ok(3, 104)]), (8, 1, vec![ok(5, 103)])]);
}

#[test]
fn a_place_has_the_permanent_id_that_subscribers_see() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 0), publish("[2]", 2), publish("[3]", 3)]);
    bench.step(Input::Flush);
    let place = |position, offset| {
        let id = PermanentId { stamp: stamp_of(1), offset };
        Place { position: Position(position), id }
    };
    assert_eq!(places(&bench.placed(1, 101)), [place(102, 1), place(103, 2)]);
}

#[test]
fn a_node_that_comes_back_gets_all_that_is_unresolved_in_order() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, (1..=8).map(|n| publish("[1]", n)).collect());
    bench.step(Input::NdbDown { ndb: ndb(0) });
    let fx = bench.publish(7, (9..=12).map(|n| publish("[1]", n)).collect());
    assert_eq!(sent(&fx), [], "nobody is there");
    bench.placed(1, 1);
    let fx = bench.step(Input::NdbUp { ndb: ndb(0) });
    assert_eq!(sent(&fx), [whole(0, 2), whole(0, 3)].concat());
}

#[test]
fn a_gap_is_filled_three_times_and_a_new_link_begins_anew() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1)]);
    bench.step(Input::Flush);
    let refused = |reason| Input::Refused { from: ndb(0), segment: id(1), reason };
    for _ in 0..RESENDS_MAX {
        let fx = bench.step(refused(RefuseReason::Gap));
        assert_eq!(sent(&fx), whole(0, 1));
        assert_eq!(fx.notes, [Note::SentAgain { segment: id(1), to: ndb(0) }]);
    }
    let fx = bench.step(refused(RefuseReason::Mismatch));
    assert_eq!(sent(&fx), []);
    let gave_up = |reason| [Note::GaveUp { segment: id(1), to: ndb(0), reason }];
    assert_eq!(fx.notes, gave_up(RefuseReason::Mismatch));
    assert_eq!(sent(&bench.step(Input::NdbUp { ndb: ndb(0) })), whole(0, 1));
    assert_eq!(sent(&bench.step(refused(RefuseReason::Gap))), whole(0, 1));
    let fx = bench.step(refused(RefuseReason::TooLarge));
    assert_eq!((sent(&fx), fx.notes), (vec![], gave_up(RefuseReason::TooLarge).to_vec()));
}

#[test]
fn words_about_unknown_segments_change_nothing() {
    let mut bench = Bench::with_nodes(&[0]);
    for seq in [0, 1, 2, u64::MAX] {
        bench.trim(0, seq);
        let input = Input::Refused { from: ndb(0), segment: id(seq), reason: RefuseReason::Gap };
        let fx = bench.step(input);
        assert!(fx.sends.is_empty() && fx.notes.is_empty());
    }
    bench.publish(7, vec![publish("[1]", 1)]);
    assert_eq!(bench.step(Input::Flush).sends.len(), 3);
}

#[test]
#[should_panic(expected = "S3")]
fn placing_out_of_order_stops_the_node() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, (1..=8).map(|n| publish("[1]", n)).collect());
    bench.placed(2, 1);
}

#[test]
fn nobody_waits_without_messages() {
    let mut bench = Bench::with_nodes(&[0]);
    assert_eq!(bench.segmenter.timeout_at(), None);
    bench.publish(7, vec![publish("[1]", 0)]);
    bench.step(Input::Flush);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(TIMEOUT_MS)));
    bench.placed(1, 1);
    assert_eq!(bench.segmenter.timeout_at(), None);
}

#[test]
fn without_a_quorum_publishers_get_an_error_once_each_after_its_own_wait() {
    let mut bench = Bench::with_nodes(&[]);
    bench.publish(7, vec![publish("[1]", 1), publish("[2]", 0)]);
    bench.step(Input::Flush);
    bench.now = at(400);
    bench.publish(7, vec![publish("[3]", 2)]);
    bench.step(Input::Flush);
    bench.now = at(TIMEOUT_MS + 5);
    let missing = "1 of 2 ndb nodes of group 0 live".to_owned();
    let error = |waited_ms| Err(PublishError::NoQuorum { waited_ms, missing: missing.clone() });
    let timeout = || Input::Timeout { missing: missing.clone() };
    let fx = bench.step(timeout());
    assert_eq!(fx.permits, 0, "the bytes are still held");
    assert_eq!(fx.notes, [Note::NoQuorum { messages: 1 }]);
    assert_eq!(told(fx), [(7, 2, vec![(RequestId(1), error(TIMEOUT_MS + 5))])]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(TIMEOUT_MS + 400)));
    bench.now = at(TIMEOUT_MS + 400);
    let fx = bench.step(timeout());
    assert_eq!(told(fx), [(7, 1, vec![(RequestId(2), error(TIMEOUT_MS))])]);
    assert_eq!(bench.segmenter.timeout_at(), None);
    // Quorum returns: both become canonical, and nobody hears of them twice.
    let fx = bench.step(Input::NdbUp { ndb: ndb(0) });
    assert_eq!(sent(&fx), whole(0, 1));
    let fx = bench.placed(1, 1);
    assert_eq!(fx.permits, 2 * (64 + 3));
    assert_eq!(told(fx), []);
}

#[test]
fn who_chose_to_wait_is_passed_over_by_the_timeout_and_told_the_place() {
    let mut bench = Bench::with_nodes(&[]);
    bench.publish(
        7,
        vec![publish("[1]", 1), patient("[2]", 2), patient("[3]", 0), publish("[4]", 4)],
    );
    bench.publish(8, vec![patient("[5]", 1)]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(TIMEOUT_MS)), "the fourth closed a segment");
    bench.now = at(TIMEOUT_MS);
    let missing = "a quorum".to_owned();
    let error = || Err(PublishError::NoQuorum { waited_ms: TIMEOUT_MS, missing: missing.clone() });
    let fx = bench.step(Input::Timeout { missing: missing.clone() });
    assert_eq!(fx.notes, [Note::NoQuorum { messages: 2 }]);
    let given_up = vec![(RequestId(1), error()), (RequestId(4), error())];
    assert_eq!(told(fx), [(7, 2, given_up)]);
    assert_eq!(bench.segmenter.timeout_at(), None, "the others wait as long as it takes");
    bench.now = at(1_000_000);
    assert_eq!(told(bench.step(Input::Timeout { missing: missing.clone() })), []);
    bench.step(Input::NdbUp { ndb: ndb(0) });
    bench.step(Input::Flush);
    assert_eq!(told(bench.placed(1, 11)), [(7, 2, vec![ok(2, 12)])], "two messages, one answer");
    assert_eq!(told(bench.step(Input::Flush)), []);
    assert_eq!(told(bench.placed(2, 15)), [(8, 1, vec![ok(1, 15)])]);
    assert_eq!(bench.segmenter.unacknowledged_bytes(), 0);
}

#[test]
fn answers_of_a_session_come_in_publishing_order_whoever_of_them_would_have_waited() {
    let mut bench = Bench::new(100, 1 << 20);
    bench.step(Input::NdbUp { ndb: ndb(0) });
    for first in [1, 5] {
        let mixed = (first..first + 4)
            .map(|n| if n % 2 == 0 { patient("[1]", n) } else { publish("[1]", n) });
        bench.publish(7, mixed.collect());
        bench.publish(8, vec![patient("[1]", first), publish("[1]", first + 1)]);
    }
    bench.step(Input::Flush);
    let places = |offsets: [u64; 4], requests: [u64; 4]| -> Answers {
        offsets.iter().zip(requests).map(|(offset, n)| ok(n, 101 + offset)).collect()
    };
    let seven = [places([0, 1, 2, 3], [1, 2, 3, 4]), places([6, 7, 8, 9], [5, 6, 7, 8])].concat();
    let eight = places([4, 5, 10, 11], [1, 2, 5, 6]);
    assert_eq!(told(bench.placed(1, 101)), [(7, 8, seven), (8, 4, eight)]);
}

#[test]
fn a_message_behind_one_that_waits_on_has_its_own_timeout() {
    let mut bench = Bench::with_nodes(&[]);
    bench.publish(7, vec![patient("[1]", 1)]);
    bench.step(Input::Flush);
    assert_eq!(bench.segmenter.timeout_at(), None);
    bench.now = at(400);
    bench.publish(7, vec![publish("[2]", 2)]);
    assert_eq!(bench.segmenter.timeout_at(), Some(at(TIMEOUT_MS + 400)));
    bench.now = at(TIMEOUT_MS + 399);
    assert_eq!(told(bench.step(Input::Timeout { missing: String::new() })), []);
    bench.now = at(TIMEOUT_MS + 400);
    let fx = bench.step(Input::Timeout { missing: String::new() });
    let error = PublishError::NoQuorum { waited_ms: TIMEOUT_MS, missing: String::new() };
    assert_eq!(told(fx), [(7, 1, vec![(RequestId(2), Err(error))])]);
}

#[test]
fn a_scenario_of_load_loss_and_return() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    let mut next = 1;
    let mut positions = Vec::new();
    for round in 0..200_u64 {
        bench.now = at(round);
        for session in 0..3 {
            bench.publish(session, vec![publish("[1]", round + 1)]);
        }
        bench.step(Input::Flush);
        if round == 50 {
            bench.step(Input::NdbDown { ndb: ndb(1) });
        }
        if round == 120 {
            let fx = bench.step(Input::NdbUp { ndb: ndb(1) });
            assert_eq!(sent(&fx).len(), 3 * bench.segmenter.unresolved());
        }
        let has_quorum = !(50..120).contains(&round);
        let unresolved: Vec<_> = bench.segmenter.unresolved_segments().collect();
        for segment in unresolved {
            let seq = segment.meta.id.seq.0;
            bench.trim(0, seq);
            if has_quorum {
                bench.trim(1, seq);
                let fx = bench.placed(seq, next);
                next += u64::from(segment.meta.count);
                positions.extend(told(fx).into_iter().flat_map(|(session, _, answers)| {
                    answers.into_iter().map(move |(request, outcome)| (session, request, outcome))
                }));
            }
        }
    }
    bench.step(Input::Flush);
    let unresolved: Vec<_> = bench.segmenter.unresolved_segments().collect();
    for segment in unresolved {
        let fx = bench.placed(segment.meta.id.seq.0, next);
        next += u64::from(segment.meta.count);
        positions.extend(told(fx).into_iter().flat_map(|(session, _, answers)| {
            answers.into_iter().map(move |(request, outcome)| (session, request, outcome))
        }));
    }
    assert_eq!(bench.segmenter.unacknowledged_bytes(), 0);
    for session in 0..3 {
        let of_session: Vec<_> = positions.iter().filter(|told| told.0 == session).collect();
        assert!(of_session.iter().map(|told| told.1.0).eq(1..=200), "each once, in order");
        assert!(of_session.is_sorted_by_key(|told| told.2.clone().expect("placed")));
    }
}
