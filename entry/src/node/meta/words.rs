//! Arguments of the router's own procedures as questions, and replies as results: JSON on both sides.
//!
//! Sources: WAMP spec *Session Meta API*, *Registration Meta API*, *Subscription Meta API*, and what other routers
//! do where it is silent (`docs/design/027-calls.md`). What is not looked at is passed over; null counts as absent.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use vixen_broker::access::is_loose_uri;
use vixen_broker::api::calls::{Invoke, MetaError, Payload, Scope};
use vixen_broker::api::{SessionId, SubscriptionId};
use vixen_broker::meta::{
    ADDED_BYTES_MAX, Details, Goodbye, Lists, Procedure, Question, RegistrationQuestion, Reply,
    SessionDetails, Whom,
};
use vixen_core::payload::as_json;
use vixen_core::segment::{Encoding, Match};
use vixen_core::time::WallTime;

use super::stored::{Wanted, wanted_of};
use crate::gates::options::matching_of;
use crate::gates::uris::KILLED;

/// The longest reason and the longest message of a GOODBYE, in bytes: it goes to many.
const REASON_BYTES_MAX: usize = 512;
/// In a list of roles.
const TEXTS_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 4 << 10;
/// Bytes of roles, and of details: they go to all entries.
const TEXT_BYTES_MAX: usize = 32 << 10;
/// What one of the details takes beside its texts.
const ENTRY_BYTES: usize = 64;

/// What a session says of itself, and others may not say of it.
const OWN_DETAILS: [&str; 7] =
    ["session", "realm", "authid", "authrole", "authmethod", "authprovider", "transport"];

/// What a call of the router's own procedures asks for.
pub(super) enum Asked {
    /// Of sessions and subscriptions.
    Of(Question),
    /// Of registrations.
    Registrations(RegistrationQuestion),
    /// That a session is callee of a registration no more.
    RemoveCallee { registration: u64, session: SessionId },
    /// What is stored of a subscription.
    Events { subscription: SubscriptionId, wanted: Box<Wanted> },
    /// To leave what the gate has made of the arguments.
    AddTestament,
    /// To forget the testaments of a scope.
    FlushTestaments(Scope),
}

/// The arguments of a call.
pub(super) struct Arguments {
    args: Vec<Value>,
    kwargs: Map<String, Value>,
}

impl Arguments {
    pub(super) fn of(payload: &Payload) -> Result<Self, MetaError> {
        let mut scratch = BytesMut::new();
        let (args, kwargs) = as_json(&payload.bytes, payload.content, &mut scratch)
            .map_err(|error| argument(&format!("the arguments cannot be read: {error}")))?;
        let deep = |_| argument("the arguments are too deep");
        Ok(Self {
            args: args.map_or(Ok(Vec::new()), serde_json::from_slice).map_err(deep)?,
            kwargs: kwargs.map_or(Ok(Map::new()), serde_json::from_slice).map_err(deep)?,
        })
    }

    pub(super) fn at(&self, index: usize) -> Option<&Value> {
        self.args.get(index).filter(|value| !value.is_null())
    }

    pub(super) fn key(&self, name: &str) -> Option<&Value> {
        self.kwargs.get(name).filter(|value| !value.is_null())
    }

    fn id(&self, index: usize, name: &'static str) -> Result<u64, MetaError> {
        self.at(index).and_then(Value::as_u64).ok_or_else(|| wanted(index, name, "an id"))
    }

    fn text(&self, index: usize, name: &'static str) -> Result<&str, MetaError> {
        self.at(index).and_then(Value::as_str).ok_or_else(|| wanted(index, name, "a text"))
    }

    /// A URI or a pattern: what looking for it costs is bounded by its length.
    fn uri(&self, index: usize, name: &'static str, bytes_max: usize) -> Result<&str, MetaError> {
        bounded(self.text(index, name)?, name, bytes_max)
    }

    /// A list of texts, where there is one. Each session is compared with each of them.
    fn texts(&self, index: usize, name: &'static str) -> Result<Option<Vec<String>>, MetaError> {
        let Some(value) = self.at(index).or_else(|| self.key(name)) else { return Ok(None) };
        let texts = value.as_array().map(|list| list.iter().map(Value::as_str));
        let texts: Option<Vec<_>> = texts.into_iter().flatten().collect();
        let texts = texts.filter(|_| value.is_array());
        let texts = texts.ok_or_else(|| wanted(index, name, "a list of texts"))?;
        let bytes = texts.iter().map(|text| text.len()).sum::<usize>();
        if texts.len() > TEXTS_MAX || bytes > TEXT_BYTES_MAX {
            let most = format!("{name} has more than {TEXTS_MAX} texts or {TEXT_BYTES_MAX} bytes");
            return Err(argument(&most));
        }
        Ok(Some(texts.into_iter().map(str::to_owned).collect()))
    }

    /// How a URI matches, by the options that follow it.
    fn matching(&self, index: usize) -> Result<Match, MetaError> {
        let Some(options) = self.at(index).or_else(|| self.key("options")) else {
            return Ok(Match::Exact);
        };
        let options =
            options.as_object().ok_or_else(|| wanted(index, "options", "a dictionary"))?;
        match options.get("match").filter(|value| !value.is_null()) {
            None => Ok(Match::Exact),
            Some(name) => name
                .as_str()
                .and_then(matching_of)
                .ok_or_else(|| wanted(index, "match", "'exact', 'prefix' or 'wildcard'")),
        }
    }

    /// A reason and a message, by their names or from a place on.
    fn goodbye(&self, index: usize) -> Result<Goodbye, MetaError> {
        let text = |index, name| match self.at(index).or_else(|| self.key(name)) {
            None => Ok(None),
            Some(value) => value.as_str().map(Some).ok_or_else(|| wanted(index, name, "a text")),
        };
        let reason = text(index, "reason")?.unwrap_or(KILLED);
        if reason.len() > REASON_BYTES_MAX || !is_loose_uri(reason) {
            let said =
                format!("reason is a URI of at most {REASON_BYTES_MAX} bytes, as in {KILLED:?}");
            return Err(MetaError::Uri(said.into()));
        }
        let message = text(index + 1, "message")?;
        if message.is_some_and(|message| message.len() > MESSAGE_BYTES_MAX) {
            return Err(argument(&format!("message has more than {MESSAGE_BYTES_MAX} bytes")));
        }
        Ok(Goodbye { reason: reason.to_owned(), message: message.map(str::to_owned) })
    }

    /// Of which testaments.
    fn scope(&self) -> Result<Scope, MetaError> {
        match self.at(0).or_else(|| self.key("scope")).map(Value::as_str) {
            None | Some(Some("destroyed")) => Ok(Scope::Destroyed),
            Some(Some("detached")) => Ok(Scope::Detached),
            Some(_) => Err(MetaError::Scope),
        }
    }

    /// What is to change of a session's details.
    fn delta(&self, index: usize) -> Result<BTreeMap<String, Option<String>>, MetaError> {
        let delta = self.at(index).or_else(|| self.key("details")).and_then(Value::as_object);
        let delta = delta.ok_or_else(|| wanted(index, "details", "a dictionary"))?;
        if let Some(own) = OWN_DETAILS.iter().find(|own| delta.contains_key(**own)) {
            return Err(argument(&format!("{own} of a session does not change")));
        }
        let text = |value: &Value| (!value.is_null()).then(|| value.to_string());
        let delta: BTreeMap<_, _> =
            delta.iter().map(|(key, value)| (key.clone(), text(value))).collect();
        let entry_bytes = |(key, value): (&String, &Option<String>)| {
            ENTRY_BYTES + key.len() + value.as_ref().map_or(0, String::len)
        };
        if delta.iter().map(entry_bytes).sum::<usize>() > TEXT_BYTES_MAX {
            return Err(argument(&format!("details have more than {TEXT_BYTES_MAX} bytes")));
        }
        Ok(delta)
    }
}

/// A URI that is not too long.
pub(super) fn bounded<'a>(
    uri: &'a str,
    name: &str,
    bytes_max: usize,
) -> Result<&'a str, MetaError> {
    if uri.len() > bytes_max {
        let said = format!("{name} has more than {bytes_max} bytes: limits.topic-bytes-max");
        return Err(MetaError::Uri(said.into()));
    }
    Ok(uri)
}

/// What a procedure is called for; no URI has more than `uri_bytes_max`.
pub(super) fn asked(
    procedure: Procedure,
    of: &Arguments,
    uri_bytes_max: usize,
) -> Result<Asked, MetaError> {
    use Question as Q;
    use RegistrationQuestion as R;
    let session = || of.id(0, "session").map(SessionId);
    let subscription = || of.id(0, "subscription").map(SubscriptionId);
    let registration = || of.id(0, "registration");
    let kill =
        |whom, index| of.goodbye(index).map(|goodbye| Asked::Of(Question::Kill { whom, goodbye }));
    let topic = || of.uri(0, "topic", uri_bytes_max).map(str::to_owned);
    let called = || of.uri(0, "procedure", uri_bytes_max).map(Arc::from);
    Ok(match procedure {
        Procedure::ListRegistrations => Asked::Registrations(R::List),
        Procedure::LookupRegistration => {
            Asked::Registrations(R::Lookup { uri: called()?, matching: of.matching(1)? })
        }
        Procedure::MatchRegistration => Asked::Registrations(R::Match(called()?)),
        Procedure::GetRegistration => Asked::Registrations(R::Get(registration()?)),
        Procedure::ListCallees => Asked::Registrations(R::ListCallees(registration()?)),
        Procedure::CountCallees => Asked::Registrations(R::CountCallees(registration()?)),
        Procedure::RemoveCallee => Asked::RemoveCallee {
            registration: registration()?,
            session: SessionId(of.id(1, "session")?),
        },
        Procedure::CountSessions => Asked::Of(Q::CountSessions(of.texts(0, "filter_authroles")?)),
        Procedure::ListSessions => Asked::Of(Q::ListSessions(of.texts(0, "filter_authroles")?)),
        Procedure::GetSession => Asked::Of(Q::GetSession(session()?)),
        Procedure::Kill => kill(Whom::Session(session()?), 1)?,
        Procedure::KillByAuthid => kill(Whom::Authid(of.text(0, "authid")?.to_owned()), 1)?,
        Procedure::KillByAuthrole => kill(Whom::Authrole(of.text(0, "authrole")?.to_owned()), 1)?,
        Procedure::KillAll => kill(Whom::All, 0)?,
        Procedure::ModifyDetails => Asked::Of(Q::ModifyDetails(session()?, of.delta(1)?)),
        Procedure::AddTestament => Asked::AddTestament,
        Procedure::FlushTestaments => Asked::FlushTestaments(of.scope()?),
        Procedure::ListSubscriptions => Asked::Of(Q::ListSubscriptions),
        Procedure::LookupSubscription => {
            Asked::Of(Q::LookupSubscription { uri: topic()?, matching: of.matching(1)? })
        }
        Procedure::MatchSubscriptions => Asked::Of(Q::MatchSubscriptions(topic()?)),
        Procedure::GetSubscription => Asked::Of(Q::GetSubscription(subscription()?)),
        Procedure::ListSubscribers => Asked::Of(Q::ListSubscribers(subscription()?)),
        Procedure::CountSubscribers => Asked::Of(Q::CountSubscribers(subscription()?)),
        Procedure::GetEvents => {
            let (subscription, wanted) = (subscription()?, Box::new(wanted_of(of, uri_bytes_max)?));
            Asked::Events { subscription, wanted }
        }
    })
}

/// What the caller is told.
pub(super) fn told(procedure: Procedure, reply: Reply) -> Result<Payload, MetaError> {
    let value = match reply {
        Reply::Done => Value::Null,
        Reply::Count(count) => json!(count),
        // Of topics that nobody has subscribed.
        Reply::Ids(ids) if ids.is_empty() && procedure == Procedure::MatchSubscriptions => {
            Value::Null
        }
        Reply::Ids(ids) => json!(ids),
        Reply::Found(found) => json!(found.map(|found| found.id)),
        Reply::Lists(Lists { exact, prefix, wildcard }) => {
            json!({"exact": exact, "prefix": prefix, "wildcard": wildcard})
        }
        Reply::Session(details) => session_details(details),
        Reply::Subscription(details) => json!(pattern_details(&details)),
        Reply::Registration(details, invoke) => registration_details(&details, invoke),
        Reply::NoSuch(missing) => return Err(MetaError::NoSuch(missing)),
        Reply::TooMuch => {
            let most = format!("what is added to a session has {ADDED_BYTES_MAX} bytes at most");
            return Err(argument(&most));
        }
    };
    Ok(result(&value))
}

/// One value as the only argument.
pub(super) fn result(value: &Value) -> Payload {
    let bytes = Bytes::from(json!([value]).to_string());
    Payload::new(Encoding::Json, bytes)
}

/// Texts of JSON as one list, the only argument.
pub(super) fn results(all: &[String]) -> Payload {
    let bytes = Bytes::from(format!("[[{}]]", all.join(",")));
    Payload::new(Encoding::Json, bytes)
}

fn session_details(details: SessionDetails) -> Value {
    let SessionDetails { session, realm, authid, authrole, authmethod, authprovider, added } =
        details;
    // Texts that were JSON as they came.
    let added = added.into_iter().filter_map(|(key, value)| {
        serde_json::from_str::<Value>(&value).ok().map(|value| (key, value))
    });
    let mut all: Map<String, Value> = added.collect();
    let own = json!({
        "session": session.0,
        "realm": *realm,
        "authid": *authid,
        "authrole": *authrole,
        "authmethod": *authmethod,
        "authprovider": *authprovider,
        "transport": {"type": "websocket"},
    });
    if let Value::Object(own) = own {
        all.extend(own);
    }
    Value::Object(all)
}

/// As [`pattern_details`], with the policy.
pub(super) fn registration_details(details: &Details, invoke: Invoke) -> Value {
    let mut all = pattern_details(details);
    let invoke = match invoke {
        Invoke::Single => "single",
        Invoke::RoundRobin => "roundrobin",
        Invoke::Random => "random",
        Invoke::First => "first",
        Invoke::Last => "last",
    };
    all.insert("invoke".to_owned(), invoke.into());
    Value::Object(all)
}

/// `{id, created, uri, match}`
pub(super) fn pattern_details(details: &Details) -> Map<String, Value> {
    let Details { id, created, uri, matching } = details;
    let matching = match matching {
        // Asked for as an exact topic with placeholders.
        Match::Exact | Match::Dotted => "exact",
        Match::Prefix => "prefix",
        Match::Wildcard => "wildcard",
    };
    let members: [(&str, Value); 4] = [
        ("id", (*id).into()),
        ("created", time(*created).into()),
        ("uri", (**uri).into()),
        ("match", matching.into()),
    ];
    members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}

/// RFC 3339, to the millisecond.
fn time(at: WallTime) -> Option<String> {
    let at = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok())?;
    Some(format!("{at:.3}"))
}

pub(super) fn argument(text: &str) -> MetaError {
    MetaError::Argument(text.into())
}

fn wanted(index: usize, name: &str, what: &str) -> MetaError {
    argument(&format!("argument {} ({name}) is not {what}", index + 1))
}
