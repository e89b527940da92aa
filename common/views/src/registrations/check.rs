//! The invariants, looked at as a whole: costs as much as the view is large.

use std::collections::BTreeSet;

use super::limits::Counts;
use super::{Callee, Registration, Registrations};
use crate::record::{Invoke, RegistrationId};

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// G2.
    #[error("{0} is single and has {1} callees")]
    NotSingle(RegistrationId, usize),
    /// G2; a registration ends with its last callee.
    #[error("{0} has no callee")]
    NoCallee(RegistrationId),
    /// G2.
    #[error("{0} has {1:?} twice")]
    Twice(RegistrationId, Callee),
    /// G2.
    #[error("{0} has {1:?}, whose life is not alive")]
    NotAlive(RegistrationId, Callee),
    /// G3.
    #[error("{0} is not the position of its first callee or one before, or is to come")]
    NotItsPosition(RegistrationId),
    /// What is looked up by is not what there is.
    #[error("{0} is not found by its pattern, or by a callee of it")]
    NotFound(RegistrationId),
    /// What is looked up by is not what there is.
    #[error("more can be looked up than there is")]
    TooMuch,
}

impl Registrations {
    /// Looks whether the invariants hold.
    ///
    /// # Errors
    /// The first that does not.
    pub fn verify(&self) -> Result<(), Broken> {
        let table = &self.table;
        for (id, registration) in &table.by_id {
            self.verify_one(*id, registration)?;
            let callees = registration.callees.iter();
            let is_found = table.by_pattern.get(&registration.pattern) == Some(id)
                && table.index.get(&registration.pattern) == Some(id)
                && callees.into_iter().all(|(place, callee)| {
                    let places = table.by_callee.get(&callee);
                    places.and_then(|places| places.get(id)) == Some(&place)
                });
            if !is_found {
                return Err(Broken::NotFound(*id));
            }
        }
        let callees: usize = table.by_id.values().map(|there| there.callees.len()).sum();
        let by_callee: usize = table.by_callee.values().map(|places| places.len()).sum();
        let counted =
            |all: &dyn Fn(&Counts) -> usize| table.realms.values().map(all).sum::<usize>();
        let patterns = table.by_pattern.keys().filter(|pattern| !pattern.is_exact()).count();
        let is_all = table.by_pattern.len() == table.by_id.len()
            && counted(&|of| of.all) == table.by_id.len()
            && counted(&|of| of.patterns) == patterns
            && self.lives.is_whole()
            && self.ends.is_whole()
            && table.index.len() == table.by_id.len()
            && callees == table.callees
            && callees == by_callee;
        if is_all { Ok(()) } else { Err(Broken::TooMuch) }
    }

    fn verify_one(&self, id: RegistrationId, registration: &Registration) -> Result<(), Broken> {
        let callees = &registration.callees;
        if registration.invoke == Invoke::Single && callees.len() > 1 {
            return Err(Broken::NotSingle(id, callees.len()));
        }
        let Some((first, _)) = callees.iter().next() else { return Err(Broken::NoCallee(id)) };
        let mut before = BTreeSet::new();
        for (place, callee) in callees.iter() {
            if !before.insert(callee) {
                return Err(Broken::Twice(id, callee));
            }
            if !self.lives.is_alive(callee.life) {
                return Err(Broken::NotAlive(id, callee));
            }
            if place > self.position {
                return Err(Broken::NotItsPosition(id));
            }
        }
        if id != registration.id || id.0 > first.0 {
            return Err(Broken::NotItsPosition(id));
        }
        Ok(())
    }

    /// The same, for tests and simulations.
    ///
    /// # Panics
    /// When an invariant does not hold.
    pub fn check(&self) {
        if let Err(broken) = self.verify() {
            panic!("at {}: {broken}", self.position);
        }
    }
}
