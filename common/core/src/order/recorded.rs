//! The reader as a machine that can be recorded.

use std::fmt::Debug;

use serde::{Deserialize, Serialize};

use super::{Effects, Input, Reader};
use crate::id::{Position, Stamp};
use crate::membership::Membership;
use crate::recording::{self, Machine, Now, Tell, tell_all};

/// What a reader begins with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReaderStart {
    /// Whose feeds there are.
    pub membership: Membership,
    /// All segments up to this stamp are placed.
    pub after: Stamp,
    /// The next position.
    pub next: Position,
}

impl Tell for Effects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        let Self { learned, placed, follows, counts, fetches, left_behind, notes } = self;
        tell_all("learned", learned, told);
        tell_all("placed", placed, told);
        tell_all("follow", follows, told);
        tell_all("count", counts, told);
        tell_all("fetch", fetches, told);
        left_behind.iter().for_each(|base| told("left behind", base));
        tell_all("note", notes, told);
    }
}

impl recording::Effects for Effects {
    fn append(&mut self, later: Self) {
        let Self { learned, placed, follows, counts, fetches, left_behind, notes } = later;
        self.learned.extend(learned);
        self.placed.extend(placed);
        self.follows.extend(follows);
        self.counts.extend(counts);
        self.fetches.extend(fetches);
        self.left_behind = left_behind.or(self.left_behind);
        self.notes.extend(notes);
    }
}

impl Machine for Reader {
    const NAME: &'static str = "reader";
    type Start = ReaderStart;
    type Input = Input;
    type Effects = Effects;

    fn begin(start: ReaderStart, _now: Now) -> Self {
        Self::new(&start.membership, start.after, start.next)
    }

    fn advance(&mut self, input: Input, now: Now, fx: &mut Effects) {
        self.step(input, now.instant, fx);
    }
}
