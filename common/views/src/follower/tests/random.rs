//! Any entries that come, go and fall behind, with retention behind them: one view.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Event {
    /// The process starts anew.
    Start(usize),
    Run(usize),
    Wait(usize, u64),
    /// Who writes registers a session; alive or not.
    Register(usize, u64, u8),
    Over(usize, u64),
    Gone(usize, usize),
    /// The order's time passes.
    Time(u64),
    /// All before the newest checkpoint but some is dropped.
    Trim(u64),
}

fn any_event() -> impl Strategy<Value = Event> {
    let entry = || 0_usize..3;
    prop_oneof![
        2 => entry().prop_map(Event::Start),
        6 => entry().prop_map(Event::Run),
        2 => (entry(), 0_u64..2_000).prop_map(|(entry, ms)| Event::Wait(entry, ms)),
        6 => (entry(), 1_u64..4, 0_u8..3).prop_map(|(e, s, uri)| Event::Register(e, s, uri)),
        1 => (entry(), 1_u64..4).prop_map(|(e, session)| Event::Over(e, session)),
        1 => (entry(), entry()).prop_map(|(by, of)| Event::Gone(by, of)),
        2 => (0_u64..8 * 3_600_000).prop_map(Event::Time),
        1 => (0_u64..3).prop_map(Event::Trim),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn who_is_ready_has_the_view_of_the_whole_order(
        events in prop::collection::vec(any_event(), 1..80),
    ) {
        let mut log = Log::new();
        // All of it, for the reference.
        let mut whole: Vec<(Position, WallTime, Arc<str>, Bytes)> = Vec::new();
        let mut owners = 3;
        let mut entries: Vec<_> = (1..=3).map(|owner| Entry::begun(owner, &mut log)).collect();
        for event in events {
            let life_of = |entry: usize| entries[entry].follower.life();
            match event {
                Event::Start(entry) => {
                    owners += 1;
                    entries[entry] = Entry::begun(owners, &mut log);
                }
                Event::Run(entry) => entries[entry].run(&mut log),
                Event::Wait(entry, ms) => entries[entry].wait(ms, &mut log),
                Event::Register(entry, session, uri) => {
                    log.write(&register(life_of(entry), session, &format!("u{uri}")));
                }
                Event::Over(entry, session) => {
                    let said = Said::SessionOver(SessionOver { realm: "r".into(), session });
                    log.write(&Record { writer: life_of(entry), said });
                }
                Event::Gone(by, of) => {
                    let gone = Gone { life: life_of(of), why: GoneWhy::NotHeard };
                    log.write(&Record { writer: life_of(by), said: Said::Gone(gone) });
                }
                Event::Time(ms) => log.now = log.now.plus_millis(ms),
                Event::Trim(left) => {
                    // As days: not what the newest whole checkpoint and what follows it need.
                    let newest = log.checkpoints().into_iter().rev().find_map(|(_, _, payload)| {
                        match Record::read("checkpoint", &payload) {
                            Ok(Record { said: Said::Checkpoint(part), .. }) => Some(part.as_of),
                            _ => None,
                        }
                    });
                    let up_to = newest.map_or(0, |as_of| as_of.0.saturating_sub(left * 10));
                    // Who has not read that far would have to begin anew: they are before all of it.
                    let read = entries.iter().filter_map(|entry| entry.next).map(|next| next.0);
                    let up_to = read.fold(up_to, |up_to, next| up_to.min(next.saturating_sub(1)));
                    let known = whole.last().map_or(Position(0), |(position, ..)| *position);
                    let new = log.messages.iter().filter(|(position, ..)| *position > known);
                    whole.extend(new.cloned());
                    log.trim(Position(up_to.max(log.first.0.saturating_sub(1))));
                }
            }
        }
        // Longer than one pauses that was called gone again and again.
        for _ in 0..3 {
            for entry in &mut entries {
                entry.run(&mut log);
                entry.wait(9_000, &mut log);
            }
        }
        entries.iter_mut().for_each(|entry| entry.run(&mut log));
        let known = whole.last().map_or(Position(0), |(position, ..)| *position);
        whole.extend(log.messages.iter().filter(|(position, ..)| *position > known).cloned());
        let reference = Log { messages: whole, ..log }.read_whole();
        for entry in &entries {
            prop_assert!(entry.is_ready(), "{:?}", entry.follower.stage());
            prop_assert_eq!(entry.follower.view(), &reference);
            let differs = |effect: &Effect| matches!(effect, Effect::Differs(_) | Effect::Cut);
            prop_assert!(!entry.heard.iter().any(differs));
        }
    }
}
