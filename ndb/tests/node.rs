//! Scenarios of one or two ndb nodes between a fake entry and fake sync nodes.

mod support;

use support::{Fake, Feeds, Running, chunk, chunk_of, elected, options, said, topic};
use vixen_core::id::{GroupId, Position, Stamp};
use vixen_core::segment::Blob;
use vixen_core::wire::{
    DraftAnswer, DraftMessage, FeedMessage, Message, NdbStanding, PublishMessage, ReadMessage,
    RefuseReason, ReplicaMessage,
};

#[tokio::test]
async fn segments_are_trimmed_drafted_placed_and_delivered_in_order() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    feeds.1.expect_feed(0).await;
    let mut entry = Fake::entry(&node).await;
    entry.follow(None, &["a", "b"]);
    assert_eq!(entry.expect_opened().await, (1, 1));

    let (first, second) = (chunk(1, &["a", "b"]), chunk(2, &["b", "a", "a"]));
    for chunk in [&first, &second] {
        entry.send_segment(chunk);
        entry.expect_trim(chunk.meta).await;
        feeds.0.expect_draft(chunk.meta).await;
        feeds.1.expect_draft(chunk.meta).await;
    }
    // One feed alone makes nothing certain.
    feeds.0.elect(first.meta, 10);
    feeds.0.elect(second.meta, 20);
    feeds.1.elect(first.meta, 10);
    let tail = entry.next_segment().await;
    assert_eq!((tail.first, tail.count, tail.stamp.0), (Position(1), 2, 10));
    assert!(tail.offsets.is_empty());
    assert_eq!((tail.topics, tail.records), (first.topics, first.records));
    feeds.1.elect(second.meta, 20);
    let got = entry.messages(3).await;
    assert_eq!(got, [said(3, "b", 2), said(4, "a", 2), said(5, "a", 2)]);
    node.stop().await;
}

#[tokio::test]
async fn a_segment_sent_again_is_trimmed_and_bad_ones_are_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    let mut entry = Fake::entry(&node).await;
    let good = chunk(1, &["a"]);
    let mut bad = chunk(2, &["a", "a"]);
    bad.meta.count = 3;
    entry.send_segment(&good);
    entry.expect_trim(good.meta).await;
    feeds.0.expect_draft(good.meta).await;
    entry.send_segment(&good);
    entry.expect_trim(good.meta).await;
    feeds.elect(good.meta, 5);
    node.wait_for("next_position", 2).await;
    entry.send_segment(&good);
    entry.expect_trim(good.meta).await;
    entry.send_segment(&bad);
    let reason = RefuseReason::Mismatch;
    assert_eq!(
        entry.next().await,
        Message::Publish(PublishMessage::RefuseAdvanceSegment { segment: bad.meta.id, reason })
    );
    node.wait_for("next_position", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn a_restarted_node_goes_on_where_it_was() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    let mut entry = Fake::entry(&node).await;
    let (placed, pending) = (chunk(1, &["a", "a"]), chunk(2, &["a"]));
    for chunk in [&placed, &pending] {
        entry.send_segment(chunk);
        entry.expect_trim(chunk.meta).await;
        feeds.0.expect_draft(chunk.meta).await;
    }
    feeds.elect(placed.meta, 10);
    node.wait_for("next_position", 3).await;
    let before = node.handle.status().await;
    node.stop().await;

    let node = Running::start(options(dir.path(), 0));
    let after = node.handle.status().await;
    for key in ["store", "next_position", "chain"] {
        assert_eq!(before[key], after[key], "{key}");
    }
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(10).await;
    feeds.0.expect_draft(pending.meta).await;
    // What was placed before comes from the store, then the live end follows without a seam.
    let mut entry = Fake::entry(&node).await;
    entry.follow(Some(2), &["a"]);
    assert_eq!(entry.expect_opened().await, (2, 3));
    assert_eq!(entry.messages(1).await, [said(2, "a", 1)]);
    feeds.elect(placed.meta, 10);
    feeds.elect(pending.meta, 20);
    assert_eq!(entry.messages(1).await, [said(3, "a", 2)]);
    node.stop().await;
}

#[tokio::test]
async fn a_tail_starts_in_the_middle_of_a_segment() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let chunk = chunk(1, &["a", "b", "a", "b"]);
    entry.send_segment(&chunk);
    entry.expect_trim(chunk.meta).await;
    feeds.elect(chunk.meta, 10);
    node.wait_for("next_position", 5).await;
    entry.follow(Some(3), &["a", "b"]);
    assert_eq!(entry.expect_opened().await, (3, 5));
    let tail = entry.next_segment().await;
    assert_eq!((tail.first, tail.count, tail.offsets), (Position(1), 4, vec![2, 3]));
    node.stop().await;
}

#[tokio::test]
async fn a_changed_interest_holds_from_its_answer_on() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut writer = Fake::entry(&node).await;
    let mut entry = Fake::reader(&node, 64).await;
    entry.follow(None, &[]);
    assert_eq!(entry.expect_opened().await, (1, 1));
    let chunks: Vec<_> = (1..=3).map(|seq| chunk(seq, &["a", "b", "c"])).collect();
    let mut place = async |n: usize| {
        writer.send_segment(&chunks[n]);
        writer.expect_trim(chunks[n].meta).await;
        feeds.elect(chunks[n].meta, 10 * (n as u64 + 1));
    };
    // Without interest nothing is sent.
    place(0).await;
    node.wait_for("next_position", 4).await;
    let change = |version, add: &[&str], remove: &[&str]| {
        Message::Read(ReadMessage::ChangeInterest {
            version,
            add: add.iter().map(|uri| topic(uri).into()).collect(),
            remove: remove.iter().map(|uri| topic(uri).into()).collect(),
        })
    };
    entry.send(change(1, &["a", "b"], &[]));
    assert_eq!(
        entry.next().await,
        Message::Read(ReadMessage::InterestChanged { version: 1, next: Position(4) })
    );
    place(1).await;
    assert_eq!(entry.messages(2).await, [said(4, "a", 2), said(5, "b", 2)]);
    entry.send(change(2, &["c"], &["a", "b"]));
    assert_eq!(
        entry.next().await,
        Message::Read(ReadMessage::InterestChanged { version: 2, next: Position(7) })
    );
    place(2).await;
    assert_eq!(entry.messages(1).await, [said(9, "c", 3)]);
    node.stop().await;
}

#[tokio::test]
async fn an_uninteresting_stretch_is_told_once_as_a_position() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    for seq in 1..=20 {
        let chunk = chunk(seq, &["a"]);
        entry.send_segment(&chunk);
        entry.expect_trim(chunk.meta).await;
        feeds.elect(chunk.meta, seq);
    }
    node.wait_for("next_position", 21).await;
    entry.follow(Some(1), &["z"]);
    assert_eq!(entry.expect_opened().await, (1, 21));
    assert_eq!(entry.next().await, Message::Read(ReadMessage::TailPosition { next: Position(21) }));
    node.stop().await;
}

#[tokio::test]
async fn a_tail_opened_again_says_nothing_of_the_one_before() {
    const BYTES: usize = 100_000;
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut writer = Fake::entry(&node).await;
    for seq in 1..=60 {
        let chunk = chunk_of(seq, &["a"], &[b'x'; BYTES]);
        writer.send_segment(&chunk);
        writer.expect_trim(chunk.meta).await;
        feeds.elect(chunk.meta, seq);
    }
    node.wait_for("next_position", 61).await;
    // A reader with room for one frame: the tail soon waits for it, in the middle of a batch.
    let mut reader = Fake::reader(&node, 1).await;
    reader.follow(Some(1), &["a"]);
    assert_eq!(reader.expect_opened().await, (1, 61));
    assert_eq!(reader.next_segment().await.first, Position(1));
    reader.follow(Some(40), &["a"]);
    reader.follow(Some(2), &["a"]);
    // Both are answered, since the entry counts answers.
    for next in [40, 2] {
        while !matches!(reader.next().await, Message::Read(ReadMessage::TailOpened { next: Position(n), .. }) if n == next)
        {
        }
    }
    for position in 2..=60 {
        assert_eq!(reader.next_segment().await.first, Position(position));
    }
    node.stop().await;
}

#[tokio::test]
async fn a_missing_segment_is_fetched_from_a_peer_and_holds_its_tails_until_then() {
    let dirs = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let holder = Running::start(options(dirs.0.path(), 0));
    let lacker = Running::start(options(dirs.1.path(), 1));
    let feeds = (Feeds::up(&holder).await, Feeds::up(&lacker).await);
    let mut to_holder = Fake::entry(&holder).await;
    let mut to_lacker = Fake::entry(&lacker).await;
    to_lacker.follow(None, &["a"]);
    assert_eq!(to_lacker.expect_opened().await, (1, 1));
    let (missed, had) = (chunk(1, &["a"]), chunk(2, &["a"]));
    for chunk in [&missed, &had] {
        to_holder.send_segment(chunk);
        to_holder.expect_trim(chunk.meta).await;
    }
    to_lacker.send_segment(&had);
    to_lacker.expect_trim(had.meta).await;
    for feeds in [&feeds.0, &feeds.1] {
        feeds.elect(missed.meta, 10);
        feeds.elect(had.meta, 20);
    }
    lacker.wait_for("next_position", 3).await;
    lacker.wait_for("missing_segments", 1).await;
    holder.link(&lacker);
    assert_eq!(to_lacker.messages(2).await, [said(1, "a", 1), said(2, "a", 2)]);
    lacker.wait_for("missing_segments", 0).await;
    let chains = (holder.handle.status().await, lacker.handle.status().await);
    assert_eq!(chains.0["chain"], chains.1["chain"]);
    holder.stop().await;
    lacker.stop().await;
}

#[tokio::test]
async fn a_tail_that_reads_the_store_goes_on_when_a_missing_segment_comes() {
    let dir = tempfile::tempdir().expect("dir");
    let mut small = options(dir.path(), 0);
    small.tail_cache_bytes_max = 1;
    let node = Running::start(small);
    let feeds = Feeds::up(&node).await;
    let missed = chunk(1, &["a"]);
    feeds.elect(missed.meta, 10);
    node.wait_for("next_position", 2).await;
    // Written, and so no longer in memory.
    node.wait_for("tail_cache_bytes", 0).await;
    let mut entry = Fake::entry(&node).await;
    entry.follow(Some(1), &["a"]);
    assert_eq!(entry.expect_opened().await, (1, 2));
    let mut peer = Fake::peer(&node, 1).await;
    let segments = vec![missed.meta.id];
    assert_eq!(
        peer.next().await,
        Message::Replica(ReplicaMessage::FetchSegments { segments: segments.clone() })
    );
    // Wrong bytes and no bytes change nothing: the node asks again.
    let wrong = chunk(9, &["b"]);
    let wrong = Blob::assemble(&wrong.topics, &[&wrong.records]).as_bytes().clone();
    peer.send(Message::Replica(ReplicaMessage::SegmentBlob {
        segment: missed.meta.id,
        blob: wrong,
    }));
    peer.send(Message::Replica(ReplicaMessage::SegmentsMissing { segments: segments.clone() }));
    assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::FetchSegments { segments }));
    let blob = Blob::assemble(&missed.topics, &[&missed.records]).as_bytes().clone();
    peer.send(Message::Replica(ReplicaMessage::SegmentBlob { segment: missed.meta.id, blob }));
    assert_eq!(entry.messages(1).await, [said(1, "a", 1)]);
    node.stop().await;

    let node = Running::start(options(dir.path(), 0));
    node.wait_for("missing_segments", 0).await;
    node.stop().await;
}

#[tokio::test]
async fn a_peer_gets_what_is_held_and_hears_what_is_not() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let (placed, held, unknown) = (chunk(1, &["a"]), chunk(2, &["a"]), chunk(3, &["a"]));
    for chunk in [&placed, &held] {
        entry.send_segment(chunk);
        entry.expect_trim(chunk.meta).await;
    }
    feeds.elect(placed.meta, 10);
    node.wait_for("next_position", 2).await;
    // The store is read, so the commit must be through.
    node.wait_for("writing_bytes", 0).await;
    let mut peer = Fake::peer(&node, 1).await;
    let segments = [&placed, &held, &unknown].map(|chunk| chunk.meta.id).to_vec();
    peer.send(Message::Replica(ReplicaMessage::FetchSegments { segments }));
    for chunk in [&placed, &held] {
        let Message::Replica(ReplicaMessage::SegmentBlob { segment, blob }) = peer.next().await
        else {
            panic!("no blob")
        };
        assert_eq!(segment, chunk.meta.id);
        Blob::from_bytes(blob).verify(&chunk.meta).expect("the right bytes");
    }
    let segments = vec![unknown.meta.id];
    assert_eq!(peer.next().await, Message::Replica(ReplicaMessage::SegmentsMissing { segments }));
    node.stop().await;
}

#[tokio::test]
async fn a_node_is_ready_with_a_majority_of_feeds() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let reason = node.handle.ready().expect_err("no feed yet");
    assert!(reason.contains("0 of 2"), "{reason}");
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    feeds.1.expect_feed(0).await;
    assert_eq!(node.handle.ready(), Ok(()));
    let links = node.handle.status().await["links"].clone();
    let down: Vec<_> =
        links.as_array().expect("a list").iter().filter(|l| l["up"] == false).collect();
    assert_eq!(down.iter().map(|l| &l["peer"]).collect::<Vec<_>>(), ["S2", "D1", "D2"]);
    node.stop().await;
}

#[tokio::test]
async fn silent_feeds_are_missed_by_name_and_entries_are_told() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    entry.expect_standing(NdbStanding::Willing).await;
    feeds.0.hush();
    entry.expect_standing(NdbStanding::NoFeeds).await;
    let reason = node.handle.ready().expect_err("one feed is heard");
    // For as many seconds as it has been when one looks.
    let wanted = ("1 of 2 feeds of sync nodes: waiting for S0 (silent for ", " s), S2 (no link)");
    assert!(reason.starts_with(wanted.0) && reason.ends_with(wanted.1), "{reason}");
    feeds.0.speak();
    entry.expect_standing(NdbStanding::Willing).await;
    let text = node.handle.readiness().text();
    let wanted = "ready, degraded: S2 down (no further sync node may be lost); D1, D2 down (group 0 \
                  takes no messages)";
    assert_eq!(text, wanted);
    node.stop().await;
}

#[tokio::test]
async fn sync_nodes_hear_what_is_on_disk_now_and_on_each_new_link() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.elect(chunk(1, &["a"]).meta, 10);
    for feed in [&mut feeds.0, &mut feeds.1] {
        feed.expect_feed(0).await;
        feed.expect_applied(10).await;
    }
    feeds.elect(chunk(2, &["a"]).meta, 20);
    feeds.0.expect_applied(20).await;
    node.stop().await;
    let node = Running::start(options(dir.path(), 0));
    let mut feed = Fake::sync(&node, 0).await;
    feed.expect_feed(20).await;
    feed.expect_applied(20).await;
    node.stop().await;
}

#[tokio::test]
async fn the_order_is_given_from_the_beginning_of_a_segment_on() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    let segments = [chunk(1, &["a", "a"]), chunk(2, &["a"])];
    let rows = [elected(segments[0].meta, 10), elected(segments[1].meta, 20)];
    rows.iter().for_each(|row| feeds.elect(row.meta, row.stamp().0));
    feeds.0.expect_feed(0).await;
    feeds.0.expect_applied(20).await;
    // To an entry and to a peer of another group.
    let mut entry = Fake::entry(&node).await;
    let mut peer = Fake::peer_of(&node, GroupId(1), 0).await;
    for (from, wanted) in [(1, &rows[..]), (2, &[]), (3, &rows[1..]), (4, &[])] {
        for reader in [&mut entry, &mut peer] {
            reader.send(Message::Replica(ReplicaMessage::FetchOrder { from: Position(from) }));
            let answer = Message::Replica(ReplicaMessage::OrderRows {
                first: Position(from),
                rows: wanted.to_vec(),
            });
            assert_eq!(reader.next().await, answer);
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn a_node_whose_feeds_are_trimmed_takes_the_order_of_a_peer_and_follows_again() {
    let dirs = (tempfile::tempdir().expect("dir"), tempfile::tempdir().expect("dir"));
    let ahead = Running::start(options(dirs.0.path(), 0));
    let behind = Running::start(options(dirs.1.path(), 1));
    let mut feeds = (Feeds::up(&ahead).await, Feeds::up(&behind).await);
    let (held, missed, live) = (chunk(1, &["a", "a"]), chunk(2, &["a"]), chunk(3, &["a"]));
    let mut to_ahead = Fake::entry(&ahead).await;
    for chunk in [&held, &missed] {
        to_ahead.send_segment(chunk);
        to_ahead.expect_trim(chunk.meta).await;
    }
    let mut to_behind = Fake::entry(&behind).await;
    to_behind.follow(Some(1), &["a"]);
    assert_eq!(to_behind.expect_opened().await, (1, 1));
    to_behind.send_segment(&held);
    to_behind.expect_trim(held.meta).await;
    feeds.0.elect(held.meta, 10);
    feeds.0.elect(missed.meta, 20);
    ahead.wait_for("applied", 20).await;

    for feed in [&mut feeds.1.0, &mut feeds.1.1] {
        feed.expect_feed(0).await;
        feed.expect_draft(held.meta).await;
        feed.send(Message::Feed(FeedMessage::FeedTrimmed { to: Stamp(20) }));
    }
    let waits = [("S0", 20), ("S1", 20)];
    behind
        .wait_until(|page| {
            let feeds = &page["order_catch_up"]["feeds_wait_for"];
            waits.iter().all(|(feed, stamp)| feeds[feed] == *stamp)
        })
        .await;
    // A first peer has nothing newer, and the next is asked.
    let mut empty = Fake::peer(&behind, 2).await;
    let (first, rows) = (Position(1), vec![]);
    assert_eq!(empty.next().await, Message::Replica(ReplicaMessage::FetchOrder { from: first }));
    empty.send(Message::Replica(ReplicaMessage::OrderRows { first, rows }));
    ahead.link(&behind);
    for feed in [&mut feeds.1.0, &mut feeds.1.1] {
        feed.expect_feed(20).await;
    }
    feeds.1.elect(live.meta, 30);
    let got = to_behind.messages(3).await;
    assert_eq!(got, [said(1, "a", 1), said(2, "a", 1), said(3, "a", 2)]);
    behind.wait_for("next_position", 5).await;
    feeds.0.elect(live.meta, 30);
    ahead.wait_for("next_position", 5).await;
    let pages = (ahead.handle.status().await, behind.handle.status().await);
    assert_eq!(pages.0["chain"], pages.1["chain"]);
    assert!(pages.1["order_catch_up"].is_null(), "{:#}", pages.1);
    ahead.stop().await;
    behind.stop().await;
}

#[tokio::test]
async fn a_feed_trimmed_to_what_is_placed_is_followed_again_at_once() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    feeds.0.expect_feed(0).await;
    feeds.elect(chunk(1, &["a"]).meta, 10);
    node.wait_for("next_position", 2).await;
    feeds.0.send(Message::Feed(FeedMessage::FeedTrimmed { to: Stamp(10) }));
    feeds.0.expect_feed(10).await;
    node.stop().await;
}

#[tokio::test]
async fn a_segment_whose_owner_a_majority_has_forgotten_is_dropped() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let mut feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let chunk = chunk(1, &["a"]);
    entry.send_segment(&chunk);
    entry.expect_trim(chunk.meta).await;
    feeds.0.expect_feed(0).await;
    feeds.0.expect_draft(chunk.meta).await;
    let answer = DraftAnswer::OwnerExpired;
    let forgotten = Message::Draft(DraftMessage::DraftAnswered { segment: chunk.meta.id, answer });
    // One alone, however often it says so, is not enough.
    feeds.0.send(forgotten.clone());
    feeds.0.send(forgotten.clone());
    node.wait_until(|page| {
        let waits_for = &page["pending"][0]["waits_for"];
        waits_for.as_str().is_some_and(|text| text.contains("a majority of sync nodes"))
    })
    .await;
    feeds.1.send(forgotten);
    node.wait_for("pending_total", 0).await;
    node.stop().await;
    let node = Running::start(options(dir.path(), 0));
    assert_eq!(node.handle.status().await["pending_total"], 0);
    node.stop().await;
}

#[tokio::test]
async fn nobody_waits_to_hear_of_what_has_its_place_already_or_of_a_gone_entrys_segments() {
    let dir = tempfile::tempdir().expect("dir");
    let node = Running::start(options(dir.path(), 0));
    let feeds = Feeds::up(&node).await;
    let mut entry = Fake::entry(&node).await;
    let (placed, next) = (chunk(1, &["a"]), chunk(2, &["a"]));
    entry.send_segment(&placed);
    entry.expect_trim(placed.meta).await;
    feeds.elect(placed.meta, 10);
    node.wait_for("applied", 10).await;
    // Its place came first: that is what the entry hears.
    entry.send(Message::Publish(PublishMessage::AwaitDurable { segment: placed.meta.id }));
    entry.send_segment(&next);
    entry.send(Message::Publish(PublishMessage::AwaitDurable { segment: next.meta.id }));
    entry.expect_trim(next.meta).await;
    assert_eq!(
        entry.next().await,
        Message::Publish(PublishMessage::SegmentDurable { segment: next.meta.id })
    );
    node.wait_for("awaited_segments", 0).await;
    entry
        .send(Message::Publish(PublishMessage::AwaitDurable { segment: chunk(9, &["a"]).meta.id }));
    node.wait_for("awaited_segments", 1).await;
    // It does not live to hear the answer.
    entry.send_segment(&chunk(3, &["a"]));
    drop(entry);
    node.wait_for("awaited_segments", 0).await;
    node.stop().await;
}
