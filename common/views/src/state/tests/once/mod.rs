//! Once-marks: one test a row of their table and a sentence of the design, then what any heads make of them.

mod limits;
mod naive;
mod random;
mod table;
mod window;

use vixen_core::segment::{Once, OnceName};

use super::*;

/// How long marks are known, as heads here say it: 10 s, 100 of them; producers a minute.
fn once(name: OnceName, digests: &[u8]) -> Once {
    Once {
        name,
        who: "joe".to_owned(),
        keep_ms: 10_000,
        keep_count: 100,
        producer_keep_ms: 60_000,
        digests: digests.iter().map(|digest| [*digest; 8]).collect(),
    }
}

fn id(id: &str) -> Once {
    once(OnceName::Id(id.to_owned()), &[0])
}

fn numbers(producer: &str, first: u64, digests: &[u8]) -> Once {
    once(OnceName::Numbers { producer: producer.to_owned(), first }, digests)
}

fn number(number: u64) -> Once {
    numbers("p", number, &[0])
}

/// The head of messages of a realm.
fn head_in(realm: &str, once: &Once) -> Message {
    let parts = u16::try_from(once.digests.len() + 1).expect("few");
    let judged = Judged::Once { parts, once: once.clone() };
    let topic = StateTopic::Once { realm: realm.to_owned() }.to_topic();
    Message { topic: topic.uri.to_string(), ..Message::new("", judged, "") }
}

fn head(once: &Once) -> Message {
    head_in(REALM, once)
}

/// A write of a key.
fn marked(head: Head, once: &Once) -> Head {
    Head { once: Some(once.clone()), ..head }
}

fn said(marked: Marked) -> Outcome {
    Outcome::Head(Verdict::Marked(marked))
}

fn duplicate(of: u64, was: Was) -> Outcome {
    said(Marked::Duplicate { of: Position(of), was })
}

fn again(of: u64) -> Outcome {
    duplicate(of, Was::Accepted)
}

impl Desk {
    fn once(&mut self, once: &Once) -> Outcome {
        self.say(&head(once))
    }

    /// At a time.
    fn once_at(&mut self, now: u64, once: &Once) -> Outcome {
        self.now = now - 1_000;
        self.once(once)
    }

    /// What the view knows by now.
    fn known(&self, once: &Once) -> Option<Marked> {
        self.state.known(REALM, once, 0, WallTime(0))
    }
}
