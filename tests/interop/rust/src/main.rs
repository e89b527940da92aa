//! Sessions of wamp_async, driven by ../../peer.py: see there for the commands.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::sync::Mutex;
use wamp_async::{
    Arg, AuthenticationChallengeResponse, AuthenticationMethod, Client, ClientConfig, ClientRole,
    SerializerType, WampDict, WampError, WampId,
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
type Shared<'a> = Arc<Mutex<Client<'a>>>;

#[derive(Default)]
struct Peer {
    sessions: Mutex<HashMap<String, Shared<'static>>>,
    subscriptions: Mutex<HashMap<u64, (Shared<'static>, WampId)>>,
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
            "close" => self.close(command).await,
            other => Err(Failure::Other(format!("no command {other}"))),
        }
    }

    async fn session(&self, command: &Value) -> Result<Shared<'static>, Failure> {
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
            _ => return Err(Failure::NotInLibrary("no such method of authentication")),
        };
        let roles = vec![ClientRole::Publisher, ClientRole::Subscriber];
        let config = ClientConfig::default().set_serializers(vec![serializer]).set_roles(roles);
        let (mut client, (events, _calls)) =
            Client::connect(text(command, "url"), Some(config)).await?;
        tokio::spawn(events);
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
        let client = Arc::new(Mutex::new(client));
        self.sessions.lock().await.insert(text(command, "name").to_owned(), client);
        // What WELCOME says is not told.
        Ok(json!({ "session": null, "authid": null, "authrole": null, "authmethod": null }))
    }

    async fn subscribe(&self, command: &Value) -> Done {
        if command["options"].as_object().is_some_and(|options| !options.is_empty()) {
            return Err(Failure::NotInLibrary("SUBSCRIBE has no options"));
        }
        let id = command["id"].as_u64().unwrap_or_default();
        let client = self.session(command).await?;
        let (subscription, mut queue) =
            client.lock().await.subscribe(text(command, "topic")).await?;
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
        client.lock().await.unsubscribe(subscription).await?;
        Ok(json!({}))
    }

    async fn publish(&self, command: &Value) -> Done {
        let options = command["options"].as_object().cloned().unwrap_or_default();
        if options.keys().any(|option| option != "acknowledge") {
            return Err(Failure::NotInLibrary("PUBLISH has no option but acknowledge"));
        }
        let client = self.session(command).await?;
        let args = decode(&command["args"])?.as_array().cloned();
        let kwargs = decode(&command["kwargs"])?.as_object().cloned();
        let acknowledge = options.get("acknowledge") == Some(&json!(true));
        let topic = text(command, "topic");
        let publication = client.lock().await.publish(topic, args, kwargs, acknowledge).await?;
        Ok(json!({ "publication": publication }))
    }

    async fn close(&self, command: &Value) -> Done {
        let client = self.session(command).await?;
        self.sessions.lock().await.remove(text(command, "session"));
        client.lock().await.leave_realm().await?;
        // The reason of GOODBYE is not told.
        Ok(json!({ "reason": null }))
    }
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
            let id = &command["id"];
            let answer = match peer.run(&command).await {
                Ok(done) => json!({ "id": id, "ok": done }),
                Err(Failure::NotInLibrary(why)) => json!({ "id": id, "not_in_library": why }),
                Err(Failure::Other(why)) => json!({ "id": id, "failure": why }),
                Err(Failure::Library(error)) => {
                    let message = format!("{error:?}");
                    match uri_in(&message) {
                        None if message.contains("unknown sub_id") => {
                            let why = "knows by itself what is subscribed";
                            json!({ "id": id, "not_in_library": why })
                        }
                        Some(uri) => json!({ "id": id, "error": uri, "message": message }),
                        None => json!({ "id": id, "failure": message }),
                    }
                }
            };
            println!("{answer}");
        });
    }
    Ok(())
}
