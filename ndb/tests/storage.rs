//! Scenarios of what an ndb node keeps: history, audit, repair, retention.

mod support;

use std::path::Path;

use heed::Database;
use heed::types::Bytes as Raw;

use support::{Fake, Feeds, Running, chunk, elected, options, query, said};
use vixen_core::id::{Digest, Lane, Position, Stamp};
use vixen_core::membership::Membership;
use vixen_core::segment::{Blob, Chunk, Elected, Match, TopicPattern};
use vixen_core::time::UtcDay;
use vixen_core::wire::{
    FeedMessage, HistoryEnd, HistoryPlace, HistoryQuery, Message, NdbStanding, OrderBase,
    PublishMessage, ReadMessage, ReplicaMessage, Retained,
};
use vixen_ndb::NdbOptions;
use vixen_replica::OrderRow;
use vixen_runtime::lmdb;

/// The small stamps of these tests are of the first day there is a stamp of.
const DAY: &str = "2020-01-01";

/// Sends segments with one message for each topic, and has them placed at stamps 10, 20, …
async fn place(node: &Running, feeds: &Feeds, chunks: &[&Chunk]) {
    let mut entry = Fake::entry(node).await;
    let mut messages = 0;
    for (n, chunk) in (1..).zip(chunks) {
        entry.send_segment(chunk);
        entry.expect_trim(chunk.meta).await;
        feeds.elect(chunk.meta, 10 * n);
        messages += u64::from(chunk.meta.count);
    }
    node.wait_for("next_position", 1 + messages).await;
    node.wait_for("applied", 10 * chunks.len() as u64).await;
}

fn rows(chunks: &[&Chunk]) -> Vec<Elected> {
    (1..).zip(chunks).map(|(n, chunk)| elected(chunk.meta, 10 * n)).collect()
}

fn chain(rows: &[Elected]) -> Digest {
    rows.iter().fold(Digest::default(), |chain, row| OrderRow::chained(chain, *row).chain)
}

fn blob_of(chunk: &Chunk) -> Message {
    let blob = Blob::assemble(&chunk.topics, &[&chunk.records]).as_bytes().clone();
    Message::Replica(ReplicaMessage::SegmentBlob { segment: chunk.meta.id, blob })
}

/// Changes one bit of a value in the store of a node that is stopped.
fn damage(dir: &Path, database: &str, key: &[u8]) {
    let env = lmdb::open(&dir.join(DAY), 1 << 30, true).expect("opens");
    let mut txn = env.write_txn().expect("a transaction");
    let rows: Database<Raw, Raw> =
        env.open_database(&txn, Some(database)).expect("reads").expect("there");
    let mut value = rows.get(&txn, key).expect("reads").expect("a row").to_vec();
    value[9] ^= 1;
    rows.put(&mut txn, key, &value).expect("writes");
    txn.commit().expect("a commit");
}

#[tokio::test]
async fn stored_messages_are_read_over_a_link_in_both_directions() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let chunks = [chunk(1, &["a", "b"]), chunk(2, &["b"]), chunk(3, &["a", "a"])];
    place(&node, &feeds, &chunks.each_ref()).await;
    let mut reader = Fake::reader(&node, 64).await;
    let all = [said(1, "a", 1), said(2, "b", 1), said(3, "b", 2), said(4, "a", 3), said(5, "a", 3)];
    let end = |next, is_end| HistoryEnd::Next { next: Position(next), is_end };
    assert_eq!(reader.history(query(1, false)).await, (all.to_vec(), end(6, true)));
    let backward = [&all[3..], &all[2..3], &all[..2]].concat();
    assert_eq!(reader.history(query(5, true)).await, (backward, end(0, true)));
    // Batch by batch, of one topic.
    let topics = vec![TopicPattern::new("realm", "a", Match::Exact)];
    let few = HistoryQuery { topics, messages_max: 2, ..query(1, false) };
    let (got, next) = reader.history(few.clone()).await;
    assert_eq!((got, next), (vec![all[0].clone(), all[3].clone()], end(5, false)));
    let rest = HistoryQuery { from: HistoryPlace::Position(Position(5)), ..few.clone() };
    assert_eq!(reader.history(rest).await, (vec![all[4].clone()], end(6, true)));
    let from = HistoryPlace::Id { stamp: Stamp(20), offset: 0 };
    let before = HistoryQuery { from, is_backward: true, ..few.clone() };
    assert_eq!(reader.history(before).await, (vec![all[0].clone()], end(0, true)));
    let from_end = HistoryQuery {
        from: HistoryPlace::End,
        until: Some(Position(5)),
        ..HistoryQuery { is_backward: true, ..few }
    };
    assert_eq!(reader.history(from_end).await, (vec![all[4].clone()], end(4, true)));
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_most_others_contradict_gives_out_nothing_from_there_on() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let chunks = [chunk(1, &["a", "a"]), chunk(2, &["a"])];
    place(&node, &feeds, &chunks.each_ref()).await;
    let rows = rows(&chunks.each_ref());
    let (agreed, right) = (chain(&rows[..1]), chain(&rows));
    let peers = [Fake::peer(&node, 1).await, Fake::peer(&node, 2).await];
    let say = |next, chain| {
        let message = Message::Replica(ReplicaMessage::ChainAt { next: Position(next), chain });
        peers.iter().for_each(|peer| peer.send(message.clone()));
    };
    say(3, agreed);
    node.wait_until(|page| page["audit"]["peers"]["D2"]["agreed_to"] == 3).await;
    // One against one is a difference, and nobody knows whose.
    peers[0].send(Message::Replica(ReplicaMessage::ChainAt {
        next: Position(4),
        chain: Digest([1; 16]),
    }));
    node.wait_until(|page| page["audit"]["alarm"] == true).await;
    assert!(node.handle.status().await["audit"]["distrusted_from"].is_null());
    say(4, Digest([1; 16]));
    node.wait_until(|page| page["audit"]["distrusted_from"] == 3).await;

    let mut reader = Fake::reader(&node, 64).await;
    reader.follow(Some(3), &["a"]);
    assert_eq!(reader.expect_opened().await, (3, 4));
    for version in [1, 2] {
        reader.send(Message::Read(ReadMessage::ChangeInterest {
            version,
            add: vec![],
            remove: vec![],
        }));
        let after = reader.next().await;
        assert!(
            matches!(after, Message::Read(ReadMessage::InterestChanged { version: said, .. }) if said == version),
            "and nothing else: {after:?}"
        );
    }
    let mut other = Fake::reader(&node, 64).await;
    let before = HistoryQuery { until: Some(Position(3)), ..query(1, false) };
    assert_eq!(other.history(before).await.0, [said(1, "a", 1), said(2, "a", 1)]);
    let nothing = HistoryEnd::Next { next: Position(3), is_end: true };
    assert_eq!(other.history(query(1, false)).await.1, nothing, "up to there");
    assert_eq!(other.history(query(3, false)).await, (vec![], nothing));
    assert_eq!(other.history(query(3, true)).await, (vec![], HistoryEnd::Failed));
    other.send(Message::Replica(ReplicaMessage::FetchOrder { from: Position(3) }));
    assert_eq!(
        other.next().await,
        Message::Replica(ReplicaMessage::OrderRows { first: Position(3), rows: vec![] })
    );
    // The others have mended theirs.
    say(4, right);
    node.wait_until(|page| page["audit"]["alarm"] == false).await;
    assert_eq!(other.history(query(3, false)).await.0, [said(3, "a", 2)]);
    node.stop().await;
}

#[tokio::test]
async fn an_unresolved_segment_is_offered_to_the_group() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let _feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let mut peer = Fake::peer(&node, 1).await;
    let lingers = chunk(1, &["a"]);
    entry.send_segment(&lingers);
    entry.expect_trim(lingers.meta).await;
    let offered = peer
        .next_where(|said| matches!(said, Message::Replica(ReplicaMessage::OfferSegments { .. })))
        .await;
    assert_eq!(
        offered,
        Message::Replica(ReplicaMessage::OfferSegments { segments: vec![lingers.meta] })
    );
    node.stop().await;
}

#[tokio::test]
async fn an_offered_segment_is_fetched_drafted_and_becomes_canonical() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    let mut peer = Fake::peer(&node, 1).await;
    let offered = chunk(1, &["a"]);
    peer.send(Message::Replica(ReplicaMessage::OfferSegments { segments: vec![offered.meta] }));
    let segments = vec![offered.meta.id];
    assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::FetchSegments { segments }));
    peer.send(blob_of(&offered));
    feeds.0.expect_draft(offered.meta).await;
    feeds.elect(offered.meta, 10);
    node.wait_for("next_position", 2).await;
    let mut reader = Fake::reader(&node, 64).await;
    reader.follow(Some(1), &["a"]);
    assert_eq!(reader.expect_opened().await, (1, 2));
    assert_eq!(reader.messages(1).await, [said(1, "a", 1)]);
    node.wait_for("missing_segments", 0).await;
    node.stop().await;
}

#[tokio::test]
async fn damaged_bytes_are_fetched_from_a_peer_and_served_right() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let chunks = [chunk(1, &["a"]), chunk(2, &["a", "a"]), chunk(3, &["a"])];
    place(&node, &feeds, &chunks.each_ref()).await;
    node.stop().await;
    damage(dir.path(), "blobs", &chunks[1].meta.id.to_key());

    let node = Running::start(options(dir.path(), 0));
    let mut reader = Fake::reader(&node, 64).await;
    let (got, end) = reader.history(query(1, false)).await;
    assert_eq!(got, [said(1, "a", 1)]);
    assert_eq!(end, HistoryEnd::Unavailable { next: Position(2) });
    reader.follow(Some(1), &["a"]);
    assert_eq!(reader.expect_opened().await, (1, 5));
    assert_eq!(reader.messages(1).await, [said(1, "a", 1)]);
    let mut peer = Fake::peer(&node, 1).await;
    let segments = vec![chunks[1].meta.id];
    assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::FetchSegments { segments }));
    peer.send(blob_of(&chunks[1]));
    assert_eq!(reader.messages(3).await, [said(2, "a", 2), said(3, "a", 2), said(4, "a", 3)]);
    node.wait_for("missing_segments", 0).await;
    node.stop().await;

    let node = Running::start(options(dir.path(), 0));
    let mut reader = Fake::reader(&node, 64).await;
    assert_eq!(reader.history(query(1, false)).await.0.len(), 4);
    node.stop().await;
}

#[tokio::test]
async fn a_damaged_row_of_the_order_is_mended_by_a_peer() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let chunks = [chunk(1, &["a"]), chunk(2, &["a", "a"]), chunk(3, &["a"])];
    place(&node, &feeds, &chunks.each_ref()).await;
    node.stop().await;
    damage(dir.path(), "order", &2u64.to_be_bytes());

    let node = Running::start(options(dir.path(), 0));
    let mut peer = Fake::peer(&node, 1).await;
    let mut reader = Fake::reader(&node, 64).await;
    // A reader in the midst of it: what is asked for is where it begins.
    let (got, end) = reader.history(query(3, false)).await;
    assert_eq!((got, end), (vec![], HistoryEnd::Failed));
    let from = Position(2);
    assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::FetchOrder { from }));
    peer.send(Message::Replica(ReplicaMessage::OrderRows {
        first: from,
        rows: rows(&chunks.each_ref())[1..].to_vec(),
    }));
    // Mended or not yet: a tail waits for it.
    reader.follow(Some(1), &["a"]);
    assert_eq!(reader.expect_opened().await, (1, 5));
    assert_eq!(reader.messages(4).await.len(), 4);
    node.stop().await;
}

/// A stamp of day `n` of these tests.
fn stamp_of(n: u32) -> u64 {
    let first: UtcDay = DAY.parse().expect("a date");
    let lane = Lane::new(0).expect("a lane");
    Stamp::at(UtcDay(first.0 + n).start().plus_millis(1), lane).0
}

fn one_day() -> Option<std::time::Duration> {
    Some(std::time::Duration::from_secs(24 * 60 * 60))
}

/// Three messages at stamps 10 and 20, and one three days later.
async fn four_days(dir: &Path) -> [Chunk; 3] {
    let node = Running::start(options(dir, 0));
    let feeds = Feeds::up(&node).await;
    let chunks = [chunk(1, &["a"]), chunk(2, &["a", "a"]), chunk(3, &["a"])];
    place(&node, &feeds, &[&chunks[0], &chunks[1]]).await;
    let mut entry = Fake::entry(&node).await;
    entry.send_segment(&chunks[2]);
    entry.expect_trim(chunks[2].meta).await;
    feeds.elect(chunks[2].meta, stamp_of(3));
    node.wait_for("applied", stamp_of(3)).await;
    node.stop().await;
    chunks
}

/// Opens the store of `four_days` with a day of retention, as the only node of its group.
async fn trimmed_alone(dir: &Path) {
    let alone = NdbOptions {
        membership: Membership::sized(3, [1], 1),
        retention_age: one_day(),
        ..options(dir, 0)
    };
    let node = Running::start(alone);
    node.wait_for("first_position", 4).await;
    node.stop().await;
}

#[tokio::test]
async fn a_clock_that_is_ahead_of_the_order_drops_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    four_days(dir.path()).await;
    // By the clock of this machine all of it is years old.
    let days = one_day().map(|day| day * 30);
    let alone = NdbOptions {
        membership: Membership::sized(3, [1], 1),
        retention_age: days,
        ..options(dir.path(), 0)
    };
    let node = Running::start(alone);
    node.wait_until(|page| page["retention"]["keep_from"] == "2019-12-05").await;
    node.wait_for("first_position", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn a_day_goes_only_when_a_majority_of_the_group_would_drop_it() {
    let dir = tempfile::tempdir().expect("dir");
    four_days(dir.path()).await;
    let aged = NdbOptions { retention_age: one_day(), ..options(dir.path(), 0) };
    let node = Running::start(aged);
    let mut peers = [Fake::peer(&node, 1).await, Fake::peer(&node, 2).await];
    let would = |day: &str| {
        let keep_from = day.parse().expect("a date");
        Message::Replica(ReplicaMessage::Retaining {
            retained: Retained { first: Position(1), keep_from },
        })
    };
    for peer in &mut peers {
        let said = peer
            .next_where(|m| matches!(m, Message::Replica(ReplicaMessage::Retaining { .. })))
            .await;
        assert_eq!(said, would("2020-01-03"));
    }
    // By the clock of this one nothing is old.
    peers[0].send(would("2019-01-01"));
    node.wait_until(|page| page["retention"]["peers"]["D1"]["keep_from"] == "2019-01-01").await;
    node.wait_until(|page| page["retention"]["agreed"] == "2019-01-01").await;
    node.wait_for("first_position", 1).await;
    peers[1].send(would("2020-01-03"));
    node.wait_for("first_position", 4).await;
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_dropped_what_its_group_keeps_takes_it_back() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    let chunks = four_days(dirs[0].path()).await;
    four_days(dirs[1].path()).await;
    trimmed_alone(dirs[0].path()).await;
    let node = Running::start(options(dirs[0].path(), 0));
    let kept = Running::start(options(dirs[1].path(), 1));
    node.link(&kept);
    node.wait_for("first_position", 1).await;
    let mut reader = Fake::reader(&node, 64).await;
    // Until the bytes have come as well, it says that it has not all.
    let (messages, end) = loop {
        match reader.history(query(1, false)).await {
            (_, HistoryEnd::Unavailable { .. }) => tokio::task::yield_now().await,
            read => break read,
        }
    };
    assert_eq!(messages.len(), chunks.iter().map(|chunk| chunk.meta.count as usize).sum::<usize>());
    assert_eq!(end, HistoryEnd::Next { next: Position(5), is_end: true });
    node.stop().await;
    kept.stop().await;
    let again = Running::start(options(dirs[0].path(), 0));
    again.wait_for("first_position", 1).await;
    again.stop().await;
}

#[tokio::test]
async fn what_is_too_old_to_stay_is_not_taken_back() {
    let dirs = [tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir")];
    four_days(dirs[0].path()).await;
    four_days(dirs[1].path()).await;
    trimmed_alone(dirs[0].path()).await;
    let aged = NdbOptions { retention_age: one_day(), ..options(dirs[0].path(), 0) };
    let node = Running::start(aged);
    let mut peer = Fake::peer(&node, 1).await;
    let keep_from = "2019-01-01".parse().expect("a date");
    peer.send(Message::Replica(ReplicaMessage::Retaining {
        retained: Retained { first: Position(1), keep_from },
    }));
    node.wait_until(|page| page["retention"]["peers"]["D1"]["first_position"] == 1).await;
    // With a new end of the order it tells its chain, and then asks; each time in one round.
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    for n in 0..2 {
        let next = chunk(4 + n, &["a"]);
        entry.send_segment(&next);
        entry.expect_trim(next.meta).await;
        feeds.elect(next.meta, stamp_of(3) + 64 * (n + 1));
        let said = peer
            .next_where(|m| {
                matches!(
                    m,
                    Message::Replica(ReplicaMessage::ChainAt { .. })
                        | Message::Replica(ReplicaMessage::FetchOrderBefore { .. })
                )
            })
            .await;
        assert!(matches!(said, Message::Replica(ReplicaMessage::ChainAt { .. })), "{said:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_retention_dropped_is_answered_with_where_the_order_begins() {
    let dir = tempfile::tempdir().expect("dir");
    let chunks = four_days(dir.path()).await;
    let alone = NdbOptions {
        membership: Membership::sized(3, [1], 1),
        retention_age: one_day(),
        ..options(dir.path(), 0)
    };
    let node = Running::start(alone);
    node.wait_for("first_position", 4).await;
    let base = OrderBase {
        next: Position(4),
        stamp: Stamp(20),
        chain: chain(&rows(&[&chunks[0], &chunks[1]])),
    };
    let mut peer = Fake::peer(&node, 1).await;
    for asked in [Position(1), Position(2), Position(3)] {
        peer.send(Message::Replica(ReplicaMessage::FetchOrder { from: asked }));
        assert_eq!(
            peer.next().await,
            Message::Replica(ReplicaMessage::OrderTrimmed { asked, base })
        );
    }
    peer.send(Message::Replica(ReplicaMessage::FetchOrder { from: base.next }));
    let left = vec![elected(chunks[2].meta, stamp_of(3))];
    assert_eq!(
        peer.next().await,
        Message::Replica(ReplicaMessage::OrderRows { first: base.next, rows: left })
    );
    let mut reader = Fake::reader(&node, 64).await;
    let trimmed = HistoryEnd::Trimmed { first: base.next };
    for is_backward in [false, true] {
        assert_eq!(reader.history(query(2, is_backward)).await, (vec![], trimmed));
    }
    // A tail from there is told what it misses, and goes on.
    reader.follow(Some(1), &["a"]);
    assert_eq!(reader.expect_opened().await, (1, 5));
    assert_eq!(reader.expect_opened().await, (4, 5));
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let next = chunk(4, &["a"]);
    entry.send_segment(&next);
    entry.expect_trim(next.meta).await;
    feeds.elect(next.meta, stamp_of(3) + 64);
    assert_eq!(reader.messages(2).await, [said(4, "a", 3), said(5, "a", 4)]);
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_next_rows_all_peers_have_dropped_goes_on_from_their_base() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    let mut peers = [Fake::peer(&node, 1).await, Fake::peer(&node, 2).await];
    for feed in [&mut feeds.0, &mut feeds.1] {
        feed.expect_feed(0).await;
        feed.send(Message::Feed(FeedMessage::FeedTrimmed { to: Stamp(40) }));
    }
    let base = |next, stamp| OrderBase {
        next: Position(next),
        stamp: Stamp(stamp),
        chain: Digest([7; 16]),
    };
    let asked = Position(1);
    // The one that has dropped less counts.
    for (peer, base) in peers.iter_mut().zip([base(70, 60), base(50, 40)]) {
        assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::FetchOrder { from: asked }));
        peer.send(Message::Replica(ReplicaMessage::OrderTrimmed { asked, base }));
    }
    for feed in [&mut feeds.0, &mut feeds.1] {
        feed.expect_feed(40).await;
    }
    node.wait_for("first_position", 50).await;
    let mut reader = Fake::reader(&node, 64).await;
    reader.follow(None, &["a"]);
    assert_eq!(reader.expect_opened().await, (50, 50));
    let next = chunk(1, &["a"]);
    let mut entry = Fake::entry(&node).await;
    entry.send_segment(&next);
    entry.expect_trim(next.meta).await;
    feeds.elect(next.meta, 80);
    assert_eq!(reader.messages(1).await, [said(50, "a", 1)]);
    node.wait_for("applied", 80).await;
    node.stop().await;
    let node = Running::start(options(dir.path(), 0));
    let page = node.handle.status().await;
    assert_eq!((&page["first_position"], &page["next_position"]), (&50.into(), &51.into()));
    node.stop().await;
}

#[tokio::test]
async fn entries_hear_whether_segments_are_taken_first_and_when_it_changes() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut entry = Fake::entry(&node).await;
    entry.expect_standing(NdbStanding::NoFeeds).await;
    let _feeds = Feeds::up(&node).await;
    entry.expect_standing(NdbStanding::Willing).await;
    node.stop().await;
    // No disk has so much.
    let mut full = options(dir.path(), 0);
    full.disk_reserve = u64::MAX / 4;
    let node = Running::start(full);
    let mut entry = Fake::entry(&node).await;
    entry.expect_standing(NdbStanding::DiskFull).await;
    let refused = chunk(1, &["a"]);
    entry.send_segment(&refused);
    let reason = vixen_core::wire::RefuseReason::Unwilling;
    let segment = refused.meta.id;
    assert_eq!(
        entry.next().await,
        Message::Publish(PublishMessage::RefuseAdvanceSegment { segment, reason })
    );
    node.stop().await;
}
