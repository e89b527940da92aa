//! `vixen-bench demo`.

use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;

use vixen_tests::client::{Connection, ServerMessage};

use crate::args::{DemoArgs, topic_or_new};

/// Bound on the whole demonstration.
const TIMEOUT: Duration = Duration::from_secs(60);

/// One received event.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    position: u64,
    id: String,
    args: String,
}

/// Publishes and shows; `true` when all subscribers saw the same.
pub(crate) async fn demo(args: &DemoArgs) -> anyhow::Result<bool> {
    match tokio::time::timeout(TIMEOUT, show(args)).await {
        Ok(same) => same,
        Err(_elapsed) => bail!("not all messages arrived within {TIMEOUT:?}"),
    }
}

async fn show(args: &DemoArgs) -> anyhow::Result<bool> {
    let topic = topic_or_new(args.topic.as_ref(), "demo");
    let mut subscribers = Vec::new();
    for url in &args.subscribe {
        let mut connection =
            Connection::open(url, &args.realm).await.with_context(|| url.clone())?;
        connection.subscribe(1, &topic).await.with_context(|| url.clone())?;
        subscribers.push((url, connection));
    }
    let mut publisher =
        Connection::open(&args.publish, &args.realm).await.with_context(|| args.publish.clone())?;
    println!("publishing {} messages to {topic} at {}", args.messages, args.publish);
    let mut wanted = Vec::new();
    for number in 1..=args.messages {
        let text = format!(r#"["message {number}"]"#);
        let position = publisher.publish(u64::from(number), &topic, &text).await?;
        println!("  {text} is stored and has position {position}");
        wanted.push((position, text));
    }
    let mut all: Vec<Vec<Seen>> = Vec::new();
    for (url, connection) in &mut subscribers {
        println!("subscriber at {url}");
        let seen = receive(connection, wanted.len()).await.with_context(|| (*url).clone())?;
        for event in &seen {
            println!("  position {:>6}  id {}  {}", event.position, event.id, event.args);
        }
        all.push(seen);
    }
    let right = |seen: &Vec<Seen>| {
        seen.iter().map(|s| (s.position, &s.args)).eq(wanted.iter().map(|(p, t)| (*p, t)))
            && Some(seen) == all.first()
    };
    let same = all.iter().all(right);
    let (subscribers, messages) = (all.len(), wanted.len());
    if same {
        println!(
            "all {subscribers} subscribers saw the same {messages} messages in the same order"
        );
    } else {
        println!("THE SUBSCRIBERS DID NOT ALL SEE THE {messages} MESSAGES AS THEY WERE STORED");
    }
    Ok(same)
}

async fn receive(connection: &mut Connection, count: usize) -> anyhow::Result<Vec<Seen>> {
    let mut seen = Vec::new();
    loop {
        while let Some(text) = connection.next_text()? {
            let words = String::from_utf8_lossy(text);
            let Some(ServerMessage::Event { publication, details, payload, .. }) =
                ServerMessage::parse(text)
            else {
                bail!("not an event: {words}");
            };
            let details: Value = serde_json::from_slice(details)?;
            seen.push(Seen {
                position: publication,
                id: details["id"].as_str().unwrap_or("missing").to_owned(),
                args: String::from_utf8_lossy(payload).into_owned(),
            });
        }
        if seen.len() >= count {
            return Ok(seen);
        }
        connection.exchange().await?;
    }
}
