//! Questions to procedures that decide, from who asks to the core of the entry, which calls them.
//!
//! ```text
//!   session, request ──AuthorityEvent──> core ──CALL, as nobody──> procedure
//!   session, request <──────Heard─────── core <──────RESULT─────── procedure
//! ```
//! The core reads what comes back; what cannot be read, an error, silence and an entry that stops are all the same to
//! who asks: no answer. Who asks waits no longer than the procedure has, whatever the core does.

pub(crate) mod options;
pub(crate) mod words;

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use vixen_broker::api::SessionInfo;
use vixen_broker::authority::turns::Whose;
use vixen_broker::authority::{Answer, Authorizer, Question};

use crate::admission::{Admission, Attempt, origin_of};
use crate::auth::{Account, Authenticator, Decision, Identity, Pending, Refusal};
use crate::node::EntryEvent;

/// A question of the entry to a procedure.
#[derive(Debug)]
pub struct AuthorityEvent(pub(crate) Asking);

/// See [`AuthorityEvent`].
pub(crate) struct Asking {
    /// Where the procedure is registered.
    pub(crate) realm: Arc<str>,
    pub(crate) procedure: Arc<str>,
    /// Who waits for its turn.
    pub(crate) whose: Whose,
    /// It has no answer after that.
    pub(crate) by: Instant,
    /// A list, as JSON.
    pub(crate) arguments: Bytes,
    pub(crate) asker: Asker,
}

/// Shows whom it is for, and not what is asked: that may be a secret.
impl fmt::Debug for Asking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Asking");
        shown.field("realm", &self.realm).field("procedure", &self.procedure);
        shown.finish_non_exhaustive()
    }
}

/// Who waits for the answer.
#[derive(Debug)]
pub(crate) enum Asker {
    /// Whether a session may do something.
    Session(oneshot::Sender<Heard>),
    /// Who somebody is who wants to come in. It is tried until it is answered, whether or not somebody waits for that.
    /// It is told when that was said.
    Login { asker: oneshot::Sender<(Decision, Instant)>, attempt: Arc<Attempt> },
}

impl Asker {
    /// Whether somebody waits for it still.
    pub(crate) fn is_there(&self) -> bool {
        match self {
            Self::Session(asker) => !asker.is_closed(),
            Self::Login { asker, .. } => !asker.is_closed(),
        }
    }
}

/// What an authorizer said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) answer: Answer,
    /// When.
    pub(crate) at: Instant,
    /// Who was asked; `None`: nobody.
    pub(crate) edition: Option<Edition>,
}

impl Heard {
    /// It says nothing, or nobody knows what.
    pub(crate) fn nothing() -> Self {
        Self { answer: Answer::Failed, at: Instant::now(), edition: None }
    }
}

/// A registration as it was when it was seen. It is another one after each change, be it of its callees.
#[derive(Clone, Debug)]
pub(crate) struct Edition {
    counter: Arc<AtomicU64>,
    seen: u64,
}

impl Edition {
    /// As it is now.
    pub(crate) fn of(counter: &Arc<AtomicU64>) -> Self {
        Self { counter: Arc::clone(counter), seen: counter.load(Ordering::Acquire) }
    }

    /// Whether it has not changed.
    pub(crate) fn is_current(&self) -> bool {
        self.counter.load(Ordering::Acquire) == self.seen
    }

    /// As it is now, and whether it has changed.
    pub(crate) fn renew(&mut self) -> bool {
        let before = std::mem::replace(&mut self.seen, self.counter.load(Ordering::Acquire));
        before != self.seen
    }
}

/// Asks an authorizer about a session.
pub(crate) fn ask(
    events: &mpsc::Sender<EntryEvent>,
    info: &SessionInfo,
    authorizer: &Authorizer,
    question: &Question,
) -> impl Future<Output = Heard> + Send + use<> {
    let (asker, heard) = oneshot::channel();
    let asking = Asking {
        realm: Arc::clone(&info.realm),
        procedure: Arc::clone(&authorizer.procedure),
        whose: Whose { origin: info.origin, session: info.session },
        by: Instant::now() + authorizer.timeout,
        arguments: words::question(info, question).into(),
        asker: Asker::Session(asker),
    };
    let answered = answered(events, asking, heard);
    async move { answered.await.unwrap_or_else(Heard::nothing) }
}

/// What comes back of a question in its time.
fn answered<T: Send + 'static>(
    events: &mpsc::Sender<EntryEvent>,
    asking: Asking,
    answer: oneshot::Receiver<T>,
) -> impl Future<Output = Option<T>> + Send + use<T> {
    let (events, by) = (events.clone(), asking.by);
    let asked = async move {
        // What is not sent comes back, and its asker with it: nobody answers then.
        events.send(EntryEvent::Authority(AuthorityEvent(asking))).await.ok()?;
        answer.await.ok()
    };
    async move { timeout_at(by, asked).await.ok()? }
}

/// A login that a procedure decides.
pub(crate) struct LoginQuestion {
    authenticator: Arc<Authenticator>,
    realm: Arc<str>,
    account: Account,
    name: Arc<str>,
    address: IpAddr,
    whose: Whose,
    arguments: Bytes,
}

/// Shows who is asked, and no ticket.
impl fmt::Debug for LoginQuestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("LoginQuestion");
        shown.field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

impl LoginQuestion {
    /// About somebody at this address who sends a ticket.
    pub(crate) fn of_ticket(
        authenticator: &Arc<Authenticator>,
        pending: &Pending,
        address: IpAddr,
        told: &words::Told<'_>,
    ) -> Self {
        let identity = pending.identity();
        Self {
            authenticator: Arc::clone(authenticator),
            realm: Arc::clone(&identity.realm),
            account: pending.account(),
            name: pending.name(),
            address,
            whose: Whose { origin: origin_of(address), session: told.session },
            arguments: words::login(identity, told).into(),
        }
    }
}

/// What became of a login that a procedure decides.
#[derive(Debug)]
pub(crate) struct Decided {
    /// What it says, or why it was not asked.
    outcome: Result<Decision, Refusal>,
    /// Others wait until this one is counted.
    attempt: Option<Arc<Attempt>>,
}

impl Decided {
    /// Who comes in by it: this counts it.
    ///
    /// # Errors
    /// Nobody does.
    pub(crate) fn identity(
        &self,
        admission: &Admission,
        address: IpAddr,
        pending: Pending,
    ) -> Result<Identity, Refusal> {
        let decision = self.outcome.clone()?;
        admission.decide(address, pending, decision, self.attempt.as_deref())
    }
}

/// Asks an authenticator, once as few are tried for the same name and from the same address as may be.
pub(crate) fn ask_login(
    events: &mpsc::Sender<EntryEvent>,
    admission: &Arc<Admission>,
    question: LoginQuestion,
) -> impl Future<Output = Decided> + Send + use<> {
    let LoginQuestion { authenticator, realm, account, name, address, whose, arguments } = question;
    let by = Instant::now() + authenticator.timeout;
    let (events, admission) = (events.clone(), Arc::clone(admission));
    async move {
        let tried = timeout_at(by, admission.attempt(address, account, name)).await;
        let attempt = match tried {
            Ok(Ok(attempt)) => Arc::new(attempt),
            Ok(Err(refusal)) => return Decided { outcome: Err(refusal), attempt: None },
            Err(_elapsed) => return Decided { outcome: Ok(Decision::None), attempt: None },
        };
        let (asker, answer) = oneshot::channel();
        let asking = Asking {
            realm,
            procedure: Arc::clone(&authenticator.procedure),
            whose,
            by,
            arguments,
            asker: Asker::Login { asker, attempt: Arc::clone(&attempt) },
        };
        let said = answered(&events, asking, answer).await;
        // One that is taken late is none.
        let in_time = said.filter(|(_, at)| at.elapsed() <= authenticator.timeout);
        let decision = in_time.map_or(Decision::None, |(decision, _)| decision);
        Decided { outcome: Ok(decision), attempt: Some(attempt) }
    }
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use vixen_broker::access::Act;
    use vixen_broker::api::calls::CallFeatures;
    use vixen_broker::api::{Origin, SessionId};
    use vixen_core::segment::Match;

    use super::*;

    fn asked(
        events: &mpsc::Sender<EntryEvent>,
        timeout: Duration,
    ) -> Pin<Box<dyn Future<Output = Heard>>> {
        let info = SessionInfo {
            session: SessionId(1),
            realm: "r".into(),
            authid: "joe".into(),
            authrole: "user".into(),
            authmethod: "anonymous",
            authprovider: "static",
            origin: Origin { client: [127, 0, 0, 1].into(), site: None },
            is_announced: true,
            calls: CallFeatures::default(),
        };
        let cache = Duration::ZERO;
        let authorizer = Authorizer { procedure: "auth.may".into(), timeout, cache };
        let (act, uri, options) = (Act::Call, "a.b".into(), "{}".into());
        let question = Question { act, uri, matching: Match::Exact, options };
        Box::pin(ask(events, &info, &authorizer, &question))
    }

    #[tokio::test]
    async fn who_asks_waits_for_nobody_who_is_not_there() {
        const LONG: Duration = Duration::from_secs(3_600);
        let failed = |heard: Option<Heard>| heard.map(|heard| heard.answer) == Some(Answer::Failed);
        // The core has stopped: what is not sent is not waited for.
        let (events, inbox) = mpsc::channel(1);
        drop(inbox);
        assert!(failed(asked(&events, LONG).now_or_never()));
        // It has what was asked, and drops it.
        let (events, mut inbox) = mpsc::channel(1);
        let mut heard = asked(&events, LONG);
        assert!((&mut heard).now_or_never().is_none());
        drop(inbox.try_recv().expect("a question"));
        assert!(failed(heard.now_or_never()));
        // It says nothing, or takes nothing: this ends.
        let (short, waits) = (Duration::from_millis(5), asked(&events, LONG));
        assert!(failed(Some(asked(&events, short).await)), "silence");
        assert!(failed(Some(asked(&events, short).await)), "its inbox is full");
        drop(waits);
    }

    #[tokio::test]
    async fn a_decision_that_is_taken_late_is_none() {
        const TIME: Duration = Duration::from_secs(1);
        let (events, mut inbox) = mpsc::channel(1);
        let admission = Admission::of_tests();
        let welcome = || Decision::Welcome(Box::default());
        let mut decided_at = async |at: Instant| {
            let question = LoginQuestion {
                authenticator: Arc::new(Authenticator {
                    procedure: "auth.login".into(),
                    timeout: TIME,
                }),
                realm: "r".into(),
                account: Account::of("r", "joe"),
                name: "joe".into(),
                address: [127, 0, 0, 1].into(),
                whose: Whose { origin: origin_of([127, 0, 0, 1].into()), session: SessionId(1) },
                arguments: Bytes::new(),
            };
            let mut decided = Box::pin(ask_login(&events, &admission, question));
            assert!((&mut decided).now_or_never().is_none(), "it waits");
            let Some(EntryEvent::Authority(AuthorityEvent(asking))) = inbox.recv().await else {
                panic!("a question")
            };
            let Asker::Login { asker, .. } = asking.asker else { panic!("of a login") };
            asker.send((welcome(), at)).expect("somebody waits");
            decided.await.outcome
        };
        let now = Instant::now();
        let before = now.checked_sub(TIME + Duration::from_millis(1)).expect("it ran before");
        assert_eq!(decided_at(before).await, Ok(Decision::None));
        assert_eq!(decided_at(now).await, Ok(welcome()));
    }
}
