//! Standing: how far a peer's store is, as this node remembers it (DESIGN §4 rule 9).
//!
//! A store counts its commits, and says the count before whatever depends on one. Who remembers
//! more commits than the store has, or another store, knows that promises were lost: the store was
//! wiped, copied or rolled back, and must not vote under its old name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use vixen_core::id::{StoreId, SyncId};
use vixen_core::wire::StandingRefusal;

/// What is remembered of a peer; one row of the database `peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its store.
    pub store: StoreId,
    /// Random number of its process.
    pub run: u64,
    /// Commits of that store.
    pub commits: u64,
}

/// What is remembered of all peers, and what of that is not on disk yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    known: BTreeMap<SyncId, Standing>,
    unwritten: BTreeMap<SyncId, Standing>,
    /// A peer of which nothing is on disk is among the unwritten.
    has_stranger: bool,
}

impl Standings {
    /// What is on disk.
    #[must_use]
    pub fn new(known: Vec<(SyncId, Standing)>) -> Self {
        Self { known: known.into_iter().collect(), unwritten: BTreeMap::new(), has_stranger: false }
    }

    /// Takes what a peer says of itself.
    ///
    /// # Errors
    /// When it contradicts what is remembered; that stays remembered.
    pub fn take(&mut self, peer: SyncId, said: Standing) -> Result<(), StandingRefusal> {
        if let Some(known) = self.known.get(&peer) {
            judge(known, &said)?;
            if *known == said {
                return Ok(());
            }
        } else {
            self.has_stranger = true;
        }
        self.known.insert(peer, said);
        self.unwritten.insert(peer, said);
        Ok(())
    }

    /// What is remembered of a peer.
    #[must_use]
    pub fn get(&self, peer: SyncId) -> Option<&Standing> {
        self.known.get(&peer)
    }

    /// Whether a peer counts that nobody here would remember after a crash: that cannot wait.
    #[must_use]
    pub const fn has_stranger(&self) -> bool {
        self.has_stranger
    }

    /// What is to be written with the next commit.
    #[must_use]
    pub fn unwritten(&self) -> Vec<(SyncId, Standing)> {
        self.unwritten.iter().map(|(peer, standing)| (*peer, *standing)).collect()
    }

    /// All of that is on disk.
    pub fn written(&mut self) {
        self.has_stranger = false;
        self.unwritten.clear();
    }
}

fn judge(known: &Standing, said: &Standing) -> Result<(), StandingRefusal> {
    if said.store != known.store {
        return Err(StandingRefusal::OtherStore { remembered: known.store });
    }
    // Each start makes a commit, so another process on the store has more of them.
    let least = if said.run == known.run { known.commits } else { known.commits.saturating_add(1) };
    if said.commits < least {
        return Err(StandingRefusal::OlderStore { remembered: known.commits });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SyncId = SyncId(1);

    fn standing(store: u128, run: u64, commits: u64) -> Standing {
        Standing { store: StoreId(uuid::Uuid::from_u128(store)), run, commits }
    }

    fn standings() -> Standings {
        Standings::new(vec![(PEER, standing(7, 1, 100))])
    }

    #[test]
    fn a_stranger_is_remembered_and_written_once() {
        let mut standings = Standings::default();
        assert_eq!(standings.take(PEER, standing(7, 1, 5)), Ok(()));
        assert!(standings.has_stranger());
        assert_eq!(standings.take(PEER, standing(7, 1, 9)), Ok(()));
        assert!(standings.has_stranger(), "its first word is not written yet");
        assert_eq!(standings.unwritten(), [(PEER, standing(7, 1, 9))]);
        standings.written();
        assert!(!standings.has_stranger());
        assert_eq!(standings.take(PEER, standing(7, 1, 9)), Ok(()));
        assert!(standings.unwritten().is_empty());
    }

    #[test]
    fn a_restart_goes_on_counting() {
        let mut standings = standings();
        assert_eq!(standings.take(PEER, standing(7, 2, 101)), Ok(()));
        assert!(!standings.has_stranger(), "its store is on disk already");
    }

    #[test]
    fn a_wiped_store_is_another_store() {
        let refusal = standings().take(PEER, standing(8, 2, 1));
        let remembered = standing(7, 1, 100).store;
        assert_eq!(refusal, Err(StandingRefusal::OtherStore { remembered }));
    }

    #[test]
    fn a_rolled_back_store_is_older() {
        let refusal = standings().take(PEER, standing(7, 2, 60));
        assert_eq!(refusal, Err(StandingRefusal::OlderStore { remembered: 100 }));
    }

    #[test]
    fn a_copy_that_starts_beside_the_original_is_found_out() {
        // Both begin with the same count, and one of them was here first.
        let refusal = standings().take(PEER, standing(7, 2, 100));
        assert_eq!(refusal, Err(StandingRefusal::OlderStore { remembered: 100 }));
    }

    #[test]
    fn the_largest_count_a_peer_can_say_overflows_nothing() {
        let mut standings = Standings::new(vec![(PEER, standing(7, 1, u64::MAX))]);
        assert_eq!(standings.take(PEER, standing(7, 2, u64::MAX)), Ok(()));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut standings = standings();
        assert!(standings.take(PEER, standing(8, 2, 500)).is_err());
        assert_eq!(standings.get(PEER), Some(&standing(7, 1, 100)));
        assert!(standings.unwritten().is_empty());
    }
}
