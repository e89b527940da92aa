//! The tools of `vixen-ndb` on stores that are written here, row by row, while they look.

mod arguments;
mod backup;
mod dump;
mod journal;
mod rebuild;
mod verify;
mod writer;

use std::path::Path;
use std::process::{Command, Output};

use writer::{Fate, Writer};

const FIRST_DAY: &str = "2026-11-20";
const SECOND_DAY: &str = "2026-11-21";

/// Two days, with a segment of another group and one that waits.
fn store(dir: &Path) -> Writer {
    let mut writer = Writer::new(dir);
    writer.place(FIRST_DAY, 1, &[("com.a", "[1]"), ("com.b", "[\"x\"],{\"k\":[2]}")], Fate::Whole);
    writer.place(FIRST_DAY, 2, &[("com.a", "[0]"); 3], Fate::OtherGroup);
    writer.place(FIRST_DAY, 3, &[("com.a", "")], Fate::Whole);
    writer.place(SECOND_DAY, 1, &[("org.c", "[{\"deep\":[]}]"); 2], Fate::Whole);
    writer.keep(SECOND_DAY);
    writer
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vixen-ndb"));
    command.env_remove("VIXEN_CONFIG").env_remove("VIXEN_NODE").args(arguments);
    command.output().expect("runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}

/// Runs a tool on a directory; its exit code, stdout and stderr.
fn tool(name: &str, dir: &Path, more: &[&str]) -> (i32, String, String) {
    let output = run(&[&[name, "--dir", text(dir)], more].concat());
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code().expect("no signal"), text(output.stdout), text(output.stderr))
}

#[track_caller]
fn lines_of(dir: &Path, more: &[&str]) -> Vec<String> {
    let (code, out, err) = tool("dump", dir, more);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    out.lines().map(str::to_owned).collect()
}

const CONFIG: &str = r#"
[cluster]
name = "test"
secret = "only-for-this-test"
data-dir = "data"
write-quorum = 1
[[sync]]
id = "S1"
lane = 0
address = "127.0.0.1:1"
[[ndb-group]]
[[ndb-group.member]]
id = "D1"
address = "127.0.0.1:2"
listen = "127.0.0.1:0"
"#;
