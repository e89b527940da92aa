//! Any records: the view against a naive one, and views that were told the same in other ways.

use proptest::prelude::*;

use super::naive::Naive;
use super::*;
use vixen_core::segment::Topic;

/// Few entries, sessions and URIs, so that records meet.
fn any_record() -> impl Strategy<Value = Record> {
    let life_of = || (1_u128..4, 1_u32..4).prop_map(|(owner, number)| life(owner, number));
    let realm = || prop::sample::select(vec!["r", "s"]);
    let session = || 1_u64..4;
    let matching = prop::sample::select(vec![Match::Exact, Match::Prefix, Match::Wildcard]);
    let uri = prop::sample::select(vec!["a", "a.b", "a.", "a..", ".b", "", "a.b.c"]);
    let invoke =
        prop::sample::select(vec![Invoke::Single, Invoke::Single, Invoke::First, Invoke::Random]);
    let flags = (prop::bool::weighted(0.2), any::<bool>());
    let register = (session(), realm(), uri, matching, invoke, flags);
    let register = register.prop_map(|(session, realm, uri, matching, invoke, flags)| {
        let pattern = TopicPattern::new(realm, uri, matching);
        let (number, (is_forced, keeps_timeouts)) = (1, flags);
        Said::Register(Register { number, session, pattern, invoke, is_forced, keeps_timeouts })
    });
    let why = prop_oneof![
        Just(UnregisterWhy::Asked),
        life_of().prop_map(UnregisterWhy::Removed),
        Just(UnregisterWhy::Refused),
    ];
    let unregister = (realm(), session(), 1_u64..60, why);
    let unregister = unregister.prop_map(|(realm, session, registration, why)| {
        let (realm, registration) = (realm.into(), RegistrationId(registration));
        Said::Unregister(Unregister { realm, session, registration, why })
    });
    let over = (realm(), session()).prop_map(|(realm, session)| {
        Said::SessionOver(SessionOver { realm: realm.into(), session })
    });
    let gone = (life_of(), prop::sample::select(GoneWhy::ALL.to_vec()))
        .prop_map(|(life, why)| Said::Gone(Gone { life, why }));
    let facts =
        Facts { name: "E".parse().expect("a name"), link_address: None, reads: Reads::HERE };
    let said = prop_oneof![
        2 => Just(Said::Life(facts)),
        8 => register,
        3 => unregister,
        1 => over,
        1 => gone,
    ];
    (life_of(), said).prop_map(|(writer, said)| Record { writer, said })
}

/// Records with the positions that they leave out, and the milliseconds between them.
pub(super) fn any_log(step_ms: u64) -> impl Strategy<Value = Vec<(u64, u64, Record)>> {
    prop::collection::vec((0_u64..3, 0..step_ms, any_record()), 0..60)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    #[test]
    fn the_view_is_what_a_plain_list_says(log in any_log(100)) {
        let (mut view, mut naive) = (Registrations::new(), Naive::default());
        let (mut position, mut now) = (0, WallTime(0));
        for (gap, step, record) in &log {
            position += 1 + gap;
            now = now.plus_millis(*step);
            let rises = view.iter().last().is_none_or(|last| last.id.0 < position);
            prop_assert!(rises, "ids rise");
            let outcome = view.apply(Position(position), now, record);
            prop_assert!(matches!(outcome, Outcome::Applied(_)));
            naive.apply(position, record);
            view.check();
            naive.compare(&view);
        }
    }

    #[test]
    fn lookup_finds_what_trying_each_finds(log in any_log(100)) {
        let mut view = Registrations::new();
        for (position, (_, _, record)) in (1..).zip(&log) {
            view.apply(Position(position), WallTime(0), record);
        }
        let rank = |there: &&Registration| {
            let open = there.pattern.uri.split('.').map(str::is_empty).collect::<Vec<_>>();
            let is_wildcard = there.pattern.matching == Match::Wildcard;
            let bytes = if is_wildcard { 0 } else { there.pattern.uri.len() };
            (there.pattern.matching, std::cmp::Reverse(bytes), open)
        };
        for realm in ["r", "s"] {
            for uri in ["a", "a.b", "a.b.c", "a.x.c", "b", "x.b", "", "a.", "."] {
                let procedure = Topic::new(realm, uri);
                let matching = view.iter().filter(|there| there.pattern.matches(&procedure));
                prop_assert_eq!(view.lookup(&procedure), matching.min_by_key(rank), "{}", procedure);
            }
        }
    }

    /// As records or as their bytes, with the positions between told or not, in one go or with what stops
    /// nothing between them.
    #[test]
    fn the_same_records_give_the_same_view_and_chain(
        log in any_log(30_000),
        noise in prop::collection::vec(any::<bool>(), 60),
    ) {
        let (mut one, mut other) = (Registrations::new(), Registrations::new());
        let (mut position, mut now) = (0, WallTime(0));
        for ((gap, step, record), is_noisy) in log.iter().zip(noise) {
            if is_noisy {
                other.pass_below(Position(position + gap + 1));
                prop_assert_eq!(other.chain_at(Position(position + gap)), Some(one.chain()));
            }
            position += 1 + gap;
            now = now.plus_millis(*step);
            let outcome = one.apply(Position(position), now, record);
            let (topic, bytes) = (record.topic(), record.to_bytes());
            let again = other.apply_message(Position(position), now, &topic.uri, &bytes);
            prop_assert_eq!(outcome, again);
            prop_assert_eq!(&one, &other);
            prop_assert_eq!(one.chain(), other.chain());
        }
    }
}
