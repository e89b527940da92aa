//! Who gets what since when: patterns, subscriptions of one's own, replays, lags, and what others
//! hear of it.

use super::order::{bench, of};
use super::*;

pub(super) fn pattern(uri: &str, matching: Match) -> TopicPattern {
    TopicPattern::new("r", uri, matching)
}

impl Bench {
    fn replay(&mut self, session: u64, request: u64, uri: &str) -> Effects {
        self.subscribe_as(session, request, topic(uri), SubscribeMode::Replay)
    }

    fn join(&mut self, session: u64, join: u64, subscriptions: &[u64]) -> Effects {
        let (session, join) = (SessionId(session), JoinId(join));
        let subscriptions = subscriptions.iter().copied().map(SubscriptionId).collect();
        self.step(Input::Join { session, join, subscriptions })
    }

    fn lag(&mut self, session: u64, from: u64) -> Effects {
        self.step(Input::Lag { session: SessionId(session), from: Position(from) })
    }

    pub(super) fn close(&mut self, session: u64) -> Effects {
        self.step(Input::SessionClosed { session: SessionId(session) })
    }

    /// The interest is applied by the only tail.
    fn flushed(&mut self, version: u64) -> Effects {
        assert_eq!(self.step(Input::Flush).sends.len(), 1);
        self.changed(0, version)
    }
}

/// The events of one topic for each session: subscriptions.
fn got(fx: &Effects) -> Vec<(u64, Vec<u64>)> {
    let each = words(fx).into_iter().map(|(session, word)| match word {
        Word::Events(events) => (session, events.into_iter().map(|(id, _)| id).collect()),
        other => panic!("{other:?}"),
    });
    each.collect()
}

/// Request, subscription, `live_from` and `end` of the only answer.
fn told(fx: &Effects) -> (u64, u64, u64, u64) {
    let [(_, Outgoing::Subscribed { request, subscription, live_from, end })] =
        fx.outgoing.as_slice()
    else {
        panic!("{:?}", fx.outgoing)
    };
    (request.0, subscription.0, live_from.0, end.0)
}

/// What others may hear of: letter of the change, session, subscription.
pub(super) fn changes(fx: &Effects) -> Vec<(char, u64, u64)> {
    let each = fx.notes.iter().filter_map(|note| match note {
        Note::Changed(Change::Created { session, subscription, .. }) => {
            Some(('c', session.0, subscription.0))
        }
        Note::Changed(Change::Subscribed { session, subscription, .. }) => {
            Some(('s', session.0, subscription.0))
        }
        Note::Changed(Change::Unsubscribed { session, subscription, .. }) => {
            Some(('u', session.0, subscription.0))
        }
        Note::Changed(Change::Deleted { session, subscription, .. }) => {
            Some(('d', session.0, subscription.0))
        }
        _ => None,
    });
    each.collect()
}

#[test]
fn patterns_have_the_topics_that_match_and_their_events_say_which() {
    let mut bench = Bench::open();
    let patterns = [
        pattern("a", Match::Exact),
        pattern("a", Match::Prefix),
        pattern("a.#.c", Match::Dotted),
        pattern("a..c", Match::Wildcard),
    ];
    for (pattern, session) in patterns.iter().zip(1..) {
        bench.subscribe_as(session, 1, pattern.clone(), SubscribeMode::Live);
    }
    let topics = patterns.to_vec();
    assert_eq!(
        bench.step(Input::Flush).sends,
        [(ndb(0), Message::Read(ReadMessage::FollowTail { from: None, topics }))]
    );
    assert_eq!(bench.opened(0, 10).outgoing.len(), 4);
    let table: [(&str, &[u64]); 6] = [
        ("a", &[1, 2]),
        ("ab", &[2]),
        ("a.b.c", &[2, 3, 4]),
        ("a.c", &[2, 3]),
        ("a.x.y.c", &[2, 3]),
        ("b.b.c", &[]),
    ];
    for ((uri, sessions), first) in table.into_iter().zip(10..) {
        let fx = bench.segment(0, first, &[(uri, 0, b"[1]")]);
        // Their subscriptions have the numbers of the sessions here; all see the whole batch.
        let wanted: Vec<_> = sessions.iter().map(|session| (*session, sessions.to_vec())).collect();
        assert_eq!(got(&fx), wanted, "{uri}");
        if sessions.is_empty() {
            continue;
        }
        for (subscription, event) in sessions.iter().zip(events(&fx)) {
            let names_topic = event.topic.as_ref().is_some_and(|topic| *topic.uri == *uri);
            assert_eq!(names_topic, *subscription != 1, "{event:?}");
        }
    }
}

#[test]
fn a_pattern_and_an_exact_topic_of_one_text_are_two() {
    let mut bench = Bench::subscribed();
    let prefix = pattern("t", Match::Prefix);
    bench.subscribe_as(8, 1, prefix.clone(), SubscribeMode::Live);
    let add = Message::Read(ReadMessage::ChangeInterest {
        version: 2,
        add: vec![prefix.clone()],
        remove: vec![],
    });
    assert_eq!(bench.step(Input::Flush).sends, [(ndb(0), add)]);
    assert_eq!(words(&bench.changed(0, 2)), [(8, Word::Subscribed(1, 2))]);
    bench.unsubscribe(8, 2, 2);
    let remove = Message::Read(ReadMessage::ChangeInterest {
        version: 3,
        add: vec![],
        remove: vec![prefix],
    });
    assert_eq!(bench.step(Input::Flush).sends, [(ndb(0), remove)]);
    assert_eq!(got(&bench.segment(0, 10, &[("t", 0, b"[1]")])), [(7, vec![1])]);
}

#[test]
fn a_replay_beside_the_live_subscription_is_one_of_its_own() {
    let mut bench = Bench::subscribed();
    assert_eq!(words(&bench.replay(7, 2, "t")), [(7, Word::Subscribed(2, 2))]);
    assert_eq!(words(&bench.replay(8, 1, "t")), [(8, Word::Subscribed(1, 1))], "shared");
    assert_eq!(bench.step(Input::Flush).sends, [], "the tail carries it");
    assert_eq!(got(&bench.segment(0, 10, &[("t", 0, b"[1]")])), [(7, vec![1])]);
    bench.join(7, 1, &[2]);
    assert_eq!(got(&bench.segment(0, 11, &[("t", 0, b"[1]")])), [(7, vec![1, 2])]);
    bench.unsubscribe(7, 3, 1);
    assert_eq!(got(&bench.segment(0, 12, &[("t", 0, b"[1]")])), [(7, vec![2])]);
    bench.join(8, 1, &[1]);
    let both = vec![1, 2];
    let fx = bench.segment(0, 13, &[("t", 0, b"[1]")]);
    assert_eq!(got(&fx), [(7, both.clone()), (8, both)], "each takes its own");
    bench.close(8);
    assert_eq!(bench.step(Input::Flush).sends, []);
    bench.unsubscribe(7, 4, 2);
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 2, &[], &["t"])]);
    assert_eq!(bench.delivery.subscriptions(), 0);
}

#[test]
fn a_private_replay_is_never_shared() {
    let mut bench = Bench::subscribed();
    let private = |bench: &mut Bench, session, request| {
        bench.subscribe_as(session, request, topic("t"), SubscribeMode::PrivateReplay)
    };
    assert_eq!(words(&private(&mut bench, 8, 1)), [(8, Word::Subscribed(1, 2))]);
    assert_eq!(words(&private(&mut bench, 9, 1)), [(9, Word::Subscribed(1, 3))]);
    assert_eq!(words(&private(&mut bench, 9, 2)), [(9, Word::Subscribed(2, 4))]);
    let too_many = Word::Refused(3, RequestKind::Subscribe, SubscribeError::TooMany { max: 2 });
    assert_eq!(words(&private(&mut bench, 9, 3)), [(9, too_many)]);
    assert_eq!(words(&bench.unsubscribe(8, 2, 3)).len(), 1, "of another session");
    assert_eq!(bench.delivery.subscriptions(), 4);
}

#[test]
fn a_replay_gets_nothing_until_it_joins() {
    let mut bench = Bench::subscribed();
    assert!(bench.replay(8, 1, "u").outgoing.is_empty());
    assert_eq!(told(&bench.flushed(2)), (1, 2, 10, 10));
    let both: &[(&str, u64, &[u8])] = &[("t", 0, b"[1]"), ("u", 0, b"[1]")];
    assert_eq!(got(&bench.segment(0, 10, both)), [(7, vec![1])]);
    assert_eq!(words(&bench.join(8, 5, &[2])), [(8, Word::Joined(5, 12))]);
    assert_eq!(got(&bench.segment(0, 12, both)), [(7, vec![1, 2]), (8, vec![1, 2])]);
    // What is over by now, or of others, is left out.
    assert_eq!(words(&bench.join(8, 6, &[1, 9])), [(8, Word::Joined(6, 14))]);
    assert_eq!(got(&bench.segment(0, 14, both)), [(7, vec![1, 2]), (8, vec![1, 2])]);
    bench.close(8);
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 3, &[], &["u"])]);
}

/// Two groups; the second is at 30 when it hears of `u`, the merge at 10.
fn ahead() -> Bench {
    let mut bench = bench(2);
    for group in 0..2 {
        bench.step(Input::NdbUp { ndb: of(group) });
        bench.step(Input::TailOpened { from: of(group), next: Position(10) });
    }
    bench.subscribe(7, 1, "t");
    bench.step(Input::Flush);
    for group in 0..2 {
        bench.step(Input::TailOpened { from: of(group), next: Position(10) });
    }
    bench.step(Input::TailPosition { from: of(1), next: Position(30) });
    assert_eq!(bench.delivery.passed(), Some(Position(10)));
    bench
}

/// Both groups apply a change, with the second at `next`; the words after the second answer.
fn applied(bench: &mut Bench, version: u64, next: u64) -> Effects {
    bench.step(Input::Flush);
    let at =
        |group, next| Input::InterestChanged { from: of(group), version, next: Position(next) };
    assert!(bench.step(at(0, 10)).outgoing.is_empty());
    bench.step(at(1, next))
}

#[test]
fn what_is_live_begins_beyond_what_a_tail_has_gone_by_without_the_pattern() {
    let mut bench = ahead();
    bench.subscribe(8, 1, "u");
    assert_eq!(told(&applied(&mut bench, 2, 30)), (1, 2, 30, 10));
    // It stays so for those who come later, until all is beyond.
    assert_eq!(told(&bench.subscribe(9, 1, "u")), (1, 2, 30, 10));
    bench.placed(10, 25, 0);
    bench.step(Input::TailPosition { from: of(0), next: Position(35) });
    assert_eq!(bench.delivery.passed(), Some(Position(35)));
    assert_eq!(told(&bench.subscribe(9, 2, "u")), (2, 2, 35, 35));
}

#[test]
fn joined_names_a_place_beyond_what_a_tail_has_gone_by_without_the_pattern() {
    let mut bench = ahead();
    bench.replay(8, 1, "u");
    // Its word of the change says that it went on meanwhile.
    assert_eq!(told(&applied(&mut bench, 2, 40)), (1, 2, 40, 10));
    bench.replay(8, 2, "t");
    assert_eq!(words(&bench.join(8, 1, &[1])), [(8, Word::Joined(1, 10))], "`t` is older");
    assert_eq!(words(&bench.join(8, 2, &[1, 2])), [(8, Word::Joined(2, 40))]);
    // Left out and back: the same place holds, as long as the merge has not come to it.
    assert_eq!(words(&bench.lag(8, 12)), [(8, Word::Lagging(12, vec![1, 2]))]);
    assert_eq!(words(&bench.join(8, 3, &[1, 2])), [(8, Word::Joined(3, 40))]);
    bench.placed(10, 40, 1);
    bench.step(Input::TailPosition { from: of(1), next: Position(50) });
    bench.lag(8, 12);
    assert_eq!(words(&bench.join(8, 4, &[1, 2])), [(8, Word::Joined(4, 50))]);
}

/// The session left its subscription and had it again while its join was on the way.
#[test]
fn a_join_that_comes_late_takes_nothing_from_the_next() {
    let mut bench = ahead();
    bench.replay(8, 1, "u");
    applied(&mut bench, 2, 30);
    bench.replay(9, 1, "u");
    bench.unsubscribe(9, 2, 2);
    assert_eq!(told(&bench.replay(9, 3, "u")), (3, 2, 30, 10));
    assert_eq!(words(&bench.join(9, 1, &[2])), [(9, Word::Joined(1, 30))], "for what it had");
    assert_eq!(words(&bench.join(9, 2, &[2])), [(9, Word::Joined(2, 30))]);
}

#[test]
fn a_session_that_lags_gets_nothing_live_until_it_joins_again() {
    let mut bench = Bench::subscribed();
    bench.subscribe(7, 2, "u");
    bench.subscribe(8, 1, "t");
    bench.flushed(2);
    let both: &[(&str, u64, &[u8])] = &[("t", 0, b"[1]"), ("u", 0, b"[1]")];
    assert_eq!(words(&bench.lag(7, 10)), [(7, Word::Lagging(10, vec![1, 2]))]);
    assert_eq!(got(&bench.segment(0, 10, both)), [(8, vec![1])], "nobody is live in the other");
    assert_eq!(bench.step(Input::Flush).sends, [], "the interest stays");
    assert_eq!(words(&bench.lag(7, 11)), [(7, Word::Lagging(11, vec![]))]);
    // Asking for what it has tells so, and makes nothing live.
    assert_eq!(words(&bench.subscribe(7, 3, "t")), [(7, Word::Subscribed(3, 1))]);
    assert_eq!(got(&bench.segment(0, 12, both)), [(8, vec![1])]);
    assert_eq!(words(&bench.join(7, 1, &[1])), [(7, Word::Joined(1, 14))]);
    assert_eq!(got(&bench.segment(0, 14, both)), [(7, vec![1]), (8, vec![1])]);
    assert_eq!(words(&bench.lag(7, 14)), [(7, Word::Lagging(14, vec![1]))]);
    assert_eq!(words(&bench.join(7, 2, &[1, 2])), [(7, Word::Joined(2, 16))]);
    assert_eq!(got(&bench.segment(0, 16, both)), [(7, vec![1, 2]), (8, vec![1, 2])]);
    // It ends while it is left out.
    bench.lag(7, 18);
    bench.close(7);
    assert_eq!(bench.step(Input::Flush).sends, [change(0, 3, &[], &["u"])]);
    assert_eq!(bench.delivery.subscriptions(), 1);
}

#[test]
fn a_snapshot_is_answered_at_once_and_adds_no_interest() {
    let mut bench = Bench::subscribed();
    bench.placed(10, 5, 0);
    let fx = bench.subscribe_as(8, 1, topic("u"), SubscribeMode::Snapshot);
    assert_eq!(told(&fx), (1, 2, 15, 15));
    assert_eq!(bench.step(Input::Flush).sends, []);
    assert_eq!(got(&bench.segment(0, 15, &[("t", 0, b"[1]")])), [(7, vec![1])]);
    // What is delivered is stored, wherever the frontier is.
    let fx = bench.subscribe_as(8, 2, topic("t"), SubscribeMode::Snapshot);
    assert_eq!(told(&fx), (2, 3, 15, 16));
    assert_eq!(got(&bench.segment(0, 16, &[("t", 0, b"[1]")])), [(7, vec![1])]);
    // Its end leaves the interest of others alone.
    bench.unsubscribe(8, 3, 3);
    bench.unsubscribe(8, 4, 2);
    assert_eq!(bench.step(Input::Flush).sends, []);
    assert_eq!(bench.delivery.subscriptions(), 1);
}

#[test]
fn others_hear_of_each_change_once() {
    let mut bench = Bench::open();
    bench.subscribe_as(6, 1, pattern("wamp.", Match::Prefix), SubscribeMode::Live);
    assert_eq!(changes(&bench.subscribe(7, 1, "t")), [], "it does not hold yet");
    bench.subscribe(8, 1, "t");
    bench.step(Input::Flush);
    let own = [('c', 6, 1), ('s', 6, 1)];
    let all: Vec<_> = [('c', 7, 2), ('s', 7, 2), ('s', 8, 2)].into_iter().chain(own).collect();
    assert_eq!(changes(&bench.opened(0, 10)), all);
    assert_eq!(changes(&bench.subscribe(7, 2, "t")), [], "a repeat");
    assert_eq!(changes(&bench.lag(7, 10)), []);
    assert_eq!(changes(&bench.join(7, 1, &[2])), []);
    assert_eq!(changes(&bench.replay(7, 3, "t")), [('c', 7, 3), ('s', 7, 3)], "its own");
    assert_eq!(changes(&bench.step(Input::Flush)), []);
    assert_eq!(changes(&bench.unsubscribe(7, 4, 2)), [('u', 7, 2)]);
    assert_eq!(changes(&bench.unsubscribe(7, 5, 2)), [], "refused");
    assert_eq!(changes(&bench.unsubscribe(8, 2, 2)), [('u', 8, 2), ('d', 8, 2)]);
    assert_eq!(changes(&bench.close(7)), [('u', 7, 3), ('d', 7, 3)]);
    bench.step(Input::Flush);
    // One that ends before it is told was never there.
    bench.subscribe(9, 1, "v");
    assert_eq!(changes(&bench.close(9)), []);
    assert_eq!(changes(&bench.subscribe_as(9, 1, topic("v"), SubscribeMode::Snapshot)).len(), 2);
    assert_eq!(changes(&bench.close(9)).len(), 2);
}

/// One message of a megabyte would be forty, made in one buffer.
#[test]
fn a_message_that_very_many_patterns_match_is_left_to_be_read_from_the_store() {
    const PREFIXES: usize = 40;
    let mut bench = Bench::open();
    let topic = "t".repeat(PREFIXES);
    // Session n has subscription n.
    for n in 1..=PREFIXES {
        let prefix = pattern(&topic[..n], Match::Prefix);
        bench.subscribe_as(n as u64, 1, prefix, SubscribeMode::Live);
    }
    bench.subscribe(50, 1, "other");
    bench.step(Input::Flush);
    assert_eq!(words(&bench.opened(0, 10)).len(), PREFIXES + 1);
    let small = bench.segment(0, 10, &[(&topic, 0, b"1"), ("other", 0, b"2")]);
    assert_eq!(got(&small).len(), PREFIXES + 1, "a small one comes live");
    let large = vec![b' '; 1 << 20];
    let fx = bench.segment(0, 12, &[(&topic, 0, &large), ("other", 0, b"4")]);
    let mut told = words(&fx);
    assert_eq!(told.remove(0), (50, Word::Events(vec![(41, None)])), "the other one has its event");
    let left_out = (1..=PREFIXES as u64).map(|n| (n, Word::Lagging(12, vec![n])));
    assert_eq!(told, left_out.collect::<Vec<_>>());
    // It is nobody's who is live any more.
    assert!(words(&bench.segment(0, 14, &[(&topic, 0, &large)])).is_empty());
}
