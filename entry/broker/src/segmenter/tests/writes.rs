//! Writes of several messages, one step at a time.

use super::*;
use crate::api::Write;

/// Of so many parts, each in a topic of its own.
fn write_of(parts: usize, request: u64) -> Write {
    let part = |n: usize| Publish {
        topic: Topic::new("r", &format!("k.{n}")),
        acknowledge: None,
        ..publish("[1]", 0)
    };
    let head = Publish { acknowledge: (request > 0).then_some(RequestId(request)), ..part(0) };
    Write::new(head, (1..parts).map(part).collect())
}

impl Bench {
    fn write(&mut self, session: u64, write: Write) -> Effects {
        self.step(Input::Write { session: SessionId(session), write: Box::new(write) })
    }
}

/// Messages of each segment that was closed.
fn closed(fx: &Effects) -> Vec<u32> {
    let count = |note: &Note| match note {
        Note::Closed { meta } => Some(meta.count),
        _ => None,
    };
    fx.notes.iter().filter_map(count).collect()
}

#[test]
fn a_write_that_fits_stays_in_the_open_segment() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1)]);
    assert_eq!(closed(&bench.write(7, write_of(3, 2))), [4], "it fills the segment");
    let fx = bench.placed(1, 101);
    assert_eq!(
        told(fx),
        [(7, 2, vec![ok(1, 101), ok(2, 102)])],
        "one message, one answer: the head"
    );
}

#[test]
fn a_write_that_would_pass_the_messages_of_a_segment_begins_the_next() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1), publish("[2]", 2)]);
    assert_eq!(closed(&bench.write(7, write_of(3, 3))), [2]);
    assert_eq!(closed(&bench.publish(8, vec![publish("[3]", 1)])), [4]);
    bench.placed(1, 1);
    assert_eq!(told(bench.placed(2, 3)), [(7, 1, vec![ok(3, 3)]), (8, 1, vec![ok(1, 6)])]);
}

#[test]
fn a_write_that_would_pass_the_bytes_of_a_segment_begins_the_next() {
    let mut bench = Bench::new(100, 200);
    let long = "[\"0123456789012345678901234567890123456789012345678901234567890123456789\"]";
    bench.publish(7, vec![publish(long, 1)]);
    let part = || publish(long, 0);
    let fx = bench.write(7, Write::new(publish(long, 2), vec![part()]));
    assert_eq!(closed(&fx), [1], "one part would have fitted beside the message");
    // Alone it may be larger than a segment, as a message may.
    let fx = bench.write(7, Write::new(publish(long, 3), vec![part(), part()]));
    assert_eq!(closed(&fx), [2]);
    assert_eq!(closed(&bench.publish(7, vec![publish("[1]", 4)])), [3]);
}

#[test]
fn a_write_that_would_pass_the_topic_table_begins_the_next_segment() {
    for (topics, is_parted_from) in [(65_533, false), (65_534, true)] {
        let mut bench = Bench::new(100_000, 1 << 30);
        let message =
            |n| Publish { topic: Topic::new("r", &format!("t.{n}")), ..publish("[1]", 0) };
        bench.publish(7, (0..topics).map(message).collect());
        let fx = bench.write(7, write_of(2, 1));
        assert_eq!(closed(&fx), if is_parted_from { vec![topics] } else { vec![] });
    }
}

/// What the step has refused, in words; nothing is taken of it.
fn refused(bench: &Bench, fx: &Effects, request: u64, bytes: usize) -> String {
    assert!(fx.sends.is_empty());
    assert_eq!(fx.permits, bytes, "its room is given back");
    let [(session, Outgoing::Resolved { messages: 1, bytes: told, answers })] = &fx.outgoing[..]
    else {
        panic!("{:?}", fx.outgoing)
    };
    assert_eq!((session.0, *told), (7, bytes));
    assert!(matches!(&fx.notes[..], [Note::TooLarge { bytes: noted, .. }] if *noted == bytes));
    assert_eq!(bench.segmenter.unacknowledged_bytes(), 64 + 3, "what was there before");
    match &answers[..] {
        [] if request == 0 => String::new(),
        [(RequestId(answered), Err(error @ PublishError::TooLarge { .. }))]
            if *answered == request =>
        {
            error.to_string()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_write_that_no_segment_holds_is_refused_before_anything_of_it_is_taken() {
    let mut bench = Bench::with_nodes(&[0]);
    bench.publish(7, vec![publish("[1]", 1)]);
    let fx = bench.write(7, write_of(5, 2));
    let words = refused(&bench, &fx, 2, 5 * (64 + 3));
    assert!(words.starts_with("a write of 5 messages"), "{words}");
    let fx = bench.write(7, write_of(5, 0));
    refused(&bench, &fx, 0, 5 * (64 + 3));
    // What was open goes on, and those that fit are taken.
    assert_eq!(closed(&bench.write(7, write_of(3, 3))), [4]);
    assert_eq!(told(bench.placed(1, 1)), [(7, 2, vec![ok(1, 1), ok(3, 2)])]);
}

#[test]
fn a_write_of_too_many_bytes_is_refused() {
    let mut bench = Bench::new(100, 1_000);
    bench.publish(7, vec![publish("[1]", 1)]);
    let large = |bytes: usize| Publish { payload: vec![b'1'; bytes].into(), ..publish("[1]", 2) };
    let fx = bench.write(7, Write::new(large(500), vec![large(1_500)]));
    refused(&bench, &fx, 2, 2 * 64 + 2_000);
    let fx = bench.write(7, Write::new(large(500), vec![large(1_300)]));
    assert_eq!(closed(&fx), [1], "below twice the size of a segment it is alone in one");
}

#[test]
fn a_write_of_more_parts_than_topics_are_in_a_segment_is_refused() {
    let mut bench = Bench::new(1_000_000, 1 << 30);
    bench.publish(7, vec![publish("[1]", 1)]);
    let fx = bench.write(7, write_of(Write::PARTS_MAX + 1, 2));
    refused(&bench, &fx, 2, (Write::PARTS_MAX + 1) * (64 + 3));
    assert_eq!(closed(&bench.write(7, write_of(Write::PARTS_MAX, 3))), [1]);
}

#[test]
fn a_write_is_given_up_as_one_message() {
    let mut bench = Bench::with_nodes(&[]);
    bench.publish(7, vec![publish("[1]", 1)]);
    bench.write(7, write_of(3, 2));
    bench.now = at(TIMEOUT_MS);
    let fx = bench.step(Input::Timeout { missing: String::new() });
    assert_eq!(fx.notes, [Note::NoQuorum { messages: 2 }]);
    let error = || Err(PublishError::NoQuorum { waited_ms: TIMEOUT_MS, missing: String::new() });
    assert_eq!(told(fx), [(7, 2, vec![(RequestId(1), error()), (RequestId(2), error())])]);
    assert_eq!(told(bench.placed(1, 1)), []);
}

#[test]
fn a_write_waits_as_its_head_says() {
    let mut bench = Bench::with_nodes(&[0, 1]);
    let part = Publish { wait: true, level: AckLevel::Durable, ..publish("[2]", 5) };
    let patient = Write::new(patient("[1]", 1), vec![part.clone()]);
    let durable = Publish { level: AckLevel::Durable, ..publish("[3]", 2) };
    bench.write(7, patient);
    bench.write(7, Write::new(durable, vec![part]));
    for member in [0, 1] {
        let fx = bench.step(Input::Durable { from: ndb(member), segment: id(1) });
        let told = fx.outgoing.iter().map(|(session, told)| match told {
            Outgoing::Resolved { messages: 1, answers, .. } => (session.0, answers[0].0.0),
            other => panic!("{other:?}"),
        });
        let wanted = if member == 1 { vec![(7, 2)] } else { vec![] };
        assert_eq!(told.collect::<Vec<_>>(), wanted);
    }
    bench.now = at(1_000_000);
    assert_eq!(told(bench.step(Input::Timeout { missing: String::new() })), []);
    assert_eq!(told(bench.placed(1, 41)), [(7, 1, vec![ok(1, 41)])]);
}

#[test]
fn recorded_inputs_keep_their_numbers() {
    let number = |input: &Input| postcard::to_allocvec(input).expect("encodes")[0];
    let (session, messages) = (SessionId(1), vec![]);
    assert_eq!(number(&Input::Publish { session, messages }), 0);
    assert_eq!(number(&Input::Flush), 1);
    assert_eq!(number(&Input::Timeout { missing: String::new() }), 11);
    let input = Input::Write { session, write: Box::new(write_of(3, 1)) };
    assert_eq!(number(&input), 12);
    let bytes = postcard::to_allocvec(&input).expect("encodes");
    match postcard::from_bytes(&bytes) {
        Ok(Input::Write { session: SessionId(1), write }) => assert_eq!(*write, write_of(3, 1)),
        other => panic!("{other:?}"),
    }
}
