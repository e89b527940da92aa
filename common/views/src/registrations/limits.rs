//! Limits: how much registrations may take, for whoever writes REGISTER.
//!
//! The view itself has none of them: they are settings, and views are to be equal where settings differ.

use vixen_core::segment::TopicPattern;

use super::Registrations;

/// Bounds of a realm; see `[limits]` in the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RealmLimits {
    /// Most registrations.
    pub registrations_max: usize,
    /// Of these, most that are no exact procedures.
    pub patterns_max: usize,
    /// Most nodes that a lookup may take for wildcards.
    pub wildcard_steps_max: usize,
}

/// Why a realm has no room for one more registration. It has for callees of those that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoRoom {
    /// It has as many as it may.
    #[error("the realm has {max} registrations, as many as it may have")]
    Registrations {
        /// So many.
        max: usize,
    },
    /// It has as many that are no exact procedures.
    #[error("the realm has {max} registrations by pattern, as many as it may have")]
    Patterns {
        /// So many.
        max: usize,
    },
    /// Each call would take too long to find its procedure.
    #[error("wildcards of so many shapes cost each call of the realm more than {max} steps")]
    Shapes {
        /// So many.
        max: usize,
    },
}

/// How many registrations a realm has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) all: usize,
    /// That are no exact procedures.
    pub(super) patterns: usize,
}

impl Registrations {
    /// Whether a registration of `pattern` may be added to those of its realm. To be asked before REGISTER is
    /// written: what is written is applied.
    ///
    /// # Errors
    /// Which bound it is over.
    pub fn admit(&self, pattern: &TopicPattern, limits: &RealmLimits) -> Result<(), NoRoom> {
        if self.find(pattern).is_some() {
            return Ok(());
        }
        let RealmLimits { registrations_max, patterns_max, wildcard_steps_max } = *limits;
        let Counts { all, patterns } = self.table.counts(&pattern.realm);
        if all >= registrations_max {
            return Err(NoRoom::Registrations { max: registrations_max });
        }
        if !pattern.is_exact() && patterns >= patterns_max {
            return Err(NoRoom::Patterns { max: patterns_max });
        }
        let steps = self.cost_with(pattern);
        if steps > wildcard_steps_max && steps > self.table.index.cost(&pattern.realm) {
            return Err(NoRoom::Shapes { max: wildcard_steps_max });
        }
        Ok(())
    }
}
