//! What is summed up of marks, and what they count.

use serde::{Deserialize, Serialize};

use super::MARK_BYTES;
use super::who::{Keep, Mark};
use crate::state::items::{Item, kind};
use crate::state::sum::{ItemHash, Sum};

/// How many marks, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    pub(super) marks: usize,
    pub(super) bytes: usize,
    pub(super) sum: Sum,
}

impl Tally {
    /// When a part of it is another.
    pub(super) fn with_other(self, before: Self, after: Self) -> Self {
        Self {
            marks: self.marks - before.marks + after.marks,
            bytes: self.bytes - before.bytes + after.bytes,
            sum: self.sum.without(before.sum).with(after.sum),
        }
    }
}

/// By which a mark is known, as it is summed up. Variants are only ever added, at the end, and with a new version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::state) enum NameRef<'a> {
    Id(&'a str),
    Number(&'a str, u64),
}

impl NameRef<'_> {
    /// The name of a producer is counted once, with it.
    pub(super) const fn bytes(self) -> usize {
        match self {
            Self::Id(id) => id.len(),
            Self::Number(..) => 0,
        }
    }
}

/// The tally of a realm, while marks of a who come and go.
pub(super) struct Book<'a> {
    pub(super) realm: &'a str,
    pub(super) who: &'a str,
    pub(super) tally: &'a mut Tally,
}

impl Book<'_> {
    pub(super) fn mark_comes(&mut self, name: NameRef<'_>, is_resting: bool, mark: &Mark) {
        self.tally.marks += 1;
        self.tally.bytes += MARK_BYTES + name.bytes();
        self.tally.sum = self.tally.sum.plus(self.hash(name, is_resting, mark));
    }

    pub(super) fn mark_goes(&mut self, name: NameRef<'_>, is_resting: bool, mark: &Mark) {
        self.tally.marks -= 1;
        self.tally.bytes -= MARK_BYTES + name.bytes();
        self.tally.sum = self.tally.sum.minus(self.hash(name, is_resting, mark));
    }

    pub(super) const fn producer_comes(&mut self, producer: &str) {
        self.tally.bytes += MARK_BYTES + producer.len();
    }

    pub(super) const fn producer_goes(&mut self, producer: &str) {
        self.tally.bytes -= MARK_BYTES + producer.len();
    }

    pub(super) fn who_comes(&mut self, keep: Keep) {
        self.tally.bytes += MARK_BYTES + self.who.len();
        self.tally.sum = self.tally.sum.plus(self.hash_of_who(keep));
    }

    pub(super) fn who_goes(&mut self, keep: Keep) {
        self.tally.bytes -= MARK_BYTES + self.who.len();
        self.tally.sum = self.tally.sum.minus(self.hash_of_who(keep));
    }

    fn hash(&self, name: NameRef<'_>, is_resting: bool, mark: &Mark) -> ItemHash {
        let Self { realm, who, .. } = *self;
        ItemHash::of(&MarkItem { realm, who, name, is_resting, mark: *mark })
    }

    fn hash_of_who(&self, keep: Keep) -> ItemHash {
        let Self { realm, who, .. } = *self;
        ItemHash::of(&WhoItem { realm, who, keep })
    }
}

/// How long marks of a who are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::state) struct WhoItem<'a> {
    pub(in crate::state) realm: &'a str,
    pub(in crate::state) who: &'a str,
    pub(super) keep: Keep,
}

impl Item for WhoItem<'_> {
    const KIND: u8 = kind::WHO;
}

/// A mark. All else that is known of marks follows from them and from how long they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::state) struct MarkItem<'a> {
    pub(in crate::state) realm: &'a str,
    pub(in crate::state) who: &'a str,
    pub(in crate::state) name: NameRef<'a>,
    pub(super) is_resting: bool,
    pub(super) mark: Mark,
}

impl Item for MarkItem<'_> {
    const KIND: u8 = kind::MARK;
}

#[cfg(test)]
mod tests {
    use vixen_core::id::Position;
    use vixen_core::time::WallTime;

    use super::*;
    use crate::state::{Found, Refusal, Was};

    /// Golden: sums are compared between entries of different versions.
    #[test]
    fn items_have_these_bytes() {
        let who = WhoItem {
            realm: "r",
            who: "joe",
            keep: Keep { ms: 600_000, count: 10_000, producer_ms: 300 },
        };
        let bytes = b"\x10\x0d\0\0\0\x01r\x03joe\xc0\xcf\x24\x90\x4e\xac\x02";
        assert_eq!(who.to_bytes(), bytes);
        let at = (Position(300), Position(301), WallTime(5));
        let refused = Refusal::Condition { at: 1, found: Found::Version(Position(2)) };
        // A mark, and the bytes of its name and of what became of it.
        type Row = (NameRef<'static>, bool, Was, &'static [u8], &'static [u8]);
        let table: [Row; 5] = [
            (NameRef::Id("i"), false, Was::Accepted, b"\0\x01i\0", b"\0"),
            (NameRef::Number("p", 300), true, Was::Accepted, b"\x01\x01p\xac\x02\x01", b"\0"),
            (NameRef::Id("i"), false, Was::Refused(refused), b"\0\x01i\0", b"\x01\0\x01\x01\x02"),
            (NameRef::Id("i"), false, Was::Waits, b"\0\x01i\0", b"\x02"),
            (NameRef::Id("i"), false, Was::Won { at: at.0 }, b"\0\x01i\0", b"\x03\xac\x02"),
        ];
        for (name, is_resting, was, named, became) in table {
            let mark = Mark { of: at.1, by: at.0, at: at.2, digest: [9; 8], was };
            let item = MarkItem { realm: "r", who: "", name, is_resting, mark };
            let body: [&[u8]; 5] = [b"\x01r\0", named, b"\xad\x02\xac\x02\x05", &[9; 8], became];
            let body = body.concat();
            let length = u8::try_from(body.len()).expect("small");
            let head = [17, length, 0, 0, 0];
            assert_eq!(item.to_bytes(), [&head[..], &body].concat(), "{was:?}");
        }
    }
}
