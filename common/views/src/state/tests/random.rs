//! Any writes: the view against a naive one, and views that were told the same in other pieces.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::naive::{Naive, Tree, Wish, Write};
use super::*;

const KEYS: [&str; 4] = ["a", "a.b", "b", "c"];
const REALMS: [&str; 2] = ["r", "com.x"];

/// Few keys and values, so that writes meet.
fn any_value() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        (0_i64..3).prop_map(Tree::Int),
        Just(Tree::Float(1.0)),
        "[ab]".prop_map(Tree::Str),
    ];
    leaf.prop_recursive(2, 4, 2, |inner| {
        prop::collection::vec(("[xy]", inner), 0..3).prop_map(Tree::Map)
    })
}

fn any_write() -> impl Strategy<Value = Write> {
    let realm = || prop::sample::select(REALMS.to_vec());
    let key = || prop::sample::select(KEYS.to_vec());
    let wish = prop_oneof![
        2 => Just(Wish::Absent),
        2 => Just(Wish::Present),
        4 => (0_u64..2).prop_map(Wish::Version),
        4 => any_value().prop_map(Wish::Value),
    ];
    let when = prop_oneof![
        2 => Just(Vec::new()),
        3 => prop::collection::vec((prop::option::of(key()), wish), 1..3),
    ];
    let keys = prop_oneof![
        3 => prop::sample::subsequence(KEYS.to_vec(), 1),
        1 => prop::sample::subsequence(KEYS.to_vec(), 2..4).prop_shuffle(),
    ];
    let put = prop_oneof![
        3 => (any_value(), prop::option::weighted(0.3, 1_u64..3_000)).prop_map(Some),
        1 => Just(None),
    ];
    let parts = (keys, prop::collection::vec(put, 4));
    let parts = parts.prop_map(|(keys, puts)| keys.into_iter().zip(puts).collect::<Vec<_>>());
    let write = (realm(), parts, when);
    let write = write.prop_map(|(realm, parts, when)| Write::Parts { realm, parts, when });
    let off = prop_oneof![4 => Just(0_u64), 1 => Just(1)];
    let expire = (realm(), key(), off);
    let expire = expire.prop_map(|(realm, key, off)| Write::Expire { realm, key, off });
    prop_oneof![8 => write, 1 => expire]
}

/// Writes, each with the positions that it leaves out, the milliseconds since the one before, and an encoding.
fn any_log() -> impl Strategy<Value = Vec<(u64, u64, Encoding, Write)>> {
    let encoding = prop::sample::select(vec![Encoding::Json, Encoding::MsgPack, Encoding::Cbor]);
    prop::collection::vec((0_u64..3, 0_u64..1_000, encoding, any_write()), 0..40)
}

fn at(realm: &str, key: &str, judged: Judged, put: Option<&Tree>, encoding: Encoding) -> Message {
    let payload = put.map(|tree| Tree::payload(std::slice::from_ref(tree), &[], encoding));
    Message {
        topic: topic_of(realm, key),
        content: encoding.into(),
        payload: payload.unwrap_or_default(),
        ..Message::new(key, judged, "")
    }
}

/// The messages of a write, with what the naive view has before it.
fn messages(write: &Write, before: &Naive, encoding: Encoding) -> Vec<Message> {
    let version = |realm: &str, key: &str, off: u64| {
        Position(before.find(realm, key).map_or(1_000_000, |held| held.version) + off)
    };
    let (realm, parts, when) = match write {
        Write::Parts { realm, parts, when } => (realm, parts, when),
        Write::Expire { realm, key, off } => {
            let of = version(realm, key, *off);
            return vec![at(realm, key, Judged::Expire { of, life: LIFE }, None, encoding)];
        }
    };
    let when = when.iter().map(|(key, wish)| {
        let is = match wish {
            Wish::Absent => Condition::Absent,
            Wish::Present => Condition::Present,
            Wish::Version(off) => {
                Condition::Position(version(realm, key.unwrap_or(parts[0].0), *off))
            }
            Wish::Value(tree) => {
                Condition::Value { content: encoding.into(), bytes: tree.to_bytes(encoding).into() }
            }
        };
        When { key: key.map(str::to_owned), is }
    });
    let count = u16::try_from(parts.len()).expect("few");
    let head = Head { when: when.collect(), ..Head::of_parts(count) };
    let is_free = head.is_free();
    (0..)
        .zip(parts)
        .map(|(behind, (key, put))| {
            let put_of = |ttl_ms: &Option<u64>| Put { ttl_ms: *ttl_ms, will: None };
            let member = Member { behind, is_free };
            let judged = match (behind, put) {
                (0, Some((_, ttl))) => Judged::Put(put_of(ttl), head.clone()),
                (0, None) => Judged::Delete(head.clone()),
                (_, Some((_, ttl))) => Judged::MemberPut(put_of(ttl), member),
                (_, None) => Judged::MemberDelete(member),
            };
            at(realm, key, judged, put.as_ref().map(|(tree, _)| tree), encoding)
        })
        .collect()
}

/// All that a view has, by realm and key: versions and payloads.
fn held(state: &State) -> BTreeMap<(String, String), (u64, Vec<u8>)> {
    let realms = state.realms().map(|(realm, _)| realm.to_owned());
    let all = realms.flat_map(|realm| {
        let keys = state.range(&realm, Bound::Unbounded);
        let of = |(key, value): (&str, &Value)| {
            ((realm.clone(), key.to_owned()), (value.version.0, value.payload().to_vec()))
        };
        keys.map(of).collect::<Vec<_>>()
    });
    all.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// T2, T5, T12, and verdicts; `check` is called by each message.
    #[test]
    fn the_view_is_what_a_plain_list_says(log in any_log()) {
        let (mut state, mut naive) = (State::new(), Naive::default());
        let (mut position, mut now) = (0, 0);
        // Of each key its highest version so far, and of each position the topic of its message.
        let (mut versions, mut topics) = (BTreeMap::new(), BTreeMap::new());
        for (gap, step, encoding, write) in &log {
            position += 1 + gap;
            now += step;
            let (head, before) = (position, held(&state));
            let messages = messages(write, &naive, *encoding);
            let is_accepted = naive.apply(head, now, write);
            for (behind, message) in (0..).zip(&messages) {
                position = head + behind;
                topics.insert(position, message.topic.clone());
                let outcome = message.apply(&mut state, position, now);
                match outcome {
                    Outcome::Head(verdict) => {
                        prop_assert_eq!(behind, 0);
                        prop_assert_eq!(verdict == Verdict::Accepted, is_accepted, "{:?}", write);
                    }
                    Outcome::Member { head: of, is_made } => {
                        prop_assert_eq!((of, is_made), (Position(head), is_accepted));
                    }
                    other => prop_assert!(false, "{:?}", other),
                }
                let is_last = usize::try_from(behind + 1) == Ok(messages.len());
                prop_assert_eq!(state.is_open(), !is_last);
            }
            let after = held(&state);
            prop_assert!(is_accepted || before == after, "T5: none of it");
            if is_accepted && let Write::Parts { realm, parts, .. } = write {
                for (behind, (key, put)) in (0..).zip(parts) {
                    let version = state.get(realm, key).map(|value| value.version);
                    let wanted = put.as_ref().map(|_| Position(head + behind));
                    prop_assert_eq!(version, wanted, "T5: all of it");
                }
            }
            for ((realm, key), (version, _)) in &after {
                let topic = topic_of(realm, key);
                prop_assert_eq!(topics.get(version), Some(&topic), "T2: of its topic");
                let highest = versions.entry(topic).or_insert(*version);
                prop_assert!(*version >= *highest, "T2: versions rise");
                *highest = *version;
            }
            let plain = naive.held.iter().map(|held| (held.realm, held.key, held.version));
            let mut plain: Vec<_> = plain.collect();
            plain.sort_unstable();
            let of = |((realm, key), (version, _)): (&(String, String), &(u64, Vec<u8>))| {
                (realm.clone(), key.clone(), *version)
            };
            let there: Vec<_> = after.iter().map(of).collect();
            let plain = plain.into_iter().map(|(r, k, v)| (r.to_owned(), k.to_owned(), v));
            prop_assert_eq!(there, plain.collect::<Vec<_>>());
        }
    }

    /// T1: with the positions between told or not, all at once or with repetitions.
    #[test]
    fn the_same_messages_give_the_same_view_chain_and_sum(
        log in any_log(),
        noise in prop::collection::vec(0_u8..4, 40),
    ) {
        let mut naive = Naive::default();
        let (mut one, mut other) = (State::new(), State::new());
        let (mut position, mut now) = (0, 0);
        for ((gap, step, encoding, write), noise) in log.iter().zip(noise) {
            position += 1 + gap;
            now += step;
            let messages = messages(write, &naive, *encoding);
            naive.apply(position, now, write);
            if noise & 1 > 0 {
                other.pass_below(Position(position));
                prop_assert_eq!(other.position(), Position(position - 1));
            }
            for (behind, message) in (0..).zip(&messages) {
                let outcome = message.apply(&mut one, position + behind, now);
                if noise & 2 > 0 {
                    // A tail that begins anew tells some of it again.
                    let again = message.apply(&mut other, position + behind, now);
                    prop_assert_eq!(again, outcome);
                    other.pass_below(Position(position + behind + 1));
                    let again = message.apply(&mut other, position + behind, now);
                    prop_assert_eq!(again, Outcome::Repeated);
                } else {
                    prop_assert_eq!(message.apply(&mut other, position + behind, now), outcome);
                }
                prop_assert_eq!((one.chain(), one.sum()), (other.chain(), other.sum()));
                prop_assert_eq!(&one, &other);
            }
            position += messages.len() as u64 - 1;
        }
    }

    /// T1, the other way: a view that has missed a message, or got another, has another chain or sum.
    #[test]
    fn another_message_gives_another_chain_or_sum(log in any_log(), missed in 0_usize..40) {
        let mut naive = Naive::default();
        let (mut one, mut other) = (State::new(), State::new());
        let (mut position, mut now) = (0, 0);
        for (at, (gap, step, encoding, write)) in log.iter().enumerate() {
            position += 1 + gap;
            now += step;
            let messages = messages(write, &naive, *encoding);
            naive.apply(position, now, write);
            for (behind, message) in (0..).zip(&messages) {
                message.apply(&mut one, position + behind, now);
                if at != missed {
                    message.apply(&mut other, position + behind, now);
                }
            }
            position += messages.len() as u64 - 1;
            if at >= missed {
                prop_assert_ne!(one.chain(), other.chain());
            }
            prop_assert!(one.sum() != other.sum() || held(&one) == held(&other));
        }
    }

    /// Whatever stands in the realm: nothing panics, and the invariants hold.
    #[test]
    fn any_attributes_leave_the_invariants(
        log in prop::collection::vec((0_u8..10, prop::collection::vec(any::<u8>(), 0..12), 0_u64..2), 0..30),
    ) {
        let (mut state, mut position) = (State::new(), 0);
        for (kind, body, gap) in log {
            position += 1 + gap;
            let mut attributes = vec![130, u8::try_from(body.len() + 2).expect("few"), 1, kind];
            attributes.extend(&body);
            let message = Message {
                topic: topic_of("r", KEYS[usize::from(kind) % 4]),
                content: JSON,
                attributes,
                payload: body,
            };
            message.apply(&mut state, position, position);
        }
    }
}
