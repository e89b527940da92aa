//! Who may be a procedure that decides.

use serde_json::json;

use super::{REALM, asked, denied, guard, guest, log_in, realms_of, start, trusted};

/// Beside the others, `jack` may register and call everything, but for what he is not named for; and who is asked about
/// has no permission at all.
fn with_jack() -> String {
    format!(
        "{REALM}\n[[realm.role]]\nname = \"jack\"\n[[realm.role.permission]]\nuri = \"*\"\nregister = true\ncall = true\n\
         [[realm.user]]\nauthid = \"jack\"\nrole = \"jack\"\nticket = \"secret-of-jack\"\n"
    )
}

#[tokio::test]
async fn who_may_register_everything_may_not_take_the_place_of_what_decides() {
    let entry = start(&with_jack()).await;
    let mut guard = guard(&entry).await;
    let mut jack = log_in(&entry, "jack", "secret-of-jack").await;
    jack.welcomed().await;
    jack.say(r#"[64,1,{"force_reregister":true},"auth.may"]"#).await;
    jack.hears(denied(64, 1, "register")).await;
    jack.say(r#"[48,2,{},"auth.may"]"#).await;
    jack.hears(denied(48, 2, "call")).await;
    // The same of a role that its authorizer alone decides about: it is not even asked.
    let mut guest = guest(&entry).await;
    guest.say(r#"[64,1,{"force_reregister":true},"auth.may"]"#).await;
    guest.hears(denied(64, 1, "register")).await;
    guard.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn a_pattern_decides_nothing_once_the_procedure_is_away() {
    let entry = start(&with_jack()).await;
    let mut jack = log_in(&entry, "jack", "secret-of-jack").await;
    jack.welcomed().await;
    jack.register(r#"{"match":"prefix"}"#, "auth.").await;
    jack.register(r#"{"match":"wildcard"}"#, "auth.may").await;
    let mut guest = guest(&entry).await;
    guest.say(r#"[48,1,{},"a.b"]"#).await;
    guest.hears(denied(48, 1, "call")).await;
    let guard = guard(&entry).await;
    guard.leave().await;
    guest.say(r#"[48,2,{},"a.b"]"#).await;
    guest.hears(denied(48, 2, "call")).await;
    jack.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn who_is_about_to_be_the_authorizer_is_asked_about_until_it_is() {
    let own = REALM.replace("name = \"guard\"\n", "name = \"guard\"\nauthorizer = \"auth.may\"\n");
    let entry = start(&own).await;
    let mut guard = guard(&entry).await;
    let mut second = trusted(&entry).await;
    // It is refused, as another has it: so it is none of it, and is asked about.
    second.say(r#"[64,1,{},"auth.may"]"#).await;
    second.say(r#"[48,2,{},"a.b"]"#).await;
    asked(&mut guard, ("call", "a.b", json!({})), "false").await;
    let mut heard = [second.hear().await, second.hear().await];
    heard.sort_by_key(|one| one[2].as_u64());
    assert_eq!(heard[0][4], "wamp.error.procedure_already_exists", "{heard:?}");
    assert_eq!(heard[1], denied(48, 2, "call"));
    entry.stop().await;
}

#[tokio::test]
async fn what_waits_of_who_becomes_the_authorizer_passes() {
    let own = REALM.replace("name = \"guard\"\n", "name = \"guard\"\nauthorizer = \"auth.may\"\n");
    let entry = start(&own).await;
    let mut first = trusted(&entry).await;
    first.register(r#"{"invoke":"first"}"#, "auth.may").await;
    let mut second = trusted(&entry).await;
    second.say(r#"[64,1,{"invoke":"first"},"auth.may"]"#).await;
    second.say(r#"[16,2,{"acknowledge":true},"a.b"]"#).await;
    // It is asked about, unless this has come late, and the other says nothing. As soon as it would be asked itself,
    // nobody is.
    assert_eq!(second.hear().await[0], 65);
    assert_eq!(second.hear().await[0], 17);
    entry.stop().await;
}

#[tokio::test]
async fn who_may_not_be_the_authorizer_any_more_after_a_reload_is_asked_about() {
    let own = REALM.replace("name = \"guard\"\n", "name = \"guard\"\nauthorizer = \"auth.may\"\n");
    let entry = start(&own).await;
    let mut guard = guard(&entry).await;
    guard.say(r#"[16,1,{"acknowledge":true},"a.b"]"#).await;
    assert_eq!(guard.hear().await[0], 17);
    // Another role is to decide now.
    let without =
        own.replace("uri = \"auth.may\"\nregister = true\n", "uri = \"auth.may\"\ncall = true\n");
    let other = format!(
        "{without}\n[[realm.role]]\nname = \"other\"\n[[realm.role.permission]]\nuri = \"auth.may\"\nregister = true\n"
    );
    entry.reload(|config| config.realms = realms_of(&other));
    guard.say(r#"[48,2,{},"a.b"]"#).await;
    let mut heard = Vec::new();
    while heard.last() != Some(&denied(48, 2, "call")) {
        heard.push(guard.hear().await);
        assert!(heard.len() < 3, "{heard:?}");
    }
    entry.stop().await;
}
