use std::path::PathBuf;

use super::*;
use crate::admission::reload::reload_realms;

#[test]
fn places_are_counted_by_address_and_in_all() {
    let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
    (config.limits.sessions_max, config.limits.sessions_per_address_max) = (3, 2);
    let admission = Arc::new(Admission::new(&config));
    let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
    let first = admission.admit(a).expect("the first");
    let _second = admission.admit(a).expect("the second");
    let full = admission.admit(a).map(drop).expect_err("its address is full");
    assert_eq!(
        (full.limit, full.holder, full.max),
        ("sessions-per-address-max", Holder::Address, 2)
    );
    let _third = admission.admit(b).expect("another address");
    let full = admission.admit(c).map(drop).expect_err("the entry is full");
    assert_eq!((full.limit, full.holder, full.max), ("sessions-max", Holder::Entry, 3));
    drop(first);
    assert!(admission.admit(a).is_ok(), "the place is free again");
}

#[test]
fn a_network_of_ipv6_has_the_places_of_one_address_and_a_site_those_of_eight() {
    let mut config = Config::nearcast(PathBuf::from("unused"), ([127, 0, 0, 1], 0).into());
    config.limits.sessions_per_address_max = 1;
    let admission = Arc::new(Admission::new(&config));
    let at = |network: u16, host: u16| IpAddr::from([0x2001, 0xdb8, 1, network, 0, 0, 0, host]);
    let full = |address| {
        let full = admission.admit(address).map(drop).expect_err("full");
        (full.holder, full.max)
    };
    let mut inside = Vec::new();
    for network in 0..8 {
        inside.push(admission.admit(at(network, 1)).expect("the first of its network"));
        assert_eq!(full(at(network, 2)), (Holder::Address, 1), "of the same network");
    }
    assert_eq!(full(at(8, 1)), (Holder::Site, 8), "of the same site");
    let elsewhere = IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, 1]);
    assert!(admission.admit(elsewhere).is_ok(), "another site");
}

#[test]
fn the_broker_knows_networks_and_sites_as_admission_does() {
    let of = |text: &str| origin_of(text.parse().expect("an address"));
    let ip = |text: &str| text.parse::<IpAddr>().expect("an address");
    let one = Origin { client: ip("10.0.0.1"), site: None };
    assert_eq!([of("10.0.0.1"), of("::ffff:10.0.0.1")], [one, one]);
    let network = Origin { client: ip("2001:db8:1:2::"), site: Some(ip("2001:db8:1::")) };
    assert_eq!([of("2001:db8:1:2::1"), of("2001:db8:1:2:ffff::9")], [network, network]);
}

#[test]
fn a_reload_opens_nothing_and_shuts_nobody_out() {
    let config = |realms: &str| {
        let cluster = "cluster = { name = \"test\", secret = \"a-long-secret\", \
                       data-dir = \"data\", write-quorum = 1 }\n\
                       sync = [{ id = \"S1\", lane = 0, address = \"127.0.0.1:1\" }]\n\
                       ndb-group = [{ member = [{ id = \"D1\", address = \"127.0.0.1:2\" }] }]\n";
        let text = format!("{cluster}{realms}");
        let file = std::path::Path::new("vixen.toml");
        Config::parse(&text, file, &std::collections::BTreeMap::new()).expect("good")
    };
    let one =
        "[[realm]]\nname = \"r1\"\nanonymous.role = \"guest\"\n[[realm.role]]\nname = \"guest\"\n";
    let open = "[access]\nopen = true\n";
    let told =
        |admission: &Admission| admission.status()["last_reload"].as_str().map(str::to_owned);
    let admission = Admission::new(&config(one));
    let mut reloads = admission.reloads();
    for (text, words) in [("", "refused: the file has no"), (open, "refused: access.open")] {
        reload_realms(&admission, Ok(&config(text)));
        assert!(told(&admission).is_some_and(|told| told.starts_with(words)), "{text}");
        assert!(!admission.realms.is_open() && admission.realms.len() == 1, "{text}");
        assert!(!reloads.has_changed().expect("there"), "{text}: nobody is told");
    }
    reload_realms(&admission, Err("vixen.toml: no"));
    assert_eq!(told(&admission).as_deref(), Some("failed: vixen.toml: no"));

    let admission = Admission::new(&config(open));
    reload_realms(&admission, Ok(&config("")));
    assert!(admission.realms.is_open(), "an open entry does not shut everybody out");
    for text in [open, one] {
        reload_realms(&admission, Ok(&config(text)));
        assert_eq!(told(&admission).as_deref(), Some("ok"), "{text}");
    }
    assert!(!admission.realms.is_open() && admission.reloads().borrow_and_update().ge(&2));
    reloads.mark_unchanged();
}
