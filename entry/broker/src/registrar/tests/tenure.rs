//! From when on who holds a procedure alone may be invoked.

use vixen_views::record::{Gone, GoneWhy};

use super::*;
use crate::dealer::Hold;

fn life(owner: u128) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number: 1 }
}

impl Bench {
    pub(super) fn other(&mut self, owner: u128, said: Said) -> Effects {
        let mut fx = Effects::default();
        self.read(&Record { writer: life(owner), said }, &mut fx);
        self.written.extend(fx.records.drain(..));
        if !self.stands_still {
            self.place(&mut fx);
        }
        fx
    }

    pub(super) fn born(&mut self, owner: u128, name: &str) {
        let name = name.parse().expect("a name");
        self.other(owner, Said::Life(Facts { name, link_address: None, reads: Reads::HERE }));
        self.link(owner, EntryLink::Up);
    }

    fn hold(&self, id: RegistrationId) -> Option<Hold> {
        self.registrar.hold(self.now, Position(id.0))
    }

    /// Another entry has it, which is called gone; and session 1 then. The id, and where the record of its end is.
    fn taken_over(invoke: Policy) -> (Self, RegistrationId, Position) {
        let mut bench = Self::new();
        bench.born(8, "E2");
        bench.born(9, "E3");
        bench.other(
            8,
            Said::Register(record::Register {
                number: 1,
                session: 1,
                pattern: TopicPattern::new("r", "a", Match::Exact),
                invoke: invoke_of(invoke),
                is_forced: false,
                keeps_timeouts: false,
            }),
        );
        bench.other(9, Said::Gone(Gone { life: life(8), why: GoneWhy::NotHeard }));
        let end = bench.position;
        let id = bench.registered(1, "a", invoke);
        (bench, id, end)
    }
}

fn is_applied(fx: &Effects) -> bool {
    fx.dealer.iter().any(|input| matches!(input, dealer::Input::Applied))
}

#[test]
fn a_holder_waits_until_the_lease_of_the_one_before_is_over() {
    let (mut bench, id, _) = Bench::taken_over(Policy::Single);
    assert_eq!(bench.hold(id), Some(Hold::HandOver));
    let at = bench.registrar.timeout_at().expect("a time");
    assert_eq!(at, bench.now + Duration::from_millis(2_020));
    bench.now = at;
    let mut fx = Effects::default();
    let missing = "a quorum".into();
    bench.registrar.step(bench.now, Input::Timeout { missing }, &mut fx);
    assert!(is_applied(&fx), "those who wait are looked at again");
    assert_eq!((bench.hold(id), bench.registrar.timeout_at()), (Some(Hold::Lease), None));
}

#[test]
fn or_until_its_entry_has_applied_the_end() {
    let (mut bench, id, end) = Bench::taken_over(Policy::Single);
    let owner = life(8).owner;
    let mut told = |below| {
        let mut fx = Effects::default();
        let input = Input::Standing { owner, applied_below: Position(below) };
        bench.registrar.step(bench.now, input, &mut fx);
        (is_applied(&fx), bench.registrar.hold(bench.now, Position(id.0)))
    };
    assert_eq!(told(end.0), (true, Some(Hold::HandOver)));
    assert_eq!(told(end.0), (false, Some(Hold::HandOver)), "it is no news");
    assert_eq!(told(end.0 + 1), (true, Some(Hold::Lease)));
    // What was said on a link that is gone may be of a life that is over.
    let mut fx = Effects::default();
    bench.registrar.step(bench.now, Input::Entry { owner, link: EntryLink::Down }, &mut fx);
    assert_eq!(bench.hold(id), Some(Hold::HandOver));
}

#[test]
fn shared_ones_wait_for_nobody_and_one_that_is_alone_for_no_lease() {
    let (bench, id, _) = Bench::taken_over(Policy::First);
    assert_eq!(bench.hold(id), None);
    let mut bench = Bench::new();
    let id = bench.registered(1, "a", Policy::Single);
    assert_eq!(bench.hold(id), None, "no other entry is there");
    bench.born(8, "E2");
    assert_eq!(bench.hold(id), Some(Hold::Lease));
}

#[test]
fn who_ends_a_registration_of_its_own_waits_for_nobody() {
    let mut bench = Bench::new();
    bench.born(8, "E2");
    bench.registered(1, "a", Policy::Single);
    bench.step(Input::Closed { session: SessionId(1) });
    let id = bench.registered(2, "a", Policy::Single);
    assert_eq!(bench.hold(id), Some(Hold::Lease));
    let fx = bench.register(3, "a", Policy::Single, true);
    let Some((_, CallTold::Registered { registration, .. })) = fx.told.last() else {
        panic!("{fx:?}");
    };
    assert_eq!(bench.hold(*registration), Some(Hold::Lease));
}

#[test]
fn who_is_taken_out_or_unseated_here_is_not_invoked_from_before_that_is_written() {
    let leaves = |fx: &Effects, id: RegistrationId| {
        let is_it = |input: &dealer::Input| {
            matches!(
                input,
                dealer::Input::Leaves { session: SessionId(1), registration }
                    if registration.0 == id.0
            )
        };
        fx.dealer.iter().any(is_it)
    };
    let mut bench = Bench::new();
    let id = bench.registered(1, "a", Policy::Single);
    bench.stands_still = true;
    assert!(leaves(&bench.register(2, "a", Policy::Single, true), id));
    let mut bench = Bench::new();
    let id = bench.registered(1, "a", Policy::Single);
    bench.stands_still = true;
    let (realm, registration, session) = ("r".into(), Position(id.0), SessionId(1));
    assert!(leaves(&bench.step(Input::Remove { realm, registration, session }), id));
}

#[test]
fn where_no_other_entry_can_join_nobody_waits_for_a_process_that_is_no_more() {
    let (mut bench, id, _) = Bench::taken_over(Policy::Single);
    assert_eq!(bench.hold(id), Some(Hold::HandOver));
    bench.other(9, Said::Gone(Gone { life: life(9), why: GoneWhy::Renamed }));
    assert_eq!(bench.hold(id), None, "it is alone");
}
