//! Each rule is broken in turn, and some seed must notice.

use std::panic::catch_unwind;

use crate::mutant::Mutant;
use crate::world::World;

/// Seeds tried for one broken rule at most.
const SEEDS_MAX: u64 = 2_000;

#[test]
fn every_broken_rule_is_noticed() {
    // What a noticed rule says goes to the summary, not to the terminal.
    std::panic::set_hook(Box::new(|_| {}));
    let mut unnoticed = Vec::new();
    for mutant in Mutant::ALL {
        Mutant::activate(Some(mutant));
        let noticed = (0..SEEDS_MAX).find_map(|seed| {
            let panic = catch_unwind(|| World::run(seed, Some(mutant), false)).err()?;
            let said = panic.downcast_ref::<String>().cloned();
            Some((seed, said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string))))
        });
        Mutant::activate(None);
        match noticed {
            Some((seed, said)) => {
                let said = said.unwrap_or_default();
                println!("{mutant:?}: seed {seed}: {}", said.lines().next().unwrap_or_default());
            }
            None => unnoticed.push(mutant),
        }
    }
    let _quiet = std::panic::take_hook();
    assert!(unnoticed.is_empty(), "{SEEDS_MAX} seeds do not notice {unnoticed:?}");
}
