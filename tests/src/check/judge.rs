//! The check of a whole run.

use std::collections::BTreeMap;

use super::history::{Event, History, Outcome, Publisher};
use super::{MessageName, Report, Violation, order};

/// A message that has a place, with what real time says of it.
#[derive(Clone, Copy, Debug)]
struct Placed {
    position: u64,
    sent_ns: u64,
    /// `u64::MAX` when it was not acknowledged.
    acknowledged_ns: u64,
    message: MessageName,
}

/// Checks rules R1 to R8 (see the module's description).
#[must_use]
pub fn check(history: &History) -> Report {
    let mut report = Report {
        subscribers: history.subscribers.len() as u64,
        sent: history.publishers.iter().map(|p| p.publications.len() as u64).sum(),
        ..Report::default()
    };
    let acknowledged = acknowledged(history, &mut report);
    let owed = acknowledged.last().map_or(0, |placed| placed.position);
    let order = order::merge(&history.subscribers, owed, &mut report);
    report.positions = order.len() as u64;
    let received = receive(history, &order, &mut report);
    find_lost(history, &order, &received, &mut report);
    check_real_time(history, acknowledged, &received, &mut report);
    for subscriber in &history.subscribers {
        if let (count @ 1.., first) = &subscriber.damaged {
            report.add(Violation::Damaged {
                subscriber: subscriber.name.clone(),
                count: *count,
                first: first.clone().unwrap_or_default(),
            });
        }
    }
    report
}

/// All acknowledged messages by position; reports positions given twice (R2) and publishers whose
/// own messages were acknowledged out of order (R6).
fn acknowledged(history: &History, report: &mut Report) -> Vec<Placed> {
    let mut all = Vec::new();
    for publisher in &history.publishers {
        let mut before: Option<Placed> = None;
        for (message, publication) in messages(publisher) {
            match publication.outcome {
                Outcome::Refused => report.refused += 1,
                Outcome::Unknown => {}
                Outcome::Acknowledged { position, at_ns } => {
                    let sent_ns = publication.sent_ns;
                    let placed = Placed { position, sent_ns, acknowledged_ns: at_ns, message };
                    if let Some(before) = before.filter(|before| before.position > position) {
                        report.add(Violation::OwnOrder {
                            earlier: before.message,
                            later: message,
                            position: before.position,
                        });
                    }
                    before = Some(placed);
                    all.push(placed);
                }
            }
        }
    }
    report.acknowledged = all.len() as u64;
    all.sort_unstable_by_key(|placed| placed.position);
    for pair in all.windows(2) {
        if let [a, b] = pair
            && a.position == b.position
        {
            report.add(Violation::PositionTwice {
                position: a.position,
                first: a.message,
                second: b.message,
            });
        }
    }
    all
}

fn messages(
    publisher: &Publisher,
) -> impl Iterator<Item = (MessageName, &super::history::Publication)> {
    (1..)
        .zip(&publisher.publications)
        .map(|(seq, publication)| (MessageName { publisher: publisher.id, seq }, publication))
}

/// Where each publisher's messages were received, 0 where not. Reports what was received twice
/// (R2), elsewhere (R4), out of the publisher's order (R6), or without being sent (R8).
fn receive(history: &History, order: &[Event], report: &mut Report) -> Vec<Vec<u64>> {
    let mut received: Vec<_> =
        history.publishers.iter().map(|p| vec![0u64; p.publications.len()]).collect();
    let mut last: Vec<_> = history.publishers.iter().map(|_publisher| None::<Event>).collect();
    let by_id: BTreeMap<_, _> =
        history.publishers.iter().enumerate().map(|(at, p)| (p.id, at)).collect();
    for event in order {
        let message = event.message();
        let place = by_id.get(&event.publisher).and_then(|at| {
            let index = usize::try_from(event.seq).ok()?.checked_sub(1)?;
            Some((*at, index, history.publishers[*at].publications.get(index)?))
        });
        let Some((at, index, publication)) = place else {
            let why = "was never sent";
            report.add(Violation::Unexplained { position: event.position, message, why });
            continue;
        };
        let before = std::mem::replace(&mut received[at][index], event.position);
        if before != 0 {
            let (first, second) = (before, event.position);
            report.add(Violation::Repeated { message, first, second });
            continue;
        }
        match publication.outcome {
            Outcome::Acknowledged { position, .. } if position != event.position => {
                report.add(Violation::Elsewhere {
                    message,
                    acknowledged: position,
                    received: event.position,
                });
            }
            Outcome::Acknowledged { .. } => {}
            Outcome::Unknown => report.received_unacknowledged += 1,
            Outcome::Refused => {
                let why = "was refused";
                report.add(Violation::Unexplained { position: event.position, message, why });
            }
        }
        if let Some(later) = last[at].filter(|last| last.seq > event.seq) {
            report.add(Violation::OwnOrder {
                earlier: message,
                later: later.message(),
                position: event.position,
            });
        } else {
            last[at] = Some(*event);
        }
    }
    received
}

/// R1: acknowledged messages that nobody received, although somebody was owed them.
fn find_lost(history: &History, order: &[Event], received: &[Vec<u64>], report: &mut Report) {
    let complete = history.subscribers.iter().any(|s| s.complete && s.from == 0);
    let seen_to = order.last().map_or(0, |event| event.position);
    let seen_from = history.subscribers.iter().map(|s| s.from).min().unwrap_or(u64::MAX);
    for (publisher, received) in history.publishers.iter().zip(received) {
        for ((message, publication), received) in messages(publisher).zip(received) {
            if *received != 0 {
                continue;
            }
            match publication.outcome {
                Outcome::Acknowledged { position, .. } => {
                    let owed = complete || (seen_from..=seen_to).contains(&position);
                    if owed {
                        report.add(Violation::Lost { message, position });
                    }
                }
                Outcome::Unknown | Outcome::Refused => report.never_appeared += 1,
            }
        }
    }
}

/// R7: from the highest position down, no message may have been sent after the acknowledgement of
/// one above it.
fn check_real_time(
    history: &History,
    mut placed: Vec<Placed>,
    received: &[Vec<u64>],
    report: &mut Report,
) {
    for (publisher, received) in history.publishers.iter().zip(received) {
        for ((message, publication), position) in messages(publisher).zip(received) {
            if *position != 0 && publication.outcome == Outcome::Unknown {
                placed.push(Placed {
                    position: *position,
                    sent_ns: publication.sent_ns,
                    acknowledged_ns: u64::MAX,
                    message,
                });
            }
        }
    }
    placed.sort_unstable_by_key(|placed| placed.position);
    let mut earliest: Option<Placed> = None;
    for second in placed.into_iter().rev() {
        if let Some(first) = earliest.filter(|first| first.acknowledged_ns < second.sent_ns) {
            report.add(Violation::RealTime {
                first: first.message,
                first_position: first.position,
                acknowledged_ns: first.acknowledged_ns,
                second: second.message,
                second_position: second.position,
                sent_ns: second.sent_ns,
            });
        }
        if earliest.is_none_or(|earliest| second.acknowledged_ns < earliest.acknowledged_ns) {
            earliest = Some(second);
        }
    }
}
