//! Two entries, a callee of `single` at each, and a third that calls lives gone as it likes: whatever the delays and
//! pauses, no two holders are invoked in overlapping tenures.
//!
//! The registrars and dealers are those that ship. The order is a list, each entry reads it at its own pace, and may be
//! paused; whether a view is complete is told late, up to seconds after it was asked, or never. `VIXEN_SEED` reruns one
//! seed.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use vixen_core::segment::{Content, Encoding};
use vixen_views::record::{Gone, GoneWhy};

use super::*;
use crate::api::calls::{Call, CallWord, Payload};
use crate::dealer::{
    CallLimits, CallNumber, Callee as At, CancelAnswer, Dealer, DealerOptions, Hold, Link,
    PeerWord, Route, Routes,
};

const SEEDS: u64 = 2_500;
const STEPS: usize = 600;
const CALLEE: SessionId = SessionId(1);
const CALLER: SessionId = SessionId(2);

/// What is broken, for the test of the test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    Nothing,
    NoLease,
    NoHandOver,
    /// A lease counts from when its answer has come, and not from when it was asked for.
    LeaseOfTheAnswer,
}

/// The registrar's view, broken or not.
struct View<'a>(&'a Registrar, Broken);

impl Routes for View<'_> {
    fn find(&self, procedure: &Topic) -> Result<Option<Route>, Arc<str>> {
        self.0.find(procedure)
    }

    fn callees(&self, of: Position) -> impl DoubleEndedIterator<Item = (Position, At)> {
        self.0.callees(of)
    }

    fn callees_after(&self, of: Position, place: Position) -> impl Iterator<Item = (Position, At)> {
        self.0.callees_after(of, place)
    }

    fn name_of(&self, entry: OwnerId) -> Option<Arc<str>> {
        self.0.name_of(entry)
    }

    fn applied(&self) -> Position {
        self.0.applied()
    }

    fn hold(&self, now: Instant, registration: Position) -> Option<Hold> {
        match (self.0.hold(now, registration)?, self.1) {
            (Hold::Lease, Broken::NoLease) | (Hold::HandOver, Broken::NoHandOver) => None,
            (hold, _) => Some(hold),
        }
    }
}

fn owner(entry: usize) -> OwnerId {
    OwnerId(uuid::Uuid::from_u128(entry as u128 + 1))
}

fn link(to: usize) -> Link {
    Link { peer: owner(to), number: 1 }
}

/// What entries say to each other.
enum Word {
    Standing(Position),
    Of(PeerWord),
}

/// When it was asked, and how many messages the order had then.
#[derive(Clone, Copy)]
struct Question {
    at: Instant,
    end: usize,
}

struct Entry {
    registrar: Registrar,
    dealer: Dealer,
    /// How many messages of the order it has read.
    read: usize,
    /// Written, and without a place.
    written: VecDeque<Record>,
    is_paused: bool,
    /// Whether its view is complete, it has asked for calls that miss, for REGISTERs that it refuses, and for a lease.
    misses: Option<(Question, CallNumber)>,
    refused: Option<(Question, u64)>,
    lease: Option<Question>,
    words: VecDeque<Word>,
}

/// See the module.
struct Play {
    seed: u64,
    broken: Broken,
    random: StdRng,
    now: Instant,
    order: Vec<Record>,
    entries: [Entry; 2],
    requests: u64,
    /// The registration by which somebody was invoked last.
    tenure: Position,
    invocations: usize,
    /// Leases of which the answer came after more than a second.
    late: usize,
}

impl Play {
    fn new(seed: u64, broken: Broken) -> Self {
        let entry = |number: usize| {
            let name = format!("E{number}").parse().expect("a name");
            let registrar = Registrar::new(RegistrarOptions {
                owner: owner(number),
                name,
                link_address: None,
                membership: Membership::sized(3, [1], 1),
                limits: LIMITS,
                timeout: Duration::from_secs(100_000),
                part_bytes_max: usize::MAX,
                is_alone: false,
            });
            let dealer = Dealer::new(DealerOptions {
                owner: owner(number),
                name: format!("E{number}").into(),
                limits: CALLS,
                cancel_answer: CancelAnswer::Always,
                seed: [7; 32],
            });
            Entry {
                registrar,
                dealer,
                read: 0,
                written: VecDeque::new(),
                is_paused: false,
                misses: None,
                refused: None,
                lease: None,
                words: VecDeque::new(),
            }
        };
        let mut play = Self {
            seed,
            broken,
            random: StdRng::seed_from_u64(seed),
            now: Instant::now(),
            order: Vec::new(),
            entries: [entry(0), entry(1)],
            requests: 0,
            tenure: Position(0),
            invocations: 0,
            late: 0,
        };
        let facts =
            Facts { name: "E9".parse().expect("a name"), link_address: None, reads: Reads::HERE };
        play.order.push(Record { writer: third(), said: Said::Life(facts) });
        for number in [0, 1] {
            for input in [
                follower::Input::Begin,
                follower::Input::EarlierRead { is_all: true },
                follower::Input::Joined,
            ] {
                play.registrar(number, Input::View(input));
            }
            for session in [CALLEE, CALLER] {
                let info = info(session.0, "r");
                play.registrar(number, Input::Opened { info: Arc::clone(&info) });
                play.dealer(number, dealer::Input::Opened { info });
            }
            let other = 1 - number;
            let name = format!("E{other}").into();
            let up = Input::Entry { owner: owner(other), link: EntryLink::Up };
            play.registrar(number, up);
            play.dealer(number, dealer::Input::LinkUp { link: link(other), name });
        }
        play
    }

    fn registrar(&mut self, number: usize, input: Input) {
        let entry = &mut self.entries[number];
        let before = entry.registrar.applied_below();
        let mut fx = Effects::default();
        entry.registrar.step(self.now, input, &mut fx);
        entry.written.extend(fx.records);
        if fx.is_asking {
            let question = Question { at: self.now, end: self.order.len() };
            entry.refused = Some((question, entry.registrar.last_number()));
        }
        let below = entry.registrar.applied_below();
        for (session, told) in fx.told {
            self.dealer(number, dealer::Input::Tell { session, told });
        }
        for input in fx.dealer {
            self.dealer(number, input);
        }
        if before < below {
            self.entries[1 - number].words.push_back(Word::Standing(below));
        }
    }

    fn dealer(&mut self, number: usize, input: dealer::Input) {
        let entry = &mut self.entries[number];
        let mut fx = dealer::Effects::default();
        entry.dealer.step(self.now, &View(&entry.registrar, self.broken), input, &mut fx);
        let question = Question { at: self.now, end: self.order.len() };
        if fx.is_asking {
            entry.misses = Some((question, entry.dealer.last_call()));
        }
        if fx.is_asking_lease {
            entry.lease = Some(question);
        }
        let mut answers = Vec::new();
        for (session, told) in fx.told {
            if let CallTold::Invocation { invocation, registration, fence, .. } = told {
                let tenure = fence.unwrap_or(Position(registration.0));
                assert!(
                    tenure >= self.tenure,
                    "seed {}: the holder of {tenure} was invoked after that of {}",
                    self.seed,
                    self.tenure
                );
                self.tenure = tenure;
                self.invocations += 1;
                answers.push((session, invocation));
            }
        }
        for (_, word) in fx.sends {
            self.entries[1 - number].words.push_back(Word::Of(word));
        }
        for (session, invocation) in answers {
            let (is_progress, payload) = (false, payload());
            let word = CallWord::Yield { invocation, is_progress, payload };
            self.dealer(number, dealer::Input::Word { session, word });
        }
    }

    /// The dealer's question is over, which was asked then, for misses or a lease.
    fn complete(
        &mut self,
        number: usize,
        (asked, is_lost): (Instant, bool),
        misses: Option<CallNumber>,
    ) {
        let is_of_the_answer = self.broken == Broken::LeaseOfTheAnswer;
        let at = if is_of_the_answer { self.now } else { asked };
        let (at, is_of_lease) = ((!is_lost).then_some(at), misses.is_none());
        self.dealer(number, dealer::Input::Complete { at, misses, is_of_lease });
    }

    fn step(&mut self) {
        let number = self.random.random_range(0..2);
        let entry = &mut self.entries[number];
        match self.random.random_range(0..100) {
            0..5 => self.now += Duration::from_millis(self.random.random_range(0..1_500)),
            5..7 => entry.is_paused ^= true,
            7..17 => {
                if let Some(record) = entry.written.pop_front() {
                    self.order.push(record);
                }
            }
            17..18 => {
                let life = entry.registrar.life();
                let gone = Gone { life, why: GoneWhy::NotHeard };
                self.order.push(Record { writer: third(), said: Said::Gone(gone) });
            }
            _ if entry.is_paused => {}
            18..26 => {
                self.requests += 1;
                let is_forced = self.random.random_range(0..2) == 0;
                let register = Register {
                    request: RequestId(self.requests),
                    procedure: "a".into(),
                    matching: Match::Exact,
                    invoke: Policy::Single,
                    concurrency: None,
                    is_forced,
                    is_disclosed: false,
                    forwards_timeout: false,
                };
                self.registrar(number, Input::Register { session: CALLEE, register });
            }
            26..50 => {
                let Some(record) = self.order.get(entry.read) else { return };
                entry.read += 1;
                let message = follower::Input::Message {
                    position: Position(entry.read as u64),
                    at: NOW,
                    topic: record.topic().uri,
                    payload: record.to_bytes().into(),
                };
                self.registrar(number, Input::View(message));
            }
            50..65 => {
                let word = entry.words.pop_front();
                let from = link(1 - number);
                match word {
                    None => {}
                    Some(Word::Standing(applied_below)) => {
                        let owner = owner(1 - number);
                        self.registrar(number, Input::Standing { owner, applied_below });
                    }
                    Some(Word::Of(word)) => {
                        self.dealer(number, dealer::Input::Heard { link: from, word });
                    }
                }
            }
            65..67 => {
                let Some((Question { end, .. }, up_to)) = entry.refused else { return };
                let is_known = entry.read >= end;
                if is_known || self.random.random_range(0..5) == 0 {
                    entry.refused = None;
                    self.registrar(number, Input::Complete { up_to, is_known });
                }
            }
            67..71 => {
                let Some((Question { at, end }, last)) = entry.misses else { return };
                let is_lost = self.random.random_range(0..5) == 0;
                if is_lost || entry.read >= end {
                    entry.misses = None;
                    self.complete(number, (at, is_lost), Some(last));
                }
            }
            71..75 => {
                let Some(Question { at, end }) = entry.lease else { return };
                let is_lost = self.random.random_range(0..5) == 0;
                if is_lost || entry.read >= end {
                    entry.lease = None;
                    let is_late = self.now - at > Duration::from_secs(1);
                    self.late += usize::from(!is_lost && is_late);
                    self.complete(number, (at, is_lost), None);
                }
            }
            75..80 => {
                let now = self.now;
                if entry.registrar.timeout_at().is_some_and(|at| at <= now) {
                    let missing = "nothing".into();
                    self.registrar(number, Input::Timeout { missing });
                }
                if self.entries[number].dealer.timeout_at().is_some_and(|at| at <= now) {
                    self.dealer(number, dealer::Input::Timeout);
                }
            }
            _ => {
                self.requests += 1;
                let call = Call {
                    request: RequestId(self.requests),
                    procedure: "a".into(),
                    payload: payload(),
                    takes_progress: false,
                    has_more: false,
                    timeout_ms: None,
                    came: None,
                    is_disclosed: false,
                    routing_key: None,
                    testament: None,
                    rights: None,
                };
                let word = CallWord::Call(call);
                self.dealer(number, dealer::Input::Word { session: CALLER, word });
            }
        }
    }
}

const CALLS: CallLimits = CallLimits {
    calls_per_session_max: 1 << 20,
    calls_bytes_per_session_max: 1 << 30,
    calls_max: 1 << 20,
    calls_bytes_max: 1 << 30,
    invocations_per_session_max: 1 << 20,
    callee_queue_bytes_max: 1 << 30,
    caller_queue_bytes_max: 1 << 30,
    link_queue_bytes_max: 1 << 30,
    call_timeout_max: None,
    call_timeout: None,
};

fn payload() -> Payload {
    Payload::new(Content::Arguments(Encoding::Json), bytes::Bytes::from_static(b"[]"))
}

/// The entry that calls others gone.
fn third() -> Life {
    Life { owner: owner(8), number: 1 }
}

/// How many invocations there were, and late answers, in all seeds.
fn play(broken: Broken) -> (usize, usize) {
    let one = std::env::var("VIXEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(0..SEEDS, |seed| seed..seed + 1);
    let of_seed = |seed| {
        let mut play = Play::new(seed, broken);
        (0..STEPS).for_each(|_| play.step());
        (play.invocations, play.late)
    };
    seeds.map(of_seed).fold((0, 0), |all, one| (all.0 + one.0, all.1 + one.1))
}

#[test]
fn no_two_holders_are_invoked_in_overlapping_tenures() {
    let (invocations, late) = play(Broken::Nothing);
    assert!(invocations > 0 && late > 0, "{invocations} were invoked, {late} leases came late");
}

#[test]
#[should_panic(expected = "was invoked after")]
fn without_a_lease_they_are() {
    play(Broken::NoLease);
}

#[test]
#[should_panic(expected = "was invoked after")]
fn without_a_hand_over_they_are() {
    play(Broken::NoHandOver);
}

#[test]
#[should_panic(expected = "was invoked after")]
fn with_leases_that_count_from_their_answers_they_are() {
    play(Broken::LeaseOfTheAnswer);
}
