//! WAMP messages (WAMP spec, basic and advanced profile), the same in every serializer.

use crate::row::{ALL, Answer, On, Row};

const INVALID_ARGUMENT: &str = "wamp.error.invalid_argument";
const INVALID_URI: &str = "wamp.error.invalid_uri";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (group, of_group) in [
        ("Before HELLO", before_hello()),
        ("HELLO", hellos()),
        ("Messages", messages()),
        ("PUBLISH", publishes()),
        ("SUBSCRIBE and UNSUBSCRIBE", subscribes()),
        ("CALL and CANCEL", calls()),
        ("REGISTER, UNREGISTER, YIELD and ERROR", callees()),
    ] {
        rows.extend(of_group.into_iter().map(|row| Row { group, ..row }));
    }
    rows
}

fn open(json: &str, answer: Answer) -> Row {
    Row::said(On::Session(ALL), &[json], answer)
}

fn first(json: &str, answer: Answer) -> Row {
    Row::said(On::Upgraded(ALL), &[json], answer)
}

fn before_hello() -> Vec<Row> {
    let unexpected = || Answer::violation("unexpected");
    vec![
        first(r#"[16,1,{"acknowledge":true},"a.b"]"#, unexpected()),
        first(r#"[32,1,{},"a.b"]"#, unexpected()),
        first("[34,1,1]", unexpected()),
        first(r#"[5,"signature",{}]"#, unexpected()),
        first(r#"[6,{},"wamp.close.normal"]"#, unexpected()),
        first("[2,1,{}]", unexpected()),
        first(r#"[4,"ticket",{}]"#, unexpected()),
        first("[48,1,{},\"a.b\"]", unexpected()),
        first("[70,1,{}]", unexpected()),
        first("[99]", Answer::violation("unknown_code")),
        first("[]", Answer::violation("not_list")),
        first(r#"[3,{},"wamp.close.normal"]"#, Answer::ends("close 1000", "client_aborted")),
    ]
}

fn hellos() -> Vec<Row> {
    let with_realm = |realm: &str| format!(r#"[1,{realm},{{"roles":{{"publisher":{{}}}}}}]"#);
    let bad_realm = || Answer::ends("ABORT wamp.error.invalid_uri, close 1000", "invalid_realm");
    let no_role = || Answer::violation("no_role");
    let deep = format!("{}{}", "[".repeat(7_000), "]".repeat(7_000));
    let long = with_realm(&format!("\"{}\"", "r".repeat(101)));
    vec![
        first(&with_realm(r#""a b""#), bad_realm()),
        first(&with_realm(r#""a..b""#), bad_realm()),
        first(&with_realm(r##""a#b""##), bad_realm()),
        first(&with_realm("\"\""), bad_realm()),
        Row { name: "a realm of 101 bytes".to_owned(), ..first(&long, bad_realm()) },
        first(&with_realm("7"), Answer::violation("type")),
        first(&with_realm("null"), Answer::violation("type")),
        first(r#"[1,"realm1"]"#, Answer::violation("arity")),
        first(r#"[1,"realm1",{"roles":{"publisher":{}}},7]"#, Answer::violation("arity")),
        first(r#"[1,"realm1",[]]"#, Answer::violation("type")),
        first(r#"[1,"realm1",{}]"#, no_role()),
        first(r#"[1,"realm1",{"roles":{}}]"#, no_role()),
        first(r#"[1,"realm1",{"roles":[]}]"#, no_role()),
        first(r#"[1,"realm1",{"roles":{"broker":{}}}]"#, no_role()),
        first(r#"[1,"realm1",{"roles":{"publisher":7}}]"#, Answer::violation("type")),
        first(r#"[1,"realm1",{"roles":{"publisher":{}},"roles":{}}]"#, Answer::violation("type")),
        first(
            r#"[1,"realm1",{"roles":{"publisher":{}},"authmethods":"ticket"}]"#,
            Answer::login("ABORT wamp.error.protocol_violation, close 1000", "malformed"),
        ),
        first(
            r#"[1,"realm1",{"roles":{"publisher":{}},"authmethods":["ticket"]}]"#,
            Answer::login(
                "ABORT wamp.error.no_matching_auth_method, close 1000",
                "no_matching_method",
            ),
        ),
        Row {
            name: "a feature of 7000 lists in each other".to_owned(),
            ..first(
                &format!(r#"[1,"realm1",{{"roles":{{"publisher":{{"features":{deep}}}}}}}]"#),
                Answer::violation("type"),
            )
        },
    ]
}

fn messages() -> Vec<Row> {
    let unexpected = || Answer::violation("unexpected");
    let unknown = || Answer::violation("unknown_code");
    let not_list = || Answer::violation("not_list");
    let mut rows = vec![
        open(r#"[1,"realm1",{"roles":{"publisher":{}}}]"#, unexpected()),
        open(r#"[5,"signature",{}]"#, unexpected()),
        open("[2,1,{}]", unexpected()),
        open(r#"[8,16,1,{},"wamp.error.x"]"#, unexpected()),
        open("[17,1,1]", unexpected()),
        open("[33,1,1]", unexpected()),
        open("[36,1,1,{}]", unexpected()),
        open("[50,1,{}]", unexpected()),
        open("[65,1,1]", unexpected()),
        open("[67,1]", unexpected()),
        open("[68,1,1,{}]", unexpected()),
        open("[69,1,{}]", unexpected()),
        open("[0]", unknown()),
        open("[7]", unknown()),
        open("[99,1,{}]", unknown()),
        open("[18446744073709551615]", unknown()),
        open("[]", not_list()),
        open("{}", not_list()),
        open("7", not_list()),
        open("null", not_list()),
        open(r#"["16",1,{},"a.b"]"#, not_list()),
        open(r#"[16.0,1,{},"a.b"]"#, not_list()),
        open("[null]", not_list()),
        open("[[16]]", not_list()),
        open("[16,1,{}]", Answer::violation("arity")),
        open(r#"[16,1,{},"a.b",[],{},7]"#, Answer::violation("arity")),
        open("[32,1,{}]", Answer::violation("arity")),
        open(r#"[32,1,{},"a.b",7]"#, Answer::violation("arity")),
        open("[34,1]", Answer::violation("arity")),
        open("[6]", Answer::violation("arity")),
        open(r#"[6,7,"x"]"#, Answer::violation("type")),
        open(r#"[6,{},7]"#, Answer::violation("type")),
    ];
    for id in ["0", "9007199254740993", "18446744073709551616", "1.5", "\"1\"", "null", "[]"] {
        rows.push(open(&format!(r#"[16,{id},{{}},"a.b"]"#), Answer::violation("id")));
    }
    for id in ["-1", "1e3", "100000000000000000000000000000000000000000"] {
        rows.push(open(&format!(r#"[32,{id},{{}},"a.b"]"#), Answer::violation("id")));
    }
    rows.push(open("[34,1,-1]", Answer::violation("id")));
    rows.push(open(r#"[16,1,[],"a.b"]"#, Answer::violation("type")));
    rows.push(open(r#"[16,1,{},7]"#, Answer::violation("type")));
    rows.push(open(r#"[16,1,{},"a.b",{}]"#, Answer::violation("type")));
    rows.push(open(r#"[16,1,{},"a.b",[],[]]"#, Answer::violation("type")));
    rows.push(open(r#"[16,1,{},"a.b",null]"#, Answer::violation("type")));
    rows.push(open(r#"[32,1,null,"a.b"]"#, Answer::violation("type")));
    rows.push(open(r#"[32,1,{},["a.b"]]"#, Answer::violation("type")));
    rows
}

fn publishes() -> Vec<Row> {
    let mut rows = Vec::new();
    for option in [
        r#""acknowledge":1"#,
        r#""acknowledge":true,"exclude_me":"x""#,
        r#""acknowledge":true,"disclose_me":7"#,
        r#""acknowledge":true,"ack":"never""#,
        r#""acknowledge":true,"ack":1"#,
        r#""acknowledge":true,"_wait":"9s""#,
        r#""acknowledge":true,"exclude":7"#,
        r#""acknowledge":true,"eligible":["x"]"#,
        r#""acknowledge":true,"eligible":[-1]"#,
        r#""acknowledge":true,"exclude_authid":[7]"#,
        r#""acknowledge":true,"eligible_authrole":{}"#,
        r#""acknowledge":true,"acknowledge":false"#,
        r#""acknowledge":true,"ppt_scheme":"amqp""#,
        r#""acknowledge":true,"ppt_serializer":"cbor""#,
    ] {
        rows.push(open(
            &format!(r#"[16,1,{{{option}}},"a.b"]"#),
            Answer::unpublished(INVALID_ARGUMENT, "invalid_option"),
        ));
    }
    let ack = |topic: &str, reason: &str| {
        let json = format!(r#"[16,1,{{"acknowledge":true}},{topic}]"#);
        open(&json, Answer::unpublished(INVALID_URI, reason))
    };
    for topic in [r#""""#, r#""a b""#, r#""a..b""#, r#"".a""#, r#""a.""#, r##""a.#""##, r#""a\nb""#]
    {
        rows.push(ack(topic, "invalid_uri"));
    }
    let sessions = vec!["1"; 1001].join(",");
    let large = |size: usize, options: &str| {
        format!(r#"[16,1,{{{options}}},"a.b",["{}"]]"#, "x".repeat(size))
    };
    let deep = |depth: usize| {
        let lists = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        format!(r#"[16,1,{{"acknowledge":true}},"a.b",{lists}]"#)
    };
    let acknowledged = r#""acknowledge":true"#;
    let too_large = || Answer::unpublished("wamp.error.payload_size_exceeded", "too_large");
    rows.extend([
        ack(r#""wamp.session.on_join""#, "reserved_uri"),
        Row {
            name: "a topic of 101 bytes".to_owned(),
            ..ack(&format!("\"{}\"", "a".repeat(101)), "topic_too_long")
        },
        Row {
            name: "`exclude` of 1001 sessions".to_owned(),
            ..open(
                &format!(r#"[16,1,{{{acknowledged},"exclude":[{sessions}]}},"a.b"]"#),
                Answer::unpublished(INVALID_ARGUMENT, "invalid_option"),
            )
        },
        Row {
            name: "a message above `message-bytes-max`".to_owned(),
            ..open(&large(65 << 10, acknowledged), too_large())
        },
        Row {
            name: "the same without `acknowledge`".to_owned(),
            ..open(&large(65 << 10, ""), Answer::dropped("too_large"))
        },
        Row { name: "2^20 lists in each other".to_owned(), ..open(&deep(1 << 20), too_large()) },
        Row {
            name: "20000 lists in each other".to_owned(),
            ..open(&deep(20_000), Answer::taken("PUBLISHED"))
        },
        open(r#"[16,1,{},"a b"]"#, Answer::dropped("invalid_uri")),
        // Its HELLO has not announced that.
        open(r#"[16,1,{"ppt_scheme":"wamp"},"a.b",["x"]]"#, Answer::violation("not_announced")),
        open(r#"[16,1,{"acknowledge":true,"x":[{}]},"a\u0000b"]"#, Answer::taken("PUBLISHED")),
        open(r#"[16,1,{"acknowledge":true},"a.b",[],{"k":1,"k":2}]"#, Answer::taken("PUBLISHED")),
        Row::said(
            On::Session(ALL),
            &[r#"[16,7,{"acknowledge":true},"a.b"]"#, r#"[16,7,{"acknowledge":true},"a.b"]"#],
            Answer::taken("PUBLISHED, PUBLISHED"),
        ),
    ]);
    rows
}

fn subscribes() -> Vec<Row> {
    let mut rows = Vec::new();
    for option in [
        r#""match":"regex""#,
        r#""match":7"#,
        r#""after":"yesterday""#,
        r#""after":-1"#,
        r#""after":1.5"#,
        r#""after":18446744073709551616"#,
        r#""after":"""#,
        r#""after":{}"#,
        r#""after":[]"#,
        r#""after":true"#,
        r#""limit":0"#,
        r#""limit":-1"#,
        r#""limit":1.5"#,
        r#""limit":"x""#,
        r#""limit":18446744073709551616"#,
        r#""snapshot":1"#,
        r#""match":"exact","match":"prefix""#,
    ] {
        rows.push(open(&format!(r#"[32,1,{{{option}}},"a.b"]"#), Answer::error(INVALID_ARGUMENT)));
    }
    let long = "a".repeat(101);
    let many: Vec<String> = (1..=5).map(|n| format!(r#"[32,{n},{{}},"many.{n}"]"#)).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    rows.extend([
        open(r#"[32,1,{},"a b"]"#, Answer::error(INVALID_URI)),
        open(r#"[32,1,{},""]"#, Answer::error(INVALID_URI)),
        open(r#"[32,1,{"match":"prefix"},"a.."]"#, Answer::error(INVALID_URI)),
        open(r##"[32,1,{"match":"wildcard"},"a.#"]"##, Answer::error(INVALID_URI)),
        Row {
            name: "a topic of 101 bytes".to_owned(),
            ..open(&format!(r#"[32,1,{{}},"{long}"]"#), Answer::error(INVALID_URI))
        },
        open("[34,1,4711]", Answer::error("wamp.error.no_such_subscription")),
        Row {
            name: "one subscription more than `subscriptions-per-session-max`".to_owned(),
            ..Row::said(
                On::Session(ALL),
                &many,
                Answer::unsubscribed(
                    "in any order: ERROR vixen.error.too_many_subscriptions, \
                     SUBSCRIBED, SUBSCRIBED, SUBSCRIBED, SUBSCRIBED",
                    "too_many_subscriptions",
                ),
            )
        },
    ]);
    rows
}

fn calls() -> Vec<Row> {
    let violation = Answer::violation;
    let invalid =
        |uri: &str| open(&format!("[48,1,{{}},{uri}]"), Answer::uncalled(INVALID_URI, "refused"));
    let option = |option: &str| open(&format!(r#"[48,1,{{{option}}},"a.b"]"#), violation("option"));
    let mode = |mode: &str| open(&format!(r#"[49,1,{{"mode":{mode}}}]"#), violation("option"));
    vec![
        open(
            r#"[48,1,{},"a.b"]"#,
            Answer::uncalled("wamp.error.no_such_procedure", "no_such_procedure"),
        ),
        open(
            r#"[48,1,{},"wamp.no.such"]"#,
            Answer::uncalled("wamp.error.no_such_procedure", "no_such_procedure"),
        ),
        invalid(r#""a b""#),
        invalid(r#""a..b""#),
        invalid(r##""a#b""##),
        invalid(r#""""#),
        Row {
            name: "a procedure of 101 bytes".to_owned(),
            ..invalid(&format!("\"{}\"", "a".repeat(101)))
        },
        Row {
            name: "a call above `message-bytes-max`".to_owned(),
            ..open(
                &format!(r#"[48,1,{{}},"a.b",["{}"]]"#, "x".repeat(65 << 10)),
                Answer::uncalled("wamp.error.payload_size_exceeded", "refused"),
            )
        },
        option(r#""timeout":-1"#),
        option(r#""timeout":1.5"#),
        option(r#""timeout":"1""#),
        option(r#""timeout":18446744073709551616"#),
        option(r#""receive_progress":1"#),
        option(r#""progress":"x""#),
        option(r#""disclose_me":{}"#),
        option(r#""rkey":7"#),
        option(r#""ppt_scheme":"wamp","ppt_keyid":7"#),
        option(r#""timeout":1,"timeout":2"#),
        mode(r#""bogus""#),
        mode("7"),
        open(r#"[49,1,{"mode":"kill"}]"#, Answer::taken("no answer")),
        open("[48,1,{}]", violation("arity")),
        open(r#"[48,1,{},"a.b",[],{},7]"#, violation("arity")),
        open("[49,1]", violation("arity")),
        open(r#"[48,0,{},"a.b"]"#, violation("id")),
        open("[49,-1,{}]", violation("id")),
        open(r#"[48,1,[],"a.b"]"#, violation("type")),
        open("[48,1,{},7]", violation("type")),
        open(r#"[48,1,{},"a.b",null]"#, violation("type")),
        open(r#"[48,1,{},"a.b",[],null]"#, violation("type")),
        open("[49,1,null]", violation("type")),
    ]
}

fn callees() -> Vec<Row> {
    let violation = Answer::violation;
    let invalid = |options: &str, uri: &str| {
        let json = format!("[64,1,{options},{uri}]");
        open(&json, Answer::unregistered(INVALID_URI, "refused"))
    };
    let option = |option: &str| open(&format!(r#"[64,1,{{{option}}},"a.b"]"#), violation("option"));
    let mut rows = vec![
        invalid("{}", r#""a b""#),
        invalid("{}", r#""a..b""#),
        invalid("{}", r#""""#),
        invalid("{}", r#""wamp""#),
        invalid("{}", r#""wamp.session.get""#),
        invalid(r#"{"match":"prefix"}"#, r#""wamp.""#),
        invalid(r#"{"match":"prefix"}"#, r#""a..""#),
        invalid(r#"{"match":"wildcard"}"#, r##""a.#""##),
        Row {
            name: "a procedure of 101 bytes".to_owned(),
            ..invalid("{}", &format!("\"{}\"", "a".repeat(101)))
        },
    ];
    for bad in [
        r#""match":"regex""#,
        r#""match":7"#,
        r#""invoke":"bogus""#,
        r#""invoke":1"#,
        r#""concurrency":0"#,
        r#""concurrency":-1"#,
        r#""concurrency":"1""#,
        r#""concurrency":4294967296"#,
        r#""force_reregister":1"#,
        r#""forward_timeout":"x""#,
        r#""invoke":"first","invoke":"last""#,
    ] {
        rows.push(option(bad));
    }
    rows.extend([
        open(r#"[70,1,{"progress":1}]"#, violation("option")),
        open("[70,4711,{}]", Answer::taken("no answer")),
        open(r#"[70,4711,{"progress":true},[1],{}]"#, Answer::taken("no answer")),
        open(r#"[8,68,4711,{},"a.error"]"#, Answer::taken("no answer")),
        Row {
            name: "a YIELD above `message-bytes-max`".to_owned(),
            ..open(
                &format!(r#"[70,4711,{{}},["{}"]]"#, "x".repeat(65 << 10)),
                Answer::taken("no answer"),
            )
        },
        open("[66,1,4711]", Answer::taken("ERROR wamp.error.no_such_registration")),
        open("[64,1,{}]", violation("arity")),
        open(r#"[64,1,{},"a.b",[]]"#, violation("arity")),
        open("[66,1]", violation("arity")),
        open("[70,1]", violation("arity")),
        open("[70,1,{},[],{},7]", violation("arity")),
        open("[8,68,1,{}]", violation("arity")),
        open(r#"[8,68,1,{},"a.b",[],{},7]"#, violation("arity")),
        open(r#"[8,48,1,{},"a.b"]"#, violation("unexpected")),
        open(r#"[8,"68",1,{},"a.b"]"#, violation("id")),
        open(r#"[64,0,{},"a.b"]"#, violation("id")),
        open("[66,1,0]", violation("id")),
        open("[70,0,{}]", violation("id")),
        open(r#"[64,1,{},["a.b"]]"#, violation("type")),
        open("[70,1,null]", violation("type")),
        open("[70,1,{},{}]", violation("type")),
        open("[70,1,{},[],null]", violation("type")),
        open(r#"[8,68,1,[],"a.b"]"#, violation("type")),
        open("[8,68,1,{},7]", violation("type")),
        open(r#"[8,68,1,{},"a error"]"#, violation("type")),
    ]);
    rows
}
