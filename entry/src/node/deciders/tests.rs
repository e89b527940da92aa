//! Questions, and what is remembered of registrations.

use std::path::{Path, PathBuf};

use futures_util::FutureExt as _;
use tokio::sync::oneshot;

use vixen_broker::authority::turns::Whose;
use vixen_broker::authority::{Answer, Verdict};
use vixen_core::segment::TopicPattern;
use vixen_runtime::config::Config;
use vixen_views::record::RegistrationId;

use super::*;
use crate::admission::Admission;
use crate::auth::{Account, Refusal};
use crate::authority::Heard;

fn decider(procedure: &str) -> Decider {
    ("r".into(), procedure.into())
}

fn deleted(realm: &str, uri: &str, matching: Match) -> Change {
    Change::Deleted {
        registration: RegistrationId(7),
        pattern: TopicPattern::new(realm, uri, matching),
    }
}

/// Somebody asks `auth.may`, and has so long.
fn ask(deciders: &mut Deciders, time: Duration) -> oneshot::Receiver<Heard> {
    let (asker, heard) = oneshot::channel();
    deciders.on_asking(asking(time, Asker::Session(asker)));
    heard
}

fn asking(time: Duration, asker: Asker) -> Asking {
    let origin = Origin { client: IpAddr::V4(Ipv4Addr::LOCALHOST), site: None };
    Asking {
        realm: "r".into(),
        procedure: "auth.may".into(),
        whose: Whose { origin, session: SessionId(1) },
        by: Instant::now() + time,
        arguments: "[]".into(),
        asker,
    }
}

const YES: Verdict = Verdict { is_allowed: true, may_be_kept: true, discloses: false };

/// What a callee says that says yes.
fn yes(request: RequestId) -> CallTold {
    answered(request, "[true]")
}

fn answered(request: RequestId, said: &'static str) -> CallTold {
    let (is_progress, callee, about) = (false, None, None);
    let payload = Payload::new(Encoding::Json, said);
    CallTold::Result { request, is_progress, callee, about, missing: Vec::new(), payload }
}

/// The calls that are made.
fn calls(deciders: &mut Deciders) -> Vec<(SessionId, RequestId)> {
    let mut made = Vec::new();
    deciders.ask(|caller, _, call| made.push((caller, call.request)));
    made
}

#[test]
fn an_edition_is_another_with_each_change_of_its_registration_and_each_view() {
    let mut deciders = Deciders::new();
    let edition =
        |deciders: &mut Deciders| Edition::of(&deciders.asked(&decider("auth.may")).counter);
    let first = edition(&mut deciders);
    deciders.note(&[
        deleted("q", "auth.may", Match::Exact),
        deleted("r", "auth.other", Match::Exact),
        deleted("r", "auth.", Match::Prefix),
    ]);
    assert!(first.is_current(), "nothing of it");
    deciders.note(&[deleted("r", "auth.may", Match::Exact)]);
    assert!(!first.is_current());
    // What a view that begins anew has found meanwhile, it does not say.
    for view in [(1, false), (1, true), (2, true), (2, false)] {
        let edition = edition(&mut deciders);
        deciders.note_view(view);
        assert!(!edition.is_current(), "{view:?}");
    }
    let last = edition(&mut deciders);
    deciders.note_view((2, false));
    assert!(last.is_current());
}

#[test]
fn what_nobody_asks_any_more_is_forgotten_unless_its_answers_are_kept() {
    let mut deciders = Deciders::new();
    let kept = Edition::of(&deciders.asked(&decider("kept")).counter);
    for number in 0..200 {
        deciders.asked(&decider(&number.to_string()));
    }
    assert!(deciders.of.len() <= KEPT_MAX && deciders.of.contains_key(&decider("kept")));
    assert_eq!(deciders.of.len(), deciders.callers.len());
    assert_eq!(deciders.of.len() + deciders.lost.len(), 201, "each caller is closed");
    drop(kept);
}

#[test]
fn who_is_busy_is_asked_again_and_who_is_late_is_no_answer() {
    let mut deciders = Deciders::new();
    let mut heard = ask(&mut deciders, Duration::from_secs(60));
    let made = calls(&mut deciders);
    let [(caller, request)] = made[..] else { panic!("{made:?}") };
    let busy = CallTold::Failed { request, error: CallError::MaxConcurrency("auth.may".into()) };
    deciders.hear(vec![(caller, busy)], |_, _| {});
    assert!(heard.try_recv().is_err() && deciders.due_at().is_some());
    deciders.of.values_mut().for_each(|asked| {
        // As after the pause.
        let resumed = asked.desk.next(Instant::now().into_std() + Duration::from_secs(1), |_| true);
        assert_eq!(resumed.map(|next| next.request), Some(RequestId(request.0 + 1)));
    });
    deciders.hear(vec![(caller, yes(RequestId(request.0 + 1)))], |_, _| {});
    assert_eq!(heard.try_recv().expect("an answer").answer, Answer::Verdict(YES));
    // Its time is over before it was asked.
    let mut late = ask(&mut deciders, Duration::ZERO);
    assert_eq!(calls(&mut deciders), []);
    assert_eq!(late.try_recv().expect("an answer").answer, Answer::Failed);
}

#[test]
fn what_was_asked_of_a_registration_that_has_changed_is_asked_again() {
    let mut deciders = Deciders::new();
    let mut heard = ask(&mut deciders, Duration::from_secs(60));
    let [(caller, first)] = calls(&mut deciders)[..] else { panic!("one call") };
    // Whoever was asked is about to leave, as it may not be asked any more: the order does not say so yet.
    deciders.note_leaving(&[TopicPattern::new("r", "auth.may", Match::Exact)]);
    deciders.hear(vec![(caller, yes(first))], |_, _| {});
    assert!(heard.try_recv().is_err(), "it has no word in it any more");
    let [(_, second)] = calls(&mut deciders)[..] else { panic!("one call") };
    // Then it does.
    deciders.note(&[deleted("r", "auth.may", Match::Exact)]);
    let error = CallError::CalleeGone { entry: None };
    deciders.hear(vec![(caller, CallTold::Failed { request: second, error })], |_, _| {});
    let [(_, third)] = calls(&mut deciders)[..] else { panic!("one call") };
    // What is nothing of it changes nothing.
    deciders.note_leaving(&[TopicPattern::new("r", "auth.", Match::Prefix)]);
    deciders.note_leaving(&[TopicPattern::new("q", "auth.may", Match::Exact)]);
    deciders.hear(vec![(caller, yes(third))], |_, _| {});
    assert_eq!(heard.try_recv().expect("an answer").answer, Answer::Verdict(YES));
}

#[test]
fn who_has_no_answer_hears_it_as_the_entry_ends_or_loses_its_caller() {
    let mut deciders = Deciders::new();
    let mut lost = ask(&mut deciders, Duration::from_secs(60));
    let [(caller, _)] = calls(&mut deciders)[..] else { panic!("one call") };
    deciders.lose(caller);
    assert_eq!(lost.try_recv().expect("an answer").answer, Answer::Failed);
    // Another caller takes its place.
    let mut waits = ask(&mut deciders, Duration::from_secs(60));
    let [(other, _)] = calls(&mut deciders)[..] else { panic!("one call") };
    assert_ne!(other, caller);
    deciders.end();
    assert_eq!(waits.try_recv().expect("an answer").answer, Answer::Failed);
}

#[test]
fn who_does_not_wait_any_more_is_not_asked_about() {
    let mut deciders = Deciders::new();
    drop(ask(&mut deciders, Duration::from_secs(60)));
    assert_eq!(calls(&mut deciders), []);
}

#[test]
fn a_guess_counts_that_is_denied_after_its_client_has_hung_up() {
    let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
    config.limits.login_failures_max = 1;
    let admission = Arc::new(Admission::new(&config));
    let (address, joe) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Account::of("r", "joe"));
    let attempt = || admission.attempt(address, joe, "joe".into()).now_or_never().expect("at once");
    let mut deciders = Deciders::new();
    let guess = attempt().expect("it may be tried");
    let (asker, heard) = oneshot::channel();
    let asker = Asker::Login { asker, attempt: Arc::new(guess) };
    deciders.on_asking(asking(Duration::from_secs(60), asker));
    let [(caller, request)] = calls(&mut deciders)[..] else { panic!("one call") };
    drop(heard);
    deciders.hear(vec![(caller, answered(request, "[false]"))], |_, _| {});
    assert_eq!(attempt().map(drop), Err(Refusal::Throttled));
}

#[test]
fn an_authenticator_that_names_a_role_which_nobody_has_does_not_answer() {
    let realm = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "r"
authenticator = "auth.may"
anonymous.role = "user"
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "auth.may"
register = true
"#;
    let config = Config::parse(realm, Path::new("vixen.toml"), &BTreeMap::new());
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let admission = Arc::new(Admission::new(&config));
    let (address, joe) = (IpAddr::V4(Ipv4Addr::LOCALHOST), Account::of("r", "joe"));
    let mut deciders = Deciders::new();
    for (said, fails) in [
        (r#"["nobody"]"#, true),
        (r#"["user"]"#, false),
        (r#"[{"role":"user","realm":"q"}]"#, true),
        (r#"[{"role":"user","realm":"r","authid":"j"},7]"#, false),
        (r#"[{"role":"user","authid":""}]"#, true),
    ] {
        let attempt = admission.attempt(address, joe, "joe".into()).now_or_never();
        let attempt = Arc::new(attempt.expect("at once").expect("it may be tried"));
        let (asker, _heard) = oneshot::channel();
        deciders.on_asking(asking(Duration::from_secs(60), Asker::Login { asker, attempt }));
        let [(caller, request)] = calls(&mut deciders)[..] else { panic!("one call") };
        deciders.hear(vec![(caller, answered(request, said))], |_, _| {});
        assert_eq!(deciders.of[&decider("auth.may")].is_failing, fails, "{said}");
    }
}
