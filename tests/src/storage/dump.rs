//! What `vixen-ndb dump` and `GET /history` print, as if it were what a subscriber received.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::check::{Event, IdKey};
use crate::client::Payload;
use crate::harness::get_within;
use crate::load::LoadOptions;

/// Messages of a workload, read from JSON lines.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dumped {
    /// In the order of the lines.
    pub(crate) events: Vec<Event>,
    /// Lines that are none that could be there, and the first of them.
    pub(crate) damaged: (u64, Option<String>),
}

/// Reads lines like `{"position":1,"id":"26…","time":"…","topic":"t","args":["…"]}`, with a `realm`
/// where there may be several. Lines of other topics are left out.
pub(crate) fn parse(lines: &[u8], realm: &str, topics: &[String]) -> Dumped {
    let mut dumped = Dumped::default();
    for line in lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match event_of(line, realm, topics) {
            Some(Some(event)) => dumped.events.push(event),
            Some(None) => {}
            None => {
                dumped.damaged.0 += 1;
                let text = || String::from_utf8_lossy(line).into_owned();
                dumped.damaged.1.get_or_insert_with(text);
            }
        }
    }
    dumped
}

/// `None`: the line is none that could be there; `Some(None)`: of another topic.
fn event_of(line: &[u8], realm: &str, topics: &[String]) -> Option<Option<Event>> {
    let line: Value = serde_json::from_slice(line).ok()?;
    let topic = line["topic"].as_str()?;
    let Some(turn) = topics.iter().position(|known| known == topic) else {
        return Some(None);
    };
    let no_more = [&json!(null), &json!({})].contains(&&line["kwargs"]);
    let args = serde_json::to_vec(&line["args"]).ok()?;
    let content = Payload::parse_args(&args)?;
    let is_right = [&Value::Null, &json!(realm)].contains(&&line["realm"])
        && line["time"].is_string()
        && no_more
        && turn == LoadOptions::turn(topics.len(), content.seq);
    let event = Event {
        position: line["position"].as_u64()?,
        id: IdKey::new(line["id"].as_str()?.as_bytes())?,
        publisher: content.publisher,
        seq: content.seq,
    };
    is_right.then_some(Some(event))
}

/// Reads what is stored of `topics`, all of which begin with `prefix`, from the entry at `address`.
/// An answer that breaks off counts as far as it goes, and says why.
///
/// # Errors
/// When the entry does not answer with stored messages.
pub(crate) async fn read_history(
    address: &str,
    realm: &str,
    prefix: &str,
    topics: &[String],
    timeout: Duration,
) -> anyhow::Result<(Dumped, Option<String>)> {
    let path = format!("/history?realm={realm}&topic={prefix}&match=prefix&after=0&limit=all");
    let answer = get_within(timeout, address, &path).await?;
    ensure!(answer.status == 200, "{address}{path}: {} {}", answer.status, answer.body.trim_end());
    let lines = answer.body.trim_end();
    let last = lines.rsplit('\n').next().unwrap_or_default();
    let (lines, error) = match last.strip_prefix("{\"error\"") {
        Some(_) => (&lines[..lines.len() - last.len()], Some(last.to_owned())),
        None => (lines, None),
    };
    Ok((parse(lines.as_bytes(), realm, topics), error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_the_topics_are_read_and_others_left_out() {
        let line = |position: u64, topic: &str, seq: u32| {
            let mut args = Vec::new();
            Payload { publisher: 3, seq, sent_ns: 9 }.write_args(64, &mut args);
            let args = String::from_utf8(args).expect("ASCII");
            format!(
                r#"{{"position":{position},"id":"2611a1","time":"2026-11-21T00:00:00Z","realm":"r","topic":"{topic}","session":"x","args":{args},"kwargs":null}}"#
            )
        };
        let topics = ["t.0", "t.1"].map(str::to_owned);
        let text = [line(1, "t.1", 1), line(2, "other", 1), line(3, "t.0", 2)].join("\n");
        let dumped = parse(text.as_bytes(), "r", &topics);
        let found: Vec<_> = dumped.events.iter().map(|event| (event.position, event.seq)).collect();
        assert_eq!((found, dumped.damaged), (vec![(1, 1), (3, 2)], (0, None)));
        let bad = [line(1, "t.0", 1), "{".to_owned(), line(4, "t.1", 3)].join("\n");
        let dumped = parse(bad.as_bytes(), "r", &topics);
        assert_eq!((dumped.events.len(), dumped.damaged.0), (1, 2));
    }
}
