//! Which callee of a registration is called.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::*;

/// Three callees of this entry, and who gets each of so many calls: `A`, `B`, `C`.
fn bench(policy: Policy) -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    let all = [7, 8, 9];
    bench.registry.add("p", 10, policy, all.map(|session| callee(1, session)).to_vec());
    for session in all {
        bench.open(session);
        bench.serve(session, 10, 0);
    }
    bench
}

impl Bench {
    fn asked(&mut self, request: u64, routing_key: Option<&str>) -> char {
        let routing_key = routing_key.map(Into::into);
        let call = Call { routing_key, ..call(request, "p") };
        let fx = self.effects(word(1, CallWord::Call(call)));
        let [(session, CallTold::Invocation { .. })] = fx.told[..] else {
            panic!("{:?}", lines(&fx))
        };
        char::from(b'A' + u8::try_from(session.0 - 7).expect("one of three"))
    }

    fn served(&mut self, calls: std::ops::Range<u64>) -> String {
        calls.map(|request| self.asked(request, None)).collect()
    }
}

#[test]
fn roundrobin_begins_with_the_first_and_is_not_reset_when_one_leaves() {
    let mut bench = bench(Policy::RoundRobin);
    assert_eq!(bench.served(0..5), "ABCAB");
    bench.registry.remove(1, 8);
    assert_eq!(bench.served(5..9), "CACA");
}

#[test]
fn roundrobin_skips_who_is_busy_and_goes_on_behind_who_was_taken() {
    let mut bench = bench(Policy::RoundRobin);
    bench.serve(8, 10, 1);
    assert_eq!(bench.served(0..7), "ABCACAC");
}

#[test]
fn first_and_last_are_by_the_order_of_registering() {
    let mut bench = bench(Policy::First);
    assert_eq!(bench.served(0..3), "AAA");
    bench.registry.remove(1, 7);
    assert_eq!(bench.served(3..5), "BB");
    let mut bench = self::bench(Policy::Last);
    assert_eq!(bench.served(0..3), "CCC");
    bench.registry.remove(1, 9);
    assert_eq!(bench.served(3..5), "BB");
}

#[test]
fn random_is_uniform_and_skips_who_is_busy() {
    let mut bench = bench(Policy::Random);
    let served = bench.served(0..3000);
    for name in ['A', 'B', 'C'] {
        let count = served.chars().filter(|one| *one == name).count();
        assert!((800..1200).contains(&count), "{name}: {count} of 3000");
    }
    bench.serve(8, 10, 1);
    let served = bench.served(3000..3300);
    assert!(!served.contains('B'), "{served}");
}

#[test]
fn a_routing_key_finds_the_same_callee_until_that_leaves() {
    let mut random = StdRng::seed_from_u64(3);
    for policy in [Policy::RoundRobin, Policy::Random, Policy::First, Policy::Last] {
        let mut bench = bench(policy);
        let keys: Vec<String> =
            (0..60).map(|_| format!("key {}", random.random::<u32>())).collect();
        let mut request = 0;
        let mut who = |bench: &mut Bench| -> Vec<char> {
            keys.iter()
                .map(|key| {
                    request += 1;
                    bench.asked(request, Some(key))
                })
                .collect()
        };
        let before = who(&mut bench);
        assert_eq!(who(&mut bench), before);
        for name in ['A', 'B', 'C'] {
            assert!(before.contains(&name), "{policy:?}: nobody is left out");
        }
        bench.registry.remove(1, 8);
        let after = who(&mut bench);
        let moved = before.iter().zip(&after).filter(|(before, after)| before != after);
        assert!(
            moved.into_iter().all(|(before, _)| *before == 'B'),
            "{policy:?}: only its own keys move"
        );
    }
}

#[test]
fn nothing_is_remembered_of_registrations_that_have_ended() {
    let mut bench = bench(Policy::RoundRobin);
    bench.served(0..2);
    assert_eq!(bench.dealer.origin.remembered(), 1);
    bench.step(Input::RegistrationEnded { registration: Position(10) });
    assert_eq!(bench.dealer.origin.remembered(), 0);
}

/// A thousand callees that are busy cost a look at each, and no more than that.
#[test]
fn callees_of_this_entry_that_are_busy_are_not_invoked_one_after_the_other() {
    for policy in [Policy::RoundRobin, Policy::Random] {
        let mut bench = Bench::new(roomy());
        bench.open(1);
        let all = || 100..1300_u64;
        bench.registry.add("p", 10, policy, all().map(|session| callee(1, session)).collect());
        for session in all() {
            bench.open(session);
            bench.serve(session, 10, 1);
        }
        for request in 0..1200_u64 {
            let fx = bench.effects(word(1, CallWord::Call(call(request, "p"))));
            let is_asked = matches!(fx.told[..], [(_, CallTold::Invocation { .. })]);
            assert!(is_asked || policy == Policy::Random, "{request}: {:?}", lines(&fx));
            assert_eq!(fx.notes.iter().filter(|note| matches!(note, Note::Rerouted(_))).count(), 0);
        }
        let told = bench.call(1, 5000, "p");
        assert_eq!(told.len(), 1);
        assert!(told[0].contains("as many invocations as they take at once"), "{told:?}");
    }
}

/// However many callees it has: a name was made for each of the first thousand, and each was asked about.
#[test]
fn an_entry_that_is_away_is_looked_at_once_for_a_call_whoever_is_there() {
    for policy in [Policy::RoundRobin, Policy::Random, Policy::First, Policy::Last] {
        let mut bench = Bench::new(roomy());
        bench.open(1);
        let of = |entry| (1..=10_000_u64).map(move |session| callee(entry, session));
        bench.registry.add("p", 10, policy, of(2).chain(of(3)).collect());
        let told = bench.call(1, 1, "p");
        let why = "no link to entry E2: one of both needs a link-address; no link to entry E3: one of both needs a link-address";
        assert!(told[0].ends_with(why), "{told:?}");
        assert_eq!(bench.registry.named.get(), 2, "{policy:?}");
        // Nobody is passed over for those.
        bench.open(5000);
        bench.registry.add("p", 11, policy, of(2).chain([callee(1, 5000)]).collect());
        bench.serve(5000, 11, 0);
        assert_eq!(bench.call(1, 2, "p"), ["5000 <- invocation 1 of 11 [1]"]);
    }
}

#[test]
fn an_invocation_names_the_place_of_its_callee_whatever_the_policy() {
    let keyed = (Policy::Random, Some("key"));
    let policies = [Policy::First, Policy::Last, Policy::RoundRobin, Policy::Random];
    for (policy, key) in policies.map(|policy| (policy, None)).into_iter().chain([keyed]) {
        let mut bench = Bench::new(roomy());
        bench.open(1);
        bench.link(2);
        let callees = [20, 21, 22].map(|session| callee(2, session));
        bench.registry.add("p", 10, policy, callees.to_vec());
        for request in 1..=6 {
            let routing_key = key.map(Into::into);
            let call = Call { routing_key, ..call(request, "p") };
            let fx = bench.effects(word(1, CallWord::Call(call)));
            let [(_, PeerWord::Invoke { invoke, .. })] = &fx.sends[..] else {
                panic!("{:?}", lines(&fx))
            };
            assert_eq!(invoke.place.0 - 10, invoke.session.0 - 20, "{policy:?}");
        }
    }
}
