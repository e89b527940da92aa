//! A callee: it has one procedure, answers after a while, and comes back to another entry whatever ends its session.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::caller::{SOCKET, until};
use super::ledger::Book;
use crate::client::{ClientError, Connection};

const PAUSE: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_secs(2);
/// Before it asks again for what it was refused.
const AGAIN_MS: std::ops::Range<u64> = 200..400;

const ROLES: [&str; 2] = [
    r#"{"callee":{"features":{"shared_registration":true}}}"#,
    r#"{"callee":{"features":{"shared_registration":true,"registration_revocation":true}}}"#,
];

/// What is done to a callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// Nothing.
    Serve,
    /// Its process is killed: a reset, and no new session for now.
    Dead,
    /// Its process stands still.
    Paused,
    /// It is to serve at this entry.
    Go(usize),
}

pub(super) struct Callee {
    pub(super) number: usize,
    /// The entry where it begins.
    pub(super) home: usize,
    pub(super) urls: Arc<[String]>,
    pub(super) realm: Arc<str>,
    /// What it serves.
    pub(super) name: String,
    /// Whether others serve the same.
    pub(super) is_shared: bool,
    pub(super) book: Book,
    pub(super) order: watch::Receiver<Order>,
    /// The longest time from an invocation to its answer.
    pub(super) work: Duration,
    pub(super) rng: StdRng,
}

/// Why a session is over.
enum End {
    Killed,
    Revoked,
    /// It is to go there.
    Sent(usize),
    Lost(ClientError),
}

impl From<ClientError> for End {
    fn from(error: ClientError) -> Self {
        Self::Lost(error)
    }
}

struct Session {
    entry: usize,
    connection: Connection,
    last: u64,
    /// REGISTER that is not answered.
    asked: Option<u64>,
    /// When it is to be asked again.
    ask_at: Option<Instant>,
    told: Option<u64>,
    /// What is to be answered, by when.
    work: BTreeMap<(Instant, u64), Value>,
}

impl Callee {
    /// Goes on until it is dropped.
    pub(super) async fn run(mut self) {
        let mut entry = self.home;
        loop {
            while *self.order.borrow_and_update() == Order::Dead {
                if self.order.changed().await.is_err() {
                    return;
                }
            }
            let Some(connection) = self.connect(entry).await else {
                entry = self.another(entry);
                sleep(PAUSE).await;
                continue;
            };
            let (session, port) = (connection.session(), connection.local_port().unwrap_or(0));
            self.book.open().callee_joined(self.number, entry, session, port);
            let mut session = Session {
                entry,
                connection,
                last: 0,
                asked: None,
                ask_at: Some(Instant::now()),
                told: None,
                work: BTreeMap::new(),
            };
            let Err(end) = self.serve(&mut session).await else { return };
            let another = self.another(entry);
            let (next, why) = match end {
                End::Killed => {
                    session.connection.reset();
                    (another, "it was killed".to_owned())
                }
                End::Revoked => {
                    self.book.open().revoked();
                    let _ended = timeout(PATIENCE, session.connection.close()).await;
                    (another, "it was revoked".to_owned())
                }
                End::Sent(there) => {
                    let _ended = timeout(PATIENCE, session.connection.close()).await;
                    (there, "it was sent away".to_owned())
                }
                End::Lost(error) => (another, error.to_string()),
            };
            self.book.open().callee_lost(self.number, &why);
            entry = next;
        }
    }

    fn another(&mut self, entry: usize) -> usize {
        let entries = self.urls.len();
        (entry + self.rng.random_range(1..entries.max(2))) % entries
    }

    async fn connect(&self, entry: usize) -> Option<Connection> {
        let roles = ROLES[self.number % ROLES.len()];
        let opening = Connection::open_as(&self.urls[entry], &self.realm, roles, SOCKET);
        timeout(PATIENCE, opening).await.ok()?.ok()
    }

    /// `Ok` when nobody orders any more.
    async fn serve(&mut self, session: &mut Session) -> Result<(), End> {
        loop {
            let order = *self.order.borrow_and_update();
            match order {
                Order::Dead => return Err(End::Killed),
                Order::Paused => {
                    if self.order.changed().await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
                Order::Go(there) if session.entry != there => return Err(End::Sent(there)),
                Order::Serve | Order::Go(_) => {}
            }
            let now = Instant::now();
            self.answer(session, now);
            if session.ask_at.is_some_and(|at| at <= now) {
                self.register(session);
            }
            let due = session.work.keys().next().map(|(at, _)| *at);
            let wake = due.into_iter().chain(session.ask_at).min();
            tokio::select! {
                exchanged = session.connection.exchange() => exchanged?,
                () = until(wake) => {}
                ordered = self.order.changed() => if ordered.is_err() { return Ok(()) },
            }
            self.hear(session)?;
        }
    }

    fn register(&self, session: &mut Session) {
        session.last += 1;
        session.asked = Some(session.last);
        session.ask_at = None;
        let options = if self.is_shared { json!({ "invoke": "roundrobin" }) } else { json!({}) };
        let register = json!([64, session.last, options, self.name]);
        session.connection.send(register.to_string().as_bytes());
    }

    fn answer(&self, session: &mut Session, now: Instant) {
        while let Some(((at, invocation), token)) = session.work.pop_first() {
            if at > now {
                session.work.insert((at, invocation), token);
                return;
            }
            let text = json!([70, invocation, {}, [token, self.number]]).to_string();
            session.connection.send(text.as_bytes());
        }
    }

    fn hear(&mut self, session: &mut Session) -> Result<(), End> {
        loop {
            let Some(text) = session.connection.next_text()? else { return Ok(()) };
            let message: Value = serde_json::from_slice(text).unwrap_or_default();
            match message[0].as_u64() {
                Some(65) if message[1].as_u64() == session.asked => {
                    session.asked = None;
                    session.told = message[2].as_u64();
                    let told = session.told.unwrap_or_default();
                    self.book.open().registered(self.number, told);
                }
                Some(8) if message[1] == 64 && message[2].as_u64() == session.asked => {
                    session.asked = None;
                    let again = Duration::from_millis(self.rng.random_range(AGAIN_MS));
                    session.ask_at = Some(Instant::now() + again);
                    let error = message[4].as_str().unwrap_or("no URI");
                    self.book.open().refused(error);
                }
                // It was told that it is one, and is not any more: the first word on it is this one.
                Some(67) if message[1] == 0 => return Err(End::Revoked),
                Some(68) => self.on_invocation(session, &message),
                Some(3 | 6) => {
                    let message = message.to_string();
                    return Err(End::Lost(ClientError::Aborted { message }));
                }
                _other => {
                    let what = format!("callee {}: {message}", self.number);
                    self.book.open().broken(what);
                }
            }
        }
    }

    fn on_invocation(&mut self, session: &mut Session, message: &Value) {
        let now = Instant::now();
        let (invocation, told) = (message[1].as_u64(), message[2].as_u64());
        let (Some(invocation), Some(told)) = (invocation, told) else {
            let what = format!("callee {}: {message}", self.number);
            return self.book.open().broken(what);
        };
        let fence = message[3]["x_vixen_fence"].as_u64().unwrap_or(told);
        self.book.open().invoked(now, self.number, (told, fence));
        let takes = self.work.mul_f64(self.rng.random());
        session.work.insert((now + takes, invocation), message[4][0].clone());
    }
}
