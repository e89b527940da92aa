//! What a client has said that waits for an authorizer, and all that it has said behind that.
//!
//! The socket is read meanwhile until that is as much as a batch, or as the machine takes; the rest of a batch stays in
//! its frame. So CANCEL is heard: it waits for nothing, and ends a call that waits. So does the time of that call, which
//! runs from when it came.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::Instant;

use vixen_broker::access::{Act, Permissions};
use vixen_broker::api::calls::{Call, CallWord, CancelMode, Withdrawal};
use vixen_broker::api::{RequestId, SessionInfo};
use vixen_broker::authority::{
    self, Authority, Effects, Input, Judgement, Question, QuestionNumber,
};
use vixen_broker::dealer::CallTimeouts;
use vixen_runtime::clock::wall_time;

use super::steps::is_refused;
use super::{Connection, Own};
use crate::admission::{Admission, AdmittedSession};
use crate::authority::{Decided, Edition, Heard, LoginQuestion, ask, ask_login};
use crate::gates::context::SessionContext;
use crate::gates::driver::{BATCH_BYTES, is_answer};
use crate::gates::wamp::error::Ending;
use crate::gates::wamp::session::{Action, questions};
use crate::node::EntryEvent;

/// What comes of a question.
pub(super) enum Answered {
    /// Of an authorizer.
    Verdict(QuestionNumber, Heard),
    /// Of an authenticator.
    Decision(Decided),
}

/// See the module.
pub(super) struct Asking {
    events: mpsc::Sender<EntryEvent>,
    admission: Arc<Admission>,
    info: Option<Arc<SessionInfo>>,
    machine: Authority<Action>,
    answers: FuturesUnordered<Pin<Box<dyn Future<Output = Answered> + Send>>>,
    /// Whose answers are kept.
    edition: Option<Edition>,
    /// It is asked who the client is.
    is_deciding: bool,
}

impl Asking {
    pub(super) fn new(context: &SessionContext) -> Self {
        Self {
            events: context.events.clone(),
            admission: Arc::clone(&context.admission),
            info: None,
            machine: Authority::new(None),
            answers: FuturesUnordered::new(),
            edition: None,
            is_deciding: false,
        }
    }

    /// The session is open.
    pub(super) fn open(&mut self, info: &Arc<SessionInfo>, permissions: &Permissions) {
        self.info = Some(Arc::clone(info));
        self.machine = Authority::new(permissions.authorizer().cloned());
    }

    /// Whether nothing waits.
    fn is_idle(&self) -> bool {
        self.machine.is_empty() && !self.is_deciding
    }

    /// Whether the socket may be read: what waits has its bound.
    pub(super) fn may_read(&self) -> bool {
        self.may_take() && self.machine.words().map(counted_bytes).sum::<usize>() < BATCH_BYTES
    }

    /// When the first call that waits is over.
    pub(super) fn due_at(&self, timeouts: &CallTimeouts) -> Option<Instant> {
        self.machine.words().filter_map(|word| over_at(timeouts, word)).min()
    }

    /// Whether more may be taken of what is at hand.
    pub(super) fn may_take(&self) -> bool {
        !self.is_deciding && !self.machine.is_full()
    }

    /// What was said last, if it waits.
    pub(super) fn last(&self) -> Option<&Action> {
        self.machine.last()
    }

    /// Whether somebody else is asked with these permissions than was before.
    pub(super) fn asks_another(&self, permissions: &Permissions) -> bool {
        let before = self.machine.authorizer().map(|authorizer| &authorizer.procedure);
        let now = permissions.authorizer().map(|authorizer| &authorizer.procedure);
        now.is_some() && now != before
    }

    /// The next answer; `None` while nothing is asked. Cancel safe.
    pub(super) async fn next(&mut self) -> Option<Answered> {
        self.answers.next().await
    }

    /// Asks who the client is. Nothing else is asked before it is open.
    pub(super) fn ask_login(&mut self, question: LoginQuestion) {
        let decided = ask_login(&self.events, &self.admission, question);
        self.is_deciding = true;
        self.answers.push(Box::pin(async move { Answered::Decision(decided.await) }));
    }

    /// Answers of a callee that wait; nothing else is done any more.
    pub(super) fn take_answers(&mut self) -> Vec<CallWord> {
        self.answers.clear();
        let answers = self.machine.restart(None).into_iter().filter_map(|action| match action {
            Action::Call(word) if is_answer(&word) => Some(word),
            _too_late => None,
        });
        answers.collect()
    }

    fn step(&mut self, input: Input<Action>, fx: &mut Effects<Action>) {
        let now = Instant::now().into_std();
        if self.edition.as_mut().is_some_and(Edition::renew) {
            self.machine.step(now, Input::Changed, fx);
        }
        self.machine.step(now, input, fx);
        self.ask_all(fx);
    }

    /// Asks what the machine wants to know.
    fn ask_all(&mut self, fx: &mut Effects<Action>) {
        let asks = std::mem::take(&mut fx.asks);
        let (Some(info), Some(authorizer)) = (&self.info, self.machine.authorizer()) else {
            return;
        };
        for (number, question) in asks {
            let heard = ask(&self.events, info, authorizer, &question);
            let answered = async move { Answered::Verdict(number, heard.await) };
            self.answers.push(Box::pin(answered));
        }
    }
}

impl Connection {
    /// Does what the session wants, once it may.
    pub(super) fn take(&mut self, mut action: Action) {
        if let Action::Call(CallWord::Cancel { request, mode }) = action
            && !self.asking.is_deciding
        {
            return self.cancel(request, mode);
        }
        let Some(questions) = self.questions(&action) else { return };
        if questions.is_empty() && self.asking.is_idle() {
            return self.pass(action, Judgement::Allowed { discloses: false });
        }
        if let Some(call) = call_of_mut(&mut action) {
            call.came.get_or_insert_with(|| Instant::now().into_std());
        }
        let mut fx = Effects::default();
        self.asking.step(Input::Word { questions, word: action }, &mut fx);
        self.take_judged(fx);
    }

    /// A call that waits ends; another one may be open. Nothing else hangs on what was said before.
    fn cancel(&mut self, request: RequestId, mode: CancelMode) {
        let (now, mut fx) = (Instant::now().into_std(), Effects::default());
        let is_it = |action: &Action| call_of(action).is_some_and(|call| call.request == request);
        let taken = self.asking.machine.withdraw(now, is_it, &mut fx);
        let word = match taken.as_ref().and_then(call_of) {
            Some(call) => withdrawn(call, Withdrawal::Canceled(mode)),
            None => CallWord::Cancel { request, mode },
        };
        self.take_action(Action::Call(word));
        self.asking.ask_all(&mut fx);
        self.take_judged(fx);
    }

    /// Has calls answered that wait and whose time is over. What waits of them is dropped by the broker when it comes: it
    /// may be a part of one whose time is another.
    pub(super) async fn end_overdue(&mut self) -> Result<(), Ending> {
        let (now, timeouts) = (Instant::now(), self.context.limits.call_timeouts);
        let mut over = Vec::new();
        for action in self.asking.machine.words_mut() {
            let is_over = over_at(&timeouts, action).is_some_and(|at| at <= now);
            let Some(call) = call_of_mut(action).filter(|_| is_over) else { continue };
            call.came = None;
            let timeout_ms = timeouts.ms(call.timeout_ms).unwrap_or_default();
            over.push(withdrawn(call, Withdrawal::Timeout { timeout_ms }));
        }
        over.into_iter().for_each(|word| self.take_action(Action::Call(word)));
        self.go_on().await
    }

    /// What is to be asked first; `None` where nobody may do anything.
    fn questions(&self, action: &Action) -> Option<Vec<Question>> {
        let Action::Asked { .. } = action else { return Some(Vec::new()) };
        let permissions = self.session.admitted()?.permissions();
        Some(if self.decides(permissions) { Vec::new() } else { questions(permissions, action) })
    }

    /// Whether the session is who would be asked: an authorizer is not asked about what it does itself, as it would wait
    /// for itself.
    fn decides(&self, permissions: &Permissions) -> bool {
        let authorizer = permissions.authorizer();
        authorizer.is_some_and(|authorizer| self.driver.is_callee_of(&authorizer.procedure))
    }

    /// What waits passes, where the session has become who is asked about it.
    pub(super) async fn pass_own(&mut self) -> Result<(), Ending> {
        if self.asking.machine.is_empty() {
            return Ok(());
        }
        let admitted = self.session.admitted();
        let decides = |admitted: &&AdmittedSession| self.decides(admitted.permissions());
        let Some(admitted) = admitted.filter(decides) else { return Ok(()) };
        let permissions = admitted.permissions().clone();
        self.ask_anew(&permissions);
        self.go_on().await
    }

    fn pass(&mut self, action: Action, judgement: Judgement) {
        let action = self.session.judged(action, judgement);
        self.take_action(action);
    }

    /// What was asked is answered.
    pub(super) async fn on_answered(&mut self, answered: Answered) -> Result<(), Ending> {
        match answered {
            Answered::Verdict(number, heard) => self.on_verdict(number, heard),
            Answered::Decision(decided) => {
                self.asking.is_deciding = false;
                let action = self.session.on_decision(decided);
                self.take(action);
            }
        }
        self.go_on().await
    }

    fn on_verdict(&mut self, number: QuestionNumber, heard: Heard) {
        let Heard { answer, at, edition } = heard;
        let at = at.into_std();
        let is_current = edition.as_ref().is_some_and(Edition::is_current);
        let mut fx = Effects::default();
        self.asking.step(Input::Answered { number, answer, at, is_current }, &mut fx);
        if edition.is_some() {
            self.asking.edition = edition;
        }
        self.take_judged(fx);
    }

    fn take_judged(&mut self, fx: authority::Effects<Action>) {
        fx.judged.into_iter().for_each(|(action, judgement)| self.pass(action, judgement));
    }

    /// What waits is judged by these permissions, and asked about, anew: as the realms were read again.
    pub(super) fn ask_anew(&mut self, permissions: &Permissions) {
        let asking = &mut self.asking;
        asking.answers.clear();
        asking.edition = None;
        for mut action in asking.machine.restart(permissions.authorizer().cloned()) {
            if let Some(act) = lost_act(permissions, &mut action) {
                action = self.session.denied(action, act);
            }
            self.take(action);
        }
    }

    /// Goes on with what is left of the last frame, and with what may be done.
    pub(super) async fn go_on(&mut self) -> Result<(), Ending> {
        self.take_rest();
        self.do_steps().await
    }

    /// Takes what is left of the last frame, as far as it may be taken.
    pub(super) fn take_rest(&mut self) {
        let mut actions = Vec::new();
        while self.session.has_rest() && self.asking.may_take() && !self.is_ending() {
            self.session.on_rest(wall_time(), &mut actions);
            actions.drain(..).for_each(|action| self.take(action));
        }
    }

    /// Whether nothing that follows is of any use.
    pub(super) fn is_ending(&self) -> bool {
        matches!(self.driver.last(), Some(Own::End(_)))
            || matches!(self.asking.last(), Some(Action::End(_)))
    }
}

/// The call that somebody wants to make, or goes on with.
fn call_of(action: &Action) -> Option<&Call> {
    match action {
        Action::Asked { then, .. } => call_of(then),
        Action::Call(CallWord::Call(call)) => Some(call),
        _other => None,
    }
}

fn call_of_mut(action: &mut Action) -> Option<&mut Call> {
    match action {
        Action::Asked { then, .. } => call_of_mut(then),
        Action::Call(CallWord::Call(call)) => Some(call),
        _other => None,
    }
}

/// What the broker hears of a call that is over before it may be made.
fn withdrawn(call: &Call, why: Withdrawal) -> CallWord {
    let (request, has_more) = (call.request, call.has_more);
    CallWord::Withdrawn { request, procedure: Arc::clone(&call.procedure), has_more, why }
}

/// When a call that waits is over, unless it is that already.
fn over_at(timeouts: &CallTimeouts, action: &Action) -> Option<Instant> {
    let call = call_of(action)?;
    let time = Duration::from_millis(timeouts.ms(call.timeout_ms)?);
    Instant::from_std(call.came?).checked_add(time)
}

/// What it counts while it waits.
fn counted_bytes(action: &Action) -> usize {
    const BASE: usize = 64;
    match action {
        Action::Asked { then, .. } => BASE + counted_bytes(then),
        Action::Publish(publish) => publish.counted_bytes(),
        Action::Call(word) => word.counted_bytes(),
        Action::Subscribe { wanted, .. } => BASE + wanted.pattern.uri.len(),
        _short => BASE,
    }
}

/// What of this the permissions do not allow any more; a call is changed as they want it.
fn lost_act(permissions: &Permissions, action: &mut Action) -> Option<Act> {
    let Action::Asked { then, .. } = action else { return None };
    match &mut **then {
        Action::Publish(publish) => {
            permissions.publish(&publish.topic.uri).is_none().then_some(Act::Publish)
        }
        Action::Subscribe { wanted, .. } => {
            (!permissions.may_read(&wanted.pattern)).then_some(Act::Subscribe)
        }
        Action::Call(word) => is_refused(permissions, word).then_some(Act::Register),
        _of_no_right => None,
    }
}
