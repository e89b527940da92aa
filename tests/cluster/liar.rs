//! A member that lies: it proves itself as what it is, and then says what is not its to say.
//!
//! What stands here for the program of a taken node knows what that node knows, its secret included.

use std::collections::BTreeSet;
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::task::JoinHandle;

use vixen_core::id::{GroupId, NdbId, OwnerId, Position, SegmentId, Seq, Shard, StoreId, SyncId};
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::tier::Tier;
use vixen_core::wire::{CallMessage, Cancellation, Dialect, Message, PeerId, PublishMessage};
use vixen_runtime::ids::new_owner_id;
use vixen_runtime::link::{DialTarget, Expected, Identity, LinkEvent, LinkSender, Owners, dial};
use vixen_runtime::server::{self, Timeouts, node_router};
use vixen_runtime::telemetry::Readiness;
use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, wait_until};

use crate::link::{CLUSTER, SECRET};
use crate::support::{SOON, logged};

const REFUSED: &str = "vixen_common_messages_refused_total";
/// What entries of these clusters know, and nothing else.
pub(crate) const ENTRY_SECRET: &str = "secret-of-entries-1";
const D3: NdbId = NdbId { group: GroupId(0), member: 2 };

/// A cluster whose entries have a secret of their own.
pub(crate) async fn start() -> anyhow::Result<Cluster> {
    let options = ClusterOptions { entries: 2, linked_entries: 2, ..ClusterOptions::default() };
    let cluster = Cluster::start_with(options, |_id, _store| NodeSetup {
        env: vec![("VIXEN_CLUSTER_ENTRY_SECRET".to_owned(), ENTRY_SECRET.to_owned())],
        ..NodeSetup::default()
    })
    .await?;
    // Ready is earlier: who has no link yet with an entry knows no owner of its.
    wait_until("all links of the entries to be up", SOON, || async {
        for id in ["E1", "E2"] {
            let answer = cluster.get(id, "/readyz").await?;
            anyhow::ensure!(answer.body == "ready\n", "{id}: {}", answer.body);
        }
        Ok(Some(()))
    })
    .await?;
    Ok(cluster)
}

fn name(text: &str) -> NodeName {
    text.parse().expect("a name")
}

fn store() -> StoreId {
    StoreId(uuid::Uuid::from_u128(7))
}

/// Whom one meets, by name, and where.
fn target_of(cluster: &Cluster, id: &str) -> anyhow::Result<DialTarget> {
    if id.starts_with('E') {
        let (address, expected) = (cluster.link_address(id)?, Expected::Entry(name(id)));
        return Ok(DialTarget { address, expected });
    }
    let number: u8 = id[1..].parse::<u8>()? - 1;
    let expected = if id.starts_with('S') {
        Expected::Sync(SyncId(number))
    } else {
        Expected::Ndb(NdbId { group: GroupId(0), member: number })
    };
    Ok(DialTarget { address: cluster.address(id)?, expected })
}

pub(crate) fn identity(cluster: &Cluster, peer: PeerId, id: &str, secret: &[u8]) -> Identity {
    let member = |n: u8| (NdbId { group: GroupId(0), member: n }, name(&format!("D{}", n + 1)));
    let lane = |n: u8| (SyncId(n), name(&format!("S{}", n + 1)));
    Identity {
        cluster: CLUSTER.into(),
        secrets: secret.into(),
        peer,
        name: name(id),
        roster: Roster::new((0..3).map(lane), (0..3).map(member)),
        terms: cluster.terms().expect("a configuration"),
        queue_bytes_max: 1 << 20,
        tls: None,
        admit: Arc::new(|_peer| true),
        owners: Owners::default(),
    }
}

/// A link of the liar's, dialled.
pub(crate) struct Liar {
    events: Receiver<LinkEvent>,
    task: JoinHandle<()>,
}

impl Liar {
    pub(crate) fn dial(cluster: &Cluster, identity: Identity, to: &str) -> anyhow::Result<Self> {
        let (inbox, events) = channel::<LinkEvent>(16);
        let task = tokio::spawn(dial(identity, target_of(cluster, to)?, inbox));
        Ok(Self { events, task })
    }

    pub(crate) async fn next(&mut self) -> anyhow::Result<LinkEvent> {
        let event = tokio::time::timeout(SOON, self.events.recv()).await?;
        event.ok_or_else(|| anyhow::anyhow!("the dialler has ended"))
    }

    pub(crate) async fn up(&mut self) -> anyhow::Result<LinkSender> {
        loop {
            match self.next().await? {
                LinkEvent::Up { sender, .. } => return Ok(sender),
                LinkEvent::Messages { .. } | LinkEvent::Down { .. } => {}
                LinkEvent::Failed { refusal, .. } => anyhow::bail!("no link: {refusal:?}"),
            }
        }
    }

    /// Why the link ends.
    async fn down(&mut self) -> anyhow::Result<String> {
        loop {
            if let LinkEvent::Down { reason, .. } = self.next().await? {
                return Ok(reason);
            }
        }
    }

    /// Why there is no link.
    async fn refusal(&mut self) -> anyhow::Result<String> {
        loop {
            match self.next().await? {
                LinkEvent::Failed { refusal: Some(refusal), .. } => return Ok(refusal),
                LinkEvent::Up { .. } => anyhow::bail!("linked"),
                LinkEvent::Failed { .. } | LinkEvent::Messages { .. } | LinkEvent::Down { .. } => {}
            }
        }
    }

    /// Says each of these on a link of its own; each must end it with a reason.
    async fn says(&mut self, lies: Vec<Message>) -> anyhow::Result<()> {
        for lie in lies {
            let name = lie.name();
            self.up().await?.send(lie)?;
            let reason = self.down().await?;
            anyhow::ensure!(reason.starts_with("refused by the peer: "), "{name}: {reason}");
            anyhow::ensure!(reason.contains(name), "{name}: {reason}");
        }
        Ok(())
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One of each kind that there is on the wire: bytes are tried until they are read as the kind.
fn every_message() -> Vec<Message> {
    let mut random = StdRng::seed_from_u64(11);
    let mut all = Vec::new();
    for dialect in Dialect::ALL {
        for number in 0..=u8::MAX {
            // Lengths of UUIDs are 16, options and lists mostly empty.
            let found = (0..20_000).find_map(|_try| {
                let mut bytes = vec![dialect as u8, number];
                bytes.extend((0..160).map(|_at| [0, 0, 1, 16][random.random_range(0..4)]));
                postcard::take_from_bytes::<Message>(&bytes).ok().map(|(message, _rest)| message)
            });
            let Some(message) = found else { break };
            all.push(message);
        }
    }
    all
}

/// All that a node of tier `from` never says to one of tier `to`.
fn lies(from: Tier, to: Tier) -> Vec<Message> {
    let lies: Vec<_> = every_message().into_iter().filter(|m| !m.is_said(from, to)).collect();
    assert!(lies.len() > 15, "{} lies of {from} to {to}", lies.len());
    lies
}

/// The cluster goes on.
async fn is_well(cluster: &Cluster) -> anyhow::Result<()> {
    for url in cluster.urls() {
        let mut client = Connection::open(&url, "realm1").await?;
        client.publish(1, "com.example.liar", "[1]").await?;
    }
    Ok(())
}

#[test]
fn every_message_of_the_wire_is_tried() {
    let all = every_message();
    let names: BTreeSet<_> = all.iter().map(Message::name).collect();
    assert_eq!(names.len(), all.len());
    // The last one that each dialect has; further numbers are read as nothing.
    let last = |dialect| all.iter().rfind(|message| message.dialect() == dialect);
    let lasts: Vec<_> = Dialect::ALL.iter().filter_map(|dialect| last(*dialect)).collect();
    let wanted = [
        "ndb_nowhere",
        "segment_durable",
        "draft_answered",
        "vote_fast",
        "heard",
        "history_end",
        "order_before",
        "meta_answer",
    ];
    assert_eq!(lasts.iter().map(|last| last.name()).collect::<Vec<_>>(), wanted);
}

#[tokio::test]
async fn an_entry_that_votes_elects_or_answers_reads_is_cut_off_and_counted() -> anyhow::Result<()>
{
    let cluster = start().await?;
    let peer = PeerId::Entry { owner: new_owner_id() };
    for (to, tier) in [("S1", Tier::Sync), ("D1", Tier::Ndb), ("E1", Tier::Entry)] {
        let lies = lies(Tier::Entry, tier);
        #[expect(clippy::cast_precision_loss, reason = "some dozens")]
        let count = lies.len() as f64;
        let identity = identity(&cluster, peer, "E9", ENTRY_SECRET.as_bytes());
        Liar::dial(&cluster, identity, to)?.says(lies).await?;
        let counted = cluster.metric_with(to, REFUSED, "from=\"entry\",reason=\"tier\"").await?;
        assert!((counted - count).abs() < 0.1, "{to}: {counted} of {count}");
        logged(&cluster, to, &["link ended", "E9", "is nothing that an entry says to"]).await;
    }
    is_well(&cluster).await
}

#[tokio::test]
async fn an_ndb_node_that_votes_or_acts_as_an_entry_is_cut_off_and_counted() -> anyhow::Result<()> {
    let mut cluster = start().await?;
    let address = cluster.address("D3")?;
    cluster.kill("D3").await?;
    let peer = PeerId::Ndb { id: D3, store: store() };
    Liar::dial(&cluster, identity(&cluster, peer, "D3", SECRET), "S1")?
        .says(lies(Tier::Ndb, Tier::Sync))
        .await?;
    // Entries, and the ndb nodes before it, dial it.
    let (inbox, mut events) = channel::<LinkEvent>(64);
    let mut identity = identity(&cluster, peer, "D3", ENTRY_SECRET.as_bytes());
    identity.admit = Arc::new(|peer| matches!(peer, PeerId::Entry { .. }));
    let status = || -> vixen_runtime::telemetry::BoxFuture<'static, _> {
        Box::pin(async { serde_json::Value::Null })
    };
    let ready = || Readiness::Ready;
    let router = node_router(identity, inbox, Arc::new(ready), Arc::new(status));
    let listener = TcpListener::bind(&address).await?;
    let served = server::serve(listener, None, router, Timeouts::default(), std::future::pending());
    let served = tokio::spawn(served);
    let mut left = lies(Tier::Ndb, Tier::Entry);
    let mut said = None;
    while !left.is_empty() || said.is_some() {
        let event = tokio::time::timeout(SOON, events.recv()).await?;
        match event.ok_or_else(|| anyhow::anyhow!("not served"))? {
            LinkEvent::Up { link, name, sender, .. } if name.as_str() == "E1" && said.is_none() => {
                let Some(lie) = left.pop() else { break };
                said = Some((link, lie.name()));
                sender.send(lie)?;
            }
            LinkEvent::Down { link, reason, .. } if said.is_some_and(|said| said.0 == link) => {
                let lie = said.take().map_or("", |said| said.1);
                anyhow::ensure!(reason.starts_with("refused by the peer: "), "{lie}: {reason}");
            }
            _ => {}
        }
    }
    served.abort();
    logged(&cluster, "E1", &["link ended", "D3", "is nothing that an ndb node says to"]).await;
    assert!(cluster.metric_with("E1", REFUSED, "from=\"ndb\"").await? > 15.0);
    is_well(&cluster).await
}

#[tokio::test]
async fn an_entry_cannot_be_a_node_of_another_tier_or_another_entry() -> anyhow::Result<()> {
    let cluster = start().await?;
    let secret = ENTRY_SECRET.as_bytes();
    // What it knows proves nothing as another tier, whoever is dialled.
    let lane = PeerId::Sync { id: SyncId(0), store: store() };
    let place = PeerId::Ndb { id: D3, store: store() };
    for (peer, id, to) in [(lane, "S1", "S2"), (place, "D3", "S2"), (place, "D3", "D1")] {
        let refusal =
            Liar::dial(&cluster, identity(&cluster, peer, id, secret), to)?.refusal().await?;
        assert!(refusal.contains("proof of the cluster secret is wrong"), "{id} {to}: {refusal}");
    }
    // Nor as another entry: its owner id is on the status page for all.
    let owner = cluster.status("E1").await?["owner"].clone();
    let owner = OwnerId(owner.as_str().expect("an owner").parse()?);
    for to in ["S1", "S2", "D1", "D2", "E1", "E2"] {
        let peer = PeerId::Entry { owner };
        let refusal =
            Liar::dial(&cluster, identity(&cluster, peer, "E9", secret), to)?.refusal().await?;
        assert!(refusal.contains("E9 claims an owner id"), "{to}: {refusal}");
    }
    // Under an owner id of its own it opens no segment of another's.
    let peer = PeerId::Entry { owner: new_owner_id() };
    let segment = SegmentId { owner, seq: Seq(1) };
    let begin = Message::Publish(PublishMessage::BeginAdvanceSegment { segment, shard: Shard(0) });
    let lies = vec![begin, Message::Publish(PublishMessage::AwaitDurable { segment })];
    Liar::dial(&cluster, identity(&cluster, peer, "E9", secret), "D1")?.says(lies).await?;
    assert!(cluster.metric_with("D1", REFUSED, "reason=\"owner\"").await? > 1.0);
    // Nor does it speak of lives and calls that there cannot be.
    let (is_ready, is_draining, applied_below) = (true, false, Position(1));
    let standing = CallMessage::CallStanding { life: 0, is_ready, is_draining, applied_below };
    let more = CallMessage::CancelInvoke { number: 0, what: Cancellation::Kill };
    let lies = vec![standing.into(), more.into()];
    Liar::dial(&cluster, identity(&cluster, peer, "E9", secret), "E1")?.says(lies).await?;
    assert!(cluster.metric_with("E1", REFUSED, "reason=\"number\"").await? > 1.0);
    is_well(&cluster).await
}

#[tokio::test]
async fn a_cluster_with_a_secret_a_tier_serves_and_tells_of_weak_ones() -> anyhow::Result<()> {
    let cluster = start().await?;
    is_well(&cluster).await?;
    // `secret` is in the file of the harness for all nodes, and an entry has no need of it.
    logged(&cluster, "E1", &["cluster.secret is in the file of an entry"]).await;
    logged(&cluster, "S1", &["cluster.secret looks like"]).await;
    Ok(())
}
