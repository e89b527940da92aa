//! The majority of the sync nodes is lost, and comes back: honest errors meanwhile, nothing
//! acknowledged is lost, and traffic goes on by itself.

use std::time::Duration;

use serde_json::{Value, json};

use vixen_tests::check::{History, Outcome, check};
use vixen_tests::client::{Connection, ServerMessage};
use vixen_tests::harness::{Cluster, ClusterOptions, Tier, wait_until};
use vixen_tests::load::{Amount, Load};

use crate::support::{SOON, acknowledged, all_settled, all_stored, home_of, load_on};

const PUBLISH_TIMEOUT: Duration = Duration::from_secs(1);
/// Messages that must be acknowledged before and after.
const MESSAGES: u64 = 3_000;
/// Of messages beside the load's.
const TOPIC: &str = "vixen.majority.beside";

/// A publisher at E3 whose answers are looked at one by one. The load is at the other entries,
/// whose last segments may be elected already and wait for a watermark only; this one's are not.
struct Asker(Connection);

impl Asker {
    async fn join(cluster: &Cluster) -> Self {
        let url = cluster.url("E3").expect("an entry");
        Self(Connection::open(&url, "realm1").await.expect("a session"))
    }

    fn publish(&mut self, request: u64, options: &Value) {
        let text = json!([16, request, options, TOPIC, [request]]).to_string();
        self.0.send(text.as_bytes());
    }

    /// The next answer: its request, and the text of an error.
    async fn answer(&mut self) -> (u64, Result<u64, String>) {
        let hear = async {
            loop {
                if let Some(text) = self.0.next_text().expect("a session") {
                    return match ServerMessage::parse(text) {
                        Some(ServerMessage::Published { request, publication }) => {
                            (request, Ok(publication))
                        }
                        Some(ServerMessage::Error { request, .. }) => {
                            (request, Err(String::from_utf8_lossy(text).into_owned()))
                        }
                        other => panic!("{other:?}"),
                    };
                }
                self.0.exchange().await.expect("a session");
            }
        };
        tokio::time::timeout(SOON, hear).await.expect("an answer in time")
    }
}

/// The survivor of a lost majority lists what it cannot elect, and for whom it waits.
async fn assert_tells_whom_it_waits_for(cluster: &Cluster, survivor: &str, dead: &[String]) {
    let what = format!("{survivor} to list what waits for {}", dead.join(" and "));
    let line = wait_until(&what, SOON, || async {
        let status = cluster.status(survivor).await?;
        let pending = status["pending"].as_array().into_iter().flatten();
        let named = pending.into_iter().find(|line| {
            let nodes: Vec<_> = line["waits_for_nodes"].as_array().into_iter().flatten().collect();
            let words = line["waits_for"].as_str().unwrap_or_default();
            let is_dead =
                |node: &Value| dead.iter().any(|dead| node == dead && words.contains(dead));
            !nodes.is_empty() && nodes.into_iter().all(is_dead)
        });
        anyhow::ensure!(named.is_some(), "{:#}", status["pending"]);
        Ok(named.cloned())
    })
    .await
    .expect("an operator sees it");
    eprintln!("{survivor}, with {} dead: {}", dead.join(" and "), line["waits_for"]);
    for metric in ["vixen_sync_waiting_segments", "vixen_sync_waiting_for_node_segments"] {
        waiting(cluster, survivor, metric, true).await;
    }
    assert!(!cluster.is_ready(survivor).await.expect("an answer"), "ready without a majority");
}

/// Waits until `metric` is above 0, or is 0.
async fn waiting(cluster: &Cluster, node: &str, metric: &str, some: bool) {
    let what = format!("{metric} of {node} to be {}", if some { "above 0" } else { "0" });
    wait_until(&what, SOON, || async {
        let found = cluster.metric(node, metric).await?;
        Ok(((found > 0.0) == some).then_some(()))
    })
    .await
    .expect("the metric tells");
}

/// When the first acknowledgement at or after `from_ns` arrived.
fn first_acknowledged_ns(history: &History, from_ns: u64) -> Option<u64> {
    let publications = history.publishers.iter().flat_map(|publisher| &publisher.publications);
    let times = publications.filter_map(|publication| match publication.outcome {
        Outcome::Acknowledged { at_ns, .. } => Some(at_ns),
        Outcome::Refused | Outcome::Unknown => None,
    });
    times.filter(|at_ns| *at_ns >= from_ns).min()
}

/// Two of three sync nodes are killed under load; the survivor is the home of E3, or it is not
/// and the home stays dead to the last. One comes back, and later the other.
async fn lose_the_majority(survivor_is_home: bool) {
    let publish_timeout = PUBLISH_TIMEOUT;
    let options = ClusterOptions { publish_timeout, ..ClusterOptions::default() };
    let mut cluster = Cluster::start(options).await.expect("a cluster");
    let options = load_on(&cluster, Amount::UntilStopped);
    let topic = options.topic.clone();
    let load = Load::start(options).await.expect("a load");
    let (progress, arrivals) = (load.progress(), load.arrivals());
    let mut asker = Asker::join(&cluster).await;
    let acknowledge = json!({ "acknowledge": true });
    // What is to be acknowledged is so, however long a busy machine takes.
    let patient = json!({ "acknowledge": true, "_wait": true });
    asker.publish(1, &patient);
    assert!(matches!(asker.answer().await, (1, Ok(_position))));
    acknowledged(&progress, MESSAGES).await.expect("traffic before the kill");

    let home = home_of(&cluster, "E3").await.expect("a home");
    let mut others = cluster.ids_of(Tier::Sync);
    others.retain(|id| *id != home);
    let (survivor, first_back, last_back) = if survivor_is_home {
        (home, others[0].clone(), others[1].clone())
    } else {
        (others[0].clone(), others[1].clone(), home)
    };
    let dead = [first_back.clone(), last_back.clone()];
    cluster.kill_together(&dead).await.expect("killed");

    // The patient message is published first, and passed over twice.
    asker.publish(2, &patient);
    for request in [3, 4] {
        asker.publish(request, &acknowledge);
        let (answered, outcome) = asker.answer().await;
        let error = outcome.expect_err("nothing can be elected");
        assert_eq!(answered, request, "{error}");
        for word in ["vixen.error.no_quorum", "1 of 2 sync nodes"] {
            assert!(error.contains(word), "no {word:?} in {error}");
        }
    }
    assert_tells_whom_it_waits_for(&cluster, &survivor, &dead).await;
    let lost_ns = arrivals.now_ns();
    wait_until("the load to be told as well", SOON, || async {
        Ok((progress.errors() > 0).then_some(()))
    })
    .await
    .expect("errors");

    // One comes back, and that is all it takes.
    cluster.spawn(&first_back).expect("started");
    wait_until(&format!("{first_back} to be ready"), SOON, || async {
        Ok(cluster.is_ready(&first_back).await?.then_some(()))
    })
    .await
    .expect("ready again");
    let ready_ns = arrivals.now_ns();
    let (answered, outcome) = asker.answer().await;
    let position = outcome.expect("the patient message has its place");
    assert_eq!(answered, 2);
    acknowledged(&progress, MESSAGES).await.expect("traffic with two of three");
    asker.publish(5, &patient);
    let (answered, outcome) = asker.answer().await;
    assert_eq!(answered, 5);
    assert!(outcome.expect("acknowledged again") > position, "out of order");

    cluster.restart(&last_back).await.expect("ready again");
    acknowledged(&progress, MESSAGES).await.expect("traffic with all");
    load.stop();
    let result = load.finish().await.expect("the load ends");
    assert_eq!(result.troubles, Vec::<String>::new());
    let report = check(&result.history);
    report.assert_ok();
    let resumed_ns = first_acknowledged_ns(&result.history, lost_ns).expect("acknowledgements");
    let resume = Duration::from_nanos(resumed_ns.saturating_sub(ready_ns));
    eprintln!(
        "the first acknowledgement came {resume:?} after {first_back} was ready; {} messages were \
         answered with an error and took their place",
        report.received_unacknowledged
    );
    // The goal is a second, on a machine that does nothing else.
    assert!(resume < SOON, "traffic took {resume:?} to go on");
    all_settled(&cluster).await.expect("nothing is left over");
    for id in cluster.ids_of(Tier::Sync) {
        for metric in ["vixen_sync_waiting_segments", "vixen_sync_waiting_for_node_segments"] {
            waiting(&cluster, &id, metric, false).await;
        }
    }
    all_stored(&cluster, &topic, &result.history).await.expect("all ndb nodes have one order");
    cluster.stop_all().await.expect("clean exits");
}

#[tokio::test]
async fn a_lost_majority_is_told_honestly_and_traffic_goes_on_when_it_is_back() {
    lose_the_majority(true).await;
}

#[tokio::test]
async fn a_lost_majority_comes_back_without_the_home() {
    lose_the_majority(false).await;
}
