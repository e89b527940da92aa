//! Sessions of wamp_async, driven by ../../peer.py: see there for the commands.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::{Mutex, RwLock, oneshot};
use tokio::task::JoinHandle;
use wamp_async::{
    Arg, AuthenticationChallengeResponse, AuthenticationMethod, Client, ClientConfig, ClientRole,
    SerializerType, WampArgs, WampDict, WampError, WampId, WampKwArgs,
};

/// What became of a command.
enum Failure {
    NotInLibrary(&'static str),
    Library(WampError),
    Other(String),
}

impl From<WampError> for Failure {
    fn from(error: WampError) -> Self {
        Self::Library(error)
    }
}

type Done = Result<Value, Failure>;
type Shared = Arc<RwLock<Client<'static>>>;
type Payload = (Option<WampArgs>, Option<WampKwArgs>);
/// Who waits for what a callee is to answer, by numbers of this process.
type Invocations = Arc<std::sync::Mutex<HashMap<u64, oneshot::Sender<Result<Payload, WampError>>>>>;

#[derive(Default)]
struct Peer {
    sessions: Mutex<HashMap<String, Shared>>,
    /// What reads of the session; over when that is.
    readers: Mutex<HashMap<String, JoinHandle<()>>>,
    subscriptions: Mutex<HashMap<u64, (Shared, WampId)>>,
    registrations: Mutex<HashMap<u64, (Shared, WampId)>>,
    invocations: Invocations,
    last_invocation: Arc<AtomicU64>,
    /// Calls under way, by session.
    calls: Mutex<HashMap<String, Vec<JoinHandle<()>>>>,
}

fn text<'a>(command: &'a Value, key: &str) -> &'a str {
    command[key].as_str().unwrap_or_default()
}

fn no_session(name: &str) -> Failure {
    Failure::Other(format!("no session {name}"))
}

impl Peer {
    async fn run(&self, command: &Value) -> Done {
        match text(command, "do") {
            "open" => self.open(command).await,
            "subscribe" => self.subscribe(command).await,
            "unsubscribe" => self.unsubscribe(command).await,
            "publish" => self.publish(command).await,
            "register" => self.register(command).await,
            "unregister" => self.unregister(command).await,
            "yield" => self.give(command),
            "fail" => self.fail(command),
            "call" => self.call(command).await,
            "cancel" => Err(Failure::NotInLibrary("has no CANCEL")),
            "more" => Err(Failure::NotInLibrary("a call is one message")),
            "ended" => self.ended(command).await,
            "close" => self.close(command).await,
            other => Err(Failure::Other(format!("no command {other}"))),
        }
    }

    async fn session(&self, command: &Value) -> Result<Shared, Failure> {
        let name = text(command, "session");
        self.sessions.lock().await.get(name).cloned().ok_or_else(|| no_session(name))
    }

    async fn open(&self, command: &Value) -> Done {
        let serializer = match text(command, "serializer") {
            "json" => SerializerType::Json,
            "msgpack" => SerializerType::MsgPack,
            _ => return Err(Failure::NotInLibrary("no such serializer")),
        };
        let auth = &command["auth"];
        let method = match text(auth, "method") {
            "anonymous" => None,
            "ticket" => Some(AuthenticationMethod::Ticket),
            "wampcra" => Some(AuthenticationMethod::WampCra),
            _ => return Err(Failure::NotInLibrary("has Ticket and WAMP-CRA alone")),
        };
        let roles = vec![
            ClientRole::Publisher,
            ClientRole::Subscriber,
            ClientRole::Caller,
            ClientRole::Callee,
        ];
        let config = ClientConfig::default().set_serializers(vec![serializer]).set_roles(roles);
        let (mut client, (events, calls)) =
            Client::connect(text(command, "url"), Some(config)).await?;
        let reader = tokio::spawn(async move { events.await.unwrap_or_default() });
        if let Some(mut calls) = calls {
            tokio::spawn(async move {
                while let Some(call) = calls.recv().await {
                    tokio::spawn(call);
                }
            });
        }
        let (realm, authid) = (text(command, "realm"), text(auth, "authid"));
        match method {
            None => client.join_realm(realm).await?,
            Some(method) => {
                let secret = text(auth, "secret").to_owned();
                let answer = move |method, extra| {
                    let signature = signature(&secret, &method, &extra);
                    async move { Ok(AuthenticationChallengeResponse::with_signature(signature?)) }
                };
                client.join_realm_with_authentication(realm, vec![method], authid, answer).await?;
            }
        }
        let (name, client) = (text(command, "name").to_owned(), Arc::new(RwLock::new(client)));
        self.sessions.lock().await.insert(name.clone(), client);
        self.readers.lock().await.insert(name, reader);
        // What WELCOME says is not told.
        Ok(json!({ "session": null, "authid": null, "authrole": null, "authmethod": null }))
    }

    async fn subscribe(&self, command: &Value) -> Done {
        has_no_options(command, "SUBSCRIBE has no options")?;
        let id = command["id"].as_u64().unwrap_or_default();
        let client = self.session(command).await?;
        let (subscription, mut queue) =
            client.read().await.subscribe(text(command, "topic")).await?;
        self.subscriptions.lock().await.insert(id, (client, subscription));
        tokio::spawn(async move {
            while let Some((publication, args, kwargs)) = queue.recv().await {
                let (args, kwargs) = (args.unwrap_or_default(), kwargs.unwrap_or_default());
                // Details are not told.
                println!(
                    "{}",
                    json!({ "event": id, "publication": publication, "args": args, "kwargs": kwargs })
                );
            }
        });
        Ok(json!({ "subscription": subscription }))
    }

    async fn unsubscribe(&self, command: &Value) -> Done {
        let id = command["subscription"].as_u64().unwrap_or_default();
        let subscription = self.subscriptions.lock().await.get(&id).cloned();
        let (client, subscription) =
            subscription.ok_or_else(|| Failure::Other(format!("no subscription {id}")))?;
        client.read().await.unsubscribe(subscription).await?;
        Ok(json!({}))
    }

    async fn publish(&self, command: &Value) -> Done {
        let options = command["options"].as_object().cloned().unwrap_or_default();
        if options.keys().any(|option| option != "acknowledge") {
            return Err(Failure::NotInLibrary("PUBLISH has no option but acknowledge"));
        }
        let client = self.session(command).await?;
        let (args, kwargs) = payload(command)?;
        let acknowledge = options.get("acknowledge") == Some(&json!(true));
        let topic = text(command, "topic");
        let publication = client.read().await.publish(topic, args, kwargs, acknowledge).await?;
        Ok(json!({ "publication": publication }))
    }

    async fn register(&self, command: &Value) -> Done {
        has_no_options(command, "REGISTER has no options")?;
        let id = command["id"].as_u64().unwrap_or_default();
        let client = self.session(command).await?;
        let (invocations, last) =
            (Arc::clone(&self.invocations), Arc::clone(&self.last_invocation));
        let given = command["answer"].as_array().cloned();
        let called = move |args: Option<WampArgs>, kwargs: Option<WampKwArgs>| {
            let number = last.fetch_add(1, Ordering::Relaxed) + 1;
            let (answer, answered) = oneshot::channel();
            if let Some(given) = given.clone() {
                let _waits_below = answer.send(Ok((Some(given), None)));
                return waited_for(answered);
            }
            invocations.lock().expect("no panic holds it").insert(number, answer);
            let (args, kwargs) = (args.unwrap_or_default(), kwargs.unwrap_or_default());
            // Details are not told.
            println!(
                "{}",
                json!({ "event": id, "invocation": number, "args": args, "kwargs": kwargs })
            );
            waited_for(answered)
        };
        let procedure = text(command, "procedure");
        let registration = client.read().await.register(procedure, called).await?;
        self.registrations.lock().await.insert(id, (client, registration));
        Ok(json!({ "registration": registration }))
    }

    async fn unregister(&self, command: &Value) -> Done {
        let id = command["registration"].as_u64().unwrap_or_default();
        let registration = self.registrations.lock().await.get(&id).cloned();
        let (client, registration) =
            registration.ok_or_else(|| Failure::Other(format!("no registration {id}")))?;
        client.read().await.unregister(registration).await?;
        Ok(json!({}))
    }

    /// Has a call answered; whether it was there is for the scenario to see.
    fn answer(&self, command: &Value, answer: Result<Payload, WampError>) {
        let number = command["invocation"].as_u64().unwrap_or_default();
        let waits = self.invocations.lock().expect("no panic holds it").remove(&number);
        if let Some(waits) = waits {
            let _gone = waits.send(answer);
        }
    }

    fn give(&self, command: &Value) -> Done {
        has_no_options(command, "YIELD has no options")?;
        self.answer(command, Ok(payload(command)?));
        Ok(json!({}))
    }

    fn fail(&self, command: &Value) -> Done {
        self.answer(command, Err(WampError::from(text(command, "error").to_owned())));
        Err(Failure::NotInLibrary("a callee's error has one URI, the library's"))
    }

    async fn call(&self, command: &Value) -> Done {
        if command["options"]["progress"] == true {
            return Err(Failure::NotInLibrary("a call is one message"));
        }
        has_no_options(command, "CALL has no options")?;
        let client = self.session(command).await?;
        let (args, kwargs) = payload(command)?;
        let (id, procedure) = (command["id"].clone(), text(command, "procedure").to_owned());
        let under_way = tokio::spawn(async move {
            let done = client.read().await.call(procedure, args, kwargs).await.map(|result| {
                let (args, kwargs) = (result.0.unwrap_or_default(), result.1.unwrap_or_default());
                // Details are not told.
                json!({ "args": args, "kwargs": kwargs, "callee": null })
            });
            println!("{}", json!({ "event": id, "outcome": outcome(done.map_err(Failure::from)) }));
        });
        let name = text(command, "session").to_owned();
        self.calls.lock().await.entry(name).or_default().push(under_way);
        Ok(json!({}))
    }

    async fn ended(&self, command: &Value) -> Done {
        let name = text(command, "session");
        let reader = self.readers.lock().await.remove(name).ok_or_else(|| no_session(name))?;
        reader.await.map_err(|error| Failure::Other(error.to_string()))?;
        Ok(json!({ "reason": null }))
    }

    async fn close(&self, command: &Value) -> Done {
        let client = self.session(command).await?;
        let name = text(command, "session");
        self.sessions.lock().await.remove(name);
        // The library leaves when nobody waits for it any more.
        for call in self.calls.lock().await.remove(name).unwrap_or_default() {
            call.abort();
            let _aborted = call.await;
        }
        client.write().await.leave_realm().await?;
        // The reason of GOODBYE is not told.
        Ok(json!({ "reason": null }))
    }
}

async fn waited_for(
    answered: oneshot::Receiver<Result<Payload, WampError>>,
) -> Result<Payload, WampError> {
    answered.await.map_err(|error| WampError::from(error.to_string()))?
}

/// `ok`, or what went wrong.
fn outcome(done: Done) -> Value {
    match done {
        Ok(done) => json!({ "ok": done }),
        Err(Failure::NotInLibrary(why)) => json!({ "not_in_library": why }),
        Err(Failure::Other(why)) => json!({ "failure": why }),
        Err(Failure::Library(WampError::ServerError(uri, details))) => {
            json!({ "error": uri, "message": format!("{details:?}") })
        }
        Err(Failure::Library(error)) => {
            let message = format!("{error:?}");
            match uri_in(&message) {
                Some(uri) => json!({ "error": uri, "message": message }),
                None if message.contains("unknown sub_id") => {
                    json!({ "not_in_library": "knows by itself what is subscribed" })
                }
                None if message.contains("invalid ID") => {
                    json!({ "not_in_library": "knows by itself what is registered" })
                }
                None => json!({ "failure": message }),
            }
        }
    }
}

fn has_no_options(command: &Value, why: &'static str) -> Result<(), Failure> {
    let has_any = command["options"].as_object().is_some_and(|options| !options.is_empty());
    if has_any { Err(Failure::NotInLibrary(why)) } else { Ok(()) }
}

fn payload(command: &Value) -> Result<Payload, Failure> {
    let args = decode(&command["args"])?.as_array().cloned();
    Ok((args, decode(&command["kwargs"])?.as_object().cloned()))
}

/// Puts in the integers that have a mark.
fn decode(value: &Value) -> Done {
    match value {
        Value::Array(items) => {
            Ok(Value::Array(items.iter().map(decode).collect::<Result<_, _>>()?))
        }
        Value::Object(map) if map.len() == 1 && map.contains_key("$bytes") => {
            Err(Failure::NotInLibrary("values are those of JSON"))
        }
        Value::Object(map) if map.len() == 1 && map.contains_key("$int") => {
            serde_json::from_str(text(value, "$int"))
                .map_err(|error| Failure::Other(error.to_string()))
        }
        Value::Object(map) => {
            let decoded = map.iter().map(|(key, value)| Ok((key.clone(), decode(value)?)));
            Ok(Value::Object(decoded.collect::<Result<_, Failure>>()?))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(value.clone()),
    }
}

/// The answer to a CHALLENGE (WAMP spec, *Ticket-based* and *Challenge Response Authentication*).
fn signature(
    secret: &str,
    method: &AuthenticationMethod,
    extra: &WampDict,
) -> Result<String, WampError> {
    let text = |key: &str| match extra.get(key) {
        Some(Arg::String(text) | Arg::Uri(text)) => Ok(text.clone()),
        other => Err(WampError::from(format!("CHALLENGE has {other:?} for {key}"))),
    };
    // An `Arg` of an integer may have been taken for an id.
    let number = |key: &str| match extra.get(key) {
        Some(Arg::Integer(number)) => Ok(*number as u64),
        Some(Arg::Id(id)) => Ok(std::num::NonZeroU64::from(*id).get()),
        other => Err(WampError::from(format!("CHALLENGE has {other:?} for {key}"))),
    };
    match method {
        AuthenticationMethod::WampCra => {}
        AuthenticationMethod::Ticket | AuthenticationMethod::Anonymous => {
            return Ok(secret.to_owned());
        }
    }
    let key = if extra.contains_key("salt") {
        let iterations = u32::try_from(number("iterations")?).unwrap_or(u32::MAX);
        let mut key = vec![0; number("keylen")? as usize];
        pbkdf2::pbkdf2_hmac::<Sha256>(
            secret.as_bytes(),
            text("salt")?.as_bytes(),
            iterations,
            &mut key,
        );
        STANDARD.encode(key)
    } else {
        secret.to_owned()
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes())
        .map_err(|error| WampError::from(error.to_string()))?;
    mac.update(text("challenge")?.as_bytes());
    Ok(STANDARD.encode(mac.finalize().into_bytes()))
}

/// The URI in what the library says of an error of the router.
fn uri_in(text: &str) -> Option<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_'))
        .find(|word| word.starts_with("wamp.error.") || word.starts_with("vixen.error."))
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let peer = Arc::new(Peer::default());
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Value = serde_json::from_str(&line)?;
        let peer = Arc::clone(&peer);
        tokio::spawn(async move {
            let mut answer = outcome(peer.run(&command).await);
            answer["id"] = command["id"].clone();
            println!("{answer}");
        });
    }
    Ok(())
}
