//! Publishers who are content when W nodes have a message on disk.

use super::*;

fn durable(text: &'static str, request: u64) -> Publish {
    Publish { level: AckLevel::Durable, ..publish(text, request) }
}

impl Bench {
    fn durable(&mut self, member: u8, seq: u64) -> Effects {
        self.step(Input::Durable { from: ndb(member), segment: id(seq) })
    }
}

/// Session, request, and whether the place is told.
fn told(fx: &Effects) -> Vec<(u64, u64, bool)> {
    let mut told = Vec::new();
    for (session, outgoing) in &fx.outgoing {
        let Outgoing::Resolved { answers, .. } = outgoing else { panic!("{outgoing:?}") };
        for (request, outcome) in answers {
            let has_place = match outcome.as_ref().expect("acknowledged") {
                Acknowledged::Canonical(_) => true,
                Acknowledged::Durable { publication } => {
                    assert!((1 << 52..1 << 53).contains(publication), "no position");
                    false
                }
            };
            told.push((session.0, request.0, has_place));
        }
    }
    told
}

#[test]
fn nodes_are_asked_only_where_somebody_waits_for_it() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    bench.publish(1, vec![publish("[1]", 1)]);
    let asked = |fx: &Effects| {
        let is_asked = |(_, message): &&(NdbId, Message)| {
            matches!(message, Message::Publish(PublishMessage::AwaitDurable { .. }))
        };
        fx.sends.iter().filter(is_asked).count()
    };
    assert_eq!(asked(&bench.step(Input::Flush)), 0);
    bench.placed(1, 10);
    bench.publish(1, vec![durable("[1]", 1)]);
    assert_eq!(asked(&bench.step(Input::Flush)), 2);
}

#[test]
fn w_nodes_make_it_durable_and_the_place_is_told_to_others_only() {
    let mut bench = Bench::with_nodes(&[0, 1, 2]);
    bench.publish(1, vec![durable("[1]", 1), publish("[2]", 2)]);
    bench.publish(2, vec![durable("[3]", 7)]);
    bench.step(Input::Flush);
    assert_eq!(told(&bench.durable(0, 1)), []);
    assert_eq!(told(&bench.durable(0, 1)), [], "one node is one");
    assert_eq!(told(&bench.durable(2, 1)), [(1, 1, false), (2, 7, false)]);
    assert_eq!(told(&bench.durable(1, 1)), []);
    let room = bench.segmenter.unacknowledged_bytes();
    assert!(room > 0, "its bytes are held until it is placed");
    let fx = bench.placed(1, 10);
    assert_eq!(told(&fx), [(1, 2, true)]);
    assert_eq!(fx.permits, room);
}

#[test]
fn answers_come_in_publishing_order() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    for (seq, request) in [(1, 1), (2, 2)] {
        // Full segments close at once.
        let messages = (0..4).map(|_| durable("[]", request)).collect();
        bench.publish(seq, messages);
    }
    bench.step(Input::Flush);
    bench.durable(0, 2);
    assert_eq!(told(&bench.durable(1, 2)), [], "the first segment is not durable yet");
    bench.durable(0, 1);
    let both = told(&bench.durable(1, 1));
    let requests: Vec<_> = both.iter().map(|(_, request, _)| *request).collect();
    assert_eq!(requests, [1, 1, 1, 1, 2, 2, 2, 2]);
}

/// Found by the World: a power cut took the earlier segment, whose entry was gone, and the one that was
/// called durable had its place for ever after it.
#[test]
fn a_segment_is_not_called_durable_while_one_before_it_may_be_lost() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    let messages = (0..4).map(|n| publish("[]", n + 1)).collect();
    bench.publish(1, messages);
    bench.publish(1, vec![durable("[]", 5)]);
    let messages = (0..3).map(|n| durable("[]", n + 6)).collect();
    let fx = bench.publish(1, messages);
    let asked = |seq| {
        let is_asked = |message: &Message| matches!(message, Message::Publish(PublishMessage::AwaitDurable { segment }) if *segment == id(seq));
        fx.sends.iter().filter(|(_, message)| is_asked(message)).count()
    };
    assert_eq!((asked(1), asked(2)), (2, 2), "nodes are asked about the earlier one as well");
    bench.durable(0, 2);
    assert_eq!(told(&bench.durable(1, 2)), [], "the first may be lost, and the second with it");
    bench.durable(0, 1);
    assert_eq!(told(&bench.durable(1, 1)).len(), 4);
}

#[test]
fn a_place_makes_durable_what_waited_for_it_alone() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    let messages = (0..4).map(|n| publish("[]", n + 1)).collect();
    bench.publish(1, messages);
    let messages = (0..4).map(|n| durable("[]", n + 5)).collect();
    bench.publish(1, messages);
    bench.durable(0, 2);
    assert_eq!(told(&bench.durable(1, 2)), []);
    let (first, stamp) = (Position(10), stamp_of(1));
    let fx = bench.step(Input::Placed { segment: id(1), first, stamp });
    let requests: Vec<_> = told(&fx).iter().map(|(_, request, has)| (*request, *has)).collect();
    let places = (1..5).map(|request| (request, true));
    assert_eq!(requests, places.chain((5..9).map(|r| (r, false))).collect::<Vec<_>>());
}

#[test]
fn a_place_that_comes_first_is_as_good_and_a_quorum_that_does_not_come_is_told() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    bench.publish(1, vec![durable("[1]", 1)]);
    bench.step(Input::Flush);
    assert_eq!(told(&bench.placed(1, 10)), [(1, 1, true)]);
    assert_eq!(told(&bench.durable(0, 1)), []);
    bench.publish(1, vec![durable("[1]", 2)]);
    bench.step(Input::Flush);
    bench.now = at(TIMEOUT_MS);
    let fx = bench.step(Input::Timeout { missing: "disks".to_owned() });
    let Outgoing::Resolved { answers, .. } = &fx.outgoing[0].1 else { panic!("resolved") };
    assert!(matches!(answers[..], [(RequestId(2), Err(PublishError::NoQuorum { .. }))]));
}
