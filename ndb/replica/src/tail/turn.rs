//! Turn: how long a tail works before others have theirs.
//!
//! An ndb node runs on one thread, and a tail that finds nothing of interest sends nothing, so it
//! would go through all there is without a rest: TRIM, drafts and other tails with it.

/// Work of one turn, in steps of the index of patterns: some 50 ns each.
const TURN_WORK: usize = 1024;
/// A pattern that comes or goes.
pub(crate) const PATTERN_WORK: usize = 8;
/// A segment, beside what looking up its topics takes.
pub(crate) const SEGMENT_WORK: usize = TURN_WORK / 32;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    done: usize,
}

impl Turn {
    /// Some work is done.
    pub(crate) const fn work(&mut self, work: usize) {
        self.done += work;
    }

    /// Whether others have their turn now.
    pub(crate) const fn is_over(&self) -> bool {
        self.done >= TURN_WORK
    }

    /// Whether they have; then the next one begins.
    pub(crate) const fn take_over(&mut self) -> bool {
        let is_over = self.is_over();
        if is_over {
            self.done = 0;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(turn: &mut Turn, work: usize) -> usize {
        let is_over = |turn: &mut Turn| {
            turn.work(work);
            turn.take_over()
        };
        1 + (0..).take_while(|_| !is_over(turn)).count()
    }

    #[test]
    fn a_turn_is_some_segments_and_fewer_where_they_have_many_topics() {
        let segments = |topics: usize| pieces(&mut Turn::default(), SEGMENT_WORK + topics);
        assert_eq!(segments(0), 32);
        assert_eq!(segments(224), 4);
        assert_eq!(segments(4_096), 1, "one is always done");
        let mut turn = Turn::default();
        let mut is_over = |_: &usize| {
            turn.work(PATTERN_WORK);
            turn.take_over()
        };
        assert_eq!((0..10_000).filter(|at| is_over(at)).count(), 78);
    }
}
