//! What a procedure decides about a login.

use vixen_runtime::config::AUTH_NAME_BYTES_MAX;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is this one.
    Welcome(Box<Principal>),
    /// The proof is wrong, or there is no such user.
    Denied,
    /// It does not answer, or nothing that it may.
    None,
}

/// Who somebody is, as a procedure says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principal {
    /// One of the realm.
    pub role: String,
    /// The name; without it, the one that the client goes by.
    pub authid: Option<String>,
    /// The realm; without it, the one that the client has named, which it has to be.
    pub realm: Option<String>,
    /// For the client: a JSON object.
    pub extra: Option<String>,
}

/// Why nobody comes in as a procedure says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The role is none of the realm.
    #[error("it names the role {0:?}, which the realm does not have")]
    Role(String),
    /// The realm is not the one that was asked about.
    #[error("it names another realm")]
    Realm,
    /// Nobody can have that name.
    #[error(
        "it names an authid that is empty, has more than {AUTH_NAME_BYTES_MAX} bytes, or a control character"
    )]
    Authid,
}

impl Unfit {
    /// That a realm does not have this role: of a long one the beginning.
    pub(super) fn role(role: &str) -> Self {
        const SHOWN_MAX: usize = 64;
        Self::Role(role.chars().take(SHOWN_MAX).collect())
    }
}

impl Principal {
    /// What is wrong with it, for a realm that it was asked about, whatever its role.
    pub(super) fn misnamed(&self, realm: &str) -> Option<Unfit> {
        let is_good = |name: &String| {
            (1..=AUTH_NAME_BYTES_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
        };
        // Nobody is sent to another realm.
        if self.realm.as_ref().is_some_and(|named| named != realm) {
            return Some(Unfit::Realm);
        }
        (!self.authid.as_ref().is_none_or(is_good)).then_some(Unfit::Authid)
    }
}
