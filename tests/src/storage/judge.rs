//! The last judgement: what all stores hold.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::Value;

use vixen_core::id::{GroupId, NdbId};

use super::dump::{Dumped, parse, read_history};
use super::tail::read_tail;
use crate::check::{Event, History, Outcome, Subscriber};
use crate::harness::{Cluster, Tier, wait_until};

/// Bound on settling, for debug builds on a busy machine.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(90);

/// What all stores together hold of a workload.
#[derive(Clone, Debug)]
pub struct Stored {
    /// All groups merged by position, as a subscriber who was there from the beginning.
    pub subscriber: Subscriber,
    /// Of each group, in the order of positions.
    pub groups: Vec<Vec<Event>>,
    /// Rows of the order.
    pub rows: usize,
    /// What should not be.
    pub broken: Vec<String>,
}

/// The highest acknowledged position.
pub(super) fn last_acknowledged(history: &History) -> u64 {
    let publications = history.publishers.iter().flat_map(|publisher| &publisher.publications);
    let positions = publications.filter_map(|publication| match publication.outcome {
        Outcome::Acknowledged { position, .. } => Some(position),
        Outcome::Refused | Outcome::Unknown => None,
    });
    positions.max().unwrap_or(0)
}

/// Waits until nothing is pending and every ndb node has the same order, past position `last`, with
/// all its bytes.
///
/// # Errors
/// When that is not so in time, with what the nodes say.
pub async fn wait_settled(cluster: &Cluster, last: u64) -> anyhow::Result<()> {
    let result = wait_until("all nodes to settle", SETTLE_TIMEOUT, || async {
        for id in cluster.ids_of(Tier::Sync) {
            let status = cluster.status(&id).await?;
            for name in ["pending_total", "unsettled_since_restart"] {
                let (number, pending) = (&status[name], &status["pending"]);
                ensure!(*number == 0, "{id}: {name} is {number}; pending: {pending}");
            }
        }
        let mut ends: Vec<(Value, Value)> = Vec::new();
        for id in cluster.ids_of(Tier::Ndb) {
            let status = cluster.status(&id).await?;
            for pointer in [
                "/missing_segments",
                "/catch_up/segments_to_go",
                "/catch_up/order_rows_in_repair",
                "/catch_up/mending_writes",
                "/unwritten_rows",
                "/pending_total",
                "/elected_waiting",
            ] {
                let value =
                    status.pointer(pointer).with_context(|| format!("{id}: no {pointer}"))?;
                ensure!(*value == 0, "{id}: {pointer} is {value}");
            }
            ends.push((status["next_position"].clone(), status["chain"].clone()));
        }
        ensure!(ends.windows(2).all(|pair| pair[0] == pair[1]), "different orders: {ends:?}");
        let next = ends.first().and_then(|(next, _chain)| next.as_u64());
        ensure!(next > Some(last), "the order ends before position {next:?}, not after {last}");
        Ok(Some(()))
    })
    .await;
    let Err(error) = result else { return Ok(()) };
    let mut text = format!("{error:#}");
    for id in cluster.ids_of(Tier::Ndb) {
        let Ok(status) = cluster.status(&id).await else { continue };
        let told = ["next_position", "chain", "standing", "missing_segments", "pending_total"];
        let told: Vec<_> = told.iter().map(|name| format!("{name} {}", status[name])).collect();
        text += &format!("\n{id}: {}, catch_up {}", told.join(", "), status["catch_up"]);
    }
    anyhow::bail!(text)
}

/// Waits until all nodes have settled, then has `verify --complete` and `dump` look at each store:
/// all are good, those of one group are equal, the order is the same everywhere. What they hold of
/// `topics` is in [`Stored::subscriber`], for the checker.
///
/// # Errors
/// When the nodes do not settle or a tool cannot be run; what the tools find is in
/// [`Stored::broken`].
pub async fn judge_stored(
    cluster: &Cluster,
    group_size: usize,
    realm: &str,
    topics: &[String],
    history: &History,
) -> anyhow::Result<Stored> {
    let last = last_acknowledged(history);
    wait_settled(cluster, last).await?;
    let ids = cluster.ids_of(Tier::Ndb);
    let mut broken = Vec::new();
    for id in &ids {
        let verified = cluster.ndb_tool(id, &["verify", "--complete"]).await?;
        if !verified.status.success() {
            broken.push(format!("verify --complete of {id}: {}", verified.words()));
        }
    }
    let all_rows = dumped_alike(cluster, &ids, &["dump", "--rows"], last, &mut broken).await?;
    let mut groups = Vec::new();
    let mut damaged = (0, None);
    for (number, members) in (0..).zip(ids.chunks(group_size)) {
        let lines = dumped_alike(cluster, members, &["dump"], last, &mut broken).await?;
        let Dumped { events, damaged: (count, line) } = parse(&lines, realm, topics);
        damaged.0 += count;
        damaged.1 = damaged.1.or(line);
        for (member, id) in (0..).zip(members) {
            let node = NdbId { group: GroupId(number), member };
            let mut tail = Vec::new();
            let address = cluster.address(id)?;
            let at = (id.as_str(), address.as_str(), &cluster.terms()?);
            read_tail(at, node, realm, topics, SETTLE_TIMEOUT, &mut tail).await?;
            if tail != events {
                let (served, stored) = (tail.len(), events.len());
                broken.push(format!("{id} serves {served} messages, not the {stored} of its dump"));
            }
        }
        groups.push(events);
    }
    let mut events: Vec<Event> = groups.concat();
    // Two at one position stay side by side, for the checker to see.
    events.sort_by_key(|event| event.position);
    for id in cluster.ids_of(Tier::Entry) {
        let address = cluster.address(&id)?;
        let prefix = common_prefix(topics);
        let (history, error) =
            read_history(&address, realm, prefix, topics, SETTLE_TIMEOUT).await?;
        if history.events != events || history.damaged.0 > 0 || error.is_some() {
            broken.push(format!(
                "history at {id} has {} messages, not the {} of all dumps; damaged: {:?}; {error:?}",
                history.events.len(),
                events.len(),
                history.damaged
            ));
        }
    }
    let name = "the stores".to_owned();
    let subscriber = Subscriber { name, from: 0, events, complete: true, damaged };
    let rows = all_rows.iter().filter(|byte| **byte == b'\n').count();
    Ok(Stored { subscriber, groups, rows, broken })
}

/// What a tool says of the stores of these nodes, which is to be the same. The order goes on meanwhile, with what entries
/// write: what is not the same is looked at again.
async fn dumped_alike(
    cluster: &Cluster,
    ids: &[String],
    args: &[&str],
    last: u64,
    broken: &mut Vec<String>,
) -> anyhow::Result<Vec<u8>> {
    const LOOKS: u32 = 3;
    let mut look = 0;
    loop {
        look += 1;
        let mut dumps = Vec::new();
        for id in ids {
            dumps.push((id, cluster.ndb_tool(id, args).await?));
        }
        let (first, rest) = dumps.split_first().context("no store to look at")?;
        if look < LOOKS && rest.iter().any(|(_id, dump)| dump.stdout != first.1.stdout) {
            wait_settled(cluster, last).await?;
            continue;
        }
        let what = args.join(" ");
        for (id, dump) in &dumps {
            if !dump.status.success() {
                broken.push(format!("{what} of {id}: {}", dump.stderr));
            }
            if dump.stdout != first.1.stdout {
                let difference = difference(&first.1.stdout, &dump.stdout);
                broken.push(format!("{what} of {id} is not that of {}: {difference}", first.0));
            }
        }
        return Ok(first.1.stdout.clone());
    }
}

/// What all topics begin with.
pub(crate) fn common_prefix(topics: &[String]) -> &str {
    let Some((first, rest)) = topics.split_first() else { return "" };
    let is_common = |end: &usize| rest.iter().all(|topic| topic.starts_with(&first[..*end]));
    let end = (0..=first.len()).rev().filter(|end| first.is_char_boundary(*end)).find(is_common);
    &first[..end.unwrap_or(0)]
}

/// The first line that differs.
fn difference(a: &[u8], b: &[u8]) -> String {
    let (mut a_lines, mut b_lines) =
        (a.split(|byte| *byte == b'\n'), b.split(|byte| *byte == b'\n'));
    for number in 1.. {
        let (a, b) = (a_lines.next(), b_lines.next());
        if a != b {
            let text = |line: Option<&[u8]>| {
                line.map_or("nothing".into(), |line| String::from_utf8_lossy(line).into_owned())
            };
            return format!("line {number} is {} there and {} here", text(a), text(b));
        }
        if a.is_none() {
            break;
        }
    }
    "no line differs".to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prefix_of_all_topics_is_found() {
        let topics = ["a.b.0", "a.b.1", "a.b.12"].map(str::to_owned);
        assert_eq!(common_prefix(&topics), "a.b.");
        assert_eq!(common_prefix(&topics[..1]), "a.b.0");
    }

    #[test]
    fn the_first_difference_is_named() {
        let found = difference(b"a\nb\nc\n", b"a\nx\nc\n");
        assert_eq!(found, "line 2 is b there and x here");
        assert_eq!(difference(b"a\n", b"a\nb\n"), "line 2 is  there and b here");
    }
}
