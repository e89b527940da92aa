//! What a procedure decides about a login.

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
