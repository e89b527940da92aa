//! R3 and R5: one order out of what the subscribers received.

use super::history::{Event, Subscriber};
use super::{MessageName, Report, Violation};

impl Event {
    pub(super) const fn message(&self) -> MessageName {
        MessageName { publisher: self.publisher, seq: self.seq }
    }
}

/// Merges what the subscribers have into one sequence by position, and reports where they do not
/// fit together. `owed` is the highest position that was acknowledged.
pub(super) fn merge(subscribers: &[Subscriber], owed: u64, report: &mut Report) -> Vec<Event> {
    let rising: Vec<_> = subscribers.iter().map(|s| rising_events(s, report)).collect();
    let ends: Vec<_> = subscribers.iter().zip(&rising).map(|(s, r)| end_of(s, r, owed)).collect();
    let mut heads: Vec<_> = rising.iter().map(|events| events.iter().peekable()).collect();
    let mut order: Vec<Event> = Vec::with_capacity(rising.first().map_or(0, Vec::len));
    while let Some(position) =
        heads.iter_mut().filter_map(|head| head.peek().map(|event| event.position)).min()
    {
        let mut found: Option<(usize, Event)> = None;
        let mut missing = false;
        for (at, head) in heads.iter_mut().enumerate() {
            let Some(event) = head.next_if(|event| event.position == position) else {
                missing |= is_owed(&subscribers[at], ends[at], position);
                continue;
            };
            let Some((first_at, first)) = found else {
                found = Some((at, *event));
                continue;
            };
            if first != *event {
                report.add(Violation::Different {
                    position,
                    first_subscriber: subscribers[first_at].name.clone(),
                    first: first.message(),
                    first_id: first.id,
                    second_subscriber: subscribers[at].name.clone(),
                    second: event.message(),
                    second_id: event.id,
                });
            }
        }
        let Some((_at, event)) = found else { break };
        if missing {
            report_gaps(subscribers, &rising, &ends, &event, report);
        }
        order.push(event);
    }
    order
}

/// The events in the order of arrival, without those that do not rise, which are reported.
fn rising_events(subscriber: &Subscriber, report: &mut Report) -> Vec<Event> {
    let mut rising: Vec<Event> = Vec::with_capacity(subscriber.events.len());
    for (index, event) in subscriber.events.iter().enumerate() {
        if let Some(before) = rising.last() {
            if event.position <= before.position {
                report.add(Violation::NotRising {
                    subscriber: subscriber.name.clone(),
                    index,
                    before: before.position,
                    position: event.position,
                });
                continue;
            }
            if event.id <= before.id {
                report.add(Violation::IdNotRising {
                    subscriber: subscriber.name.clone(),
                    position: event.position,
                    before: before.id,
                    id: event.id,
                });
            }
        }
        rising.push(*event);
    }
    rising
}

/// The last position that the subscriber must have.
fn end_of(subscriber: &Subscriber, rising: &[Event], owed: u64) -> u64 {
    let last = rising.last().map_or(0, |event| event.position);
    if subscriber.complete { last.max(owed) } else { last }
}

const fn is_owed(subscriber: &Subscriber, end: u64, position: u64) -> bool {
    subscriber.from <= position && position <= end
}

fn report_gaps(
    subscribers: &[Subscriber],
    rising: &[Vec<Event>],
    ends: &[u64],
    event: &Event,
    report: &mut Report,
) {
    for (at, subscriber) in subscribers.iter().enumerate() {
        let has = rising[at].binary_search_by_key(&event.position, |e| e.position).is_ok();
        if !has && is_owed(subscriber, ends[at], event.position) {
            report.add(Violation::Gap {
                subscriber: subscriber.name.clone(),
                position: event.position,
                message: event.message(),
            });
        }
    }
}
