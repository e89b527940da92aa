//! Strangers, liars and noise: refused, counted, and no trouble to anybody else.

use futures_util::{SinkExt as _, StreamExt as _};
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_core::id::{GroupId, NdbId};
use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::{
    Assent, Dialect, Exchange, Greeting, Hello, Offer, PeerId, Refusal, SPOKEN, Versions, Welcome,
    offers, proof_of,
};
use vixen_runtime::ids::new_owner_id;
use vixen_runtime::ids::new_store_id;
use vixen_tests::client::{Connection, ServerMessage};
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, wait_until};

use crate::link::{CLUSTER, SECRET};
use crate::support::{SOON, logged};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub(crate) const REFUSED: &str = "vixen_common_links_refused_total";
const MALFORMED: &str = "vixen_common_frames_malformed_total";
/// Of a node that nobody of today can speak to.
const LATER: Versions = Versions::new(9, 8);
const NODES: [&str; 2] = ["S1", "D1"];

/// The next frame of a server that must not stay silent.
async fn next(socket: &mut Socket) -> Option<Frame> {
    let frame = tokio::time::timeout(SOON, socket.next()).await.expect("an answer");
    frame.and_then(Result::ok)
}

async fn word<T: DeserializeOwned>(socket: &mut Socket) -> T {
    let Some(Frame::Binary(word)) = next(socket).await else { panic!("not a binary frame") };
    postcard::from_bytes(&word).expect("a word of the greeting")
}

/// What a test changes of an honest HELLO.
pub(crate) struct Words {
    pub(crate) version: u16,
    pub(crate) cluster: &'static str,
    pub(crate) secret: &'static [u8],
    pub(crate) peer: PeerId,
    pub(crate) name: &'static str,
    /// Whether it speaks only later versions of what nodes say of themselves.
    pub(crate) is_far_ahead: bool,
}

pub(crate) fn honest() -> Words {
    let peer = PeerId::Entry { owner: new_owner_id() };
    Words {
        version: SPOKEN.newest,
        cluster: CLUSTER,
        secret: SECRET,
        peer,
        name: "E9",
        is_far_ahead: false,
    }
}

/// Dials `node` and says HELLO.
async fn greet(cluster: &Cluster, node: &str, words: &Words) -> (Socket, Welcome) {
    let tier = if node.starts_with('S') { Tier::Sync } else { Tier::Ndb };
    greet_at(&cluster.address(node).expect("a node"), tier, words).await
}

/// The same at an address where a node of that tier takes links.
pub(crate) async fn greet_at(address: &str, tier: Tier, words: &Words) -> (Socket, Welcome) {
    let url = format!("ws://{address}/link");
    let (mut socket, _response) = connect_async(url).await.expect("a WebSocket");
    let greeting: Greeting = word(&mut socket).await;
    let nonce = [7; 32];
    let Words { version, cluster, secret, peer, name, is_far_ahead } = words;
    let mut offers = offers(peer.tier(), tier);
    if *is_far_ahead {
        let of_nodes = |offer: &&mut Offer| offer.dialect == Dialect::Node as u8;
        offers.iter_mut().find(of_nodes).expect("offered").versions = LATER;
    }
    let name: NodeName = name.parse().expect("a name");
    let exchange = Exchange {
        cluster,
        offered: greeting.versions(),
        version: *version,
        listener_nonce: &greeting.nonce,
        dialer_nonce: &nonce,
        dialer_offers: &offers,
        listener_offers: &[],
    };
    let proof = proof_of(secret, true, &exchange, (peer, &name));
    let cluster = (*cluster).to_owned();
    let hello = Hello { version: *version, cluster, peer: *peer, name, nonce, proof, offers };
    let hello = postcard::to_stdvec(&hello).expect("encodes");
    socket.send(Frame::Binary(hello.into())).await.expect("sent");
    let welcome = word(&mut socket).await;
    if let Welcome::Accepted { .. } = welcome {
        let assent = postcard::to_stdvec(&Assent::Agreed).expect("encodes");
        socket.send(Frame::Binary(assent.into())).await.expect("sent");
    }
    (socket, welcome)
}

/// Waits until `metric` of `node` is `wanted`.
pub(crate) async fn counted(cluster: &Cluster, node: &str, metric: &str, wanted: f64) {
    wait_until(&format!("{metric} = {wanted} at {node}"), SOON, || async {
        let found = cluster.metric(node, metric).await?;
        anyhow::ensure!(found == wanted, "it is {found}");
        Ok(Some(()))
    })
    .await
    .expect("counted");
}

/// Publishes through E1 and receives at E2.
async fn assert_works(cluster: &Cluster, topic: &str) {
    let work = async {
        let mut subscriber = Connection::open(&cluster.url("E2")?, "realm1").await?;
        subscriber.subscribe(1, topic).await?;
        let mut publisher = Connection::open(&cluster.url("E1")?, "realm1").await?;
        let position = publisher.publish(1, topic, "[1]").await?;
        loop {
            if let Some(text) = subscriber.next_text()? {
                let Some(ServerMessage::Event { publication, .. }) = ServerMessage::parse(text)
                else {
                    anyhow::bail!("not an event: {}", String::from_utf8_lossy(text));
                };
                anyhow::ensure!(publication == position);
                return Ok(());
            }
            subscriber.exchange().await?;
        }
    };
    tokio::time::timeout(SOON, work).await.expect("in time").expect("the cluster works");
}

#[tokio::test]
async fn links_of_strangers_are_refused_with_the_reason_and_counted() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let ndb = |group, member| {
        let id = NdbId { group: GroupId(group), member };
        PeerId::Ndb { id, store: new_store_id() }
    };
    let name = |text: &str| -> NodeName { text.parse().expect("a name") };
    let lies = |by: NodeName| {
        [
            (
                Words { version: SPOKEN.newest + 1, ..honest() },
                Refusal::Version { ours: SPOKEN.newest, theirs: SPOKEN.newest + 1 },
            ),
            (Words { cluster: "other", ..honest() }, Refusal::Cluster),
            (Words { secret: b"test-secret-124", ..honest() }, Refusal::Proof),
            // The log has four lines a second at most.
            (
                Words { peer: ndb(0, 1), name: "D9", ..honest() },
                Refusal::Name {
                    by: by.clone(),
                    place: "the ndb node at place 1 of group 0".to_owned(),
                    theirs: name("D9"),
                    ours: name("D2"),
                },
            ),
            (
                Words { peer: ndb(9, 0), name: "D9", ..honest() },
                Refusal::Unknown {
                    by: by.clone(),
                    name: name("D9"),
                    place: "the ndb node at place 0 of group 9".to_owned(),
                },
            ),
            (Words { name: "S3", ..honest() }, Refusal::NameTaken { by, name: name("S3") }),
        ]
    };
    for node in NODES {
        let before = cluster.metric(node, REFUSED).await.expect("metrics");
        let mut expected = before;
        for (words, wanted) in &lies(name(node)) {
            let (mut socket, welcome) = greet(&cluster, node, words).await;
            assert_eq!(welcome, Welcome::Refused { reason: wanted.clone() }, "{node}");
            let end = next(&mut socket).await;
            assert!(matches!(end, None | Some(Frame::Close(_))), "{node} goes on: {end:?}");
            expected += 1.0;
            counted(&cluster, node, REFUSED, expected).await;
        }
        let (_socket, welcome) = greet(&cluster, node, &honest()).await;
        assert!(matches!(welcome, Welcome::Accepted { .. }), "{node}: {welcome:?}");
        logged(&cluster, node, &["proof of the cluster secret is wrong"]).await;
        let both = format!("is called D9 in its own configuration, and D2 in that of {node}");
        logged(&cluster, node, &[&both]).await;
        let log = cluster.log(node).expect("a log");
        let refused = log.lines().filter(|line| line.contains("link refused"));
        let by_name = refused.filter(|line| line.contains("peer=\"E9\" from=127.0.0.1"));
        assert_eq!(by_name.count(), 2, "another cluster, another secret: {log}");

        let far_ahead = Words { is_far_ahead: true, ..honest() };
        let (_socket, welcome) = greet(&cluster, node, &far_ahead).await;
        let (ours, theirs) = (Dialect::Node.versions().newest, LATER.newest);
        let reason = Refusal::Dialect { dialect: "node".to_owned(), ours, theirs };
        assert_eq!(welcome, Welcome::Refused { reason }, "{node}");
    }
    assert_works(&cluster, "vixen.refusals.strangers").await;
}

/// A node that differs where it must not, and who is to say what.
struct Odd {
    node: &'static str,
    variable: &'static str,
    value: &'static str,
    /// In the readiness of the one that dials.
    dialler: (&'static str, &'static str),
    /// In the log of one that is dialled.
    listener: (&'static str, &'static str),
}

const ODD: [Odd; 4] = [
    Odd {
        node: "E1",
        variable: "VIXEN_CLUSTER_WRITE_QUORUM",
        value: "1",
        dialler: ("E1", "(no link: cluster.write-quorum is 1 at E1 and 2 at S1; "),
        listener: ("D1", "cluster.write-quorum is 1 at E1 and 2 at D1; "),
    },
    Odd {
        node: "D3",
        variable: "VIXEN_CLUSTER_DURABILITY",
        value: "memory",
        dialler: ("D3", "(no link: cluster.durability is memory at D3 and fsync at S1; "),
        listener: ("S2", "cluster.durability is memory at D3 and fsync at S2; "),
    },
    Odd {
        node: "S3",
        variable: "VIXEN_CLUSTER_WRITE_QUORUM",
        value: "3",
        dialler: ("S1", "degraded: S3 down (cluster.write-quorum is 2 at S1 and 3 at S3; "),
        listener: ("S3", "cluster.write-quorum is 2 at S2 and 3 at S3; "),
    },
    Odd {
        node: "D3",
        variable: "VIXEN_CLUSTER_SECRET",
        value: "another-secret-of-this-cluster",
        dialler: ("D1", "degraded: D3 down (refused: proof of the cluster secret is wrong; "),
        listener: ("D3", "proof of the cluster secret is wrong; "),
    },
];

/// One that counts to another number, or waits for less, would call durable what is not.
#[tokio::test]
async fn a_node_with_another_write_quorum_durability_or_secret_is_linked_with_none() {
    let mut cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    for Odd { node, variable, value, dialler, listener } in ODD {
        cluster.stop(node).await.expect("stopped");
        let env = vec![(variable.to_owned(), value.to_owned())];
        cluster.set_up(node, NodeSetup { env, ..NodeSetup::default() }).expect("a node");
        cluster.spawn(node).expect("started");
        wait_until(&format!("{} to tell why {node} has no links", dialler.0), SOON, || async {
            let answer = cluster.get(dialler.0, "/readyz").await?;
            anyhow::ensure!(answer.body.contains(dialler.1), "{}", answer.body);
            Ok(Some(()))
        })
        .await
        .expect("told");
        logged(&cluster, listener.0, &["link refused", listener.1]).await;
        let own = cluster.get(node, "/readyz").await.expect("an answer");
        assert_eq!(own.status, 503, "{node} takes part: {}", own.body);
        cluster.stop(node).await.expect("stopped");
        cluster.set_up(node, NodeSetup::default()).expect("a node");
        cluster.restart(node).await.expect("ready");
    }
    assert_works(&cluster, "vixen.refusals.terms").await;
}

#[tokio::test]
async fn noise_on_a_link_closes_that_link_only() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    for node in NODES {
        let before = cluster.metric(node, MALFORMED).await.expect("metrics");
        let (mut bystander, _welcome) = greet(&cluster, node, &honest()).await;
        let (mut socket, welcome) = greet(&cluster, node, &honest()).await;
        assert!(matches!(welcome, Welcome::Accepted { .. }), "{node}: {welcome:?}");
        let noise = Frame::Binary(vec![0xff; 100].into());
        socket.send(noise).await.expect("sent");
        // What the node had to say before may come; then the link ends.
        while let Some(frame) = next(&mut socket).await {
            assert!(!frame.is_text(), "{frame:?}");
        }
        counted(&cluster, node, MALFORMED, before + 1.0).await;
        bystander.send(Frame::Ping(b"there?".as_slice().into())).await.expect("a link that is up");
        loop {
            match next(&mut bystander).await {
                Some(Frame::Pong(_)) => break,
                Some(Frame::Binary(_)) => {}
                other => panic!("{node} closed the other link: {other:?}"),
            }
        }
    }
    assert_works(&cluster, "vixen.refusals.noise").await;
}

#[tokio::test]
async fn hostile_clients_are_aborted_and_others_go_on() {
    let cluster = Cluster::start(ClusterOptions::default()).await.expect("a cluster");
    let url = cluster.url("E1").expect("an entry");
    let hello = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;
    let hostile: [(&str, Vec<Frame>); 8] = [
        ("not JSON", vec![Frame::text("{")]),
        ("not a list", vec![Frame::text("{}")]),
        ("binary", vec![Frame::Binary(vec![1, 2, 3].into())]),
        ("not JSON in a session", vec![Frame::text(hello), Frame::text("[16,1,{},")]),
        ("binary in a session", vec![Frame::text(hello), Frame::Binary(vec![0].into())]),
        ("publish before hello", vec![Frame::text(r#"[16,1,{},"a.b"]"#)]),
        ("two hellos", vec![Frame::text(hello), Frame::text(hello)]),
        ("unknown message", vec![Frame::text(hello), Frame::text("[99,1]")]),
    ];
    let mut subscriber = Connection::open(&url, "realm1").await.expect("a session");
    subscriber.subscribe(1, "vixen.refusals.other").await.expect("subscribed");
    let mut publisher = Connection::open(&url, "realm1").await.expect("a session");
    for (request, (what, frames)) in (1..).zip(hostile) {
        let mut handshake = url.as_str().into_client_request().expect("a URL");
        let protocol = "wamp.2.json".parse().expect("a header");
        handshake.headers_mut().insert("sec-websocket-protocol", protocol);
        let (mut socket, _response) = connect_async(handshake).await.expect("a WebSocket");
        for frame in frames {
            socket.send(frame).await.expect("sent");
        }
        let mut aborted = false;
        while let Some(frame) = next(&mut socket).await {
            match frame {
                Frame::Text(text) => {
                    aborted |= text.starts_with("[3,") && text.contains("protocol_violation");
                    assert!(text.starts_with("[2,") || aborted, "{what}: {text}");
                }
                Frame::Close(_) => {}
                other => panic!("{what}: {other:?}"),
            }
        }
        assert!(aborted, "{what}: closed without ABORT");
        let position = publisher.publish(request, "vixen.refusals.other", "[2]").await;
        let position = position.expect("others go on");
        let received = async {
            loop {
                if let Some(text) = subscriber.next_text()? {
                    return Ok::<_, anyhow::Error>(String::from_utf8_lossy(text).into_owned());
                }
                subscriber.exchange().await?;
            }
        };
        let event = tokio::time::timeout(SOON, received).await.expect("in time").expect("an event");
        assert!(event.contains(&format!(",{position},")), "{event}");
    }
    assert_works(&cluster, "vixen.refusals.hostile").await;
}
