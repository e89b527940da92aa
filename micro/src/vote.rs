//! The vote of three nodes, without their disks and links.

use std::collections::VecDeque;

use vixen_core::id::{Digest, GroupId, MapVersion, NdbId, OwnerId, SegmentId, Seq, Shard, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::SegmentMeta;
use vixen_core::time::WallTime;
use vixen_vote::{Effects, Input, Orderer, Recovered, VoteOptions};

use crate::Case;

/// Of one doing.
pub(crate) const SEGMENTS: usize = 1;

const NODES: u8 = 3;

struct Cluster {
    nodes: Vec<Orderer>,
    inputs: VecDeque<(SyncId, Input)>,
    fx: Effects,
    now: WallTime,
    seq: u64,
}

impl Cluster {
    fn new() -> Self {
        let options = |id| VoteOptions {
            id: SyncId(id),
            membership: Membership::sized(NODES, [3], 2),
            clock_ahead_max_ms: 10_000,
        };
        let nodes = (0..NODES).map(|id| Orderer::new(options(id), &Recovered::default()));
        let mut cluster = Self {
            nodes: nodes.collect(),
            inputs: VecDeque::new(),
            fx: Effects::default(),
            now: WallTime(1_800_000_000_000),
            seq: 0,
        };
        for (id, peer) in (0..NODES).flat_map(|id| (0..NODES).map(move |peer| (id, peer))) {
            if id != peer {
                cluster.inputs.push_back((SyncId(id), Input::PeerUp { peer: SyncId(peer) }));
            }
        }
        cluster.run();
        cluster
    }

    /// Steps until nothing is on its way; elections at all nodes.
    fn run(&mut self) -> usize {
        let mut elected = 0;
        while let Some((to, input)) = self.inputs.pop_front() {
            self.nodes[usize::from(to.0)].step(self.now, input, &mut self.fx);
            elected += self.fx.elected.len();
            for sent in self.fx.sends.drain(..) {
                let input = Input::from_peer(to, sent.message);
                self.inputs.extend(input.map(|input| (sent.to, input)));
            }
            self.fx = Effects::default();
        }
        elected
    }

    fn elect(&mut self) -> usize {
        (self.seq, self.now) = (self.seq + 1, self.now.plus_millis(1));
        let owner = OwnerId(uuid::Uuid::from_u128(1));
        let meta = SegmentMeta {
            id: SegmentId { owner, seq: Seq(self.seq) },
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 128,
            digest: Digest([0; 16]),
        };
        for (id, member) in (0..NODES).flat_map(|id| (0..2).map(move |member| (id, member))) {
            let from = NdbId { group: GroupId(0), member };
            self.inputs.push_back((SyncId(id), Input::GenerateDraft { from, meta }));
        }
        self.run()
    }
}

/// One segment is elected at all three, in the fast round.
pub(crate) fn elect() -> Case {
    let mut cluster = Cluster::new();
    Box::new(move || {
        let elected = cluster.elect();
        assert_eq!(elected, usize::from(NODES), "all know it");
        elected
    })
}
