//! Any heads: against a naive list, and in other pieces.

use std::collections::BTreeMap;

use proptest::prelude::*;

use crate::state::once::{Entered, Marks};

use super::naive::Naive;
use super::*;

const REALMS: [&str; 2] = ["r", "com.x"];
const WHOS: [&str; 2] = ["", "joe"];
/// Those of a run, or of a head: short, so that windows end.
const KEEPS: [(u64, u32, u64); 5] =
    [(4_000, 100, 9_000), (4_000, 3, 9_000), (0, 100, 0), (9_000, 2, 2_000), (1_500, 1, 100_000)];

#[derive(Clone, Debug)]
enum Named {
    Id(usize),
    /// Of a producer, with how far off the next it begins, and how many.
    Numbers(usize, i64, usize),
}

/// A head: where, what, and how it is written.
#[derive(Clone, Debug)]
struct Op {
    realm: usize,
    who: usize,
    named: Named,
    digests: Vec<bool>,
    keep: usize,
    step: u64,
    gap: u64,
    /// Of a key, if it has a value (or none); else of messages of the realm.
    when_present: Option<bool>,
    /// Nothing of a mark: a value for the key, or none.
    plain: Option<bool>,
    /// What waits and what is decided, where marks alone are looked at.
    waits: bool,
    settles: Option<bool>,
}

fn any_op() -> impl Strategy<Value = Op> {
    let named = prop_oneof![
        2 => (0_usize..3).prop_map(Named::Id),
        3 => (0_usize..2, prop_oneof![3 => Just(0_i64), 2 => -4_i64..3], 1_usize..4)
            .prop_map(|(producer, off, count)| Named::Numbers(producer, off, count)),
    ];
    let digests = prop::collection::vec(prop::bool::weighted(0.1), 4);
    let whose = (0_usize..2, 0_usize..2);
    let rest =
        (prop::option::weighted(0.4, any::<bool>()), prop::option::weighted(0.15, any::<bool>()));
    let waits = (prop::bool::weighted(0.3), prop::option::weighted(0.2, any::<bool>()));
    let steps = prop_oneof![3 => 0_u64..800, 1 => 0_u64..5_000];
    (whose, named, digests, 0_usize..KEEPS.len(), steps, 0_u64..2, rest, waits).prop_map(
        |(
            (realm, who),
            named,
            digests,
            keep,
            step,
            gap,
            (when_present, plain),
            (waits, settles),
        )| {
            Op { realm, who, named, digests, keep, step, gap, when_present, plain, waits, settles }
        },
    )
}

impl Op {
    fn once(&self, naive: &Naive, keep: usize) -> Once {
        let (realm, who) = (REALMS[self.realm], WHOS[self.who]);
        let (name, count) = match self.named {
            Named::Id(id) => (OnceName::Id(id.to_string()), 1),
            Named::Numbers(producer, off, count) => {
                let producer = producer.to_string();
                let next = naive.next(realm, who, &producer);
                let first = next.saturating_add_signed(off).max(1);
                // What has a condition has one number.
                let count = if self.when_present.is_some() { 1 } else { count };
                (OnceName::Numbers { producer, first }, count)
            }
        };
        let (keep_ms, keep_count, producer_keep_ms) = KEEPS[keep];
        let digests = self.digests.iter().take(count).map(|is_other| [u8::from(*is_other); 8]);
        let (who, digests) = (who.to_owned(), digests.collect());
        Once { name, who, keep_ms, keep_count, producer_keep_ms, digests }
    }

    fn message(&self, once: &Once) -> Message {
        let realm = REALMS[self.realm];
        let put = |head| Message { topic: topic_of(realm, "k"), ..Message::put("k", head, "[1]") };
        let free = Head::of_parts(1);
        match (self.plain, self.when_present) {
            (Some(true), _) => put(free),
            (Some(false), _) => {
                Message { topic: topic_of(realm, "k"), ..Message::delete("k", free) }
            }
            (None, Some(true)) => put(marked(when(Condition::Present), once)),
            (None, Some(false)) => put(marked(when(Condition::Absent), once)),
            (None, None) => head_in(realm, once),
        }
    }
}

/// All that may be asked, with what is kept of whom as was said last.
fn questions(naive: &Naive) -> Vec<(&'static str, Once)> {
    let mut all = Vec::new();
    for (realm, who) in REALMS.iter().flat_map(|realm| WHOS.map(|who| (*realm, who))) {
        let Some((keep_ms, keep_count, producer_keep_ms)) = naive.told(realm, who) else {
            continue;
        };
        let keep_count = u32::try_from(keep_count).expect("few");
        let ids = (0..3).map(|id| OnceName::Id(id.to_string()));
        let numbers = ["0", "1"].into_iter().flat_map(|producer| {
            let producer = producer.to_owned();
            let numbers = 1..naive.next(realm, who, &producer) + 2;
            numbers.map(move |first| OnceName::Numbers { producer: producer.clone(), first })
        });
        for name in ids.chain(numbers) {
            let (who, digests) = (who.to_owned(), vec![[0; 8]]);
            all.push((realm, Once { name, who, keep_ms, keep_count, producer_keep_ms, digests }));
        }
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// Verdicts of heads with conditions, and T12 with what `check` looks at.
    #[test]
    fn verdicts_are_what_a_plain_list_says(
        ops in prop::collection::vec(any_op(), 0..60),
        run in 0_usize..KEEPS.len(),
        is_mixed: bool,
    ) {
        let (mut state, mut naive) = (State::new(), Naive::default());
        let (mut position, mut now) = (0, 0);
        let mut versions = BTreeMap::new();
        for op in &ops {
            position += 1 + op.gap;
            now += op.step;
            let once = op.once(&naive, if is_mixed { op.keep } else { run });
            let realm = REALMS[op.realm];
            let outcome = op.message(&once).apply(&mut state, position, now);
            let version = versions.get(realm).copied();
            let mut makes = true;
            if op.plain.is_none() {
                let found = version.map_or(Found::Nothing, found);
                let refusal = Refusal::Condition { at: 0, found };
                let verdict = match naive.look(realm, &once, now) {
                    Some(marked) => Verdict::Marked(marked),
                    None if op.when_present.is_some_and(|is| is != version.is_some()) => {
                        Verdict::Refused(refusal)
                    }
                    None => Verdict::Accepted,
                };
                prop_assert_eq!(outcome, Outcome::Head(verdict), "{:?}", op);
                let of = if op.when_present.is_some() { position } else { position + 1 };
                match verdict {
                    Verdict::Accepted => naive.keep(realm, &once, of, now, Was::Accepted),
                    Verdict::Refused(why) => naive.keep(realm, &once, of, now, Was::Refused(why)),
                    other => prop_assert!(matches!(other, Verdict::Marked(_))),
                }
                makes = verdict == Verdict::Accepted && op.when_present.is_some();
                if op.when_present.is_none() {
                    position += once.digests.len() as u64;
                }
            }
            if makes && op.plain == Some(false) {
                versions.remove(realm);
            } else if makes {
                versions.insert(realm, position);
            }
            let there = state.get(realm, "k").map(|value| value.version.0);
            prop_assert_eq!(there, versions.get(realm).copied());
            for ahead in [0, 1_700] {
                for (realm, once) in questions(&naive) {
                    let known = state.known(realm, &once, 0, WallTime(now + ahead));
                    let wanted = naive.known(realm, &once, now + ahead);
                    // A few producers: those that are to rest by then would push this one out.
                    let is_few = once.keep_count < 100 && wanted.is_none();
                    let is_last = is_few && naive.is_last(realm, &once);
                    prop_assert!(known == wanted || is_last, "{} ms on: {:?}", ahead, once);
                }
            }
        }
    }

    /// The same of marks alone, with those that wait; and they are taken out sooner or later.
    #[test]
    fn marks_are_what_a_plain_list_says(
        ops in prop::collection::vec(any_op(), 0..60),
        run in 0_usize..KEEPS.len(),
        is_mixed: bool,
    ) {
        let (mut marks, mut naive) = (Marks::default(), Naive::default());
        let (mut position, mut now) = (0, 0);
        for op in &ops {
            position += 1 + op.gap;
            now += op.step;
            if op.plain == Some(true) {
                marks.pass(WallTime(now));
            }
            let waiting = naive.waiting();
            if let (Some(wins), Some(of)) = (op.settles, waiting.first()) {
                let was = if wins { Was::Won { at: Position(position) } } else { Was::Left };
                let (by, at) = (Position(position), WallTime(now));
                marks.settle(Entered { of: Position(*of), by, at }, was);
                naive.settle(*of, now, was);
            } else {
                let once = op.once(&naive, if is_mixed { op.keep } else { run });
                let realm = REALMS[op.realm];
                let marked = naive.look(realm, &once, now);
                prop_assert_eq!(marks.look(realm, &once, WallTime(now)), marked, "{:?}", op);
                if marked.is_none() {
                    let waits = op.waits && matches!(once.name, OnceName::Id(_));
                    let was = if waits { Was::Waits } else { Was::Accepted };
                    let (of, by, at) = (Position(position), Position(position), WallTime(now));
                    marks.keep(realm, &once, Entered { of, by, at }, was);
                    naive.keep(realm, &once, position, now, was);
                    position += once.digests.len() as u64 - 1;
                }
            }
            prop_assert_eq!(marks.verify(Position(position), WallTime(now)), Ok(()));
        }
        let all: Vec<_> = marks.marks_after(None).collect();
        for (nth, item) in (1..).zip(&all) {
            let after = marks.marks_after(Some((item.realm, item.who, item.name)));
            prop_assert_eq!(&all[nth..], after.collect::<Vec<_>>());
        }
        let whos: Vec<_> = marks.whos_after(None).collect();
        for (nth, item) in (1..).zip(&whos) {
            let after = marks.whos_after(Some((item.realm, item.who)));
            prop_assert_eq!(&whos[nth..], after.collect::<Vec<_>>());
        }
        prop_assert_eq!(all.len(), marks.count());
        let waiting = naive.waiting().len();
        for _ in 0..ops.len() {
            marks.pass(WallTime(now + 1_000_000));
        }
        prop_assert_eq!(marks.count(), waiting, "but for what waits");
    }

    /// T9: of equal marks in a window at most one is accepted, and numbers are accepted in order.
    #[test]
    fn of_equal_marks_in_a_window_one_is_accepted_and_numbers_are_in_order(
        ops in prop::collection::vec(any_op(), 0..80),
        run in 0_usize..KEEPS.len(),
    ) {
        let (keep_ms, keep_count, producer_keep_ms) = KEEPS[run];
        let mut state = State::new();
        // Of each name when it was taken, and how many marks of its who there were then.
        let mut taken = BTreeMap::<(usize, usize, String), (u64, u32)>::new();
        let mut counts = BTreeMap::<(usize, usize), u32>::new();
        let mut rows = BTreeMap::<(usize, usize, String), (u64, u64)>::new();
        let (mut position, mut now) = (0, 0);
        for op in &ops {
            position += 1 + op.gap;
            now += op.step;
            // Clients count for themselves, and sometimes begin anew.
            let producer = match op.named {
                Named::Id(_) => None,
                Named::Numbers(producer, ..) => Some((op.realm, op.who, producer.to_string())),
            };
            let row = producer.as_ref().and_then(|producer| rows.get(producer).copied());
            let mut once = op.once(&Naive::default(), run);
            if let (OnceName::Numbers { first, .. }, Named::Numbers(_, off, _)) =
                (&mut once.name, &op.named)
            {
                let next = row.map_or(1, |(last, _)| last + 1);
                *first = if op.waits { 1 } else { next.saturating_add_signed(*off).max(1) };
            }
            if op.plain.is_some() {
                op.message(&once).apply(&mut state, position, now);
                continue;
            }
            let outcome = op.message(&once).apply(&mut state, position, now);
            let Outcome::Head(Verdict::Accepted | Verdict::Refused(_)) = outcome else { continue };
            if op.when_present.is_none() {
                position += once.digests.len() as u64;
            }
            let count = counts.entry((op.realm, op.who)).or_default();
            let names: Vec<_> = match &once.name {
                OnceName::Id(id) => vec![id.clone()],
                OnceName::Numbers { producer, first } => {
                    let numbers = (*first..).take(once.digests.len());
                    numbers.map(|number| format!("{producer}/{number}")).collect()
                }
            };
            for name in names {
                let before = taken.insert((op.realm, op.who, name), (now, *count + 1));
                *count += 1;
                if let Some((at, nth)) = before {
                    let is_out = now - at > keep_ms || *count - nth > keep_count;
                    prop_assert!(is_out, "{:?} was taken at {}", once, at);
                }
            }
            if let (OnceName::Numbers { first, .. }, Some(producer)) = (&once.name, producer) {
                let last = first + once.digests.len() as u64 - 1;
                if let Some((before, at)) = row {
                    let is_forgotten = now - at > producer_keep_ms || keep_count <= 3;
                    let is_next = *first == before + 1 || (*first == 1 && is_forgotten);
                    prop_assert!(is_next, "{} after {}", first, before);
                } else {
                    prop_assert_eq!(*first, 1);
                }
                rows.insert(producer, (last, now));
            }
        }
    }

    /// T1: with positions between told or not, and messages told again.
    #[test]
    fn the_same_heads_give_the_same_marks_chain_and_sum(
        ops in prop::collection::vec(any_op(), 0..40),
        noise in prop::collection::vec(0_u8..4, 40),
    ) {
        let (mut one, mut other, mut naive) = (State::new(), State::new(), Naive::default());
        let (mut position, mut now) = (0, 0);
        for (op, noise) in ops.iter().zip(noise) {
            position += 1 + op.gap;
            now += op.step;
            let once = op.once(&naive, op.keep);
            if naive.look(REALMS[op.realm], &once, now).is_none() {
                naive.keep(REALMS[op.realm], &once, position, now, Was::Accepted);
            }
            let message = op.message(&once);
            if noise & 1 > 0 {
                other.pass_below(Position(position));
            }
            let outcome = message.apply(&mut one, position, now);
            prop_assert_eq!(message.apply(&mut other, position, now), outcome);
            if noise & 2 > 0 {
                other.pass_below(Position(position + 1));
                prop_assert_eq!(message.apply(&mut other, position, now), Outcome::Repeated);
            }
            prop_assert_eq!((one.chain(), one.sum()), (other.chain(), other.sum()));
            prop_assert_eq!(&one, &other);
        }
    }

    /// Whatever a head says: nothing panics, and the invariants hold.
    #[test]
    fn any_bytes_of_heads_leave_the_invariants(
        log in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..40), 0_u64..2, 0_u64..9_000), 0..30),
    ) {
        let (mut state, mut position, mut now) = (State::new(), 0, 0);
        for (body, gap, step) in log {
            position += 1 + gap;
            now += step;
            let length = u8::try_from(body.len() + 2).expect("few");
            let attributes = [&[130, length, 1, 6][..], &body].concat();
            let topic = "o.r".to_owned();
            Message { topic, content: JSON, attributes, payload: body }.apply(&mut state, position, now);
        }
    }
}
