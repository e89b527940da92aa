//! How many nodes of what kind, and who is which.

use super::*;

/// `GOOD` with this many sync nodes.
fn with_sync_nodes(count: usize) -> String {
    let member = "[[sync]]\nid = \"S1\"\nlane = 0\naddress = \"127.0.0.1:9041\"\n";
    let members: String = (0..count)
        .map(|i| format!("[[sync]]\nid = \"S{i}\"\nlane = {i}\naddress = \"s{i}:9041\"\n"))
        .collect();
    good_but(member, &members)
}

#[test]
fn sync_clusters_have_one_three_five_or_seven_nodes() {
    for count in [1, 3, 5, 7] {
        let config = parse(&with_sync_nodes(count)).expect("good");
        assert_eq!(config.membership().quorum(), count / 2 + 1);
    }
    for (count, why) in [
        (0, "no sync node"),
        (2, "even number adds no safety"),
        (4, "even"),
        (9, "slow every vote"),
    ] {
        let error = parse(&with_sync_nodes(count)).expect_err("refused").to_string();
        assert!(error.starts_with("etc/vixen.toml: sync: "), "{error}");
        assert!(error.contains(why), "no {why} in: {error}");
        assert!(error.ends_with("have 1, 3, 5 or 7 [[sync]] tables"), "{error}");
    }
}

#[test]
fn lanes_are_unique() {
    let text = with_sync_nodes(3).replace("lane = 2", "lane = 1");
    let error = parse(&text).expect_err("refused").to_string();
    assert!(error.contains("sync[2].lane: 1 is also the lane of S1"), "{error}");
    assert!(error.contains("of its own"), "{error}");
}

#[test]
fn groups_have_one_to_five_members() {
    let head = GOOD.split("[[ndb-group]]").next().expect("a first part");
    let none = parse(head).expect_err("no group").to_string();
    assert!(none.contains("ndb-group: there is no ndb group"), "{none}");
    assert!(none.contains("add [[ndb-group]]"), "{none}");
    let empty = parse(&format!("{head}[[ndb-group]]\n")).expect_err("no member").to_string();
    assert!(empty.contains("ndb-group[0].member: the group has 0 members"), "{empty}");
    let six: String = (0..6)
        .map(|i| format!("[[ndb-group.member]]\nid = \"D{i}\"\naddress = \"d{i}:9051\"\n"))
        .collect();
    let six = parse(&format!("{head}[[ndb-group]]\n{six}")).expect_err("too many").to_string();
    assert!(six.contains("the group has 6 members; have 1 to 5"), "{six}");
}

#[test]
fn every_group_must_reach_the_write_quorum() {
    let second = "[[ndb-group]]\n[[ndb-group.member]]\nid = \"D9\"\naddress = \"d9:9051\"\n";
    let error = parse(&format!("{GOOD}{second}")).expect_err("refused").to_string();
    assert!(error.contains("2 of 1 members in ndb-group 1"), "{error}");
}

#[test]
fn entries_may_share_a_wildcard_address_on_machines_of_their_own() {
    let second = "[[entry]]\nid = \"E2\"\nlisten = \"0.0.0.0:9031\"\n";
    let text = good_but("\"127.0.0.1:9031\"", "\"0.0.0.0:9031\"") + second;
    assert_eq!(parse(&text).expect("good").entries.len(), 2);
}

/// Two entries without it looked as if all were well, and no call came from one to the other.
#[test]
fn entries_that_are_not_linked_are_told_with_key_and_fix() {
    const LINK: &str = "link-address = \"127.0.0.1:9061\"\n";
    let second = "[[entry]]\nid = \"E2\"\nlisten = \"127.0.0.1:9032\"\n";
    let concern = |text: &str, own: &str, address: Option<&str>| {
        let config = parse(text).expect("good");
        let own = config.entry_member(&name(own), Some(([127, 0, 0, 1], 9039).into()));
        let own =
            own.and_then(|own| own.with_link(address.map(str::to_owned), None)).expect("good");
        config.link_concern(&own).map(|concern| concern.to_string())
    };
    let first =
        || good_but("listen = \"127.0.0.1:9031\"", &format!("listen = \"127.0.0.1:9031\"\n{LINK}"));
    let both = concern(&format!("{GOOD}{second}"), "E1", None).expect("not linked");
    assert!(
        both.starts_with("etc/vixen.toml: entry.link-address: is missing for E1, E2: "),
        "{both}"
    );
    assert!(
        both.contains("no_available_callee") && both.contains("; set it for all of them"),
        "{both}"
    );
    for (text, own, address, what) in [
        (GOOD.to_owned(), "E1", None, "it is alone"),
        (first() + second, "E1", None, "the second dials the first"),
        (first() + second, "E2", None, "the same of the other"),
        (format!("{GOOD}{second}"), "E2", Some("e2.example:9061"), "as it runs"),
    ] {
        assert_eq!(concern(&text, own, address), None, "{what}");
    }
    let joins = concern(GOOD, "E9", None).expect("one that the file does not list");
    assert!(joins.contains("is missing for E1, E9: "), "{joins}");
}

#[test]
fn nodes_find_themselves_and_strangers_are_told_who_is_known() {
    let config = parse(GOOD).expect("good");
    assert_eq!(config.sync_member(&name("S1")).expect("listed").lane.index(), 0);
    let (id, member) = config.ndb_member(&name("D3")).expect("listed");
    assert_eq!(id, NdbId { group: GroupId(0), member: 2 });
    assert_eq!(config.ndb_name(id), Some(&member.id));
    assert_eq!(config.ndb_name(NdbId { group: GroupId(1), member: 0 }), None);
    assert_eq!(config.node_dir(&name("D3")), PathBuf::from("etc/data/D3"));

    let sync = config.sync_member(&name("S9")).expect_err("absent").to_string();
    assert!(sync.contains("sync.id: no node here is called `S9`; known are S1"), "{sync}");
    let ndb = config.ndb_member(&name("S1")).expect_err("another tier").to_string();
    assert_eq!(
        ndb,
        "etc/vixen.toml: S1 is a sync node: run `vixen-sync --config etc/vixen.toml --node S1`"
    );
    let tool = config.ndb_member(&name("S1")).expect_err("another tier").of_tool().to_string();
    assert_eq!(tool, "etc/vixen.toml: S1 is a sync node, and this is for ndb nodes: D1, D2, D3");
    let ndb = config.ndb_member(&name("D9")).expect_err("absent").to_string();
    assert!(ndb.contains("known are D1, D2, D3") && ndb.contains("[[ndb-group.member]]"), "{ndb}");
    let entry = config.sync_member(&name("E1")).expect_err("another tier").to_string();
    assert!(entry.contains("E1 is an entry node: run `vixen-entry "), "{entry}");
}

#[test]
fn an_entry_that_is_not_listed_only_needs_an_address() {
    let config = parse(GOOD).expect("good");
    let given: SocketAddr = "127.0.0.1:9999".parse().expect("an address");
    assert_eq!(config.entry_member(&name("E1"), None).expect("listed").listen.port(), 9031);
    assert_eq!(config.entry_member(&name("E1"), Some(given)).expect("listed").listen, given);
    assert_eq!(config.entry_member(&name("E7"), Some(given)).expect("joins").listen, given);
    let error = config.entry_member(&name("E7"), None).expect_err("no address").to_string();
    assert!(error.contains("entry.id: no node here is called `E7`; known are E1"), "{error}");
    assert!(error.contains("make E7 an entry without one by --listen"), "{error}");
    let error = config.entry_member(&name("S1"), Some(given)).expect_err("taken").to_string();
    assert!(error.contains("S1 is a sync node: run `vixen-sync"), "{error}");
    let error = config.entry_member(&name("D1"), None).expect_err("another tier").to_string();
    assert!(error.contains("D1 is an ndb node: run `vixen-ndb"), "{error}");
}

#[test]
fn links_of_entries_have_an_address_and_a_port_by_themselves_or_by_arguments() {
    let listen = "listen = \"127.0.0.1:9031\"\n";
    let linked = format!("{listen}link-address = \"E1.example:9061\"\n");
    let config = parse(&good_but(listen, &linked)).expect("good");
    let member = config.entry_member(&name("E1"), None).expect("listed");
    let bound = |member: &EntryMember| {
        let link = member.link.as_ref().expect("linked");
        let all: Vec<_> = link.bind_addresses().iter().map(ToString::to_string).collect();
        (link.address.clone(), all.join(", "))
    };
    // A name may be of an address of either kind.
    let by_file = ("e1.example:9061".to_owned(), "[::]:9061, 0.0.0.0:9061".to_owned());
    assert_eq!(bound(&member), by_file);
    let given = |address: Option<&str>, listen: Option<&str>| {
        let listen = listen.map(|listen| listen.parse().expect("an address"));
        member.clone().with_link(address.map(str::to_owned), listen)
    };
    let bound_by = |address, listen| bound(&given(address, listen).expect("good"));
    assert_eq!(bound_by(None, None), by_file);
    assert_eq!(bound_by(None, Some("10.0.0.1:7")), (by_file.0, "10.0.0.1:7".to_owned()));
    let six = ("[::1]:9062".to_owned(), "[::]:9062".to_owned());
    assert_eq!(bound_by(Some("[::1]:9062"), None), six);
    let four = ("10.0.0.1:9062".to_owned(), "0.0.0.0:9062".to_owned());
    assert_eq!(bound_by(Some("10.0.0.1:9062"), None), four);
    for (address, listen, words) in [
        (
            None,
            Some("0.0.0.0:9031"),
            "--link-listen (VIXEN_LINK_LISTEN): port 9031 is also that of listen",
        ),
        (
            Some("e1.example:9031"),
            None,
            "--link-address (VIXEN_LINK_ADDRESS): port 9031 is also that of listen",
        ),
        (None, Some("0.0.0.0:0"), "--link-listen (VIXEN_LINK_LISTEN): port 0 is any"),
    ] {
        let error = given(address, listen).expect_err(words).to_string();
        assert!(error.contains(words), "{error}");
    }
    // What the file has is good: it is what was given for clients that is not.
    let moved = config.entry_member(&name("E1"), Some("127.0.0.1:9061".parse().expect("one")));
    let error = moved.expect("listed").with_link(None, None).expect_err("of links").to_string();
    assert!(
        error.contains("--listen (VIXEN_LISTEN): port 9061 is also that of link-address"),
        "{error}"
    );
    let alone = parse(GOOD).expect("good").entry_member(&name("E1"), None).expect("listed");
    let error = alone.with_link(None, Some("0.0.0.0:9061".parse().expect("an address")));
    let error = error.expect_err("nobody could dial it").to_string();
    assert!(error.contains("--link-listen (VIXEN_LINK_LISTEN): means nothing"), "{error}");
}

#[test]
fn missing_arguments_are_refused_with_an_example() {
    let none = NodeArgs::default();
    let error = none.load_required("sync").expect_err("no file").to_string();
    assert!(error.contains("--config (VIXEN_CONFIG): is missing"), "{error}");
    assert!(error.contains("`vixen-sync --config vixen.toml --node S1`"), "{error}");
    let file = NodeArgs { config: Some("vixen.toml".into()), ..NodeArgs::default() };
    let error = file.load_required("ndb").expect_err("no node").to_string();
    assert!(error.contains("--node (VIXEN_NODE): is missing"), "{error}");
    let bad = NodeArgs { node: Some("a b".to_owned()), ..file };
    let error = bad.load_required("ndb").expect_err("bad name").to_string();
    assert!(error.contains("`a b` is no node name"), "{error}");
}
