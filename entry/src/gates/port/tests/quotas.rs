//! Quotas at both gates.

use std::collections::BTreeMap;
use std::path::Path;

use vixen_runtime::config::Config;

use super::*;

const REALM: &str = r#"
cluster = { name = "test", secret = "a-long-secret", data-dir = "data", write-quorum = 1 }
sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
[[realm]]
name = "realm1"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
[realm.role.quota]
topics-max = 2
[[realm.role.permission]]
uri = "*"
publish = true
subscribe = true
"#;

fn configured(text: &str) -> Config {
    let config = Config::parse(text, Path::new("vixen.toml"), &BTreeMap::new());
    config.unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test]
async fn what_is_beyond_a_quota_is_refused_by_its_name_until_a_reload_allows_more() {
    let admission = Arc::new(Admission::new(&configured(REALM)));
    let mut port = Port::open_with(SessionLimits::of_tests(), Arc::clone(&admission)).await;
    let (mut client, _me, _outbound) = port.join().await;
    for (request, topic) in [(1, "a.1"), (2, "a.2"), (3, "a.1"), (4, "a.3")] {
        client.say(&format!(r#"[16,{request},{{"acknowledge":true}},"{topic}"]"#)).await;
    }
    let refused = client.hear().await;
    assert!(refused.starts_with("[8,16,4,"), "{refused}");
    assert!(refused.contains("vixen.error.quota_exceeded"), "{refused}");
    assert!(refused.contains("realm.role.quota.topics-max is 2"), "{refused}");
    let topics: Vec<_> = port.take(3).await.iter().map(|one| one.topic.uri.to_string()).collect();
    assert_eq!(topics, ["a.1", "a.2", "a.1"]);

    // Another session is not somebody else.
    let body = r#"{"topic":"a.4","args":[1]}"#;
    let request = format!(
        "POST /publish HTTP/1.0\r\nHost: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        port.address,
        body.len()
    );
    let mut stream = TcpStream::connect(port.address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut told = String::new();
    stream.read_to_string(&mut told).await.expect("an answer");
    assert!(told.starts_with("HTTP/1.0 429"), "{told}");
    assert!(told.contains("\"quota\":\"realm.role.quota.topics-max\""), "{told}");
    let after = told.lines().find_map(|line| line.strip_prefix("retry-after: "));
    let after: u64 = after.expect("when to come back").trim().parse().expect("seconds");
    assert!((80_000..=86_400).contains(&after), "a day: {after}");

    let more = REALM.replace("topics-max = 2", "topics-max = 9");
    admission.reload(&configured(&more)).expect("taken");
    let mut request = 5;
    let taken = loop {
        client.say(&format!(r#"[16,{request},{{"acknowledge":true}},"a.5"]"#)).await;
        match port.take_or_hear(&mut client).await {
            Ok(taken) => break taken,
            // The reload has not come to the session yet.
            Err(told) => assert!(told.contains("quota_exceeded"), "{told}"),
        }
        request += 1;
    };
    assert_eq!(&*taken[0].topic.uri, "a.5");
}

/// It was bounded in number, and not in rate: each is a record that is stored, and read by all entries.
#[tokio::test]
async fn who_registers_spends_the_quota_of_publishing_and_may_leave_without() {
    let text = REALM
        .replace("topics-max = 2", "bytes-per-second = 1")
        .replace("publish = true", "publish = true\nregister = true");
    let admission = Arc::new(Admission::new(&configured(&text)));
    let mut port = Port::open_with(SessionLimits::of_tests(), admission).await;
    let (mut client, _me, _outbound) = port.join().await;
    // One that is refused otherwise uses nothing up, the first one all that there is for a minute.
    client.say(r#"[64,1,{},"wamp.mine"]"#).await;
    assert!(client.hear().await.contains("wamp.error.invalid_uri"));
    client.say(r#"[64,2,{},"a.b"]"#).await;
    client.say(r#"[64,3,{},"a.c"]"#).await;
    let refused = client.hear().await;
    assert!(refused.starts_with("[8,64,3,"), "{refused}");
    assert!(refused.contains("vixen.error.quota_exceeded"), "{refused}");
    assert!(refused.contains("realm.role.quota.bytes-per-second is 1"), "{refused}");
    client.say(r#"[16,4,{"acknowledge":true},"a.1"]"#).await;
    assert!(client.hear().await.starts_with("[8,16,4,"), "it is the same quota");
}
