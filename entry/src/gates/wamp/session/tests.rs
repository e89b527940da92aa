use axum::extract::ws::Utf8Bytes;

use vixen_broker::api::{AckLevel, After};
use vixen_broker::history::RefPoint;
use vixen_core::id::Position;
use vixen_core::segment::{Attributes, Encoding, Match, Publisher, TopicPattern};
use vixen_runtime::config::Goodbye;

use super::*;

mod calls;

/// 2026-11-21T10:00:00Z.
const NOW: WallTime = WallTime(1_795_255_200_000);
const JSON: Serializer = Serializer { encoding: Encoding::Json, is_batched: false };
const BATCHED: Serializer = Serializer { is_batched: true, ..JSON };
const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{},"subscriber":{}}}]"#;

fn remote() -> Remote {
    Remote {
        address: [127, 0, 0, 1].into(),
        nonce: Nonce([7; 32]),
        admission: Admission::of_tests(),
        node: "E1".parse().expect("a name"),
    }
}

fn of(serializer: Serializer) -> Session {
    let limits = SessionLimits { message_bytes_max: 64, ..SessionLimits::of_tests() };
    Session::new(SessionId(4711), remote(), serializer, Arc::new(limits))
}

fn establishing() -> Session {
    of(JSON)
}

fn open() -> Session {
    let mut session = establishing();
    assert!(matches!(actions(&mut session, HELLO)[..], [Action::Open { .. }]));
    session
}

/// With room for attributes.
fn open_wide() -> Session {
    let limits = Arc::new(SessionLimits::of_tests());
    let mut session = Session::new(SessionId(7), remote(), JSON, limits);
    assert!(matches!(actions(&mut session, HELLO)[..], [Action::Open { .. }]));
    session
}

fn actions(session: &mut Session, frame: &str) -> Vec<Action> {
    let mut actions = Vec::new();
    session.on_text(NOW, &frame.into(), &mut actions);
    actions
}

fn binary(session: &mut Session, frame: &'static [u8]) -> Vec<Action> {
    let mut actions = Vec::new();
    session.on_binary(NOW, &Bytes::from_static(frame), &mut actions);
    actions
}

fn published(session: &mut Session, frame: &str) -> Publish {
    match actions(session, frame).pop() {
        Some(Action::Publish(publish)) => publish,
        other => panic!("{frame}: {other:?}"),
    }
}

fn text(bytes: &Bytes) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

/// What comes of a frame with one message, in words that fit a table.
fn outcome(session: &mut Session, frame: &str) -> String {
    let actions = actions(session, frame);
    assert!(actions.len() <= 1, "{frame}: {actions:?}");
    actions.first().map_or("nothing".to_owned(), in_words)
}

fn in_words(action: &Action) -> String {
    match action {
        Action::Open { welcome, .. } => text(welcome)[..8].to_owned(),
        Action::Challenge(challenge) => text(challenge).to_owned(),
        Action::Publish(publish) => format!(
            "publish {} {} flags={} ack={:?}{}{}",
            publish.topic,
            text(&publish.payload),
            publish.flags.0,
            publish.acknowledge.map(|request| request.0),
            if publish.wait { " wait" } else { "" },
            if publish.level == AckLevel::Durable { " durable" } else { "" },
        ),
        Action::PublishRefused { refusal, answer: None } => {
            format!("dropped {}", refusal.label())
        }
        Action::PublishRefused { answer: Some(answer), .. }
        | Action::SubscribeRefused { answer, .. }
        | Action::RegisterRefused { answer } => {
            let answer = text(answer);
            let end = answer.find(",[").expect("an ERROR with arguments");
            answer[..end].to_owned()
        }
        Action::Subscribe { request, wanted } => {
            let Subscribe { pattern, after, limit, is_snapshot } = &**wanted;
            assert_eq!((*after, *limit, *is_snapshot), (None, None, false), "{wanted:?}");
            let TopicPattern { realm, uri, matching } = pattern;
            format!("subscribe {} {realm} {uri} {matching:?}", request.0)
        }
        Action::Unsubscribe { request, subscription } => {
            format!("unsubscribe {} {}", request.0, subscription.0)
        }
        Action::Call(word) => calls::in_words(word),
        Action::Asked { then, .. } => format!("asked: {}", in_words(then)),
        Action::AskLogin { .. } => "asked who it is".to_owned(),
        Action::End(Ending::Violation(violation)) => {
            format!("violation {}", violation.label())
        }
        Action::End(ending) => format!("{ending:?}"),
    }
}

#[test]
fn a_batch_is_not_looked_at_beyond_its_first_violation() {
    let mut session = of(BATCHED);
    let many = format!("{HELLO}\u{1e}{}", "7\u{1e}".repeat(1000));
    let all = actions(&mut session, &many);
    assert!(matches!(all[..], [Action::Open { .. }, Action::End(_)]), "{}", all.len());
    let binary_batched = Serializer { encoding: Encoding::MsgPack, is_batched: true };
    let mut session = of(binary_batched);
    assert_eq!(binary(&mut session, &[0, 0, 0, 1, 7, 0, 0, 0, 1, 7, 0, 0]).len(), 1);
}

#[test]
fn of_a_batch_so_many_messages_are_taken_at_a_time_and_none_is_lost() {
    let mut session = of(BATCHED);
    let publishes = |from: u64| {
        (from..from + 600).map(|id| format!("[34,{id},{id}]\u{1e}")).collect::<String>()
    };
    let mut taken = actions(&mut session, &format!("{HELLO}\u{1e}{}", publishes(1)));
    assert_eq!((taken.len(), session.has_rest()), (256, true));
    while session.has_rest() {
        session.on_rest(NOW, &mut taken);
    }
    let ids: Vec<_> = taken.iter().map(in_words).collect();
    let wanted: Vec<_> = (1..=600).map(|id| format!("unsubscribe {id} {id}")).collect();
    assert_eq!(ids[1..], wanted);
    // The same of binary frames, and of one that ends within a message.
    let mut session = of(Serializer { encoding: Encoding::MsgPack, is_batched: true });
    let mut frame = Vec::new();
    for _ in 0..300 {
        frame.extend_from_slice(&[0, 0, 0, 1, 0x93]);
    }
    let all = {
        let mut all = Vec::new();
        session.on_binary(NOW, &Bytes::from(frame), &mut all);
        all
    };
    assert!(matches!(all[..], [Action::End(_)]), "the first one is a mistake: {}", all.len());
    assert!(!session.has_rest(), "and nothing behind it is looked at");
}

#[test]
fn before_the_session_is_open_only_a_good_hello_is_taken() {
    let table = [
        (HELLO, "[2,4711,"),
        (r#"[1,"re\u0061lm1",{"roles":{"caller":{}}}]"#, "[2,4711,"),
        (r#"[1,"a b",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
        (r#"[1,"",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
        (r#"[1,"\ud800",{"roles":{"caller":{}}}]"#, "InvalidRealm"),
        (r#"[1,null,{"roles":{"caller":{}}}]"#, "violation type"),
        (r#"[1,"realm1",{}]"#, "violation no_role"),
        (r#"[1,"realm1",{"roles":{}}]"#, "violation no_role"),
        (r#"[1,"realm1",[]]"#, "violation type"),
        (r#"[1,"realm1"]"#, "violation arity"),
        (
            r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"]}]"#,
            "LoginRefused(NoMatchingMethod)",
        ),
        (r#"[3,{},"wamp.close.normal"]"#, "ClientAborted"),
        (r#"[6,{},"wamp.close.normal"]"#, "violation unexpected"),
        (r#"[16,1,{},"a.b"]"#, "violation unexpected"),
        (r#"[32,1,{},"a.b"]"#, "violation unexpected"),
        ("[34,1,1]", "violation unexpected"),
        (r#"[5,"signature",{}]"#, "violation unexpected"),
        ("hello", "violation not_json"),
    ];
    for (frame, wanted) in table {
        assert_eq!(outcome(&mut establishing(), frame), wanted, "{frame}");
    }
}

#[test]
fn good_requests_of_an_open_session_are_taken() {
    let table = [
        (r#"[16,1,{},"a.b"]"#, "publish realm1 a.b  flags=1 ack=None"),
        (
            r#"[16,2,{"acknowledge":true},"a.b",[1,"x"]]"#,
            r#"publish realm1 a.b [1,"x"] flags=1 ack=Some(2)"#,
        ),
        (
            r#"[16,3,{"acknowledge":true,"exclude_me":false},"a\u002eb",[],{"k":{}}]"#,
            r#"publish realm1 a.b [],{"k":{}} flags=0 ack=Some(3)"#,
        ),
        (
            r#"[16,4,{"acknowledge":true,"_wait":true},"a.b"]"#,
            "publish realm1 a.b  flags=1 ack=Some(4) wait",
        ),
        (
            r#"[16,5,{"acknowledge":true,"ack":"durable"},"a.b"]"#,
            "publish realm1 a.b  flags=1 ack=Some(5) durable",
        ),
        (r#"[32,4,{"match":"exact"},"a.b"]"#, "subscribe 4 realm1 a.b Exact"),
        (r#"[32,4,{},"wamp.session.on_join"]"#, "subscribe 4 realm1 wamp.session.on_join Exact"),
        (r#"[32,4,{"match":"prefix"},"a."]"#, "subscribe 4 realm1 a. Prefix"),
        (r#"[32,4,{"match":"prefix"},""]"#, "subscribe 4 realm1  Prefix"),
        (r#"[32,4,{"match":"wildcard"},"a..b"]"#, "subscribe 4 realm1 a..b Wildcard"),
        (r#"[32,4,{},"a.*.b"]"#, "subscribe 4 realm1 a.*.b Dotted"),
        (r#"[32,4,{"match":"exact"},"a.\u0023"]"#, "subscribe 4 realm1 a.# Dotted"),
        ("[34,5,6]", "unsubscribe 5 6"),
        (r#"[6,{},"wamp.close.close_realm"]"#, "Goodbye"),
        (r#"[3,{"message":"no"},"wamp.error.x"]"#, "ClientAborted"),
    ];
    for (frame, wanted) in table {
        assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
    }
}

#[test]
fn hostile_frames_get_the_answer_of_the_specification() {
    let table = [
        // Broken frames end the session.
        ("", "violation not_json"),
        (" ", "violation not_json"),
        ("[", "violation not_json"),
        ("[16,1,{},\"a.b\"", "violation not_json"),
        ("[16,1,{},\"a.b\"]]", "violation not_json"),
        ("[16,1,{},\"a.b\"] x", "violation not_json"),
        ("[16,1,{},\"a.b\",]", "violation not_json"),
        ("[16,01,{},\"a.b\"]", "violation not_json"),
        ("[16,+1,{},\"a.b\"]", "violation not_json"),
        ("[16,1,{},'a.b']", "violation not_json"),
        ("[16,1,{},\"a\\x\"]", "violation not_json"),
        ("[16,1,{},\"a\nb\"]", "violation not_json"),
        ("[16,1,{},\"a.b\",[NaN]]", "violation not_json"),
        ("[16,1,{},\"a.b\",[1,]]", "violation not_json"),
        ("[16,1,{},\"a.b\",[1}]", "violation not_json"),
        ("[16,1,{},\"a.b\",[],{1:2}]", "violation not_json"),
        ("\u{feff}[16,1,{},\"a.b\"]", "violation not_json"),
        // JSON, and no message.
        ("[]", "violation not_list"),
        ("{}", "violation not_list"),
        ("null", "violation not_list"),
        ("16", "violation not_list"),
        ("\"[16]\"", "violation not_list"),
        ("[[16]]", "violation not_list"),
        ("[\"16\",1,{},\"a.b\"]", "violation not_list"),
        ("[16.0,1,{},\"a.b\"]", "violation not_list"),
        ("[-16,1,{},\"a.b\"]", "violation not_list"),
        ("[7,1]", "violation unknown_code"),
        ("[0]", "violation unknown_code"),
        ("[1023,{}]", "violation unknown_code"),
        ("[99999999999999999999999,{}]", "violation unknown_code"),
        // Messages of other roles, or at the wrong time.
        (HELLO, "violation unexpected"),
        ("[2,1,{}]", "violation unexpected"),
        ("[4,\"ticket\",{}]", "violation unexpected"),
        ("[8,48,1,{},\"a.b\"]", "violation unexpected"),
        ("[17,1,1]", "violation unexpected"),
        ("[33,1,1]", "violation unexpected"),
        ("[36,1,1,{}]", "violation unexpected"),
        ("[50,1,{}]", "violation unexpected"),
        ("[65,1,1]", "violation unexpected"),
        ("[67,1]", "violation unexpected"),
        ("[68,1,1,{}]", "violation unexpected"),
        ("[69,1,{}]", "violation unexpected"),
        // Wrong numbers of elements.
        ("[16]", "violation arity"),
        ("[16,1,{}]", "violation arity"),
        ("[16,1,{},\"a.b\",[],{},[]]", "violation arity"),
        ("[16,1,{},\"a.b\",[],{},[],[],[]]", "violation arity"),
        ("[32,1,{},\"a.b\",[]]", "violation arity"),
        ("[34,1]", "violation arity"),
        ("[6,{}]", "violation arity"),
        ("[3]", "violation arity"),
        // Wrong types of elements.
        ("[16,1,[],\"a.b\"]", "violation type"),
        ("[16,1,null,\"a.b\"]", "violation type"),
        ("[16,1,{},7]", "violation type"),
        ("[16,1,{},\"a.b\",{}]", "violation type"),
        ("[16,1,{},\"a.b\",null]", "violation type"),
        ("[16,1,{},\"a.b\",[],[]]", "violation type"),
        ("[16,1,{},\"a.b\",\"[]\"]", "violation type"),
        ("[32,1,\"{}\",\"a.b\"]", "violation type"),
        ("[6,[],\"a.b\"]", "violation type"),
        ("[6,{},7]", "violation type"),
        // Ids out of range.
        ("[16,0,{},\"a.b\"]", "violation id"),
        ("[16,-1,{},\"a.b\"]", "violation id"),
        ("[16,1.0,{},\"a.b\"]", "violation id"),
        ("[16,1e3,{},\"a.b\"]", "violation id"),
        ("[16,\"1\",{},\"a.b\"]", "violation id"),
        ("[16,9007199254740993,{},\"a.b\"]", "violation id"),
        ("[16,99999999999999999999999,{},\"a.b\"]", "violation id"),
        ("[32,null,{},\"a.b\"]", "violation id"),
        ("[34,1,0]", "violation id"),
        // Requests that cannot be served: an ERROR if the client asked for an answer.
        ("[16,1,{},\"a b\"]", "dropped invalid_uri"),
        ("[16,1,{},\"\"]", "dropped invalid_uri"),
        ("[16,1,{},\"a..b\"]", "dropped invalid_uri"),
        ("[16,1,{},\"wamp.x\"]", "dropped reserved_uri"),
        ("[16,1,{\"exclude_me\":7},\"a.b\"]", "dropped invalid_option"),
        ("[16,1,{\"acknowledge\":true},\"a#b\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
        ("[16,1,{\"acknowledge\":true},\"\\ud800\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
        ("[16,1,{\"acknowledge\":true},\"wamp.x\"]", "[8,16,1,{},\"wamp.error.invalid_uri\""),
        ("[16,1,{\"acknowledge\":\"yes\"},\"a.b\"]", "[8,16,1,{},\"wamp.error.invalid_argument\""),
        ("[32,1,{},\"a b\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[32,1,{},\"a..b\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[16,1,{},\"a.*\"]", "publish realm1 a.*  flags=1 ack=None"),
        ("[16,1,{},\"a.#\"]", "dropped invalid_uri"),
        ("[32,1,{},\"a.##\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[32,1,{\"match\":\"prefix\"},\"a..\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[32,1,{\"match\":\"prefix\"},\"a.#\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[32,1,{\"match\":\"wildcard\"},\"a. .b\"]", "[8,32,1,{},\"wamp.error.invalid_uri\""),
        ("[32,1,{\"match\":\"dotted\"},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
        ("[32,1,{\"after\":\"soon\"},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
        ("[32,1,{\"limit\":0},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
        ("[32,1,{\"snapshot\":1},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
        ("[16,1,{\"exclude\":7},\"a.b\"]", "dropped invalid_option"),
        (
            "[16,1,{\"acknowledge\":true,\"ack\":\"now\"},\"a.b\"]",
            "[8,16,1,{},\"wamp.error.invalid_argument\"",
        ),
        ("[32,1,{\"match\":1},\"a\"]", "[8,32,1,{},\"wamp.error.invalid_argument\""),
    ];
    for (frame, wanted) in table {
        assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
    }
}

#[test]
fn a_message_too_large_is_refused_and_one_at_the_bound_is_not() {
    let publish = |options: &str, payload: usize| {
        format!(r#"[16,1,{options},"a.b",["{}"]]"#, "x".repeat(payload - 4))
    };
    let ack = r#"{"acknowledge":true}"#;
    let refused = r#"[8,16,1,{},"wamp.error.payload_size_exceeded""#;
    let mut session = open();
    assert!(outcome(&mut session, &publish(ack, 61)).starts_with("publish"));
    assert_eq!(outcome(&mut session, &publish(ack, 62)), refused);
    assert_eq!(outcome(&mut session, &publish("{}", 62)), "dropped too_large");
}

#[test]
fn the_payload_is_a_slice_of_the_frame() {
    let frame = Utf8Bytes::from(r#"[16,1,{},"a.b",["x"],{"k":1e400}]"#);
    let text = frame.as_str().as_ptr().addr();
    let mut actions = Vec::new();
    open().on_text(NOW, &frame, &mut actions);
    let [Action::Publish(publish)] = &actions[..] else { panic!("{actions:?}") };
    assert_eq!(&publish.payload[..], br#"["x"],{"k":1e400}"#);
    assert_eq!(publish.payload.as_ptr().addr() - text, 15);
}

#[test]
fn a_closed_session_takes_nothing() {
    let mut session = open();
    let violation = binary(&mut session, b"[6,{},\"a.b\"]");
    assert!(matches!(violation[..], [Action::End(Ending::Violation(Violation::Binary))]));
    let abort = session.farewell(Violation::Binary.into()).expect("a last message");
    assert_eq!(
        text(&abort),
        r#"[3,{"message":"binary frame, but wamp.2.json is text"},"wamp.error.protocol_violation"]"#
    );
    assert!(actions(&mut session, HELLO).is_empty());
    assert!(binary(&mut session, b"[]").is_empty());
    assert_eq!(session.farewell(Ending::Shutdown), None);
}

#[test]
fn farewells_fit_the_state() {
    let text =
        |session: &mut Session, ending| session.farewell(ending).map(|last| text(&last).to_owned());
    let bye = r#"[6,{},"wamp.close.goodbye_and_out"]"#;
    assert_eq!(text(&mut open(), Ending::Goodbye).as_deref(), Some(bye));
    let killed = text(&mut open(), Ending::RoleGone).expect("a last message");
    assert!(killed.starts_with("[6,") && killed.ends_with("\"wamp.close.killed\"]"));
    assert_eq!(text(&mut open(), Ending::ClientAborted), None);
    assert_eq!(text(&mut open(), Ending::Disconnected), None);
}

#[test]
fn who_may_come_back_gets_no_last_message_unless_it_is_wanted() {
    let first = Position(17);
    let stopping = r#"{"message":"this node is shutting down"},"wamp.close.system_shutdown"]"#;
    let passing = [
        (Ending::Shutdown, "wamp.close.system_shutdown"),
        (Ending::KeepAliveTimeout, "wamp.close.timeout"),
        (Ending::Trimmed { first }, "vixen.error.trimmed"),
    ];
    for (ending, uri) in passing {
        assert_eq!(open().farewell(ending), None, "{ending}");
        assert_eq!(establishing().farewell(ending), None, "{ending}");
        let told = always(open()).farewell(ending).expect("a last message");
        let told = text(&told);
        assert!(told.starts_with("[6,") && told.ends_with(&format!("\"{uri}\"]")), "{told}");
    }
    let aborted = always(establishing()).farewell(Ending::Shutdown).expect("a last message");
    assert_eq!(text(&aborted), format!("[3,{stopping}"));
    let throttled = Ending::LoginRefused(crate::auth::Refusal::Throttled);
    assert_eq!(establishing().farewell(throttled), None);
}

/// A session of an entry that says goodbye whenever it ends one.
fn always(mut session: Session) -> Session {
    let limits = SessionLimits { goodbye: Goodbye::Always, ..SessionLimits::of_tests() };
    session.limits = Arc::new(limits);
    session
}

#[test]
fn an_open_session_knows_who_it_is_and_whether_it_takes_revocations() {
    let table = [
        (HELLO, false),
        (r#"[1,"realm1",{"roles":{"subscriber":{"features":{}}}}]"#, false),
        (
            r#"[1,"realm1",{"roles":{"subscriber":{"features":{"subscription_revocation":true}}}}]"#,
            true,
        ),
    ];
    for (hello, wanted) in table {
        let mut session = establishing();
        let actions = actions(&mut session, hello);
        let [Action::Open { info, takes_revocation, welcome, .. }] = &actions[..] else {
            panic!("{actions:?}");
        };
        assert_eq!(*takes_revocation, wanted, "{hello}");
        assert_eq!((info.session, session.id()), (SessionId(4711), SessionId(4711)));
        let who = (&*info.realm, &*info.authid, &*info.authrole, info.is_announced);
        assert_eq!(who, ("realm1", "0707070707070707", "anonymous", true));
        let welcome: serde_json::Value = serde_json::from_slice(welcome).expect("JSON");
        assert_eq!(welcome[2]["authid"], *info.authid);
    }
}

#[test]
fn a_subscription_takes_its_past_its_limit_and_its_end() {
    let wanted = |options: &str| {
        let frame = format!("[32,9,{options},\"a.b\"]");
        match actions(&mut open(), &frame).pop() {
            Some(Action::Subscribe { request: RequestId(9), wanted }) => *wanted,
            other => panic!("{frame}: {other:?}"),
        }
    };
    let pattern = TopicPattern::new("realm1", "a.b", Match::Exact);
    let live = Subscribe { pattern, after: None, limit: None, is_snapshot: false };
    assert_eq!(wanted("{}"), live);
    let after = Some(After::Point(RefPoint::Position(Position(42))));
    assert_eq!(wanted(r#"{"after":42}"#), Subscribe { after, ..live.clone() });
    let midnight = WallTime(NOW.0 - 10 * 60 * 60 * 1_000);
    let after = Some(After::Point(RefPoint::Time(midnight)));
    assert_eq!(
        wanted(r#"{"after":"today","limit":3,"snapshot":true}"#),
        Subscribe { after, limit: Some(3), is_snapshot: true, ..live }
    );
}

#[test]
fn a_publisher_is_disclosed_and_lists_are_kept_only_when_asked_for() {
    let attributes = |options: &str| {
        let frame = format!("[16,1,{options},\"a.b\"]");
        published(&mut open_wide(), &frame).attributes
    };
    for nothing in ["{}", r#"{"disclose_me":false}"#, r#"{"exclude":null}"#, r#"{"exclude":[]}"#] {
        assert!(attributes(nothing).is_empty(), "{nothing}");
    }
    let read = |options| Attributes::from_bytes(&attributes(options)).expect("attributes");
    let publisher =
        Publisher { authid: "0707070707070707".to_owned(), authrole: "anonymous".to_owned() };
    let disclosed = Attributes { publisher: Some(publisher), ..Attributes::default() };
    assert_eq!(read(r#"{"disclose_me":true}"#), disclosed);
    let lists = read(r#"{"exclude":[5],"eligible_authrole":["user"],"disclose_me":true}"#);
    assert_eq!(lists.publisher, disclosed.publisher);
    assert_eq!(lists.exclude.sessions, [5]);
    assert_eq!(lists.eligible.authroles, Some(vec!["user".to_owned()]));
    assert_eq!((lists.eligible.sessions, lists.eligible.authids), (None, None));
    // An empty whitelist is a list that nobody is on.
    assert_eq!(read(r#"{"eligible":[]}"#).eligible.sessions, Some(vec![]));
}

#[test]
fn attributes_count_against_the_bound_of_a_message() {
    let lists = |authids: usize| {
        let list = vec!["\"0123456789\""; authids].join(",");
        format!(r#"[16,1,{{"exclude_authid":[{list}]}},"a.b",[]]"#)
    };
    let mut session = open();
    assert!(outcome(&mut session, &lists(1)).starts_with("publish"));
    assert_eq!(outcome(&mut session, &lists(6)), "dropped too_large");
}

#[test]
fn a_batch_has_any_number_of_messages() {
    let mut session = of(BATCHED);
    let hello = format!("{HELLO}\u{1e}");
    assert!(matches!(actions(&mut session, &hello)[..], [Action::Open { .. }]));
    let batch = "[16,1,{},\"a.b\",[1]]\u{1e}[34,5,6]\u{1e}\u{1e}[16,2,{},\"a.c\",[\"ü\"]]";
    let words: Vec<_> = actions(&mut session, batch).iter().map(in_words).collect();
    let wanted = [
        "publish realm1 a.b [1] flags=1 ack=None",
        "unsubscribe 5 6",
        "publish realm1 a.c [\"ü\"] flags=1 ack=None",
    ];
    assert_eq!(words, wanted);
    assert!(actions(&mut session, "").is_empty() && actions(&mut session, "\u{1e}").is_empty());
    let violation = binary(&mut session, b"");
    assert!(matches!(violation[..], [Action::End(Ending::Violation(Violation::Binary))]));
}

#[test]
fn a_violation_within_a_batch_ends_the_session_before_what_follows() {
    let mut session = of(BATCHED);
    let batch = format!("{HELLO}\u{1e}{HELLO}\u{1e}[34,5,6]\u{1e}");
    let actions = actions(&mut session, &batch);
    let ends = actions.iter().position(|action| matches!(action, Action::End(_)));
    assert_eq!(ends, Some(1), "{actions:?}");
}

#[test]
fn an_unbatched_frame_with_a_separator_is_no_json() {
    let frame = "[34,5,6]\u{1e}[34,5,7]";
    assert_eq!(outcome(&mut open(), frame), "violation not_json");
}
