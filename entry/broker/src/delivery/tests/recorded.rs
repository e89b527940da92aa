//! Steps that are recorded have effects of their own, and come to the same as others.

use proptest::prelude::*;

use vixen_core::recording::Effects as _;

use super::*;

fn input() -> impl Strategy<Value = Input> {
    let node = || (0..3_u8).prop_map(ndb);
    prop_oneof![
        node().prop_map(|ndb| Input::NdbUp { ndb }),
        node().prop_map(|ndb| Input::NdbDown { ndb }),
        (node(), any::<bool>()).prop_map(|(ndb, is_silent)| Input::NdbSilent { ndb, is_silent }),
        (node(), 1..20_u64)
            .prop_map(|(from, next)| Input::TailOpened { from, next: Position(next) }),
        (node(), 1..4_u64, 1..20_u64).prop_map(|(from, version, next)| Input::InterestChanged {
            from,
            version,
            next: Position(next)
        }),
        (1..3_u64, 0..4_u8).prop_map(|(session, uri)| Input::Subscribe {
            session: SessionId(session),
            origin: address_of(session),
            request: RequestId(1),
            pattern: topic(&format!("t{uri}")),
            mode: SubscribeMode::Live,
        }),
        (1..3_u64).prop_map(|session| Input::SessionClosed { session: SessionId(session) }),
        Just(()).prop_map(|()| Input::Flush),
        Just(()).prop_map(|()| Input::Timeout),
    ]
}

proptest! {
    #[test]
    fn effects_of_steps_that_are_appended_are_those_of_steps_into_one(
        inputs in proptest::collection::vec((input(), 0..2_000_u64), 0..40)
    ) {
        let (mut one, mut own) = (Bench::new().delivery, Bench::new().delivery);
        let (mut together, mut appended) = (Effects::default(), Effects::default());
        let mut now = at(0);
        for (input, later) in inputs {
            now = now.plus_millis(later);
            let copy = serde_roundtrip(&input);
            one.step(now, input, &mut together);
            let mut fx = Effects::default();
            own.step(now, copy, &mut fx);
            appended.append(fx);
        }
        prop_assert_eq!(format!("{together:?}"), format!("{appended:?}"));
    }
}

/// As it comes out of a recording.
fn serde_roundtrip(input: &Input) -> Input {
    let bytes = postcard::to_stdvec(input).expect("encodes");
    let read: Input = postcard::from_bytes(&bytes).expect("decodes");
    assert_eq!(format!("{read:?}"), format!("{input:?}"));
    read
}
