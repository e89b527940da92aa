//! What happens to nodes.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::filter::PacketFilter;
use crate::harness::{Cluster, Tier};

/// How long a fault lasts, in ms.
const AWAY_MS: std::ops::Range<u64> = 50..5_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Blow {
    /// kill -9, and a start.
    Kill,
    /// SIGSTOP, and SIGCONT.
    Pause,
    /// Packets to and from its port vanish.
    Cut,
}

impl Blow {
    const ALL: [Self; 3] = [Self::Kill, Self::Pause, Self::Cut];

    const fn name(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Pause => "pause",
            Self::Cut => "port cut",
        }
    }
}

/// Blows that fall together and end together.
#[derive(Clone, Debug)]
pub(super) struct Fault {
    blows: Vec<(Tier, String, Blow)>,
    away: Duration,
}

/// How often what happened.
#[derive(Debug, Default)]
pub(super) struct Faults(BTreeMap<String, u64>);

impl Fault {
    pub(super) fn draw(cluster: &Cluster, rng: &mut StdRng) -> Self {
        let away = Duration::from_millis(rng.random_range(AWAY_MS));
        let mut tiers = Tier::ALL.to_vec();
        let blow = |rng: &mut StdRng, tiers: &mut Vec<Tier>| {
            let tier = tiers.swap_remove(rng.random_range(0..tiers.len()));
            let ids = cluster.ids_of(tier);
            let id = ids[rng.random_range(0..ids.len())].clone();
            (tier, id, Blow::ALL[rng.random_range(0..Blow::ALL.len())])
        };
        let blows = match rng.random_range(0..8) {
            0 => Tier::ALL
                .into_iter()
                .flat_map(|tier| cluster.ids_of(tier).into_iter().map(move |id| (tier, id)))
                .map(|(tier, id)| (tier, id, Blow::Kill))
                .collect(),
            1..=3 => vec![blow(rng, &mut tiers), blow(rng, &mut tiers)],
            _one => vec![blow(rng, &mut tiers)],
        };
        Self { blows, away }
    }

    /// Until all nodes are ready again.
    pub(super) async fn strike(
        &self,
        cluster: &mut Cluster,
        filter: &mut PacketFilter,
    ) -> anyhow::Result<()> {
        let killed: Vec<String> = self.struck_by(Blow::Kill).cloned().collect();
        for id in self.struck_by(Blow::Pause) {
            cluster.pause(id)?;
        }
        for id in self.struck_by(Blow::Cut) {
            filter.cut(&cluster.address(id)?).await?;
        }
        cluster.kill_together(&killed).await?;
        tokio::time::sleep(self.away).await;
        for id in self.struck_by(Blow::Pause) {
            cluster.resume(id)?;
        }
        filter.heal().await?;
        cluster.restart_together(&killed).await
    }

    fn struck_by(&self, wanted: Blow) -> impl Iterator<Item = &String> {
        self.blows.iter().filter(move |(_, _, blow)| *blow == wanted).map(|(_, id, _)| id)
    }

    /// Nobody is left to acknowledge anything.
    pub(super) fn is_of_all(&self) -> bool {
        self.blows.len() > 2
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_of_all() {
            write!(f, "kill of all")?;
        } else {
            for (number, (_tier, id, blow)) in self.blows.iter().enumerate() {
                let and = if number > 0 { " and " } else { "" };
                write!(f, "{and}{} of {id}", blow.name())?;
            }
        }
        write!(f, " for {:?}", self.away)
    }
}

impl Faults {
    pub(super) fn count(&mut self, fault: &Fault) {
        let mut add = |name: String| *self.0.entry(name).or_default() += 1;
        add("faults".to_owned());
        match &fault.blows[..] {
            [(tier, _id, blow)] => add(format!("{} of one, {tier:?}", blow.name())),
            [_, _] => add("two nodes of different tiers at once".to_owned()),
            _all => add("all nodes killed at once".to_owned()),
        }
    }

    pub(super) fn counts(self) -> impl Iterator<Item = (String, u64)> {
        self.0.into_iter()
    }
}
