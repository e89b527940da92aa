//! Who is callee of what, over a whole cluster: all entries have it from the order.

use std::time::Duration;

use serde_json::{Value, json};

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, get, wait_until};

use crate::support::{SOON, begun};

const ENTRIES: [&str; 3] = ["E1", "E2", "E3"];

pub(crate) async fn open(cluster: &Cluster, entry: &str) -> Connection {
    let url = cluster.url(entry).expect("an entry");
    Connection::open(&url, "realm1").await.expect("a session")
}

/// Says something, and what is answered.
pub(crate) async fn ask(connection: &mut Connection, text: &str) -> Value {
    connection.send(text.as_bytes());
    hear(connection).await
}

/// What is said next.
pub(crate) async fn hear(connection: &mut Connection) -> Value {
    let said = async {
        loop {
            if let Some(text) = connection.next_text().expect("open") {
                return serde_json::from_slice(text).expect("JSON");
            }
            connection.exchange().await.expect("open");
        }
    };
    tokio::time::timeout(SOON, said).await.expect("in time")
}

/// Registers, and the id.
pub(crate) async fn register(connection: &mut Connection, options: &str, procedure: &str) -> u64 {
    let told = ask(connection, &format!(r#"[64,1,{options},"{procedure}"]"#)).await;
    assert_eq!((&told[0], &told[1]), (&json!(65), &json!(1)), "{told}");
    told[2].as_u64().expect("an id")
}

/// Waits until the view of an entry is ready, and `is_it` holds of its status page; that.
pub(crate) async fn sees(
    cluster: &Cluster,
    entry: &str,
    what: &str,
    is_it: impl Fn(&Value) -> bool,
) -> anyhow::Result<Value> {
    wait_until(&format!("{entry} to see {what}"), SOON, || async {
        let status = cluster.status(entry).await?;
        anyhow::ensure!(status["view"]["ready"] == true && is_it(&status), "{status:#}");
        Ok(Some(status))
    })
    .await
}

pub(crate) fn total(status: &Value) -> &Value {
    &status["registrations"]["total"]
}

/// The first registrations of all entries, once there are so many, and all entries have the same.
async fn same_everywhere(cluster: &Cluster, registrations: usize) -> anyhow::Result<Value> {
    let what = format!("all entries to have the same {registrations} registrations");
    wait_until(&what, SOON, || async {
        let mut all = Vec::new();
        for entry in ENTRIES {
            let status = cluster.status(entry).await?;
            let has_all = *total(&status) == json!(registrations);
            anyhow::ensure!(status["view"]["ready"] == true && has_all, "{entry}: {status:#}");
            all.push(status["registrations"]["listed"].clone());
        }
        anyhow::ensure!(all.iter().all(|one| *one == all[0]), "{all:#?}");
        Ok(Some(all.swap_remove(0)))
    })
    .await
}

/// Waits until all entries have the same chain. It moves while one asks: the order tells of lives that ended, and of
/// checkpoints, when it likes.
async fn same_chain(cluster: &Cluster) -> anyhow::Result<()> {
    wait_until("all entries to have the same chain", SOON, || async {
        let mut chains = Vec::new();
        for entry in ENTRIES {
            chains.push(cluster.status(entry).await?["view"]["chain"].clone());
        }
        anyhow::ensure!(
            chains[0].is_string() && chains.iter().all(|one| *one == chains[0]),
            "{chains:#?}"
        );
        Ok(Some(()))
    })
    .await
}

#[tokio::test]
async fn what_is_registered_at_one_entry_is_the_same_at_all() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    // What entries write themselves at the beginning is written.
    begun(&cluster).await?;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    let single = register(&mut one, "{}", "com.single").await;
    let shared = register(&mut one, r#"{"invoke":"roundrobin"}"#, "com.shared").await;
    assert_eq!(register(&mut two, r#"{"invoke":"roundrobin"}"#, "com.shared").await, shared);
    let listed = same_everywhere(&cluster, 2).await?;
    assert_eq!((&listed[0]["id"], &listed[1]["id"]), (&json!(single), &json!(shared)));
    let callees = |at: usize| {
        let callees = listed[at]["callees"].as_array().cloned().unwrap_or_default();
        callees.into_iter().map(|callee| callee["entry"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(callees(0), [json!("E1")]);
    assert_eq!(callees(1), [json!("E1"), json!("E2")], "in the order of their places");

    // There is one callee of it, wherever one asks; and nothing is written for who is told so.
    let before = cluster.status("E2").await?["view"]["records"].clone();
    let refused = ask(&mut two, r#"[64,7,{},"com.single"]"#).await;
    assert_eq!(refused[4], json!("wamp.error.procedure_already_exists"), "{refused}");
    assert_eq!(cluster.status("E2").await?["view"]["records"], before);
    let called = ask(&mut two, r#"[48,8,{},"com.single"]"#).await;
    assert_eq!(called[0], json!(8), "{called}");
    assert_ne!(called[4], json!("wamp.error.no_such_procedure"), "{called}");

    // It leaves, and so does a session with all that it has.
    let left = ask(&mut one, &format!("[66,9,{single}]")).await;
    assert_eq!(left, json!([67, 9]));
    same_everywhere(&cluster, 1).await?;
    register(&mut two, "{}", "com.single").await;
    one.close().await?;
    let is_left = |status: &Value| {
        *total(status) == json!(2) && status["registrations"]["listed"][0]["callees_total"] == 1
    };
    sees(&cluster, "E3", "who has left", is_left).await?;
    two.close().await?;
    same_everywhere(&cluster, 0).await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn an_entry_that_begins_again_has_it_from_a_checkpoint_and_the_log() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions::default()).await?;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    for number in 0..5 {
        register(&mut one, "{}", &format!("com.one{number}")).await;
    }
    register(&mut two, "{}", "com.two").await;
    same_everywhere(&cluster, 6).await?;
    cluster.kill("E1").await?;
    // What comes meanwhile it has from the log.
    register(&mut two, "{}", "com.three").await;
    cluster.restart("E1").await?;
    let listed = same_everywhere(&cluster, 2).await?;
    let uris = listed.as_array().into_iter().flatten().map(|one| &one["uri"]);
    assert_eq!(uris.collect::<Vec<_>>(), [&json!("com.two"), &json!("com.three")]);
    let began_with_one = |status: &Value| {
        status["view"]["as_of"].is_u64() && status["lives"].as_array().map(Vec::len) == Some(3)
    };
    sees(&cluster, "E1", "the checkpoint it began with, and three lives", began_with_one).await?;
    // Wherever they began, they have the same.
    same_chain(&cluster).await?;
    for entry in ENTRIES {
        assert_eq!(cluster.metric(entry, "vixen_entry_views_differ_total").await?, 0.0);
    }
    let mut again = open(&cluster, "E1").await;
    register(&mut again, "{}", "com.one0").await;
    same_everywhere(&cluster, 3).await?;
    again.close().await?;
    two.close().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn no_client_comes_to_what_entries_tell_each_other() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(ClusterOptions {
        sync: 1,
        ndb: 1,
        write_quorum: 1,
        entries: 1,
        ..ClusterOptions::default()
    })
    .await?;
    let mut session = open(&cluster, "E1").await;
    register(&mut session, "{}", "com.a").await;
    let url = cluster.url("E1")?;
    assert!(Connection::open(&url, "#calls").await.is_err());
    for path in
        ["/history?realm=%23calls&topic=lives", "/events?realm=%23calls&topic=lives&after=0"]
    {
        let answer = get(&cluster.address("E1")?, path).await?;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
    }
    let everything = get(&cluster.address("E1")?, "/history?topic=&match=prefix&after=0").await?;
    assert!(!everything.body.contains("lives"), "{}", everything.body);
    let metrics = get(&cluster.address("E1")?, "/metrics").await?;
    assert!(!metrics.body.contains("#calls"));
    let status = cluster.status("E1").await?;
    assert_eq!(status["subscriptions"], 0, "{status:#}");
    session.close().await?;
    cluster.stop_all().await
}

/// A register waits for its place, and no longer than a publisher does.
#[tokio::test]
async fn without_a_quorum_nobody_becomes_callee() -> anyhow::Result<()> {
    // Whoever registers while there is a quorum has a place by then, on a busy machine as well.
    let publish_timeout = Duration::from_secs(5);
    let mut cluster =
        Cluster::start(ClusterOptions { publish_timeout, ..ClusterOptions::default() }).await?;
    let mut one = open(&cluster, "E1").await;
    let kept = register(&mut one, "{}", "com.kept").await;
    same_everywhere(&cluster, 1).await?;
    let gone = ["S2".to_owned(), "S3".to_owned()];
    cluster.kill_together(&gone).await?;
    let refused = ask(&mut one, r#"[64,2,{},"com.a"]"#).await;
    assert_eq!(refused[4], json!("vixen.error.no_quorum"), "{refused}");
    cluster.restart_together(&gone).await?;
    // It was placed, and taken back.
    let mut two = open(&cluster, "E2").await;
    register(&mut two, "{}", "com.b").await;
    for entry in ENTRIES {
        let is_taken_back = |status: &Value| {
            let listed = &status["registrations"]["listed"];
            let is_whole = *total(status) == json!(2) && listed[0]["id"] == kept;
            is_whole && listed[1]["uri"] == "com.b"
        };
        sees(&cluster, entry, "what was taken back", is_taken_back).await?;
    }
    one.close().await?;
    two.close().await?;
    cluster.stop_all().await
}
