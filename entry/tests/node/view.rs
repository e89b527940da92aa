//! An entry that cannot read who is callee of what: clients wait for that, and not for ever.

use std::collections::VecDeque;
use vixen_broker::api::RequestId;

use vixen_broker::api::calls::{
    Call, CallError, CallTold, CallWord, Invoke, Payload, Register, RegisterError,
};
use vixen_core::id::{Position, Stamp};
use vixen_core::segment::{Encoding, Match};
use vixen_entry::outbound::{OfCalls, SessionEvent};

use super::support::*;

fn words() -> Vec<CallWord> {
    let register = Register {
        request: RequestId(1),
        procedure: "a.b".into(),
        matching: Match::Exact,
        invoke: Invoke::Single,
        concurrency: None,
        is_forced: false,
        is_disclosed: true,
        forwards_timeout: false,
    };
    let call = Call {
        request: RequestId(2),
        procedure: "a.b".into(),
        payload: Payload::new(Encoding::Json, &b"[]"[..]),
        takes_progress: false,
        has_more: false,
        timeout_ms: None,
        came: None,
        is_disclosed: false,
        routing_key: None,
        testament: None,
        rights: None,
    };
    vec![CallWord::Register(register), CallWord::Call(call)]
}

#[tokio::test]
async fn clients_wait_five_seconds_for_the_view_and_calls_get_the_reason_after_that() {
    let mut cluster = Cluster::start(1, PATIENCE).await;
    cluster.ndb[0].until_followed(&[]).await;
    cluster.opened(0);
    for sync in &mut cluster.sync {
        assert_eq!(sync.receive().await.len(), 1, "after {}", Stamp(1_000));
    }
    let begun = std::time::Instant::now();
    let reason = "calls: the entry looks for what is known of registrations";
    let status = cluster.handle.status().await;
    assert_eq!(status["ready"], reason, "{status:#}");
    assert_eq!(status["view"]["ready"], false, "{status:#}");
    assert!(cluster.handle.was_ready().is_err(), "nobody is let in");
    tokio::time::timeout(PATIENCE, cluster.handle.until_ready()).await.expect("in time");
    assert!(begun.elapsed().as_millis() >= 4_500, "{:?}", begun.elapsed());
    let mut receiver = cluster.session(1 << 20).await;
    cluster.tell(SessionEvent::Calls { session: SESSION, words: words() }).await;
    let mut told = Vec::new();
    while told.len() < 2 {
        let (mut events, mut calls) = (VecDeque::new(), Vec::new());
        let received = receiver.receive(true, &mut events, &mut calls);
        assert!(tokio::time::timeout(PATIENCE, received).await.expect("in time"));
        told.extend(calls.into_iter().flat_map(|of| match of {
            OfCalls::Told(told) => told,
            other => panic!("{other:?}"),
        }));
    }
    let reason = "the entry looks for what is known of registrations";
    for told in &told {
        match told {
            CallTold::Refused { error: RegisterError::Unavailable(why), .. }
            | CallTold::Failed { error: CallError::Unavailable(why), .. } => {
                assert_eq!(&**why, reason);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(cluster.handle.status().await["view"]["position"], Position(0).0);
    cluster.stop().await;
}
