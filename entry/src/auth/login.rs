//! From what a client says first to its welcome or a challenge.

use std::sync::Arc;

use vixen_core::time::WallTime;

use super::challenge::Challenge;
use super::identity::{DYNAMIC, Identity, Method, PROVIDER, ProofTag};
use super::pending::{Expected, Pending};
use super::realm::{Authenticator, Found, OPEN_ROLE, Proof, Realm, State};
use super::refusal::{Needed, Refusal};
use super::request::{LoginRequest, Offer};
use super::stand_in::StandIns;
use super::{cra, cryptosign, scram};

/// Random bytes in a challenge with a text nonce: 24 characters of base64 without padding.
const NONCE_BYTES: usize = 18;

/// 32 random bytes, fresh for each login, from the operating system.
#[derive(Clone, Copy)]
pub struct Nonce(pub [u8; 32]);

/// Shows nothing: it is a part of proofs.
impl std::fmt::Debug for Nonce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Nonce(…)")
    }
}

/// How a login goes on.
#[derive(Clone, Debug)]
pub enum Step {
    /// The session is open.
    Welcome(Identity),
    /// Ask the client for a proof, and hand its answer to
    /// [`Realms::authenticate`](super::Realms::authenticate).
    Challenge {
        /// The method.
        method: Method,
        /// What is asked.
        challenge: Challenge,
        /// What the answer is checked with.
        pending: Box<Pending>,
    },
    /// It may not come in.
    Refused(Refusal),
}

/// Begins a login.
pub(super) fn begin(
    stand_ins: &StandIns,
    state: &State,
    request: &LoginRequest<'_>,
    nonce: &Nonce,
    now: WallTime,
) -> Result<Step, Refusal> {
    let realm = match state {
        State::Open => {
            choose(request, |method| method == Method::Anonymous)?;
            return Ok(Step::Welcome(anonymous(request.realm.into(), OPEN_ROLE.into(), nonce)));
        }
        State::Configured(realms) => realms.get(request.realm).ok_or(Refusal::NoSuchRealm)?,
    };
    let login = Login { stand_ins, realm, request, nonce, now };
    let offer = choose(request, |method| realm.has(method) || realm.asked(method).is_some())?;
    if let Some(authenticator) = realm.asked(offer.method()) {
        let (challenge, pending) = login.with_authenticator(offer.method(), authenticator)?;
        return Ok(Step::Challenge {
            method: offer.method(),
            challenge,
            pending: Box::new(pending),
        });
    }
    let (challenge, pending) = match offer {
        Offer::Anonymous => {
            let role = realm.anonymous.clone().ok_or(Refusal::AuthenticationRequired)?;
            return Ok(Step::Welcome(anonymous(Arc::clone(&realm.name), role, nonce)));
        }
        Offer::Ticket | Offer::WampCra | Offer::Scram { .. } => login.with_secret(offer)?,
        Offer::Cryptosign { public_key } => login.with_key((*public_key)?)?,
    };
    Ok(Step::Challenge { method: offer.method(), challenge, pending: Box::new(pending) })
}

/// The first way that the client offers and `has` accepts. What is not known here is passed over.
fn choose<'r, 'a>(
    request: &'r LoginRequest<'a>,
    has: impl Fn(Method) -> bool,
) -> Result<&'r Offer<'a>, Refusal> {
    let chosen = request.offers.iter().find(|offer| has(offer.method()));
    chosen.ok_or_else(|| {
        if request.is_anonymous_only() {
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
        extra: None,
        server_proof: None,
        proof: ProofTag::NONE,
    }
}

/// A login for which a challenge is made.
struct Login<'a> {
    stand_ins: &'a StandIns,
    realm: &'a Realm,
    request: &'a LoginRequest<'a>,
    nonce: &'a Nonce,
    now: WallTime,
}

impl Login<'_> {
    /// The methods by which a user with a name proves to know a secret.
    fn with_secret(&self, offer: &Offer<'_>) -> Result<(Challenge, Pending), Refusal> {
        let authid = self.request.name().ok_or(Refusal::Incomplete(Needed::Name))?;
        let method = offer.method();
        let client_nonce = match offer {
            Offer::Scram { nonce, .. } => (*nonce)?,
            Offer::Anonymous | Offer::Ticket | Offer::WampCra | Offer::Cryptosign { .. } => "",
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
            extra: None,
            server_proof: None,
            proof: proof.tag(self.stand_ins),
        };
        let nonce = &self.nonce.0[..NONCE_BYTES];
        let (challenge, expected) = match proof {
            Proof::Ticket(expected) => (Challenge::Ticket, Expected::Ticket(expected.clone())),
            Proof::WampCra { secret, salting } => {
                let session = self.request.session;
                let (text, expected) = cra::challenge(&identity, session, nonce, self.now, secret);
                let salting = salting.clone();
                (Challenge::WampCra { text, salting }, Expected::WampCra(expected))
            }
            Proof::Scram(credential) => {
                let credential = credential.clone();
                let (challenge, expected) =
                    scram::challenge(authid, client_nonce, nonce, credential);
                (challenge, Expected::Scram(expected))
            }
            Proof::Cryptosign(_) => return Err(Refusal::NoMatchingMethod),
        };
        Ok((challenge, Pending { identity, is_known: user.is_some(), expected }))
    }

    /// A procedure decides. It looks the same for every name.
    fn with_authenticator(
        &self,
        method: Method,
        authenticator: &Arc<Authenticator>,
    ) -> Result<(Challenge, Pending), Refusal> {
        let authid = self.request.name().ok_or(Refusal::Incomplete(Needed::Name))?;
        let identity = Identity {
            realm: Arc::clone(&self.realm.name),
            authid: authid.into(),
            // It is told with the decision.
            authrole: "".into(),
            authmethod: method,
            authprovider: DYNAMIC,
            extra: None,
            server_proof: None,
            proof: authenticator.tag(self.stand_ins),
        };
        let expected = Expected::Decision(Arc::clone(authenticator));
        Ok((Challenge::Ticket, Pending { identity, is_known: false, expected }))
    }

    /// Cryptosign: the key says who it is, and a name must agree.
    fn with_key(&self, public_key: [u8; 32]) -> Result<(Challenge, Pending), Refusal> {
        let owner = self.realm.owner(&public_key);
        let named = self.request.name();
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
            extra: None,
            server_proof: None,
            proof: ProofTag(public_key),
        };
        let expected =
            Expected::Cryptosign(cryptosign::Expected { public_key, challenge: self.nonce.0 });
        let challenge = Challenge::Cryptosign { bytes: self.nonce.0 };
        Ok((challenge, Pending { identity, is_known: user.is_some(), expected }))
    }
}
