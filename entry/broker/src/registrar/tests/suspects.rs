//! Entries that may be gone: who asks and says so, and who waits for it.

use vixen_core::id::SyncId;
use vixen_views::record::{Gone, GoneWhy};

use super::held::HELD_MAX;
use super::order::{born, errors, life, no_quorum, registers};
use super::*;

const MS: Duration = Duration::from_millis(1);

fn owner(n: u128) -> OwnerId {
    life(n, 1).owner
}

fn exists(uri: &str) -> (u64, CalleeRequest, RegisterError) {
    (1, CalleeRequest::Register, RegisterError::AlreadyExists(uri.into()))
}

/// The life of an owner is over.
fn gone(of: u128, by: u128) -> Record {
    let gone = Gone { life: life(of, 1), why: GoneWhy::NotHeard };
    Record { writer: life(by, 1), said: Said::Gone(gone) }
}

impl Bench {
    /// The link to an entry has changed.
    pub(super) fn link(&mut self, owner: u128, link: EntryLink) -> Effects {
        self.step(Input::Entry { owner: life(owner, 1).owner, link })
    }

    /// So many sync nodes answer so.
    fn answer(&mut self, nodes: u8, request: u64, said: HeardOf) -> Effects {
        let mut all = Effects::default();
        for node in 0..nodes {
            let fx = self.step(Input::Heard { from: SyncId(node), request, said });
            all.told.extend(fx.told);
        }
        all
    }

    /// Beside an entry that holds `a`, and is linked.
    fn beside_a_holder() -> Self {
        let mut bench = Self::new();
        bench.hear(&born(8, "E2"));
        bench.hear(&registers(8, "a"));
        bench.link(8, EntryLink::Up);
        bench
    }

    /// Waits for the end of the holder.
    fn wants_a(&mut self) {
        let fx = self.register(1, "a", Policy::Single, false);
        assert!(fx.told.is_empty() && fx.records.is_empty(), "{fx:?}");
        assert!(self.written.is_empty(), "it is not written: {:?}", self.written);
        assert!(self.registrar.is_awaited());
    }
}

fn unheard() -> HeardOf {
    HeardOf { is_linked: false, silent_ms: 900 }
}

#[test]
fn an_entry_that_a_quorum_does_not_hear_is_called_gone_and_all_that_it_had_ends() {
    let mut bench = Bench::beside_a_holder();
    assert_eq!(bench.registrar.timeout_at(), None, "it is linked");
    bench.link(8, EntryLink::Down);
    let fx = bench.wait(499 * MS);
    assert_eq!((fx.asks, bench.registrar.trust_of(owner(8))), (vec![], Trust::Heard));
    let fx = bench.wait(MS);
    assert_eq!(
        (fx.asks, bench.registrar.trust_of(owner(8))),
        (vec![(1, owner(8))], Trust::Suspected)
    );
    bench.answer(2, 1, unheard());
    let fx = bench.wait(200 * MS);
    assert_eq!(fx.asks, [], "it has its answers");
    let wanted = Note::Gone { life: life(8, 1), why: GoneWhy::NotHeard, by: life(7, 1) };
    assert_eq!(fx.notes, [wanted]);
    assert!(bench.callees("r", "a").is_empty());
    assert_eq!(bench.registrar.suspects.timeout_at(), None);
}

#[test]
fn nobody_is_asked_and_nobody_is_called_gone_by_a_view_that_is_not_ready() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Down);
    bench.wait(500 * MS);
    bench.answer(2, 1, unheard());
    bench.stands_still = true;
    // Its own life is over.
    let fx = bench.hear(&gone(7, 8));
    let own = Note::Gone { life: life(7, 1), why: GoneWhy::NotHeard, by: life(8, 1) };
    assert_eq!(fx.notes, [own]);
    let at_once = bench.registrar.timeout_at();
    let fx = bench.wait(1_000 * MS);
    assert_eq!((at_once, fx.asks.len(), bench.written.len()), (None, 0, 1), "its next life alone");
    bench.go_on();
    assert_eq!(bench.registrar.life(), life(7, 2));
    let fx = bench.wait(MS);
    assert!(
        matches!(fx.notes[..], [Note::Gone { life: over, .. }] if over == life(8, 1)),
        "{fx:?}"
    );
}

#[test]
fn a_view_that_begins_anew_watches_the_lives_that_it_has() {
    let mut bench = Bench::seeking(LIMITS);
    bench.stands_still = true;
    for input in [follower::Input::Begin, follower::Input::EarlierRead { is_all: true }] {
        bench.step(Input::View(input));
    }
    let over = gone(5, 8);
    for record in [born(8, "E2"), born(5, "E3"), over] {
        let fx = bench.hear(&record);
        assert_eq!(fx.notes, [], "it is of long ago");
    }
    bench.step(Input::View(follower::Input::Joined));
    bench.wait(9_000 * MS);
    bench.go_on();
    let fx = bench.wait(500 * MS);
    assert_eq!(fx.asks, [(1, owner(8))]);
}

#[test]
fn a_register_waits_for_the_end_of_who_is_gone_and_then_has_it() {
    for silent in [EntryLink::Down, EntryLink::Silent] {
        let mut bench = Bench::beside_a_holder();
        // Who is heard stays.
        let fx = bench.register(1, "a", Policy::Single, false);
        assert_eq!(errors(&fx), [exists("a")]);
        bench.link(8, silent);
        bench.wants_a();
        let fx = bench.hear(&gone(8, 7));
        assert!(matches!(fx.told[..], [(SessionId(1), CallTold::Registered { .. })]), "{fx:?}");
        assert_eq!(bench.callees("r", "a"), [1]);
        assert_eq!(bench.registrar.held.timeout_at(), None, "nobody waits any more");
    }
}

/// Of two that wait, the first that came.
#[test]
fn those_that_wait_are_written_in_the_order_in_which_they_came() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Down);
    bench.wants_a();
    bench.register(2, "a", Policy::Single, false);
    let fx = bench.hear(&gone(8, 7));
    assert!(
        matches!(
            fx.told[..],
            [
                (SessionId(1), CallTold::Registered { .. }),
                (SessionId(2), CallTold::Refused { error: RegisterError::AlreadyExists(_), .. })
            ]
        ),
        "{fx:?}"
    );
}

#[test]
fn it_is_refused_as_soon_as_the_holder_is_heard_here_or_elsewhere() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Silent);
    bench.wants_a();
    let fx = bench.link(8, EntryLink::HeardAgain);
    assert_eq!(errors(&fx), [exists("a")]);
    bench.link(8, EntryLink::Down);
    bench.wants_a();
    let fx = bench.link(8, EntryLink::Up);
    assert_eq!(errors(&fx), [exists("a")]);
    bench.link(8, EntryLink::Down);
    bench.wants_a();
    let fx = bench.wait(500 * MS);
    let request = fx.asks[0].0;
    let heard = HeardOf { is_linked: true, silent_ms: 3 };
    assert!(errors(&bench.answer(1, request, heard)).is_empty(), "one of three");
    assert_eq!(errors(&bench.answer(2, request, heard)), [exists("a")]);
    assert_eq!(bench.registrar.trust_of(owner(8)), Trust::HeardElsewhere);
    // And from then on without a wait.
    let fx = bench.register(1, "a", Policy::Single, false);
    assert_eq!(errors(&fx), [exists("a")]);
}

#[test]
fn it_waits_for_three_seconds_at_most_and_for_its_place_as_long_as_any_after_that() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Down);
    bench.wants_a();
    let fx = bench.wait(HELD_MAX - MS);
    assert!(fx.told.is_empty() && bench.written.is_empty(), "{fx:?}");
    bench.stands_still = true;
    assert!(errors(&bench.wait(MS)).is_empty());
    assert_eq!(bench.written.len(), 1, "it is written");
    assert!(errors(&bench.wait(TIMEOUT - MS)).is_empty());
    assert_eq!(errors(&bench.wait(MS)), [(1, CalleeRequest::Register, no_quorum())]);
}

/// It was not answered at all while the view was not ready.
#[test]
fn who_waits_where_the_view_is_not_ready_is_told_so_when_its_time_is_over() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Down);
    bench.wants_a();
    bench.stands_still = true;
    bench.step(Input::View(follower::Input::Dropped));
    assert!(!bench.registrar.is_ready());
    let due = bench.registrar.timeout_at().expect("a time");
    assert!(due <= bench.now + HELD_MAX);
    assert!(errors(&bench.wait(HELD_MAX - MS)).is_empty());
    let told = errors(&bench.wait(MS));
    assert!(
        matches!(&told[..], [(1, CalleeRequest::Register, RegisterError::Unavailable(why))] if !why.is_empty()),
        "{told:?}"
    );
    assert_eq!((bench.written.len(), bench.registrar.pending.len()), (0, 0));
    assert_eq!(bench.registrar.held.timeout_at(), None);
}

#[test]
fn what_waits_is_counted_as_what_is_written_and_gone_with_its_session() {
    let mut bench = Bench::with(RegistrationLimits { patterns_per_entry_max: 1, ..LIMITS });
    let pattern = TopicPattern::new("r", "p", Match::Prefix);
    let Record { writer, said: Said::Register(said) } = registers(8, "p") else { unreachable!() };
    bench.hear(&born(8, "E2"));
    let said = Said::Register(record::Register { pattern, ..said });
    bench.hear(&Record { writer, said });
    for uri in ["a", "b"] {
        bench.hear(&registers(8, uri));
    }
    for uri in ["a", "b"] {
        assert!(bench.register(1, uri, Policy::Single, false).told.is_empty());
    }
    bench.register_by(1, ("p", Match::Prefix), Policy::Single, false);
    let too_many = RegisterError::TooMany { max: PER_SESSION_MAX };
    assert_eq!(bench.refused(1, "c", Policy::Single), too_many);
    let fx = bench.register_by(2, ("q", Match::Prefix), Policy::Single, false);
    let of_entry = RegisterError::TooManyPatterns { holder: Holder::Entry, max: 1 };
    assert_eq!(errors(&fx), [(2, CalleeRequest::Register, of_entry)]);
    bench.step(Input::Closed { session: SessionId(1) });
    assert!(!bench.registrar.is_awaited());
    let fx = bench.hear(&gone(8, 7));
    assert!(fx.told.is_empty() && bench.callees("r", "a").is_empty(), "{fx:?}");
    bench.register_by(2, ("q", Match::Prefix), Policy::Single, false);
    assert_eq!(bench.callees("r", "qq"), [2]);
}

#[test]
fn another_policy_waits_only_if_all_callees_may_be_gone() {
    let mut bench = Bench::beside_a_holder();
    bench.hear(&born(9, "E3"));
    bench.link(9, EntryLink::Up);
    let shared = |writer: u128| {
        let Record { writer, said: Said::Register(said) } = registers(writer, "s") else {
            unreachable!()
        };
        let said = record::Register { invoke: record::Invoke::RoundRobin, ..said };
        Record { writer, said: Said::Register(said) }
    };
    bench.hear(&shared(8));
    bench.hear(&shared(9));
    bench.link(8, EntryLink::Down);
    let policy = Some(Policy::RoundRobin);
    let other = RegisterError::OtherPolicy { procedure: "s".into(), policy };
    assert_eq!(bench.refused(1, "s", Policy::First), other);
    bench.link(9, EntryLink::Down);
    assert!(bench.register(1, "s", Policy::First, false).told.is_empty());
    // It takes no wait to be one more of them, nor by force.
    bench.registered(2, "s", Policy::RoundRobin);
    let fx = bench.register(3, "a", Policy::Single, true);
    assert!(matches!(fx.told[..], [(SessionId(3), CallTold::Registered { .. })]), "{fx:?}");
}

/// What is on its way ends it, whatever is thought of the entry by then: a complete view refused for who was to go.
#[test]
fn who_was_called_gone_by_this_entry_is_in_nobodys_way_though_it_is_heard_again() {
    let mut bench = Bench::beside_a_holder();
    bench.link(8, EntryLink::Down);
    bench.wait(500 * MS);
    bench.stands_still = true;
    bench.answer(2, 1, unheard());
    bench.wait(200 * MS);
    assert!(matches!(bench.written[0].said, Said::Gone(_)), "{:?}", bench.written);
    bench.link(8, EntryLink::Up);
    let fx = bench.register(1, "a", Policy::Single, false);
    assert_eq!((fx.is_asking, fx.told.len()), (false, 0));
    assert_eq!(bench.written.len(), 2, "it is written behind that");
    let fx = bench.go_on();
    let [(SessionId(1), CallTold::Registered { .. })] = fx.told[..] else { panic!("{fx:?}") };
    // All of that is read, and its next life may register.
    bench.stands_still = true;
    let Record { said: Said::Life(facts), .. } = born(8, "E2") else { unreachable!() };
    bench.hear(&Record { writer: life(8, 2), said: Said::Life(facts) });
    let said = registers(8, "b").said;
    bench.hear(&Record { writer: life(8, 2), said });
    let fx = bench.register(2, "b", Policy::Single, false);
    assert_eq!((fx.told.len(), bench.written.len()), (0, 0), "it is asked about");
}

/// The library of a client that does not hear of it comes back, and registers.
#[test]
fn a_session_that_has_lost_what_it_was_told_is_ended_if_it_does_not_hear_so() {
    for hears_revocation in [false, true] {
        let mut bench = Bench::new();
        bench.hear(&born(8, "E2"));
        bench.link(8, EntryLink::Up);
        let calls = CallFeatures { hears_revocation, ..CallFeatures::default() };
        let mut of = (*info(5, "r")).clone();
        of.calls = calls;
        bench.step(Input::Opened { info: Arc::new(of) });
        let told = bench.registered(5, "a", Policy::Single);
        bench.stands_still = true;
        bench.hear(&gone(7, 8));
        bench.hear(&registers(8, "a"));
        let fx = bench.go_on();
        let revoked = CallTold::Revoked { registration: told };
        assert_eq!(fx.told, [(SessionId(5), revoked)]);
        let misled = if hears_revocation { vec![] } else { vec![SessionId(5)] };
        assert_eq!(fx.misled, misled);
    }
}
