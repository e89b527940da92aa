//! Another entry, which the test plays.

use bytes::Bytes;

use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::Encoding;
use vixen_core::wire::{
    CallMessage, Cancellation, InvokeFlags, InvokeRefusal, MetaQuestion, MetaReply, PeerId,
};
use vixen_runtime::link::{End, LinkEvent};

use crate::support::{Cluster, PATIENCE, Peer, name};

#[tokio::test]
async fn an_entry_says_first_how_it_stands_and_refuses_to_call_who_is_no_callee() {
    let cluster = Cluster::open(PATIENCE).await;
    let (peer, inbox) = (PeerId::Entry { owner: cluster.owner }, cluster.inbox.clone());
    let other = PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(9)) };
    let mut other = Peer::link(other, End { peer, name: name("E1"), inbox }).await;
    let standing = |life, is_ready, applied_below| {
        let applied_below = Position(applied_below);
        CallMessage::CallStanding { life, is_ready, is_draining: false, applied_below }
    };
    assert_eq!(other.receive().await, [standing(1, false, 1).into()]);
    other.send(standing(3, true, 8).into());
    let number = 7;
    let invoke = CallMessage::Invoke {
        number,
        registration: Position(1),
        place: Position(1),
        session: 5,
        procedure: None,
        caller: None,
        timeout_ms: None,
        flags: InvokeFlags::default(),
        passthru: None,
        content: Encoding::Json.into(),
        payload: Bytes::new(),
    };
    other.send(invoke.into());
    other.send(CallMessage::CancelInvoke { number, what: Cancellation::Kill }.into());
    let refused = CallMessage::RefuseInvoke { number, reason: InvokeRefusal::NotReady };
    assert_eq!(other.receive().await, [refused.into()]);
    let status = cluster.handle.status().await;
    let seen = &status["entries"][0];
    assert_eq!((&seen["up"], &seen["standing"]["life"]), (&true.into(), &3.into()), "{seen:#}");
    assert_eq!(seen["standing"]["applied_below"], 8, "{seen:#}");
    other.sender.close("stopped");
    cluster.stop().await;
}

#[tokio::test]
async fn an_entry_answers_what_others_ask_and_ends_a_link_that_answers_what_it_did_not() {
    let cluster = Cluster::open(PATIENCE).await;
    let (peer, inbox) = (PeerId::Entry { owner: cluster.owner }, cluster.inbox.clone());
    let other = PeerId::Entry { owner: OwnerId(uuid::Uuid::from_u128(9)) };
    let mut other = Peer::link(other, End { peer, name: name("E1"), inbox }).await;
    let _standing = other.receive().await;
    let ask = |request, question| {
        CallMessage::AskMeta { request, realm: "r".into(), asker: 1, question }.into()
    };
    let answer =
        |request, reply| vec![CallMessage::MetaAnswer { request, reply, is_last: true }.into()];
    other.send(ask(1, MetaQuestion::CountSessions { authroles: None }));
    assert_eq!(other.receive().await, answer(1, MetaReply::Count(0)));
    other.send(ask(2, MetaQuestion::GetSession { session: 5 }));
    assert_eq!(other.receive().await, answer(2, MetaReply::NoSuch));
    other
        .send(CallMessage::MetaAnswer { request: 1, reply: MetaReply::Done, is_last: true }.into());
    loop {
        let event = tokio::time::timeout(PATIENCE, other.events.recv()).await.expect("in time");
        match event.expect("the end first") {
            LinkEvent::Down { .. } => break,
            LinkEvent::Up { .. } | LinkEvent::Messages { .. } | LinkEvent::Failed { .. } => {}
        }
    }
    cluster.stop().await;
}
