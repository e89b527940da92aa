//! What the router itself answers and publishes, of the sessions and subscriptions of all linked entries.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::timeout;

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, wait_until};

use crate::refusals::counted;
use crate::support::SOON;

const ENTRIES: [&str; 3] = ["E1", "E2", "E3"];
const EVENT: u64 = 36;

/// A session, and events that came while it waited for an answer.
struct Client {
    connection: Connection,
    events: VecDeque<Value>,
    request: u64,
}

impl Client {
    async fn open(cluster: &Cluster, entry: &str) -> Self {
        let url = cluster.url(entry).expect("an entry");
        let connection = Connection::open(&url, "realm1").await.expect("a session");
        Self { connection, events: VecDeque::new(), request: 0 }
    }

    async fn next(&mut self) -> Value {
        loop {
            if let Some(text) = self.connection.next_text().expect("open") {
                return serde_json::from_slice(text).expect("JSON");
            }
            self.connection.exchange().await.expect("open");
        }
    }

    /// Says something with a request id, and the answer.
    async fn ask(&mut self, code: u64, rest: &str) -> Value {
        self.request += 1;
        self.connection.send(format!("[{code},{},{rest}]", self.request).as_bytes());
        let answered = async {
            loop {
                let told = self.next().await;
                if told[0] != EVENT {
                    return told;
                }
                self.events.push_back(told);
            }
        };
        timeout(SOON, answered).await.expect("in time")
    }

    async fn subscribe(&mut self, topic: &str) -> u64 {
        let told = self.ask(32, &format!(r#"{{}},"{topic}""#)).await;
        told[2].as_u64().unwrap_or_else(|| panic!("{told}"))
    }

    async fn call(&mut self, procedure: &str, arguments: &Value) -> Value {
        self.ask(48, &format!(r#"{{}},"{procedure}",{arguments}"#)).await
    }

    /// The result of a call that all entries have answered.
    async fn result(&mut self, procedure: &str, arguments: &Value) -> Value {
        let told = self.call(procedure, arguments).await;
        assert_eq!((&told[0], &told[2]), (&json!(50), &json!({})), "{told}");
        told[3][0].clone()
    }

    /// The first argument of the next event of a subscription that is one.
    async fn event(&mut self, subscription: u64, is_it: impl Fn(&Value) -> bool) -> Value {
        let found = async {
            loop {
                let event = match self.events.pop_front() {
                    Some(event) => event,
                    None => self.next().await,
                };
                if event[1] == subscription && is_it(&event[4]) {
                    return event[4].clone();
                }
            }
        };
        timeout(SOON, found).await.expect("in time")
    }
}

/// Three entries with links to each other.
async fn linked() -> anyhow::Result<Cluster> {
    let default = ClusterOptions::default();
    let options = ClusterOptions {
        sync: 1,
        ndb: 1,
        write_quorum: 1,
        entries: 3,
        linked_entries: 3,
        ..default
    };
    let cluster = Cluster::start(options).await?;
    for entry in ENTRIES {
        counted(&cluster, entry, "vixen_entry_entries_linked", 2.0).await;
        let is_ready = || async {
            let status = cluster.status(entry).await?;
            anyhow::ensure!(status["view"]["ready"] == true, "{status:#}");
            Ok(Some(()))
        };
        wait_until(&format!("{entry} to know who lives"), SOON, is_ready).await?;
    }
    Ok(cluster)
}

/// A session at an entry whose `on_join` is heard: those who have not heard yet that somebody listens name theirs in a
/// list, and none of it is told.
async fn first_heard(
    cluster: &Cluster,
    entry: &str,
    listener: &mut Client,
    joined: u64,
) -> anyhow::Result<(Client, u64)> {
    loop {
        let client = Client::open(cluster, entry).await;
        let session = client.connection.session();
        let is_it = |arguments: &Value| arguments[0]["session"] == session;
        if timeout(Duration::from_secs(1), listener.event(joined, is_it)).await.is_ok() {
            return Ok((client, session));
        }
        client.connection.close().await?;
    }
}

/// Lives that an entry knows of.
async fn lives(cluster: &Cluster, entry: &str, count: usize) -> anyhow::Result<()> {
    let is_so = || async {
        let status = cluster.status(entry).await?;
        let lives = status["lives"].as_array().map(Vec::len);
        anyhow::ensure!(lives == Some(count), "{:#}", status["lives"]);
        Ok(Some(()))
    };
    wait_until(&format!("{entry} to know of {count} lives"), SOON, is_so).await
}

fn ids(value: &Value) -> Vec<u64> {
    value.as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
}

#[tokio::test]
async fn any_entry_knows_the_sessions_and_subscriptions_of_all_and_ends_them() -> anyhow::Result<()>
{
    let mut cluster = linked().await?;
    let mut one = Client::open(&cluster, "E1").await;
    let mine = ids(&one.result("wamp.session.list", &json!([])).await);
    assert_eq!(mine.len(), 1);
    let mut two = Client::open(&cluster, "E2").await;
    let mut three = Client::open(&cluster, "E3").await;
    let all = ids(&one.result("wamp.session.list", &json!([])).await);
    assert_eq!(all.len(), 3, "{all:?}");
    for client in [&mut two, &mut three] {
        assert_eq!(ids(&client.result("wamp.session.list", &json!([])).await), all);
        assert_eq!(client.result("wamp.session.count", &json!([])).await, 3);
    }
    // One id for one topic, wherever it is subscribed.
    let shared = two.subscribe("com.topic").await;
    assert_eq!(three.subscribe("com.topic").await, shared);
    let arguments = json!(["com.topic"]);
    assert_eq!(one.result("wamp.subscription.lookup", &arguments).await, shared);
    assert_eq!(ids(&one.result("wamp.subscription.match", &arguments).await), [shared]);
    assert_eq!(one.result("wamp.subscription.list", &json!([])).await["exact"], json!([shared]));
    assert_eq!(one.result("wamp.subscription.count_subscribers", &json!([shared])).await, 2);
    let subscribers =
        ids(&one.result("wamp.subscription.list_subscribers", &json!([shared])).await);
    let others: Vec<_> = all.iter().copied().filter(|id| !mine.contains(id)).collect();
    assert_eq!(subscribers, others);
    let details = one.result("wamp.subscription.get", &json!([shared])).await;
    assert_eq!((&details["id"], &details["uri"]), (&json!(shared), &json!("com.topic")));
    // Whoever it is.
    for other in &others {
        let told = one.result("wamp.session.get", &json!([other])).await;
        assert_eq!(told["session"], json!(other));
        one.result("wamp.session.kill", &json!([other])).await;
        let none = one.call("wamp.session.get", &json!([other])).await;
        assert_eq!(none[4], "wamp.error.no_such_session", "{none}");
    }
    for client in [&mut two, &mut three] {
        let told = timeout(SOON, client.next()).await?;
        assert_eq!((&told[0], &told[2]), (&json!(6), &json!("wamp.close.killed")), "{told}");
    }
    assert_eq!(ids(&one.result("wamp.session.list", &json!([])).await), mine);
    cluster.stop_all().await
}

#[tokio::test]
async fn events_of_sessions_and_subscriptions_come_from_all_entries_and_of_one_that_is_killed()
-> anyhow::Result<()> {
    let mut cluster = linked().await?;
    let mut one = Client::open(&cluster, "E1").await;
    let joined = one.subscribe("wamp.session.on_join").await;
    let left = one.subscribe("wamp.session.on_leave").await;
    let created = one.subscribe("wamp.subscription.on_create").await;
    let deleted = one.subscribe("wamp.subscription.on_delete").await;
    let mut others = Vec::new();
    for entry in ["E2", "E3"] {
        others.push(first_heard(&cluster, entry, &mut one, joined).await?);
    }
    let (mut three, of_three) = others.pop().expect("E3");
    let (mut two, of_two) = others.pop().expect("E2");
    // The first of all entries creates it.
    let shared = three.subscribe("com.topic").await;
    let is_shared = |arguments: &Value| arguments[1]["id"] == shared;
    let told = one.event(created, is_shared).await;
    assert_eq!((&told[0], &told[1]["uri"]), (&json!(of_three), &json!("com.topic")));
    assert_eq!(two.subscribe("com.topic").await, shared);
    let told = two.ask(34, &shared.to_string()).await;
    assert_eq!(told[0], 35, "{told}");
    two.connection.close().await?;
    let told = one.event(left, |arguments| arguments[0] == of_two).await;
    assert_eq!(told[0], of_two);
    cluster.kill("E3").await?;
    // All that it had.
    let told = one.event(deleted, |_any| true).await;
    assert_eq!(told, json!([of_three, shared]), "by the last, and by nobody before");
    let mut again = Client::open(&cluster, "E1").await;
    let told = again.call("wamp.session.count", &json!([])).await;
    assert_eq!((&told[2], &told[3]), (&json!({}), &json!([2])), "{told}");
    cluster.stop("E1").await
}

/// What a client has heard of sessions.
struct Heard {
    /// Its subscriptions.
    joined: u64,
    left: u64,
    /// How often, of each.
    counts: BTreeMap<(&'static str, u64), usize>,
}

impl Heard {
    /// Listens until a session of the own entry has come and gone: what was to be told before that was.
    async fn listen(&mut self, cluster: &Cluster, listener: &mut Client) -> anyhow::Result<()> {
        let last = Client::open(cluster, "E1").await;
        let session = last.connection.session();
        last.connection.close().await?;
        let heard = async {
            loop {
                let event = match listener.events.pop_front() {
                    Some(event) => event,
                    None => listener.next().await,
                };
                let (what, of) = if event[1] == self.joined {
                    ("join", &event[4][0]["session"])
                } else if event[1] == self.left {
                    ("leave", &event[4][0])
                } else {
                    continue;
                };
                let of = of.as_u64().expect("an id");
                *self.counts.entry((what, of)).or_default() += 1;
                if (what, of) == ("leave", session) {
                    return;
                }
            }
        };
        Ok(timeout(SOON, heard).await?)
    }

    /// Listens until all of these have joined so often.
    async fn until_joined(
        &mut self,
        cluster: &Cluster,
        listener: &mut Client,
        sessions: &[u64],
        times: usize,
    ) -> anyhow::Result<()> {
        let all_have = async {
            while self.of("join", sessions).iter().any(|joined| *joined < times) {
                self.listen(cluster, listener).await?;
            }
            anyhow::Ok(())
        };
        timeout(SOON, all_have).await?
    }

    /// How often each of these was heard of.
    fn of(&self, what: &'static str, sessions: &[u64]) -> Vec<usize> {
        sessions.iter().map(|id| self.counts.get(&(what, *id)).copied().unwrap_or(0)).collect()
    }
}

#[tokio::test]
async fn each_session_joins_and_leaves_once_whether_its_entry_is_killed_stopped_or_stands_still()
-> anyhow::Result<()> {
    let mut cluster = linked().await?;
    let mut one = Client::open(&cluster, "E1").await;
    let joined = one.subscribe("wamp.session.on_join").await;
    let left = one.subscribe("wamp.session.on_leave").await;
    let mut heard = Heard { joined, left, counts: BTreeMap::new() };
    let mut clients = Vec::new();
    for entry in ["E2", "E3"] {
        clients.push(first_heard(&cluster, entry, &mut one, joined).await?.0);
    }
    let mut sessions = BTreeMap::new();
    for entry in ["E2", "E3"] {
        let mut ids = Vec::new();
        for _session in 0..5 {
            let client = Client::open(&cluster, entry).await;
            ids.push(client.connection.session());
            clients.push(client);
        }
        sessions.insert(entry, ids);
    }
    let (two, three) = (sessions["E2"].clone(), sessions["E3"].clone());
    heard.until_joined(&cluster, &mut one, &two, 1).await?;
    heard.until_joined(&cluster, &mut one, &three, 1).await?;
    // Killed: by GONE.
    cluster.kill("E3").await?;
    lives(&cluster, "E1", 2).await?;
    heard.listen(&cluster, &mut one).await?;
    assert_eq!((heard.of("leave", &three), heard.of("leave", &two)), (vec![1; 5], vec![0; 5]));
    // Begun anew: whoever comes then is told of, linked or not.
    cluster.restart("E3").await?;
    lives(&cluster, "E1", 3).await?;
    let again = Client::open(&cluster, "E3").await;
    let new = again.connection.session();
    heard.until_joined(&cluster, &mut one, &[new], 1).await?;
    // Standing still: gone, and there again.
    cluster.pause("E2")?;
    lives(&cluster, "E1", 2).await?;
    heard.listen(&cluster, &mut one).await?;
    assert_eq!(heard.of("leave", &two), [1; 5]);
    cluster.resume("E2")?;
    heard.until_joined(&cluster, &mut one, &two, 2).await?;
    // Stopped: by its own word.
    lives(&cluster, "E1", 3).await?;
    cluster.stop("E2").await?;
    lives(&cluster, "E1", 2).await?;
    counted(&cluster, "E1", "vixen_entry_entries_linked", 1.0).await;
    heard.listen(&cluster, &mut one).await?;
    assert_eq!((heard.of("join", &two), heard.of("leave", &two)), (vec![2; 5], vec![2; 5]));
    assert_eq!((heard.of("join", &three), heard.of("leave", &three)), (vec![1; 5], vec![1; 5]));
    assert_eq!(heard.of("leave", &[new]), [0]);
    drop(clients);
    cluster.stop("E1").await
}

#[tokio::test]
async fn all_sessions_of_a_realm_are_killed_at_all_entries_and_events_of_the_past_are_of_any()
-> anyhow::Result<()> {
    let mut cluster = linked().await?;
    let mut one = Client::open(&cluster, "E1").await;
    let mut two = Client::open(&cluster, "E2").await;
    let mut three = Client::open(&cluster, "E3").await;
    let shared = two.subscribe("com.past").await;
    let told = three.ask(16, r#"{"acknowledge":true},"com.past",[7]"#).await;
    assert_eq!(told[0], 17, "{told}");
    // Its subscription is at another entry than who asks, and than who has published.
    let past = one.result("wamp.subscription.get_events", &json!([shared])).await;
    assert_eq!(past[0]["args"], json!([7]), "{past}");
    let none = one.call("wamp.subscription.get_events", &json!([1])).await;
    assert_eq!(none[4], "wamp.error.no_such_subscription", "{none}");
    assert_eq!(one.result("wamp.session.kill_all", &json!([])).await, 2);
    for client in [&mut two, &mut three] {
        let told = timeout(SOON, async {
            loop {
                let told = client.next().await;
                if told[0] != EVENT {
                    return told;
                }
            }
        });
        let told = told.await?;
        assert_eq!((&told[0], &told[2]), (&json!(6), &json!("wamp.close.killed")), "{told}");
    }
    assert_eq!(one.result("wamp.session.count", &json!([])).await, 1);
    cluster.stop_all().await
}

/// What is not found while an entry does not answer may be there.
#[tokio::test]
async fn an_entry_that_stands_still_is_named_beside_what_the_others_say() -> anyhow::Result<()> {
    let mut cluster = linked().await?;
    let mut one = Client::open(&cluster, "E1").await;
    let two = Client::open(&cluster, "E2").await;
    cluster.pause("E2")?;
    let told = one.call("wamp.session.count", &json!([])).await;
    assert_eq!((&told[2], &told[3]), (&json!({"x_vixen_missing": ["E2"]}), &json!([1])), "{told}");
    let session = two.connection.session();
    let told = one.call("wamp.session.get", &json!([session])).await;
    assert_eq!((&told[0], &told[4]), (&json!(8), &json!("wamp.error.unavailable")), "{told}");
    let told = one.call("wamp.session.kill", &json!([session])).await;
    assert_eq!((&told[0], &told[4]), (&json!(8), &json!("wamp.error.unavailable")), "{told}");
    assert!(cluster.metric("E1", "vixen_entry_meta_unanswered_total").await? >= 1.0);
    cluster.resume("E2")?;
    let is_whole = async {
        loop {
            let told = one.call("wamp.session.count", &json!([])).await;
            if told[2] == json!({}) {
                return told;
            }
        }
    };
    let told = timeout(SOON, is_whole).await?;
    assert_eq!(told[3], json!([2]), "it ends nobody for who has given up: {told}");
    // Soon it does again.
    let is_killed = async {
        loop {
            let told = one.call("wamp.session.kill", &json!([session])).await;
            if told[0] == 50 {
                return;
            }
            assert_eq!(told[4], "wamp.error.unavailable", "{told}");
        }
    };
    timeout(SOON, is_killed).await?;
    assert_eq!(one.result("wamp.session.count", &json!([])).await, 1);
    cluster.stop_all().await
}
