//! Each rule is broken in turn, and some seed must notice.

use std::cell::Cell;
use std::panic::catch_unwind;
use std::sync::Once;

use crate::mutant::Mutant;
use crate::world::World;

/// Seeds tried for one broken rule at most.
const SEEDS_MAX: u64 = 2_000;

thread_local! {
    /// What panics say on this thread goes to the summary, not to the terminal.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

fn be_quiet() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() {
                before(panic);
            }
        }));
    });
    IS_QUIET.set(true);
}

/// The first seed that notices, and what it says.
fn noticed(mutant: Mutant) -> Option<(u64, String)> {
    be_quiet();
    let noticed = (0..SEEDS_MAX).find_map(|seed| {
        let panic = catch_unwind(|| World::run(seed, Some(mutant), false)).err()?;
        let said = panic.downcast_ref::<String>().cloned();
        let said = said.or_else(|| panic.downcast_ref::<&str>().map(ToString::to_string));
        Some((seed, said.unwrap_or_default()))
    });
    IS_QUIET.set(false);
    noticed
}

#[test]
fn every_broken_rule_is_noticed() {
    let mut unnoticed = Vec::new();
    for mutant in Mutant::all() {
        match noticed(mutant) {
            Some((seed, said)) => {
                println!("{mutant:?}: seed {seed}: {}", said.lines().next().unwrap_or_default());
            }
            None => unnoticed.push(mutant),
        }
    }
    assert!(unnoticed.is_empty(), "{SEEDS_MAX} seeds do not notice {unnoticed:?}");
}
