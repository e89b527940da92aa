//! Callers with a window of calls each, and callees that answer at once: what a router makes of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::measure::Latency;
use crate::client::{ClientError, Connection};

/// What a run of calls is.
#[derive(Clone, Debug)]
pub struct CallOptions {
    /// Where callers connect.
    pub caller_url: String,
    /// Where callees connect.
    pub callee_url: String,
    /// The realm of all of them.
    pub realm: String,
    /// Callers, each with its own connection.
    pub callers: usize,
    /// Callees of as many procedures; callers are spread over them.
    pub callees: usize,
    /// Calls that each caller keeps open.
    pub outstanding: usize,
    /// Bytes of the argument, and of the result.
    pub payload_bytes: usize,
    /// What is not counted.
    pub warm_up: Duration,
    /// What is.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct CallResult {
    /// Answered within the time that counts.
    pub calls: u64,
    /// Answers that were errors, at any time; they are no calls of the above.
    pub errors: u64,
    /// The first of them, as it came.
    pub first_error: Option<String>,
    /// From the send to the answer.
    pub latency: Latency,
}

/// Runs callees and callers until the time is over. `counting` is called when the time that counts begins.
///
/// # Errors
/// A connection is lost, or the router refuses something.
pub async fn run_calls(
    options: &CallOptions,
    counting: impl FnOnce(),
) -> Result<CallResult, ClientError> {
    let mut callees = JoinSet::new();
    let run: u32 = rand::random();
    for n in 0..options.callees.max(1) {
        let mut connection = Connection::open(&options.callee_url, &options.realm).await?;
        register(&mut connection, &procedure(run, n)).await?;
        callees.spawn(answer(connection, payload(options.payload_bytes)));
    }
    // A router that is slow to let callers in must not be measured while they come.
    let mut connections = Vec::new();
    for _ in 0..options.callers {
        connections.push(Connection::open(&options.caller_url, &options.realm).await?);
    }
    let from = Instant::now() + options.warm_up;
    let to = from + options.time;
    let mut callers = JoinSet::new();
    for (n, connection) in connections.into_iter().enumerate() {
        let caller = Caller {
            connection,
            procedure: procedure(run, n % options.callees.max(1)),
            payload: payload(options.payload_bytes),
            last: 0,
            open: BTreeMap::new(),
            result: CallResult::default(),
        };
        callers.spawn(caller.run(options.outstanding, from, to));
    }
    tokio::time::sleep_until(from.into()).await;
    counting();
    let mut all = CallResult::default();
    while let Some(done) = callers.join_next().await {
        let one = done.map_err(|error| ClientError::protocol(error.to_string()))??;
        all.calls += one.calls;
        all.errors += one.errors;
        all.first_error = all.first_error.or(one.first_error);
        all.latency.merge(&one.latency);
    }
    callees.shutdown().await;
    Ok(all)
}

/// Of this run alone: what the last one had registered may not have ended everywhere.
fn procedure(run: u32, n: usize) -> String {
    format!("bench.calls.r{run:08x}.p{n}")
}

/// A list of one text, of about so many bytes.
fn payload(bytes: usize) -> String {
    format!(r#"["{}"]"#, "x".repeat(bytes.saturating_sub(4)))
}

async fn register(connection: &mut Connection, procedure: &str) -> Result<(), ClientError> {
    connection.send(format!(r#"[64,1,{{}},"{procedure}"]"#).as_bytes());
    loop {
        while let Some(text) = connection.next_text()? {
            if text.starts_with(b"[65,") {
                return Ok(());
            }
            if text.starts_with(b"[8,") {
                let message = String::from_utf8_lossy(text).into_owned();
                return Err(ClientError::Refused { message });
            }
        }
        connection.exchange().await?;
    }
}

/// Answers each invocation with the same result.
async fn answer(mut connection: Connection, payload: String) -> Result<(), ClientError> {
    let mut invocations = Vec::new();
    loop {
        while let Some(text) = connection.next_text()? {
            if let Some(invocation) = id_after(text, b"[68,") {
                invocations.push(invocation);
            }
        }
        for invocation in invocations.drain(..) {
            // Writing to a growing buffer has no way to fail.
            connection.send_with(|out| {
                let _infallible = write!(out, "[70,{invocation},{{}},{payload}]");
            });
        }
        connection.exchange().await?;
    }
}

/// The id that follows this start of a message.
fn id_after(text: &[u8], start: &[u8]) -> Option<u64> {
    let rest = text.strip_prefix(start)?;
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    std::str::from_utf8(&rest[..digits]).ok()?.parse().ok()
}

struct Caller {
    connection: Connection,
    procedure: String,
    payload: String,
    /// The last request.
    last: u64,
    /// When each open call was sent.
    open: BTreeMap<u64, Instant>,
    result: CallResult,
}

impl Caller {
    async fn run(
        mut self,
        outstanding: usize,
        from: Instant,
        to: Instant,
    ) -> Result<CallResult, ClientError> {
        for _ in 0..outstanding {
            self.call();
        }
        loop {
            self.connection.exchange().await?;
            let mut answered = Vec::new();
            while let Some(text) = self.connection.next_text()? {
                let result = id_after(text, b"[50,").map(|request| (request, true));
                let error = id_after(text, b"[8,48,").map(|request| (request, false));
                if error.is_some() {
                    self.result.errors += 1;
                    let said = || String::from_utf8_lossy(text).into_owned();
                    self.result.first_error.get_or_insert_with(said);
                }
                answered.extend(result.or(error));
            }
            let now = Instant::now();
            for (request, is_result) in answered {
                let Some(sent) = self.open.remove(&request) else {
                    let message = format!("a second answer to call {request}");
                    return Err(ClientError::protocol(message));
                };
                if is_result && (from..to).contains(&now) {
                    self.result.calls += 1;
                    let took = now.saturating_duration_since(sent).as_nanos();
                    self.result.latency.record(u64::try_from(took).unwrap_or(u64::MAX));
                }
                self.call();
            }
            if now >= to {
                return Ok(self.result);
            }
        }
    }

    fn call(&mut self) {
        self.last += 1;
        let Self { connection, procedure, payload, last, open, .. } = self;
        connection.send_with(|out| {
            let _infallible = write!(out, r#"[48,{last},{{}},"{procedure}",{payload}]"#);
        });
        open.insert(*last, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_read_from_the_start_of_a_message() {
        assert_eq!(id_after(b"[50,17,{},[1]]", b"[50,"), Some(17));
        assert_eq!(id_after(b"[8,48,9,{},\"e\"]", b"[8,48,"), Some(9));
        assert_eq!(id_after(b"[8,64,9,{},\"e\"]", b"[8,48,"), None);
        assert_eq!(id_after(b"[50,", b"[50,"), None);
    }

    #[test]
    fn a_payload_has_its_bytes() {
        assert_eq!(payload(128).len(), 128);
    }
}
