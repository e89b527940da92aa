//! Seeded runs against the order itself.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_core::id::SyncId;

use super::super::cluster::{Cluster, Row};
use super::*;

/// The seed of a failing run is in its message; `VIXEN_SEED` runs one alone.
#[test]
fn seeded_runs_deliver_the_order_whatever_the_interleaving() {
    let given = std::env::var("VIXEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = given.map_or(0..300, |seed: u64| seed..seed + 1);
    for seed in seeds {
        Run::new(seed).go();
    }
}

/// Two or three groups of two replicas, and an entry that has a subscriber.
struct Run {
    rng: StdRng,
    seed: u64,
    bench: Bench,
    groups: u16,
    cluster: Cluster,
    received: Vec<u64>,
    /// The end of the order at SUBSCRIBED: all that comes later has to arrive.
    subscribed_at: Option<Position>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let groups = rng.random_range(2..=3);
        let members = |group| (0..2).map(move |member| NdbId { group: GroupId(group), member });
        let options = DeliveryOptions {
            owner: OwnerId(uuid::Uuid::from_u128(0)),
            membership: Membership::first(
                [SyncId(0)],
                (0..groups).map(|group| members(group).collect()),
                1,
            ),
            subscriptions: SubscriptionLimits {
                per_session_max: 4,
                ..SubscriptionLimits::UNBOUNDED
            },
            numbering: Numbering::Counted,
            waiting_bytes_max: [1, 60, 64 << 20][rng.random_range(0..3)],
        };
        let bench = Bench { delivery: Delivery::new(&options), now: at(0) };
        Self {
            rng,
            seed,
            bench,
            groups,
            cluster: Cluster::default(),
            received: Vec::new(),
            subscribed_at: None,
        }
    }

    fn go(&mut self) {
        for _ in 0..400 {
            self.event();
        }
        // Everything comes back, and all is said.
        for ndb in self.nodes().collect::<Vec<_>>() {
            self.link_up(ndb);
        }
        for _ in 0..20_000 {
            if self.make_progress() {
                continue;
            }
            // A tail that was not taken on is followed anew when the patience ends.
            let Some(due) = self.bench.delivery.timeout_at() else { break };
            self.bench.now = due;
            self.step(Input::Timeout);
        }
        let subscribed_at = self.subscribed_at.expect("subscribed in the end");
        let messages = self.cluster.order.iter().flat_map(Row::messages);
        let wanted = messages.filter(|(_, (uri, _))| *uri == "t").map(|(position, _)| position.0);
        let wanted: Vec<u64> = wanted.collect();
        let seed = self.seed;
        let received = &self.received;
        assert!(received.is_sorted_by(|a, b| a < b), "seed {seed}: {received:?}");
        let known: BTreeSet<_> = wanted.iter().collect();
        assert!(received.iter().all(|position| known.contains(position)), "seed {seed}");
        let since = |positions: &[u64]| -> Vec<u64> {
            positions.iter().copied().filter(|position| *position >= subscribed_at.0).collect()
        };
        assert_eq!(since(received), since(&wanted), "seed {seed}");
    }

    fn nodes(&self) -> impl Iterator<Item = NdbId> + use<> {
        let groups = self.groups;
        (0..groups)
            .flat_map(|group| (0..2).map(move |member| NdbId { group: GroupId(group), member }))
    }

    fn any_node(&mut self) -> NdbId {
        let group = GroupId(self.rng.random_range(0..self.groups));
        NdbId { group, member: self.rng.random_range(0..2) }
    }

    fn event(&mut self) {
        self.bench.now = self.bench.now.plus_millis(self.rng.random_range(0..20));
        match self.rng.random_range(0..20) {
            0..5 => self.elect(),
            5..8 => self.place(),
            8..17 => drop(self.make_progress()),
            17 => {
                let ndb = self.any_node();
                self.link_up(ndb);
            }
            18 => {
                let one = self.any_node();
                // Now and then all are gone at once.
                let are_all_gone = self.rng.random_bool(0.2);
                let gone = self.nodes().filter(|ndb| are_all_gone || *ndb == one);
                for ndb in gone.collect::<Vec<_>>() {
                    if self.cluster.link_down(ndb) {
                        self.step(Input::NdbDown { ndb });
                    }
                }
            }
            _ => self.subscriber(),
        }
        if self.bench.delivery.timeout_at().is_some_and(|due| due <= self.bench.now) {
            self.step(Input::Timeout);
        }
    }

    /// One more segment in the order; some have nothing of topic `t`.
    fn elect(&mut self) {
        let count = self.rng.random_range(1..4);
        let group = GroupId(self.rng.random_range(0..self.groups));
        let mut said = || if self.rng.random_bool(0.6) { ("t", 0) } else { ("x", 0) };
        let said = (0..count).map(|_| said()).collect();
        self.cluster.elect(group, said);
    }

    fn place(&mut self) {
        // The first tail tells where the entry's order begins.
        let Some(frontier) = self.bench.delivery.frontier else { return };
        let rows = self.rng.random_range(0..=self.cluster.unplaced());
        let slots = self.cluster.place(rows, frontier);
        self.step(Input::Placed { slots });
    }

    fn subscriber(&mut self) {
        if self.subscribed_at.is_none() && self.bench.delivery.subscriptions() == 0 {
            self.bench_step(|bench| bench.subscribe(7, 1, "t"));
        } else if self.rng.random_bool(0.5) {
            // Others come and go, so that the interest changes.
            self.bench_step(|bench| bench.subscribe(8, 2, "u"));
        } else {
            self.step(Input::SessionClosed { session: SessionId(8) });
        }
        self.step(Input::Flush);
    }

    fn link_up(&mut self, ndb: NdbId) {
        self.cluster.link_up(ndb);
        self.step(Input::NdbUp { ndb });
    }

    /// One step of the rest of the cluster; `false` when there is nothing more to do.
    fn make_progress(&mut self) -> bool {
        let mut linked = self.cluster.linked();
        let start = self.rng.random_range(0..linked.len().max(1));
        linked.rotate_left(start);
        for ndb in linked {
            if let Some(input) = self.cluster.step(&mut self.rng, ndb) {
                input.into_iter().for_each(|input| self.step(input));
                return true;
            }
        }
        if self.subscribed_at.is_none() && self.bench.delivery.subscriptions() == 0 {
            self.subscriber();
            return true;
        }
        let before = self.cluster.unplaced();
        self.place();
        before > 0
    }

    fn step(&mut self, input: Input) {
        self.bench_step(|bench| bench.step(input));
    }

    fn bench_step(&mut self, step: impl FnOnce(&mut Bench) -> Effects) {
        let fx = step(&mut self.bench);
        self.received.extend(positions(&fx));
        let is_subscribed = fx.outgoing.iter().any(|(session, outgoing)| {
            *session == SessionId(7) && matches!(outgoing, Outgoing::Subscribed { .. })
        });
        if is_subscribed {
            self.subscribed_at = Some(self.cluster.end());
        }
        for (to, message) in fx.sends {
            self.cluster.send(to, message);
        }
        let missed = |note: &Note| matches!(note, Note::PositionsMissed { .. });
        assert!(!fx.notes.iter().any(missed), "seed {}", self.seed);
    }
}
