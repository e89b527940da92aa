//! From HELLO to WELCOME or CHALLENGE.

use std::sync::Arc;

use serde_json::{Map, Value};

use vixen_core::time::WallTime;

use super::hello::{Details, Hello};
use super::identity::{Identity, Method, PROVIDER, ProofTag};
use super::pending::{Expected, Pending};
use super::realm::{Found, OPEN_ROLE, Proof, Realm, State};
use super::realms::{Nonce, Step};
use super::refusal::Refusal;
use super::stand_in::StandIns;
use super::{cra, cryptosign, scram};

/// Random bytes in a challenge with a text nonce: 24 characters of base64 without padding.
const NONCE_BYTES: usize = 18;

/// From HELLO to the next message.
pub(super) fn begin(
    stand_ins: &StandIns,
    state: &State,
    hello: &Hello<'_>,
    nonce: &Nonce,
    now: WallTime,
) -> Result<Step, Refusal> {
    let details = Details::parse(hello.details)?;
    let realm = match state {
        State::Open => {
            choose(&details, |method| method == Method::Anonymous)?;
            return Ok(Step::Welcome(anonymous(hello.realm.into(), OPEN_ROLE.into(), nonce)));
        }
        State::Configured(realms) => realms.get(hello.realm).ok_or(Refusal::NoSuchRealm)?,
    };
    let login = Login { stand_ins, realm, details, hello, nonce, now };
    let method = choose(&details, |method| realm.has(method))?;
    let (extra, pending) = match method {
        Method::Anonymous => {
            let role = realm.anonymous.clone().ok_or(Refusal::AuthenticationRequired)?;
            return Ok(Step::Welcome(anonymous(Arc::clone(&realm.name), role, nonce)));
        }
        Method::Ticket | Method::WampCra | Method::Scram | Method::WampScram => {
            login.with_secret(method)?
        }
        Method::Cryptosign => login.with_key()?,
    };
    Ok(Step::Challenge { method, extra, pending })
}

/// The first method that the client offers and `has` accepts. What is not known here is passed
/// over.
fn choose(details: &Details<'_>, has: impl Fn(Method) -> bool) -> Result<Method, Refusal> {
    let chosen = details.methods().filter_map(Method::parse).find(|method| has(*method));
    chosen.ok_or_else(|| {
        if details.methods().all(|method| method == Method::Anonymous.as_str()) {
            Refusal::AuthenticationRequired
        } else {
            Refusal::NoMatchingMethod
        }
    })
}

fn anonymous(realm: Arc<str>, authrole: Arc<str>, nonce: &Nonce) -> Identity {
    let [a, b, c, d, e, f, g, h, ..] = nonce.0;
    let authid = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    Identity {
        realm,
        authid: format!("{authid:016x}").into(),
        authrole,
        authmethod: Method::Anonymous,
        authprovider: PROVIDER,
        authextra: Map::new(),
        proof: ProofTag::NONE,
    }
}

/// A login for which a challenge is made.
struct Login<'a> {
    stand_ins: &'a StandIns,
    realm: &'a Realm,
    details: Details<'a>,
    hello: &'a Hello<'a>,
    nonce: &'a Nonce,
    now: WallTime,
}

impl Login<'_> {
    /// The methods by which a user with a name proves to know a secret.
    fn with_secret(&self, method: Method) -> Result<(Map<String, Value>, Pending), Refusal> {
        let authid = self.details.authid().ok_or(Refusal::Incomplete("HELLO.Details.authid"))?;
        let client_nonce = match method {
            Method::Scram | Method::WampScram => scram::client_nonce(&self.details)?,
            Method::Anonymous | Method::Ticket | Method::WampCra | Method::Cryptosign => "",
        };
        let found = self.realm.find(method, authid, self.stand_ins);
        let Found { user, model } = found.ok_or(Refusal::NoMatchingMethod)?;
        // Made for known users as well, so that both take the same time.
        let unknown = model.proof.unknown_like(&self.realm.name, authid, self.stand_ins);
        let proof = user.map_or(&unknown, |user| &user.proof);
        let identity = Identity {
            realm: Arc::clone(&self.realm.name),
            authid: authid.into(),
            authrole: Arc::clone(&user.unwrap_or(model).role),
            authmethod: method,
            authprovider: PROVIDER,
            authextra: Map::new(),
            proof: proof.tag(self.stand_ins),
        };
        let nonce = &self.nonce.0[..NONCE_BYTES];
        let (extra, expected) = match proof {
            Proof::Ticket(expected) => (Map::new(), Expected::Ticket(expected.clone())),
            Proof::WampCra { secret, salting } => {
                let (session, salting) = (self.hello.session, salting.as_ref());
                let (extra, expected) =
                    cra::challenge(&identity, session, nonce, self.now, secret, salting);
                (extra, Expected::WampCra(expected))
            }
            Proof::Scram(credential) => {
                let credential = credential.clone();
                let (extra, expected) = scram::challenge(authid, client_nonce, nonce, credential);
                (extra, Expected::Scram(expected))
            }
            Proof::Cryptosign(_) => return Err(Refusal::NoMatchingMethod),
        };
        Ok((extra, Pending { identity, is_known: user.is_some(), expected }))
    }

    /// Cryptosign: the key says who it is, and a name must agree.
    fn with_key(&self) -> Result<(Map<String, Value>, Pending), Refusal> {
        let public_key = cryptosign::public_key(&self.details)?;
        let owner = self.realm.owner(&public_key);
        let named = self.details.authid();
        let user = owner.filter(|user| named.is_none_or(|authid| *user.authid == *authid));
        let identity = Identity {
            realm: Arc::clone(&self.realm.name),
            authid: match (user, named) {
                (Some(user), _) => Arc::clone(&user.authid),
                (None, Some(authid)) => authid.into(),
                (None, None) => hex::encode(public_key).into(),
            },
            authrole: user.map_or_else(|| "".into(), |user| Arc::clone(&user.role)),
            authmethod: Method::Cryptosign,
            authprovider: PROVIDER,
            authextra: Map::new(),
            proof: ProofTag(public_key),
        };
        let (extra, expected) = cryptosign::challenge(public_key, self.nonce.0);
        let expected = Expected::Cryptosign(expected);
        Ok((extra, Pending { identity, is_known: user.is_some(), expected }))
    }
}
