//! Two entries: what one has, the other tells.

mod bounds;
mod gone;

use vixen_core::segment::{Match, TopicPattern};
use vixen_core::time::WallTime;
use vixen_core::wire::{
    CALL_URI_BYTES_MAX, META_NAME_BYTES_MAX, MetaHolders, MetaPart, MetaSession, MetaSubscription,
};

use super::*;
use crate::api::SessionId;
use crate::delivery::Change;

const A: OwnerId = OwnerId(uuid::Uuid::from_u128(1));
const B: OwnerId = OwnerId(uuid::Uuid::from_u128(2));
const LARGE: usize = 16 << 20;

/// Sessions, and subscriptions with those who have them, of one realm `r`.
#[derive(Debug, Default)]
struct Has {
    sessions: BTreeSet<u64>,
    holders: BTreeSet<(u64, u64)>,
    /// Of these, those whose names and topics are longer than others take them.
    too_long: BTreeSet<u64>,
    /// Of these, subscriptions whose topics are as long as others take them.
    long: BTreeSet<u64>,
}

impl Has {
    fn session(&self, id: u64) -> MetaSession {
        let of = session(id);
        if self.too_long.contains(&id) {
            return MetaSession { authid: "a".repeat(META_NAME_BYTES_MAX + 1).into(), ..of };
        }
        of
    }

    fn subscription(&self, id: u64) -> MetaSubscription {
        let of = subscription(id);
        if self.too_long.contains(&id) {
            return MetaSubscription { uri: "t".repeat(CALL_URI_BYTES_MAX + 1).into(), ..of };
        }
        if self.long.contains(&id) {
            return MetaSubscription { uri: "t".repeat(CALL_URI_BYTES_MAX).into(), ..of };
        }
        of
    }
}

impl Own for Has {
    fn sessions_after(&self, _realm: &str, after: u64, max: usize) -> Vec<MetaSession> {
        self.sessions.range(after + 1..).take(max).map(|id| self.session(*id)).collect()
    }

    fn holders_after(
        &self,
        _realm: &str,
        (id, by): (u64, u64),
        max: usize,
    ) -> (Vec<MetaHolders>, Option<(u64, u64)>) {
        let all: Vec<_> = self.holders.range((id, by + 1)..).take(max).copied().collect();
        let more = all.last().copied().filter(|_| all.len() == max);
        let holders = |(id, by)| MetaHolders { of: self.subscription(id), sessions: vec![by] };
        (all.into_iter().map(holders).collect(), more)
    }

    fn has_subscription(&self, _realm: &str, subscription: u64) -> bool {
        self.holders.range((subscription, 0)..(subscription + 1, 0)).next().is_some()
    }
}

fn session(session: u64) -> MetaSession {
    let text = |text: &str| -> Arc<str> { text.into() };
    MetaSession {
        session,
        authid: text("joe"),
        authrole: text("user"),
        authmethod: text("ticket"),
        authprovider: text("static"),
    }
}

fn subscription(subscription: u64) -> MetaSubscription {
    let (created, uri, matching) = (WallTime(7), format!("t{subscription}").into(), Match::Exact);
    MetaSubscription { subscription, created, uri, matching }
}

fn pattern(subscription: u64) -> TopicPattern {
    TopicPattern::new("r", &format!("t{subscription}"), Match::Exact)
}

/// An entry, and what its listeners have heard since the last look.
#[derive(Debug, Default)]
struct Side {
    hearing: Hearing,
    has: Has,
    heard: Vec<String>,
    sends: Vec<(Link, CallMessage)>,
    /// Who does not live, as the order has it.
    gone: BTreeSet<OwnerId>,
}

impl Side {
    fn step(&mut self, input: Input) -> Effects {
        let mut fx = Effects::default();
        self.hearing.step(&self.has, input, &mut fx);
        self.hearing.check();
        self.sends.append(&mut fx.sends);
        self.heard.extend(fx.events.iter().map(text));
        fx
    }

    fn flush(&mut self, room: usize) {
        self.flush_from(64 << 10, room);
    }

    /// The same, where less room than `least` is none for a list.
    fn flush_from(&mut self, least: usize, room: usize) {
        let mut fx = Effects::default();
        self.hearing.flush(&self.has, least, |_link| room, &mut fx);
        self.sends.append(&mut fx.sends);
    }

    fn hears(&mut self, realms: &[&str]) {
        let realms = realms.iter().map(|realm| Arc::from(*realm)).collect();
        self.step(Input::Hears { realms });
    }

    /// Tells what is still to be told, about so many.
    fn tell(&mut self, max: usize) {
        let mut fx = Effects::default();
        self.hearing.tell(&self.has, max, |owner| self.gone.contains(&owner), &mut fx);
        self.hearing.check();
        assert!(fx.sends.is_empty());
        self.heard.extend(fx.events.iter().map(text));
    }

    fn has_untold(&self) -> bool {
        self.hearing.has_untold(|owner| self.gone.contains(&owner))
    }

    /// All that was told since the last look, and is to be told.
    fn heard(&mut self) -> Vec<String> {
        self.tell(usize::MAX);
        assert!(!self.has_untold());
        std::mem::take(&mut self.heard)
    }
}

fn text(event: &Event) -> String {
    match event {
        Event::Joined(_, session) => format!("joined {}", session.session),
        Event::Left(_, session) => format!("left {}", session.session),
        Event::Changed(created, change) => {
            assert_eq!((*created, change.realm()), (WallTime(7), &Arc::from("r")));
            let (what, by) = match change {
                Change::Created { session, .. } => ("created", session),
                Change::Subscribed { session, .. } => ("subscribed", session),
                Change::Unsubscribed { session, .. } => ("unsubscribed", session),
                Change::Deleted { session, .. } => ("deleted", session),
            };
            format!("{what} {} by {}", change.subscription().0, by.0)
        }
    }
}

/// A listens, B tells.
#[derive(Debug, Default)]
struct Pair {
    a: Side,
    b: Side,
    number: u64,
}

impl Pair {
    /// A has been told that these sessions have joined.
    fn listening(sessions: &[u64]) -> Self {
        let mut pair = Self::linked();
        pair.a.hears(&["r"]);
        pair.settle();
        sessions.iter().for_each(|session| pair.join(*session));
        pair.settle();
        assert_eq!(pair.a.heard().len(), sessions.len());
        pair
    }

    fn linked() -> Self {
        let mut pair = Self::default();
        pair.link();
        pair
    }

    fn link(&mut self) {
        self.number += 1;
        let number = self.number;
        self.a.step(Input::LinkUp { link: Link { peer: B, number } });
        self.b.step(Input::LinkUp { link: Link { peer: A, number } });
    }

    fn cut(&mut self) {
        let number = self.number;
        (self.a.sends, self.b.sends) = (Vec::new(), Vec::new());
        self.a.step(Input::LinkDown { link: Link { peer: B, number } });
        self.b.step(Input::LinkDown { link: Link { peer: A, number } });
    }

    /// B stands still, or goes on.
    fn silent(&mut self, is_silent: bool) {
        let link = Link { peer: B, number: self.number };
        self.a.step(Input::LinkSilent { link, is_silent });
    }

    /// The order has it that B does not live, or does.
    fn gone(&mut self, is_gone: bool) {
        if is_gone {
            self.a.gone.insert(B);
        } else {
            self.a.gone.remove(&B);
        }
    }

    /// Brings all words until nothing is left.
    fn settle(&mut self) {
        loop {
            self.a.flush(LARGE);
            self.b.flush(LARGE);
            let (of_a, of_b) =
                (std::mem::take(&mut self.a.sends), std::mem::take(&mut self.b.sends));
            if of_a.is_empty() && of_b.is_empty() {
                break;
            }
            for (link, message) in of_a {
                assert!(message.is_sayable(), "{message:?}");
                self.b.step(Input::Heard { link: Link { peer: A, ..link }, message });
            }
            for (link, message) in of_b {
                assert!(message.is_sayable(), "{message:?}");
                self.a.step(Input::Heard { link: Link { peer: B, ..link }, message });
            }
        }
    }

    /// B has what A asks, and has told nothing yet.
    fn ask(&mut self) {
        let asked = std::mem::take(&mut self.a.sends);
        for (link, message) in asked {
            self.b.step(Input::Heard { link: Link { peer: A, ..link }, message });
        }
    }

    fn join(&mut self, id: u64) {
        self.b.has.sessions.insert(id);
        let session = self.b.has.session(id);
        self.b.step(Input::Session { realm: "r".into(), session, is_over: false });
    }

    fn leave(&mut self, id: u64) {
        self.b.has.sessions.remove(&id);
        self.b.step(Input::Session { realm: "r".into(), session: session(id), is_over: true });
    }

    fn subscribe(&mut self, id: u64, by: u64) {
        self.b.has.holders.insert((id, by));
        let (session, subscription, pattern) = (SessionId(by), SubscriptionId(id), pattern(id));
        let change = Change::Subscribed { session, subscription, pattern };
        self.b.step(Input::Changed { created: WallTime(7), change });
    }

    fn unsubscribe(&mut self, id: u64, by: u64) {
        self.b.has.holders.remove(&(id, by));
        let (session, subscription, pattern) = (SessionId(by), SubscriptionId(id), pattern(id));
        let change = Change::Unsubscribed { session, subscription, pattern };
        self.b.step(Input::Changed { created: WallTime(7), change });
    }
}

#[test]
fn who_listens_hears_what_changes_and_not_what_was_there() {
    let mut pair = Pair::linked();
    pair.join(1);
    pair.subscribe(5, 1);
    pair.a.hears(&["r"]);
    pair.settle();
    assert!(pair.b.hearing.tells("r") && !pair.a.hearing.tells("r"));
    assert_eq!(pair.a.heard(), [""; 0]);
    pair.join(2);
    pair.subscribe(5, 2);
    pair.subscribe(6, 2);
    pair.settle();
    let heard = ["joined 2", "subscribed 5 by 2", "created 6 by 2", "subscribed 6 by 2"];
    assert_eq!(pair.a.heard(), heard);
    pair.unsubscribe(5, 1);
    pair.unsubscribe(5, 2);
    pair.leave(1);
    pair.settle();
    let heard = ["left 1", "unsubscribed 5 by 1", "unsubscribed 5 by 2", "deleted 5 by 2"];
    assert_eq!(pair.a.heard(), heard);
    // What was there and is not any more is known too, and nothing is when nobody listens.
    pair.a.hears(&[]);
    pair.settle();
    pair.leave(2);
    pair.settle();
    assert_eq!((pair.a.heard(), pair.b.hearing.tells("r")), (vec![], false));
}

/// In the same turn, and in that order.
#[test]
fn who_comes_goes_and_comes_again_is_there() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    pair.settle();
    pair.subscribe(5, 1);
    pair.unsubscribe(5, 1);
    pair.subscribe(5, 1);
    pair.settle();
    let once = ["created 5 by 1", "subscribed 5 by 1"];
    let all = [&once[..], &["unsubscribed 5 by 1", "deleted 5 by 1"], &once].concat();
    assert_eq!(pair.a.heard(), all);
}

#[test]
fn a_subscription_is_created_by_the_first_of_all_entries_and_deleted_by_the_last() {
    let mut pair = Pair::linked();
    pair.a.has.holders.insert((5, 9));
    pair.a.hears(&["r"]);
    pair.settle();
    assert!(!pair.a.hearing.is_elsewhere("r", SubscriptionId(5)));
    pair.subscribe(5, 1);
    pair.settle();
    assert!(pair.a.hearing.is_elsewhere("r", SubscriptionId(5)));
    assert_eq!(pair.a.heard(), ["subscribed 5 by 1"]);
    pair.unsubscribe(5, 1);
    pair.settle();
    assert_eq!(pair.a.heard(), ["unsubscribed 5 by 1"], "somebody here has it");
    pair.subscribe(5, 1);
    pair.settle();
    pair.a.has.holders.clear();
    pair.unsubscribe(5, 1);
    pair.settle();
    assert_eq!(pair.a.heard(), ["subscribed 5 by 1", "unsubscribed 5 by 1", "deleted 5 by 1"]);
}

#[test]
fn a_link_that_comes_back_tells_what_it_has_missed() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    pair.settle();
    for id in [1, 2] {
        pair.join(id);
        pair.subscribe(5, id);
    }
    pair.settle();
    pair.a.heard();
    pair.cut();
    assert_eq!(pair.a.heard(), [""; 0], "nobody is gone");
    pair.leave(1);
    pair.unsubscribe(5, 1);
    pair.join(3);
    pair.subscribe(6, 3);
    pair.link();
    pair.settle();
    let heard =
        ["unsubscribed 5 by 1", "left 1", "joined 3", "created 6 by 3", "subscribed 6 by 3"];
    assert_eq!(pair.a.heard(), heard);
    pair.join(4);
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 4"]);
}

#[test]
fn who_comes_and_goes_between_two_tellings_is_not_told_of() {
    let mut pair = Pair::listening(&[1]);
    pair.cut();
    pair.leave(1);
    pair.join(2);
    pair.subscribe(5, 2);
    pair.link();
    pair.settle();
    // What the list has brought, and left out, has changed again.
    pair.leave(2);
    pair.unsubscribe(5, 2);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1"]);
    assert!(!pair.a.hearing.is_elsewhere("r", SubscriptionId(5)));
    // The other way round.
    pair.subscribe(6, 3);
    pair.settle();
    pair.a.heard();
    pair.cut();
    pair.unsubscribe(6, 3);
    pair.link();
    pair.settle();
    pair.subscribe(6, 3);
    pair.settle();
    assert_eq!(pair.a.heard(), [""; 0]);
}

/// Of a subscription that nobody was told of yet, another session is the first.
#[test]
fn a_subscription_is_created_by_the_first_of_whom_is_told() {
    let mut pair = Pair::listening(&[]);
    pair.cut();
    pair.subscribe(5, 1);
    pair.link();
    pair.settle();
    assert!(!pair.a.hearing.is_elsewhere("r", SubscriptionId(5)), "nobody was told");
    pair.subscribe(5, 2);
    pair.settle();
    assert!(pair.a.hearing.is_elsewhere("r", SubscriptionId(5)));
    pair.unsubscribe(5, 2);
    pair.settle();
    let first = ["created 5 by 2", "subscribed 5 by 2", "unsubscribed 5 by 2", "deleted 5 by 2"];
    assert_eq!(pair.a.heard(), [&first[..], &["created 5 by 1", "subscribed 5 by 1"]].concat());
}

#[test]
fn a_long_list_goes_in_parts_as_there_is_room_and_changes_meanwhile_are_heard_once() {
    let mut pair = Pair::linked();
    pair.b.has.sessions.extend((1..=1000).map(|n| n * 2));
    pair.a.hears(&["r"]);
    pair.ask();
    pair.b.flush(0);
    assert!(pair.b.sends.is_empty() && pair.b.hearing.is_behind(), "there is no room");
    // Room for one part.
    pair.b.flush(65 << 10);
    assert_eq!(pair.b.sends.len(), 1);
    // Below what was told, and above it.
    pair.join(3);
    pair.leave(4);
    pair.join(1999);
    pair.leave(2000);
    pair.settle();
    // Two have come since it asked; nobody has ever heard of the fourth.
    assert_eq!(pair.a.heard(), ["joined 3", "left 4", "joined 1999"]);
    assert!(!pair.b.hearing.is_behind());
    pair.leave(1999);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1999"]);
}

#[test]
fn changes_that_have_no_room_are_heard_from_the_next_list() {
    let mut pair = Pair::linked();
    pair.a.hears(&["r"]);
    pair.settle();
    pair.join(1);
    pair.settle();
    pair.a.heard();
    pair.join(2);
    pair.leave(1);
    pair.b.flush(100);
    assert!(pair.b.sends.is_empty() && pair.b.hearing.is_behind());
    pair.join(3);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 1", "joined 2", "joined 3"]);
}

/// The list had it, and says nothing of what it finds: nobody was told.
#[test]
fn who_comes_between_the_question_and_its_list_is_told_of() {
    let mut pair = Pair::linked();
    pair.join(1);
    pair.subscribe(5, 1);
    pair.a.hears(&["r"]);
    pair.ask();
    pair.join(2);
    pair.subscribe(5, 2);
    pair.subscribe(6, 2);
    // One that is over before the list has nothing to be told.
    pair.join(3);
    pair.subscribe(5, 3);
    pair.unsubscribe(5, 3);
    pair.leave(3);
    pair.settle();
    let heard = ["joined 2", "subscribed 5 by 2", "created 6 by 2", "subscribed 6 by 2"];
    assert_eq!(pair.a.heard(), heard);
    pair.leave(2);
    pair.settle();
    assert_eq!(pair.a.heard(), ["left 2"]);
}

/// There was no room for what had come since it asked: the list that began anew had it.
#[test]
fn who_comes_while_a_first_list_begins_again_is_told_of() {
    let mut pair = Pair::linked();
    pair.b.has.sessions.extend((1..=1000).map(|n| n * 2));
    pair.a.hears(&["r"]);
    pair.ask();
    pair.b.flush(65 << 10);
    pair.join(3);
    pair.join(5);
    pair.join(1999);
    // None at all: from the beginning.
    pair.b.flush(0);
    pair.leave(5);
    pair.settle();
    assert_eq!(pair.a.heard(), ["joined 3", "joined 1999"]);
    let known = &pair.a.hearing.peers[&B].knows["r"];
    assert_eq!(known.sessions(), 1002);
}

#[test]
fn realms_are_heard_elsewhere_as_long_as_one_entry_hears() {
    let mut side = Side::default();
    let [one, two] = [A, B].map(|peer| Link { peer, number: 1 });
    side.step(Input::LinkUp { link: one });
    side.step(Input::LinkUp { link: two });
    let heard = |link, is_heard| Input::Heard { link, message: hear(&"r".into(), is_heard) };
    let realm = || -> Arc<str> { "r".into() };
    assert_eq!(side.step(heard(one, true)).heard, [(realm(), true)]);
    assert_eq!(side.step(heard(two, true)).heard, []);
    assert_eq!(side.step(heard(two, true)).heard, [], "again");
    assert_eq!(side.step(heard(one, false)).heard, []);
    let down = side.step(Input::LinkDown { link: two });
    assert_eq!(down.heard, [(realm(), false)]);
    assert!(!side.hearing.tells("r"));
    // A new link in place of one is as its end.
    assert_eq!(side.step(heard(one, true)).heard, [(realm(), true)]);
    let up = side.step(Input::LinkUp { link: Link { number: 2, ..one } });
    assert_eq!(up.heard, [(realm(), false)]);
}
