//! `wamp.subscription.`

use serde_json::{Value, json};

use crate::Entry;

/// Publishes, and returns the publication.
async fn publish(peer: &mut crate::Peer, topic: &str, arguments: &str) -> u64 {
    let request = peer.request();
    peer.say(&format!(r#"[16,{request},{{"acknowledge":true}},"{topic}",{arguments}]"#)).await;
    let published = peer.hear().await;
    assert_eq!((&published[0], &published[1]), (&json!(17), &json!(request)), "{published}");
    published[2].as_u64().expect("a position")
}

/// Of events of the past.
fn publications(events: &Value) -> Vec<u64> {
    let events = events.as_array().expect("a list");
    events.iter().map(|event| event["publication"].as_u64().expect("a position")).collect()
}

#[tokio::test]
async fn events_of_the_past_are_those_of_the_subscription() {
    let entry = Entry::start().await;
    let (mut publisher, mut reader) = (entry.client().await, entry.client().await);
    let mut all = Vec::new();
    for (topic, arguments) in
        [("a.b", "[1]"), ("a.c", r#"[2],{"k":3}"#), ("x", "[9]"), ("a.b", "[4]")]
    {
        let publication = publish(&mut publisher, topic, arguments).await;
        if topic != "x" {
            all.push(publication);
        }
    }
    // It was made after all of them.
    let id = reader.subscribe(r#"{"match":"prefix"}"#, "a.").await;
    let get = "wamp.subscription.get_events";
    let events = reader.asks(get, &format!("[{id}]")).await;
    let [one, two, three] = &events.as_array().expect("a list")[..] else { panic!("{events}") };
    assert_eq!((&one["subscription"], &one["publication"]), (&json!(id), &json!(all[0])));
    assert_eq!((&one["args"], one.get("kwargs")), (&json!([1]), None));
    assert_eq!(
        (&one["details"]["topic"], &one["details"]["position"]),
        (&json!("a.b"), &json!(all[0]))
    );
    assert_eq!(one["timestamp"], one["details"]["time"]);
    assert_eq!((&two["args"], &two["kwargs"]), (&json!([2]), &json!({"k": 3})));
    assert_eq!(three["args"], json!([4]));
    let [first, second, third] = all[..] else { panic!("{all:?}") };
    let time = one["timestamp"].as_str().expect("a time").to_owned();
    for (kwargs, wanted) in [
        (r#"{"limit":2}"#.to_owned(), vec![first, second]),
        (r#"{"reverse":true}"#.to_owned(), vec![third, second, first]),
        (r#"{"reverse":true,"limit":1}"#.to_owned(), vec![third]),
        (r#"{"topic":"a.b"}"#.to_owned(), vec![first, third]),
        (r#"{"topic":"x"}"#.to_owned(), vec![]),
        (format!(r#"{{"from_publication":{second}}}"#), vec![second, third]),
        (format!(r#"{{"after_publication":{second}}}"#), vec![third]),
        (format!(r#"{{"before_publication":{second}}}"#), vec![first]),
        (format!(r#"{{"until_publication":{second}}}"#), vec![first, second]),
        (format!(r#"{{"reverse":true,"before_publication":{third}}}"#), vec![second, first]),
        (format!(r#"{{"from_time":"{time}"}}"#), vec![first, second, third]),
        (format!(r#"{{"before_time":"{time}"}}"#), vec![]),
        (r#"{"after_time":"2999-01-01T00:00:00Z"}"#.to_owned(), vec![]),
        (r#"{"until_time":"2999-01-01T00:00:00Z"}"#.to_owned(), vec![first, second, third]),
        (format!(r#"{{"from_time":"{time}","after_publication":{first}}}"#), vec![second, third]),
        (format!(r#"{{"after_publication":{first},"after_time":"2999-01-01T00:00:00Z"}}"#), vec![]),
        (
            format!(
                r#"{{"reverse":true,"until_publication":{second},"until_time":"2999-01-01T00:00:00Z"}}"#
            ),
            vec![second, first],
        ),
    ] {
        let events = reader.asks(get, &format!("[{id}],{kwargs}")).await;
        assert_eq!(publications(&events), wanted, "{kwargs}");
    }
    // The last ones, as Crossbar has it.
    for (arguments, wanted) in [
        (format!("[{id},1]"), vec![third]),
        (format!("[{id},2]"), vec![third, second]),
        (format!(r#"[{id},2],{{"reverse":false}}"#), vec![first, second]),
    ] {
        assert_eq!(publications(&reader.asks(get, &arguments).await), wanted, "{arguments}");
    }
    for kwargs in [
        r#"{"limit":0}"#,
        r#"{"reverse":1}"#,
        r#"{"from_time":"yesterday"}"#,
        r#"{"until_publication":"1"}"#,
    ] {
        let error = reader.is_refused(get, &format!("[{id}],{kwargs}")).await;
        assert_eq!(error, "wamp.error.invalid_argument", "{kwargs}");
    }
    let long = format!(r#"[{id}],{{"topic":"{}"}}"#, "a.".repeat(300));
    assert_eq!(reader.is_refused(get, &long).await, "wamp.error.invalid_uri");
    assert_eq!(reader.is_refused(get, "[4711]").await, NO_SUCH_SUBSCRIPTION);
    entry.stop().await;
}

/// A limit counted messages that were for others: the last one, by the session itself, was all that was read.
#[tokio::test]
async fn a_limit_counts_the_events_that_are_told() {
    let entry = Entry::start().await;
    let (mut other, mut own) = (entry.client().await, entry.client().await);
    let first = publish(&mut other, "a.b", "[1]").await;
    let second = publish(&mut other, "a.b", "[2]").await;
    for _ in 0..3 {
        publish(&mut own, "a.b", "[3]").await;
    }
    let id = own.subscribe("{}", "a.b").await;
    let get = "wamp.subscription.get_events";
    for (arguments, wanted) in [
        (format!(r#"[{id}],{{"reverse":true,"limit":1}}"#), vec![second]),
        (format!("[{id},2]"), vec![second, first]),
        (format!(r#"[{id}],{{"after_publication":{second}}}"#), vec![]),
    ] {
        assert_eq!(publications(&own.asks(get, &arguments).await), wanted, "{arguments}");
    }
    entry.stop().await;
}

#[tokio::test]
async fn events_of_the_past_are_for_those_that_they_were_meant_for() {
    let entry = Entry::start().await;
    let (mut publisher, mut reader) = (entry.client().await, entry.client().await);
    let mut all = Vec::new();
    for options in [
        r#""eligible_authrole":["nobody"]"#.to_owned(),
        r#""exclude_authrole":["nobody"]"#.to_owned(),
        // Sessions are of the moment: what names them is no history, not even theirs.
        format!(r#""eligible":[{}]"#, reader.session),
        format!(r#""exclude":[{}]"#, publisher.session),
    ] {
        let request = publisher.request();
        publisher
            .say(&format!(r#"[16,{request},{{"acknowledge":true,{options}}},"a.b",[1]]"#))
            .await;
        let published = publisher.hear().await;
        assert_eq!(published[0], 17, "{published}");
        all.push(published[2].as_u64().expect("a position"));
    }
    let id = reader.subscribe("{}", "a.b").await;
    let events = reader.asks("wamp.subscription.get_events", &format!("[{id}]")).await;
    assert_eq!(publications(&events), [all[1]]);
    entry.stop().await;
}

const NO_SUCH_SUBSCRIPTION: &str = "wamp.error.no_such_subscription";

#[tokio::test]
async fn subscriptions_are_listed_looked_up_and_matched() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.client().await, entry.client().await);
    let none = json!({"exact": [], "prefix": [], "wildcard": []});
    assert_eq!(one.asks("wamp.subscription.list", "").await, none);
    let exact = one.subscribe("{}", "a.b").await;
    assert_eq!(two.subscribe("{}", "a.b").await, exact, "one that is shared");
    let prefix = one.subscribe(r#"{"match":"prefix"}"#, "a").await;
    let wildcard = one.subscribe(r#"{"match":"wildcard"}"#, "x..z").await;
    let dotted = one.subscribe("{}", "q.*").await;
    // Of the router's own topics nothing is told.
    let meta = one.subscribe("{}", "wamp.session.on_join").await;
    let mut exacts = vec![exact, dotted];
    exacts.sort_unstable();
    let all = json!({"exact": exacts, "prefix": [prefix], "wildcard": [wildcard]});
    assert_eq!(two.asks("wamp.subscription.list", "").await, all);
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(exact)),
        (r#"["a",{"match":"prefix"}]"#, json!(prefix)),
        (r#"["x..z",{"match":"wildcard"}]"#, json!(wildcard)),
        (r#"["q.*"]"#, json!(dotted)),
        (r#"["a"]"#, json!(null)),
        (r#"["wamp.session.on_join"]"#, json!(null)),
    ] {
        assert_eq!(two.asks("wamp.subscription.lookup", arguments).await, wanted, "{arguments}");
    }
    let mut both = vec![exact, prefix];
    both.sort_unstable();
    for (arguments, wanted) in [
        (r#"["a.b"]"#, json!(both)),
        (r#"["x.y.z"]"#, json!([wildcard])),
        (r#"["q.r"]"#, json!([dotted])),
        (r#"["n"]"#, json!(null)),
    ] {
        assert_eq!(two.asks("wamp.subscription.match", arguments).await, wanted, "{arguments}");
    }
    let error = two.is_refused("wamp.subscription.get", &format!("[{meta}]")).await;
    assert_eq!(error, NO_SUCH_SUBSCRIPTION);
    entry.stop().await;
}

#[tokio::test]
async fn a_subscription_has_details_and_subscribers() {
    let entry = Entry::start().await;
    let (mut one, mut two) = (entry.client().await, entry.client().await);
    let id = one.subscribe(r#"{"match":"prefix"}"#, "a.b").await;
    two.subscribe(r#"{"match":"prefix"}"#, "a.b").await;
    let of = format!("[{id}]");
    let details = one.asks("wamp.subscription.get", &of).await;
    let created = details["created"].as_str().expect("a time");
    assert!(created.starts_with("20") && created.ends_with('Z'), "{created}");
    let wanted = json!({"id": id, "created": created, "uri": "a.b", "match": "prefix"});
    assert_eq!(details, wanted);
    let mut both = vec![one.session, two.session];
    both.sort_unstable();
    assert_eq!(one.asks("wamp.subscription.list_subscribers", &of).await, json!(both));
    assert_eq!(one.asks("wamp.subscription.count_subscribers", &of).await, 2);
    two.say(&format!("[34,7,{id}]")).await;
    two.hears(json!([35, 7])).await;
    assert_eq!(one.asks("wamp.subscription.list_subscribers", &of).await, json!([one.session]));
    one.say(&format!("[34,7,{id}]")).await;
    one.hears(json!([35, 7])).await;
    for procedure in ["get", "list_subscribers", "count_subscribers"] {
        let error = one.is_refused(&format!("wamp.subscription.{procedure}"), &of).await;
        assert_eq!(error, NO_SUCH_SUBSCRIPTION, "{procedure}");
    }
    entry.stop().await;
}
