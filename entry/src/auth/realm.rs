//! One realm of the configuration: its roles, and how its users prove who they are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use vixen_broker::access::{CalleeDisclosure, Permission, Permissions, Quotas};
use vixen_broker::authority::Authorizer;
use vixen_runtime::config::{
    Access, Credential, RealmConfig, RoleConfig, Salting, ScramConfig, SecretKey, UserConfig,
};

use super::identity::{DYNAMIC, Identity, Method, ProofTag};
use super::stand_in::StandIns;
use super::ticket;

/// The role of everyone in open realms.
pub(super) const OPEN_ROLE: &str = "anonymous";

/// One configuration.
pub(super) enum State {
    /// Where `[access]` says so: every realm is there and open.
    Open,
    /// Only these.
    Configured(BTreeMap<Box<str>, Realm>),
}

/// The procedure that decides who logs in by methods that no user has.
#[derive(Debug, PartialEq, Eq)]
pub struct Authenticator {
    /// In the realm itself.
    pub procedure: Arc<str>,
    /// What it does not answer until then is refused.
    pub timeout: Duration,
}

/// A realm that the configuration has.
pub(super) struct Realm {
    pub(super) name: Arc<str>,
    /// The role of those without a name.
    pub(super) anonymous: Option<Arc<str>>,
    pub(super) authenticator: Option<Arc<Authenticator>>,
    roles: BTreeMap<Box<str>, Permissions>,
    users: BTreeMap<Box<str>, Arc<User>>,
    /// Those who log in by each method.
    by_method: BTreeMap<Method, Vec<Arc<User>>>,
    /// Whose public key it is.
    keys: BTreeMap<[u8; 32], Arc<User>>,
}

/// A user of a realm.
pub(super) struct User {
    pub(super) authid: Arc<str>,
    pub(super) role: Arc<str>,
    pub(super) proof: Proof,
}

/// What a user proves to know. It has no `Debug`, since it holds secrets.
#[derive(Clone)]
pub(super) enum Proof {
    Ticket(ticket::Expected),
    WampCra { secret: Vec<u8>, salting: Option<Salting> },
    Scram(ScramConfig),
    Cryptosign(BTreeSet<[u8; 32]>),
}

/// A user, if there is one, and one to look like for others.
pub(super) struct Found<'a> {
    pub(super) user: Option<&'a User>,
    pub(super) model: &'a User,
}

impl State {
    /// Without realms it is open only where that is said: nobody gets in otherwise.
    pub(super) fn new(realms: &[RealmConfig], access: Access) -> Self {
        if realms.is_empty() && access.open {
            return Self::Open;
        }
        let realms = realms.iter().map(|realm| (realm.name.as_str().into(), Realm::new(realm)));
        Self::Configured(realms.collect())
    }
}

impl Realm {
    fn new(config: &RealmConfig) -> Self {
        let authorizers = config.roles.iter().filter_map(|role| role.authorizer.as_deref());
        let deciders = authorizers.chain(config.authenticator.as_deref()).map(Into::into);
        let deciders = Arc::new(deciders.collect());
        let of_role = |role| permissions_of(role, config).beside(&deciders);
        let roles = config.roles.iter().map(|role| (role.name.as_str().into(), of_role(role)));
        let mut realm = Self {
            name: config.name.as_str().into(),
            anonymous: config.anonymous.as_deref().map(Into::into),
            authenticator: config.authenticator.as_deref().map(|procedure| {
                let timeout = config.auth_timeout;
                Arc::new(Authenticator { procedure: procedure.into(), timeout })
            }),
            roles: roles.collect(),
            users: BTreeMap::new(),
            by_method: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        for user in &config.users {
            let user = Arc::new(User::new(user));
            for method in user.proof.methods() {
                realm.by_method.entry(*method).or_default().push(Arc::clone(&user));
            }
            if let Proof::Cryptosign(keys) = &user.proof {
                realm.keys.extend(keys.iter().map(|key| (*key, Arc::clone(&user))));
            }
            realm.users.insert((&*user.authid).into(), user);
        }
        realm
    }

    /// Whether anyone can log in like this.
    pub(super) fn has(&self, method: Method) -> bool {
        match method {
            Method::Anonymous => self.anonymous.is_some(),
            Method::Ticket
            | Method::WampCra
            | Method::Scram
            | Method::WampScram
            | Method::Cryptosign => self.by_method.contains_key(&method),
        }
    }

    /// Who is asked about those who log in like this, as nobody of the configuration does.
    pub(super) fn asked(&self, method: Method) -> Option<&Arc<Authenticator>> {
        let is_asked = match method {
            Method::Ticket => !self.has(method),
            Method::Anonymous
            | Method::WampCra
            | Method::Scram
            | Method::WampScram
            | Method::Cryptosign => false,
        };
        self.authenticator.as_ref().filter(|_| is_asked)
    }

    /// The user of that name who logs in like this, and in any case one of those who do, for each
    /// name always the same. `None` when nobody does.
    pub(super) fn find(
        &self,
        method: Method,
        authid: &str,
        stand_ins: &StandIns,
    ) -> Option<Found<'_>> {
        let models = self.by_method.get(&method)?;
        let digest = stand_ins.bytes("model", &[self.name.as_bytes(), authid.as_bytes()]);
        let model = models.get(index_of(digest, models.len()))?;
        let user = self.users.get(authid).filter(|user| user.proof.methods().contains(&method));
        Some(Found { user: user.map(|user| &**user), model })
    }

    /// The user who has a public key.
    pub(super) fn owner(&self, public_key: &[u8; 32]) -> Option<&User> {
        self.keys.get(public_key).map(|user| &**user)
    }

    /// Whether it has a role of that name.
    pub(super) fn has_role(&self, role: &str) -> bool {
        self.roles.contains_key(role)
    }

    /// What a session may do; `None` when it is not one of this realm any more.
    pub(super) fn permissions(
        &self,
        identity: &Identity,
        stand_ins: &StandIns,
    ) -> Option<Permissions> {
        let is_there = match identity.authmethod {
            method if identity.authprovider == DYNAMIC => self
                .asked(method)
                .is_some_and(|authenticator| authenticator.tag(stand_ins) == identity.proof),
            Method::Anonymous => self.anonymous.as_ref() == Some(&identity.authrole),
            Method::Ticket
            | Method::WampCra
            | Method::Scram
            | Method::WampScram
            | Method::Cryptosign => {
                let user = self.users.get(&*identity.authid);
                user.is_some_and(|user| user.is_still(identity, stand_ins))
            }
        };
        self.roles.get(&*identity.authrole).filter(|_| is_there).cloned()
    }
}

impl Authenticator {
    /// What sessions remember of it.
    pub(super) fn tag(&self, stand_ins: &StandIns) -> ProofTag {
        ProofTag(stand_ins.bytes("authenticator", &[self.procedure.as_bytes()]))
    }
}

/// What a role of the configuration may do, in its realm.
fn permissions_of(role: &RoleConfig, realm: &RealmConfig) -> Permissions {
    let permissions = role.permissions.iter().map(|permission| Permission {
        uri: permission.uri.clone(),
        matching: permission.matching,
        publish: permission.publish.then_some(permission.disclose_publisher),
        subscribe: permission.subscribe,
        call: permission.call.then_some(permission.disclose_caller),
        register: permission.register.then_some(match permission.disclose_callee {
            true => CalleeDisclosure::Told,
            false => CalleeDisclosure::Hidden,
        }),
    });
    let quotas = Quotas { user: role.quota, realm: realm.quota };
    let Some(procedure) = &role.authorizer else { return Permissions::new(permissions, quotas) };
    let authorizer = Authorizer {
        procedure: procedure.as_str().into(),
        timeout: realm.auth_timeout,
        cache: realm.auth_cache,
    };
    Permissions::asking(permissions, quotas, authorizer)
}

/// Where in a list of that length a digest points to.
fn index_of(digest: [u8; 32], len: usize) -> usize {
    let [a, b, c, d, ..] = digest;
    // 32 bits of it, scaled: no list of users is so long that some would be left out.
    let scaled = (u64::from(u32::from_be_bytes([a, b, c, d])) * len as u64) >> 32;
    usize::try_from(scaled).unwrap_or_default()
}

impl User {
    fn new(config: &UserConfig) -> Self {
        let proof = match &config.credential {
            Credential::Ticket(secret) => Proof::Ticket(ticket::Expected::of(secret.as_bytes())),
            Credential::WampCra { secret, salting } => {
                Proof::WampCra { secret: secret.as_bytes().to_vec(), salting: salting.clone() }
            }
            Credential::Scram(scram) => Proof::Scram(scram.clone()),
            Credential::Cryptosign(keys) => Proof::Cryptosign(keys.iter().copied().collect()),
        };
        Self { authid: config.authid.as_str().into(), role: config.role.as_str().into(), proof }
    }

    fn is_still(&self, identity: &Identity, stand_ins: &StandIns) -> bool {
        let has_proof = match &self.proof {
            Proof::Cryptosign(keys) => keys.contains(&identity.proof.0),
            Proof::Ticket(_) | Proof::WampCra { .. } | Proof::Scram(_) => {
                self.proof.tag(stand_ins) == identity.proof
            }
        };
        let methods = self.proof.methods();
        has_proof && self.role == identity.authrole && methods.contains(&identity.authmethod)
    }
}

impl Proof {
    /// The methods that it is for.
    const fn methods(&self) -> &'static [Method] {
        match self {
            Self::Ticket(_) => &[Method::Ticket],
            Self::WampCra { .. } => &[Method::WampCra],
            Self::Scram(_) => &[Method::Scram, Method::WampScram],
            Self::Cryptosign(_) => &[Method::Cryptosign],
        }
    }

    /// What a session remembers of it. Sessions of cryptosign remember the key they used.
    pub(super) fn tag(&self, stand_ins: &StandIns) -> ProofTag {
        ProofTag(match self {
            Self::Ticket(expected) => stand_ins.bytes("ticket", &[expected.digest()]),
            Self::WampCra { secret, .. } => stand_ins.bytes("wampcra", &[secret]),
            Self::Scram(scram) => {
                stand_ins.bytes("scram", &[&scram.stored_key.0, &scram.server_key.0])
            }
            Self::Cryptosign(_) => [0; 32],
        })
    }

    /// One of the same form that nobody can prove to know.
    pub(super) fn unknown_like(&self, realm: &str, authid: &str, stand_ins: &StandIns) -> Self {
        let texts = [realm.as_bytes(), authid.as_bytes()];
        let bytes = |purpose| stand_ins.bytes(purpose, &texts);
        match self {
            Self::Ticket(_) => Self::Ticket(ticket::Expected::nothing(bytes("key"))),
            Self::WampCra { salting, .. } => {
                let salting = salting.as_ref().map(|salting| Salting {
                    salt: stand_ins.salt_like(&salting.salt, &texts),
                    ..salting.clone()
                });
                Self::WampCra { secret: bytes("key").to_vec(), salting }
            }
            Self::Scram(scram) => Self::Scram(ScramConfig {
                kdf: scram.kdf,
                salt: stand_ins.stream("salt", &texts, scram.salt.len()),
                stored_key: SecretKey(bytes("key")),
                server_key: SecretKey(bytes("server key")),
            }),
            Self::Cryptosign(_) => Self::Cryptosign(BTreeSet::new()),
        }
    }
}
