//! Segments that are lost, as far as a node of their group can tell.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::id::{GroupId, Position};

/// Placed segments of a group that each other node of it has said it lacks; none is the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nowhere {
    /// How many.
    pub segments: u64,
    /// The first position of the first of them.
    pub first: Position,
    /// The first position of the last of them.
    pub last: Position,
}

impl Nowhere {
    /// Those that begin at these positions.
    #[must_use]
    pub fn of(positions: impl IntoIterator<Item = Position>) -> Self {
        let one = |at| Self { segments: 1, first: at, last: at };
        let both = |all: Self, one: Self| Self {
            segments: all.segments + one.segments,
            first: all.first.min(one.first),
            last: all.last.max(one.last),
        };
        positions.into_iter().map(one).reduce(both).unwrap_or_default()
    }

    /// What two nodes of the group say together, who know of the same ones.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match (self.segments, other.segments) {
            (0, _) => other,
            (_, 0) => self,
            (own, others) => Self {
                segments: own.max(others),
                first: self.first.min(other.first),
                last: self.last.max(other.last),
            },
        }
    }

    /// Whether one that is waited for at `position` is among them. One that lies between them and is on
    /// its way is not waited for: it took seconds to say that they are nowhere.
    #[must_use]
    pub fn holds_up(&self, position: Position) -> bool {
        self.segments > 0 && (self.first..=self.last).contains(&position)
    }

    /// `5 segments are at no node of group 0`
    #[must_use]
    pub fn text(&self, group: GroupId) -> String {
        let are = if self.segments == 1 { "segment is" } else { "segments are" };
        format!("{} {are} at no node of group {group}", self.segments)
    }

    /// A line of a status page.
    #[must_use]
    pub fn status(&self, group: GroupId) -> Value {
        json!({
            "group": group.0,
            "segments": self.segments,
            "first_position": self.first.0,
            "last_position": self.last.0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_nowhere_is_counted_with_where_it_is_missed() {
        assert_eq!(Nowhere::of([]), Nowhere::default());
        let three = Nowhere::of([7, 3, 9].map(Position));
        assert_eq!(three, Nowhere { segments: 3, first: Position(3), last: Position(9) });
        assert_eq!(three.text(GroupId(1)), "3 segments are at no node of group 1");
        assert_eq!(
            Nowhere::of([Position(1)]).text(GroupId(0)),
            "1 segment is at no node of group 0"
        );
        assert!(three.holds_up(Position(3)) && three.holds_up(Position(9)));
        assert!(!three.holds_up(Position(2)) && !three.holds_up(Position(10)));
        assert!(!Nowhere::default().holds_up(Position(0)), "nothing is");
    }

    #[test]
    fn nodes_of_a_group_know_of_the_same_ones() {
        let (some, more) =
            (Nowhere::of([3, 9].map(Position)), Nowhere::of([3, 7, 9].map(Position)));
        assert_eq!(some.or(more), more);
        assert_eq!(more.or(Nowhere::default()), more);
        assert_eq!(Nowhere::default().or(some), some);
    }
}
