//! Entries that are gone, and entries that are called so and live: what becomes of registrations, over a whole cluster.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use vixen_tests::client::Connection;
use vixen_tests::harness::{Cluster, ClusterOptions, NodeSetup, free_ports};

use crate::calls::{ask, hear, open, register, sees, total};
use crate::entries::{ENTRIES, Wire, all_linked};
use crate::support::SOON;

const GONE: &str = "vixen_entry_entries_gone_total";

fn linked() -> ClusterOptions {
    ClusterOptions { linked_entries: ENTRIES.len(), ..ClusterOptions::default() }
}

/// What the status page of an entry says of the life of another one.
fn life_of(status: &Value, entry: &str) -> Option<Value> {
    status["lives"].as_array()?.iter().find(|life| life["entry"] == entry).cloned()
}

/// The entries with callees of the first registration.
fn callees(status: &Value) -> Vec<Value> {
    let callees = status["registrations"]["listed"][0]["callees"].as_array();
    callees.into_iter().flatten().map(|callee| callee["entry"].clone()).collect()
}

/// Calls `com.single` until that comes to the callee, for the entry of the caller may not have heard that the other one
/// serves again; the callee answers. The registration as the callee is told it.
async fn called(caller: &mut Connection, callee: &mut Connection) -> Value {
    let begun = Instant::now();
    loop {
        caller.send(br#"[48,77,{},"com.single",["asked"]]"#);
        let told = tokio::select! {
            told = hear(caller) => told,
            invocation = hear(callee) => {
                assert_eq!((&invocation[0], &invocation[4]), (&json!(68), &json!(["asked"])));
                callee.send(format!(r#"[70,{},{{}},["said"]]"#, invocation[1]).as_bytes());
                callee.exchange().await.expect("open");
                let result = hear(caller).await;
                assert_eq!((&result[0], &result[3]), (&json!(50), &json!(["said"])), "{result}");
                return invocation[2].clone();
            }
        };
        let early = ["wamp.error.no_available_callee", "wamp.error.unavailable"];
        let is_early = early.iter().any(|error| told[4] == *error);
        assert!(is_early && begun.elapsed() < SOON, "{told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn an_entry_that_is_killed_leaves_its_procedures_to_others() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(linked()).await?;
    all_linked(&cluster).await;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    register(&mut one, "{}", "com.single").await;
    register(&mut one, r#"{"invoke":"roundrobin"}"#, "com.shared").await;
    register(&mut two, r#"{"invoke":"roundrobin"}"#, "com.shared").await;
    sees(&cluster, "E2", "both", |status| *total(status) == json!(2)).await?;
    let refused = ask(&mut two, r#"[64,7,{},"com.single"]"#).await;
    assert_eq!(refused[4], json!("wamp.error.procedure_already_exists"), "{refused}");
    cluster.kill("E1").await?;
    // Its client comes back at once, to another entry.
    let taken = register(&mut two, "{}", "com.single").await;
    for entry in ["E2", "E3"] {
        let is_so = |status: &Value| {
            let listed = &status["registrations"]["listed"];
            let is_left = listed[0]["callees_total"] == 1 && listed[1]["id"] == json!(taken);
            life_of(status, "E1").is_none() && is_left
        };
        sees(&cluster, entry, "what is left", is_so).await?;
        // More, where a busy machine has let others stand still as well.
        assert!(cluster.metric_with(entry, GONE, "why=\"not_heard\"").await? >= 1.0);
    }
    cluster.restart("E1").await?;
    all_linked(&cluster).await;
    let mut again = open(&cluster, "E1").await;
    assert_eq!(called(&mut again, &mut two).await, json!(taken));
    again.close().await?;
    two.close().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn an_entry_that_is_killed_and_begins_again_at_once_takes_its_own_place() -> anyhow::Result<()>
{
    let mut cluster = Cluster::start(linked()).await?;
    all_linked(&cluster).await;
    let mut one = open(&cluster, "E1").await;
    let before = register(&mut one, "{}", "com.single").await;
    cluster.kill("E1").await?;
    cluster.restart("E1").await?;
    let mut one = open(&cluster, "E1").await;
    let after = register(&mut one, "{}", "com.single").await;
    assert!(after > before, "{after}");
    for entry in ENTRIES {
        let is_so = |status: &Value| {
            status["registrations"]["listed"][0]["id"] == json!(after)
                && status["lives"].as_array().map(Vec::len) == Some(ENTRIES.len())
        };
        sees(&cluster, entry, "the new one alone", is_so).await?;
    }
    one.close().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn an_entry_that_stood_still_registers_anew_and_its_callees_know_nothing_of_it()
-> anyhow::Result<()> {
    let mut cluster = Cluster::start(linked()).await?;
    all_linked(&cluster).await;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    let told = register(&mut one, "{}", "com.single").await;
    assert_eq!(called(&mut two, &mut one).await, json!(told));
    cluster.pause("E1")?;
    for entry in ["E2", "E3"] {
        let is_gone =
            |status: &Value| life_of(status, "E1").is_none() && *total(status) == json!(0);
        sees(&cluster, entry, "that it is gone", is_gone).await?;
    }
    cluster.resume("E1")?;
    for entry in ENTRIES {
        let is_back = |status: &Value| {
            let life = life_of(status, "E1").unwrap_or_default();
            life["life"].as_u64() >= Some(2) && callees(status) == [json!("E1")]
        };
        let status = sees(&cluster, entry, "its next life", is_back).await?;
        let id = &status["registrations"]["listed"][0]["id"];
        assert!(id.as_u64() > Some(told), "a new one: {id}");
        assert!(cluster.metric(entry, GONE).await? >= 1.0);
    }
    all_linked(&cluster).await;
    assert_eq!(called(&mut two, &mut one).await, json!(told), "as it was told");
    let left = ask(&mut one, &format!("[66,9,{told}]")).await;
    assert_eq!(left, json!([67, 9]));
    one.close().await?;
    two.close().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn who_has_lost_a_procedure_meanwhile_is_told_or_comes_back() -> anyhow::Result<()> {
    let mut cluster = Cluster::start(linked()).await?;
    all_linked(&cluster).await;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    register(&mut one, "{}", "com.single").await;
    cluster.pause("E1")?;
    let is_suspected =
        |status: &Value| life_of(status, "E1").is_none_or(|life| life["trust"] == "suspected");
    sees(&cluster, "E2", "that it is silent", is_suspected).await?;
    // It waits for that.
    let taken = register(&mut two, "{}", "com.single").await;
    cluster.resume("E1")?;
    let closed = async {
        loop {
            if let Err(error) = one.next_text() {
                break error.to_string();
            }
            if let Err(error) = one.exchange().await {
                break error.to_string();
            }
        }
    };
    let closed = tokio::time::timeout(SOON, closed).await?;
    assert!(closed.contains("vixen.error.registration_lost"), "{closed}");
    all_linked(&cluster).await;
    let mut again = open(&cluster, "E1").await;
    let refused = ask(&mut again, r#"[64,7,{},"com.single"]"#).await;
    assert_eq!(refused[4], json!("wamp.error.procedure_already_exists"), "{refused}");
    assert_eq!(called(&mut again, &mut two).await, json!(taken));
    again.close().await?;
    two.close().await?;
    cluster.stop_all().await
}

#[tokio::test]
async fn a_cut_between_two_entries_ends_nobody() -> anyhow::Result<()> {
    let listens = free_ports(3)?;
    let listen = |id: &str| -> String {
        let at = ENTRIES.iter().position(|entry| *entry == id);
        at.map(|at| format!("127.0.0.1:{}", listens[at])).unwrap_or_default()
    };
    let mut cluster = Cluster::start_with(linked(), |id, _store| NodeSetup {
        env: if id.starts_with('E') {
            vec![("VIXEN_LINK_LISTEN".to_owned(), listen(id))]
        } else {
            Vec::new()
        },
        ..NodeSetup::default()
    })
    .await?;
    let mut wires = Vec::new();
    for id in ENTRIES {
        wires.push(Wire::between(&cluster.link_address(id)?, listen(id)).await?);
    }
    all_linked(&cluster).await;
    let (mut one, mut two) = (open(&cluster, "E1").await, open(&cluster, "E2").await);
    let told = register(&mut one, "{}", "com.single").await;
    // All ways between E1 and E2, whoever has dialled.
    wires[..2].iter().for_each(|wire| wire.cut(true));
    for (entry, other) in [("E1", "E2"), ("E2", "E1")] {
        let is_heard = |status: &Value| {
            life_of(status, other).is_some_and(|life| life["trust"] == "heard elsewhere")
        };
        sees(&cluster, entry, "that sync nodes hear the other one", is_heard).await?;
    }
    let refused = ask(&mut two, r#"[64,7,{},"com.single"]"#).await;
    assert_eq!(refused[4], json!("wamp.error.procedure_already_exists"), "{refused}");
    let called_in_vain = ask(&mut two, r#"[48,8,{},"com.single"]"#).await;
    assert_eq!(called_in_vain[4], json!("wamp.error.no_available_callee"), "{called_in_vain}");
    wires.iter().for_each(|wire| wire.cut(false));
    all_linked(&cluster).await;
    for entry in ENTRIES {
        let all_heard = |status: &Value| {
            let lives = status["lives"].as_array().into_iter().flatten();
            let heard = lives.filter(|life| life["trust"] == "heard" && life["life"] == 1);
            heard.count() == ENTRIES.len() && callees(status) == [json!("E1")]
        };
        sees(&cluster, entry, "all as before", all_heard).await?;
        assert_eq!(cluster.metric(entry, GONE).await?, 0.0);
    }
    assert_eq!(called(&mut two, &mut one).await, json!(told));
    one.close().await?;
    two.close().await?;
    cluster.stop_all().await
}
