//! Words of one session, answers, and a clock that is moved by hand.

use std::time::Duration;

use proptest::prelude::*;
use vixen_core::segment::Match;

use super::*;

const SECOND: Duration = Duration::from_secs(1);
const YES: Verdict = Verdict { is_allowed: true, may_be_kept: true, discloses: false };
const NO: Verdict = Verdict { is_allowed: false, may_be_kept: true, discloses: false };
const ALLOWED: Judgement = Judgement::Allowed { discloses: false };
const DENIED: Judgement = Judgement::Denied(Act::Publish);

fn authorizer(cache: Duration) -> Authorizer {
    Authorizer { procedure: "auth.may".into(), timeout: 2 * SECOND, cache }
}

fn question(act: Act, uri: &str) -> Question {
    Question { act, uri: uri.into(), matching: Match::Exact, options: "{}".into() }
}

/// A session whose words are numbers.
struct World {
    machine: Authority<u32>,
    now: Instant,
    asks: Vec<(QuestionNumber, Question)>,
    judged: Vec<(u32, Judgement)>,
}

impl World {
    fn new() -> Self {
        let machine = Authority::new(Some(authorizer(10 * SECOND)));
        Self { machine, now: Instant::now(), asks: Vec::new(), judged: Vec::new() }
    }

    fn step(&mut self, input: Input<u32>) {
        let mut fx = Effects::default();
        self.machine.step(self.now, input, &mut fx);
        self.asks.extend(fx.asks);
        self.judged.extend(fx.judged);
    }

    fn word(&mut self, word: u32, questions: impl IntoIterator<Item = Question>) {
        self.step(Input::Word { questions: questions.into_iter().collect(), word });
    }

    fn publishes(&mut self, word: u32, uri: &str) {
        self.word(word, [question(Act::Publish, uri)]);
    }

    fn answers(&mut self, number: u64, answer: Answer) {
        self.answered_at(self.now, number, answer);
    }

    fn withdraw(&mut self, word: u32) -> Option<u32> {
        let mut fx = Effects::default();
        let withdrawn = self.machine.withdraw(self.now, |waits| *waits == word, &mut fx);
        self.asks.extend(fx.asks);
        self.judged.extend(fx.judged);
        withdrawn
    }

    /// The answer was given then.
    fn answered_at(&mut self, at: Instant, number: u64, answer: Answer) {
        let number = QuestionNumber(number);
        self.step(Input::Answered { number, answer, at, is_current: true });
    }

    /// What waits is given again, as it was asked about.
    fn restart(&mut self, authorizer: Option<Authorizer>, uri: &str) {
        let is_asked = authorizer.is_some();
        for word in self.machine.restart(authorizer) {
            self.word(word, is_asked.then(|| question(Act::Publish, uri)));
        }
    }

    fn says(&mut self, number: u64, verdict: Verdict) {
        self.answers(number, Answer::Verdict(verdict));
    }

    /// What was asked since the last look.
    fn asked(&mut self) -> Vec<(u64, String)> {
        let asks = self.asks.drain(..);
        asks.map(|(number, question)| (number.0, question.uri.to_string())).collect()
    }

    fn judged(&mut self) -> Vec<(u32, Judgement)> {
        std::mem::take(&mut self.judged)
    }
}

fn is(number: u64, uri: &str) -> (u64, String) {
    (number, uri.to_owned())
}

#[test]
fn a_word_waits_for_its_answer_and_the_answer_is_kept() {
    let mut world = World::new();
    world.publishes(1, "a");
    assert_eq!((world.asked(), world.judged()), (vec![is(1, "a")], vec![]));
    world.says(1, YES);
    assert_eq!(world.judged(), [(1, ALLOWED)]);
    world.now += 9 * SECOND;
    world.publishes(2, "a");
    assert_eq!((world.asked(), world.judged()), (vec![], vec![(2, ALLOWED)]));
    world.now += SECOND;
    world.publishes(3, "a");
    assert_eq!((world.asked(), world.judged()), (vec![is(2, "a")], vec![]), "10 s are over");
    world.says(2, NO);
    world.publishes(4, "a");
    assert_eq!((world.asked(), world.judged()), (vec![], vec![(3, DENIED), (4, DENIED)]));
}

#[test]
fn what_is_behind_a_word_waits_with_it_in_its_order() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.publishes(2, "b");
    world.word(3, []);
    world.publishes(4, "a");
    assert_eq!(world.asked(), [is(1, "a"), is(2, "b")], "each once");
    world.says(2, NO);
    assert_eq!((world.judged(), world.machine.len()), (vec![], 4));
    world.says(1, YES);
    let judged = [(1, ALLOWED), (2, DENIED), (3, ALLOWED), (4, ALLOWED)];
    assert_eq!((world.judged().as_slice(), world.machine.len()), (&judged[..], 0));
}

#[test]
fn a_word_that_is_withdrawn_keeps_nobody_waiting_and_its_answer_counts_for_others() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.word(2, []);
    world.publishes(3, "a");
    world.publishes(4, "b");
    assert_eq!(world.asked(), [is(1, "a"), is(2, "b")]);
    assert_eq!(world.withdraw(1), Some(1));
    assert_eq!(world.judged(), [(2, ALLOWED)], "it was behind that one");
    assert_eq!(world.withdraw(1), None, "it is out");
    world.says(1, YES);
    assert_eq!((world.asked(), world.judged()), (vec![], vec![(3, ALLOWED)]));
    assert_eq!(world.withdraw(4), Some(4));
    world.says(2, NO);
    assert_eq!((world.judged(), world.machine.len()), (vec![], 0));
}

/// V3: whoever withdraws what it has said asks no more at once than others.
#[test]
fn questions_of_withdrawn_words_count_until_they_are_answered() {
    let mut world = World::new();
    for word in 0..40 {
        world.publishes(word, &format!("u{word}"));
        assert_eq!(world.withdraw(word), Some(word));
    }
    assert_eq!(world.asked().len(), AHEAD_MAX);
    world.publishes(40, "last");
    assert!(world.asked().is_empty());
    world.says(1, YES);
    assert_eq!(world.asked(), [is(33, "last")]);
    world.says(33, YES);
    assert_eq!(world.judged(), [(40, ALLOWED)]);
}

#[test]
fn answers_are_of_one_act_and_one_way_of_matching() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.says(1, YES);
    world.word(2, [question(Act::Subscribe, "a")]);
    let prefix = Question { matching: Match::Prefix, ..question(Act::Subscribe, "a") };
    world.word(3, [prefix]);
    assert_eq!(world.asked(), [is(1, "a"), is(2, "a"), is(3, "a")]);
    world.publishes(4, "a");
    world.says(2, YES);
    world.says(3, NO);
    let judged = [(1, ALLOWED), (2, ALLOWED), (3, Judgement::Denied(Act::Subscribe)), (4, ALLOWED)];
    assert_eq!((world.asked(), world.judged().as_slice()), (vec![], &judged[..]));
}

#[test]
fn a_yes_to_some_options_is_none_to_others() {
    let mut world = World::new();
    let register =
        |options: &str| Question { options: options.into(), ..question(Act::Register, "a") };
    world.word(1, [register("{}")]);
    world.says(1, YES);
    world.word(2, [register(r#"{"force_reregister":true}"#)]);
    assert_eq!((world.asked().len(), world.judged()), (2, vec![(1, ALLOWED)]));
    world.says(2, NO);
    world.word(3, [register("{}")]);
    let judged = vec![(2, Judgement::Denied(Act::Register)), (3, ALLOWED)];
    assert_eq!((world.asked(), world.judged()), (vec![], judged));
}

#[test]
fn a_yes_that_is_taken_late_is_none_and_one_is_kept_from_when_it_was_given() {
    let mut world = World::new();
    let given_at = world.now;
    world.publishes(1, "a");
    world.now += 2 * SECOND + Duration::from_millis(1);
    world.answered_at(given_at, 1, Answer::Verdict(YES));
    assert_eq!(world.judged(), [(1, DENIED)], "longer ago than the authorizer has to answer");
    world.publishes(2, "a");
    assert_eq!(world.asked(), [is(1, "a"), is(2, "a")], "and it is not kept");
    let given_at = world.now;
    world.now += 2 * SECOND;
    world.answered_at(given_at, 2, Answer::Verdict(YES));
    world.now += 7 * SECOND;
    world.publishes(3, "a");
    assert_eq!((world.asked(), world.judged()), (vec![], vec![(2, ALLOWED), (3, ALLOWED)]));
    world.now += SECOND;
    world.publishes(4, "a");
    assert_eq!(
        (world.asked(), world.judged()),
        (vec![is(3, "a")], vec![]),
        "10 s after it was given"
    );
}

#[test]
fn words_are_bounded_by_who_gives_them() {
    let mut world = World::new();
    for word in 0..256 {
        assert!(!world.machine.is_full(), "{word} words");
        world.publishes(word, "a");
    }
    assert!(world.machine.is_full());
    world.says(1, YES);
    assert!(!world.machine.is_full());
}

#[test]
fn an_answer_that_is_not_to_be_kept_is_for_one_word() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.publishes(2, "a");
    assert_eq!(world.asked(), [is(1, "a")]);
    world.says(1, Verdict { may_be_kept: false, ..YES });
    assert_eq!((world.judged(), world.asked()), (vec![(1, ALLOWED)], vec![is(2, "a")]));
    world.says(2, Verdict { may_be_kept: false, ..NO });
    world.publishes(3, "a");
    assert_eq!((world.judged(), world.asked()), (vec![(2, DENIED)], vec![is(3, "a")]));
    // Without a time for it, none is.
    world.restart(Some(authorizer(Duration::ZERO)), "a");
    world.says(4, YES);
    world.publishes(4, "a");
    assert_eq!(world.asked(), [is(4, "a"), is(5, "a")]);
}

#[test]
fn without_an_answer_all_that_wait_for_it_are_denied_and_the_next_asks_again() {
    let mut world = World::new();
    for word in 1..=40 {
        world.publishes(word, "a");
    }
    world.publishes(41, "b");
    world.answers(1, Answer::Failed);
    let denied: Vec<_> = (1..=40).map(|word| (word, DENIED)).collect();
    assert_eq!((world.judged(), world.asked()), (denied, vec![is(1, "a"), is(2, "b")]));
    world.publishes(42, "a");
    assert_eq!(world.asked(), [is(3, "a")]);
}

#[test]
fn a_reload_empties_what_is_kept_and_asks_anew_about_what_waits() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.says(1, YES);
    world.publishes(2, "b");
    world.asked();
    world.judged();
    world.restart(Some(authorizer(SECOND)), "b");
    assert_eq!(world.asked(), [is(3, "b")]);
    world.says(2, YES);
    assert!(world.judged().is_empty(), "the answer is of before");
    world.says(3, NO);
    world.publishes(3, "a");
    assert_eq!((world.judged(), world.asked()), (vec![(2, DENIED)], vec![is(4, "a")]));
    world.restart(None, "a");
    assert_eq!((world.judged(), world.asked()), (vec![(3, ALLOWED)], vec![]), "nobody is asked");
}

#[test]
fn a_change_of_the_registration_empties_what_is_kept() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.says(1, YES);
    world.step(Input::Changed);
    world.publishes(2, "a");
    assert_eq!(world.asked(), [is(1, "a"), is(2, "a")]);
    // It has changed while it was asked: the answer holds for who has asked, and is not kept.
    let (number, answer, at) = (QuestionNumber(2), Answer::Verdict(YES), world.now);
    world.step(Input::Answered { number, answer, at, is_current: false });
    world.publishes(3, "a");
    assert_eq!(world.judged(), [(1, ALLOWED), (2, ALLOWED)]);
    assert_eq!(world.asked(), [is(3, "a")]);
}

#[test]
fn a_word_with_two_questions_needs_both_and_the_last_one_discloses() {
    let mut world = World::new();
    let both = || [question(Act::Call, "wamp.x"), question(Act::Publish, "a")];
    world.word(1, both());
    assert_eq!(world.asked(), [is(1, "wamp.x")]);
    world.says(1, Verdict { discloses: true, ..YES });
    assert_eq!((world.asked(), world.judged()), (vec![is(2, "a")], vec![]));
    world.says(2, YES);
    assert_eq!(world.judged(), [(1, ALLOWED)]);
    world.step(Input::Changed);
    world.word(2, both());
    world.says(3, NO);
    assert_eq!(world.judged(), [(2, Judgement::Denied(Act::Call))]);
    assert_eq!(world.asked(), [is(3, "wamp.x")], "and not the other");
    world.publishes(3, "a");
    world.says(4, Verdict { discloses: true, ..YES });
    assert_eq!(world.judged(), [(3, Judgement::Allowed { discloses: true })]);
}

#[test]
fn what_is_asked_at_once_and_what_is_kept_is_bounded() {
    let mut world = World::new();
    for word in 0..1_000 {
        world.publishes(word, &word.to_string());
    }
    assert_eq!(world.asks.len(), AHEAD_MAX);
    for number in 1..=1_000 {
        world.says(number, YES);
        world.now += Duration::from_micros(1);
    }
    assert_eq!((world.asks.len(), world.judged.len()), (1_000, 1_000));
    world.asks.clear();
    world.publishes(0, "999");
    world.publishes(0, &(1_000 - KEPT_MAX).to_string());
    assert!(world.asks.is_empty(), "the last ones are kept");
    world.publishes(0, &(999 - KEPT_MAX).to_string());
    assert_eq!(world.asks.len(), 1, "and the one before them is not");
}

#[test]
fn who_takes_all_that_waits_is_not_answered_any_more() {
    let mut world = World::new();
    world.publishes(1, "a");
    world.word(2, []);
    assert_eq!(world.machine.last(), Some(&2));
    assert_eq!(world.machine.restart(None), [1, 2]);
    world.says(1, YES);
    assert!(world.machine.is_empty() && world.judged.is_empty());
}

#[derive(Clone, Debug)]
enum Act1 {
    Word { uri: u8, has_question: bool },
    Answer { nth: usize, answer: u8, is_current: bool, ms_ago: u64 },
    Changed,
    Restart,
    Wait { ms: u64 },
}

fn acts() -> impl Strategy<Value = Vec<Act1>> {
    let act = prop_oneof![
        4 => (0_u8..6, any::<bool>())
            .prop_map(|(uri, has_question)| Act1::Word { uri, has_question }),
        4 => (0_usize..8, 0_u8..4, any::<bool>(), 0_u64..3_000).prop_map(
            |(nth, answer, is_current, ms_ago)| Act1::Answer { nth, answer, is_current, ms_ago }
        ),
        1 => Just(Act1::Changed),
        1 => Just(Act1::Restart),
        2 => (0_u64..4_000).prop_map(|ms| Act1::Wait { ms }),
    ];
    proptest::collection::vec(act, 0..200)
}

proptest! {
    /// V1 and V2: in their order, each once; and nothing passes that was never allowed for its URI since the last
    /// restart, or that long ago.
    #[test]
    fn words_keep_their_order_and_pass_by_answers_alone(acts in acts()) {
        let mut world = World::new();
        let (mut said, mut open) = (Vec::new(), Vec::new());
        // When each word came, or was given again.
        let mut came = Vec::new();
        // When a URI was allowed last.
        let mut allowed: BTreeMap<String, Instant> = BTreeMap::new();
        let mut out = 0;
        for act in acts {
            match act {
                Act1::Word { uri, has_question } => {
                    let word = u32::try_from(said.len()).expect("few");
                    let uri = uri.to_string();
                    let asked = has_question.then(|| question(Act::Publish, &uri));
                    said.push(has_question.then_some(uri));
                    came.push(world.now);
                    world.word(word, asked);
                }
                Act1::Answer { nth, answer, is_current, ms_ago } => {
                    if open.is_empty() {
                        continue;
                    }
                    let (number, asked): (QuestionNumber, Question) =
                        open.remove(nth % open.len());
                    let answer = match answer {
                        0 => Answer::Failed,
                        1 => Answer::Verdict(NO),
                        2 => Answer::Verdict(Verdict { may_be_kept: false, ..YES }),
                        _ => Answer::Verdict(YES),
                    };
                    let is_yes = matches!(answer, Answer::Verdict(Verdict { is_allowed: true, .. }));
                    let age = Duration::from_millis(ms_ago);
                    if is_yes && age <= 2 * SECOND {
                        let at = world.now - age;
                        let last = allowed.entry(asked.uri.to_string()).or_insert(at);
                        *last = at.max(*last);
                    }
                    let at = world.now - age;
                    world.step(Input::Answered { number, answer, at, is_current });
                }
                Act1::Changed => world.step(Input::Changed),
                Act1::Restart => {
                    allowed.clear();
                    open.clear();
                    world.asks.clear();
                    for word in world.machine.restart(Some(authorizer(10 * SECOND))) {
                        let nth = usize::try_from(word).expect("small");
                        let asked = said[nth].as_ref().map(|uri| question(Act::Publish, uri));
                        came[nth] = world.now;
                        world.word(word, asked);
                    }
                }
                Act1::Wait { ms } => world.now += Duration::from_millis(ms),
            }
            open.append(&mut world.asks);
            let mut numbers: Vec<_> = open.iter().map(|(_, asked)| asked.uri.clone()).collect();
            numbers.sort();
            let all = numbers.len();
            numbers.dedup();
            prop_assert_eq!(numbers.len(), all, "one question for each URI");
            for (word, judgement) in world.judged() {
                prop_assert_eq!(word, out, "V1");
                out += 1;
                let nth = usize::try_from(word).expect("small");
                match (&said[nth], judgement) {
                    (None, judgement) => prop_assert_eq!(judgement, ALLOWED),
                    (Some(uri), Judgement::Allowed { .. }) => {
                        let since = allowed.get(uri).map(|at| came[nth].saturating_duration_since(*at));
                        let is_held = since.is_some_and(|since| since < 10 * SECOND);
                        prop_assert!(is_held, "V2: {uri} was allowed {since:?} before it was said");
                    }
                    (Some(_), Judgement::Denied(_)) => {}
                }
            }
        }
        let waiting = u32::try_from(world.machine.len()).expect("few");
        prop_assert_eq!(usize::try_from(out + waiting).expect("few"), said.len(), "V1: none is lost");
    }
}
