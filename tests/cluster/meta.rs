//! What the router itself answers and publishes, of the sessions and subscriptions of all linked entries.

use std::collections::VecDeque;
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
    // Those who have not heard yet that somebody listens name it in a list, and none of them is told.
    let mut others = Vec::new();
    for entry in ["E2", "E3"] {
        let heard = loop {
            let client = Client::open(&cluster, entry).await;
            let is_any = |_arguments: &Value| true;
            let event = timeout(Duration::from_secs(1), one.event(joined, is_any)).await;
            if let Ok(arguments) = event {
                let session = arguments[0]["session"].as_u64().expect("an id");
                break (client, session);
            }
            client.connection.close().await?;
        };
        others.push(heard);
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
    cluster.stop_all().await
}
