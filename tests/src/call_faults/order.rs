//! What the order says of who held which procedure: the records of all entries, read from an ndb node, beside what
//! callees were invoked by.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, ensure};

use vixen_core::id::{GroupId, NdbId, Position};
use vixen_core::segment::Topic;
use vixen_views::record::Invoke;
use vixen_views::registrations::{Applied, Change, Outcome, Registrations};

use super::tenures::Tenures;
use crate::harness::Cluster;
use crate::storage::{StoredMessage, read_messages};

/// The realm of records.
const CALLS: &str = "#calls";

/// Who holds a procedure alone, and from where to where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    session: u64,
    until: Option<Position>,
}

/// What the records make of each other.
#[derive(Debug, Default)]
pub(super) struct Order {
    view: Registrations,
    /// By URI and registration, of procedures with one callee.
    held: BTreeMap<(String, u64), Held>,
    broken: Vec<String>,
}

impl Order {
    /// Reads all records that are there, from the first ndb node.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) async fn read(
        cluster: &Cluster,
        realm: &str,
        timeout: Duration,
    ) -> anyhow::Result<Self> {
        let (name, node) = ("D1", NdbId { group: GroupId(0), member: 0 });
        let (address, terms) = (cluster.address(name)?, cluster.terms()?);
        let of_realm = format!("realm.{realm}");
        let topics = ["lives", "checkpoint", &of_realm].map(|topic| Topic::new(CALLS, topic));
        let mut order = Self::default();
        let at = (name, address.as_str(), &terms);
        read_messages(at, node, &topics, timeout, |message| order.take(&message)).await?;
        Ok(order)
    }

    fn take(&mut self, message: &StoredMessage<'_>) -> anyhow::Result<()> {
        let StoredMessage { position, id, topic, payload } = message;
        let at = id.stamp.wall_time();
        match self.view.apply_message(*position, at, &topic.uri, payload) {
            Outcome::Applied(applied) => self.follow(*position, &applied),
            Outcome::Checkpoint(_) => {}
            other => anyhow::bail!("the record at {position}: {other:?}"),
        }
        if let Err(broken) = self.view.verify() {
            self.broken.push(format!("after the record at {position}: {broken}"));
        }
        Ok(())
    }

    fn follow(&mut self, position: Position, applied: &Applied) {
        for change in &applied.changes {
            match change {
                Change::Joined { registration, pattern, callee, .. } => {
                    let found = self.view.get(*registration);
                    if found.is_none_or(|found| found.invoke != Invoke::Single) {
                        continue;
                    }
                    let uri = pattern.uri.to_string();
                    let of_uri = self.held.range((uri.clone(), 0)..=(uri.clone(), u64::MAX));
                    let mut others = of_uri.filter(|(_, held)| held.until.is_none());
                    if let Some(((_, other), _)) = others.next_back() {
                        let what = format!("{uri} is held by {registration} and {other}");
                        self.broken.push(what);
                    }
                    let held = Held { session: callee.session, until: None };
                    self.held.insert((uri, registration.0), held);
                }
                Change::Left { registration, pattern, .. } => {
                    let key = (pattern.uri.to_string(), registration.0);
                    if let Some(held) = self.held.get_mut(&key) {
                        held.until = Some(position);
                    }
                }
                Change::Alive(_)
                | Change::Over(_)
                | Change::Created { .. }
                | Change::Deleted { .. } => {}
            }
        }
    }

    /// What callees were invoked by that the order knows nothing of, and what is wrong with the order itself.
    pub(super) fn judge(&self, tenures: &Tenures, name: impl Fn(usize) -> String) -> Vec<String> {
        let mut broken = self.broken.clone();
        for (procedure, registration, tenure) in tenures.iter() {
            let uri = name(procedure);
            let held = self.held.get(&(uri.clone(), registration));
            if held.is_none_or(|held| held.session != tenure.session) {
                broken.push(format!(
                    "session {} was invoked {} times for {uri} by {registration}, by which the \
                     order has {held:?}",
                    tenure.session, tenure.count
                ));
            }
        }
        broken
    }

    /// That an entry, by its status page, has what the order says.
    ///
    /// # Errors
    /// What it has otherwise.
    pub(super) fn same_as(&self, entry: &str, status: &serde_json::Value) -> anyhow::Result<()> {
        let ids: Vec<u64> = self.view.iter().map(|registration| registration.id.0).collect();
        let listed = status["registrations"]["listed"].as_array().context("no registrations")?;
        let there: Vec<u64> = listed.iter().filter_map(|one| one["id"].as_u64()).collect();
        ensure!(ids == there, "{entry} has registrations {there:?}, and the order {ids:?}");
        let (chain, there) = (self.view.chain().to_string(), &status["view"]["chain"]);
        ensure!(*there == chain, "{entry} has the chain {there}, and the order {chain}");
        Ok(())
    }

    /// How many records there are, and how many have held a procedure alone.
    pub(super) fn counts(&self) -> (u64, usize) {
        (self.view.records(), self.held.len())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use vixen_core::id::{Lane, OwnerId, PermanentId, Stamp};
    use vixen_core::segment::{Match, TopicPattern};
    use vixen_core::time::WallTime;
    use vixen_views::record::{Facts, Life, Reads, Record, Register, Said, SessionOver};

    use super::*;

    const LIFE: Life = Life { owner: OwnerId(uuid::Uuid::from_u128(1)), number: 1 };

    fn order(said: &[Said]) -> Order {
        let mut order = Order::default();
        for (position, said) in (1..).zip(said) {
            let record = Record { writer: LIFE, said: said.clone() };
            let (topic, payload) = (record.topic(), record.to_bytes());
            let at = WallTime(1_764_000_000_000 + position);
            let id = PermanentId { stamp: Stamp::at(at, Lane::new(0).expect("a lane")), offset: 0 };
            let position = Position(position);
            let message = StoredMessage { position, id, topic: &topic, payload: &payload };
            order.take(&message).expect("a record");
        }
        order
    }

    fn register(number: u64, session: u64) -> Said {
        Said::Register(Register {
            number,
            session,
            pattern: TopicPattern::new("realm1", "p.single", Match::Exact),
            invoke: Invoke::Single,
            is_forced: false,
            keeps_timeouts: false,
        })
    }

    #[test]
    fn who_was_invoked_held_it_by_that_registration() {
        let facts =
            Facts { name: "E1".parse().expect("a name"), link_address: None, reads: Reads::HERE };
        let over = SessionOver { realm: "realm1".into(), session: 11 };
        let order = order(&[
            Said::Life(facts),
            register(1, 11),
            register(2, 12),
            Said::SessionOver(over),
            register(3, 12),
        ]);
        let invoked = |of: &[(u64, u64)]| {
            let mut tenures = Tenures::default();
            for (registration, session) in of {
                tenures.invoked(Instant::now(), 0, *registration, *session);
            }
            order.judge(&tenures, |_| "p.single".to_owned())
        };
        assert_eq!(order.counts(), (5, 2));
        assert_eq!(invoked(&[(2, 11), (5, 12)]), [""; 0]);
        assert_eq!(invoked(&[(2, 12)]).len(), 1, "another held it");
        assert_eq!(invoked(&[(3, 12)]).len(), 1, "it was refused");
    }
}
