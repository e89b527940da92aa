//! Everything of a kind that somebody may have is taken.

use vixen_broker::api::Holder;

/// See the module. The texts are for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{who} has {max} {what} under way, as many as {limit} allows: {help}, or try again later{elsewhere}",
    who = holder.name(), what = kind.name(), limit = holder.said(limit), help = kind.help(),
    elsewhere = holder.elsewhere()
)]
pub(crate) struct Full {
    /// Of what.
    pub(crate) kind: Kind,
    /// Who has all that there may be.
    pub(crate) holder: Holder,
    /// How many.
    pub(crate) max: usize,
    /// The key in `[limits]`.
    pub(crate) limit: &'static str,
}

/// What somebody has too many of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Sessions, and requests of HTTP.
    Sessions,
    /// Answers of `/history`.
    Answers,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::Sessions => "sessions and requests",
            Self::Answers => "answers of /history",
        }
    }

    const fn help(self) -> &'static str {
        match self {
            Self::Sessions => "end one of them first",
            Self::Answers => "read one of them to its end first",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_how_many_of_what_and_what_helps_is_said() {
        let of = |kind, holder, limit| Full { kind, holder, max: 8, limit }.to_string();
        let sessions = |holder| of(Kind::Sessions, holder, "sessions-per-address-max");
        let table = [
            (
                sessions(Holder::Address),
                "this client's address at this entry has 8 sessions and requests under way, as many as \
                 limits.sessions-per-address-max allows: end one of them first, or try again later",
            ),
            (
                sessions(Holder::Site),
                "this client's IPv6 network (48 bits) at this entry has 8 sessions and requests under way, \
                 as many as limits.sessions-per-address-max for a network of 48 bits allows: end one of \
                 them first, or try again later",
            ),
            (
                of(Kind::Answers, Holder::Realm, "history-answers-per-realm-max"),
                "the realm at this entry has 8 answers of /history under way, as many as \
                 limits.history-answers-per-realm-max allows: read one of them to its end first, or try \
                 again later, or at another entry",
            ),
        ];
        for (told, wanted) in table {
            assert_eq!(told, wanted);
        }
    }
}
