//! What must hold between the keys of `[[realm]]`.

use std::collections::BTreeMap;

use vixen_core::segment::Match;

use super::super::error::ConfigError;
use super::super::read::Source;
use super::{Credential, RealmConfig, UserConfig};

pub(in super::super) fn check(
    realms: &[RealmConfig],
    source: Source<'_>,
) -> Result<(), ConfigError> {
    let mut names = Unique::new(source, "give each realm a name of its own");
    for (i, realm) in realms.iter().enumerate() {
        let place = format!("realm[{i}]");
        names.add(realm.name.as_str(), &place, "name")?;
        check_roles(realm, &place, source)?;
        check_deciders(realm, &place, source)?;
        check_users(realm, &place, source)?;
        if realm.users.is_empty() && realm.anonymous.is_none() {
            let problem = "nobody can log in here";
            let fix = "add [[realm.user]] or [realm.anonymous], or remove the realm";
            return Err(source.refuse(format!("{place}.user"), problem, fix));
        }
    }
    Ok(())
}

fn check_roles(realm: &RealmConfig, place: &str, source: Source<'_>) -> Result<(), ConfigError> {
    let mut names = Unique::new(source, "give each role of the realm a name of its own");
    for (i, role) in realm.roles.iter().enumerate() {
        let place = format!("{place}.role[{i}]");
        names.add(role.name.as_str(), &place, "name")?;
        let mut patterns = Unique::new(source, "have one permission for each pattern of a role");
        for (i, permission) in role.permissions.iter().enumerate() {
            let place = format!("{place}.permission[{i}]");
            patterns.add((permission.uri.as_str(), permission.matching), &place, "uri")?;
        }
    }
    Ok(())
}

/// Somebody may register what decides: a permission by a pattern is not for that, and without one everything would be
/// denied without a word.
fn check_deciders(realm: &RealmConfig, place: &str, source: Source<'_>) -> Result<(), ConfigError> {
    let authorizers = realm.roles.iter().enumerate().filter_map(|(i, role)| {
        Some((format!("{place}.role[{i}].authorizer"), role.authorizer.as_ref()?))
    });
    let authenticator = realm.authenticator.iter();
    let authenticator =
        authenticator.map(|procedure| (format!("{place}.authenticator"), procedure));
    for (key, procedure) in authorizers.chain(authenticator) {
        let mut permissions = realm.roles.iter().flat_map(|role| &role.permissions);
        let may = permissions.any(|permission| {
            permission.register
                && permission.matching == Match::Exact
                && permission.uri == *procedure
        });
        if !may {
            let problem =
                format!("nobody may register `{procedure}`: permissions by pattern do not count");
            let fix = format!(
                "add [[realm.role.permission]] with uri = \"{procedure}\" and register = true to a role"
            );
            return Err(source.refuse(key, problem, fix));
        }
    }
    // Where a user has a ticket, tickets are of users, and nobody would ever be asked.
    let has_ticket = |user: &&UserConfig| matches!(user.credential, Credential::Ticket(_));
    if realm.authenticator.is_some()
        && let Some(user) = realm.users.iter().find(has_ticket)
    {
        let problem = format!("is never asked, as user `{}` has a ticket", user.authid);
        let fix = "give that user another credential, or remove authenticator";
        return Err(source.refuse(format!("{place}.authenticator"), problem, fix));
    }
    Ok(())
}

fn check_users(realm: &RealmConfig, place: &str, source: Source<'_>) -> Result<(), ConfigError> {
    let known: Vec<_> = realm.roles.iter().map(|role| role.name.as_str()).collect();
    let check_role = |role: &str, key: String| {
        if known.contains(&role) {
            return Ok(());
        }
        let problem = format!("the realm has no role `{role}`");
        let fix = if known.is_empty() {
            "add it as [[realm.role]]".to_owned()
        } else {
            format!("add it as [[realm.role]], or use one of: {}", known.join(", "))
        };
        Err(source.refuse(key, problem, fix))
    };
    if let Some(role) = &realm.anonymous {
        check_role(role, format!("{place}.anonymous.role"))?;
    }
    let mut names = Unique::new(source, "give each user of the realm an authid of its own");
    let mut keys = Unique::new(source, "list each key at one user of the realm, and once");
    for (i, user) in realm.users.iter().enumerate() {
        let place = format!("{place}.user[{i}]");
        names.add(user.authid.as_str(), &place, "authid")?;
        check_role(&user.role, format!("{place}.role"))?;
        match &user.credential {
            Credential::Cryptosign(public_keys) => {
                for key in public_keys {
                    keys.add(hex::encode(key), &place, "cryptosign.authorized-keys")?;
                }
            }
            Credential::Ticket(_) | Credential::WampCra { .. } | Credential::Scram(_) => {}
        }
    }
    Ok(())
}

/// Things that must be there once, with the places where they are.
struct Unique<'a, T> {
    source: Source<'a>,
    fix: &'static str,
    seen: BTreeMap<T, String>,
}

impl<'a, T: Ord + Shown> Unique<'a, T> {
    const fn new(source: Source<'a>, fix: &'static str) -> Self {
        Self { source, fix, seen: BTreeMap::new() }
    }

    fn add(&mut self, thing: T, place: &str, key: &str) -> Result<(), ConfigError> {
        if let Some(other) = self.seen.get(&thing) {
            let problem = format!("`{}` is also in {other}", thing.shown());
            return Err(self.source.refuse(format!("{place}.{key}"), problem, self.fix));
        }
        self.seen.insert(thing, place.to_owned());
        Ok(())
    }
}

trait Shown {
    fn shown(&self) -> &str;
}

impl Shown for &str {
    fn shown(&self) -> &str {
        self
    }
}

impl Shown for String {
    fn shown(&self) -> &str {
        self
    }
}

impl<M> Shown for (&str, M) {
    fn shown(&self) -> &str {
        self.0
    }
}
