//! Turn: how long a tail works before others have theirs.
//!
//! An ndb node runs on one thread, and a tail that finds nothing of interest sends nothing, so it
//! would go through all there is without an await that waits: TRIM, drafts and other tails with it.

/// Work of one turn, in steps of the index of patterns: some 50 ns each.
const TURN_WORK: usize = 1024;
/// A pattern that comes or goes.
pub(super) const PATTERN_WORK: usize = 8;
/// A segment, beside what looking up its topics takes.
pub(super) const SEGMENT_WORK: usize = TURN_WORK / 32;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Turn {
    done: usize,
}

impl Turn {
    /// Some work is to be done, after others have had their turn where this one's is over.
    pub(super) async fn work(&mut self, work: usize) {
        if self.is_over(work) {
            tokio::task::yield_now().await;
        }
    }

    fn is_over(&mut self, work: usize) -> bool {
        let is_over = self.done > 0 && self.done + work > TURN_WORK;
        if is_over {
            self.done = 0;
        }
        self.done += work;
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_some_segments_and_fewer_where_they_have_many_topics() {
        let segments = |topics: usize| {
            let mut turn = Turn::default();
            (0..).take_while(|_| !turn.is_over(SEGMENT_WORK + topics)).count()
        };
        assert_eq!(segments(0), 32);
        assert_eq!(segments(224), 4);
        assert_eq!(segments(4_096), 1, "one is always done");
        let mut turn = Turn::default();
        assert_eq!((0..10_000).filter(|_| turn.is_over(PATTERN_WORK)).count(), 78);
    }

    /// A neighbour on the one thread gets its turns while the tail works.
    #[tokio::test]
    async fn others_have_their_turns_in_between() {
        let neighbour = std::rc::Rc::new(std::cell::Cell::new(0));
        let local = tokio::task::LocalSet::new();
        let turns = std::rc::Rc::clone(&neighbour);
        local.spawn_local(async move {
            loop {
                turns.set(turns.get() + 1);
                tokio::task::yield_now().await;
            }
        });
        local
            .run_until(async {
                let mut turn = Turn::default();
                for _ in 0..64 {
                    turn.work(SEGMENT_WORK).await;
                }
            })
            .await;
        assert!(neighbour.get() >= 1, "64 segments are more than a turn");
    }
}
