//! Bad histories, one for every rule: a checker that cannot fail is worth nothing.

use super::*;

/// Three publishers in turn, one message each ms, acknowledged half a ms later; everything
/// received by `a`, `b` and `c`.
fn good(messages: u32) -> History {
    let mut publishers: Vec<_> =
        (0..3).map(|id| Publisher { id, publications: Vec::new() }).collect();
    let mut events = Vec::new();
    for n in 0..messages {
        let position = u64::from(n) + 11;
        let sent_ns = u64::from(n) * 1_000_000;
        let outcome = Outcome::Acknowledged { position, at_ns: sent_ns + 500_000 };
        let publications = &mut publishers[n as usize % 3].publications;
        publications.push(Publication { sent_ns, outcome });
        events.push(Event { position, id: id(n), publisher: n % 3, seq: n / 3 + 1 });
    }
    let subscriber = |name: &str| Subscriber {
        name: name.to_owned(),
        from: 0,
        events: events.clone(),
        complete: true,
        damaged: (0, None),
    };
    History { publishers, subscribers: ["a", "b", "c"].map(subscriber).into() }
}

fn id(n: u32) -> IdKey {
    IdKey::new(format!("2611210830c{:03}a{}", n / 10, n % 10).as_bytes()).expect("an id")
}

fn message(publisher: u32, seq: u32) -> MessageName {
    MessageName { publisher, seq }
}

/// Changes one thing in what every subscriber received.
fn for_all(history: &mut History, change: impl Fn(&mut Vec<Event>)) {
    history.subscribers.iter_mut().for_each(|subscriber| change(&mut subscriber.events));
}

/// The violations after `break_it`.
fn violations(break_it: impl FnOnce(&mut History)) -> Vec<Violation> {
    let mut history = good(30);
    break_it(&mut history);
    let report = check(&history);
    assert_eq!(report.is_ok(), report.violations.is_empty());
    report.violations
}

#[test]
fn a_good_history_passes_and_is_counted() {
    let report = check(&good(30));
    report.assert_ok();
    let counts = (report.sent, report.acknowledged, report.positions, report.subscribers);
    assert_eq!(counts, (30, 30, 30, 3));
    check(&History::default()).assert_ok();
}

#[test]
fn r1_an_acknowledged_message_that_nobody_received_is_lost() {
    let found = violations(|h| for_all(h, |events| _ = events.remove(5)));
    assert_eq!(found, [Violation::Lost { message: message(2, 2), position: 16 }]);
    let last = violations(|h| for_all(h, |events| _ = events.pop()));
    assert_eq!(last, [Violation::Lost { message: message(2, 10), position: 40 }]);
}

#[test]
fn r1_a_broken_connection_excuses_only_what_came_after_it() {
    let cut = |h: &mut History, missing: Option<usize>| {
        for subscriber in &mut h.subscribers {
            subscriber.complete = false;
            subscriber.events.truncate(20);
            missing.map(|at| subscriber.events.remove(at));
        }
    };
    assert_eq!(violations(|h| cut(h, None)), []);
    let found = violations(|h| cut(h, Some(4)));
    assert_eq!(found, [Violation::Lost { message: message(1, 2), position: 15 }]);
}

#[test]
fn r1_one_subscriber_alone_may_not_miss_a_message() {
    let found = violations(|h| _ = h.subscribers[1].events.remove(7));
    let gap = |position, message| Violation::Gap { subscriber: "b".into(), position, message };
    assert_eq!(found, [gap(18, message(1, 3))]);
    let end = violations(|h| h.subscribers[1].events.truncate(28));
    assert_eq!(end, [gap(39, message(1, 10)), gap(40, message(2, 10))]);
    let nothing = violations(|h| h.subscribers[1].events.clear());
    assert_eq!(nothing.len(), 20);
}

#[test]
fn r3_a_late_subscriber_is_owed_nothing_before_its_start() {
    let late = |h: &mut History, from: u64| {
        h.subscribers[2].from = from;
        h.subscribers[2].events.drain(..10);
    };
    assert_eq!(violations(|h| late(h, 21)), []);
    assert_eq!(violations(|h| late(h, 20)).len(), 1);
}

#[test]
fn r2_no_message_stands_at_two_positions() {
    let found = violations(|h| {
        for_all(h, |events| {
            let again = Event { position: 50, id: id(50), ..events[3] };
            events.push(again);
        });
    });
    assert_eq!(found, [Violation::Repeated { message: message(0, 2), first: 14, second: 50 }]);
}

#[test]
fn r2_no_position_is_given_to_two_messages() {
    let found = violations(|h| {
        let taken = Outcome::Acknowledged { position: 12, at_ns: 99_000_000 };
        h.publishers[2].publications[0].outcome = taken;
    });
    let two = |v: &&Violation| matches!(v, Violation::PositionTwice { position: 12, .. });
    assert_eq!(found.iter().filter(two).count(), 1);
    let elsewhere = Violation::Elsewhere { message: message(2, 1), acknowledged: 12, received: 13 };
    assert!(found.contains(&elsewhere), "{found:?}");
}

#[test]
fn r3_positions_rise_at_each_subscriber() {
    let swapped = violations(|h| h.subscribers[0].events.swap(3, 4));
    let not_rising =
        Violation::NotRising { subscriber: "a".into(), index: 4, before: 15, position: 14 };
    assert!(swapped.contains(&not_rising), "{swapped:?}");
    let twice = violations(|h| {
        let again = h.subscribers[0].events[6];
        h.subscribers[0].events.insert(7, again);
    });
    let not_rising =
        Violation::NotRising { subscriber: "a".into(), index: 7, before: 17, position: 17 };
    assert_eq!(twice, [not_rising]);
}

#[test]
fn r3_all_subscribers_have_the_same_at_one_position() {
    let found = violations(|h| {
        let events = &mut h.subscribers[2].events;
        (events[8].publisher, events[9].publisher) = (events[9].publisher, events[8].publisher);
        (events[8].seq, events[9].seq) = (events[9].seq, events[8].seq);
    });
    let different = |v: &Violation| matches!(v, Violation::Different { second_subscriber, .. } if second_subscriber == "c");
    assert!(found.len() == 2 && found.iter().all(different), "{found:?}");
}

#[test]
fn r3_permanent_ids_are_the_same_at_all_subscribers() {
    let found = violations(|h| h.subscribers[1].events[29].id = id(30));
    assert!(matches!(found[..], [Violation::Different { position: 40, .. }]), "{found:?}");
}

#[test]
fn r4_published_and_event_have_one_position() {
    let found = violations(|h| {
        let moved = Outcome::Acknowledged { position: 41, at_ns: 99_000_000 };
        h.publishers[2].publications[9].outcome = moved;
    });
    let elsewhere =
        Violation::Elsewhere { message: message(2, 10), acknowledged: 41, received: 40 };
    assert_eq!(found, [elsewhere]);
}

#[test]
fn r5_permanent_ids_rise() {
    let found = violations(|h| for_all(h, |events| events[11].id = events[10].id));
    assert_eq!(found.len(), 3);
    assert!(matches!(found[0], Violation::IdNotRising { position: 22, .. }), "{found:?}");
}

#[test]
fn r6_one_publishers_messages_keep_their_order() {
    // Unacknowledged, so that only what was received tells.
    let found = violations(|h| {
        h.publishers[1].publications.iter_mut().for_each(|p| p.outcome = Outcome::Unknown);
        for_all(h, |events| (events[1].seq, events[4].seq) = (events[4].seq, events[1].seq));
    });
    let own = Violation::OwnOrder { earlier: message(1, 1), later: message(1, 2), position: 15 };
    assert!(found.contains(&own), "{found:?}");
}

#[test]
fn r6_acknowledged_positions_of_one_publisher_rise() {
    let found = violations(|h| {
        h.subscribers.clear();
        let publications = &mut h.publishers[0].publications;
        let (a, b) = (publications[4].outcome, publications[5].outcome);
        (publications[4].outcome, publications[5].outcome) = (b, a);
    });
    let own = Violation::OwnOrder { earlier: message(0, 5), later: message(0, 6), position: 26 };
    assert!(found.contains(&own), "{found:?}");
}

#[test]
fn r7_an_acknowledged_message_comes_before_one_that_is_sent_later() {
    // Publisher 1's second message is sent when publisher 2's second is acknowledged already.
    let found = violations(|h| h.publishers[1].publications[1].sent_ns = 6_000_000);
    let real_time = Violation::RealTime {
        first: message(2, 2),
        first_position: 16,
        acknowledged_ns: 5_500_000,
        second: message(1, 2),
        second_position: 15,
        sent_ns: 6_000_000,
    };
    assert_eq!(found, [real_time]);
}

#[test]
fn r7_holds_for_messages_without_acknowledgement_as_well() {
    let found = violations(|h| {
        h.publishers[1].publications[1] =
            Publication { sent_ns: 6_000_000, outcome: Outcome::Unknown };
    });
    assert!(matches!(found[..], [Violation::RealTime { .. }]), "{found:?}");
}

#[test]
fn r8_an_unanswered_message_may_appear_or_not() {
    let mut history = good(30);
    history.publishers[0].publications[9].outcome = Outcome::Unknown;
    let report = check(&history);
    report.assert_ok();
    assert_eq!((report.received_unacknowledged, report.never_appeared), (1, 0));
    for_all(&mut history, |events| events.retain(|e| (e.publisher, e.seq) != (0, 10)));
    let report = check(&history);
    report.assert_ok();
    assert_eq!((report.received_unacknowledged, report.never_appeared), (0, 1));
}

#[test]
fn r8_what_was_refused_or_never_sent_does_not_appear() {
    let refused = violations(|h| h.publishers[0].publications[9].outcome = Outcome::Refused);
    let unexplained = |position, message, why| Violation::Unexplained { position, message, why };
    assert_eq!(refused, [unexplained(38, message(0, 10), "was refused")]);
    let seq = violations(|h| _ = h.publishers[2].publications.pop());
    assert_eq!(seq, [unexplained(40, message(2, 10), "was never sent")]);
    let publisher = violations(|h| for_all(h, |events| events[29].publisher = 9));
    assert!(publisher.contains(&unexplained(40, message(9, 10), "was never sent")));
    let zero = violations(|h| for_all(h, |events| events[29].seq = 0));
    assert!(zero.contains(&unexplained(40, message(2, 0), "was never sent")));
}

#[test]
fn r8_damaged_payloads_are_reported() {
    let found = violations(|h| h.subscribers[1].damaged = (2, Some("[\"?\"]".into())));
    assert!(matches!(found[..], [Violation::Damaged { count: 2, .. }]), "{found:?}");
}

#[test]
fn a_report_says_in_words_what_is_wrong_first_and_how_much_more() {
    let mut history = good(300);
    history.subscribers[1].events.truncate(10);
    let report = check(&history);
    assert_eq!(report.violations_total, 290);
    let text = report.to_string();
    let first = "b misses position 21, message 4 of publisher 1, which another subscriber has";
    assert!(text.contains(first) && text.ends_with("… and 270 more"), "{text}");
}
