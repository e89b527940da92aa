//! What an ndb node holds, read over the nodes' own link.

use vixen_core::id::{GroupId, NdbId};
use vixen_tests::check::Subscriber;
use vixen_tests::harness::Cluster;
use vixen_tests::storage::read_tail;
pub(crate) use vixen_tests::storage::{CLUSTER, SECRET};

use crate::support::SOON;

/// Everything that `topic` ever held, from ndb node D*`number`* of the only group, as if it were a
/// subscriber.
pub(crate) async fn stored(
    cluster: &Cluster,
    number: u8,
    topic: &str,
) -> anyhow::Result<Subscriber> {
    let name = format!("D{number}");
    let node = NdbId { group: GroupId(0), member: number - 1 };
    let (address, topics) = (cluster.address(&name)?, [topic.to_owned()]);
    let mut events = Vec::new();
    let at = (name.as_str(), address.as_str(), &cluster.terms()?);
    read_tail(at, node, "realm1", &topics, SOON, &mut events).await?;
    Ok(Subscriber { name, from: 0, events, complete: true, damaged: (0, None) })
}
