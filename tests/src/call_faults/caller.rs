//! A caller: some calls open at a time, each with a timeout, at any entry that takes it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until, timeout};

use super::ledger::{Answer, Book, RESULT};
use crate::client::{ClientError, Connection, SocketOptions};

/// Between two attempts to find an entry that takes a session.
const PAUSE: Duration = Duration::from_millis(20);
/// An entry that takes none for so long is passed over.
const PATIENCE: Duration = Duration::from_secs(2);

const CALL: u64 = 48;
const RESULT_CODE: u64 = 50;
const ERROR: u64 = 8;

/// Small, as there are many.
pub(super) const SOCKET: SocketOptions =
    SocketOptions { input_bytes: 4 << 10, kernel_receive_bytes: None, from: None };

/// What callers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Call.
    Call,
    /// The same, at the entry where one began.
    Return,
    /// Wait for what is open, at the entry where one began.
    Hold,
}

pub(super) struct Caller {
    pub(super) number: usize,
    /// The entry where it begins.
    pub(super) home: usize,
    pub(super) urls: Arc<[String]>,
    pub(super) realm: Arc<str>,
    pub(super) procedures: Arc<[String]>,
    /// The first so many of them are shared, and get half of all calls.
    pub(super) shared: usize,
    pub(super) book: Book,
    pub(super) wish: watch::Receiver<Wish>,
    /// From one call to the next.
    pub(super) period: Duration,
    pub(super) outstanding: usize,
    pub(super) timeout: Duration,
    pub(super) rng: StdRng,
}

/// A call that waits for its answer.
#[derive(Clone, Copy, Debug)]
struct Open {
    procedure: usize,
    sent: Instant,
}

struct Session {
    entry: usize,
    connection: Connection,
    last: u64,
    open: BTreeMap<u64, Open>,
    /// Those that were not answered in time.
    overdue: BTreeMap<u64, Open>,
    next_at: Instant,
}

impl Caller {
    /// Goes on until it is dropped.
    pub(super) async fn run(mut self) {
        let mut entry = self.home;
        loop {
            let (at, connection) = self.connect(entry).await;
            entry = at;
            self.book.open().callers[self.number] = Some(entry);
            let mut session = Session {
                entry,
                connection,
                last: 0,
                open: BTreeMap::new(),
                overdue: BTreeMap::new(),
                next_at: Instant::now() + self.period.mul_f64(self.rng.random()),
            };
            match self.call(&mut session).await {
                Ok(()) => {
                    self.book.open().callers[self.number] = None;
                    entry = self.home;
                    // What became of that session is nothing to anybody.
                    let _ended = timeout(PATIENCE, session.connection.close()).await;
                }
                Err(error) => {
                    let (open, why) = (session.open.len(), error.to_string());
                    self.book.open().caller_lost(self.number, entry, open, &why);
                    entry = (entry + 1) % self.urls.len();
                }
            }
        }
    }

    /// A session at this entry, or at the next one that takes it.
    async fn connect(&self, mut entry: usize) -> (usize, Connection) {
        loop {
            let opening = Connection::open_with(&self.urls[entry], &self.realm, SOCKET);
            if let Ok(Ok(connection)) = timeout(PATIENCE, opening).await {
                return (entry, connection);
            }
            entry = (entry + 1) % self.urls.len();
            sleep(PAUSE).await;
        }
    }

    /// Calls until it is to go home.
    async fn call(&mut self, session: &mut Session) -> Result<(), ClientError> {
        loop {
            let now = Instant::now();
            let wish = *self.wish.borrow_and_update();
            let is_leaving = wish != Wish::Call && session.entry != self.home;
            if is_leaving && session.open.is_empty() {
                return Ok(());
            }
            let is_calling = wish != Wish::Hold && !is_leaving;
            if is_calling {
                self.make_calls(session, now);
            }
            self.look_for_overdue(session, now);
            let has_room = is_calling && session.open.len() < self.outstanding;
            let next_at = has_room.then_some(session.next_at);
            let wake = next_at.into_iter().chain(self.next_due(session)).min();
            tokio::select! {
                exchanged = session.connection.exchange() => exchanged?,
                () = until(wake) => {}
                _wished = self.wish.changed() => {}
            }
            self.hear(session)?;
        }
    }

    fn make_calls(&mut self, session: &mut Session, now: Instant) {
        while session.open.len() < self.outstanding && session.next_at <= now {
            let singles = self.procedures.len() - self.shared;
            let procedure = if singles == 0 || self.rng.random_bool(0.5) {
                self.rng.random_range(0..self.shared)
            } else {
                self.shared + self.rng.random_range(0..singles)
            };
            session.last += 1;
            let request = session.last;
            let call = serde_json::json!([
                CALL,
                request,
                { "timeout": u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX) },
                self.procedures[procedure],
                [self.token(session, request)]
            ]);
            session.connection.send(call.to_string().as_bytes());
            session.open.insert(request, Open { procedure, sent: now });
            self.book.open().open_calls += 1;
            session.next_at += self.period;
            if session.next_at < now {
                // What could not be called meanwhile is not made up for, nor do all begin again together.
                session.next_at = now + self.period.mul_f64(self.rng.random());
            }
        }
    }

    /// What a call has, and its result as well.
    fn token(&self, session: &Session, request: u64) -> String {
        format!("{}.{}.{request}", self.number, session.connection.session())
    }

    fn next_due(&self, session: &Session) -> Option<Instant> {
        // Until its entry is heard again, that is looked at now and then.
        let again = || Instant::now() + Duration::from_millis(100);
        let book = self.book.open();
        let due = |open: &Open| book.due(session.entry, open.sent).unwrap_or_else(again);
        session.open.values().map(due).min()
    }

    fn look_for_overdue(&self, session: &mut Session, now: Instant) {
        let mut book = self.book.open();
        let due = |open: &Open| book.due(session.entry, open.sent).is_some_and(|due| due <= now);
        let late: Vec<u64> =
            session.open.iter().filter(|(_, open)| due(open)).map(|(at, _)| *at).collect();
        for request in late {
            let Some(open) = session.open.remove(&request) else { continue };
            session.overdue.insert(request, open);
            let what = format!(
                "{} was not answered within its bound: {} ms",
                self.words(&book, session, request, open),
                open.sent.elapsed().as_millis()
            );
            book.overdue(what);
        }
    }

    fn words(
        &self,
        book: &super::ledger::Ledger,
        session: &Session,
        request: u64,
        open: Open,
    ) -> String {
        let name = book.procedure(open.procedure);
        format!(
            "call {request} of caller {} (session {} at E{}) to {name}",
            self.number,
            session.connection.session(),
            session.entry + 1
        )
    }

    fn hear(&self, session: &mut Session) -> Result<(), ClientError> {
        loop {
            let Some(text) = session.connection.next_text()? else { return Ok(()) };
            let message: Value = serde_json::from_slice(text).unwrap_or_default();
            let request = match message[0].as_u64() {
                Some(RESULT_CODE) => message[1].as_u64(),
                Some(ERROR) if message[1] == CALL => message[2].as_u64(),
                Some(3 | 6) => return Err(ClientError::Aborted { message: message.to_string() }),
                _other => None,
            };
            match request {
                Some(request) => self.on_answer(session, request, &message),
                None => self.book.open().broken(format!("caller {}: {message}", self.number)),
            }
        }
    }

    fn on_answer(&self, session: &mut Session, request: u64, message: &Value) {
        let (now, mut book) = (Instant::now(), self.book.open());
        let Some(open) = session.open.remove(&request) else {
            let late = session.overdue.remove(&request).map(|open| open.sent.elapsed());
            let what = late.map_or_else(|| "again".to_owned(), |late| format!("after {late:.2?}"));
            let at = session.entry + 1;
            return book.broken(format!(
                "call {request} of caller {} (session {} at E{at}) was answered {what}: {message}",
                self.number,
                session.connection.session()
            ));
        };
        let is_result = message[0] == RESULT_CODE;
        if is_result && message[3][0] != Value::String(self.token(session, request)) {
            let what = self.words(&book, session, request, open);
            book.broken(format!("{what} had the result of another: {message}"));
        }
        if is_result && message[2]["progress"] == true {
            let what = self.words(&book, session, request, open);
            book.broken(format!("{what} had progress that it did not ask for: {message}"));
        }
        let outcome = if is_result { RESULT } else { message[4].as_str().unwrap_or("no URI") };
        if !is_result {
            book.reason(outcome, message[5][0].as_str().unwrap_or_default());
        }
        let outcome = outcome.to_owned();
        let (entry, procedure, sent) = (session.entry, open.procedure, open.sent);
        book.answered(now, Answer { entry, procedure, sent, outcome });
    }
}

/// Until then, or for ever.
pub(super) async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
