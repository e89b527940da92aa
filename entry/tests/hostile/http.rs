//! Requests: HTTP/1.1 (RFC 9112), the upgrade (RFC 6455 §4.2), `/publish`, `/call`, `/events`, `/history`.

use crate::peer::upgrade_request;
use crate::row::{Answer, GOES_ON, On, Row, Sent};

const CLOSES: &str = "closes";
const INVALID_ARGUMENT: &str = "400 wamp.error.invalid_argument";
const INVALID_URI: &str = "400 wamp.error.invalid_uri";

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for (group, of_group) in [
        ("HTTP", requests()),
        ("Upgrade to WebSocket", upgrades()),
        ("Web pages", pages()),
        ("POST /publish", publishes()),
        ("POST /call", calls()),
        ("GET /events", events()),
        ("GET /history", history()),
    ] {
        rows.extend(of_group.into_iter().map(|row| Row { group, ..row }));
    }
    rows
}

fn row(name: &str, sent: impl Into<Vec<u8>>, answer: Answer) -> Row {
    Row::new(name, On::Port, Sent::Bytes(sent.into()), answer)
}

fn get(target: &str, answer: Answer) -> Row {
    let name = format!("`GET {target}`");
    row(&name, format!("GET {target} HTTP/1.1\r\nhost: localhost\r\n\r\n"), answer)
}

fn requests() -> Vec<Row> {
    let with = |header: &str| format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\n{header}\r\n");
    let many: String = (0..200).map(|n| format!("x-{n}: y\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(1 << 20));
    let chunked = "POST /publish HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n";
    vec![
        row("no request at all", "hello\r\n\r\n", Answer::no_http(Some(400))),
        row("bytes of TLS", [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc], Answer::no_http(Some(400))),
        row("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Answer::no_http(None)),
        row("HTTP/9.9", "GET / HTTP/9.9\r\nhost: localhost\r\n\r\n", Answer::no_http(Some(400))),
        row("a header without a colon", with("oops\r\n"), Answer::no_http(Some(400))),
        row("NUL in a header", with("x: a\0b\r\n"), Answer::no_http(Some(400))),
        row("a folded header", with("x: a\r\n b\r\n"), Answer::no_http(Some(400))),
        row("200 headers", with(&many), Answer::no_http(Some(431))),
        row("a header of 1 MiB", with(&long), Answer::no_http(Some(431))),
        row(
            "a path of 100 KiB",
            format!("GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n", "a".repeat(100 << 10)),
            Answer::no_http(Some(414)),
        ),
        row(
            "two lengths of the body that differ",
            "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
            Answer::no_http(Some(400)),
        ),
        row(
            "a length and chunks",
            format!("{chunked}content-length: 2\r\n\r\n0\r\n\r\n"),
            Answer::http(INVALID_ARGUMENT, CLOSES),
        ),
        row(
            "a chunk whose size is no number",
            format!("{chunked}\r\nzz\r\n{{}}\r\n0\r\n\r\n"),
            Answer::http(INVALID_ARGUMENT, CLOSES),
        ),
        row(
            "`GET /nowhere`",
            "GET /nowhere HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::http("404 vixen.error.not_found", GOES_ON),
        ),
        row(
            "`GET /../../etc/passwd`",
            "GET /../../etc/passwd HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::http("404 vixen.error.not_found", GOES_ON),
        ),
        row(
            "`BREW /publish`",
            "BREW /publish HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::http("405 vixen.error.method_not_allowed", GOES_ON),
        ),
        row(
            "`GET /publish`",
            "GET /publish HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::http("405 vixen.error.method_not_allowed", GOES_ON),
        ),
        row(
            "`OPTIONS /`",
            "OPTIONS / HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::uncounted("HTTP 204, goes on"),
        ),
        row(
            "`DELETE /history`",
            "DELETE /history HTTP/1.1\r\nhost: localhost\r\n\r\n",
            Answer::http("405 vixen.error.method_not_allowed", GOES_ON),
        ),
        Row {
            hangs_up: true,
            ..row(
                "half of a body, then the end",
                "POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100\r\n\r\n{\"topic\"",
                Answer::http(INVALID_ARGUMENT, CLOSES),
            )
        },
    ]
}

/// What a browser asks for a page that is none of the entry's.
fn pages() -> Vec<Row> {
    let unknown = || Answer::http("421 vixen.error.unknown_host", GOES_ON);
    let rebound = |request: &str| {
        let name = format!("`{request}` by a page whose name is made to point here");
        let headers = "host: evil.example:9031\r\norigin: http://evil.example:9031\r\n";
        let sent = format!("{request} HTTP/1.1\r\n{headers}content-length: 0\r\n\r\n");
        row(&name, sent, unknown())
    };
    let picture = |target: &str| {
        let name = format!("`GET {target}` for a picture of another site");
        let headers = "host: localhost\r\nsec-fetch-site: cross-site\r\n";
        let sent = format!("GET {target} HTTP/1.1\r\n{headers}\r\n");
        row(&name, sent, Answer::http("403 wamp.error.not_authorized", GOES_ON))
    };
    let socket = upgrade_request("wamp.2.json", "origin: http://evil.example\r\n");
    vec![
        rebound("GET /"),
        rebound("GET /status"),
        rebound("GET /metrics"),
        rebound("GET /history"),
        rebound("GET /events?topic=a.b"),
        rebound("POST /publish"),
        row(
            "a WebSocket of a page whose name is made to point here",
            socket.replacen("host: localhost", "host: evil.example", 1),
            unknown(),
        ),
        row(
            "a second host",
            "GET /history HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n\r\n",
            unknown(),
        ),
        row(
            "another host in the target",
            "GET http://evil.example/history HTTP/1.1\r\nhost: localhost\r\n\r\n",
            unknown(),
        ),
        picture("/history"),
        picture("/events?topic=a.b"),
    ]
}

fn upgrades() -> Vec<Row> {
    let good = || upgrade_request("wamp.2.json", "");
    let without = |line: &str| {
        let lines = upgrade_request("wamp.2.json", "");
        lines.split_inclusive("\r\n").filter(|text| !text.starts_with(line)).collect::<String>()
    };
    vec![
        get("/ws", Answer::http(INVALID_ARGUMENT, GOES_ON)),
        row(
            "POST instead of GET",
            good().replacen("GET", "POST", 1),
            Answer::http("405 vixen.error.method_not_allowed", GOES_ON),
        ),
        row("no `upgrade`", without("upgrade:"), Answer::http(INVALID_ARGUMENT, GOES_ON)),
        row("no key", without("sec-websocket-key"), Answer::http(INVALID_ARGUMENT, GOES_ON)),
        row(
            "version 12",
            good().replacen("version: 13", "version: 12", 1),
            Answer::http(INVALID_ARGUMENT, GOES_ON),
        ),
        row(
            "no subprotocol",
            without("sec-websocket-protocol"),
            Answer::http(INVALID_ARGUMENT, GOES_ON),
        ),
        row(
            "an unknown subprotocol",
            upgrade_request("wamp.2.ubjson", ""),
            Answer::http(INVALID_ARGUMENT, GOES_ON),
        ),
        row(
            "a subprotocol in capitals",
            upgrade_request("WAMP.2.JSON", ""),
            Answer::http(INVALID_ARGUMENT, GOES_ON),
        ),
        row(
            "a page of another origin",
            upgrade_request("wamp.2.json", "origin: https://evil.example\r\n"),
            Answer::http("403 wamp.error.not_authorized", GOES_ON),
        ),
        row(
            "compression offered",
            upgrade_request(
                "wamp.2.json",
                "sec-websocket-extensions: permessage-deflate; client_max_window_bits\r\n",
            ),
            Answer::ends("HTTP 101 without extensions", "disconnected"),
        ),
        row(
            "an unknown subprotocol before a known one",
            upgrade_request("x, wamp.2.cbor", ""),
            Answer::ends("HTTP 101 without extensions", "disconnected"),
        ),
    ]
}

fn post(name: &str, body: &[u8], answer: Answer) -> Row {
    let length = body.len();
    let head =
        format!("POST /publish HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    row(name, [head.as_bytes(), body].concat(), answer)
}

/// A body under a header of its own.
fn post_as(name: &str, header: &str, body: &[u8], answer: Answer) -> Row {
    let mut row = post(name, body, answer);
    if let Sent::Bytes(bytes) = &mut row.sent {
        let at = "POST /publish HTTP/1.1\r\n".len();
        bytes.splice(at..at, format!("{header}\r\n").into_bytes());
    }
    row
}

/// A body that is its own name.
fn body(json: &str, answer: Answer) -> Row {
    post(&format!("`{json}`"), json.as_bytes(), answer)
}

/// A body that is refused as a PUBLISH would be.
fn refused(json: &str, status: &str, reason: &str) -> Row {
    let mut answer = Answer::http(status, GOES_ON);
    answer.counted.insert(0, format!("publish {reason}"));
    body(json, answer)
}

fn publishes() -> Vec<Row> {
    let bad = || Answer::http(INVALID_ARGUMENT, GOES_ON);
    let coded = || Answer::http("415 vixen.error.unsupported_media_type", GOES_ON);
    let too_large = format!(r#"{{"topic":"a.b","args":["{}"]}}"#, "x".repeat(65 << 10));
    let nested = |depth: usize| {
        format!(r#"{{"topic":"a.b","args":{}{}}}"#, "[".repeat(depth), "]".repeat(depth))
    };
    let long_realm = format!(r#"{{"topic":"a.b","realm":"{}"}}"#, "r".repeat(101));
    let above = vec![b' '; (4 << 20) + 1];
    vec![
        post(
            "a body above `frame-bytes-max`",
            &above,
            Answer::http("413 wamp.error.payload_size_exceeded", GOES_ON),
        ),
        post_as("`content-encoding: gzip`", "content-encoding: gzip", b"\x1f\x8b\x08", coded()),
        post_as(
            "`content-type: multipart/form-data`",
            "content-type: multipart/form-data",
            b"--x",
            coded(),
        ),
        post_as(
            "Latin-1 that says so",
            "content-type: application/json; charset=iso-8859-1",
            b"{\"topic\":\"\xe9\"}",
            coded(),
        ),
        post("bytes of gzip", b"\x1f\x8b\x08\0\0", coded()),
        post("UTF-16", b"\xff\xfe{\0\"\0", coded()),
        post("UTF-16 without a mark", b"{\0\"\0t\0", coded()),
        post(
            "a byte order mark in front",
            b"\xef\xbb\xbf{\"topic\":\"a.b\"}",
            Answer::uncounted("HTTP 200, goes on"),
        ),
        post("no JSON", b"topic=a.b", bad()),
        post("no body", b"", bad()),
        post("UTF-8 that is none", b"{\"topic\":\"a.\xff\"}", bad()),
        post("2^20 lists that do not end", "[".repeat(1 << 20).as_bytes(), bad()),
        body("null", bad()),
        body("[]", bad()),
        body("{}", bad()),
        refused(r#"{"topic":7}"#, INVALID_URI, "invalid_uri"),
        body(r#"{"topic":"a.b","args":{}}"#, bad()),
        body(r#"{"topic":"a.b","args":"x"}"#, bad()),
        body(r#"{"topic":"a.b","kwargs":[]}"#, bad()),
        body(r#"{"topic":"a.b","args":[NaN]}"#, bad()),
        body(r#"{"topic":"a.b","options":[]}"#, bad()),
        body(r#"{"topic":"a.b","payload":[]}"#, bad()),
        body(r#"{"topic":"a.b","topic":"a.c"}"#, bad()),
        body(r#"{"topic":"a.b"} {}"#, bad()),
        body(r#"{"topic":"a.b","realm":7}"#, bad()),
        body(r#"{"topic":"a.b","realm":"a b"}"#, Answer::http(INVALID_URI, GOES_ON)),
        post("a realm too long", long_realm.as_bytes(), Answer::http(INVALID_URI, GOES_ON)),
        refused(r#"{"topic":"a b"}"#, INVALID_URI, "invalid_uri"),
        refused(r#"{"topic":"\ud800"}"#, INVALID_URI, "invalid_uri"),
        refused(r#"{"topic":"wamp.x"}"#, INVALID_URI, "reserved_uri"),
        refused(r#"{"topic":"a.b","options":{"ack":"never"}}"#, INVALID_ARGUMENT, "invalid_option"),
        refused(r#"{"topic":"a.b","options":{"eligible":7}}"#, INVALID_ARGUMENT, "invalid_option"),
        Row {
            name: "a message above `message-bytes-max`".to_owned(),
            ..refused(&too_large, "413 wamp.error.payload_size_exceeded", "too_large")
        },
        Row {
            name: "2^20 lists in each other".to_owned(),
            ..refused(&nested(1 << 20), "413 wamp.error.payload_size_exceeded", "too_large")
        },
        post(
            "20000 lists in each other",
            nested(20_000).as_bytes(),
            Answer::uncounted("HTTP 200, goes on"),
        ),
    ]
}

/// A body of a call that is its own name; `outcome` where the call was counted.
fn call(json: &str, status: &str, outcome: Option<&str>) -> Row {
    let length = json.len();
    let head =
        format!("POST /call HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let mut answer = Answer::http(status, GOES_ON);
    answer.counted.splice(0..0, outcome.map(|outcome| format!("call {outcome}")));
    row(&format!("`{json}`"), (head + json).into_bytes(), answer)
}

fn calls() -> Vec<Row> {
    let too_large = format!(r#"{{"procedure":"a.b","args":["{}"]}}"#, "x".repeat(65 << 10));
    let refused = Some("refused");
    vec![
        call("{}", INVALID_ARGUMENT, None),
        call("[]", INVALID_ARGUMENT, None),
        call(r#"{"topic":"a.b"}"#, INVALID_ARGUMENT, None),
        call(r#"{"procedure":"a.b","args":{}}"#, INVALID_ARGUMENT, None),
        call(r#"{"procedure":"a.b","kwargs":[]}"#, INVALID_ARGUMENT, None),
        call(r#"{"procedure":"a.b","options":[]}"#, INVALID_ARGUMENT, None),
        call(r#"{"procedure":"a.b","realm":"a b"}"#, INVALID_URI, None),
        call(r#"{"procedure":7}"#, INVALID_URI, refused),
        call(r#"{"procedure":"a b"}"#, INVALID_URI, refused),
        call(r#"{"procedure":"a.b","options":{"timeout":-1}}"#, INVALID_ARGUMENT, refused),
        call(
            r#"{"procedure":"a.b"}"#,
            "404 wamp.error.no_such_procedure",
            Some("no_such_procedure"),
        ),
        Row {
            name: "a call above `message-bytes-max`".to_owned(),
            ..call(&too_large, "413 wamp.error.payload_size_exceeded", refused)
        },
    ]
}

fn events() -> Vec<Row> {
    let bad = || Answer::http(INVALID_ARGUMENT, GOES_ON);
    let uri = || Answer::http(INVALID_URI, GOES_ON);
    let long = format!("/events?topic={}", "a".repeat(101));
    let long_realm = format!("/events?topic=a.b&realm={}", "r".repeat(101));
    vec![
        get("/events", bad()),
        get("/events?topic=a.b&form=1", bad()),
        get("/events?topic=a.b&limit=many", bad()),
        get("/events?topic=a.b&limit=0", bad()),
        get("/events?topic=a.b&limit=-1", bad()),
        get("/events?topic=a.b&after=yesterday", bad()),
        get("/events?topic=a.b&match=regex", bad()),
        get("/events?topic=a.b&snapshot=maybe", bad()),
        get("/events?topic=a.b&topic=c.d", bad()),
        get("/events?topic=a%20b", uri()),
        get("/events?topic=a..b", uri()),
        get("/events?topic=a.b&realm=a%20b", uri()),
        Row { name: "a topic too long".to_owned(), ..get(&long, uri()) },
        Row { name: "a realm too long".to_owned(), ..get(&long_realm, uri()) },
    ]
}

fn history() -> Vec<Row> {
    let bad = || Answer::http(INVALID_ARGUMENT, GOES_ON);
    vec![
        get("/history?form=1", bad()),
        get("/history?limit=0", bad()),
        get("/history?limit=18446744073709551616", bad()),
        get("/history?limit=1&limit=2", bad()),
        get("/history?from=today", bad()),
        get("/history?from=1&after=1", bad()),
        get("/history?after=99999-99-99T99:99:99Z", bad()),
        get("/history?before=", bad()),
        get("/history?direction=up", bad()),
        get("/history?match=prefix", bad()),
        get("/history?topic=", bad()),
        get("/history?from=18446744073709551615", bad()),
        get("/history?topic=a%00b", Answer::uncounted("HTTP 200, goes on")),
    ]
}
