//! Procedures that the router itself serves.

/// One of them (WAMP spec *Meta API*; those that are of other routers are named in `docs/wamp.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Procedure {
    /// `wamp.registration.list`
    ListRegistrations,
    /// `wamp.registration.lookup`
    LookupRegistration,
    /// `wamp.registration.match`
    MatchRegistration,
    /// `wamp.registration.get`
    GetRegistration,
    /// `wamp.registration.list_callees`
    ListCallees,
    /// `wamp.registration.count_callees`
    CountCallees,
    /// `wamp.registration.remove_callee`
    RemoveCallee,
    /// `wamp.session.count`
    CountSessions,
    /// `wamp.session.list`
    ListSessions,
    /// `wamp.session.get`
    GetSession,
    /// `wamp.session.kill`
    Kill,
    /// `wamp.session.kill_by_authid`
    KillByAuthid,
    /// `wamp.session.kill_by_authrole`
    KillByAuthrole,
    /// `wamp.session.kill_all`
    KillAll,
    /// `wamp.session.modify_details`
    ModifyDetails,
    /// `wamp.session.add_testament`
    AddTestament,
    /// `wamp.session.flush_testaments`
    FlushTestaments,
    /// `wamp.subscription.list`
    ListSubscriptions,
    /// `wamp.subscription.lookup`
    LookupSubscription,
    /// `wamp.subscription.match`
    MatchSubscriptions,
    /// `wamp.subscription.get`
    GetSubscription,
    /// `wamp.subscription.list_subscribers`
    ListSubscribers,
    /// `wamp.subscription.count_subscribers`
    CountSubscribers,
    /// `wamp.subscription.get_events`
    GetEvents,
}

impl Procedure {
    /// The one of this URI.
    #[must_use]
    pub fn of(uri: &str) -> Option<Self> {
        Some(match uri.strip_prefix("wamp.")? {
            "registration.list" => Self::ListRegistrations,
            "registration.lookup" => Self::LookupRegistration,
            "registration.match" => Self::MatchRegistration,
            "registration.get" => Self::GetRegistration,
            "registration.list_callees" => Self::ListCallees,
            "registration.count_callees" => Self::CountCallees,
            "registration.remove_callee" => Self::RemoveCallee,
            "session.count" => Self::CountSessions,
            "session.list" => Self::ListSessions,
            "session.get" => Self::GetSession,
            "session.kill" => Self::Kill,
            "session.kill_by_authid" => Self::KillByAuthid,
            "session.kill_by_authrole" => Self::KillByAuthrole,
            "session.kill_all" => Self::KillAll,
            "session.modify_details" => Self::ModifyDetails,
            "session.add_testament" => Self::AddTestament,
            "session.flush_testaments" => Self::FlushTestaments,
            "subscription.list" => Self::ListSubscriptions,
            "subscription.lookup" => Self::LookupSubscription,
            "subscription.match" => Self::MatchSubscriptions,
            "subscription.get" => Self::GetSubscription,
            "subscription.list_subscribers" => Self::ListSubscribers,
            "subscription.count_subscribers" => Self::CountSubscribers,
            "subscription.get_events" => Self::GetEvents,
            _ => return None,
        })
    }
}
