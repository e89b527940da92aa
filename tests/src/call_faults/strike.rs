//! Doing it to whom it is done.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rand::RngExt as _;
use rand::rngs::StdRng;

use super::callee::Order;
use super::fault::{Blow, Fault, Victim};
use super::ledger::{Book, Struck};
use super::trial::Orders;
use crate::campaign::PacketFilter;
use crate::harness::{Cluster, Sockets, Tier};

/// Who is struck in a round, by what.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) fault: Fault,
    whom: Whom,
}

#[derive(Clone, Debug)]
enum Whom {
    Callee(usize),
    Node { id: String, entry: Option<usize> },
}

impl Target {
    /// Chooses somebody.
    pub(super) fn draw(
        fault: Fault,
        cluster: &Cluster,
        book: &Book,
        rng: &mut StdRng,
    ) -> anyhow::Result<Self> {
        let whom = match fault.kind.victim {
            Victim::Callee => {
                let callees = book.open().callees.len();
                Whom::Callee(rng.random_range(0..callees))
            }
            Victim::CalleesEntry => {
                let holders = book.open().holders();
                ensure!(!holders.is_empty(), "nobody holds anything");
                let holder = holders[rng.random_range(0..holders.len())];
                let entry = book.open().callees[holder].entry;
                entry_at(cluster, entry)?
            }
            Victim::CallersEntry => {
                entry_at(cluster, rng.random_range(0..cluster.ids_of(Tier::Entry).len()))?
            }
            Victim::Sync => node_of(cluster, Tier::Sync, rng),
            Victim::Ndb => node_of(cluster, Tier::Ndb, rng),
        };
        Ok(Self { fault, whom })
    }

    pub(super) fn name(&self) -> String {
        match &self.whom {
            Whom::Callee(callee) => format!("callee {callee}"),
            Whom::Node { id, .. } => id.clone(),
        }
    }

    pub(super) fn struck(&self) -> Struck {
        match &self.whom {
            Whom::Callee(callee) => Struck::Callee(*callee),
            Whom::Node { entry: Some(entry), .. } => {
                Struck::Entry { entry: *entry, is_killed: self.fault.kind.blow == Blow::Kill }
            }
            Whom::Node { entry: None, .. } => Struck::Node,
        }
    }

    /// Until all nodes are ready again.
    pub(super) async fn strike(
        &self,
        cluster: &mut Cluster,
        filter: Option<&mut PacketFilter>,
        (book, orders): (&Book, &Orders),
    ) -> anyhow::Result<()> {
        match &self.whom {
            Whom::Callee(callee) => {
                let entry = book.open().callees[*callee].entry;
                let entry = cluster.ids_of(Tier::Entry).swap_remove(entry);
                let port = client_port(cluster, &entry)?;
                self.strike_callee(*callee, port, filter, (book, orders)).await
            }
            Whom::Node { id, entry } => self.strike_node(id, *entry, cluster, filter, book).await,
        }
    }

    async fn strike_callee(
        &self,
        callee: usize,
        entry_port: u16,
        filter: Option<&mut PacketFilter>,
        (book, orders): (&Book, &Orders),
    ) -> anyhow::Result<()> {
        book.open().callees[callee].standstill.begin(Instant::now());
        match self.fault.kind.blow {
            Blow::Kill | Blow::Pause => {
                let is_kill = self.fault.kind.blow == Blow::Kill;
                orders[callee].send_replace(if is_kill { Order::Dead } else { Order::Paused });
                tokio::time::sleep(self.fault.away).await;
                orders[callee].send_replace(Order::Serve);
                book.open().callees[callee].standstill.end(Instant::now());
            }
            Blow::Cut | Blow::Unplug => {
                let dialled = [(book.open().callees[callee].port, entry_port)].into();
                let sockets = Sockets { dialled, ..Sockets::default() };
                let cut = self.cut(sockets, filter).await?;
                book.open().callees[callee].standstill.end(resent(cut));
            }
        }
        Ok(())
    }

    async fn strike_node(
        &self,
        id: &str,
        entry: Option<usize>,
        cluster: &mut Cluster,
        filter: Option<&mut PacketFilter>,
        book: &Book,
    ) -> anyhow::Result<()> {
        let stands_still = |at: Instant| {
            entry.into_iter().for_each(|entry| book.open().way(entry).begin(at));
        };
        let goes_on = |at: Instant| {
            entry.into_iter().for_each(|entry| book.open().way(entry).end(at));
        };
        match self.fault.kind.blow {
            Blow::Kill => {
                cluster.kill(id).await?;
                tokio::time::sleep(self.fault.away).await;
                cluster.restart(id).await?;
            }
            Blow::Pause => {
                stands_still(Instant::now());
                cluster.pause(id)?;
                tokio::time::sleep(self.fault.away).await;
                cluster.resume(id)?;
                goes_on(Instant::now());
            }
            Blow::Cut => {
                let mut sockets = cluster.sockets_of(id)?;
                if entry.is_some() {
                    sockets.listening.remove(&client_port(cluster, id)?);
                }
                self.cut(sockets, filter).await?;
            }
            Blow::Unplug => {
                stands_still(Instant::now());
                let cut = self.cut(cluster.sockets_of(id)?, filter).await?;
                goes_on(resent(cut));
            }
        }
        cluster.wait_ready().await
    }

    /// For how long packets have vanished.
    async fn cut(
        &self,
        sockets: Sockets,
        filter: Option<&mut PacketFilter>,
    ) -> anyhow::Result<Duration> {
        let filter = filter.context("cuts take a network of one's own")?;
        let begun = Instant::now();
        for port in sockets.listening {
            filter.cut_port(port).await?;
        }
        for (near, far) in sockets.dialled {
            filter.cut_between(near, far).await?;
        }
        tokio::time::sleep(self.fault.away).await;
        filter.heal().await?;
        Ok(begun.elapsed())
    }
}

/// When TCP has sent again what was lost, after a cut that has just ended: each time it waits twice as long.
fn resent(cut: Duration) -> Instant {
    Instant::now() + cut
}

/// The port of an entry for clients.
fn client_port(cluster: &Cluster, entry: &str) -> anyhow::Result<u16> {
    let address = cluster.address(entry)?;
    let (_host, port) = address.rsplit_once(':').context("an address has a port")?;
    port.parse().with_context(|| address.clone())
}

fn entry_at(cluster: &Cluster, entry: usize) -> anyhow::Result<Whom> {
    let id = cluster.ids_of(Tier::Entry).get(entry).cloned().context("no such entry")?;
    Ok(Whom::Node { id, entry: Some(entry) })
}

fn node_of(cluster: &Cluster, tier: Tier, rng: &mut StdRng) -> Whom {
    let ids = cluster.ids_of(tier);
    Whom::Node { id: ids[rng.random_range(0..ids.len())].clone(), entry: None }
}
