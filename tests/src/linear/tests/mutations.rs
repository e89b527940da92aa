//! The three faults that the checker is there for, as histories of a cluster that has them; and beside each the
//! same with the answers that are right.

use super::*;

const ABSENT: Condition = Condition::Absent;

fn assert_caught(history: &[Operation], by: &str) {
    let wrong = wrong(history);
    assert!(wrong.iter().any(|said| said.contains(by)), "{wrong:?}");
}

fn assert_sound(history: &[Operation]) {
    assert_eq!(wrong(history), [""; 0]);
}

#[test]
fn conditions_asked_at_arrival_let_two_in() {
    let first = || put(X, 1).when(X, ABSENT).made(0..50, 10);
    let second = || put(X, 2).when(X, ABSENT);
    assert_caught(&[first(), second().made(5..55, 11)], "no order");
    assert_sound(&[first(), second().refused(5..55, X, Refusal::Version(10))]);
}

#[test]
fn conditions_asked_at_arrival_refuse_by_what_was() {
    let before =
        || [put(X, 1).made(0..10, 10), delete(X).when(X, Condition::At(10)).made(20..30, 12)];
    let second = || put(X, 2).when(X, ABSENT);
    let [put, deleted] = before();
    assert_caught(&[put, deleted, second().refused(40..50, X, Refusal::Version(10))], "no order");
    let [put, deleted] = before();
    assert_sound(&[put, deleted, second().made(40..50, 13)]);
}

#[test]
fn conditions_asked_at_arrival_let_an_old_token_write() {
    let holders = || {
        [
            lock(X, 1).dies(40).won(0..10, 10),
            lock(X, 2).won(5..60, 14),
            get(X, 70..75, Some((2, 14))),
        ]
    };
    let guarded = || put(Y, 3).when(X, Condition::At(10));
    let with = |last: Operation| holders().into_iter().chain([last]).collect::<Vec<_>>();
    // It came while the first one held the key, and stands behind the win of the second.
    assert_caught(&with(guarded().made(30..90, 20)), "no order");
    assert_sound(&with(guarded().made(30..90, 12)));
    assert_sound(&with(guarded().refused(30..90, X, Refusal::Version(14))));
}

#[test]
fn a_will_applied_twice_takes_the_key_from_the_next_one() {
    let next = || {
        [
            lock(X, 1).dies(40).won(0..10, 10),
            lock(X, 2).won(5..60, 14),
            get(X, 61..65, Some((2, 14))),
        ]
    };
    let with = |last: Operation| next().into_iter().chain([last]).collect::<Vec<_>>();
    assert_caught(&with(get(X, 70..80, None)), "no order");
    assert_sound(&with(get(X, 70..80, Some((2, 14)))));
    // And a third gets it, while the second holds it.
    assert_caught(&with(lock(X, 3).won(50..90, 20)), "no order");
    let died = |from| {
        vec![
            lock(X, 1).dies(40).won(0..10, 10),
            lock(X, 2).dies(from).won(5..60, 14),
            lock(X, 3).won(50..90, 20),
        ]
    };
    assert_sound(&died(70));
    assert_caught(&died(95), "no order");
}

#[test]
fn a_will_that_puts_is_seen_once() {
    let once = || {
        vec![
            put(X, 1).will(40, Some(2)).made(0..10, 10),
            get(X, 50..55, Some((2, 13))),
            put(X, 3).made(60..70, 15),
        ]
    };
    let twice = [once(), vec![get(X, 80..90, Some((2, 17)))]].concat();
    assert_caught(&twice, "and was read at 17");
    assert_sound(&[once(), vec![get(X, 80..90, Some((3, 15)))]].concat());
}

#[test]
fn an_outcome_told_before_the_order_is_another_than_that_of_the_order() {
    let at = |value, position| put(X, value).when(X, Condition::At(position));
    let begin = || put(X, 1).made(0..5, 10);
    // Both entries saw version 10, and told so before they knew their places.
    assert_caught(&[begin(), at(2, 10).made(10..20, 15), at(3, 10).made(11..21, 16)], "no order");
    assert_sound(&[
        begin(),
        at(2, 10).made(10..20, 15),
        at(3, 10).refused(11..21, X, Refusal::Version(15)),
    ]);
}

#[test]
fn a_refusal_told_before_the_order_is_seen_to_be_none() {
    let begin = || [put(X, 1).made(0..5, 10), delete(X).made(10..30, 12)];
    let refused = || put(X, 2).when(X, ABSENT).refused(12..20, X, Refusal::Version(10));
    let with = |last: Operation| begin().into_iter().chain([refused(), last]).collect::<Vec<_>>();
    assert_caught(&with(get(X, 40..50, Some((2, 13)))), "told that it changed nothing");
    assert_sound(&with(get(X, 40..50, None)));
}

#[test]
fn a_place_told_before_the_order_is_missed_by_who_reads_next() {
    // Told at 20, in the order at 60.
    let told = || put(X, 2).made(10..20, 15);
    let begin = || put(X, 1).made(0..5, 10);
    assert_caught(&[begin(), told(), get(X, 30..40, Some((1, 10)))], "was replaced at 15");
    assert_caught(&[told(), get(X, 30..40, None)], "no order");
    // Its place came later than that of one that was called later.
    assert_caught(&[put(X, 2).made(10..20, 15), put(Y, 3).made(30..40, 12)], "had returned before");
    assert_sound(&[begin(), told(), get(X, 15..40, Some((1, 10)))]);
}
