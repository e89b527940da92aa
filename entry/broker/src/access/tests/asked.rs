//! What an authorizer is asked about, and who may be a procedure that decides.

use std::sync::Arc;
use std::time::Duration;

use vixen_core::access::Disclosure;
use vixen_core::segment::Match::{self, Exact, Prefix, Wildcard};
use vixen_core::segment::TopicPattern;

use crate::access::{Act, CalleeDisclosure, Permission, Permissions, Quotas};
use crate::authority::Authorizer;

const ACTS: [Act; 4] = [Act::Publish, Act::Subscribe, Act::Call, Act::Register];

fn role(permissions: Vec<Permission>) -> Permissions {
    let time = Duration::from_secs(1);
    let authorizer = Authorizer { procedure: "auth.may".into(), timeout: time, cache: time };
    Permissions::asking(permissions, Quotas::UNLIMITED, authorizer)
}

/// May do everything that matches.
fn all(uri: &str, matching: Match) -> Permission {
    Permission {
        uri: uri.to_owned(),
        matching,
        publish: Some(Disclosure::Never),
        subscribe: true,
        call: Some(Disclosure::Never),
        register: Some(CalleeDisclosure::Told),
    }
}

/// What is asked about.
fn asked(permissions: &Permissions, uri: &str, matching: Match) -> Vec<Act> {
    let (uri, options) = (Arc::from(uri), Arc::from("{}"));
    let is_asked = |act: &Act| permissions.question(*act, &uri, matching, &options).is_some();
    ACTS.into_iter().filter(is_asked).collect()
}

/// Whether it may be called and registered.
fn may(permissions: &Permissions, procedure: &str) -> (bool, bool) {
    let may_register = permissions.register(procedure, Exact).is_some();
    (permissions.call(procedure).is_some(), may_register)
}

#[test]
fn a_role_without_permissions_is_asked_about_everything_but_its_authorizer() {
    let permissions = role(Vec::new());
    assert_eq!(permissions.publish("a.b"), Some(Disclosure::OnRequest));
    assert!(permissions.subscribe("", Prefix));
    assert_eq!(permissions.call("wamp.session.count"), Some(Disclosure::OnRequest));
    assert_eq!(permissions.register("a.", Prefix), Some(CalleeDisclosure::Told));
    assert_eq!(asked(&permissions, "a.b", Exact), ACTS);
    assert_eq!(asked(&permissions, "auth.", Prefix), ACTS);
    // The topic of that name is one like others.
    assert_eq!(asked(&permissions, "auth.may", Exact), [Act::Publish, Act::Subscribe]);
    assert_eq!(may(&permissions, "auth.may"), (false, false));
    // A pattern of that name is not the authorizer.
    assert_eq!(asked(&permissions, "auth.may", Prefix), ACTS);
}

#[test]
fn permissions_bound_what_is_asked_about_and_decide_alone_about_the_authorizer() {
    let permissions = role(vec![all("auth.", Prefix), all("auth.may", Exact)]);
    assert_eq!(permissions.publish("a.b"), None);
    assert_eq!(permissions.call("auth.may"), Some(Disclosure::Never));
    assert_eq!(permissions.register("auth.may", Exact), Some(CalleeDisclosure::Told));
    assert_eq!(asked(&permissions, "auth.may", Exact), [Act::Publish, Act::Subscribe]);
    assert_eq!(asked(&permissions, "auth.other", Exact), ACTS);
}

#[test]
fn a_wide_permission_is_not_one_to_be_the_authorizer() {
    for wide in [all("", Prefix), all("auth.", Prefix), all(".may", Wildcard)] {
        let permissions = role(vec![wide]);
        assert_eq!(may(&permissions, "auth.may"), (false, false));
        assert_eq!(may(&permissions, "auth.other.may"), may(&permissions, "auth.x.may"));
    }
    let without_register = Permission { register: None, ..all("auth.may", Exact) };
    let permissions = role(vec![all("", Prefix), without_register]);
    assert_eq!(may(&permissions, "auth.may"), (true, false));
}

#[test]
fn procedures_that_decide_about_others_are_for_those_alone_whose_permissions_name_them() {
    let deciders = Arc::new(["auth.may", "auth.login"].map(Box::from).into());
    let wide = Permissions::new([all("", Prefix)], Quotas::UNLIMITED).beside(&deciders);
    assert_eq!(may(&wide, "auth.login"), (false, false), "whoever is not asked about either");
    assert_eq!(may(&wide, "auth.logins"), (true, true));
    // What is asked about has no word in it, whatever the authorizer says.
    let asked_only = role(Vec::new()).beside(&deciders);
    assert_eq!(may(&asked_only, "auth.login"), (false, false));
    let named = Permissions::new([all("auth.login", Exact)], Quotas::UNLIMITED).beside(&deciders);
    assert_eq!(
        (may(&named, "auth.login"), may(&named, "auth.may")),
        ((true, true), (false, false))
    );
    // Of another's it is asked as well.
    let both = role(vec![all("auth.login", Exact)]).beside(&deciders);
    assert_eq!(
        (may(&both, "auth.login"), asked(&both, "auth.login", Exact).len()),
        ((true, true), 4)
    );
}

#[test]
fn what_an_authorizer_was_not_asked_about_is_not_heard() {
    let pattern = TopicPattern::new("r", "auth.x", Exact);
    let without = role(Vec::new());
    assert!(without.may_read(&pattern) && without.may_call(&pattern));
    assert!(!without.may_hear_of(&pattern) && !without.may_hear_of_procedures(&pattern));
    let with = role(vec![all("auth.", Prefix)]);
    assert!(with.may_read(&pattern) && with.may_call(&pattern));
    assert!(!with.may_hear_of(&pattern) && !with.may_hear_of_procedures(&pattern));
    let plain = Permissions::new([all("auth.", Prefix)], Quotas::UNLIMITED);
    for permissions in [plain, Permissions::OPEN] {
        assert!(permissions.may_hear_of(&pattern) && permissions.may_hear_of_procedures(&pattern));
    }
    assert!(!with.may_read_stored(&pattern) && Permissions::OPEN.may_read_stored(&pattern));
}

#[test]
fn without_an_authorizer_nobody_is_asked() {
    let plain = Permissions::new([all("", Prefix)], Quotas::UNLIMITED);
    for permissions in [plain, Permissions::OPEN] {
        assert!(asked(&permissions, "auth.may", Exact).is_empty());
        assert!(permissions.call("auth.may").is_some());
    }
}
