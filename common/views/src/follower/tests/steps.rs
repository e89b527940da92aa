//! One follower, or two: each way to a view, and when a checkpoint is written.

use super::*;

const HOUR_MS: u64 = 3_600_000;

#[test]
fn the_first_entry_begins_with_nothing_and_leaves_a_checkpoint() {
    let mut log = Log::new();
    let entry = Entry::begun(1, &mut log);
    assert!(entry.is_ready() && entry.has_heard(&Effect::Follow(From::First)));
    assert!(entry.has_heard(&Effect::Ready(life(1, 1))));
    assert_eq!(log.checkpoints().len(), 1);
    assert_eq!(entry.follower.view(), &log.read_whole());
    let ready = entry.heard.iter().position(|effect| matches!(effect, Effect::Ready(_)));
    let written = entry.heard.iter().position(
        |effect| matches!(effect, Effect::Write(record) if matches!(record.said, Said::Checkpoint(_))),
    );
    assert!(ready < written, "W3");
}

#[test]
fn whoever_comes_later_begins_by_the_checkpoint() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    log.write(&register(life(1, 1), 7, "a"));
    one.run(&mut log);
    let whole = log.read_whole();
    log.trim(Position(10));
    let two = Entry::begun(2, &mut log);
    assert!(two.is_ready() && two.has_heard(&Effect::Follow(From::After(Position(10)))));
    one.run(&mut log);
    assert_eq!(one.follower.view(), two.follower.view());
    assert_eq!(two.follower.view().len(), whole.len());
}

#[test]
fn what_is_no_checkpoint_is_passed_over_for_an_older_one() {
    let mut log = Log::new();
    let one = Entry::begun(1, &mut log);
    let part = one.follower.view().checkpoint().remove(0);
    let mut write = |part| log.write(&Record { writer: life(1, 1), said: Said::Checkpoint(part) });
    write(CheckpointPart { state: Bytes::from_static(b"?"), ..part.clone() });
    write(CheckpointPart { parts: 2, ..part });
    log.add("checkpoint", vec![1, 2, 3]);
    let two = Entry::begun(2, &mut log);
    assert!(two.has_heard(&Effect::Unusable(CheckpointError::Malformed(0))));
    assert!(two.is_ready() && two.has_heard(&Effect::Follow(From::After(Position(10)))));
    assert_eq!(two.follower.view(), &log.read_whole());
}

#[test]
fn life_is_written_again_if_it_was_not_placed() {
    let mut log = Log::new();
    let mut entry = Entry::new(1);
    let mut nowhere = Log::new();
    entry.step(Input::Begin, &mut nowhere);
    entry.step(Input::Joined, &mut nowhere);
    assert_eq!(entry.follower.stage(), Stage::Announcing);
    entry.step(Input::NotWritten, &mut log);
    assert_eq!(log.messages.len(), 1);
    entry.run(&mut log);
    assert!(entry.is_ready());
    entry.step(Input::NotWritten, &mut log);
    assert!(entry.is_ready(), "it was, after all");
}

#[test]
fn who_reads_its_own_end_begins_the_next_life() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    let mut two = Entry::begun(2, &mut log);
    let gone = Gone { life: life(1, 1), why: GoneWhy::NotHeard };
    log.write(&Record { writer: life(2, 1), said: Said::Gone(gone) });
    one.heard.clear();
    one.run(&mut log);
    two.run(&mut log);
    assert!(one.is_ready() && one.has_heard(&Effect::Ready(life(1, 2))));
    assert_eq!(one.follower.life(), life(1, 2));
    assert_eq!(one.follower.view(), two.follower.view());
    assert!(two.follower.view().is_alive(life(1, 2)));
}

#[test]
fn who_is_called_gone_again_and_again_comes_back_more_and_more_slowly_and_within_eight_seconds() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    let two = Entry::begun(2, &mut log).follower.life();
    let mut waits = Vec::new();
    for number in 1..=9 {
        let gone = Gone { life: life(1, number), why: GoneWhy::NotHeard };
        log.write(&Record { writer: two, said: Said::Gone(gone) });
        one.run(&mut log);
        let mut waited = 0;
        while !one.is_ready() {
            waited += 500;
            one.wait(500, &mut log);
        }
        waits.push(waited / 1_000);
        assert_eq!(one.follower.life(), life(1, number + 1));
    }
    assert_eq!(waits, [0, 1, 2, 4, 8, 8, 8, 8, 8]);
    // One that lasts is followed at once.
    one.wait(20_000, &mut log);
    let gone = Gone { life: life(1, 10), why: GoneWhy::NotHeard };
    log.write(&Record { writer: two, said: Said::Gone(gone) });
    one.run(&mut log);
    assert!(one.is_ready());
}

/// What others read of it: a life, its end, and what is registered by it.
#[test]
fn who_is_never_heard_begins_six_lives_a_minute_at_most() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    let two = Entry::begun(2, &mut log).follower.life();
    let mut begun = Vec::new();
    for second in 0..180 {
        let own = one.follower.life();
        // As soon as it can be: 1.8 s of silence, and what sync nodes say then.
        if one.is_ready() && second % 2 == 0 {
            let gone = Gone { life: own, why: GoneWhy::NotHeard };
            log.write(&Record { writer: two, said: Said::Gone(gone) });
        }
        one.wait(1_000, &mut log);
        if one.follower.life() != own {
            begun.push(second);
        }
    }
    let in_the_last_minute = begun.iter().filter(|second| **second >= 120).count();
    assert!((5..=6).contains(&in_the_last_minute), "{begun:?}");
}

#[test]
fn who_stops_says_that_its_life_is_over_and_begins_no_other() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    let mut two = Entry::begun(2, &mut log);
    log.write(&register(life(1, 1), 7, "a"));
    one.run(&mut log);
    one.step(Input::Stop, &mut log);
    one.step(Input::Stop, &mut log);
    let end = log.end;
    one.run(&mut log);
    two.run(&mut log);
    assert_eq!(one.follower.stage(), Stage::Over);
    assert_eq!(log.end, end, "once, and nothing after it");
    assert!(!two.follower.view().is_alive(life(1, 1)) && two.follower.view().is_empty());
    // Before it has begun it has nothing to end.
    let mut three = Entry::new(3);
    three.step(Input::Stop, &mut log);
    three.step(Input::Begin, &mut log);
    three.run(&mut log);
    assert_eq!((three.follower.stage(), log.end), (Stage::Over, end));
}

#[test]
fn the_parts_of_a_checkpoint_are_as_large_as_they_may_be() {
    let mut log = Log::new();
    let mut one = Entry::new(1);
    one.follower = one.follower.with_parts(64);
    one.step(Input::Begin, &mut log);
    one.run(&mut log);
    (1..=9).for_each(|session| _ = log.write(&register(life(1, 1), session, "a")));
    one.run(&mut log);
    log.now = log.now.plus_millis(7 * HOUR_MS);
    let before = log.checkpoints().len();
    one.run(&mut log);
    let parts = log.checkpoints().len() - before;
    assert!(parts > 1, "{parts}");
    let two = Entry::begun(2, &mut log);
    let by_it = |effect: &Effect| matches!(effect, Effect::Follow(From::After(at)) if at.0 > 100);
    assert!(two.is_ready() && two.heard.iter().any(by_it));
    one.run(&mut log);
    assert_eq!(one.follower.view(), two.follower.view());
}

#[test]
fn what_has_to_be_known_stops_the_view() {
    let mut log = Log::new();
    let mut entry = Entry::begun(1, &mut log);
    log.add("lives", vec![2]);
    log.add("lives", [&[VERSION, 128][..], &[0; 20]].concat());
    log.write(&register(life(1, 1), 7, "a"));
    entry.run(&mut log);
    assert_eq!(entry.follower.stage(), Stage::Stopped(RecordError::Kind(128)));
    assert!(entry.follower.view().is_empty());
    assert_eq!(entry.follower.deadline(), None);
}

#[test]
fn a_view_that_lacks_a_part_is_mended_by_the_next_checkpoint() {
    let mut log = Log::new();
    let mut one = Entry::begun(1, &mut log);
    let mut two = Entry::begun(2, &mut log);
    log.write(&register(life(1, 1), 7, "a"));
    one.run(&mut log);
    log.trim(log.end);
    two.step(Input::Dropped, &mut log);
    assert!(two.has_heard(&Effect::Cut) && two.has_heard(&Effect::Follow(From::Now)));
    log.write(&register(life(1, 1), 8, "b"));
    two.run(&mut log);
    assert!(matches!(two.follower.stage(), Stage::Cut(_)));
    // One that the others have written as of a place before.
    let part = one.follower.view().checkpoint().remove(0);
    log.write(&Record { writer: life(1, 1), said: Said::Checkpoint(part) });
    two.run(&mut log);
    one.run(&mut log);
    assert!(two.is_ready() && two.has_heard(&Effect::Follow(From::After(Position(40)))));
    assert_eq!(one.follower.view(), two.follower.view());
    assert_eq!(one.follower.view().len(), 2);
}

#[test]
fn where_nobody_mends_it_a_view_begins_with_what_is_left() {
    let mut log = Log::new();
    let mut entry = Entry::begun(1, &mut log);
    log.write(&register(life(1, 1), 7, "a"));
    log.trim(log.end);
    entry.step(Input::Dropped, &mut log);
    assert!(entry.follower.deadline().is_some());
    entry.wait(4_999, &mut log);
    assert!(!entry.is_ready());
    entry.wait(1, &mut log);
    assert!(entry.is_ready() && entry.follower.view().is_empty());
    assert_eq!(entry.follower.view(), &log.read_whole());
}

/// Entries whose views have read all of a log, but one that has missed a record of it.
struct Apart {
    log: Log,
    entry: Entry,
    /// As of the log's end.
    missed: Registrations,
}

fn apart() -> Apart {
    let mut log = Log::new();
    let mut entry = Entry::begun(1, &mut log);
    log.write(&register(life(1, 1), 7, "a"));
    let mut missed = log.read_whole();
    log.write(&register(life(1, 1), 8, "b"));
    missed.pass_below(log.end.plus(1));
    entry.run(&mut log);
    entry.heard.clear();
    Apart { log, entry, missed }
}

impl Apart {
    /// A checkpoint of a view, by an entry; what is heard of it.
    fn say(&mut self, owner: u128, view: &Registrations) -> Vec<Effect> {
        self.entry.heard.clear();
        for part in view.checkpoint() {
            self.log.write(&Record { writer: life(owner, 1), said: Said::Checkpoint(part) });
        }
        self.entry.run(&mut self.log);
        let is_more = |effect: &Effect| !matches!(effect, Effect::Told { .. } | Effect::Write(_));
        self.entry.heard.iter().filter(|effect| is_more(effect)).cloned().collect()
    }

    /// The same records for a view that has missed one before.
    fn catch_up(&self, view: &mut Registrations) {
        for (position, at, topic, payload) in &self.log.messages {
            view.apply_message(*position, *at, topic, payload);
        }
        view.pass_below(self.log.end.plus(1));
    }
}

/// All good views took over the one bad one, by its next checkpoint.
#[test]
fn one_checkpoint_that_differs_is_told_and_not_believed() {
    let mut apart = apart();
    let mut missed = apart.missed.clone();
    for _ in 0..3 {
        let heard = apart.say(2, &missed);
        let [Effect::Differs(found)] = &heard[..] else { panic!("{heard:?}") };
        assert_eq!((found.writer, found.as_of), (life(2, 1), missed.position()));
        assert!(apart.entry.is_ready());
        assert_eq!(apart.entry.follower.view(), &apart.log.read_whole());
        apart.catch_up(&mut missed);
    }
    // Another entry is of the same view as this one.
    let own = apart.log.read_whole();
    assert_eq!(apart.say(3, &own), []);
    assert_eq!(apart.entry.follower.view(), &apart.log.read_whole());
}

#[test]
fn a_view_that_two_others_agree_against_is_given_up() {
    let mut apart = apart();
    let mut missed = apart.missed.clone();
    assert!(matches!(apart.say(2, &missed)[..], [Effect::Differs(_)]));
    // It goes on: both views are told.
    apart.log.write(&register(life(1, 1), 9, "c"));
    apart.entry.run(&mut apart.log);
    apart.catch_up(&mut missed);
    let heard = apart.say(3, &missed);
    let follow = Effect::Follow(From::After(missed.position().plus(10)));
    assert_eq!(heard[1..], [follow, Effect::Ready(life(1, 1))]);
    assert!(matches!(heard[0], Effect::Differs(_)) && apart.entry.is_ready());
    apart.catch_up(&mut missed);
    assert_eq!(apart.entry.follower.view(), &missed);
}

#[test]
fn who_agrees_with_the_own_view_ends_the_other() {
    let mut apart = apart();
    let mut missed = apart.missed.clone();
    apart.say(2, &missed);
    let own = apart.log.read_whole();
    assert_eq!(apart.say(3, &own), []);
    apart.catch_up(&mut missed);
    assert!(matches!(apart.say(4, &missed)[..], [Effect::Differs(_)]), "and begins another");
    assert_eq!(apart.entry.follower.view(), &apart.log.read_whole());
}

/// Writes none until it is due, and then does.
fn is_due_after(change: impl Fn(&mut Log, &mut Entry)) -> bool {
    let mut log = Log::new();
    let mut entry = Entry::begun(1, &mut log);
    entry.wait(100_000, &mut log);
    assert_eq!(log.checkpoints().len(), 1, "not due");
    change(&mut log, &mut entry);
    entry.run(&mut log);
    log.checkpoints().len() > 1
}

fn pass(ms: u64) -> impl Fn(&mut Log, &mut Entry) {
    move |log, _entry| log.now = log.now.plus_millis(ms)
}

fn sessions_over(count: u64) -> impl Fn(&mut Log, &mut Entry) {
    move |log, _entry| {
        for session in 1..=count {
            let over = SessionOver { realm: "r".into(), session };
            log.write(&Record { writer: life(1, 1), said: Said::SessionOver(over) });
        }
    }
}

#[test]
fn a_checkpoint_is_due_by_age_by_a_new_day_and_by_records() {
    assert!(!is_due_after(pass(6 * HOUR_MS - 1_000)));
    assert!(is_due_after(pass(6 * HOUR_MS)));
    let late = |log: &mut Log, entry: &mut Entry| {
        log.now = log.now.plus_millis(5 * HOUR_MS);
        entry.run(log);
        assert_eq!(log.checkpoints().len(), 1);
    };
    assert!(!is_due_after(late));
    // The log begins with a day.
    let next_day = |log: &mut Log, entry: &mut Entry| {
        log.now = log.now.plus_millis(20 * HOUR_MS);
        entry.run(log);
        let before = log.checkpoints().len();
        log.now = log.now.plus_millis(4 * HOUR_MS - 1_000);
        entry.run(log);
        assert_eq!(log.checkpoints().len(), before, "not due");
        log.now = log.now.plus_millis(1_000);
        entry.run(log);
        assert_eq!(log.checkpoints().len(), before + 1);
    };
    assert!(is_due_after(next_day));
    assert!(!is_due_after(sessions_over(4_095)));
    assert!(is_due_after(sessions_over(4_096)));
    // 4,003 things are in the view: twice as many records.
    let large = |more: u64| {
        move |log: &mut Log, _entry: &mut Entry| {
            let sessions = (1..=4_000).chain(1..=4_000).chain(1..=more);
            sessions.for_each(|session| _ = log.write(&register(life(1, 1), session, "a")));
        }
    };
    assert!(!is_due_after(large(5)));
    assert!(is_due_after(large(6)));
}

#[test]
fn while_the_order_stands_still_a_checkpoint_is_not_written_twice() {
    let mut log = Log::new();
    let mut entry = Entry::begun(1, &mut log);
    // What it writes has no place.
    let mut nowhere = Log::new();
    let passed = |after_ms| Input::Passed {
        below: log.end.plus(1),
        at: log.now.plus_millis(7 * HOUR_MS + after_ms),
    };
    entry.step(passed(0), &mut nowhere);
    assert_eq!(nowhere.checkpoints().len(), 1);
    for _ in 0..10 {
        entry.now += Duration::from_secs(60);
        entry.step(Input::Tick, &mut nowhere);
    }
    assert_eq!(nowhere.checkpoints().len(), 1);
    // All else has its place, and this has not.
    entry.step(passed(10_000), &mut nowhere);
    entry.now += Duration::from_secs(10);
    entry.step(Input::Tick, &mut nowhere);
    assert_eq!(nowhere.checkpoints().len(), 2);
}

#[test]
fn the_first_of_the_living_writes_and_the_next_if_it_does_not() {
    let mut log = Log::new();
    let mut entries: Vec<_> = (1..=3).map(|owner| Entry::begun(owner, &mut log)).collect();
    entries.iter_mut().for_each(|entry| entry.run(&mut log));
    let written = log.checkpoints().len();
    log.now = log.now.plus_millis(7 * HOUR_MS);
    // Each for itself: what it writes is not read by the others.
    let end = log.end;
    let mut waits = Vec::new();
    for entry in &mut entries {
        let mut own = Log { messages: log.messages.clone(), end, ..log };
        entry.step(Input::Passed { below: end.plus(1), at: own.now }, &mut own);
        let mut waited = 0;
        while own.checkpoints().len() == written {
            waited += 50;
            entry.wait(50, &mut own);
        }
        waits.push(waited);
    }
    waits.sort_unstable();
    assert_eq!(waits, [0, 250, 500]);
    // And where it is read, nobody else writes.
    let mut log = Log { messages: log.messages.clone(), ..log };
    let mut entries: Vec<_> = (1..=3).map(|owner| Entry::begun(owner, &mut log)).collect();
    for entry in &mut entries {
        entry.run(&mut log);
        entry.wait(9_000, &mut log);
    }
    assert_eq!(log.checkpoints().len(), written + 1);
}
