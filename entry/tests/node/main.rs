//! The driver between sessions and the peers of a cluster that the test plays by hand, over memory
//! links.

mod entries;
mod support;
mod view;

use std::time::Duration;

use vixen_broker::api::{JoinId, Outgoing, PublishError, SessionId, SubscriptionId};
use vixen_core::id::{Digest, GroupId, OwnerId, Position, SegmentId, Seq, Stamp};
use vixen_core::segment::{
    Challenger, Elected, Encoding, Match, Record, RecordFlags, SegmentMeta, Topic, TopicPattern,
};
use vixen_core::wire::{
    FeedMessage, Marks, Message, NdbStanding, NodeMessage, OrderBase, PublishMessage, ReadMessage,
    RefuseReason, ReplicaMessage, TailSegment,
};
use vixen_entry::outbound::SessionEvent;
use vixen_runtime::link::LinkEvent;

use support::*;

#[tokio::test]
async fn a_message_is_acknowledged_once_a_majority_of_feeds_has_passed_it() {
    let mut cluster = Cluster::open(PATIENCE).await;
    let mut receiver = cluster.session(1 << 20).await;
    let room = cluster.room.available_permits();
    cluster.publish(1).await;
    let metas = overs(&cluster.ndb[0].receive().await);
    assert_eq!(overs(&cluster.ndb[1].receive().await), metas, "every replica gets it");
    let id = SegmentId { owner: cluster.owner, seq: Seq::FIRST };
    assert_eq!(metas.iter().map(|meta| (meta.id, meta.count)).collect::<Vec<_>>(), [(id, 1)]);
    assert!(cluster.room.available_permits() < room);
    // Another entry's segment of three messages comes before it.
    let other = OwnerId(uuid::Uuid::from_u128(4));
    let other = SegmentMeta { id: SegmentId { owner: other, ..id }, count: 3, ..metas[0] };
    for sync in &cluster.sync {
        sync.send(resolved(metas[0], 2_002));
        sync.send(resolved(other, 2_001));
        sync.send(Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(2_002)) }));
    }
    match &next(&mut receiver).await[..] {
        [Outgoing::Resolved { messages: 1, answers, .. }] => {
            assert_eq!(*answers, [placed(54, 2_002)]);
        }
        unexpected => panic!("{unexpected:?}"),
    }
    assert_eq!(cluster.room.available_permits(), room, "its room is given back");
    let status = cluster.handle.status().await;
    assert_eq!(status["positions"]["next"], 55, "{status:#}");
    assert_eq!(status["unresolved_total"], 0, "{status:#}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_trimmed_feed_goes_on_after_the_order_of_an_ndb_node_has_acknowledged() {
    let mut cluster = Cluster::open(PATIENCE).await;
    let mut receiver = cluster.session(1 << 20).await;
    cluster.publish(1).await;
    let own = overs(&cluster.ndb[0].receive().await)[0];
    assert_eq!(overs(&cluster.ndb[1].receive().await), [own]);
    let id = SegmentId { owner: OwnerId(uuid::Uuid::from_u128(4)), ..own.id };
    let other = SegmentMeta { id, count: 3, ..own };
    let to = Stamp(2_002);
    cluster.sync[0].send(Message::Feed(FeedMessage::FeedTrimmed { to }));
    let fetch = [Message::Replica(ReplicaMessage::FetchOrder { from: Position(51) })];
    assert_eq!(cluster.ndb[0].receive().await, fetch);
    let status = cluster.handle.status().await;
    let wanted = serde_json::json!({ "feeds_wait_for": { "S1": to.0 }, "asked": "D1" });
    assert_eq!(status["order_catch_up"], wanted, "{status:#}");
    // One is no further, and the other has it in two parts.
    let rows =
        |first, rows| Message::Replica(ReplicaMessage::OrderRows { first: Position(first), rows });
    cluster.ndb[0].send(rows(51, vec![]));
    assert_eq!(cluster.ndb[1].receive().await, fetch);
    cluster.ndb[1].send(rows(51, vec![elected(other, 2_001)]));
    let fetch = [Message::Replica(ReplicaMessage::FetchOrder { from: Position(54) })];
    assert_eq!(cluster.ndb[1].receive().await, fetch);
    cluster.ndb[1].send(rows(54, vec![elected(own, 2_002)]));
    match &next(&mut receiver).await[..] {
        [Outgoing::Resolved { messages: 1, answers, .. }] => {
            assert_eq!(*answers, [placed(54, 2_002)]);
        }
        unexpected => panic!("{unexpected:?}"),
    }
    assert_eq!(
        cluster.sync[0].receive().await,
        [Message::Feed(FeedMessage::FollowFeed { after: to })]
    );
    // Feeds that tell the same change nothing.
    for sync in &cluster.sync {
        sync.send(resolved(own, 2_002));
        sync.send(Message::Feed(FeedMessage::Watermark { marks: Marks::at(to) }));
    }
    let status = cluster.handle.status().await;
    assert_eq!(status["positions"]["next"], 55, "{status:#}");
    assert!(status["order_catch_up"].is_null(), "{status:#}");
    cluster.stop().await;
}

#[tokio::test]
async fn an_entry_that_was_away_for_longer_than_messages_are_kept_ends() {
    let mut cluster = Cluster::open(PATIENCE).await;
    cluster.sync[0].send(Message::Feed(FeedMessage::FeedTrimmed { to: Stamp(9_000) }));
    let asked = Position(51);
    let base = OrderBase { next: Position(90), stamp: Stamp(8_000), chain: Digest([1; 16]) };
    for member in 0..2 {
        assert_eq!(
            cluster.ndb[member].receive().await,
            [Message::Replica(ReplicaMessage::FetchOrder { from: asked })]
        );
        assert!(!cluster.running.is_finished(), "another may have it still");
        cluster.ndb[member].send(Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }));
    }
    tokio::time::timeout(PATIENCE, cluster.running).await.expect("in time").expect("no panic");
}

#[tokio::test]
async fn without_a_quorum_the_publisher_is_told_what_is_missing() {
    let mut cluster = Cluster::open(Duration::from_millis(50)).await;
    let mut receiver = cluster.session(1 << 20).await;
    cluster.ndb.pop().expect("two").link.abort();
    cluster.publish(1).await;
    let answer = next(&mut receiver).await;
    let [Outgoing::Resolved { answers, .. }] = &answer[..] else { panic!("{answer:?}") };
    let Err(PublishError::NoQuorum { waited_ms, missing }) = &answers[0].1 else {
        panic!("{answers:?}")
    };
    assert!(*waited_ms >= 50);
    // An aborted memory link has no Down: the node counts as live, and has not answered.
    assert_eq!(missing, "0 of 2 ndb nodes of group 0 took it");
    let status = cluster.handle.status().await;
    let waits_for = &status["unresolved"][0]["waits_for"];
    assert_eq!(waits_for, "2 trims of group 0: have none", "{status:#}");
    cluster.stop().await;
}

#[tokio::test]
async fn nodes_without_room_are_named_and_the_entry_is_not_ready_until_they_have_some() {
    let cluster = Cluster::open(Duration::from_millis(50)).await;
    let mut receiver = cluster.session(1 << 20).await;
    cluster.ndb[1]
        .send(Message::Node(NodeMessage::NdbStanding { standing: NdbStanding::DiskFull }));
    let reason = "1 of 2 ndb nodes of group 0 willing, disk full at D2, D3 down";
    cluster.until_not_ready(reason).await;
    cluster.publish(1).await;
    let answer = next(&mut receiver).await;
    let [Outgoing::Resolved { answers, .. }] = &answer[..] else { panic!("{answer:?}") };
    let Err(PublishError::NoQuorum { missing, .. }) = &answers[0].1 else { panic!("{answers:?}") };
    assert_eq!(missing, reason);
    let status = cluster.handle.status().await;
    let standings = serde_json::json!({ "D1": "willing", "D2": "disk full" });
    assert_eq!(status["quorum"]["ndb"][0]["standings"], standings, "{status:#}");
    cluster.ndb[1].send(Message::Node(NodeMessage::NdbStanding { standing: NdbStanding::Willing }));
    tokio::time::timeout(PATIENCE, cluster.handle.until_ready()).await.expect("ready");
    cluster.stop().await;
}

#[tokio::test]
async fn a_segment_of_a_group_without_room_is_acknowledged_from_the_next_group() {
    let mut cluster = Cluster::open_groups(2, PATIENCE).await;
    let mut receiver = cluster.session(1 << 20).await;
    cluster.ndb[2].until_followed(&[]).await;
    cluster.publish(1).await;
    let metas = overs(&cluster.ndb[0].receive().await);
    assert_eq!((metas.len(), overs(&cluster.ndb[1].receive().await)), (1, metas.clone()));
    let (segment, reason) = (metas[0].id, RefuseReason::Unwilling);
    cluster.ndb[1].send(Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason }));
    for member in [2, 3] {
        assert_eq!(overs(&cluster.ndb[member].receive().await), metas, "the same segment");
    }
    let status = cluster.handle.status().await;
    let unresolved = &status["unresolved"][0];
    assert_eq!((&unresolved["group"], &unresolved["own_group"]), (&1.into(), &0.into()));
    assert_eq!(unresolved["waits_for"], "2 trims of group 1: have none", "{status:#}");
    assert_eq!(cluster.handle.ready(), Ok(()), "one willing group is enough");
    let challenger = Challenger { stamp: Stamp(2_002), group: GroupId(1) };
    for sync in &cluster.sync {
        let elected = Elected { meta: metas[0], challenger };
        sync.send(Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }));
        sync.send(Message::Feed(FeedMessage::Watermark { marks: Marks::at(Stamp(2_002)) }));
    }
    match &next(&mut receiver).await[..] {
        [Outgoing::Resolved { messages: 1, answers, .. }] => {
            assert_eq!(*answers, [placed(51, 2_002)]);
        }
        unexpected => panic!("{unexpected:?}"),
    }
    cluster.stop().await;
}

#[tokio::test]
async fn silent_sync_nodes_are_missed_by_name_and_back_with_their_next_word() {
    let mut cluster = Cluster::open(PATIENCE).await;
    cluster.sync.iter().for_each(Peer::hush);
    let wanted = "0 of 2 sync nodes connected, waiting for S1, S2 (silent), S3 (no link)";
    cluster.until_not_ready(wanted).await;
    let status = cluster.handle.status().await;
    let silent = (&status["links"][0]["up"], &status["links"][0]["silent"]);
    assert_eq!(silent, (&true.into(), &true.into()), "its link stands: {status:#}");
    for sync in &mut cluster.sync {
        sync.beating = beat(sync.sender.clone());
    }
    tokio::time::timeout(PATIENCE, cluster.handle.until_ready()).await.expect("ready");
    let lost = cluster.handle.readiness().text();
    let wanted = "ready, degraded: S3 down (no further sync node may be lost); D3 down (no further \
                  node of group 0 may be lost)";
    assert_eq!(lost, wanted);
    cluster.stop().await;
}

#[tokio::test]
async fn a_silent_ndb_node_takes_no_segments_and_the_tail_leaves_it() {
    let mut cluster = Cluster::open(PATIENCE).await;
    cluster.ndb[0].hush();
    let wanted = "1 of 2 ndb nodes of group 0 live, waiting for D1 (silent), D3 (no link)";
    cluster.until_not_ready(wanted).await;
    // The other one is followed, and this one is to send nothing.
    for member in [1, 0] {
        cluster.ndb[member].until_followed(&[]).await;
    }
    cluster.ndb[0].beating = beat(cluster.ndb[0].sender.clone());
    tokio::time::timeout(PATIENCE, cluster.handle.until_ready()).await.expect("ready");
    cluster.stop().await;
}

#[tokio::test]
async fn a_lost_link_is_told_and_its_return_brings_the_unresolved_again() {
    let mut cluster = Cluster::open(PATIENCE).await;
    let _receiver = cluster.session(1 << 20).await;
    cluster.publish(1).await;
    let metas = overs(&cluster.ndb[1].receive().await);
    // The joiner of a closed link makes a new one, as a dialler does.
    cluster.ndb[1].sender.close("cable cut");
    let events = &mut cluster.ndb[1].events;
    loop {
        match events.recv().await.expect("running") {
            LinkEvent::Up { .. } => break,
            LinkEvent::Failed { .. } => {}
            LinkEvent::Down { reason, .. } => assert_eq!(reason, "cable cut"),
            LinkEvent::Messages { messages, .. } => assert!(overs(&messages).is_empty()),
        }
    }
    assert_eq!(overs(&cluster.ndb[1].receive().await), metas);
    let status = cluster.handle.status().await;
    assert_eq!(status["links"][4]["last_down"], "cable cut", "{status:#}");
    cluster.stop().await;
}

/// A message on topic `t` at this position, of a tail.
fn tail_segment(position: u64) -> Message {
    let mut records = Vec::new();
    let record = Record {
        topic: 0,
        content: Encoding::Json.into(),
        flags: RecordFlags::default(),
        session: 1,
        attributes: &[],
        payload: b"[\"a message\"]",
    };
    record.write_to(&mut records);
    Message::Read(ReadMessage::TailSegment(TailSegment {
        first: Position(position),
        count: 1,
        stamp: Stamp(2_000 + position),
        topics: vec![Topic::new("realm1", "t")],
        offsets: vec![],
        records: records.into(),
    }))
}

/// Positions of events, which are all that a session was told.
fn positions(outgoing: &[Outgoing]) -> Vec<u64> {
    let of = |outgoing: &Outgoing| match outgoing {
        Outgoing::Events(batch) => {
            batch.events().iter().map(|event| event.position.0).collect::<Vec<_>>()
        }
        other => panic!("unexpected {other:?}"),
    };
    outgoing.iter().flat_map(of).collect()
}

#[tokio::test]
async fn a_session_that_does_not_read_is_left_out_until_it_joins_and_hinders_nobody() {
    const GOOD: SessionId = SessionId(8);
    let mut cluster = Cluster::open(PATIENCE).await;
    let mut slow = cluster.session(200).await;
    let mut good = cluster.session_of(GOOD, 1 << 20).await;
    let pattern = TopicPattern::new("realm1", "t", Match::Exact);
    cluster.subscribe(SESSION, &pattern).await;
    cluster.ndb[0].until_followed(std::slice::from_ref(&pattern)).await;
    cluster.opened(0);
    let mut subscription = SubscriptionId(0);
    for (session, receiver) in [(SESSION, &mut slow), (GOOD, &mut good)] {
        if session == GOOD {
            cluster.subscribe(GOOD, &pattern).await;
        }
        match &next(receiver).await[..] {
            [Outgoing::Subscribed { subscription: told, live_from, .. }] => {
                assert_eq!(*live_from, Position(51));
                assert!(session == SESSION || *told == subscription, "both have the same");
                subscription = *told;
            }
            unexpected => panic!("{unexpected:?}"),
        }
    }
    for position in 51..61 {
        cluster.ndb[0].send(tail_segment(position));
    }
    let mut taken = Vec::new();
    while taken.len() < 10 {
        taken.extend(positions(&next(&mut good).await));
    }
    assert_eq!(taken, (51..61).collect::<Vec<_>>(), "the other gets everything");

    // It reads again: what had room, and where it was left out. It is not dropped.
    let outgoing = next(&mut slow).await;
    let (last, queued) = outgoing.split_last().expect("something");
    assert_eq!(positions(queued), [51]);
    match last {
        Outgoing::Lagging { from: Position(52), subscriptions } => {
            assert_eq!(subscriptions, &[subscription]);
        }
        unexpected => panic!("{unexpected:?}"),
    }
    let status = cluster.handle.status().await;
    assert_eq!((&status["sessions"], &status["subscriptions"]), (&2.into(), &1.into()));

    // Until it has read the rest nothing comes; then everything from the position it is told.
    cluster.ndb[0].send(tail_segment(61));
    assert_eq!(positions(&next(&mut good).await), [61]);
    let (session, join, subscriptions) = (SESSION, JoinId(3), vec![subscription]);
    cluster.tell(SessionEvent::Join { session, join, subscriptions }).await;
    match &next(&mut slow).await[..] {
        [Outgoing::Joined { join: JoinId(3), from: Position(62) }] => {}
        unexpected => panic!("{unexpected:?}"),
    }
    cluster.ndb[0].send(tail_segment(62));
    assert_eq!(positions(&next(&mut slow).await), [62]);
    assert_eq!(positions(&next(&mut good).await), [62]);
    cluster.stop().await;
}
