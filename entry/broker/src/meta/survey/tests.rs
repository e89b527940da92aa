//! One survey after the other, with two other entries.

use vixen_core::segment::Match;
use vixen_core::time::WallTime;
use vixen_core::wire::{META_ITEMS_MAX, MetaSubscription};

use super::*;
use crate::api::SubscriptionId;
use crate::meta::{Goodbye, Lists, Missing};

const E2: Link = Link { peer: OwnerId(uuid::Uuid::from_u128(2)), number: 5 };
const E3: Link = Link { peer: OwnerId(uuid::Uuid::from_u128(3)), number: 6 };

struct Bench {
    surveys: Surveys,
    begun: Instant,
}

impl Bench {
    fn new() -> Self {
        Self { surveys: Surveys::default(), begun: Instant::now() }
    }

    /// A step, so many ms after the beginning.
    fn step_at(&mut self, ms: u64, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.surveys.step(self.begun + Duration::from_millis(ms), input, &mut fx);
        self.surveys.check();
        fx
    }

    fn step(&mut self, input: Input) -> Effects {
        self.step_at(0, input)
    }

    /// Asks both, as a call of this number.
    fn ask(&mut self, call: u64, question: Question, own: Option<Reply>) -> u64 {
        self.ask_about(about(call, question), own)
    }

    fn ask_about(&mut self, about: About, own: Option<Reply>) -> u64 {
        self.ask_from(origin(1), about, own)
    }

    fn ask_from(&mut self, from: Origin, about: About, own: Option<Reply>) -> u64 {
        let entries = vec![(E2, "E2".into()), (E3, "E3".into())];
        let absent = BTreeSet::new();
        let ask = Ask { about, from, own, entries, absent };
        let fx = self.step(Input::Ask(Box::new(ask)));
        assert!(fx.done.is_empty());
        let requests = fx.sends.into_iter().map(|(_, message)| match message {
            CallMessage::AskMeta { request, .. } => request,
            other => panic!("{other:?}"),
        });
        let requests: BTreeSet<_> = requests.collect();
        assert_eq!(requests.len(), 1, "one question");
        requests.into_iter().next().expect("asked")
    }

    fn answer(&mut self, link: Link, request: u64, reply: MetaReply) -> Effects {
        self.step(Input::Answered { link, request, reply, is_last: true })
    }

    fn part(&mut self, link: Link, request: u64, reply: MetaReply) {
        let fx = self.step(Input::Answered { link, request, reply, is_last: false });
        assert!(fx.done.is_empty() && fx.misfits.is_empty(), "{fx:?}");
    }
}

fn about(call: u64, question: Question) -> About {
    let asker = Asker { realm: "r".into(), session: SessionId(1) };
    About { call: CallNumber(call), procedure: Procedure::CountSessions, asker, question }
}

/// One address of a site of several.
fn origin(client: u8) -> Origin {
    let site = Some([10, 0, 0, 0].into()).filter(|_| client < 100);
    Origin { client: [10, 0, 0, client].into(), site }
}

/// What others have said, and who has not.
fn done(mut fx: Effects) -> (Option<Reply>, Vec<String>) {
    let done = fx.done.pop().unwrap_or_else(|| panic!("it is open: {fx:?}"));
    assert!(fx.done.is_empty(), "V1");
    (done.others, done.missing.iter().map(ToString::to_string).collect())
}

fn list() -> Question {
    Question::ListSessions(None)
}

fn kill(session: u64) -> Question {
    let goodbye = Goodbye { reason: "a.b".to_owned(), message: None };
    Question::Kill { whom: Whom::Session(SessionId(session)), goodbye }
}

#[test]
fn all_linked_entries_are_asked_and_their_answers_are_one() {
    let mut bench = Bench::new();
    let request = bench.ask(7, list(), None);
    bench.part(E2, request, MetaReply::Ids(vec![9, 4]));
    let fx = bench.answer(E3, request, MetaReply::Ids(vec![5]));
    assert!(fx.done.is_empty(), "E2 has not said all");
    let fx = bench.answer(E2, request, MetaReply::Ids(vec![2]));
    assert_eq!(fx.done[0].about, about(7, list()));
    assert_eq!(done(fx), (Some(Reply::Ids(vec![2, 4, 5, 9])), vec![]));
    // What it says then is of nothing that is open.
    let fx = bench.answer(E2, request, MetaReply::Ids(vec![3]));
    assert!(fx.done.is_empty() && fx.misfits.is_empty(), "{fx:?}");
    assert_eq!(bench.surveys.items, 0);
}

#[test]
fn what_this_entry_had_answered_comes_back_with_it() {
    let mut bench = Bench::new();
    let own = Reply::NoSuch(Missing::Session(5));
    let request = bench.ask(1, kill(5), Some(own.clone()));
    let fx = bench.answer(E2, request, MetaReply::NoSuch);
    assert!(fx.done.is_empty(), "E3 may have it");
    let fx = bench.answer(E3, request, MetaReply::NoSuch);
    assert_eq!(fx.done[0].own, Some(own.clone()));
    assert_eq!(done(fx), (Some(own), vec![]));
}

/// A session is at one entry: nobody else is waited for, or missed.
#[test]
fn what_is_asked_of_one_session_ends_with_the_entry_that_has_it() {
    let mut bench = Bench::new();
    let request = bench.ask(1, kill(5), None);
    assert_eq!(done(bench.answer(E3, request, MetaReply::Done)), (Some(Reply::Done), vec![]));
    let request = bench.ask(2, kill(5), None);
    let fx = bench.step(Input::Lost { link: E2 });
    assert_eq!((fx.done.len(), fx.unanswered), (0, vec![Unanswered::Lost]));
    assert_eq!(done(bench.answer(E3, request, MetaReply::Done)), (Some(Reply::Done), vec![]));
}

/// What is read then is the same, whoever has named its topics.
#[test]
fn the_topics_of_events_are_those_that_the_first_entry_names() {
    let question = Question::GetSubscription(SubscriptionId(5));
    let of_events = About { procedure: Procedure::GetEvents, ..about(1, question.clone()) };
    let details = MetaSubscription {
        subscription: 5,
        created: WallTime(7),
        uri: "a".into(),
        matching: Match::Exact,
    };
    let mut bench = Bench::new();
    let request = bench.ask_about(of_events.clone(), None);
    assert!(bench.answer(E2, request, MetaReply::NoSuch).done.is_empty());
    let fx = bench.answer(E3, request, MetaReply::Subscription(details.clone()));
    let (others, missing) = done(fx);
    assert!(matches!(others, Some(Reply::Subscription(_))) && missing.is_empty());
    // Of its details, the earliest of all.
    let request = bench.ask(2, question, None);
    let fx = bench.answer(E3, request, MetaReply::Subscription(details));
    assert!(fx.done.is_empty());
    assert_eq!(bench.answer(E2, request, MetaReply::NoSuch).done.len(), 1);
    // It may be there.
    let request = bench.ask_about(of_events, None);
    bench.answer(E3, request, MetaReply::NoSuch);
    let (others, missing) = done(bench.step(Input::Lost { link: E2 }));
    assert!(matches!(others, Some(Reply::NoSuch(_))));
    assert_eq!(missing, ["E2"]);
}

#[test]
fn who_does_not_answer_within_half_a_second_is_named_and_nothing_of_it_counts() {
    let mut bench = Bench::new();
    let request = bench.ask(1, list(), None);
    bench.part(E2, request, MetaReply::Ids(vec![4]));
    let _later = bench.answer(E3, request, MetaReply::Ids(vec![5]));
    assert_eq!(bench.surveys.timeout_at(), Some(bench.begun + Duration::from_millis(500)));
    assert!(bench.step_at(499, Input::Timeout).done.is_empty());
    let fx = bench.step_at(500, Input::Timeout);
    assert_eq!(fx.unanswered, [Unanswered::Late]);
    assert_eq!(done(fx), (Some(Reply::Ids(vec![5])), vec!["E2".to_owned()]), "V2");
    assert_eq!(bench.surveys.timeout_at(), None);
}

#[test]
fn a_link_that_ends_takes_its_answer_with_it_and_one_after_it_does_not() {
    let mut bench = Bench::new();
    let request = bench.ask(1, list(), None);
    // Of a link that was before.
    let before = Link { number: E2.number - 1, ..E2 };
    assert!(bench.step(Input::Lost { link: before }).unanswered.is_empty());
    let next = Link { number: E2.number + 1, ..E2 };
    let _passed_over = bench.answer(next, request, MetaReply::Ids(vec![7]));
    bench.part(E2, request, MetaReply::Ids(vec![4]));
    assert_eq!(bench.step(Input::Lost { link: E2 }).unanswered, [Unanswered::Lost]);
    let fx = bench.answer(E3, request, MetaReply::Ids(vec![5]));
    assert_eq!(done(fx), (Some(Reply::Ids(vec![5])), vec!["E2".to_owned()]));
}

#[test]
fn an_entry_without_room_for_its_answer_is_named() {
    let mut bench = Bench::new();
    let request = bench.ask(1, list(), None);
    assert_eq!(bench.answer(E2, request, MetaReply::NoRoom).unanswered, [Unanswered::NoRoom]);
    let fx = bench.answer(E3, request, MetaReply::Ids(vec![5]));
    assert_eq!(done(fx), (Some(Reply::Ids(vec![5])), vec!["E2".to_owned()]));
}

#[test]
fn entries_that_cannot_be_asked_are_named_beside_those_that_do_not_answer() {
    let mut bench = Bench::new();
    let (entries, absent) = (vec![(E2, "E2".into())], BTreeSet::from(["E4".into()]));
    let ask = Ask { about: about(1, list()), from: origin(1), own: None, entries, absent };
    let _sent = bench.step(Input::Ask(Box::new(ask)));
    let fx = bench.step(Input::Lost { link: E2 });
    assert_eq!(done(fx), (None, vec!["E2".to_owned(), "E4".to_owned()]));
}

#[test]
fn an_answer_that_is_none_to_the_question_ends_the_link_and_is_missed() {
    let ids = |ids: &[u64]| MetaReply::Ids(ids.to_vec());
    // One that nobody asked.
    let mut bench = Bench::new();
    let request = bench.ask(1, list(), None);
    assert_eq!(bench.answer(E2, request + 1, ids(&[1])).misfits, [E2]);
    for (question, first, last) in [
        (list(), None, MetaReply::Count(1)),
        (list(), Some(ids(&[1])), MetaReply::Done),
        (list(), None, MetaReply::NoSuch),
        (kill(5), None, MetaReply::TooMuch),
        (kill(5), None, MetaReply::Found(None)),
        (Question::CountSessions(None), Some(MetaReply::Count(1)), MetaReply::Count(1)),
        (Question::ListSubscriptions, None, ids(&[1])),
    ] {
        let mut bench = Bench::new();
        let request = bench.ask(1, question.clone(), None);
        if let Some(first) = first {
            bench.part(E2, request, first);
        }
        let fx = bench.answer(E2, request, last.clone());
        assert_eq!(fx.misfits, [E2], "{question:?} {last:?}");
        let (others, missing) = done(bench.step_at(500, Input::Timeout));
        assert_eq!((others, missing), (None, vec!["E2".to_owned(), "E3".to_owned()]));
    }
}

/// Each of them would wait in memory for half a second.
#[test]
fn questions_and_what_comes_of_them_have_bounds() {
    let mut bench = Bench::new();
    for call in 0..OPEN_MAX {
        // Two sessions of an address, two addresses, and one that is not of their site.
        let session = SessionId((call / OF_SESSION_MAX + 1) as u64);
        let from = origin([1, 1, 2, 100][call / OF_SESSION_MAX]);
        assert!(bench.surveys.may_ask(session, from));
        let of_session = about(call as u64, list());
        let asker = Asker { session, ..of_session.asker };
        bench.ask_from(from, About { asker, ..of_session }, None);
        let asked = call + 1;
        let is_last = asked % OF_SESSION_MAX == 0;
        assert_eq!(bench.surveys.may_ask(session, from), !is_last, "V3: of one session");
        let is_full = asked >= OF_CLIENT_MAX;
        assert_eq!(bench.surveys.may_ask(SessionId(98), origin(1)), !is_full, "V3: of one address");
        let is_full = asked >= OF_SITE_MAX;
        assert_eq!(bench.surveys.may_ask(SessionId(99), origin(99)), !is_full, "V3: of one site");
    }
    assert!(!bench.surveys.may_ask(SessionId(97), origin(200)), "V3");
    let fx = bench.step_at(500, Input::Timeout);
    assert_eq!((fx.done.len(), bench.surveys.open()), (OPEN_MAX, 0));
    let request = bench.ask(1, list(), None);
    for _part in 0..ITEMS_MAX / META_ITEMS_MAX {
        bench.part(E2, request, MetaReply::Ids(vec![1; META_ITEMS_MAX]));
    }
    let fx = bench.answer(E2, request, MetaReply::Ids(vec![1]));
    assert_eq!((fx.unanswered, bench.surveys.items), (vec![Unanswered::NoRoom], 0));
    let fx = bench.answer(E3, request, MetaReply::Ids(vec![5]));
    assert_eq!(done(fx), (Some(Reply::Ids(vec![5])), vec!["E2".to_owned()]));
}

#[test]
fn a_reply_in_parts_is_the_same_reply() {
    let ids: Vec<u64> = (1..=(2 * META_ITEMS_MAX as u64 + 3)).collect();
    let lists = Lists { exact: ids.clone(), prefix: vec![1], wildcard: ids.clone() };
    for (question, reply) in
        [(list(), Reply::Ids(ids)), (Question::ListSubscriptions, Reply::Lists(lists))]
    {
        let parts = reply.clone().into_parts();
        assert!(parts.len() > 2 && parts.iter().all(|part| part.items() <= META_ITEMS_MAX));
        let whole = parts.into_iter().map(Some).reduce(|all, part| joined(all, part?));
        let whole = whole.flatten().expect("parts of one");
        assert_eq!(question.reply_of(&"r".into(), whole), Some(reply));
    }
    assert_eq!(Reply::Ids(Vec::new()).into_parts(), [MetaReply::Ids(Vec::new())]);
    assert_eq!(Reply::Lists(Lists::default()).into_parts().len(), 1);
}
