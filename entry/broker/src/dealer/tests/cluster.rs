//! Two and three dealers: a cut at every step, and seeded runs.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::world::World;
use super::*;

const CANCEL_MODES: [CancelMode; 4] =
    [CancelMode::Skip, CancelMode::Kill, CancelMode::KillNoWait, CancelMode::Unnamed];

/// What happens in a script, without its deliveries: each word is brought by one of its own.
type Act = fn(&mut World);

/// Caller 1 at entry 1; callees 20 at entry 2 and 10 at entry 1, in this order.
fn pair() -> World {
    let mut world = World::new(2, &roomy());
    for (entry, session) in [(1, 1), (1, 10), (2, 20)] {
        world.open(entry, session);
    }
    world.link(1, 2);
    world.register("p", 5, Policy::First, &[(2, 20), (1, 10)]);
    world.register("one", 6, Policy::Single, &[(2, 20)]);
    world.apply(1, 7, 1);
    world.apply(2, 7, 1);
    world
}

fn said(world: &mut World, said: CallWord) {
    world.say(2, 20, said);
}

/// Every kind of conversation over a link.
fn scripts() -> Vec<(&'static str, Vec<Act>)> {
    let to: Act = |world| _ = world.deliver(1, 2);
    let back: Act = |world| _ = world.deliver(2, 1);
    let call: Act = |world| world.call(1, 1, super::call(1, "p"));
    let part: Act = |world| world.call(1, 1, Call { has_more: true, ..super::call(1, "p") });
    let last: Act = |world| world.call(1, 1, super::call(1, "p"));
    let progress: Act = |world| said(world, result(1, true, "[1]"));
    let answer: Act = |world| said(world, result(1, false, "[2]"));
    let fail: Act = |world| {
        let (invocation, payload) = (InvocationId(1), json(""));
        said(world, CallWord::Fail { invocation, error: "a.error".into(), payload });
    };
    let pass_on: Act = |world| {
        let (invocation, payload) = (InvocationId(1), json(""));
        said(world, CallWord::Fail { invocation, error: "wamp.error.unavailable".into(), payload });
    };
    let kill: Act = |world| {
        let (request, mode) = (RequestId(1), CancelMode::Kill);
        world.step(1, word(1, CallWord::Cancel { request, mode }));
    };
    let drop: Act = |world| {
        let (request, mode) = (RequestId(1), CancelMode::KillNoWait);
        world.step(1, word(1, CallWord::Cancel { request, mode }));
    };
    let timed: Act = |world| {
        let timeout_ms = NonZeroU64::new(100);
        world.call(1, 1, Call { timeout_ms, ..super::call(1, "p") });
    };
    let pass: Act = |world| world.pass(100);
    let leave: Act = |world| world.close(2, 20);
    let close: Act = |world| world.close(1, 1);
    let again: Act = |world| world.call(1, 1, super::call(2, "one"));
    vec![
        ("result", vec![call, to, progress, back, answer, back]),
        ("parts", vec![part, to, part, progress, to, back, last, to, answer, back]),
        ("error", vec![call, to, fail, back]),
        ("passed on", vec![call, to, pass_on, back]),
        ("kill", vec![call, to, kill, to, answer, back]),
        ("kill crosses the answer", vec![call, to, kill, answer, back, to]),
        ("drop crosses the answer", vec![call, to, drop, answer, back, to]),
        ("timeout", vec![timed, to, pass, to]),
        ("callee leaves", vec![call, to, leave, back]),
        ("callee leaves before", vec![call, leave, to, back]),
        ("caller leaves", vec![call, to, close, answer, to, back]),
        ("busy", vec![call, to, again, to, back, answer, back]),
    ]
}

/// J1, J2, J3: wherever the link is cut, and whoever notices first.
#[test]
fn a_cut_at_every_step_leaves_one_answer_and_no_slot() {
    for (name, script) in scripts() {
        for cut_at in 0..=script.len() {
            for (first, second) in [(1, 2), (2, 1)] {
                for notice_after in 0..=script.len() - cut_at {
                    let mut world = pair();
                    for (at, act) in script.iter().enumerate() {
                        if at == cut_at {
                            world.cut(1, 2);
                            world.notice(first, second);
                        }
                        if at == cut_at + notice_after {
                            world.notice(second, first);
                        }
                        act(&mut world);
                    }
                    let told = format!("{name}, cut at {cut_at}, {first} first: {:#?}", world.told);
                    let ended =
                        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.end(7)));
                    assert!(ended.is_ok(), "{told}");
                }
            }
        }
    }
}

/// The same, with a link that comes back at once: nothing of the one before is said on it.
#[test]
fn a_new_link_at_every_step_leaves_one_answer_and_no_slot() {
    for (name, script) in scripts() {
        for at in 0..=script.len() {
            let mut world = pair();
            for (step, act) in script.iter().enumerate() {
                if step == at {
                    world.link(1, 2);
                }
                act(&mut world);
            }
            let told = format!("{name}, new link at {at}: {:#?}", world.told);
            let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.end(7)));
            assert!(ended.is_ok(), "{told}");
        }
    }
}

/// J2: one side hears nothing for a while, and the words still come.
#[test]
fn a_silent_side_at_every_step_leaves_one_answer_and_no_slot() {
    for (name, script) in scripts() {
        for at in 0..=script.len() {
            for (own, peer) in [(1, 2), (2, 1)] {
                let mut world = pair();
                for (step, act) in script.iter().enumerate() {
                    if step == at {
                        let link = world.link_of(own, peer);
                        world.step(own, Input::LinkSilent { link, is_silent: true });
                        world.step(own, Input::LinkSilent { link, is_silent: false });
                    }
                    act(&mut world);
                }
                let told = format!("{name}, {own} hears nothing at {at}: {:#?}", world.told);
                let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| world.end(7)));
                assert!(ended.is_ok(), "{told}");
            }
        }
    }
}

/// The seed of a failing run is printed; `VIXEN_SEED` runs one alone, `VIXEN_SEEDS` so many.
#[test]
fn seeded_runs_of_three_entries_answer_each_call_once_and_leave_nothing() {
    let number = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    let seeds = match (number("VIXEN_SEED"), number("VIXEN_SEEDS")) {
        (Some(seed), _) => seed..seed + 1,
        (None, count) => 0..count.unwrap_or(200),
    };
    for seed in seeds {
        let _printed = Seed(seed);
        Run::new(seed).go(250);
    }
}

/// One seed gives one run: what failed can be looked at again.
#[test]
fn one_seed_gives_one_run() {
    let said = |seed| {
        let mut run = Run::new(seed);
        run.go(250);
        // Sessions and words, without the clock.
        run.world.told.iter().filter(|line| line.starts_with("    ")).cloned().collect::<Vec<_>>()
    };
    assert_eq!(said(3), said(3));
}

struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("rerun with VIXEN_SEED={}", self.0);
        }
    }
}

/// Three entries with small bounds, and people who do whatever comes to their mind.
struct Run {
    random: StdRng,
    world: World,
    next_session: u64,
    next_request: u64,
    next_registration: u64,
    /// Calls that are not complete, whether they are open or not, and what they call.
    progressive: BTreeMap<(u8, u64, u64), &'static str>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let limits = CallLimits {
            calls_per_session_max: 6,
            calls_bytes_per_session_max: 900,
            calls_max: 24,
            calls_bytes_max: 4000,
            invocations_per_session_max: 5,
            callee_queue_bytes_max: 1500,
            caller_queue_bytes_max: 1500,
            link_queue_bytes_max: 8000,
            ..roomy()
        };
        let mut world = World::new(3, &limits);
        for (one, other) in [(1, 2), (1, 3), (2, 3)] {
            world.link(one, other);
        }
        let random = StdRng::seed_from_u64(seed);
        Self {
            random,
            world,
            next_session: 1,
            next_request: 1,
            next_registration: 1,
            progressive: BTreeMap::new(),
        }
    }

    fn go(&mut self, acts: usize) {
        for _ in 0..9 {
            self.open();
        }
        for _ in 0..4 {
            self.register();
        }
        for _ in 0..acts {
            self.act();
        }
        self.world.end(self.next_registration - 1);
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> Option<T> {
        (!all.is_empty()).then(|| all[self.random.random_range(0..all.len())])
    }

    fn entry(&mut self) -> u8 {
        self.random.random_range(1..=3)
    }

    fn open(&mut self) {
        let (entry, session) = (self.entry(), self.next_session);
        self.next_session += 1;
        self.world.open(entry, session);
    }

    /// A procedure has new callees, under a new registration that some views do not have yet.
    fn register(&mut self) {
        let uri = ["a", "b", "c", "d"][self.random.random_range(0..4)];
        let policies =
            [Policy::Single, Policy::RoundRobin, Policy::Random, Policy::First, Policy::Last];
        let policy = policies[self.random.random_range(0..5)];
        let mut callees = Vec::new();
        let sessions = self.world.sessions();
        for _ in 0..if policy == Policy::Single { 1 } else { 3 } {
            callees.extend(self.one_of(&sessions).filter(|one| !callees.contains(one)));
        }
        self.world.register(uri, self.next_registration, policy, &callees);
        // Each callee has a place.
        self.next_registration += 3;
        for entry in 1..=3 {
            if self.random.random_bool(0.7) {
                self.apply(entry);
            }
        }
    }

    fn apply(&mut self, entry: u8) {
        let concurrency = self.random.random_range(0..4);
        self.world.apply(entry, self.next_registration - 1, concurrency);
    }

    fn call(&mut self) {
        let sessions = self.world.sessions();
        let Some((entry, session)) = self.one_of(&sessions) else { return };
        let request = self.next_request;
        self.next_request += 1;
        let uri = ["a", "b", "c", "d", "none"][self.random.random_range(0..5)];
        let timeout_ms = NonZeroU64::new([0, 0, 20, 60][self.random.random_range(0..4)]);
        let has_more = self.random.random_bool(0.2);
        let routing_key = self.random.random_bool(0.1).then(|| "key".into());
        let payload = json(&"7".repeat(self.random.random_range(0..300)));
        let call = call(request, uri);
        if has_more {
            self.progressive.insert((entry, session, request), uri);
        }
        self.world.call(
            entry,
            session,
            Call { timeout_ms, has_more, routing_key, payload, ..call },
        );
    }

    fn act(&mut self) {
        let pairs = self.world.pairs();
        let (from, to) = pairs[self.random.random_range(0..pairs.len())];
        match self.random.random_range(0..100) {
            0..20 => self.call(),
            20..50 => {
                for (from, to) in pairs {
                    if self.random.random_bool(0.7) {
                        self.world.deliver(from, to);
                    }
                }
            }
            50..70 => self.answer(),
            70..75 => self.cancel(),
            75..77 => self.go_on(),
            77..82 => self.world.pass(self.random.random_range(1..30)),
            82..85 => self.register(),
            85..88 => self.apply(from),
            88..90 => self.open(),
            90..92 => {
                let sessions = self.world.sessions();
                if let Some((entry, session)) = self.one_of(&sessions) {
                    self.world.leave(entry, session);
                    if self.random.random_bool(0.5) {
                        self.world.close(entry, session);
                    }
                }
            }
            92..94 => self.world.cut(from, to),
            94..96 => self.world.notice(from, to),
            97 if self.random.random_bool(0.3) => {
                let is_ready = self.random.random_bool(0.7);
                self.world.step(from, Input::View { is_ready });
            }
            96..98 => {
                if !self.world.is_linked(from, to) {
                    self.world.link(from, to);
                }
            }
            98 => {
                let (link, is_silent) =
                    (self.world.link_of(from, to), self.random.random_bool(0.5));
                self.world.step(from, Input::LinkSilent { link, is_silent });
            }
            _ => {
                let bytes = [0, 0, 2500, 5000][self.random.random_range(0..4)];
                let link = self.world.link_of(from, to);
                self.world.step(from, Input::LinkWaiting { link, bytes });
            }
        }
    }

    fn answer(&mut self) {
        let invoked: Vec<_> = self.world.invoked.iter().copied().collect();
        let Some((entry, session, id)) = self.one_of(&invoked) else { return };
        assert!(self.world.is_open(entry, session), "nobody is called that is gone");
        let (invocation, payload) = (InvocationId(id), json("[3]"));
        let fail = |error: &str| CallWord::Fail { invocation, error: error.into(), payload };
        let said = match self.random.random_range(0..8) {
            0..3 => result(id, true, "[1]"),
            3..6 => result(id, false, "[2]"),
            6 => fail("a.error"),
            _ => fail("wamp.error.unavailable"),
        };
        self.world.say(entry, session, said);
    }

    /// More of a progressive call, or of one that was answered; its gate may refuse it.
    fn go_on(&mut self) {
        let all: Vec<_> = self.progressive.iter().map(|(key, uri)| (*key, *uri)).collect();
        let Some(((entry, session, request), uri)) = self.one_of(&all) else { return };
        let has_more = self.random.random_bool(0.6);
        if !has_more {
            self.progressive.remove(&(entry, session, request));
        }
        let said = if self.random.random_bool(0.3) {
            let (request, procedure) = (RequestId(request), uri.into());
            let (error, payload) = ("a.refusal".into(), json("[4]"));
            CallWord::Spoiled { request, procedure, has_more, error, payload }
        } else {
            let payload = json(&"7".repeat(self.random.random_range(0..300)));
            CallWord::Call(Call { payload, has_more, ..call(request, uri) })
        };
        if self.world.is_open(entry, session) {
            self.world.step(entry, word(session, said));
        }
    }

    fn cancel(&mut self) {
        let open = self.world.unanswered();
        let Some((entry, session, request)) = self.one_of(&open) else { return };
        let mode = CANCEL_MODES[self.random.random_range(0..4)];
        let request = RequestId(request);
        self.world.step(entry, word(session, CallWord::Cancel { request, mode }));
    }
}
