//! Calls between entries: the callee at one, the caller at another, and what becomes of calls when a process or the link between
//! the two is lost.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, free_ports, wait_until};

use crate::entries::Wire;
use crate::support::SOON;

const CANCELED: &str = "wamp.error.canceled";
const GONE: &str = "callee disconnected from in-flight request";

/// One store, so that all time goes to what is looked at: entries need no quorum for calls.
fn options(entries: usize) -> ClusterOptions {
    let default = ClusterOptions::default();
    ClusterOptions { sync: 1, ndb: 1, write_quorum: 1, entries, linked_entries: entries, ..default }
}

/// A client with all features of callers and callees.
struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: u64,
    requests: u64,
}

impl Peer {
    async fn at(cluster: &Cluster, entry: &str) -> Self {
        let mut request =
            cluster.url(entry).expect("an entry").into_client_request().expect("a URL");
        let protocol = "wamp.2.json".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _response) = connect_async(request).await.expect("connected");
        let mut peer = Self { socket, session: 0, requests: 0 };
        let features = json!({"call_canceling": true, "progressive_call_invocations": true});
        let roles = json!({"caller": {}, "callee": {"features": features}});
        peer.say(json!([1, "realm1", {"roles": roles}])).await;
        let welcome = peer.hear().await;
        assert_eq!(welcome[0], 2, "{welcome}");
        peer.session = welcome[1].as_u64().expect("an id");
        peer
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    /// Cancel safe.
    async fn hear(&mut self) -> Value {
        loop {
            let next = tokio::time::timeout(SOON, self.socket.next()).await.expect("in time");
            match next.expect("open").expect("whole") {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[track_caller]
    fn hears(&mut self, wanted: Value) -> impl Future<Output = ()> {
        let from = std::panic::Location::caller();
        async move {
            let heard = self.hear().await;
            assert_eq!(heard, wanted, "at {from}");
        }
    }

    /// Whatever there was of calls for it has come before the answer to this one.
    async fn hears_nothing(&mut self) {
        let request = self.call(&json!({}), "nobody.serves.this").await;
        assert_eq!(self.fails(request).await.0, "wamp.error.no_such_procedure");
    }

    async fn register(&mut self, options: Value, procedure: &str) -> u64 {
        self.requests += 1;
        self.say(json!([64, self.requests, options, procedure])).await;
        let registered = self.hear().await;
        assert_eq!(
            (&registered[0], &registered[1]),
            (&json!(65), &json!(self.requests)),
            "{registered}"
        );
        registered[2].as_u64().expect("an id")
    }

    async fn call(&mut self, options: &Value, procedure: &str) -> u64 {
        self.requests += 1;
        self.say(json!([48, self.requests, options, procedure, [1]])).await;
        self.requests
    }

    async fn yields(&mut self, invocation: u64, options: Value, arguments: Value) {
        self.say(json!([70, invocation, options, arguments])).await;
    }

    /// The error of a call, with its arguments.
    async fn fails(&mut self, request: u64) -> (String, Value) {
        let told = self.hear().await;
        assert_eq!(
            (&told[0], &told[1], &told[2]),
            (&json!(8), &json!(48), &json!(request)),
            "{told}"
        );
        (told[4].as_str().expect("a URI").to_owned(), told[5].clone())
    }
}

/// Calls until the callee is invoked, for the caller's entry may not know of it yet: the request, and the INVOCATION.
async fn called(
    (caller, callee): (&mut Peer, &mut Peer),
    options: Value,
    procedure: &str,
) -> (u64, Value) {
    let begun = Instant::now();
    loop {
        let request = caller.call(&options, procedure).await;
        let refused = tokio::select! {
            told = caller.hear() => told,
            invocation = callee.hear() => {
                assert_eq!(invocation[0], 68, "{invocation}");
                return (request, invocation);
            }
        };
        let error = refused[4].as_str().unwrap_or_default();
        // Nor may it have heard that the callee has answered the call before.
        let is_early = [
            "wamp.error.no_such_procedure",
            "wamp.error.no_available_callee",
            "crossbar.error.max_concurrency_reached",
            // Of two links that both have dialled one ends.
            "wamp.error.canceled",
            // An entry that stood still may have been called gone, and begins its next life.
            "wamp.error.unavailable",
        ]
        .contains(&error);
        assert!(is_early && begun.elapsed() < SOON, "{refused}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn id_of(invocation: &Value) -> u64 {
    invocation[1].as_u64().expect("an id")
}

/// A callee of `p` at E1, and a caller at E2 that reaches it.
async fn pair(cluster: &Cluster, options: Value) -> (Peer, Peer) {
    let (mut callee, mut caller) = (Peer::at(cluster, "E1").await, Peer::at(cluster, "E2").await);
    callee.register(options, "p").await;
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    callee.yields(id_of(&invocation), json!({}), json!(["first"])).await;
    let told = caller.hear().await;
    assert_eq!(
        (&told[0], &told[1], &told[3]),
        (&json!(50), &json!(request), &json!(["first"])),
        "{told}"
    );
    (callee, caller)
}

#[tokio::test]
async fn a_callee_serves_callers_of_another_entry_as_those_of_its_own() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(options(2)).await?;
    let (mut callee, mut caller) = pair(&cluster, json!({})).await;
    let who = |peer: &Peer| json!(peer.session);
    let seconds = "vixen_entry_call_seconds_count";
    // With those that came before both had agreed on a link, if any.
    let before = cluster.metric_with("E2", seconds, "hop=\"link\"").await?;

    // Progress, and who it is that calls and answers.
    let asks = json!({"receive_progress": true, "disclose_me": true});
    let (request, invocation) = called((&mut caller, &mut callee), asks, "p").await;
    let details = &invocation[3];
    assert_eq!((&details["receive_progress"], &details["caller"]), (&json!(true), &who(&caller)));
    assert!(details["caller_authid"].is_string(), "{details}");
    callee.yields(id_of(&invocation), json!({"progress": true}), json!(["part"])).await;
    let part = caller.hear().await;
    assert_eq!(
        (&part[1], &part[2]["progress"], &part[3]),
        (&json!(request), &json!(true), &json!(["part"]))
    );
    assert_eq!(part[2]["callee"], who(&callee), "{part}");
    callee.yields(id_of(&invocation), json!({}), json!(["whole"])).await;
    assert_eq!(caller.hear().await[3], json!(["whole"]));

    // A call that is progressive itself.
    let (request, invocation) =
        called((&mut caller, &mut callee), json!({"progress": true}), "p").await;
    assert_eq!(invocation[3]["progress"], json!(true), "{invocation}");
    assert!(invocation[3].get("caller").is_none(), "it has not asked for that: {invocation}");
    caller.say(json!([48, request, {}, "p", [2]])).await;
    let last = callee.hear().await;
    assert_eq!((&last[1], &last[4]), (&invocation[1], &json!([2])), "{last}");
    callee.say(json!([8, 68, id_of(&invocation), {}, "a.b.error", [3], {"k": 4}])).await;
    caller.hears(json!([8, 48, request, {}, "a.b.error", [3], {"k": 4}])).await;

    // Large enough to be the body of a frame, both ways.
    let large = "7".repeat(300_000);
    let request = caller.call(&json!({}), "none").await;
    assert_eq!(caller.fails(request).await.0, "wamp.error.no_such_procedure");
    caller.requests += 1;
    caller.say(json!([48, caller.requests, {}, "p", [large]])).await;
    let invocation = callee.hear().await;
    assert_eq!(invocation[4][0].as_str().map(str::len), Some(large.len()));
    callee.yields(id_of(&invocation), json!({}), json!([large])).await;
    assert_eq!(caller.hear().await[3][0].as_str().map(str::len), Some(large.len()));
    assert_eq!(cluster.metric_with("E2", seconds, "hop=\"link\"").await?, before + 3.0);
    assert_eq!(cluster.metric_with("E2", seconds, "hop=\"same\"").await?, 0.0);
    cluster.stop_all().await
}

#[tokio::test]
async fn calls_of_another_entry_are_cancelled_in_each_mode_and_given_up_in_time()
-> anyhow::Result<()> {
    let mut cluster = Cluster::start(options(2)).await?;
    let (mut callee, mut caller) = pair(&cluster, json!({"concurrency": 1})).await;
    for mode in ["skip", "killnowait"] {
        let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
        caller.say(json!([49, request, {"mode": mode}])).await;
        assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), json!(null)), "{mode}");
        if mode == "killnowait" {
            callee.hears(json!([69, id_of(&invocation), {"mode": mode}])).await;
        }
        // What it says then is nobody's.
        callee.yields(id_of(&invocation), json!({}), json!(["late"])).await;
    }
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    caller.say(json!([49, request, {"mode": "kill"}])).await;
    callee.hears(json!([69, id_of(&invocation), {"mode": "kill"}])).await;
    callee.say(json!([8, 68, id_of(&invocation), {}, CANCELED, ["as asked"]])).await;
    assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), json!(["as asked"])));

    let begun = Instant::now();
    let (request, invocation) =
        called((&mut caller, &mut callee), json!({"timeout": 300}), "p").await;
    assert_eq!(caller.fails(request).await.0, "wamp.error.timeout");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    callee.hears(json!([69, id_of(&invocation), {"mode": "killnowait"}])).await;
    // Its one slot is free each time.
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    let refused = caller.call(&json!({}), "p").await;
    assert_eq!(caller.fails(refused).await.0, "crossbar.error.max_concurrency_reached");
    callee.yields(id_of(&invocation), json!({}), json!([])).await;
    assert_eq!(caller.hear().await[1], json!(request));
    caller.hears_nothing().await;
    cluster.stop_all().await
}

#[tokio::test]
async fn a_call_that_one_callee_is_too_busy_for_goes_to_that_of_another_entry() -> anyhow::Result<()>
{
    let mut cluster = Cluster::start(options(3)).await?;
    let (mut one, mut two) = (Peer::at(&cluster, "E1").await, Peer::at(&cluster, "E2").await);
    let mut caller = Peer::at(&cluster, "E3").await;
    let shared = json!({"invoke": "roundrobin", "concurrency": 1});
    one.register(shared.clone(), "p").await;
    let (first, of_first) = called((&mut caller, &mut one), json!({}), "p").await;
    // Another caller makes it busy to a router that thinks it free, and so it is asked first.
    two.register(shared, "p").await;
    let second = loop {
        let request = caller.call(&json!({}), "p").await;
        tokio::select! {
            told = caller.hear() => {
                let early = ["crossbar.error.max_concurrency_reached", "wamp.error.no_available_callee"];
                assert!(early.map(Value::from).contains(&told[4]), "{told}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            invocation = two.hear() => {
                two.yields(id_of(&invocation), json!({}), json!(["two"])).await;
                break request;
            }
        }
    };
    let told = caller.hear().await;
    assert_eq!((&told[1], &told[3]), (&json!(second), &json!(["two"])), "{told}");
    // The turn is again that of the first, which refuses.
    let third = caller.call(&json!({}), "p").await;
    let invocation = two.hear().await;
    two.yields(id_of(&invocation), json!({}), json!(["two"])).await;
    let told = caller.hear().await;
    assert_eq!((&told[1], &told[3]), (&json!(third), &json!(["two"])), "{told}");
    let rerouted = "vixen_entry_calls_rerouted_total";
    let rerouted = cluster.metric_with("E3", rerouted, "reason=\"busy\"").await?;
    assert!(rerouted >= 1.0, "{rerouted}");
    one.yields(id_of(&of_first), json!({}), json!(["one"])).await;
    assert_eq!(caller.hear().await[1], json!(first));
    cluster.stop_all().await
}

#[tokio::test]
async fn calls_to_an_entry_that_is_killed_are_cancelled_at_once_and_once() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(options(2)).await?;
    let (mut callee, mut caller) = pair(&cluster, json!({})).await;
    let (request, _invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    cluster.kill("E1").await?;
    let why = json!([GONE, "the link to entry E1 is lost"]);
    assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), why));
    let next = caller.call(&json!({}), "p").await;
    let (error, arguments) = caller.fails(next).await;
    // Half a second later it is gone, and what it had with it.
    if error != "wamp.error.no_such_procedure" {
        assert_eq!(error, "wamp.error.no_available_callee", "{arguments}");
        assert!(arguments[0].as_str().is_some_and(|text| text.contains("E1")), "{arguments}");
    }
    caller.hears_nothing().await;
    cluster.spawn("E1")?;
    cluster.wait_ready().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn calls_to_an_entry_that_stands_still_are_cancelled_before_long() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(options(2)).await?;
    let (mut callee, mut caller) = pair(&cluster, json!({"concurrency": 1})).await;
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    let begun = Instant::now();
    cluster.pause("E1")?;
    let why = json!([GONE, "no word of entry E1 for 1.8 s"]);
    assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), why));
    eprintln!("a call to an entry that stands still was given up after {:?}", begun.elapsed());
    cluster.resume("E1")?;
    // It hears then that nobody waits, and its slot is free.
    callee.hears(json!([69, id_of(&invocation), {"mode": "killnowait"}])).await;
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    callee.yields(id_of(&invocation), json!({}), json!([])).await;
    assert_eq!(caller.hear().await[1], json!(request));
    caller.hears_nothing().await;
    cluster.stop_all().await
}

#[tokio::test]
async fn a_callee_whose_caller_was_at_an_entry_that_is_killed_is_interrupted_and_free()
-> anyhow::Result<()> {
    let mut cluster = Cluster::start(options(3)).await?;
    let (mut callee, mut caller) = pair(&cluster, json!({"concurrency": 1})).await;
    let (_request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    cluster.kill("E2").await?;
    callee.hears(json!([69, id_of(&invocation), {"mode": "killnowait"}])).await;
    let mut other = Peer::at(&cluster, "E3").await;
    let (request, invocation) = called((&mut other, &mut callee), json!({}), "p").await;
    callee.yields(id_of(&invocation), json!({}), json!([])).await;
    assert_eq!(other.hear().await[1], json!(request));
    cluster.spawn("E2")?;
    cluster.wait_ready().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn a_link_that_is_cut_while_both_entries_live_ends_its_calls_and_heals() -> anyhow::Result<()>
{
    let listens = free_ports(2)?;
    let listen = |id: &str| match id {
        "E1" => Some(format!("127.0.0.1:{}", listens[0])),
        "E2" => Some(format!("127.0.0.1:{}", listens[1])),
        _other => None,
    };
    let mut cluster = Cluster::start_with(options(2), |id, _store| {
        let env = listen(id).map(|listen| ("VIXEN_LINK_LISTEN".to_owned(), listen));
        NodeSetup { env: env.into_iter().collect(), ..NodeSetup::default() }
    })
    .await?;
    let mut wires = Vec::new();
    for id in ["E1", "E2"] {
        let listen = listen(id).expect("an entry");
        wires.push(Wire::between(&cluster.link_address(id)?, listen).await?);
    }
    let (mut callee, mut caller) = pair(&cluster, json!({"concurrency": 1})).await;

    // Both ends are told.
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    wires.iter().for_each(Wire::reset);
    let why = json!([GONE, "the link to entry E1 is lost"]);
    assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), why));
    callee.hears(json!([69, id_of(&invocation), {"mode": "killnowait"}])).await;

    // Nobody is.
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    let begun = Instant::now();
    wires.iter().for_each(|wire| wire.cut(true));
    let why = json!([GONE, "no word of entry E1 for 1.8 s"]);
    assert_eq!(caller.fails(request).await, (CANCELED.to_owned(), why));
    callee.hears(json!([69, id_of(&invocation), {"mode": "killnowait"}])).await;
    eprintln!("a cut link was given up by both ends after {:?}", begun.elapsed());
    let refused = caller.call(&json!({}), "p").await;
    let (error, arguments) = caller.fails(refused).await;
    assert_eq!(error, "wamp.error.no_available_callee", "{arguments}");
    // Each serves its own as before.
    let mut neighbour = Peer::at(&cluster, "E1").await;
    let (_request, invocation) = called((&mut neighbour, &mut callee), json!({}), "p").await;
    callee.yields(id_of(&invocation), json!({}), json!([])).await;
    assert_eq!(neighbour.hear().await[0], json!(50));

    wires.iter().for_each(|wire| wire.cut(false));
    let (request, invocation) = called((&mut caller, &mut callee), json!({}), "p").await;
    callee.yields(id_of(&invocation), json!({}), json!([])).await;
    assert_eq!(caller.hear().await[1], json!(request));
    caller.hears_nothing().await;
    for id in ["E1", "E2"] {
        wait_until(&format!("{id} to have no call"), SOON, || async {
            let calls = cluster.status(id).await?["calls"].clone();
            anyhow::ensure!(calls["origin"] == 0 && calls["serving"] == 0, "{calls:#}");
            Ok(Some(()))
        })
        .await?;
    }
    cluster.stop_all().await
}
