//! What is read of the store for calls that are open.

use vixen_broker::access::{Permissions, Quotas};
use vixen_broker::api::SubscribeMode;
use vixen_broker::api::calls::CancelMode;
use vixen_broker::delivery::{self, Slot};
use vixen_core::id::GroupId;

use super::*;

fn get_events(request: u64, subscription: u64) -> CallWord {
    let CallWord::Call(call) = call(request, 0) else { panic!("a call") };
    let payload = Payload::new(Encoding::Json, format!("[{subscription}]"));
    CallWord::Call(Call { procedure: "wamp.subscription.get_events".into(), payload, ..call })
}

const fn cancel(request: u64) -> CallWord {
    CallWord::Cancel { request: RequestId(request), mode: CancelMode::Skip }
}

/// A subscription of `a`.
async fn subscribed(bench: &mut Bench) -> u64 {
    // The order is known, so that a subscription stands.
    let slots = vec![Slot { first: Position::FIRST, count: 1, group: GroupId(0) }];
    let placed = delivery::Input::Placed { slots };
    bench.node.step_delivery(WallTime(1), placed, &mut delivery::Effects::default());
    bench.open(CALLER);
    let pattern = TopicPattern::new("realm1", "a", Match::Exact);
    let subscribe = SessionEvent::Subscribe {
        session: CALLER,
        request: RequestId(1),
        pattern: pattern.clone(),
        mode: SubscribeMode::Live,
    };
    bench.turn(vec![subscribe.into()]);
    assert!(bench.hear(CALLER).await.is_empty(), "of calls");
    let (_, id) = bench.node.delivery.lookup(&pattern).expect("it stands");
    id.0
}

/// Calls that were cancelled left their reads behind: as many as a client liked, each of which took a turn of its
/// address.
#[tokio::test]
async fn what_is_read_for_a_call_ends_with_it_and_a_session_has_few() {
    let mut bench = Bench::empty("E1", |_| {});
    let id = subscribed(&mut bench).await;
    for request in 1..=9 {
        bench.say(CALLER, get_events(request, id));
    }
    let told = bench.hear(CALLER).await;
    let [CallTold::Failed { request: RequestId(9), error }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*error, MetaError::TooManyReads { max: 8 }.into());
    assert_eq!(bench.node.reads_of_calls.open(), 8);
    bench.say(CALLER, cancel(1));
    assert_eq!(bench.node.reads_of_calls.open(), 7);
    // Said and taken back in one breath.
    let words = vec![get_events(10, id), cancel(10)];
    bench.turn(vec![SessionEvent::Calls { session: CALLER, words }.into()]);
    assert_eq!(bench.node.reads_of_calls.open(), 7);
    bench.turn(vec![SessionEvent::Closed { session: CALLER }.into()]);
    assert_eq!(bench.node.reads_of_calls.open(), 0);
}

/// It was read, and then not told.
#[tokio::test]
async fn what_the_caller_may_not_subscribe_is_not_read() {
    let mut bench = Bench::empty("E1", |_| {});
    let id = subscribed(&mut bench).await;
    let with = |request, rights| match get_events(request, id) {
        CallWord::Call(call) => CallWord::Call(Call { rights: Some(Box::new(rights)), ..call }),
        other => panic!("{other:?}"),
    };
    bench.say(CALLER, with(1, Permissions::new([], Quotas::UNLIMITED)));
    let told = bench.hear(CALLER).await;
    let [CallTold::Failed { error, .. }] = &told[..] else { panic!("{told:?}") };
    assert_eq!(*error, MetaError::NotAuthorized.into());
    assert_eq!(bench.node.reads_of_calls.open(), 0);
    bench.say(CALLER, with(2, Permissions::OPEN));
    assert_eq!(bench.node.reads_of_calls.open(), 1);
}
