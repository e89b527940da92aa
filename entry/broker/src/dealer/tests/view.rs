//! Calls by the view of the order itself.

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;
use vixen_views::record::{self, Facts, Life, Reads, Record, Register, Said};
use vixen_views::registrations::Registrations;

use super::*;

/// What records make of each other at entry 1, of which all are.
struct View {
    registrations: Registrations,
    next: u64,
}

impl View {
    fn new() -> Self {
        let mut view = Self { registrations: Registrations::new(), next: 1 };
        let name = "E1".parse().expect("a name");
        view.apply(Said::Life(Facts { name, link_address: None, reads: Reads::HERE }));
        view
    }

    fn apply(&mut self, said: Said) {
        let writer = Life { owner: owner(1), number: 1 };
        let position = Position(self.next);
        self.registrations.apply(position, WallTime(self.next), &Record { writer, said });
        self.next += 1;
    }

    /// Returns the position of the record.
    fn register(
        &mut self,
        session: u64,
        uri: &str,
        matching: Match,
        invoke: record::Invoke,
    ) -> u64 {
        let pattern = TopicPattern::new("r", uri, matching);
        let number = self.next;
        let (is_forced, keeps_timeouts) = (false, false);
        let register = Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
        self.apply(Said::Register(register));
        self.next - 1
    }
}

#[test]
fn calls_go_by_the_records_of_the_order() {
    let mut view = View::new();
    let mut dealer = Dealer::new(options(1, roomy()));
    let shared = view.register(7, "all", Match::Exact, record::Invoke::RoundRobin);
    view.register(8, "all", Match::Exact, record::Invoke::RoundRobin);
    let prefix = view.register(7, "a.", Match::Prefix, record::Invoke::Single);
    let wildcard = view.register(8, "b..c", Match::Wildcard, record::Invoke::Last);
    let mut step = |input| {
        let mut fx = Effects::default();
        dealer.step(Instant::now(), &view.registrations, input, &mut fx);
        dealer.check();
        lines(&fx)
    };
    for session in [1, 7, 8] {
        step(opened(session, CallFeatures::default()));
    }
    for (session, id) in [(7, shared), (8, shared), (7, prefix), (8, wildcard)] {
        let (session, registration, terms) = (SessionId(session), Position(id), terms(id, 0));
        step(Input::Serves { session, registration, terms });
    }
    let mut call = |request, uri: &str| step(word(1, CallWord::Call(super::call(request, uri))));
    assert_eq!(call(1, "all"), ["7 <- invocation 1 of 2 [1]"]);
    assert_eq!(call(2, "all"), ["8 <- invocation 1 of 2 [1]"]);
    assert_eq!(call(3, "all"), ["7 <- invocation 2 of 2 [1]"]);
    assert_eq!(call(4, "a.b"), ["7 <- invocation 3 of 4 a.b [1]"]);
    assert_eq!(call(5, "b.x.c"), ["8 <- invocation 2 of 5 b.x.c [1]"]);
    let told = "1 <- failed 6: no callee registered for procedure b.x.d";
    assert_eq!(call(6, "b.x.d"), [told]);
    assert_eq!(view.registrations.applied(), Position(5));
}
