//! A whole node, with peers that a test plays.

use std::collections::BTreeSet;

use vixen_core::id::{
    Ballot, Digest, GroupId, MapVersion, NdbId, OwnerId, SegmentId, Seq, Shard, Stamp,
};
use vixen_core::membership::Membership;
use vixen_core::name::NodeName;
use vixen_core::segment::{Challenger, Elected, SegmentMeta};
use vixen_core::wire::{DraftAnswer, DraftMessage, FeedMessage, VoteMessage};
use vixen_runtime::clock::wall_time;
use vixen_runtime::ids::new_store_id;
use vixen_runtime::link::{End, LinkSender, join};

use super::*;

const MEMBERS: [SyncId; 3] = [SyncId(0), SyncId(1), SyncId(2)];
const QUEUE_BYTES_MAX: usize = 1 << 20;
/// Bound on what a busy machine does at once.
const SOON: Duration = Duration::from_secs(20);

fn name(id: SyncId) -> NodeName {
    format!("S{}", id.0 + 1).parse().expect("a name")
}

fn peer_id(id: SyncId, store: StoreId) -> PeerId {
    PeerId::Sync { id, store }
}

/// A node with the first lane, and where its events go.
fn start(dir: &std::path::Path) -> (SyncHandle, StoreId) {
    let node = SyncNode::open(SyncOptions {
        id: MEMBERS[0],
        name: name(MEMBERS[0]),
        roster: Roster::default(),
        membership: Membership::first(MEMBERS, [], 2),
        dir: dir.to_owned(),
        fsync: false,
        store_bytes_max: 1 << 24,
        clock_ahead_max: Duration::from_secs(10),
        feed_retention: Duration::from_secs(60),
        disk_reserve: 0,
    })
    .expect("a store");
    let (handle, store) = (node.handle(), node.store_id());
    tokio::spawn(node.run());
    (handle, store)
}

/// A peer that a test plays.
struct Played {
    inbox: mpsc::Receiver<LinkEvent>,
    sender: LinkSender,
    /// Up to where it was told that an owner's segments are settled.
    settled: BTreeSet<(OwnerId, Seq)>,
}

impl Played {
    /// Links, and says its standing, and that it knows of no election.
    async fn link(id: SyncId, node: &SyncHandle, store: StoreId) -> Self {
        let own = peer_id(id, new_store_id());
        let played = Self::link_as(own, name(id), node, store).await;
        played.say(Message::Vote(VoteMessage::SyncStanding { run: 1, commits: 1 }));
        played.say(Message::Vote(VoteMessage::SyncDigest { owners: Vec::new() }));
        played
    }

    /// Links.
    async fn link_as(own: PeerId, called: NodeName, node: &SyncHandle, store: StoreId) -> Self {
        let (events, mut inbox) = mpsc::channel(64);
        let own = End { peer: own, name: called, inbox: events };
        let node = End {
            peer: peer_id(MEMBERS[0], store),
            name: name(MEMBERS[0]),
            inbox: node.inbox.clone(),
        };
        tokio::spawn(join(own, node, QUEUE_BYTES_MAX));
        let Some(LinkEvent::Up { sender, .. }) = inbox.recv().await else { panic!("no link") };
        Self { inbox, sender, settled: BTreeSet::new() }
    }

    /// Links as an ndb node of the first group.
    async fn link_ndb(member: u8, node: &SyncHandle, store: StoreId) -> Self {
        let own = PeerId::Ndb { id: NdbId { group: GroupId(0), member }, store: new_store_id() };
        let called = format!("D{}", member + 1).parse().expect("a name");
        Self::link_as(own, called, node, store).await
    }

    /// Waits until it is told this.
    async fn told(&mut self, what: impl Fn(&Message) -> bool) {
        loop {
            let event = tokio::time::timeout(SOON, self.inbox.recv()).await.expect("told in time");
            let Some(LinkEvent::Messages { messages, .. }) = event else { panic!("{event:?}") };
            if messages.iter().any(&what) {
                return;
            }
        }
    }

    /// Asks whether an entry has a link, until it is told this.
    async fn told_whether_linked(&mut self, owner: OwnerId, wanted: bool) {
        let mut again = tokio::time::interval(Duration::from_millis(20));
        let told = async {
            loop {
                let event = tokio::select! {
                    event = self.inbox.recv() => event,
                    _at = again.tick() => {
                        let request = 7;
                        self.sender
                            .send(Message::Feed(FeedMessage::AskHeard { request, owner }))
                            .expect("the link is up");
                        continue;
                    }
                };
                let Some(LinkEvent::Messages { messages, .. }) = event else { panic!("{event:?}") };
                let is_told = |message: &Message| {
                    matches!(message, Message::Feed(FeedMessage::Heard { request: 7, is_linked, .. })
                        if *is_linked == wanted)
                };
                if messages.iter().any(is_told) {
                    return;
                }
            }
        };
        tokio::time::timeout(SOON, told).await.expect("told in time");
    }

    fn say(&self, message: Message) {
        self.sender.send(message).expect("the link is up");
    }

    fn asks_for(&self, segments: &[Elected]) {
        for elected in segments {
            // One of these ballots is its own.
            for ballot in (1..=3).map(Ballot) {
                self.say(Message::Vote(VoteMessage::Prepare { meta: elected.meta, ballot }));
            }
        }
    }

    /// Waits until it has been told of the elections of all these segments.
    async fn told_of(&mut self, mut missing: BTreeSet<SegmentId>) {
        while !missing.is_empty() {
            let event = tokio::time::timeout(SOON, self.inbox.recv()).await;
            let event = event.unwrap_or_else(|_| panic!("never told of {missing:?}"));
            let Some(LinkEvent::Messages { messages, .. }) = event else { panic!("{event:?}") };
            for message in messages {
                match message {
                    Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => {
                        missing.remove(&elected.meta.id);
                    }
                    Message::Vote(VoteMessage::OwnerSettled { owner, contiguous, .. }) => {
                        self.settled.insert((owner, contiguous));
                    }
                    _other => {}
                }
            }
        }
    }
}

/// A segment of an owner, elected a minute ago.
fn elected(owner: OwnerId, seq: u64) -> Elected {
    let id = SegmentId { owner, seq: Seq(seq) };
    let meta = SegmentMeta {
        id,
        shard: Shard(0),
        map: MapVersion(1),
        count: 1,
        bytes: 1,
        digest: Digest([0; 16]),
    };
    let at = wall_time().minus(Duration::from_secs(60)).plus_millis(seq);
    Elected { meta, challenger: Challenger { stamp: Stamp::before(at), group: GroupId(0) } }
}

async fn until(node: &SyncHandle, what: impl Fn(&serde_json::Value) -> bool) {
    let found = tokio::time::timeout(SOON, async {
        while !what(&node.status().await) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    found.await.expect("in time");
}

#[tokio::test]
async fn a_peer_that_asks_for_a_later_segment_first_is_told_of_those_before_it_too() {
    let dir = tempfile::tempdir().expect("dir");
    let (node, store) = start(dir.path());
    let mut behind = Played::link(MEMBERS[1], &node, store).await;
    until(&node, |status| status["joined"] == true).await;
    // What a third node tells reaches this one after the digest of the peer that is behind.
    let third = Played::link(MEMBERS[2], &node, store).await;
    let owner = OwnerId(uuid::Uuid::now_v7());
    let elections: Vec<Elected> = (1..=3).map(|seq| elected(owner, seq)).collect();
    for elected in &elections {
        third.say(Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: *elected }));
    }
    let last = elections[2];
    until(&node, |status| status["clock"].as_u64() >= Some(last.stamp().0)).await;
    let ids = |elections: &[Elected]| elections.iter().map(|elected| elected.meta.id).collect();
    behind.asks_for(&elections[2..]);
    behind.told_of(ids(&elections[2..])).await;
    behind.asks_for(&elections[..2]);
    behind.told_of(ids(&elections[..2])).await;
}

/// What an entry asks of another goes to it alone, and what a link says is taken into account at once.
#[tokio::test]
async fn an_entry_is_told_whether_another_is_heard() {
    let dir = tempfile::tempdir().expect("dir");
    let (node, store) = start(dir.path());
    let [asking, other] = [1, 2].map(|n| OwnerId(uuid::Uuid::from_u128(n)));
    let named = |text: &str| text.parse().expect("a name");
    let mut one = Played::link_as(PeerId::Entry { owner: asking }, named("E1"), &node, store).await;
    let two = Played::link_as(PeerId::Entry { owner: other }, named("E2"), &node, store).await;
    one.told_whether_linked(other, true).await;
    drop(two);
    one.told_whether_linked(other, false).await;
}

/// Who takes a segment as settled drops its vote: with those of a quorum it would be lost.
#[tokio::test]
async fn what_is_elected_beyond_a_gap_settles_nothing_before_it() {
    let dir = tempfile::tempdir().expect("dir");
    let (node, store) = start(dir.path());
    let mut third = Played::link(MEMBERS[2], &node, store).await;
    let owner = OwnerId(uuid::Uuid::now_v7());
    let elections: Vec<Elected> = (1..=2).map(|seq| elected(owner, seq)).collect();
    third.say(Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: elections[1] }));
    until(&node, |status| status["clock"].as_u64() >= Some(elections[1].stamp().0)).await;
    let mut behind = Played::link(MEMBERS[1], &node, store).await;
    behind.told_of([elections[1].meta.id].into()).await;
    // What is said after the answer to the digest comes after it.
    third.say(Message::Feed(FeedMessage::AdvanceSegmentResolved { elected: elections[0] }));
    third.asks_for(&elections[..1]);
    third.told_of([elections[0].meta.id].into()).await;
    behind.asks_for(&elections[..1]);
    behind.told_of([elections[0].meta.id].into()).await;
    assert_eq!(behind.settled, BTreeSet::new());
}

/// A draft holds the watermark until the segment is elected: where that cannot be any more, because
/// peers have forgotten its owner, the draft ends, and with it feeds that may lack its election.
#[tokio::test]
async fn what_peers_have_forgotten_the_owner_of_holds_up_no_watermark() {
    let dir = tempfile::tempdir().expect("dir");
    let (node, store) = start(dir.path());
    let mut peers = Vec::new();
    for id in &MEMBERS[1..] {
        peers.push(Played::link(*id, &node, store).await);
    }
    until(&node, |status| status["joined"] == true).await;
    let mut readers = Vec::new();
    for member in 0..2 {
        readers.push(Played::link_ndb(member, &node, store).await);
    }
    readers[0].say(Message::Feed(FeedMessage::FollowFeed { after: Stamp::ZERO }));
    let owner = OwnerId(uuid::Uuid::now_v7());
    let meta = elected(owner, 1).meta;
    readers
        .iter()
        .for_each(|reader| reader.say(Message::Draft(DraftMessage::GenerateDraft { meta })));
    until(&node, |status| status["pending"][0]["draft"].is_u64()).await;
    let trimmed_to = Stamp::before(wall_time());
    peers[0].say(Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to }));
    peers[1].say(Message::Vote(VoteMessage::OwnerForgotten { owner, trimmed_to }));
    readers[0]
        .told(|told| *told == Message::Feed(FeedMessage::FeedTrimmed { to: trimmed_to }))
        .await;
    until(&node, |status| status["pending_total"] == 0).await;
    // For good: also when it is asked again, by whomever.
    readers[1].say(Message::Draft(DraftMessage::GenerateDraft { meta }));
    let (segment, answer) = (meta.id, DraftAnswer::OwnerExpired);
    readers[1]
        .told(|told| *told == Message::Draft(DraftMessage::DraftAnswered { segment, answer }))
        .await;
    peers[0].say(Message::Vote(VoteMessage::Prepare { meta, ballot: Ballot(1) }));
    peers[0].say(Message::Vote(VoteMessage::Prepare { meta, ballot: Ballot(2) }));
    peers[0]
        .told(
            |told| matches!(told, Message::Vote(VoteMessage::OwnerForgotten { owner: named, .. }) if *named == owner),
        )
        .await;
}
