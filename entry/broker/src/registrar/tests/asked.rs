//! REGISTERs that the view refuses, with and without a record.

use vixen_views::record::SessionOver;

use crate::registrar::asked::RIPE_AFTER;

const MS: Duration = Duration::from_millis(1);

use super::*;

/// Another entry is there, and session 1 has `a` alone and `b` with others. The order stands still.
fn bench() -> Bench {
    let mut bench = Bench::new();
    bench.born(8, "E2");
    bench.registered(1, "a", Policy::Single);
    bench.registered(1, "b", Policy::RoundRobin);
    bench.stands_still = true;
    bench
}

impl Bench {
    /// Waits, writes nothing, and answers nobody.
    fn asks(&mut self, session: u64, uri: &str, invoke: Policy) {
        let fx = self.register(session, uri, invoke, false);
        assert_eq!((fx.is_asking, fx.told, self.written.len()), (false, vec![], 0));
    }

    /// Lets time pass. Returns whether there is a question.
    fn asks_after(&mut self, more: Duration) -> bool {
        self.wait(more).is_asking
    }

    fn asks_when_ripe(&mut self) {
        assert!(!self.asks_after(RIPE_AFTER - MS));
        assert!(self.asks_after(MS));
    }

    fn complete(&mut self, up_to: u64, is_known: bool) -> Effects {
        self.step(Input::Complete { up_to, is_known })
    }

    fn last(&self) -> u64 {
        self.registrar.last_number()
    }

    /// Who was refused.
    fn refused_of(fx: &Effects) -> Vec<(u64, &RegisterError)> {
        let refused = fx.told.iter().map(|(session, told)| match told {
            CallTold::Refused { error, .. } => (session.0, error),
            other => panic!("{other:?}"),
        });
        refused.collect()
    }
}

/// Each was stored and read by all entries.
#[test]
fn what_a_complete_view_refuses_costs_no_record() {
    let mut bench = bench();
    bench.asks(2, "a", Policy::Single);
    bench.asks(3, "b", Policy::First);
    bench.asks_when_ripe();
    let up_to = bench.last();
    let fx = bench.complete(up_to, true);
    let wanted = [
        (2, &RegisterError::AlreadyExists("a".into())),
        (
            3,
            &RegisterError::OtherPolicy { procedure: "b".into(), policy: Some(Policy::RoundRobin) },
        ),
    ];
    assert_eq!(Bench::refused_of(&fx), wanted);
    assert_eq!((fx.is_asking, bench.written.len()), (false, 0));
    assert_eq!(bench.registrar.timeout_at(), None, "nobody waits");
    // Who has none is of nobody's order either.
    bench.step(Input::Closed { session: SessionId(2) });
    assert_eq!(bench.written.len(), 0);
}

#[test]
fn an_entry_that_is_alone_refuses_at_once() {
    let mut bench = Bench::new();
    bench.registered(1, "a", Policy::Single);
    bench.stands_still = true;
    let error = RegisterError::AlreadyExists("a".into());
    assert_eq!(bench.refused(2, "a", Policy::Single), error);
    assert_eq!(bench.refused(1, "a", Policy::Single), error, "nor does it itself get it twice");
    assert_eq!(bench.written.len(), 0);
}

#[test]
fn where_nobody_can_tell_the_order_does() {
    let mut bench = bench();
    bench.asks(2, "a", Policy::Single);
    bench.asks_when_ripe();
    let up_to = bench.last();
    let fx = bench.complete(up_to, false);
    assert_eq!((fx.told.len(), bench.written.len()), (0, 1));
    let mut fx = Effects::default();
    bench.place(&mut fx);
    assert_eq!(Bench::refused_of(&fx), [(2, &RegisterError::AlreadyExists("a".into()))]);
}

#[test]
fn who_comes_after_the_question_or_shortly_before_waits_for_the_next() {
    let mut bench = bench();
    bench.asks(2, "a", Policy::Single);
    assert!(!bench.asks_after(MS));
    bench.asks(3, "a", Policy::Single);
    assert!(bench.asks_after(RIPE_AFTER - MS));
    let up_to = bench.last();
    bench.asks(2, "a", Policy::Single);
    assert!(!bench.asks_after(MS), "one question at a time");
    let fx = bench.complete(up_to, true);
    let refused: Vec<_> = Bench::refused_of(&fx).into_iter().map(|(session, _)| session).collect();
    assert_eq!((refused, fx.is_asking), (vec![2], true), "the next is due");
    let up_to = bench.last();
    let fx = bench.complete(up_to, true);
    assert_eq!((Bench::refused_of(&fx)[0].0, fx.is_asking), (3, false));
}

#[test]
fn what_has_ended_by_then_is_registered() {
    let mut bench = bench();
    bench.other(
        8,
        Said::Register(record::Register {
            number: 1,
            session: 5,
            pattern: TopicPattern::new("r", "c", Match::Exact),
            invoke: record::Invoke::Single,
            is_forced: false,
            keeps_timeouts: false,
        }),
    );
    bench.asks(2, "c", Policy::Single);
    // Who moves here from there: its end has its place a moment later.
    assert!(!bench.asks_after(RIPE_AFTER - MS));
    bench.other(8, Said::SessionOver(SessionOver { realm: "r".into(), session: 5 }));
    assert!(bench.asks_after(MS));
    let up_to = bench.last();
    let fx = bench.complete(up_to, true);
    assert_eq!((fx.told.len(), bench.written.len()), (0, 1));
    let mut fx = Effects::default();
    bench.place(&mut fx);
    assert!(matches!(fx.told[..], [(SessionId(2), CallTold::Registered { .. })]), "{fx:?}");
}

/// What this entry has written is not in its view: in their order they would have been taken.
#[test]
fn who_is_on_the_way_out_by_this_entry_is_in_nobodys_way() {
    type End = fn(&mut Bench, RegistrationId) -> Input;
    let unregister: End = |_, registration| Input::Unregister {
        session: SessionId(1),
        request: RequestId(90),
        registration,
    };
    let closed: End = |_, _| Input::Closed { session: SessionId(1) };
    let remove: End = |_, id| Input::Remove {
        realm: "r".into(),
        registration: Position(id.0),
        session: SessionId(1),
    };
    let forced: End = |bench, _| {
        bench.requests += 1;
        let register = Register {
            request: RequestId(bench.requests),
            procedure: "a".into(),
            matching: Match::Exact,
            invoke: Policy::RoundRobin,
            concurrency: None,
            is_forced: true,
            is_disclosed: true,
            forwards_timeout: false,
        };
        Input::Register { session: SessionId(3), register }
    };
    for end in [unregister, closed, remove, forced] {
        let mut bench = Bench::new();
        bench.born(8, "E2");
        let id = bench.registered(1, "a", Policy::Single);
        bench.stands_still = true;
        let input = end(&mut bench, id);
        bench.step(input);
        let before = bench.written.len();
        let fx = bench.register(2, "a", Policy::RoundRobin, false);
        assert_eq!((fx.is_asking, fx.told.len()), (false, 0));
        assert_eq!(bench.written.len(), before + 1, "it is written behind that");
        let mut fx = Effects::default();
        bench.place(&mut fx);
        let is_registered = |(session, told): &(SessionId, CallTold)| {
            session.0 == 2 && matches!(told, CallTold::Registered { .. })
        };
        assert!(fx.told.iter().any(is_registered), "{fx:?}");
        // All of that is read: it is in the way again.
        bench.asks(2, "a", Policy::Single);
    }
}

#[test]
fn who_is_gone_or_has_waited_for_too_long_leaves_nothing() {
    let mut bench = bench();
    bench.asks(2, "a", Policy::Single);
    bench.asks(3, "a", Policy::Single);
    bench.step(Input::Closed { session: SessionId(2) });
    let fx = bench.wait(TIMEOUT);
    assert!(matches!(Bench::refused_of(&fx)[..], [(3, RegisterError::NoQuorum { .. })]));
    let up_to = bench.last();
    let fx = bench.complete(up_to, false);
    assert_eq!((fx.told.len(), bench.written.len()), (0, 0));
    assert!(bench.registrar.pending.is_empty());
}

/// It was written at the answer, and again as the view was ready.
#[test]
fn a_view_that_is_lost_meanwhile_refuses_nobody_and_what_waits_is_written_once() {
    let mut bench = bench();
    bench.asks(2, "a", Policy::Single);
    bench.asks_when_ripe();
    bench.step(Input::View(follower::Input::Dropped));
    assert!(!bench.registrar.is_ready());
    let up_to = bench.last();
    let fx = bench.complete(up_to, true);
    assert_eq!((fx.told.len(), bench.written.len()), (0, 0));
    let of_two = |record: &Record| match &record.said {
        Said::Register(register) => register.session == 2,
        _ => false,
    };
    for input in [
        follower::Input::Begin,
        follower::Input::EarlierRead { is_all: true },
        follower::Input::Joined,
    ] {
        bench.step(Input::View(input));
    }
    let mut written = 0;
    let mut fx = Effects::default();
    while let Some(record) = bench.written.pop_front() {
        written += usize::from(of_two(&record));
        bench.read(&record, &mut fx);
        bench.written.extend(fx.records.drain(..));
    }
    assert!(bench.registrar.is_ready());
    assert_eq!(written, 1);
    assert!(bench.registrar.pending.is_empty(), "{fx:?}");
}
