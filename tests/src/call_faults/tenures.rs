//! Tenures: which registrations of a procedure with one callee its callees were invoked by, and when.
//!
//! The id of a registration is its place in the order, so of two of one procedure the higher one is the later
//! holder's. Once it was invoked, nobody is invoked by a lower one.

use std::collections::BTreeMap;
use std::time::Instant;

/// By procedure and registration.
#[derive(Debug, Default)]
pub(super) struct Tenures {
    by_procedure: BTreeMap<usize, BTreeMap<u64, Tenure>>,
}

/// One holder's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tenure {
    /// Session of the callee.
    pub(super) session: u64,
    first: Instant,
    /// Invocations.
    pub(super) count: u64,
}

/// What an invocation is among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Invoked {
    InOrder,
    /// A later holder was invoked before, for the first time at this moment.
    Late {
        newer: u64,
        since: Instant,
    },
    /// Another session was invoked by the same registration.
    Twice {
        other: u64,
    },
}

impl Tenures {
    /// A session has received an invocation of `procedure` by this registration.
    pub(super) fn invoked(
        &mut self,
        now: Instant,
        procedure: usize,
        registration: u64,
        session: u64,
    ) -> Invoked {
        let tenures = self.by_procedure.entry(procedure).or_default();
        let newer = tenures.range(registration + 1..);
        let newer = newer.min_by_key(|(_, tenure)| tenure.first).map(|(id, at)| (*id, at.first));
        let tenure =
            tenures.entry(registration).or_insert(Tenure { session, first: now, count: 0 });
        tenure.count += 1;
        if tenure.session != session {
            return Invoked::Twice { other: tenure.session };
        }
        newer.map_or(Invoked::InOrder, |(newer, since)| Invoked::Late { newer, since })
    }

    /// All of them: procedure, registration, tenure.
    pub(super) fn iter(&self) -> impl Iterator<Item = (usize, u64, Tenure)> {
        self.by_procedure.iter().flat_map(|(procedure, tenures)| {
            tenures.iter().map(|(registration, tenure)| (*procedure, *registration, *tenure))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_former_holder_is_late_and_two_sessions_of_one_registration_are_one_too_many() {
        let (begun, mut tenures) = (Instant::now(), Tenures::default());
        let at = |ms| begun + Duration::from_millis(ms);
        assert_eq!(tenures.invoked(at(0), 0, 7, 1), Invoked::InOrder);
        assert_eq!(tenures.invoked(at(1), 0, 7, 1), Invoked::InOrder);
        assert_eq!(tenures.invoked(at(2), 0, 9, 2), Invoked::InOrder);
        assert_eq!(tenures.invoked(at(3), 1, 8, 1), Invoked::InOrder, "another procedure");
        assert_eq!(tenures.invoked(at(4), 0, 7, 1), Invoked::Late { newer: 9, since: at(2) });
        assert_eq!(tenures.invoked(at(5), 0, 12, 3), Invoked::InOrder);
        assert_eq!(tenures.invoked(at(6), 0, 7, 1), Invoked::Late { newer: 9, since: at(2) });
        assert_eq!(tenures.invoked(at(7), 0, 12, 1), Invoked::Twice { other: 3 });
        let all: Vec<_> = tenures.iter().map(|(p, id, tenure)| (p, id, tenure.count)).collect();
        assert_eq!(all, [(0, 7, 4), (0, 9, 1), (0, 12, 2), (1, 8, 1)]);
    }
}
