//! What one entry answers, and what answers of several make together.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vixen_core::id::OwnerId;
use vixen_core::membership::Membership;
use vixen_core::segment::{Content, Encoding, RecordFlags};
use vixen_core::time::WallTime;

use super::*;
use crate::api::AckLevel;
use crate::api::calls::CallFeatures;
use crate::delivery::{DeliveryOptions, Numbering, SubscriptionLimits};

const LIMITS: TestamentLimits = TestamentLimits {
    per_session_max: 3,
    bytes_per_session_max: 1000,
    bytes_per_address_max: 1500,
    bytes_per_site_max: 1500,
    bytes_max: 1500,
};

/// From where clients come, unless a test says otherwise.
const HOME: Origin = Origin { client: IpAddr::V4(Ipv4Addr::LOCALHOST), site: None };

fn info(session: u64, realm: &str, authid: &str, authrole: &str) -> Arc<SessionInfo> {
    Arc::new(SessionInfo {
        session: SessionId(session),
        realm: realm.into(),
        authid: authid.into(),
        authrole: authrole.into(),
        authmethod: "ticket",
        authprovider: "static",
        origin: HOME,
        is_announced: session != 9,
        calls: CallFeatures::default(),
    })
}

/// Sessions 1 to 3 of realm `r`, 4 of another, and 9 of which nobody is to hear.
fn meta() -> Meta {
    let mut meta = Meta::new(LIMITS);
    for (session, realm, authid, authrole) in [
        (1, "r", "ann", "user"),
        (2, "r", "bob", "user"),
        (3, "r", "ann", "admin"),
        (4, "other", "ann", "user"),
        (9, "r", "ann", "user"),
    ] {
        meta.open(&info(session, realm, authid, authrole));
    }
    meta
}

/// What session 1 is told, and who is to be ended.
fn ask(meta: &mut Meta, question: Question) -> (Reply, Vec<u64>) {
    let delivery = Delivery::new(&DeliveryOptions {
        owner: OwnerId(uuid::Uuid::from_u128(0)),
        membership: Membership::sized(3, [3], 2),
        subscriptions: SubscriptionLimits::UNBOUNDED,
        numbering: Numbering::Counted,
        waiting_bytes_max: 64 << 20,
    });
    let asker = Asker { realm: "r".into(), session: SessionId(1) };
    let mut fx = Effects::default();
    let reply = meta.answer(&asker, question, &delivery, &mut fx);
    (reply, fx.ends.into_iter().map(|(session, _)| session.0).collect())
}

fn kill(whom: Whom) -> Question {
    Question::Kill { whom, goodbye: Goodbye { reason: "a.b".to_owned(), message: None } }
}

fn testament(scope: Scope, payload: &str) -> Testament {
    let message = Publish {
        topic: Topic::new("r", "a.b"),
        content: Content::Arguments(Encoding::Json),
        payload: bytes::Bytes::copy_from_slice(payload.as_bytes()),
        attributes: bytes::Bytes::new(),
        flags: RecordFlags::default(),
        acknowledge: None,
        level: AckLevel::Canonical,
        wait: true,
    };
    Testament { scope, message }
}

#[test]
fn what_is_told_is_of_the_realm_and_of_announced_sessions() {
    let mut meta = meta();
    assert_eq!(ask(&mut meta, Question::ListSessions(None)).0, Reply::Ids(vec![1, 2, 3]));
    let admins = Some(vec!["admin".to_owned()]);
    assert_eq!(ask(&mut meta, Question::CountSessions(admins)).0, Reply::Count(1));
    for hidden in [4, 9] {
        let none = Reply::NoSuch(Missing::Session(hidden));
        assert_eq!(ask(&mut meta, Question::GetSession(SessionId(hidden))).0, none);
        let all = ask(&mut meta, kill(Whom::Session(SessionId(hidden))));
        assert_eq!(all, (none, vec![]), "M1");
    }
    meta.close(SessionId(2));
    assert_eq!(ask(&mut meta, Question::ListSessions(None)).0, Reply::Ids(vec![1, 3]));
}

#[test]
fn who_asks_is_never_ended() {
    let mut meta = meta();
    let own = Reply::NoSuch(Missing::OwnSession(1));
    assert!(!own.may_be_elsewhere());
    assert_eq!(ask(&mut meta, kill(Whom::Session(SessionId(1)))), (own, vec![]));
    let ann = ask(&mut meta, kill(Whom::Authid("ann".to_owned())));
    assert_eq!(ann, (Reply::Ids(vec![3]), vec![3]));
    let users = ask(&mut meta, kill(Whom::Authrole("user".to_owned())));
    assert_eq!(users, (Reply::Ids(vec![2]), vec![2]));
    assert_eq!(ask(&mut meta, kill(Whom::All)), (Reply::Count(2), vec![2, 3]));
    assert_eq!(ask(&mut meta, kill(Whom::Session(SessionId(2)))), (Reply::Done, vec![2]));
}

#[test]
fn answers_of_two_entries_are_one() {
    let none = || Reply::NoSuch(Missing::Session(1));
    let ids = |ids: &[u64]| Reply::Ids(ids.to_vec());
    let details = |created| {
        let pattern = TopicPattern::new("r", "a.b", Match::Prefix);
        Reply::Subscription(Details::new(7, WallTime(created), &pattern))
    };
    let found = |id, is_private| Reply::Found(Some(Found { is_private, id }));
    let lists = |exact: &[u64], prefix: &[u64]| {
        let (exact, prefix) = (exact.to_vec(), prefix.to_vec());
        Reply::Lists(Lists { exact, prefix, wildcard: Vec::new() })
    };
    for (own, other, both) in [
        (Reply::Count(2), Reply::Count(3), Reply::Count(5)),
        (ids(&[1, 5]), ids(&[3, 5]), ids(&[1, 3, 5])),
        (none(), Reply::Done, Reply::Done),
        (Reply::Done, none(), Reply::Done),
        (none(), none(), none()),
        (Reply::Found(None), found(4, true), found(4, true)),
        (found(4, false), Reply::Found(None), found(4, false)),
        // That of all who have subscribed it, before those of sessions alone.
        (found(4, true), found(9, false), found(9, false)),
        (found(4, true), found(9, true), found(4, true)),
        (details(9), details(8), details(8)),
        (lists(&[1], &[4]), lists(&[1, 2], &[3]), lists(&[1, 2], &[3, 4])),
    ] {
        let merged = own.clone().merge(other.clone());
        assert_eq!(merged, both, "{own:?} and {other:?}");
        assert_eq!(other.merge(own), both, "whoever answers first");
    }
}

#[test]
fn testaments_come_detached_first_and_once() {
    let mut meta = meta();
    let one = SessionId(1);
    for (scope, text) in
        [(Scope::Destroyed, "[1]"), (Scope::Detached, "[2]"), (Scope::Destroyed, "[3]")]
    {
        meta.add_testament((one, HOME), testament(scope, text), 0).expect("room");
    }
    let left = |messages: Vec<Publish>| {
        let texts = messages.into_iter().map(|message| message.payload);
        texts.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(left(meta.close(one)), ["[2]", "[1]", "[3]"]);
    assert!(meta.close(one).is_empty());
}

#[test]
fn testaments_are_bounded_and_flushed_by_scope() {
    let mut meta = meta();
    let (one, two) = (SessionId(1), SessionId(2));
    let reached = |key, max| Err(MetaError::TooManyTestaments { key, max });
    // With its topic and what each counts, more than half of what a session may leave.
    let large = || testament(Scope::Destroyed, &"7".repeat(650));
    assert_eq!(meta.add_testament((one, HOME), large(), 0), Ok(1));
    let bytes = reached("testaments-bytes-per-session-max", 1000);
    assert_eq!(meta.add_testament((one, HOME), large(), 0), bytes);
    assert_eq!(meta.add_testament((one, HOME), testament(Scope::Detached, "[]"), 0), Ok(2));
    assert_eq!(meta.add_testament((one, HOME), testament(Scope::Detached, "[]"), 0), Ok(3));
    let count = reached("testaments-per-session-max", 3);
    assert_eq!(meta.add_testament((one, HOME), testament(Scope::Detached, "[]"), 0), count);
    // Of all sessions, from wherever they are.
    let elsewhere = Origin { client: IpAddr::V4(Ipv4Addr::BROADCAST), site: None };
    let bytes = reached("testaments-bytes-max", 1500);
    assert_eq!(meta.add_testament((two, elsewhere), large(), 0), bytes);
    assert_eq!(meta.flush_testaments(one, Scope::Destroyed), 1);
    assert_eq!(meta.flush_testaments(one, Scope::Destroyed), 0);
    // Those whose sessions are over count until they have room in the order.
    assert_eq!(
        meta.add_testament((two, HOME), large(), 1_000),
        reached("testaments-bytes-max", 1500)
    );
    assert_eq!(meta.add_testament((two, HOME), large(), 0), Ok(1));
    assert_eq!(meta.close(one).len(), 2);
    assert_eq!(meta.close(two).len(), 1);
    assert!(meta.testaments.are_none());
}

/// One address had all that sessions of an entry may leave.
#[test]
fn no_address_has_more_of_the_testaments_than_its_share() {
    let limits = TestamentLimits {
        bytes_per_address_max: 1000,
        bytes_per_site_max: 1500,
        bytes_max: 10_000,
        ..LIMITS
    };
    let mut meta = Meta::new(limits);
    let large = || testament(Scope::Destroyed, &"7".repeat(650));
    let site = Some(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
    let at = |session, client: u16| {
        let client = IpAddr::V6(Ipv6Addr::new(client, 0, 0, 0, 0, 0, 0, 0));
        (SessionId(session), Origin { client, site })
    };
    let reached =
        |max| Err(MetaError::TooManyTestaments { key: "testaments-bytes-per-address-max", max });
    assert_eq!(meta.add_testament(at(1, 1), large(), 0), Ok(1));
    assert_eq!(meta.add_testament(at(2, 1), large(), 0), reached(1000));
    assert_eq!(meta.add_testament(at(3, 2), testament(Scope::Detached, "[]"), 0), Ok(1));
    assert_eq!(meta.add_testament(at(3, 2), large(), 0), reached(1500), "of the site");
    assert_eq!(meta.add_testament((SessionId(4), HOME), large(), 0), Ok(1), "of none");
    // What is taken back, not allowed any more, or over is free again.
    assert_eq!(meta.flush_testaments(SessionId(1), Scope::Destroyed), 1);
    assert_eq!(meta.add_testament(at(2, 1), large(), 0), Ok(1));
    meta.judge_testaments(SessionId(2), None);
    assert_eq!(meta.add_testament(at(1, 1), large(), 0), Ok(2));
    for session in 1..=4 {
        meta.close(SessionId(session));
    }
    assert!(meta.testaments.are_none());
}

#[test]
fn testaments_that_may_not_be_published_any_more_are_forgotten() {
    let mut meta = meta();
    let (one, two) = (SessionId(1), SessionId(2));
    for (session, scope) in
        [(one, Scope::Detached), (one, Scope::Destroyed), (two, Scope::Detached)]
    {
        meta.add_testament((session, HOME), testament(scope, "[]"), 0).expect("room");
    }
    meta.judge_testaments(one, Some(&Permissions::OPEN));
    let before = meta.testaments.bytes();
    meta.judge_testaments(one, None);
    assert_eq!(meta.testaments.bytes() * 3, before);
    assert!(meta.close(one).is_empty());
    assert_eq!(meta.close(two).len(), 1);
    assert_eq!(meta.testaments.bytes(), 0);
}
