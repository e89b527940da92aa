//! Who is suspected, and who is gone.

use super::*;

const MS: Duration = Duration::from_millis(1);
const OWN: u128 = 1;

fn owner(n: u128) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(n))
}

fn life(n: u128) -> Life {
    Life { owner: owner(n), number: 1 }
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

fn unlinked(silent_ms: u64) -> HeardOf {
    HeardOf { is_linked: false, silent_ms }
}

fn linked(silent_ms: u64) -> HeardOf {
    HeardOf { is_linked: true, silent_ms }
}

/// E1 of three sync nodes, with E2 that lives and is linked.
fn suspects(now: Instant) -> Suspects {
    let mut suspects = Suspects::new(owner(OWN), name("E1"), (0..3).map(SyncId), 2);
    suspects.living(now, life(OWN), name("E1"));
    suspects.living(now, life(2), name("E2"));
    suspects.up(owner(2));
    suspects
}

/// The only question.
fn asked(suspects: &mut Suspects, now: Instant) -> u64 {
    let owed = suspects.poll(now);
    assert_eq!((owed.asks.len(), owed.gone.len()), (1, 0), "{owed:?}");
    owed.asks[0].0
}

#[test]
fn an_entry_is_suspected_without_a_link_for_a_while_or_silent_on_it() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    assert_eq!((suspects.poll(start + 9_000 * MS), suspects.timeout_at()), (Owed::default(), None));
    let cut = start + 10_000 * MS;
    suspects.down(cut, owner(2));
    assert_eq!(suspects.timeout_at(), Some(cut + UNLINKED));
    assert_eq!(suspects.poll(cut + 499 * MS), Owed::default());
    assert_eq!(suspects.trust_of(owner(2)), Trust::Heard);
    let first = asked(&mut suspects, cut + 500 * MS);
    assert_eq!(suspects.trust_of(owner(2)), Trust::Suspected);
    assert_eq!(suspects.timeout_at(), Some(cut + 1_500 * MS));
    assert!(asked(&mut suspects, cut + 1_500 * MS) > first, "again, each second");
    suspects.up(owner(2));
    assert_eq!((suspects.trust_of(owner(2)), suspects.timeout_at()), (Trust::Heard, None));
    suspects.silent(owner(2), true);
    assert!(suspects.timeout_at().is_some_and(|at| at <= cut));
    asked(&mut suspects, cut + 2_000 * MS);
    suspects.silent(owner(2), false);
    assert_eq!(suspects.trust_of(owner(2)), Trust::Heard);
}

#[test]
fn it_is_gone_when_a_quorum_that_was_asked_since_has_it_so() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.down(start, owner(2));
    let now = start + 500 * MS;
    let request = asked(&mut suspects, now);
    suspects.answered(now, SyncId(0), request, unlinked(500));
    suspects.answered(now, SyncId(0), request, unlinked(500));
    suspects.answered(now, SyncId(7), request, unlinked(500));
    suspects.answered(now, SyncId(1), request - 1, unlinked(500));
    assert_eq!(suspects.poll(now), Owed::default(), "one, twice, a stranger, and a late one");
    suspects.answered(now, SyncId(2), request, linked(1_800));
    let owed = suspects.poll(now);
    assert_eq!(owed, Owed { gone: vec![(life(2), GoneWhy::NotHeard)], ..Owed::default() });
    assert_eq!(suspects.poll(now).gone, [], "it is written once");
    suspects.over(owner(2));
    assert_eq!((suspects.timeout_at(), suspects.trust_of(owner(2))), (None, Trust::Heard));
}

#[test]
fn one_that_others_hear_is_not_gone_and_is_asked_about_again() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.down(start, owner(2));
    let now = start + 500 * MS;
    let request = asked(&mut suspects, now);
    for (node, said) in [(0, unlinked(499)), (1, linked(1_799)), (2, unlinked(500))] {
        suspects.answered(now, SyncId(node), request, said);
    }
    assert_eq!(suspects.poll(now), Owed::default());
    assert_eq!(suspects.trust_of(owner(2)), Trust::HeardElsewhere);
    let later = now + ASK_AGAIN;
    let again = asked(&mut suspects, later);
    suspects.answered(later, SyncId(0), again, unlinked(1_500));
    suspects.answered(later, SyncId(2), again, unlinked(1_500));
    assert_eq!(suspects.trust_of(owner(2)), Trust::Suspected);
    assert_eq!(suspects.poll(later).gone, [(life(2), GoneWhy::NotHeard)]);
}

/// The second in order waits for the first, and for as long as it is still so.
#[test]
fn the_next_in_order_says_it_later_and_not_where_somebody_hears_it_again() {
    let start = Instant::now();
    // Who comes before E1 in saying that the owner 2 is gone.
    let weight = |n: u128| Digest::of(&[owner(2).0.as_bytes(), owner(n).0.as_bytes()]);
    let other = (3..).find(|n| weight(*n) < weight(OWN)).expect("one");
    let gone_at = |hears_again: bool| {
        let mut suspects = suspects(start);
        suspects.living(start, life(other), name("E3"));
        suspects.up(owner(other));
        suspects.down(start, owner(2));
        let now = start + 500 * MS;
        let request = asked(&mut suspects, now);
        for node in [0, 1] {
            suspects.answered(now, SyncId(node), request, unlinked(600));
        }
        assert_eq!(suspects.poll(now), Owed::default());
        assert_eq!(suspects.timeout_at(), Some(now + STAGGER));
        if hears_again {
            suspects.answered(now, SyncId(2), request, linked(3));
            suspects.answered(now, SyncId(1), request, linked(3));
        }
        suspects.poll(now + STAGGER).gone
    };
    assert_eq!(gone_at(false), [(life(2), GoneWhy::NotHeard)]);
    assert_eq!(gone_at(true), []);
}

#[test]
fn what_was_written_and_never_read_is_written_again() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.down(start, owner(2));
    let mut now = start + 500 * MS;
    let mut written = Vec::new();
    for _turn in 0..100 {
        let owed = suspects.poll(now);
        for (request, _) in owed.asks {
            for node in [0, 1] {
                suspects.answered(now, SyncId(node), request, unlinked(700));
            }
        }
        written.extend(owed.gone.iter().map(|_| (now - start).as_secs()));
        now = suspects.timeout_at().expect("it lasts").max(now + MS);
    }
    assert!(written.len() > 5, "{written:?}");
    assert!(written.windows(2).all(|two| two[1] - two[0] >= 5), "{written:?}");
}

/// An entry that was killed and began anew: nobody waits for the old one.
#[test]
fn the_old_life_of_a_name_is_gone_as_soon_as_a_quorum_has_no_link_of_it() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.down(start, owner(2));
    suspects.living(start, life(9), name("E2"));
    assert_eq!(suspects.poll(start), Owed::default(), "the new one is not linked");
    suspects.up(owner(9));
    let request = asked(&mut suspects, start);
    suspects.answered(start, SyncId(0), request, unlinked(3));
    suspects.answered(start, SyncId(1), request, unlinked(0));
    let said = start + 3 * STAGGER;
    assert_eq!(suspects.poll(said).gone, [(life(2), GoneWhy::Renamed)]);
    // Its own name: this entry is the new one.
    suspects.living(start, life(8), name("E1"));
    let owed = suspects.poll(start);
    assert_eq!(owed.asks.iter().map(|(_, of)| *of).collect::<Vec<_>>(), [owner(8)]);
    suspects.answered(start, SyncId(0), owed.asks[0].0, linked(3));
    suspects.answered(start, SyncId(1), owed.asks[0].0, unlinked(3));
    assert_eq!(suspects.poll(said).gone, [], "one has a link to it");
    suspects.answered(start, SyncId(2), owed.asks[0].0, unlinked(3));
    assert_eq!(suspects.poll(said).gone, [(life(8), GoneWhy::Renamed)]);
}

#[test]
fn a_life_that_begins_has_time_to_link_and_one_that_follows_is_trusted_anew() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.living(start, life(3), name("E3"));
    assert_eq!(suspects.timeout_at(), Some(start + UNLINKED));
    let request = asked(&mut suspects, start + UNLINKED);
    let second = Life { owner: owner(3), number: 2 };
    suspects.living(start + UNLINKED, second, name("E3"));
    assert_eq!(suspects.trust_of(owner(3)), Trust::Heard);
    for node in 0..3 {
        suspects.answered(start + UNLINKED, SyncId(node), request, unlinked(9_000));
    }
    let again = asked(&mut suspects, start + 2 * UNLINKED);
    for node in 0..2 {
        suspects.answered(start + 2 * UNLINKED, SyncId(node), again, unlinked(9_000));
    }
    let said = start + 2 * UNLINKED + STAGGER;
    assert_eq!(suspects.poll(said).gone, [(second, GoneWhy::NotHeard)]);
}

/// It stood still itself since then.
#[test]
fn what_a_quorum_has_said_long_ago_ends_nobody() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.down(start, owner(2));
    let mut now = start + UNLINKED;
    for (waited, wanted) in [(STALE + MS, vec![]), (STALE, vec![(life(2), GoneWhy::NotHeard)])] {
        let request = suspects.poll(now).asks.last().expect("asked").0;
        for node in [0, 1] {
            suspects.answered(now, SyncId(node), request, unlinked(600));
        }
        now += waited;
        let owed = suspects.poll(now);
        assert_eq!((owed.asks.len(), owed.gone), (1, wanted), "and asks again");
        now += ASK_AGAIN;
    }
}

#[test]
fn a_view_that_begins_anew_keeps_what_is_thought_of_those_that_it_had() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    suspects.living(start, life(3), name("E3"));
    suspects.down(start, owner(2));
    let now = start + 500 * MS;
    assert_eq!(suspects.poll(now).asks.len(), 2);
    let second = Life { owner: owner(3), number: 2 };
    let all = [(life(OWN), "E1"), (life(2), "E2"), (second, "E3"), (life(4), "E4")];
    suspects.all_living(now, all.map(|(life, called)| (life, name(called))));
    let thought = [2, 3, 4].map(|n| suspects.trust_of(owner(n)));
    assert_eq!(thought, [Trust::Suspected, Trust::Heard, Trust::Heard]);
    let owed = suspects.poll(now + UNLINKED);
    let asked: Vec<_> = owed.asks.iter().map(|(_, of)| *of).collect();
    assert_eq!(asked, [2, 3, 4].map(owner), "together, where it is time for one");
    suspects.all_living(now, [(life(OWN), name("E1"))]);
    assert_eq!(suspects.timeout_at(), None);
}

#[test]
fn one_may_be_gone_from_when_it_is_not_linked_until_others_hear_it() {
    let start = Instant::now();
    let mut suspects = suspects(start);
    let (other, own) = (suspects.may_be_gone(owner(2)), suspects.may_be_gone(owner(OWN)));
    assert_eq!((other, own, suspects.may_be_gone(owner(9))), (false, false, false));
    suspects.down(start, owner(2));
    assert!(suspects.may_be_gone(owner(2)), "before it is suspected");
    let now = start + UNLINKED;
    let request = asked(&mut suspects, now);
    for node in [0, 1] {
        assert!(suspects.may_be_gone(owner(2)));
        suspects.answered(now, SyncId(node), request, linked(3));
    }
    assert!(!suspects.may_be_gone(owner(2)));
    suspects.up(owner(2));
    suspects.silent(owner(2), true);
    assert!(suspects.may_be_gone(owner(2)));
    suspects.over(owner(2));
    assert!(!suspects.may_be_gone(owner(2)));
}

mod property {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// U2 against a list of who has said what since the suspicion began.
        #[test]
        fn nobody_is_gone_but_by_a_quorum_asked_since(
            steps in proptest::collection::vec((0u8..6, 0u8..3, 0u64..4, 0u64..900), 1..120),
        ) {
            let start = Instant::now();
            let mut suspects = suspects(start);
            let (mut now, mut questions) = (start, BTreeMap::new());
            let mut is_trusted = true;
            let mut since = BTreeSet::new();
            for (step, node, back, ms) in steps {
                now += MS * u32::try_from(ms).expect("small");
                match step {
                    0 => {
                        suspects.up(owner(2));
                        is_trusted = true;
                    }
                    1 => suspects.down(now, owner(2)),
                    2 | 3 => {
                        let last = questions.keys().last().copied().unwrap_or(0u64);
                        let request = last.saturating_sub(back);
                        let is_gone = step == 2;
                        let said = if is_gone { unlinked(900) } else { linked(9) };
                        suspects.answered(now, SyncId(node), request, said);
                        if request == last && is_gone && !is_trusted {
                            since.insert(node);
                        }
                    }
                    _ => {}
                }
                let owed = suspects.poll(now);
                if suspects.trust_of(owner(2)) == Trust::Heard || is_trusted {
                    since.clear();
                    is_trusted = suspects.trust_of(owner(2)) == Trust::Heard;
                }
                if !owed.gone.is_empty() {
                    prop_assert!(since.len() >= 2, "U2: {since:?}");
                }
                questions.extend(owed.asks.iter().map(|(request, of)| (*request, *of)));
            }
        }
    }
}
