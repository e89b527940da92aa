//! Instances: which segments there are, and how much may go wrong.
//!
//! An instance is named by its parameters, so that any can be asked for on the command line:
//!
//! ```text
//! chain-b1-c1-o2-cut01-ahead2-late01-order-wild2-j1-lag-d30
//!   |    |  |  |   |     |      |      |     |   |  |   `-- bounded: no state further than 30 actions from the first
//!   |    |  |  |   |     |      |      |     |   |  `------ readers have read each feed up to any moment, or follow it from there
//!   |    |  |  |   |     |      |      |     |   `----- wall times are set far ahead, or right again, at most once
//!   |    |  |  |   |     |      |      |     `--------- the wall time of sync2 is more than an hour ahead
//!   |    |  |  |   |     |      |      `--------------- the newest election of all is an hour ahead
//!   |    |  |  |   |     |      `---------------------- the clocks of sync0 and sync1 are an hour ahead, wall times are right
//!   |    |  |  |   |     `----------------------------- the clock of sync2 is half a second ahead, as after a restart
//!   |    |  |  |   `------------- the link between sync0 and sync1 never comes up
//!   |    |  |  `----------------- at most 2 hedge delays end (`Input::Overdue`)
//!   |    |  `-------------------- at most 1 crash
//!   |    `----------------------- no ballot above 1
//!   `---------------------------- the shape: see `Shape`
//! ```

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;

use vixen_core::id::{Digest, MapVersion, OwnerId, SegmentId, Seq, Shard, SyncId};
use vixen_core::membership::Membership;
use vixen_core::segment::SegmentMeta;

/// Sync nodes of every instance.
pub(crate) const NODES: usize = 3;

/// The members of the vote.
pub(crate) const MEMBERS: [SyncId; NODES] = [SyncId(0), SyncId(1), SyncId(2)];

/// The same, and one ndb node that stores.
pub(crate) fn membership() -> &'static Membership {
    static ALL: LazyLock<Membership> = LazyLock::new(|| Membership::first(MEMBERS, [], 1));
    &ALL
}

/// Which segments there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One owner, one segment.
    One,
    /// One owner, a chain of two.
    Chain,
    /// Two owners with different homes, one segment each.
    Apart,
    /// Two owners with the same home, one segment each.
    Together,
    /// A chain of two, and one of another owner with another home.
    Mixed,
}

impl Shape {
    const ALL: [(Self, &'static str); 5] = [
        (Self::One, "one"),
        (Self::Chain, "chain"),
        (Self::Apart, "apart"),
        (Self::Together, "together"),
        (Self::Mixed, "mixed"),
    ];

    /// For each owner its home and the number of its segments.
    const fn owners(self) -> &'static [(SyncId, u64)] {
        match self {
            Self::One => &[(SyncId(0), 1)],
            Self::Chain => &[(SyncId(0), 2)],
            Self::Apart => &[(SyncId(0), 1), (SyncId(1), 1)],
            Self::Together => &[(SyncId(0), 1), (SyncId(0), 1)],
            Self::Mixed => &[(SyncId(0), 2), (SyncId(1), 1)],
        }
    }
}

/// See the module doc.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instance {
    pub(crate) shape: Shape,
    /// Steps that would send a higher ballot than this are not taken.
    pub(crate) ballot_max: u32,
    pub(crate) crashes_max: u8,
    /// Ends of hedge delays, over all nodes and segments.
    pub(crate) overdues_max: u8,
    /// Two nodes between which there never is a link.
    pub(crate) cut: Option<(u8, u8)>,
    /// The node that has been restarted before.
    pub(crate) ahead: Option<u8>,
    /// Bit `n`: the clock of node `n` is an hour ahead, and its wall time is right.
    pub(crate) late: u8,
    /// The newest election is an hour ahead.
    pub(crate) order: bool,
    /// Bit `n`: the wall time of node `n` is more than an hour ahead.
    pub(crate) wild: u8,
    /// How often a wall time is set.
    pub(crate) jumps_max: u8,
    /// Readers are judged with each feed read up to any moment, not up to now only.
    pub(crate) lags: bool,
    /// Actions from the first state; without it the check is exhaustive.
    pub(crate) depth_max: Option<usize>,
}

impl Instance {
    /// The segments, those of one owner in the order of their numbers.
    pub(crate) fn segments(&self) -> Vec<SegmentMeta> {
        let mut segments = Vec::new();
        let mut number = 0;
        for (at, count) in self.shape.owners() {
            let is_home = |owner: &OwnerId| membership().home(*owner) == *at;
            let owner = (number + 1..).map(owner_of).find(is_home);
            let owner = owner.expect("every node is somebody's home");
            number = owner.0.as_u128();
            segments.extend((1..=*count).map(|seq| meta(owner, Seq(seq))));
        }
        segments
    }
}

fn owner_of(number: u128) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(number))
}

const fn meta(owner: OwnerId, seq: Seq) -> SegmentMeta {
    let id = SegmentId { owner, seq };
    SegmentMeta {
        id,
        shard: Shard(0),
        map: MapVersion(1),
        count: 1,
        bytes: 1,
        digest: Digest([0; 16]),
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Shape::ALL.iter().find(|(shape, _)| *shape == self.shape).map(|(_, name)| *name);
        write!(f, "{}", name.unwrap_or_default())?;
        write!(f, "-b{}-c{}-o{}", self.ballot_max, self.crashes_max, self.overdues_max)?;
        if let Some((a, b)) = self.cut {
            write!(f, "-cut{a}{b}")?;
        }
        if let Some(node) = self.ahead {
            write!(f, "-ahead{node}")?;
        }
        for (name, nodes) in [("late", self.late), ("wild", self.wild)] {
            if name == "wild" && self.order {
                write!(f, "-order")?;
            }
            if nodes > 0 {
                let nodes = (0..NODES).filter(|node| nodes >> node & 1 == 1);
                write!(f, "-{name}{}", nodes.map(|node| node.to_string()).collect::<String>())?;
            }
        }
        if self.jumps_max > 0 {
            write!(f, "-j{}", self.jumps_max)?;
        }
        if self.lags {
            write!(f, "-lag")?;
        }
        self.depth_max.map_or(Ok(()), |depth| write!(f, "-d{depth}"))
    }
}

/// The text names no instance.
#[derive(Clone, Debug, thiserror::Error)]
#[error(
    "`{0}` is no instance: expected SHAPE[-bN][-cN][-oN][-cutXY][-aheadN][-lateN…][-order][-wildN…][-jN][-lag][-dN], \
     as in chain-b1-c1-o1"
)]
pub(crate) struct ParseInstanceError(String);

impl FromStr for Instance {
    type Err = ParseInstanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or_else(|| ParseInstanceError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<Instance> {
    let mut parts = text.split('-');
    let name = parts.next()?;
    let (shape, _) = Shape::ALL.iter().find(|(_, known)| *known == name)?;
    let mut instance = Instance {
        shape: *shape,
        ballot_max: 0,
        crashes_max: 0,
        overdues_max: 0,
        cut: None,
        ahead: None,
        late: 0,
        order: false,
        wild: 0,
        jumps_max: 0,
        lags: false,
        depth_max: None,
    };
    for part in parts {
        if let Some(pair) = part.strip_prefix("cut") {
            instance.cut = Some(cut(pair)?);
        } else if let Some(node) = part.strip_prefix("ahead") {
            instance.ahead = Some(node.parse().ok().filter(|node| usize::from(*node) < NODES)?);
        } else if let Some(digits) = part.strip_prefix("late") {
            instance.late = nodes(digits)?;
        } else if let Some(digits) = part.strip_prefix("wild") {
            instance.wild = nodes(digits)?;
        } else if part == "order" {
            instance.order = true;
        } else if part == "lag" {
            instance.lags = true;
        } else if let Some(number) = part.strip_prefix('j') {
            instance.jumps_max = number.parse().ok()?;
        } else if let Some(number) = part.strip_prefix('b') {
            instance.ballot_max = number.parse().ok()?;
        } else if let Some(number) = part.strip_prefix('c') {
            instance.crashes_max = number.parse().ok()?;
        } else if let Some(number) = part.strip_prefix('o') {
            instance.overdues_max = number.parse().ok()?;
        } else if let Some(number) = part.strip_prefix('d') {
            instance.depth_max = Some(number.parse().ok()?);
        } else {
            return None;
        }
    }
    Some(instance)
}

/// Digits that name nodes.
fn nodes(digits: &str) -> Option<u8> {
    let node = |digit: char| digit.to_digit(10).filter(|node| (*node as usize) < NODES);
    let nodes = digits.chars().map(node).collect::<Option<Vec<_>>>()?;
    (!nodes.is_empty()).then(|| nodes.iter().fold(0, |set, node| set | 1 << node))
}

/// Two digits that name different nodes, the lower first.
fn cut(pair: &str) -> Option<(u8, u8)> {
    let &[a, b] = pair.as_bytes() else { return None };
    let (a, b) = (a.checked_sub(b'0')?, b.checked_sub(b'0')?);
    (a < b && usize::from(b) < NODES).then_some((a, b))
}
