//! Malformed and hostile input against a real entry over real sockets: each row of a table is sent,
//! and gets exactly its answer, while two sessions that behave go on publishing and receiving.
//!
//! The table is `docs/hostile-inputs.md`. `VIXEN_HOSTILE_WRITE=1` writes it anew.

mod encodings;
mod framing;
mod http;
mod peer;
mod row;
mod running;
mod timing;
mod wamp;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use peer::PATIENCE;
use row::Row;
use running::{Pair, Running};

/// What is counted, in the order of the table.
const FAMILIES: [&str; 10] = [
    "violation ",
    "publish ",
    "subscribe ",
    "call ",
    "register ",
    "login ",
    "ended ",
    "http ",
    "malformed",
    "silent",
];

const DOCUMENT: &str = "docs/hostile-inputs.md";

const INTRODUCTION: &str = "# Hostile input

What an entry answers to input that is malformed or meant to do harm. Each row is sent to a real
entry by `entry/tests/hostile`, which writes this table and fails when an answer changes; after each
row two sessions that behave still get their messages.

\"Goes on\": the connection, or session, is as good as before. `violation`, `publish`, `subscribe`,
`login`, `ended`, `http`, `malformed` and `silent` are the counters `vixen_entry_protocol_violations_total`,
`vixen_entry_publish_errors_total`, `vixen_entry_subscribe_errors_total`, `vixen_entry_calls_total`,
`vixen_entry_registrations_total`, `vixen_entry_login_failures_total`, `vixen_entry_sessions_ended_total`, `vixen_entry_http_refusals_total`,
`vixen_common_malformed_requests_total` and
`vixen_common_silent_connections_total` with the label that counts it; each rises by one and no other does. A session that goes on says GOODBYE afterwards.
";

fn quick_rows() -> Vec<Row> {
    let mut rows = http::rows();
    rows.extend(framing::rows());
    rows.extend(wamp::rows());
    rows.extend(encodings::rows());
    rows
}

/// Sends each row with each of its serializers, and collects what is not as it should be.
async fn run(running: &Running, rows: Vec<Row>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut pair = Pair::join(running.address).await;
    for row in rows.into_iter().map(Arc::new) {
        for subprotocol in row.subprotocols() {
            let before = running.counters().await;
            let address = running.address;
            let sent = Arc::clone(&row);
            let mut hostile = tokio::spawn(async move { sent.run(address, subprotocol).await });
            // Often, and not as often as it can be: what it sends is stored.
            let mut pace = tokio::time::interval(Duration::from_millis(10));
            let heard = loop {
                tokio::select! {
                    heard = &mut hostile => break heard,
                    _now = pace.tick() => pair.turn().await,
                }
            };
            let heard = heard.unwrap_or_else(|panic| format!("{panic}"));
            pair.turn().await;
            let title = format!("{} / {} {subprotocol}", row.group, row.name);
            if heard != row.answer.text {
                wrong.push(format!("{title}\n    wanted {}\n    heard  {heard}", row.answer.text));
            }
            let mut wanted = before.clone();
            for name in &row.answer.counted {
                *wanted.entry(name.clone()).or_default() += 1;
            }
            let counted = counted(running, &mut pair, &before, &wanted).await;
            if counted != row.answer.counted {
                wrong.push(format!(
                    "{title}\n    wanted {:?}\n    counted {counted:?}",
                    row.answer.counted
                ));
            }
        }
    }
    wrong
}

/// What has been counted since `before`; waits for `wanted`, for what a client does not hear of may
/// be counted when it is gone. The two that behave go on meanwhile: they are asked whether they live.
async fn counted(
    running: &Running,
    pair: &mut Pair,
    before: &BTreeMap<String, u64>,
    wanted: &BTreeMap<String, u64>,
) -> Vec<String> {
    let until = Instant::now() + PATIENCE;
    let mut now = running.counters().await;
    while now != *wanted && Instant::now() < until {
        pair.turn().await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        now = running.counters().await;
    }
    let mut names = Vec::new();
    // In the order of the row.
    for family in FAMILIES {
        for (name, count) in now.iter().filter(|(name, _)| name.starts_with(family)) {
            for _one in before.get(name).copied().unwrap_or(0)..*count {
                names.push(name.clone());
            }
        }
    }
    names
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_input_gets_its_answer_and_harms_nobody_else() {
    let running = Running::start(|limits| {
        limits.message_bytes_max = 64 << 10;
        limits.topic_bytes_max = 100;
        limits.subscriptions_per_session_max = 4;
    })
    .await;
    let mut wrong = run(&running, quick_rows()).await;
    running.stop().await;
    // One after the other: the counters are of the process.
    let running = Running::start(timing::limits).await;
    wrong.extend(run(&running, timing::rows()).await);
    running.stop().await;
    assert!(wrong.is_empty(), "{} rows:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_table_in_the_documents_is_the_one_that_is_tested() {
    let mut table = INTRODUCTION.to_owned();
    let mut group = "";
    for row in quick_rows().into_iter().chain(timing::rows()) {
        if row.group != group {
            group = row.group;
            table +=
                &format!("\n## {group}\n\n| sent | to | answer | counted |\n|---|---|---|---|\n");
        }
        table += &row.line();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(DOCUMENT);
    if std::env::var_os("VIXEN_HOSTILE_WRITE").is_some() {
        std::fs::write(&file, &table).expect("a file");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == table,
        "{DOCUMENT} is not the tested table: VIXEN_HOSTILE_WRITE=1 cargo test -p vixen-entry \
         --test hostile"
    );
}
