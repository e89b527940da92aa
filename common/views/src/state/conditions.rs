//! Conditions: whether a write may be made.

use vixen_core::segment::{Condition, Topic, When};

use super::matching::is_part_of;
use super::outcome::{Found, Refusal};
use super::{State, Value};

impl State {
    /// The first condition that does not hold, and what was found; `None`: all of them hold.
    pub(super) fn failing(&self, own: &Topic, when: &[When]) -> Option<Refusal> {
        when.iter().zip(0..).find_map(|(When { key, is }, at)| {
            let value = self.get(&own.realm, key.as_deref().unwrap_or(&own.uri));
            (!holds(is, value)).then(|| Refusal::Condition { at, found: Found::of(value) })
        })
    }
}

impl Found {
    pub(super) fn of(value: Option<&Value>) -> Self {
        value.map_or(Self::Nothing, |value| Self::Version(value.version))
    }
}

fn holds(condition: &Condition, value: Option<&Value>) -> bool {
    match condition {
        Condition::Absent => value.is_none(),
        Condition::Present => value.is_some(),
        Condition::Position(position) => value.is_some_and(|value| value.version == *position),
        Condition::Value { content, bytes } => value.is_some_and(|value| {
            is_part_of((*content, bytes.as_ref()), (value.content, value.payload()))
        }),
        // A value of someone else has no cause, and is below all.
        Condition::CauseBelow(cause) => {
            value.and_then(Value::cause).is_none_or(|there| there < *cause)
        }
    }
}
