//! What procedures that decide have answered, for who has asked.

use std::fmt;

use metrics::{Unit, describe_gauge, describe_histogram, histogram};
use tokio::time::Instant;

use vixen_broker::api::calls::{CallError, Payload};
use vixen_broker::authority::Answer;

use super::{Asked, Decider, Question, WAITING};
use crate::auth::Decision;
use crate::authority::words::{decision, verdict};
use crate::authority::{Asker, Heard};

const AUTHORIZER_SECONDS: &str = "vixen_entry_authorizer_seconds";
const AUTHENTICATOR_SECONDS: &str = "vixen_entry_authenticator_seconds";

/// Errors of a callee that has not decided.
const GIVEN_UP: [&str; 3] = ["wamp.error.canceled", "wamp.error.timeout", "wamp.error.unavailable"];

/// Gives the metrics their help texts.
pub(super) fn describe() {
    describe_histogram!(
        AUTHORIZER_SECONDS,
        Unit::Seconds,
        "Questions to authorizers, until they were answered, by what came of them"
    );
    describe_histogram!(
        AUTHENTICATOR_SECONDS,
        Unit::Seconds,
        "Questions to authenticators, until they were answered, by what came of them"
    );
    describe_gauge!(WAITING, "Questions to procedures that decide, which wait for their turn");
}

/// Whether the procedure was not asked, as whoever answers for it takes no more now.
pub(super) const fn is_busy(error: &CallError) -> bool {
    match error {
        CallError::NoAvailableCallee { .. }
        | CallError::MaxConcurrency(_)
        | CallError::TooMany { .. }
        | CallError::Unavailable(_) => true,
        CallError::Callee { .. }
        | CallError::Meta(_)
        | CallError::NoSuchProcedure(_)
        | CallError::NotAnnounced { .. }
        | CallError::NotAuthorized
        | CallError::Canceled
        | CallError::CalleeGone { .. }
        | CallError::CallerTooSlow
        | CallError::Timeout { .. } => false,
    }
}

/// What libraries make of a procedure that has gone wrong itself.
const GONE_WRONG: [&str; 2] = ["wamp.error.runtime_error", "wamp.error.invalid_argument"];

const VERDICT_WANTED: &str =
    "its result is none that it may have: true, false or {\"allow\": true}";
const DECISION_WANTED: &str =
    "its result is none that it may have: the name of a role, {\"role\": \"user\"}, false or null";

/// Why nobody was asked, or nobody knows what was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unanswered {
    /// It has waited for its turn for as long as it may.
    Late,
    /// As much waits as may.
    Full,
    /// More was answered in one turn than the entry takes.
    Lost,
    /// The entry stops.
    Stopped,
}

impl Unanswered {
    const fn outcome(self) -> &'static str {
        match self {
            Self::Late => "timeout",
            Self::Full => "full",
            Self::Lost | Self::Stopped => "error",
        }
    }
}

impl fmt::Display for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Late => "it takes no more questions in time",
            Self::Full => "too many questions wait for it",
            Self::Lost => "its results are too large",
            Self::Stopped => "the entry stops",
        })
    }
}

impl Asked {
    /// Gives out what the procedure has answered, or why it has not.
    pub(super) fn answered(
        &mut self,
        decider: &Decider,
        question: Question,
        answer: Result<&Payload, &CallError>,
    ) {
        let Question { begun, asker, edition, .. } = question;
        let failed = match answer {
            Err(CallError::Timeout { .. }) => "timeout",
            _other => "error",
        };
        let mut unfit = None;
        let (seconds, outcome, wanted) = match asker {
            Asker::Session(asker) => {
                let verdict = answer.ok().and_then(verdict);
                let outcome = verdict.map_or(failed, |verdict| word_of(verdict.is_allowed));
                let answer = verdict.map_or(Answer::Failed, Answer::Verdict);
                // One that is gone wants no answer.
                let _gone = asker.send(Heard { answer, edition, ..Heard::nothing() });
                (AUTHORIZER_SECONDS, outcome, VERDICT_WANTED)
            }
            Asker::Login { asker, attempt } => {
                let decided = match answer {
                    Ok(payload) => decision(payload),
                    // That is how Crossbar's say no.
                    Err(CallError::Callee { uri, .. }) if !GIVEN_UP.contains(&&**uri) => {
                        Decision::Denied
                    }
                    Err(_) => Decision::None,
                };
                if let Decision::Welcome(principal) = &decided {
                    unfit = attempt.unfit(&decider.0, principal);
                }
                let outcome = match &decided {
                    // Nobody comes in by it.
                    Decision::Welcome(_) if unfit.is_some() => failed,
                    Decision::Welcome(_) => word_of(true),
                    Decision::Denied => word_of(false),
                    Decision::None => failed,
                };
                // Before anybody can take it, and also where nobody does.
                if decided == Decision::Denied {
                    attempt.deny();
                }
                // As above.
                let _gone = asker.send((decided, Instant::now()));
                (AUTHENTICATOR_SECONDS, outcome, DECISION_WANTED)
            }
        };
        histogram!(seconds, "outcome" => outcome).record(begun.elapsed().as_secs_f64());
        let reason = match answer {
            Ok(_) if outcome == failed => {
                Some(unfit.map_or_else(|| wanted.to_owned(), |unfit| unfit.to_string()))
            }
            // A no, as far as whoever logs in is told; most likely it has gone wrong.
            Err(CallError::Callee { uri, .. }) if GONE_WRONG.contains(&&**uri) => {
                Some(format!("it answers with the error {uri}"))
            }
            Err(error) if outcome == failed => Some(error.to_string()),
            _answered => None,
        };
        self.note_answer(decider, reason.as_deref());
    }

    /// Tells who has asked that there is no answer.
    pub(super) fn unanswered(&mut self, decider: &Decider, question: Question, why: &Unanswered) {
        let Question { begun, asker, .. } = question;
        let seconds = match asker {
            // One that is gone wants no answer.
            Asker::Session(asker) => {
                let _gone = asker.send(Heard::nothing());
                AUTHORIZER_SECONDS
            }
            Asker::Login { asker, .. } => {
                let _gone = asker.send((Decision::None, Instant::now()));
                AUTHENTICATOR_SECONDS
            }
        };
        histogram!(seconds, "outcome" => why.outcome()).record(begun.elapsed().as_secs_f64());
        if *why != Unanswered::Stopped {
            self.note_answer(decider, Some(&why.to_string()));
        }
    }

    /// Says in the log when a procedure begins to fail, and when it answers again.
    fn note_answer(&mut self, (realm, procedure): &Decider, failure: Option<&str>) {
        match failure {
            None if std::mem::take(&mut self.is_failing) => {
                tracing::info!(%realm, %procedure, "a procedure that decides answers again");
            }
            Some(reason) if !std::mem::replace(&mut self.is_failing, true) => {
                tracing::warn!(
                    %realm, %procedure, reason,
                    "a procedure that decides does not answer: what it is asked about is denied"
                );
            }
            _as_before => {}
        }
    }
}

const fn word_of(is_allowed: bool) -> &'static str {
    if is_allowed { "allowed" } else { "denied" }
}
