//! Requests of users whose role has an authorizer: it is asked before anything is done, each time.

use std::sync::Arc;

use axum::http::{HeaderMap, HeaderValue};
use serde_json::{Map, Value};

use vixen_broker::access::{self, Act};
use vixen_broker::authority::{Answer, Verdict};
use vixen_core::segment::Match;

use super::resume::LastEventId;
use crate::admission::AdmittedSession;
use crate::authority::ask;
use crate::authority::options::bounded;
use crate::gates::context::SessionContext;
use crate::gates::refusal::{OptionError, Refusal};
use crate::gates::web::Problem;

/// What is ruled about a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ruling {
    /// It may be.
    Allowed {
        /// Others are told who it is that does this, whatever the permissions say.
        discloses: bool,
    },
    /// It may not.
    Denied(Refusal),
    /// The realms were read again meanwhile: it is to be judged anew.
    Again,
}

/// Whether a session may do what its role lets it, with these options, as authorizers are told them.
///
/// # Errors
/// The configuration does not know the session any more.
pub(super) async fn ruling(
    context: &SessionContext,
    admitted: &mut AdmittedSession,
    act: Act,
    (uri, matching): (&Arc<str>, Match),
    options: Result<Arc<str>, OptionError>,
) -> Result<Ruling, Problem> {
    let permissions = admitted.permissions();
    let Some(authorizer) = permissions.authorizer() else {
        return Ok(Ruling::Allowed { discloses: false });
    };
    let options = match options {
        Ok(options) => options,
        Err(too_long) => return Ok(Ruling::Denied(too_long.into())),
    };
    let Some(question) = permissions.question(act, uri, matching, &options) else {
        return Ok(Ruling::Allowed { discloses: false });
    };
    let timeout = authorizer.timeout;
    let heard = ask(&context.events, admitted.info(), authorizer, &question).await;
    if admitted.rights().have_changed() {
        admitted.rights().judge().map_err(Problem::of_rights)?;
        return Ok(Ruling::Again);
    }
    // One that is taken late is none.
    let is_late = heard.at.elapsed() > timeout;
    Ok(match heard.answer {
        Answer::Verdict(Verdict { is_allowed: true, discloses, .. }) if !is_late => {
            Ruling::Allowed { discloses }
        }
        Answer::Verdict(_) | Answer::Failed => {
            Ruling::Denied(access::Refusal::NotAuthorized(act).into())
        }
    })
}

/// Parameters of a query that are options of what is asked for, as authorizers are told them: those of WAMP as they are
/// there. A browser that comes back says by a header where it was.
pub(super) fn options_of(
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<Arc<str>, OptionError> {
    let mut options = Map::new();
    for (key, text) in query {
        let value = match key.as_str() {
            // How topics are compared is told as it is done.
            "realm" | "topic" | "match" => continue,
            "limit" => text.parse::<u64>().map_or_else(|_| text.as_str().into(), Value::from),
            "snapshot" => Value::from(matches!(text.as_str(), "" | "true" | "1")),
            _text => text.as_str().into(),
        };
        options.insert(key.clone(), value);
    }
    match LastEventId::of(headers) {
        LastEventId::Absent => {}
        // Whatever the query says then means nothing.
        LastEventId::Point(_) | LastEventId::Unreadable => {
            let last = headers.get("last-event-id").map_or(&b""[..], HeaderValue::as_bytes);
            options.insert("after".to_owned(), String::from_utf8_lossy(last).into());
        }
    }
    bounded(Value::from(options).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_parameters_are_told_but_where_and_what() {
        let query = [
            ("realm", "r"),
            ("topic", "a."),
            ("match", "prefix"),
            ("after", "41"),
            ("limit", "7"),
            ("snapshot", ""),
        ];
        let query: Vec<_> =
            query.map(|(key, text)| (key.to_owned(), text.to_owned())).into_iter().collect();
        let mut headers = HeaderMap::new();
        let said = |query: &[(String, String)], headers: &HeaderMap| {
            let options = options_of(query, headers).expect("short");
            serde_json::from_str::<Value>(&options).expect("JSON")
        };
        let wanted = serde_json::json!({"after": "41", "limit": 7, "snapshot": true});
        assert_eq!(said(&query, &headers), wanted);
        headers.insert("last-event-id", "2611210830e1a2b3a0".parse().expect("a header"));
        assert_eq!(said(&query, &headers)["after"], "2611210830e1a2b3a0");
        assert_eq!(said(&[], &HeaderMap::new()), serde_json::json!({}));
        let long = [("after".to_owned(), "x".repeat(5_000))];
        assert_eq!(options_of(&long, &HeaderMap::new()), Err(OptionError::TooLong));
    }

    #[test]
    fn the_place_that_is_told_is_the_one_from_which_it_goes_on() {
        let query = [("after".to_owned(), "41".to_owned())];
        let after = |last: &[u8]| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_bytes(last).expect("a header"));
            let options = options_of(&query, &headers).expect("short");
            let told: Value = serde_json::from_str(&options).expect("JSON");
            told["after"].as_str().expect("a text").to_owned()
        };
        // An empty one is none, and the query holds.
        assert_eq!(after(b""), "41");
        assert_eq!(after(b"42"), "42");
        // What no entry has sent is told as it stands: it goes on at the end.
        assert_eq!(after(b"nonsense"), "nonsense");
        assert_eq!(after(b"\xff"), "\u{fffd}");
    }
}
