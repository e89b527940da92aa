//! Tables `[[realm]]`: who may log in, and what each role may do.
//!
//! Only these realms exist, and a role may do what its permissions say and nothing else. Where
//! `[access]` says `open` there are none: whoever comes is `anonymous` and may do everything in every
//! realm.

mod check;
mod pattern;
mod quota;
mod read;
#[cfg(test)]
mod tests;
mod value;

use std::fmt;
use std::time::Duration;

use vixen_core::access::{Disclosure, Quota};
use vixen_core::segment::Match;

use super::Secret;

pub(super) use check::check;
#[cfg(test)]
pub(super) use quota::QUOTA_KEYS;
#[cfg(test)]
pub(super) use read::{
    ANONYMOUS_KEYS, CRYPTOSIGN_KEYS, PERMISSION_KEYS, ROLE_KEYS, SCRAM_KEYS, USER_KEYS,
    WAMPCRA_KEYS,
};
pub(super) use read::{REALM_KEYS, realm};

/// The longest authid or role, in bytes; longer ones are refused in HELLO as well.
pub const AUTH_NAME_BYTES_MAX: usize = 256;

/// One `[[realm]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RealmConfig {
    /// `name`: the realm that clients name in HELLO; a URI. Required, unique.
    pub name: String,
    /// Tables `[[realm.role]]`.
    pub roles: Vec<RoleConfig>,
    /// Tables `[[realm.user]]`.
    pub users: Vec<UserConfig>,
    /// `anonymous.role`: the role of those who log in without a name. `None`, the default: nobody
    /// does.
    pub anonymous: Option<String>,
    /// Table `quota`: for all that is published in the realm through one entry.
    pub quota: Quota,
    /// `authenticator`: the procedure that decides who logs in with a ticket. `None`, the default: those do who have
    /// one in the file; users have none beside it.
    pub authenticator: Option<String>,
    /// `auth-timeout`: what authorizers and the authenticator do not answer until then is denied.
    /// Default `2s`; from `1ms` to `1m`.
    pub auth_timeout: Duration,
    /// `auth-cache`: for how long what an authorizer has said holds. Default `10s`; 0: it is asked each time; `1day` at
    /// most.
    pub auth_cache: Duration,
}

impl RealmConfig {
    /// Default of `auth-timeout`.
    pub const AUTH_TIMEOUT: Duration = Duration::from_secs(2);
    /// Default of `auth-cache`.
    pub const AUTH_CACHE: Duration = Duration::from_secs(10);
    /// The longest `auth-timeout`.
    pub const AUTH_TIMEOUT_MAX: Duration = Duration::from_secs(60);
    /// The longest `auth-cache`.
    pub const AUTH_CACHE_MAX: Duration = Duration::from_secs(24 * 60 * 60);
}

/// One `[[realm.role]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleConfig {
    /// `name`: the `authrole` of sessions. Required, unique in the realm.
    pub name: String,
    /// Tables `[[realm.role.permission]]`; their order means nothing. What none matches is denied.
    pub permissions: Vec<PermissionConfig>,
    /// Table `quota`: for what each user of the role publishes through one entry; those without a
    /// name are one for each address.
    pub quota: Quota,
    /// `authorizer`: the procedure that is asked whether a session of the role may do what its permissions let
    /// it; without any permissions, anything. `None`, the default: nobody is asked.
    pub authorizer: Option<String>,
}

/// One `[[realm.role.permission]]` table: what holds for the topics and procedures that match it, unless a
/// more specific permission of the role matches them too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PermissionConfig {
    /// `uri`: the pattern, already without stars. Required.
    pub uri: String,
    /// `match`: how it is compared. Without the key, stars in `uri` tell: `a.*` is the prefix `a.`,
    /// `a.*.c` the wildcard `a..c`, and without any it is exact.
    pub matching: Match,
    /// `publish`: whether the role may publish there. Default `false`.
    pub publish: bool,
    /// `subscribe`: whether the role may subscribe there. Default `false`.
    pub subscribe: bool,
    /// `disclose-publisher`: whether subscribers are told who published. Default `on-request`.
    pub disclose_publisher: Disclosure,
    /// `call`: whether the role may call there. Default `false`.
    pub call: bool,
    /// `register`: whether the role may register there. Default `false`.
    pub register: bool,
    /// `disclose-caller`: whether callees are told who calls. Default `never`.
    pub disclose_caller: Disclosure,
    /// `disclose-callee`: whether callers are told who answers. Default `true`.
    pub disclose_callee: bool,
}

/// One `[[realm.user]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserConfig {
    /// `authid`: the name to log in with. Required, unique in the realm.
    pub authid: String,
    /// `role`: one of the realm's roles. Required.
    pub role: String,
    /// Exactly one of `ticket`, `wampcra`, `scram` and `cryptosign`.
    pub credential: Credential,
}

/// How a user proves to be that user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// `ticket`, or the content of `ticket-file`: sent by the client as it is.
    Ticket(Secret),
    /// Table `wampcra`: a shared secret that keys an HMAC.
    WampCra {
        /// `secret`, or the content of `secret-file`. With a salt it is the derived key in base64,
        /// which is what the client keys its HMAC with.
        secret: Secret,
        /// `salt`, `iterations`, `keylen`: how the client gets the key from its password. `None`:
        /// the password is the secret.
        salting: Option<Salting>,
    },
    /// Table `scram`.
    Scram(ScramConfig),
    /// Table `cryptosign`: `authorized-keys`, Ed25519 public keys, each of one user only.
    Cryptosign(Vec<[u8; 32]>),
}

/// How a client of WAMP-CRA derives its key: PBKDF2 with HMAC-SHA-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salting {
    /// `salt`: its UTF-8 bytes are the salt.
    pub salt: String,
    /// `iterations`. Default 1000.
    pub iterations: u32,
    /// `keylen`: bytes of the key before base64. Default 32.
    pub key_bytes: u32,
}

impl Salting {
    /// Default of `iterations`: what clients take when a challenge has none.
    pub const ITERATIONS: u32 = 1000;
    /// Default of `keylen`.
    pub const KEY_BYTES: u32 = 32;
}

/// Table `scram`: what a server keeps of a password (WAMP spec, *WAMP-SCRAM*). `vixen-entry passwd`
/// makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScramConfig {
    /// `kdf`, `iterations`, `memory`.
    pub kdf: Kdf,
    /// `salt`: in hex, at least 8 bytes.
    pub salt: Vec<u8>,
    /// `stored-key`, or the content of `stored-key-file`: 32 bytes in hex.
    pub stored_key: SecretKey,
    /// `server-key`, or the content of `server-key-file`: 32 bytes in hex.
    pub server_key: SecretKey,
}

/// The key derivation function of WAMP-SCRAM. Its output has 32 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// `pbkdf2`, with HMAC-SHA-256.
    Pbkdf2 {
        /// `iterations`.
        iterations: u32,
    },
    /// `argon2id13`: Argon2id, version 1.3, one lane.
    Argon2id13 {
        /// `iterations`.
        iterations: u32,
        /// `memory`, in KiB.
        memory_kib: u32,
        /// What keys are made of.
        output: Argon2Output,
    },
}

/// What SCRAM's salted password is, where Argon2 made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Argon2Output {
    /// `argon2id13`: its 32 bytes, as the specification says.
    Bytes,
    /// `argon2id-13`: the text of these bytes in base64 without padding, as Autobahn and Crossbar
    /// have it.
    Text,
}

impl Kdf {
    /// The `kdf` of the configuration and of CHALLENGE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pbkdf2 { .. } => "pbkdf2",
            Self::Argon2id13 { output: Argon2Output::Bytes, .. } => "argon2id13",
            Self::Argon2id13 { output: Argon2Output::Text, .. } => "argon2id-13",
        }
    }

    /// The `iterations`.
    #[must_use]
    pub const fn iterations(self) -> u32 {
        match self {
            Self::Pbkdf2 { iterations } | Self::Argon2id13 { iterations, .. } => iterations,
        }
    }

    /// The `memory` in KiB, where the function takes one.
    #[must_use]
    pub const fn memory_kib(self) -> Option<u32> {
        match self {
            Self::Pbkdf2 { .. } => None,
            Self::Argon2id13 { memory_kib, .. } => Some(memory_kib),
        }
    }
}

/// 32 secret bytes. No `Display`, and `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct SecretKey(pub [u8; 32]);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}
