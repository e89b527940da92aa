//! Written histories: those that some order explains, and those that none does. The plain ones are the figures of
//! Herlihy and Wing (1990) and of Bernstein et al. (1987, write skew) in words of keys.

use super::*;

use Condition::{Absent, At, Is, Present};
use Refusal::{Reserved, Version};

#[test]
fn what_some_order_explains_passes() {
    for (name, history) in explained() {
        assert_eq!(wrong(&history), [""; 0], "{name}");
    }
}

#[test]
fn what_no_order_explains_is_caught() {
    for (name, by, history) in unexplained() {
        let wrong = wrong(&history);
        assert!(wrong.iter().any(|said| said.contains(by)), "{name}: {wrong:?}");
    }
}

/// Who calls first stands first in a history, or not: that is nothing to the checker.
#[test]
fn the_order_of_a_history_does_not_matter() {
    for (name, history) in explained() {
        let backward = history.into_iter().rev().collect::<Vec<_>>();
        assert_eq!(wrong(&backward), [""; 0], "{name}");
    }
    for (name, _, history) in unexplained() {
        let backward = history.into_iter().rev().collect::<Vec<_>>();
        assert_ne!(wrong(&backward), [""; 0], "{name}");
    }
}

fn explained() -> Vec<(&'static str, Vec<Operation>)> {
    vec![
        ("nothing at all", vec![]),
        ("one after the other", vec![put(X, 1).made(0..10, 5), get(X, 20..30, Some((1, 5)))]),
        (
            "a read beside a put sees either",
            vec![put(X, 1).made(0..100, 5), get(X, 10..20, None), get(X, 30..40, Some((1, 5)))],
        ),
        (
            "puts beside one another, in either order",
            vec![
                put(X, 1).made(0..100, 9),
                put(X, 2).made(1..50, 4),
                get(X, 60..70, Some((2, 4))),
                get(X, 120..130, Some((1, 9))),
            ],
        ),
        (
            "a put without an answer that was made",
            vec![put(X, 1).lost(0), get(X, 100..110, Some((1, 5)))],
        ),
        (
            "a put without an answer that was not",
            vec![put(X, 1).made(0..10, 3), put(X, 2).lost(5), get(X, 90..99, Some((1, 3)))],
        ),
        (
            "a put without an answer that is made late",
            vec![
                put(X, 1).made(0..10, 3),
                put(X, 2).lost(5),
                get(X, 20..30, Some((1, 3))),
                get(X, 40..50, Some((2, 9))),
            ],
        ),
        (
            "a delete without an answer that nobody saw, but its effect",
            vec![
                put(X, 1).made(0..10, 3),
                delete(X).when(X, At(3)).lost(5),
                get(X, 20..30, Some((1, 3))),
                get(X, 40..50, None),
                put(X, 2).when(X, Absent).made(60..70, 8),
            ],
        ),
        (
            "a refusal tells of a put without an answer",
            vec![
                put(X, 1).made(0..10, 3),
                put(X, 2).lost(5),
                put(X, 4).when(X, At(3)).refused(20..30, X, Version(8)),
            ],
        ),
        (
            "a put without an answer between two that were told",
            vec![
                put(X, 1).made(0..10, 3),
                put(X, 2).when(X, At(3)).lost(5),
                put(X, 4).when(X, Present).made(20..30, 8),
                put(X, 5).when(X, At(3)).refused(40..50, X, Version(8)),
            ],
        ),
        (
            "one of two gets in",
            vec![
                put(X, 1).when(X, Absent).made(0..50, 5),
                put(X, 2).when(X, Absent).refused(0..50, X, Version(5)),
            ],
        ),
        (
            "conditions on values",
            vec![
                put(X, 1).made(0..10, 5),
                put(X, 2).when(X, Is(Value(1))).made(20..30, 6),
                put(X, 3).when(X, Is(Value(1))).refused(40..50, X, Version(6)),
                delete(X).when(X, Present).made(60..70, 7),
                delete(X).when(X, Present).refused(80..90, X, Refusal::Absent),
            ],
        ),
        (
            "several keys at one moment",
            vec![
                put(X, 1).and(put(Y, 2)).made(0..50, 5),
                get_all(10..20, &[(X, None), (Y, None)]),
                get_all(30..40, &[(X, Some((1, 5))), (Y, Some((2, 6)))]),
                put(X, 3).made(60..70, 8),
                get_all(80..90, &[(X, Some((3, 8))), (Y, Some((2, 6)))]),
            ],
        ),
        (
            "a write of several keys without an answer, of which one is read",
            vec![
                put(X, 1).and(put(Y, 2)).and(delete(Z)).lost(0),
                put(Z, 3).made(5..10, 4),
                get(Y, 20..30, Some((2, 8))),
                get(Z, 40..50, None),
                get(X, 60..70, Some((1, 7))),
            ],
        ),
        (
            "money goes from one key to another",
            vec![
                put(X, 1).and(put(Y, 2)).made(0..10, 1),
                put(X, 3).and(put(Y, 4)).when(X, At(1)).when(Y, At(2)).made(20..40, 3),
                put(X, 5).and(put(Y, 6)).when(X, At(1)).when(Y, At(2)).refused(
                    20..40,
                    X,
                    Version(3),
                ),
                get_all(50..60, &[(Y, Some((4, 4))), (X, Some((3, 3)))]),
            ],
        ),
        (
            "keys that nothing joins",
            vec![
                put(X, 1).made(0..50, 5),
                put(Y, 2).made(0..50, 4),
                get(X, 10..20, None),
                get(Y, 30..40, Some((2, 4))),
            ],
        ),
        (
            "a will, some time after the end",
            vec![
                put(X, 1).will(50, None).made(0..10, 5),
                get(X, 60..70, Some((1, 5))),
                get(X, 80..90, None),
            ],
        ),
        (
            "a will that comes to nothing, because somebody put before",
            vec![
                put(X, 1).will(50, None).made(0..10, 5),
                put(X, 2).made(20..30, 8),
                get(X, 90..99, Some((2, 8))),
            ],
        ),
        (
            "a will that puts",
            vec![put(X, 1).will(50, Some(2)).made(0..10, 5), get(X, 60..70, Some((2, 9)))],
        ),
        (
            "the will of a put without an answer",
            vec![put(X, 1).will(50, Some(2)).lost(0), get(X, 60..70, Some((2, 9)))],
        ),
        (
            "a write without an answer has to come before the will that undoes what it asks for",
            vec![
                put(Y, 2).made(0..5, 3),
                put(X, 1).will(40, None).made(0..10, 5),
                delete(Y).when(X, At(5)).lost(15),
                get_all(20..30, &[(X, Some((1, 5))), (Y, Some((2, 3)))]),
                get(X, 50..60, None),
                put(Y, 3).when(Y, Absent).made(70..80, 9),
            ],
        ),
        (
            "a put without an answer for whose end somebody waits",
            vec![
                put(X, 1).lost(0),
                lock(X, 2).won(19..45, 9),
                delete(X).made(28..32, 6),
                put(X, 3).when(X, Absent).refused(33..39, X, Reserved),
                get(X, 50..60, Some((2, 9))),
            ],
        ),
        (
            "a lock goes on",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).won(5..60, 14),
                delete(X).when(X, At(5)).made(40..50, 12),
                get(X, 70..80, Some((2, 14))),
            ],
        ),
        (
            "between two holders the key is reserved",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).won(5..70, 20),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).refused(51..55, X, Reserved),
                get(X, 56..57, None),
            ],
        ),
        (
            "who has left does not win",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).left(5..30),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).made(51..55, 13),
            ],
        ),
        (
            "who leaves may have had the key reserved",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).left(5..60),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).refused(51..55, X, Reserved),
                put(X, 8).when(X, Absent).made(56..58, 13),
            ],
        ),
        (
            "a waiter that died is passed over",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).lost(5, Some(52)),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).refused(51..55, X, Reserved),
                lock(X, 3).won(20..80, 20),
            ],
        ),
        (
            "a lock without an answer that was won",
            vec![
                lock(X, 1).dies(40).won(0..10, 5),
                lock(X, 2).lost(5, None),
                get(X, 50..60, Some((2, 14))),
                lock(X, 3).left(20..99),
            ],
        ),
    ]
}

fn unexplained() -> Vec<(&'static str, &'static str, Vec<Operation>)> {
    vec![
        (
            "a stale read",
            "was replaced at 5",
            vec![put(X, 1).made(0..10, 3), put(X, 2).made(20..30, 5), get(X, 40..50, Some((1, 3)))],
        ),
        (
            "a put that is forgotten",
            "no order",
            vec![put(X, 1).made(0..10, 3), get(X, 20..30, None)],
        ),
        (
            "seen, and then not",
            "no order",
            vec![put(X, 1).made(0..100, 5), get(X, 10..20, Some((1, 5))), get(X, 30..40, None)],
        ),
        (
            "a put without an answer, seen and then not",
            "was replaced at 9",
            vec![
                put(X, 1).made(0..10, 3),
                put(X, 2).lost(5),
                get(X, 20..30, Some((2, 9))),
                get(X, 40..50, Some((1, 3))),
            ],
        ),
        (
            "read before it was put",
            "no order",
            vec![get(X, 0..10, Some((1, 5))), put(X, 1).lost(20)],
        ),
        (
            "two readers, two orders",
            "was replaced at 6",
            vec![
                put(X, 1).made(0..99, 5),
                put(X, 2).made(0..99, 6),
                get(X, 10..20, Some((2, 6))),
                get(X, 30..40, Some((1, 5))),
            ],
        ),
        (
            "both get in",
            "no order",
            vec![
                put(X, 1).when(X, Absent).made(0..50, 5),
                put(X, 2).when(X, Absent).made(0..50, 6),
            ],
        ),
        (
            "refused by what was deleted",
            "no order",
            vec![
                put(X, 1).made(0..10, 5),
                delete(X).made(20..30, 8),
                put(X, 2).when(X, Absent).refused(40..50, X, Version(5)),
            ],
        ),
        (
            "refused though its condition held",
            "no order",
            vec![put(X, 1).made(0..10, 5), put(X, 2).when(X, At(5)).refused(20..30, X, Version(5))],
        ),
        (
            "a lost update",
            "no order",
            vec![
                put(X, 1).made(0..10, 5),
                put(X, 2).when(X, At(5)).made(20..40, 6),
                put(X, 3).when(X, At(5)).made(20..40, 7),
            ],
        ),
        (
            "refused, and seen",
            "told that it changed nothing",
            vec![
                put(X, 1).when(X, Present).refused(0..10, X, Refusal::Absent),
                get(X, 20..30, Some((1, 4))),
            ],
        ),
        (
            "half of a write",
            "no order",
            vec![
                put(X, 1).and(put(Y, 2)).made(0..99, 5),
                get_all(10..20, &[(X, Some((1, 5))), (Y, None)]),
            ],
        ),
        (
            "half of a write, by two reads",
            "no order",
            vec![
                put(X, 1).and(put(Y, 2)).made(0..99, 5),
                get(Y, 10..20, Some((2, 6))),
                get(X, 30..40, None),
            ],
        ),
        (
            "write skew",
            "no order",
            vec![
                put(X, 1).when(Y, Absent).made(0..50, 5),
                put(Y, 2).when(X, Absent).made(0..50, 6),
            ],
        ),
        (
            "a will before the end",
            "no order",
            vec![put(X, 1).will(50, None).made(0..10, 5), get(X, 20..30, None)],
        ),
        (
            "a will of a value that is gone",
            "no order",
            vec![
                put(X, 1).will(50, None).made(0..10, 5),
                put(X, 2).made(20..30, 8),
                get(X, 90..99, None),
            ],
        ),
        (
            "a will that puts, of a value that is gone",
            "no order",
            vec![
                put(X, 1).will(50, Some(3)).made(0..10, 5),
                put(X, 2).made(20..30, 8),
                get(X, 90..99, Some((3, 9))),
            ],
        ),
        ("two holders", "no order", vec![lock(X, 1).won(0..10, 5), lock(X, 2).won(5..60, 12)]),
        (
            "a reserved key is given to another",
            "no order",
            vec![
                lock(X, 1).won(0..10, 5),
                lock(X, 2).won(5..99, 30),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).refused(51..52, X, Reserved),
                put(X, 8).when(X, Absent).made(53..54, 20),
                delete(X).when(X, At(20)).made(55..56, 22),
            ],
        ),
        (
            "reserved for nobody",
            "no order",
            vec![
                lock(X, 1).won(0..10, 5),
                delete(X).when(X, At(5)).made(40..50, 12),
                put(X, 9).when(X, Absent).refused(51..52, X, Reserved),
                lock(X, 2).won(53..60, 13),
            ],
        ),
        (
            "left, and has the key",
            "told that it changed nothing",
            vec![lock(X, 1).left(0..10), get(X, 20..30, Some((1, 5)))],
        ),
        (
            "a value that nobody put",
            "nobody has put",
            vec![put(X, 1).made(0..10, 5), get(X, 20..30, Some((7, 5)))],
        ),
        (
            "a value of another key",
            "nobody has put",
            vec![put(X, 1).made(0..10, 5), get(Y, 20..30, Some((1, 5)))],
        ),
        (
            "another position than its writer was told",
            "as somebody was told",
            vec![put(X, 1).made(0..10, 5), get(X, 20..30, Some((1, 6)))],
        ),
        (
            "positions against time, of two keys",
            "had returned before",
            vec![put(X, 1).made(0..10, 9), put(Y, 2).made(20..30, 4)],
        ),
        (
            "one position for two",
            "one position for two changes",
            vec![put(X, 1).and(put(Y, 2)).made(0..50, 5), put(Z, 3).made(0..50, 6)],
        ),
        (
            "stale by the positions of other keys",
            "was replaced at 6",
            vec![
                put(X, 1).made(0..5, 2),
                put(X, 3).made(10..99, 6),
                put(Y, 2).made(10..20, 9),
                get(X, 30..40, Some((1, 2))),
            ],
        ),
        (
            "a value that cannot be told from another",
            "is put twice",
            vec![put(X, 1).made(0..5, 2), put(Y, 1).made(0..5, 3)],
        ),
    ]
}

#[test]
fn a_search_that_may_not_look_on_says_so() {
    let puts = (1..=20).map(|n| put(X, n).made(10 * n..10 * n + 5, n)).collect::<Vec<_>>();
    assert!(check(&puts, 21).is_ok());
    let Err(violations) = check(&puts, 10) else { panic!("it is not done") };
    assert_eq!(violations, [Violation::NotJudged { states: 10, placed: 9, operations: 20 }]);
}

#[test]
fn thousands_of_operations_on_one_key_take_no_longer_than_they_are_many() {
    let mut history = Vec::new();
    for n in 1..=4_000_u64 {
        let at = 10 * n;
        history
            .push(put(X, n).when(X, if n == 1 { Absent } else { At(n - 1) }).made(at..at + 25, n));
        history.push(get(X, at + 1..at + 26, Some((n, n))));
        if n % 40 == 0 {
            // Some are lost, and nobody saw them.
            history.push(put(X, 100_000 + n).when(X, At(n + 1_000_000)).lost(at));
        }
    }
    let summary = check(&history, STATES).expect("sound");
    assert!(summary.states <= 3 * 4_000, "{summary:?}");
}
