//! Dealer: which callee gets which call, and which answer ends it.
//!
//! Source: WAMP spec §9, §11; `docs/design/027-calls.md` *The dealer*, whose two tables are `origin` and `serving`.
//!
//! ```text
//!   caller --Call--> origin --Invoke--> serving --Invocation--> callee
//!   caller <-Result- origin <--Answer-- serving <-----Yield---- callee
//!                      ^ routes: the view of the registrations
//! ```
//! What the router itself serves goes to `meta`, and comes back as an answer. Each other call has two halves, one at the caller's entry and one at the callee's. Where both are the same entry the
//! words between them are handed over within the step; else they go by a link, one hop, and all of a link ends
//! with it. A call whose registration the serving entry's view does not know yet waits there.
//!
//! Invariants:
//! - J1: each call gets one final answer and nothing after it (`origin`).
//! - J2: each invocation that an origin asks for gets one refusal or final answer while its link stands (`serving`).
//! - J3: a slot of a callee is taken exactly while its call is known (`serving`).
//! - J4: calls and bytes stay below their bounds. A session that does not read the small errors that end its own
//!   calls is ended.
//! - J5: a timeout fires once, and not before its time (`timers`).

mod books;
mod io;
mod limits;
mod needs;
mod origin;
mod peers;
mod routes;
mod serving;
mod sessions;
#[cfg(test)]
mod tests;
mod timers;
mod turn;
mod view;
mod wire;
mod words;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use vixen_core::id::OwnerId;
use vixen_core::segment::Encoding;

use crate::api::calls::{CallError, CallWord, Payload};
use books::Callees;
pub use io::{
    Breach, CalledAt, Effects, Input, Link, MetaCall, MetaResult, Missed, Note, Outcome, Terms,
};
use limits::Usage;
pub use limits::{CallLimits, CallTimeouts};
use origin::Origin;
pub use origin::pending::{Awaited, PendingCall};
use origin::unmade::{Spoiled, Withdrawn};
use peers::{Peers, Unreachable};
pub use routes::{Callee, Hold, Route, Routes};
pub use serving::LEASE_ASKED;
use serving::Serving;
use sessions::Sessions;
use turn::Turn;
pub use view::policy_of;
pub use words::{Answer, CallNumber, Invoke, Part, PeerWord};

/// The error of calls that were given up.
const CANCELED: &str = "wamp.error.canceled";
/// The error with which a callee passes a call on to the next one.
const UNAVAILABLE: &str = "wamp.error.unavailable";
/// The error with which a callee gives up a call whose time is over.
const TIMEOUT: &str = "wamp.error.timeout";

/// Whether a caller is answered that cancels a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CancelAnswer {
    /// Always, at once.
    #[default]
    Always,
    /// Never, where the callee has not announced that it can be interrupted: for clients that forget a request as
    /// they cancel it.
    Announced,
}

/// What does not change while an entry runs.
#[derive(Clone, Debug)]
pub struct DealerOptions {
    /// This entry, as callees of the view name it.
    pub owner: OwnerId,
    /// What people call it.
    pub name: Arc<str>,
    /// How much calls may take.
    pub limits: CallLimits,
    /// Whether those who cancel are answered.
    pub cancel_answer: CancelAnswer,
    /// For the policy `random`.
    pub seed: [u8; 32],
}

/// See the module.
#[derive(Debug)]
pub struct Dealer {
    options: DealerOptions,
    sessions: Sessions,
    peers: Peers,
    usage: Usage,
    callees: Callees,
    origin: Origin,
    serving: Serving,
}

impl Dealer {
    /// Nobody calls, and nobody is called.
    #[must_use]
    pub fn new(options: DealerOptions) -> Self {
        Self {
            sessions: Sessions::default(),
            peers: Peers::default(),
            usage: Usage::default(),
            callees: Callees::default(),
            origin: Origin::new(options.seed),
            serving: Serving::default(),
            options,
        }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step<R: Routes>(&mut self, now: Instant, routes: &R, input: Input, fx: &mut Effects) {
        let Self { options, sessions, peers, usage, callees, origin, serving } = self;
        let own = VecDeque::new();
        let mut turn = Turn { now, routes, options, sessions, peers, usage, callees, own, fx };
        let turn = &mut turn;
        match input {
            Input::Opened { info } => turn.sessions.open(&info, false),
            Input::OpenedByEntry { info } => turn.sessions.open(&info, true),
            Input::Word { session, word } => match word {
                CallWord::Call(call) => origin.on_call(session, call, turn),
                CallWord::Cancel { request, mode } => {
                    origin.on_cancel(session, request, mode, turn)
                }
                CallWord::Yield { invocation, is_progress, payload } => {
                    serving.on_yield(session, invocation, (is_progress, payload), turn);
                }
                CallWord::Fail { invocation, error, payload } => {
                    serving.on_fail(session, invocation, (error, payload), turn);
                }
                CallWord::Spoiled { request, procedure, has_more, error: uri, payload } => {
                    let error = CallError::Callee { uri, payload };
                    let spoiled = Spoiled { request, procedure, has_more, error };
                    origin.on_spoiled(session, spoiled, turn);
                }
                CallWord::Withdrawn { request, procedure, has_more, why } => {
                    let withdrawn = Withdrawn { request, procedure, has_more, why };
                    origin.on_withdrawn(session, withdrawn, turn);
                }
                CallWord::Register(_) | CallWord::Unregister { .. } | CallWord::Hide { .. } => {}
            },
            Input::Tell { session, told } => turn.tell(session, told),
            Input::Written { session, bytes } => turn.written(session, bytes),
            Input::Rights { session, permissions } => {
                origin.on_rights(session, &permissions, turn);
            }
            Input::RightLost { session, registration } => {
                serving.on_right_lost(session, registration, turn);
            }
            Input::Closed { session } => {
                // Nobody is told anything more, itself not by its own calls either.
                turn.close(session);
                origin.on_closed(session, turn);
                serving.on_closed(session, turn);
            }
            Input::Serves { session, registration, terms } => {
                if let Some(callee) = turn.sessions.get_mut(session) {
                    callee.forward(registration, terms.forwards_timeout);
                    turn.callees.serve(session, registration, terms);
                }
            }
            Input::Leaves { session, registration } => {
                if let Some(callee) = turn.sessions.get_mut(session) {
                    callee.forward(registration, false);
                }
                turn.callees.leave(session, registration);
            }
            Input::RegistrationEnded { registration } => origin.on_registration_ended(registration),
            Input::Applied => serving.on_applied(turn),
            Input::Complete { at, misses, is_of_lease } => {
                if let Some(up_to) = misses {
                    origin.on_complete(up_to, turn);
                }
                serving.on_complete(at, is_of_lease, turn);
            }
            Input::View { is_ready } => serving.on_view(is_ready, turn),
            Input::LinkUp { link, name } => {
                if let Some(before) = turn.peers.before(link) {
                    link_gone(before, origin, serving, turn);
                }
                turn.peers.up(link, name);
            }
            Input::LinkDown { link } => link_gone(link, origin, serving, turn),
            Input::LinkSilent { link, is_silent } => {
                if turn.peers.silent(link, is_silent) {
                    let why = Unreachable::Silent(turn.name(link.peer)).to_string().into();
                    origin.on_peer_gone(link.peer, &why, turn);
                    serving.on_peer_gone(link.peer, turn);
                }
            }
            Input::LinkWaiting { link, bytes } => turn.peers.waiting(link, bytes),
            Input::Standing { link, is_ready, is_draining } => {
                turn.peers.standing(link, is_ready, is_draining);
            }
            Input::Heard { link, word } => {
                if turn.peers.is_current(link) {
                    hear(link.peer, word, origin, serving, turn);
                } else {
                    turn.fx.notes.push(Note::Late);
                }
            }
            Input::Answered { number, answer } => origin.on_meta(number, answer, turn),
            Input::Drain => serving.on_drain(turn),
            Input::Stop => {
                origin.on_stop(turn);
                // Of its own callers nothing is open any more: what is left is of other entries.
                hear_own(origin, serving, turn);
                serving.on_stop(turn);
            }
            Input::Timeout => {
                origin.on_timeout(turn);
                serving.on_timeout(turn);
            }
        }
        hear_own(origin, serving, turn);
        turn.fx.meta_over.extend(origin.meta_over.drain(..));
    }

    /// When [`Input::Timeout`] is due: the first call that is to be given up, or has waited for the view for too long.
    #[must_use]
    pub fn timeout_at(&self) -> Option<Instant> {
        [self.origin.timeout_at(), self.serving.timeout_at()].into_iter().flatten().min()
    }

    /// Open calls of the entry's own callers.
    #[must_use]
    pub fn open_calls(&self) -> usize {
        self.origin.open()
    }

    /// The last number that a call of them was given.
    #[must_use]
    pub fn last_call(&self) -> CallNumber {
        self.origin.last()
    }

    /// Of these, calls that wait until the view is complete.
    #[must_use]
    pub fn asked_calls(&self) -> usize {
        self.origin.asked()
    }

    /// Calls that are with callees of this entry, or wait for its view.
    #[must_use]
    pub fn open_invocations(&self) -> usize {
        self.serving.open()
    }

    /// When the longest open call of its own callers began.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.origin.oldest()
    }

    /// What waits for the sockets of callers and callees.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.usage.queued_bytes
    }

    /// Asserts the invariants; looks at everything.
    ///
    /// # Panics
    /// Where one does not hold.
    pub fn check(&self) {
        let limits = &self.options.limits;
        let (of_sessions, own_kept) = self.origin.check();
        self.callees.check(limits.invocations_per_session_max);
        let (brought, waiting) = self.serving.check(self.options.owner, &self.callees);
        let (mut queued_bytes, mut users) = (0, 0);
        for (id, session) in self.sessions.iter() {
            let counted = (session.open_calls, session.kept_bytes);
            let known = of_sessions.get(&id).copied().unwrap_or_default();
            assert_eq!(counted, known, "J4: calls and bytes of {id:?}");
            assert!(session.open_calls <= limits.calls_per_session_max, "J4: calls of {id:?}");
            assert!(
                session.kept_bytes <= limits.calls_bytes_per_session_max,
                "J4: bytes of {id:?}"
            );
            queued_bytes += session.queued_bytes;
            users += usize::from(session.is_user());
        }
        let strangers = of_sessions.keys().find(|id| self.sessions.get(**id).is_none());
        assert_eq!(strangers, None, "J1: a call without a caller");
        let calls = self.origin.open() + brought.values().sum::<usize>();
        let kept_bytes = own_kept + waiting;
        let known = Usage { calls, kept_bytes, queued_bytes, sessions: users, brought };
        assert_eq!(self.usage, known, "J4: what all calls take");
        assert!(calls <= limits.calls_max.saturating_mul(2), "J4: open calls");
        assert!(kept_bytes <= limits.calls_bytes_max.saturating_mul(2), "J4: bytes that are kept");
    }
}

/// All that was on a link is over, unless there is another one by now.
fn link_gone<R: Routes>(
    link: Link,
    origin: &mut Origin,
    serving: &mut Serving,
    turn: &mut Turn<'_, R>,
) {
    if let Some(name) = turn.peers.down(link) {
        let why = format!("the link to entry {name} is lost").into();
        origin.on_peer_gone(link.peer, &why, turn);
        serving.on_peer_gone(link.peer, turn);
    }
}

/// A text as the only argument; without one, no arguments.
fn text_arguments(text: &str) -> Payload {
    let plain: String = text.replace('"', "'").replace('\\', "/");
    let plain: String = plain.chars().filter(|one| !one.is_control()).collect();
    let json = if plain.is_empty() { plain } else { format!("[\"{plain}\"]") };
    Payload::new(Encoding::Json, json)
}

/// What one half of this entry has said to the other.
fn hear_own<R: Routes>(origin: &mut Origin, serving: &mut Serving, turn: &mut Turn<'_, R>) {
    while let Some(word) = turn.own.pop_front() {
        hear(turn.options.owner, word, origin, serving, turn);
    }
}

/// A word from one half to the other.
fn hear<R: Routes>(
    from: OwnerId,
    word: PeerWord,
    origin: &mut Origin,
    serving: &mut Serving,
    turn: &mut Turn<'_, R>,
) {
    match word {
        PeerWord::Invoke { number, invoke } => serving.on_invoke(from, number, invoke, turn),
        PeerWord::More { number, part } => serving.on_more(from, number, part, turn),
        PeerWord::Cancel { number, cancel } => serving.on_cancel(from, number, cancel, turn),
        PeerWord::Refuse { number, reason } => origin.on_refuse(from, number, reason, turn),
        PeerWord::Answer { number, answer } => origin.on_answer(from, number, answer, turn),
    }
}
