//! From tables to [`RealmConfig`].

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use vixen_core::access::Disclosure;

use super::super::error::ConfigError;
use super::super::load::beside;
use super::super::read::{Source, TableReader};
use super::super::text::read;
use super::super::value::{Count, Flag, SecretText, Value};
use super::pattern::pattern;
use super::quota::{QUOTA_KEYS, quota};
use super::value::{AuthName, KdfName, PatternText, Procedure, PublicKeys, Realm, Salt};
use super::{
    Argon2Output, Credential, Kdf, PermissionConfig, RealmConfig, RoleConfig, Salting, ScramConfig,
    Secret, SecretKey, UserConfig,
};

pub(in super::super) const REALM_KEYS: &[&str] =
    &["name", "role", "user", "anonymous", "quota", "authenticator", "auth-timeout", "auth-cache"];
pub(in super::super) const ROLE_KEYS: &[&str] = &["name", "permission", "quota", "authorizer"];
pub(in super::super) const PERMISSION_KEYS: &[&str] = &[
    "uri",
    "match",
    "publish",
    "subscribe",
    "disclose-publisher",
    "call",
    "register",
    "disclose-caller",
    "disclose-callee",
];
pub(in super::super) const USER_KEYS: &[&str] =
    &["authid", "role", "ticket", "ticket-file", "wampcra", "scram", "cryptosign"];
pub(in super::super) const WAMPCRA_KEYS: &[&str] =
    &["secret", "secret-file", "salt", "iterations", "keylen"];
pub(in super::super) const SCRAM_KEYS: &[&str] = &[
    "kdf",
    "iterations",
    "memory",
    "salt",
    "stored-key",
    "stored-key-file",
    "server-key",
    "server-key-file",
];
pub(in super::super) const CRYPTOSIGN_KEYS: &[&str] = &["authorized-keys"];
pub(in super::super) const ANONYMOUS_KEYS: &[&str] = &["role"];

/// A secret that may stand in a file of its own.
struct SecretKeys {
    key: &'static str,
    file_key: &'static str,
    unreadable: &'static str,
}

const TICKET: SecretKeys = SecretKeys {
    key: "ticket",
    file_key: "ticket-file",
    unreadable: "realm.user.ticket-file must name a file that this user can read",
};
const SECRET: SecretKeys = SecretKeys {
    key: "secret",
    file_key: "secret-file",
    unreadable: "realm.user.wampcra.secret-file must name a file that this user can read",
};
const STORED_KEY: SecretKeys = SecretKeys {
    key: "stored-key",
    file_key: "stored-key-file",
    unreadable: "realm.user.scram.stored-key-file must name a file that this user can read",
};
const SERVER_KEY: SecretKeys = SecretKeys {
    key: "server-key",
    file_key: "server-key-file",
    unreadable: "realm.user.scram.server-key-file must name a file that this user can read",
};

/// Argon2 wants as many KiB for a lane (RFC 9106 §3.1).
const ARGON2_MEMORY_KIB_MIN: u32 = 8;

/// Reads one `[[realm]]`.
pub(in super::super) fn realm(
    source: Source<'_>,
    mut table: TableReader<'_>,
) -> Result<RealmConfig, ConfigError> {
    let Realm(name) = table.required("name")?;
    let roles = table.tables("role", "[[realm.role]]", ROLE_KEYS)?;
    let users = table.tables("user", "[[realm.user]]", USER_KEYS)?;
    let anonymous = if table.has("anonymous") {
        let AuthName(role) = table.table("anonymous", ANONYMOUS_KEYS)?.required("role")?;
        Some(role)
    } else {
        None
    };
    let roles: Vec<_> =
        roles.into_iter().map(|table| role(source, table)).collect::<Result<_, _>>()?;
    let authenticator = table.optional("authenticator")?.map(|Procedure(uri)| uri);
    let has_authorizer = roles.iter().any(|role| role.authorizer.is_some());
    for (key, is_used, problem, fix) in [
        (
            "auth-timeout",
            has_authorizer || authenticator.is_some(),
            "stands where nobody is asked",
            "add authenticator, or authorizer to a [[realm.role]], or remove it",
        ),
        (
            "auth-cache",
            has_authorizer,
            "stands where no authorizer is asked",
            "add authorizer to a [[realm.role]], or remove it",
        ),
    ] {
        if table.has(key) && !is_used {
            return Err(source.refuse(table.place(key), problem, fix));
        }
    }
    let mut auth_timeout = RealmConfig::AUTH_TIMEOUT;
    table.duration("auth-timeout", &mut auth_timeout)?;
    // Calls have whole ms. While one waits its client is not heard.
    if !(Duration::from_millis(1)..=RealmConfig::AUTH_TIMEOUT_MAX).contains(&auth_timeout) {
        let problem = "is no time that somebody can be let wait";
        return Err(source.refuse(
            table.place("auth-timeout"),
            problem,
            "set it between \"1ms\" and \"1m\"",
        ));
    }
    let auth_cache = table.optional::<Duration>("auth-cache")?.unwrap_or(RealmConfig::AUTH_CACHE);
    if auth_cache > RealmConfig::AUTH_CACHE_MAX {
        let problem = "is longer than an answer holds";
        return Err(source.refuse(
            table.place("auth-cache"),
            problem,
            "set it to \"1day\" at most",
        ));
    }
    Ok(RealmConfig {
        name,
        roles,
        users: users.into_iter().map(|table| user(source, table)).collect::<Result<_, _>>()?,
        anonymous,
        quota: quota(source, table.table("quota", QUOTA_KEYS)?)?,
        authenticator,
        auth_timeout,
        auth_cache,
    })
}

fn role(source: Source<'_>, mut table: TableReader<'_>) -> Result<RoleConfig, ConfigError> {
    let AuthName(name) = table.required("name")?;
    let permissions = table.tables("permission", "[[realm.role.permission]]", PERMISSION_KEYS)?;
    let permissions = permissions.into_iter().map(|table| permission(source, table));
    let permissions = permissions.collect::<Result<_, _>>()?;
    let quota = quota(source, table.table("quota", QUOTA_KEYS)?)?;
    let authorizer = table.optional("authorizer")?.map(|Procedure(uri)| uri);
    Ok(RoleConfig { name, permissions, quota, authorizer })
}

fn permission(
    source: Source<'_>,
    mut table: TableReader<'_>,
) -> Result<PermissionConfig, ConfigError> {
    let PatternText(uri) = table.required("uri")?;
    let (uri, matching) = pattern(&uri, table.optional("match")?)
        .map_err(|(problem, fix)| source.refuse(table.place("uri"), problem, fix))?;
    let mut flag = |key| Ok(table.optional(key)?.is_some_and(|Flag(flag)| flag));
    let (publish, subscribe) = (flag("publish")?, flag("subscribe")?);
    let (call, register) = (flag("call")?, flag("register")?);
    let publisher = table.optional("disclose-publisher")?;
    let caller = table.optional("disclose-caller")?;
    let callee = table.optional("disclose-callee")?.map(|Flag(flag)| flag);
    for (key, is_set, of, problem, fix) in [
        (
            "disclose-publisher",
            publisher.is_some(),
            publish,
            "stands where nothing may be published",
            "add publish = true, or remove it",
        ),
        (
            "disclose-caller",
            caller.is_some(),
            call,
            "stands where nothing may be called",
            "add call = true, or remove it",
        ),
        (
            "disclose-callee",
            callee.is_some(),
            register,
            "stands where nothing may be registered",
            "add register = true, or remove it",
        ),
    ] {
        if is_set && !of {
            return Err(source.refuse(table.place(key), problem, fix));
        }
    }
    Ok(PermissionConfig {
        uri,
        matching,
        publish,
        subscribe,
        disclose_publisher: publisher.unwrap_or_default(),
        call,
        register,
        disclose_caller: caller.unwrap_or(Disclosure::Never),
        disclose_callee: callee.unwrap_or(true),
    })
}

fn user(source: Source<'_>, mut table: TableReader<'_>) -> Result<UserConfig, ConfigError> {
    let AuthName(authid) = table.required("authid")?;
    let AuthName(role) = table.required("role")?;
    let has_ticket = table.has("ticket") || table.has("ticket-file");
    let given = [
        ("ticket", has_ticket),
        ("wampcra", table.has("wampcra")),
        ("scram", table.has("scram")),
        ("cryptosign", table.has("cryptosign")),
    ];
    let given: Vec<_> = given.iter().filter(|(_, has)| *has).map(|(key, _)| *key).collect();
    let credential = match *given {
        ["ticket"] => Credential::Ticket(long_enough(source, &mut table, &TICKET)?),
        ["wampcra"] => wampcra(source, table.table("wampcra", WAMPCRA_KEYS)?)?,
        ["scram"] => Credential::Scram(scram(source, table.table("scram", SCRAM_KEYS)?)?),
        ["cryptosign"] => {
            let mut table = table.table("cryptosign", CRYPTOSIGN_KEYS)?;
            let PublicKeys(keys) = table.required("authorized-keys")?;
            Credential::Cryptosign(keys)
        }
        [] => {
            let fix = "add one of ticket, wampcra, scram and cryptosign";
            return Err(source.refuse(table.place("ticket"), "is missing", fix));
        }
        [_, second, ..] => {
            let problem = format!("stands beside {}, and only one can hold", given[0]);
            let fix = "keep one of ticket, wampcra, scram and cryptosign";
            return Err(source.refuse(table.place(second), problem, fix));
        }
        [_] => unreachable!("all the keys of `given` are above"),
    };
    Ok(UserConfig { authid, role, credential })
}

fn wampcra(source: Source<'_>, mut table: TableReader<'_>) -> Result<Credential, ConfigError> {
    let secret = long_enough(source, &mut table, &SECRET)?;
    let salt: Option<String> = table.optional("salt")?;
    let iterations = number(source, &mut table, "iterations", 1)?;
    let key_bytes = number(source, &mut table, "keylen", 16)?;
    let Some(salt) = salt else {
        if iterations.or(key_bytes).is_some() {
            let fix = "add the salt, or remove iterations and keylen";
            let problem = "is missing beside iterations or keylen";
            return Err(source.refuse(table.place("salt"), problem, fix));
        }
        return Ok(Credential::WampCra { secret, salting: None });
    };
    let iterations = iterations.unwrap_or(Salting::ITERATIONS);
    let key_bytes = key_bytes.unwrap_or(Salting::KEY_BYTES);
    let key = STANDARD.decode(secret.as_bytes()).ok();
    if key.is_none_or(|key| u32::try_from(key.len()) != Ok(key_bytes)) {
        let problem = format!("is no key of {key_bytes} bytes in base64, which it is with a salt");
        let fix = "set it to what `vixen-entry passwd --method wampcra` prints";
        return Err(source.refuse(table.place("secret"), problem, fix));
    }
    Ok(Credential::WampCra { secret, salting: Some(Salting { salt, iterations, key_bytes }) })
}

fn scram(source: Source<'_>, mut table: TableReader<'_>) -> Result<ScramConfig, ConfigError> {
    let name: KdfName = table.required("kdf")?;
    let Some(iterations) = number(source, &mut table, "iterations", 1)? else {
        return Err(missing(source, &table, "iterations", Count::FORM));
    };
    let memory = number(source, &mut table, "memory", ARGON2_MEMORY_KIB_MIN)?;
    let output = match name {
        KdfName::Pbkdf2 => None,
        KdfName::Argon2id13 => Some(Argon2Output::Bytes),
        KdfName::Argon2id13Text => Some(Argon2Output::Text),
    };
    let kdf = match (output, memory) {
        (None, None) => Kdf::Pbkdf2 { iterations },
        (Some(output), Some(memory_kib)) => Kdf::Argon2id13 { iterations, memory_kib, output },
        (None, Some(_)) => {
            let problem = "is nothing that pbkdf2 has";
            return Err(source.refuse(table.place("memory"), problem, "remove it"));
        }
        (Some(_), None) => {
            return Err(missing(source, &table, "memory", "the KiB that Argon2 uses"));
        }
    };
    let Salt(salt) = table.required("salt")?;
    let stored_key = key(source, &mut table, &STORED_KEY)?;
    let server_key = key(source, &mut table, &SERVER_KEY)?;
    Ok(ScramConfig { kdf, salt, stored_key, server_key })
}

fn missing(source: Source<'_>, table: &TableReader<'_>, key: &str, form: &str) -> ConfigError {
    source.refuse(table.place(key), "is missing", format!("set it to {form}"))
}

/// The whole number at `key`, from `min` to 2^31 - 1: clients of many languages read it.
fn number(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    key: &str,
    min: u32,
) -> Result<Option<u32>, ConfigError> {
    const MAX: u32 = i32::MAX as u32;
    let Some(Count(n)) = table.optional(key)? else { return Ok(None) };
    match u32::try_from(n) {
        Ok(n) if (min..=MAX).contains(&n) => Ok(Some(n)),
        Ok(_) | Err(_) => {
            let fix = format!("set it between {min} and {MAX}");
            Err(source.refuse(table.place(key), format!("cannot use `{n}`"), fix))
        }
    }
}

/// The text of a secret, from its key or from the file that the other key names, and the key that
/// it came by.
fn secret_text(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    keys: &SecretKeys,
) -> Result<(String, &'static str), ConfigError> {
    match (table.optional(keys.key)?, table.optional::<PathBuf>(keys.file_key)?) {
        (Some(SecretText(text)), None) => Ok((text, keys.key)),
        (None, Some(path)) => {
            let text = read(&beside(source.file, path), keys.unreadable)?;
            Ok((text.trim_end_matches(['\n', '\r']).to_owned(), keys.file_key))
        }
        (Some(_), Some(_)) => {
            let problem = format!("stands beside {}, and only one can hold", keys.file_key);
            Err(source.refuse(table.place(keys.key), problem, "remove one of the two"))
        }
        (None, None) => {
            let fix = format!("set {}, or {} to a file that holds it", keys.key, keys.file_key);
            Err(source.refuse(table.place(keys.key), "is missing", fix))
        }
    }
}

fn long_enough(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    keys: &SecretKeys,
) -> Result<Secret, ConfigError> {
    let (text, key) = secret_text(source, table, keys)?;
    Secret::new(text).ok_or_else(|| {
        let problem = format!("has fewer than {} characters", Secret::CHARS_MIN);
        let fix = "use a longer one, such as the output of `openssl rand -hex 24`";
        source.refuse(table.place(key), problem, fix)
    })
}

fn key(
    source: Source<'_>,
    table: &mut TableReader<'_>,
    keys: &SecretKeys,
) -> Result<SecretKey, ConfigError> {
    let (text, key) = secret_text(source, table, keys)?;
    SecretKey::from_text(&text).ok_or_else(|| {
        let fix = format!("set it to {}", SecretKey::FORM);
        source.refuse(table.place(key), "is no such key", fix)
    })
}
