//! Bad files: each is told by key and fix, in one text.

use super::*;

/// Bad files: what is replaced, by what, the key and the fix that the error must give.
const BAD: &[(&str, &str, &str, &str)] = &[
    ("[cluster]", "[cluster", "line 2, column", "mend the syntax"),
    ("name = \"test\"", "name = \"test\"\nname = \"twice\"", "line 4, column 1", "mend the syntax"),
    ("[log]", "[logs]", "logs: is not a key", "use one of: cluster, sync, ndb-group, entry, realm"),
    ("[log]\nfilter", "[log]\nfiltre", "log.filtre:", "use one of: filter, format"),
    ("lane = 0", "lane = 0\nlanes = 1", "sync[0].lanes:", "use one of: id, lane, address"),
    ("write-quorum", "write_quorum", "cluster.write_quorum:", "use one of: name, secret"),
    ("write-quorum", "write_quorum", "is not a key", "did you mean `write-quorum`? remove it"),
    ("[log]", "[logs]", "logs: is not a key", "did you mean `log`? remove it"),
    ("frame-bytes-max", "frame-max", "limits.frame-max:", "use one of: segment-messages-max"),
    ("[[sync]]", "[sync]", "sync: is not a list", "write [[sync]] on a line"),
    ("[log]\nfilter", "[[log]]\nfilter", "log: is not a table", "write [log] on a line"),
    ("name = \"test\"", "", "cluster.name: is missing", "such as \"S1\""),
    ("name = \"test\"", "name = \"a b\"", "cluster.name: cannot use `a b`", "A-Z a-z 0-9"),
    ("name = \"test\"", "name = 7", "cluster.name: cannot use `7`", "A-Z a-z 0-9"),
    ("secret = \"a-long-secret\"", "", "cluster.secret: is missing", "set secret, or secret-file"),
    ("\"a-long-secret\"", "\"short\"", "cluster.secret: has fewer than 8", "use a longer one"),
    (
        "durability",
        "secret-file = \"x\"\ndurability",
        "cluster.secret: stands beside secret-file",
        "remove one",
    ),
    (
        "secret = \"a-long-secret\"",
        "secret-file = \"no-such-file\"",
        "etc/no-such-file: cannot be read",
        "cluster.secret-file must name",
    ),
    ("\"fsync\"", "\"sometimes\"", "cluster.durability:", "\"fsync\" or \"memory\""),
    ("data-dir = \"data\"", "data-dir = \"\"", "cluster.data-dir: is empty", "a path in quotes"),
    ("data-dir = \"data\"", "", "cluster.data-dir: is missing", "a path in quotes"),
    ("write-quorum = 2", "write-quorum = \"2\"", "cluster.write-quorum: cannot use", "number"),
    ("write-quorum = 2", "write-quorum = -1", "cluster.write-quorum: cannot use", "number"),
    ("write-quorum = 2", "write-quorum = 0", "cluster.write-quorum: 0", "between 1 and 3"),
    (
        "write-quorum = 2",
        "write-quorum = 4",
        "cluster.write-quorum: 4 of 3 members in ndb-group 0",
        "set it between 1 and 3",
    ),
    (
        "write-quorum = 2",
        "write-quorum = 300",
        "cluster.write-quorum: no group has 300",
        "between 1 and 5",
    ),
    ("\"10s\"", "10", "cluster.max-clock-ahead: cannot use `10`", "such as \"250ms\""),
    ("\"10s\"", "\"ten\"", "cluster.max-clock-ahead: cannot use `ten`", "such as \"250ms\""),
    ("\"10s\"", "\"0s\"", "cluster.max-clock-ahead: 0", "at least \"1ms\""),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-listen = \"127.0.0.1:9061\"",
        "entry[0].link-listen: means nothing without",
        "set link-address to the host",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"127.0.0.1:9031\"",
        "entry[0].link-address: 127.0.0.1:9031 is also entry[0].listen",
        "of its own",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"e1.example:9031\"",
        "entry[0].link-address: port 9031 is also that of entry[0].listen",
        "a port of their own",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"e1.example:9061\"\nlink-listen = \"0.0.0.0:9031\"",
        "entry[0].link-listen: port 9031 is also that of",
        "a port of their own",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"0.0.0.0:9061\"",
        "entry[0].link-address: cannot use `0.0.0.0:9061`",
        "a host and port",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"127.0.0.1:9041\"",
        "entry[0].link-address: 127.0.0.1:9041 is also sync[0].address",
        "of its own",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"e1.example:9061\"\nlink-listen = \"127.0.0.1:9041\"",
        "entry[0].link-listen: 127.0.0.1:9041 is also sync[0].address",
        "of its own",
    ),
    (
        "listen = \"127.0.0.1:9031\"",
        "listen = \"127.0.0.1:9031\"\nlink-address = \"e1.example:9061\"\nlink-listen = \"0.0.0.0:0\"",
        "entry[0].link-listen: port 0 is any",
        "write the port that they dial",
    ),
    ("lane = 0", "lane = 64", "sync[0].lane: cannot use `64`", "from 0 to 63"),
    ("lane = 0", "lane = \"0\"", "sync[0].lane: cannot use `0`", "from 0 to 63"),
    ("lane = 0", "", "sync[0].lane: is missing", "from 0 to 63"),
    ("id = \"S1\"", "id = \"S/1\"", "sync[0].id: cannot use `S/1`", "A-Z a-z 0-9"),
    ("id = \"S1\"", "id = \"..\"", "sync[0].id: cannot use `..`", "A-Z a-z 0-9"),
    ("id = \"S1\"", "", "sync[0].id: is missing", "A-Z a-z 0-9"),
    ("id = \"D2\"", "id = \"D1\"", "ndb-group[0].member[1].id: `D1` is also", "an id of its own"),
    ("id = \"E1\"", "id = \"S1\"", "entry[0].id: `S1` is also sync[0]", "an id of its own"),
    ("\"127.0.0.1:9041\"", "\"127.0.0.1\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"127.0.0.1:0\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"0.0.0.0:9041\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\":9041\"", "sync[0].address: cannot use", "host and port"),
    ("\"127.0.0.1:9041\"", "\"http://s1:9041\"", "sync[0].address: cannot use", "host and port"),
    (
        "\"[::1]:9053\"",
        "\"127.0.0.1:9041\"",
        "ndb-group[0].member[2].address: 127.0.0.1:9041 is also sync[0].address",
        "of its own",
    ),
    (
        "\"127.0.0.1:9031\"",
        "\"127.0.0.1:9051\"",
        "entry[0].listen: 127.0.0.1:9051 is also ndb-group[0].member[0].address",
        "of its own",
    ),
    ("\"0.0.0.0:9051\"", "\"d2:9051\"", "member[1].listen: cannot use `d2:9051`", "an IP address"),
    (
        "\"127.0.0.1:9031\"",
        "9031",
        "entry[0].listen: cannot use `9031`: a port needs",
        "0.0.0.0:9031",
    ),
    (
        "\"127.0.0.1:9031\"",
        "\":9031\"",
        "cannot use `:9031`: a port needs",
        "127.0.0.1:9031 is for",
    ),
    ("\"127.0.0.1:9031\"", "\"[fe80::1%eth0]:9031\"", "entry[0].listen: cannot use", "zones"),
    ("\"127.0.0.1:9041\"", "\"::1:9041\"", "sync[0].address: cannot use `::1:9041`", "[::1]:9041"),
    ("\"127.0.0.1:9041\"", "\"9041\"", "sync[0].address: cannot use `9041`", "needs a host"),
    ("\"2MiB\"", "\"2MB\"", "limits.frame-bytes-max: cannot use `2MB`", "such as \"64MiB\""),
    ("\"2MiB\"", "\"MiB\"", "limits.frame-bytes-max: cannot use `MiB`", "such as \"64MiB\""),
    ("\"2MiB\"", "\"99999999999TiB\"", "limits.frame-bytes-max: cannot use", "such as \"64MiB\""),
    ("\"2MiB\"", "true", "limits.frame-bytes-max: cannot use `true`", "such as \"64MiB\""),
    ("\"2MiB\"", "0", "limits.frame-bytes-max: 0", "at least 1"),
    ("\"2MiB\"", "1000", "limits.frame-bytes-max: 1000 bytes", "or lower message-bytes-max"),
    ("max = 100", "max = 0", "limits.segment-messages-max: 0", "at least 1"),
    ("max = 100", "max = 4294967296", "limits.segment-messages-max: 4294967296", "smaller"),
    (
        "segment-messages-max = 100",
        "segment-bytes-max = \"512KiB\"",
        "limits.segment-bytes-max: 524288 bytes are less than message-bytes-max (1048576)",
        "set it to 1048576 or more, or lower message-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "segment-bytes-max = 0",
        "limits.segment-bytes-max: 0",
        "at least 1",
    ),
    (
        "segment-messages-max = 100",
        "topic-bytes-max = \"2MiB\"",
        "limits.message-bytes-max: 1048576 bytes are less than topic-bytes-max",
        "or lower topic-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "store-bytes-max = 1048577",
        "limits.store-bytes-max: 1048577",
        "a multiple of 4KiB",
    ),
    (
        "segment-messages-max = 100",
        "link-queue-bytes-max = 1",
        "limits.link-queue-bytes-max: 1 bytes",
        "or lower segment-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "link-queue-bytes-max = 4194303",
        "limits.link-queue-bytes-max: 4194303 bytes are less than four times message-bytes-max (1048576)",
        "set it to 4194304 or more, or lower message-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-max = 4096\ninterest-bytes-per-address-max = 5000",
        "limits.interest-bytes-per-address-max: 5000 is more than interest-bytes-max (4096)",
        "set it to 4096 or less, or raise interest-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-per-address-max = 1000",
        "limits.interest-bytes-per-address-max: 1000 is less than one topic",
        "set it to 1088 or more",
    ),
    (
        "segment-messages-max = 100",
        "interest-bytes-max = 4096\ninterest-bytes-per-realm-max = 5000",
        "limits.interest-bytes-per-realm-max: 5000 is more than interest-bytes-max (4096)",
        "set it to 4096 or less, or raise interest-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "patterns-per-entry-max = 1000\npatterns-per-address-max = 1001",
        "limits.patterns-per-address-max: 1001 is more than patterns-per-entry-max (1000)",
        "set it to 1000 or less, or raise patterns-per-entry-max",
    ),
    (
        "segment-messages-max = 100",
        "patterns-per-address-max = 249",
        "limits.patterns-per-address-max: 249 is less than patterns-per-session-max (250)",
        "set it to 250 or more",
    ),
    (
        "segment-messages-max = 100",
        "testaments-bytes-max = \"1MiB\"\ntestaments-bytes-per-address-max = \"2MiB\"",
        "limits.testaments-bytes-per-address-max: 2097152 is more than testaments-bytes-max (1048576)",
        "set it to 1048576 or less, or raise testaments-bytes-max",
    ),
    (
        "segment-messages-max = 100",
        "testaments-bytes-per-address-max = \"255KiB\"",
        "limits.testaments-bytes-per-address-max: 261120 is less than testaments-bytes-per-session-max (262144)",
        "set it to 262144 or more",
    ),
    ("[log]", "[tls]\n[log]", "tls.certificate-file: is missing", "a path in quotes"),
    (
        "[log]",
        "[tls]\ncertificate-file = \"c.pem\"\nca-file = \"ca.pem\"\n[log]",
        "tls.ca-file: is not a key of this table",
        "use one of: certificate-file, key-file",
    ),
    (
        "[log]",
        "[cluster-tls]\ncertificate-file = \"c.pem\"\nkey-file = \"k.pem\"\n[log]",
        "cluster-tls.ca-file: is missing",
        "a path in quotes",
    ),
    ("filter = \"info\"", "filter = \"a=b=c\"", "log.filter: cannot use", "log directives"),
    ("filter = \"info\"", "format = \"xml\"", "log.format: cannot use `xml`", "\"text\" or"),
];

#[test]
fn bad_files_are_refused_with_file_key_and_fix() {
    for (from, to, key, fix) in BAD {
        let error = parse(&good_but(from, to)).expect_err(to).to_string();
        assert!(error.starts_with("etc/"), "no file in: {error}");
        assert!(error.contains(key), "no key {key} in: {error}");
        assert!(error.contains(fix), "no fix {fix} in: {error}");
    }
}

#[test]
fn the_promised_text_of_an_error() {
    let error = Config::parse(
        &good_but("write-quorum = 2", "write-quorum = 4"),
        Path::new("vixen.toml"),
        &Env::new(),
    );
    assert_eq!(
        error.expect_err("impossible quorum").to_string(),
        "vixen.toml: cluster.write-quorum: 4 of 3 members in ndb-group 0 can never be reached; \
         set it between 1 and 3"
    );
}
