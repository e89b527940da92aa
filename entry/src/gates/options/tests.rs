use vixen_core::id::{PermanentId, Stamp};

use super::*;

/// 2026-11-21T10:00:00Z.
const NOW: WallTime = WallTime(1_795_255_200_000);

fn publish(acknowledge: bool, exclude_me: bool) -> Result<PublishOptions, (OptionError, bool)> {
    let include_me = !exclude_me;
    Ok(PublishOptions { acknowledge, include_me, ..PublishOptions::default() })
}

fn patient(acknowledge: bool) -> Result<PublishOptions, (OptionError, bool)> {
    Ok(PublishOptions { acknowledge, wait: true, ..PublishOptions::default() })
}

fn invalid(option: &'static str) -> Result<PublishOptions, (OptionError, bool)> {
    Err((OptionError::Invalid(option), true))
}

#[test]
fn publish_options_are_read_and_unknown_ones_ignored() {
    let table = [
        ("{}", publish(false, true)),
        ("{ }", publish(false, true)),
        (r#"{"acknowledge":true}"#, publish(true, true)),
        (r#"{ "acknowledge" : true }"#, publish(true, true)),
        (r#"{"acknowledge":false,"exclude_me":false}"#, publish(false, false)),
        (r#"{"exclude_me":false,"acknowledge":true}"#, publish(true, false)),
        (r#"{"acknowledge":null,"exclude_me":null}"#, publish(false, true)),
        (r#"{"retain":[{}],"x":1e400}"#, publish(false, true)),
        (r#"{"acknowledge":1}"#, Err((OptionError::Invalid("acknowledge"), true))),
        (r#"{"acknowledge":"true"}"#, Err((OptionError::Invalid("acknowledge"), true))),
        (r#"{"exclude_me":0}"#, Err((OptionError::Invalid("exclude_me"), false))),
        (r#"{"exclude_me":0,"acknowledge":true}"#, Err((OptionError::Invalid("exclude_me"), true))),
        (r#"{"acknowledge":true,"acknowledge":false}"#, Err((OptionError::Twice, true))),
        (r#"{"acknowledge":true,"_wait":true}"#, patient(true)),
        (r#"{"_wait":true,"acknowledge":true}"#, patient(true)),
        (r#"{"_wait":true}"#, patient(false)),
        (r#"{"acknowledge":true,"_wait":false}"#, publish(true, true)),
        (r#"{"acknowledge":true,"_wait":null}"#, publish(true, true)),
        (r#"{"acknowledge":true,"wait":true}"#, publish(true, true)),
        (r#"{"acknowledge":true,"_wait":1}"#, Err((OptionError::Invalid("_wait"), true))),
        (r#"{"acknowledge":true,"_wait":"9s"}"#, Err((OptionError::Invalid("_wait"), true))),
        (r#"{"_wait":{}}"#, Err((OptionError::Invalid("_wait"), false))),
        (r#"{"_wait":true,"_wait":true}"#, Err((OptionError::Twice, true))),
    ];
    for (raw, wanted) in table {
        assert_eq!(publish_options(raw), wanted, "{raw}");
    }
}

#[test]
fn an_answer_comes_for_the_place_or_for_safety() {
    let durable = AckLevel::Durable;
    let canonical = publish(true, true);
    let table = [
        (r#"{"acknowledge":true,"ack":"canonical"}"#, canonical.clone()),
        (r#"{"acknowledge":true,"ack":null}"#, canonical),
        (
            r#"{"acknowledge":true,"ack":"dur\u0061ble"}"#,
            Ok(PublishOptions { acknowledge: true, level: durable, ..Default::default() }),
        ),
        // Of no effect, but no mistake.
        (r#"{"ack":"durable"}"#, Ok(PublishOptions { level: durable, ..Default::default() })),
        (r#"{"acknowledge":true,"ack":"Durable"}"#, invalid("ack")),
        (r#"{"acknowledge":true,"ack":""}"#, invalid("ack")),
        (r#"{"acknowledge":true,"ack":true}"#, invalid("ack")),
        (r#"{"acknowledge":true,"ack":["durable"]}"#, invalid("ack")),
        (r#"{"acknowledge":true,"ack":"\ud800"}"#, invalid("ack")),
        (r#"{"ack":7}"#, Err((OptionError::Invalid("ack"), false))),
    ];
    for (raw, wanted) in table {
        assert_eq!(publish_options(raw), wanted, "{raw}");
    }
}

#[test]
fn a_publisher_is_disclosed_when_it_says_so() {
    let disclosed = Ok(PublishOptions { disclose_me: true, ..Default::default() });
    let hidden = Ok(PublishOptions::default());
    let table = [
        (r#"{"disclose_me":true}"#, disclosed),
        (r#"{"disclose_me":false}"#, hidden.clone()),
        (r#"{"disclose_me":null}"#, hidden),
        (r#"{"disclose_me":"yes","acknowledge":true}"#, invalid("disclose_me")),
        (r#"{"disclose_me":1,"acknowledge":true}"#, invalid("disclose_me")),
    ];
    for (raw, wanted) in table {
        assert_eq!(publish_options(raw), wanted, "{raw}");
    }
}

#[test]
fn black_and_whitelists_are_read() {
    let lists = |raw: &str| publish_options(raw).expect(raw).lists.map(|lists| *lists);
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let of_exclude = |exclude| Some(Lists { exclude, ..Lists::default() });
    let of_eligible = |eligible| Some(Lists { eligible, ..Lists::default() });
    let table = [
        ("{}", None),
        (r#"{"exclude":null,"eligible":null,"eligible_authrole":null}"#, None),
        (
            r#"{"exclude":[1,9007199254740992]}"#,
            of_exclude(Audience { sessions: vec![1, 1 << 53], ..Audience::default() }),
        ),
        (
            r#"{"exclude_authid":["a","\u00e9"]}"#,
            of_exclude(Audience { authids: names(&["a", "é"]), ..Audience::default() }),
        ),
        (
            r#"{"exclude_authrole":["user"]}"#,
            of_exclude(Audience { authroles: names(&["user"]), ..Audience::default() }),
        ),
        (r#"{"exclude":[]}"#, of_exclude(Audience::default())),
        (
            r#"{"eligible":[7],"eligible_authid":null}"#,
            of_eligible(Eligible { sessions: Some(vec![7]), ..Eligible::default() }),
        ),
        // Nobody is on it, which is other than no list.
        (
            r#"{"eligible_authid":[]}"#,
            of_eligible(Eligible { authids: Some(vec![]), ..Eligible::default() }),
        ),
        (
            r#"{"eligible_authrole":["admin","user"]}"#,
            of_eligible(Eligible {
                authroles: Some(names(&["admin", "user"])),
                ..Eligible::default()
            }),
        ),
    ];
    for (raw, wanted) in table {
        assert_eq!(lists(raw), wanted, "{raw}");
    }
}

#[test]
fn lists_of_another_type_are_refused_by_name() {
    let sessions = ["7", "\"7\"", "{}", "true", "[\"7\"]", "[-1]", "[1.5]", "[null]", "[[7]]"];
    let texts = ["\"a\"", "7", "{}", "false", "[7]", "[null]", "[[\"a\"]]", "[\"\\ud800\"]"];
    let options = [
        ("exclude", &sessions[..]),
        ("eligible", &sessions),
        ("exclude_authid", &texts),
        ("exclude_authrole", &texts),
        ("eligible_authid", &texts),
        ("eligible_authrole", &texts),
    ];
    for (name, values) in options {
        for value in values {
            let raw = format!(r#"{{"{name}":{value},"acknowledge":true}}"#);
            assert_eq!(publish_options(&raw), invalid(name), "{raw}");
            let raw = format!(r#"{{"{name}":{value}}}"#);
            let dropped = Err((OptionError::Invalid(name), false));
            assert_eq!(publish_options(&raw), dropped, "{raw}");
        }
    }
}

#[test]
fn a_list_too_long_is_refused_and_one_at_the_bound_is_not() {
    let names = [
        ("exclude", "7"),
        ("eligible", "7"),
        ("exclude_authid", "\"a\""),
        ("exclude_authrole", "\"a\""),
        ("eligible_authid", "\"a\""),
        ("eligible_authrole", "\"a\""),
    ];
    for (name, element) in names {
        let of = |length| {
            let list = vec![element; length].join(",");
            publish_options(&format!(r#"{{"{name}":[{list}],"acknowledge":true}}"#))
        };
        assert!(of(LIST_MAX).is_ok_and(|options| options.lists.is_some()), "{name}");
        assert_eq!(of(LIST_MAX + 1), Err((OptionError::ListTooLong(name), true)));
    }
}

#[test]
fn subscriptions_match_in_one_of_three_ways() {
    let of = |matching| Ok(SubscribeOptions { matching, ..SubscribeOptions::default() });
    let table = [
        ("{}", of(Match::Exact)),
        ("{ }", of(Match::Exact)),
        (r#"{"match":"exact","get_retained":true}"#, of(Match::Exact)),
        (r#"{"match":"\u0065xact"}"#, of(Match::Exact)),
        (r#"{"match":null}"#, of(Match::Exact)),
        (r#"{"match":"prefix"}"#, of(Match::Prefix)),
        (r#"{"match":"wildcard"}"#, of(Match::Wildcard)),
        // Asked for by the topic, not by the option.
        (r#"{"match":"dotted"}"#, Err(OptionError::Invalid("match"))),
        (r#"{"match":"regex"}"#, Err(OptionError::Invalid("match"))),
        (r#"{"match":"Exact"}"#, Err(OptionError::Invalid("match"))),
        (r#"{"match":7}"#, Err(OptionError::Invalid("match"))),
        (r#"{"match":"exact","match":"exact"}"#, Err(OptionError::Twice)),
    ];
    for (raw, wanted) in table {
        assert_eq!(subscribe_options(raw, NOW), wanted, "{raw}");
    }
}

#[test]
fn a_subscription_begins_after_a_place_in_the_past() {
    let point = |point| Ok(Some(After::Point(point)));
    let position = |n| point(RefPoint::Position(Position(n)));
    let id = PermanentId { stamp: Stamp(1 << 22), offset: 3 };
    let quoted_id = format!("\"{id}\"");
    let midnight = WallTime(NOW.0 - 10 * 60 * 60 * 1_000);
    let table = [
        ("null", Ok(None)),
        ("42", position(42)),
        ("\"42\"", position(42)),
        ("9007199254740992", position(1 << 53)),
        ("0", Ok(Some(After::Beginning))),
        ("\"0\"", Ok(Some(After::Beginning))),
        ("\"today\"", point(RefPoint::Time(midnight))),
        ("\"tod\\u0061y\"", point(RefPoint::Time(midnight))),
        (&quoted_id, point(RefPoint::Id(id))),
        ("\"2026-11-21T10:00:00Z\"", point(RefPoint::Time(NOW))),
        ("\"2026-11-21T11:00:00+01:00\"", point(RefPoint::Time(NOW))),
    ];
    for (raw, wanted) in table {
        let options = subscribe_options(&format!(r#"{{"after":{raw}}}"#), NOW);
        assert_eq!(options.map(|options| options.after), wanted, "{raw}");
    }
    let wrong = [
        "-1",
        "1.5",
        "1e3",
        "9007199254740993",
        "true",
        "false",
        "[]",
        "[42]",
        "{}",
        "\"\"",
        "\"tomorrow\"",
        "\"-1\"",
        "\"2026-11-21\"",
        "\"2026-11-21T10:00:00\"",
        "\"\\ud800\"",
    ];
    for raw in wrong {
        let options = subscribe_options(&format!(r#"{{"after":{raw}}}"#), NOW);
        assert_eq!(options, Err(OptionError::InvalidAfter), "{raw}");
    }
    // A word is a text: as JSON it is nothing.
    let bare = subscribe_options(r#"{"after":today}"#, NOW);
    assert_eq!(bare, Err(OptionError::Twice));
}

#[test]
fn limit_and_snapshot_are_a_count_and_a_bool() {
    let limit = |limit| Ok(SubscribeOptions { limit, ..SubscribeOptions::default() });
    let snapshot =
        |is_snapshot| Ok(SubscribeOptions { is_snapshot, ..SubscribeOptions::default() });
    let (bad_limit, bad_snapshot) =
        (Err(OptionError::Invalid("limit")), Err(OptionError::Invalid("snapshot")));
    let table = [
        (r#"{"limit":1}"#, limit(Some(1))),
        (r#"{"limit":18446744073709551615}"#, limit(Some(u64::MAX))),
        (r#"{"limit":null}"#, limit(None)),
        (r#"{"limit":0}"#, bad_limit),
        (r#"{"limit":-1}"#, bad_limit),
        (r#"{"limit":1.5}"#, bad_limit),
        (r#"{"limit":"1"}"#, bad_limit),
        (r#"{"limit":[1]}"#, bad_limit),
        (r#"{"limit":18446744073709551616}"#, bad_limit),
        (r#"{"snapshot":true}"#, snapshot(true)),
        (r#"{"snapshot":false}"#, snapshot(false)),
        (r#"{"snapshot":null}"#, snapshot(false)),
        (r#"{"snapshot":1}"#, bad_snapshot),
        (r#"{"snapshot":"true"}"#, bad_snapshot),
        (r#"{"snapshot":{}}"#, bad_snapshot),
    ];
    for (raw, wanted) in table {
        assert_eq!(subscribe_options(raw, NOW), wanted, "{raw}");
    }
}
