//! Which entry an owner id belongs to.
//!
//! An owner id is one incarnation of an entry, and `/status` shows it to all. The first name that it
//! is linked under keeps it, whenever it is made anew: another entry that claims it is refused. With names in certificates a
//! name is proved; without them this holds between entries that say their own names.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use vixen_core::id::OwnerId;
use vixen_core::name::NodeName;
use vixen_core::time::WallTime;

/// Owners that are remembered: an entry has a new one at each start.
const OWNERS_MAX: usize = 4096;

/// See the module doc. All clones are of one memory.
#[derive(Clone, Debug, Default)]
pub struct Owners(Arc<Mutex<BTreeMap<Process, Known>>>);

/// What all owner ids of an entry's process have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Process(OwnerId);

impl Process {
    fn of(owner: OwnerId) -> Self {
        Self(if owner.made_at().is_some() { owner.made_anew(WallTime(0)) } else { owner })
    }
}

#[derive(Debug)]
struct Known {
    name: NodeName,
    /// With the time at which it was made.
    first: OwnerId,
}

impl Owners {
    /// Whether `name` may be `owner`; from now on nobody else may.
    pub(super) fn claim(&self, owner: OwnerId, name: &NodeName) -> bool {
        let mut owners = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = owners.get(&Process::of(owner)) {
            return known.name == *name;
        }
        if owners.len() >= OWNERS_MAX {
            forget_one(&mut owners);
        }
        owners.insert(Process::of(owner), Known { name: name.clone(), first: owner });
        true
    }
}

/// The oldest of the name that has most: who claims very many owners displaces its own.
fn forget_one(owners: &mut BTreeMap<Process, Known>) {
    let mut counts: BTreeMap<&NodeName, (usize, OwnerId)> = BTreeMap::new();
    for Known { name, first } in owners.values() {
        let (count, oldest) = counts.entry(name).or_insert((0, *first));
        *count += 1;
        *oldest = (*first).min(*oldest);
    }
    let most = counts.into_values().max_by_key(|(count, _)| *count);
    if let Some((_, oldest)) = most {
        owners.remove(&Process::of(oldest));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(n: usize) -> OwnerId {
        OwnerId(uuid::Uuid::from_u128(n as u128))
    }

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    #[test]
    fn an_owner_stays_with_the_entry_that_came_first() {
        let owners = Owners::default();
        assert!(owners.claim(owner(1), &name("E1")));
        assert!(!owners.claim(owner(1), &name("E2")), "another entry claims it");
        assert!(owners.claim(owner(1), &name("E1")), "a new link of the same");
        assert!(owners.claim(owner(2), &name("E2")));
    }

    /// As peers are judged by what they say: an entry goes on as an owner that is made anew.
    #[test]
    fn an_owner_that_is_made_anew_is_of_the_same_entry() {
        let owners = Owners::default();
        let first = crate::ids::new_owner_id();
        let anew = first.made_anew(WallTime(first.made_at().expect("a time").0 + 1));
        assert!(owners.claim(first, &name("E1")));
        assert!(!owners.claim(anew, &name("E2")), "another entry claims it");
        assert!(owners.claim(anew, &name("E1")));
        assert!(owners.claim(crate::ids::new_owner_id(), &name("E2")));
    }

    #[test]
    fn who_claims_very_many_displaces_its_own() {
        let owners = Owners::default();
        assert!(owners.claim(owner(0), &name("E1")));
        for n in 1..=2 * OWNERS_MAX {
            assert!(owners.claim(owner(n), &name("E2")));
        }
        assert!(!owners.claim(owner(0), &name("E2")), "the honest one is still known");
        assert_eq!(owners.0.lock().expect("sound").len(), OWNERS_MAX);
    }
}
