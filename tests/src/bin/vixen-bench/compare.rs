//! `vixen-bench compare`: builds, and peers, under the same loads, in turns.
//!
//! A machine's speed drifts by more than builds differ, so that what was measured an hour ago says
//! nothing. Each build is driven by the `vixen-bench` beside it, which knows its configuration.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use clap::ValueEnum as _;
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Command;

use vixen_tests::harness::{Durability, Tier};

use crate::args::duration;
use crate::interrupt::Interrupts;
use crate::peer::Peer;
use crate::spread::Spread;

const AFTER_HELP: &str = "\
Examples:
  The build of another commit against this one, five runs of each load:
    vixen-bench compare ../before/target/release target/release

  NATS and etcd against this build, with the clients that the feature `vixen-tests/peers` brings:
    vixen-bench compare target/release nats etcd

  Only the open loop, ten times, without waiting for the disk:
    vixen-bench compare ../before/target/release target/release --load open --runs 10 \\
        --durability memory

Exit codes: 0 all well; 1 a guarantee was broken in some run; 2 it could not be run at all, or was interrupted.";

/// What is published, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum LoadKind {
    /// 8 publishers with 64 messages outstanding each.
    Flat,
    /// One publisher with one message outstanding.
    One,
    /// 2,000 messages a second, whatever the answers.
    Open,
}

impl LoadKind {
    const fn title(self) -> &'static str {
        match self {
            Self::Flat => "flat out, 8 × 64",
            Self::One => "one publisher, one outstanding",
            Self::Open => "open loop, 2,000/s",
        }
    }

    const fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Flat => &["--publishers", "8", "--window", "64"],
            Self::One => &["--publishers", "1", "--window", "1"],
            Self::Open => &["--rate", "2000"],
        }
    }
}

/// What is measured.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Subject {
    Build(PathBuf),
    Peer(Peer),
}

impl std::str::FromStr for Subject {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let peer = Peer::from_str(text, false);
        Ok(peer.map_or_else(|_other| Self::Build(text.into()), Self::Peer))
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Build(dir) => write!(f, "{}", dir.display()),
            Self::Peer(Peer::Nats) => {
                f.write_str("NATS, JetStream of three replicas, answers before the disk is synced")
            }
            Self::Peer(Peer::Etcd) => f.write_str("etcd, three members, synced"),
        }
    }
}

/// What columns are called.
const LETTERS: [&str; 6] = ["A", "B", "C", "D", "E", "F"];

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompareArgs {
    /// The folder of the first build's programs, its vixen-bench included: what the others are compared with.
    #[arg(value_name = "BIN_DIR_A")]
    a: Subject,
    /// The folder of another build's programs; or nats, or etcd, which this vixen-bench starts. Up to five.
    #[arg(value_name = "BIN_DIR_B", required = true, num_args = 1..=5)]
    others: Vec<Subject>,
    /// Loads to try.
    #[arg(long, num_args = 1.., value_enum, default_values = ["flat", "one", "open"])]
    load: Vec<LoadKind>,
    /// How often each build is measured under each load.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How long each run measures.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = duration)]
    duration: Duration,
    /// Bytes of the arguments of each message, at least 48.
    #[arg(long, value_name = "BYTES", default_value_t = 128)]
    payload: u32,
    /// What the nodes wait for before they answer: fsync or memory.
    #[arg(long, default_value = "fsync")]
    durability: Durability,
}

/// Measures; `true` when every guarantee held in every run.
pub(crate) async fn compare(args: &CompareArgs) -> anyhow::Result<bool> {
    let mut interrupts = Interrupts::new()?;
    let subjects: Vec<_> = std::iter::once(&args.a).chain(&args.others).collect();
    subjects.iter().try_for_each(|subject| subject.check())?;
    for (letter, subject) in LETTERS.iter().zip(&subjects) {
        println!("{letter}: {subject}");
    }
    println!(
        "\n3 sync, 3 ndb, 3 entry nodes and the generator on this machine; durability {}, {} bytes; in turns, {} of \
         each, {:?}. Median (lowest to highest).\n",
        args.durability.as_str(),
        args.payload,
        match args.runs {
            1 => "one run".to_owned(),
            runs => format!("{runs} runs"),
        },
        args.duration
    );
    println!("{}", heading(subjects.len()));
    let mut is_ok = true;
    for load in &args.load {
        let mut runs = vec![Vec::new(); subjects.len()];
        for round in 0..args.runs {
            for turn in 0..subjects.len() {
                // Whoever is first finds the machine as the last has left it.
                let at = if round % 2 == 0 { turn } else { subjects.len() - 1 - turn };
                let (title, letter) = (load.title(), LETTERS[at]);
                eprintln!("{title}, run {} of {}: {letter}", round + 1, args.runs);
                runs[at].push(run(args, subjects[at], *load, &mut interrupts).await?);
            }
        }
        is_ok &= runs.iter().flatten().all(|figures| figures.is_ok);
        print!("{}", Table { load: *load, runs: &runs });
    }
    if !is_ok {
        println!("\nA GUARANTEE WAS BROKEN; `vixen-bench run` of that build says which.");
    }
    Ok(is_ok)
}

/// The head of the table.
fn heading(subjects: usize) -> String {
    let letters = &LETTERS[..subjects];
    let ratios: Vec<_> = letters[1..].iter().map(|letter| format!("{letter} : A")).collect();
    let columns = 2 + subjects + ratios.len();
    let (letters, ratios) = (letters.join(" | "), ratios.join(" | "));
    format!("| load | | {letters} | {ratios} |\n|{}", "---|".repeat(columns))
}

impl Subject {
    /// Refuses a folder that lacks programs.
    fn check(&self) -> anyhow::Result<()> {
        let Self::Build(dir) = self else { return Ok(()) };
        let programs = Tier::ALL.map(Tier::program).into_iter().chain(["vixen-bench"]);
        let missing: Vec<_> = programs.filter(|program| !dir.join(program).is_file()).collect();
        ensure!(
            missing.is_empty(),
            "no {} in {}; build it with `cargo build --release --workspace --bins`",
            missing.join(", "),
            dir.display()
        );
        Ok(())
    }

    /// The program that measures it, and its first words.
    fn command(&self, args: &CompareArgs) -> anyhow::Result<Command> {
        match self {
            Self::Build(dir) => {
                let program = std::path::absolute(dir.join("vixen-bench"))?;
                let mut command = Command::new(&program);
                command
                    .args(["run", "--start-cluster", "3+3+3"])
                    .args(["--durability", args.durability.as_str()])
                    .env("VIXEN_BIN_DIR", program.parent().unwrap_or(dir));
                Ok(command)
            }
            Self::Peer(peer) => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["peer", peer.word()]);
                Ok(command)
            }
        }
    }
}

/// One run of one of them; an interrupt ends it together with its cluster.
async fn run(
    args: &CompareArgs,
    subject: &Subject,
    load: LoadKind,
    interrupts: &mut Interrupts,
) -> anyhow::Result<Figures> {
    let child = subject
        .command(args)?
        .arg("--json")
        .args(["--duration", &format!("{}ms", args.duration.as_millis())])
        .args(["--payload", &args.payload.to_string()])
        .args(load.arguments())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its nodes are in this group as well: signals reach all of them, whatever the build does with its own.
        .process_group(0)
        .spawn()
        .with_context(|| subject.to_string())?;
    let group = child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw);
    let mut ended = std::pin::pin!(child.wait_with_output());
    let output = tokio::select! {
        output = &mut ended => output?,
        how = interrupts.told() => {
            group.map_or(Ok(()), |group| killpg(group, SIGTERM))?;
            ended.await?;
            bail!("{how}; what it has started is stopped");
        }
    };
    let text = String::from_utf8_lossy(&output.stdout);
    match text.lines().next().map(serde_json::from_str::<Value>) {
        Some(Ok(outcome)) => Figures::of(&outcome).context("its figures are of another form"),
        Some(Err(_)) | None => {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("{subject} printed no figures: {}", words.trim_end())
        }
    }
}

/// What one run came to.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    is_ok: bool,
    per_second: f64,
    acknowledged_ms: [f64; 3],
    /// `None` where nobody subscribes.
    delivered_ms: Option<[f64; 2]>,
    /// Processor seconds of all nodes for 100,000 messages.
    cpu_seconds: f64,
    /// And of each tier, where there are tiers.
    cpu_seconds_of: Option<[f64; 3]>,
    /// Commits of sync and ndb nodes a message; `None` where the build does not tell.
    commits: Option<f64>,
    /// The same of syncs of their disks.
    syncs: Option<f64>,
    /// Frames between nodes a message, likewise.
    frames: Option<f64>,
}

impl Figures {
    /// Of what `vixen-bench run --json` prints.
    fn of(outcome: &Value) -> Option<Self> {
        let number = |pointer: &str| outcome.pointer(pointer).and_then(Value::as_f64);
        let per_second = number("/measured/acknowledged-per-second")?;
        let messages = per_second * number("/measured/seconds")?;
        let used = outcome.get("used")?.as_object()?;
        let of = |letter: Option<char>, key: &str| {
            let is_one = |name: &str| letter.map_or(name != "generator", |of| name.starts_with(of));
            let nodes = used.iter().filter(|(name, _)| is_one(name));
            nodes.map(|(_, usage)| usage.get(key).and_then(Value::as_f64)).sum::<Option<f64>>()
        };
        let cpu = |letter| Some(of(letter, "cpu-seconds")? * 1e5 / messages);
        let has_tiers = used.keys().any(|name| name.starts_with('E'));
        let tiers = || Some([cpu(Some('S'))?, cpu(Some('D'))?, cpu(Some('E'))?]);
        let of_stores = |key: &str| {
            let (sync, ndb) = (of(Some('S'), key), of(Some('D'), key));
            sync.zip(ndb).filter(|_| has_tiers).map(|(sync, ndb)| (sync + ndb) / messages)
        };
        Some(Self {
            is_ok: outcome.get("ok")?.as_bool()?,
            per_second,
            acknowledged_ms: [
                number("/measured/acknowledge-ms/p50")?,
                number("/measured/acknowledge-ms/p99")?,
                number("/measured/acknowledge-ms/p99.9")?,
            ],
            delivered_ms: number("/measured/deliver-ms/p50")
                .zip(number("/measured/deliver-ms/p99"))
                .map(|(p50, p99)| [p50, p99]),
            cpu_seconds: cpu(None)?,
            cpu_seconds_of: if has_tiers { tiers() } else { None },
            commits: of_stores("commits"),
            syncs: of_stores("syncs"),
            frames: of(None, "frames").map(|frames| frames / messages),
        })
    }
}

/// The runs of all under one load.
struct Table<'a> {
    load: LoadKind,
    runs: &'a [Vec<Figures>],
}

/// What a row shows of a run.
type Get = fn(&Figures) -> Option<f64>;

const ROWS: [(&str, Get); 13] = [
    ("acknowledged/s", |f| Some(f.per_second)),
    ("ack p50, ms", |f| Some(f.acknowledged_ms[0])),
    ("ack p99, ms", |f| Some(f.acknowledged_ms[1])),
    ("ack p99.9, ms", |f| Some(f.acknowledged_ms[2])),
    ("delivery p50, ms", |f| Some(f.delivered_ms?[0])),
    ("delivery p99, ms", |f| Some(f.delivered_ms?[1])),
    ("server CPU s a 100,000 messages", |f| Some(f.cpu_seconds)),
    ("of sync nodes", |f| Some(f.cpu_seconds_of?[0])),
    ("of ndb nodes", |f| Some(f.cpu_seconds_of?[1])),
    ("of entries", |f| Some(f.cpu_seconds_of?[2])),
    ("commits a message", |f| f.commits),
    ("disk syncs a message", |f| f.syncs),
    ("frames a message", |f| f.frames),
];

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = self.load.title();
        for (name, get) in ROWS {
            let spreads: Vec<_> = self.runs.iter().map(|runs| spread(runs, get)).collect();
            let cell = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
            let shown = spreads.iter().map(|spread| cell(spread.as_ref().map(ToString::to_string)));
            let first = spreads.first().and_then(Option::as_ref).filter(|first| first.median > 0.0);
            let ratios = spreads.iter().skip(1).map(|other| {
                let ratio =
                    first.zip(other.as_ref()).map(|(first, other)| other.median / first.median);
                cell(ratio.map(|ratio| format!("{ratio:.2}")))
            });
            let cells: Vec<_> = shown.chain(ratios).collect();
            writeln!(f, "| {title} | {name} | {} |", cells.join(" | "))?;
            title = "";
        }
        Ok(())
    }
}

/// `None` where some run does not tell.
fn spread(runs: &[Figures], get: Get) -> Option<Spread> {
    Spread::of(runs.iter().map(get).collect::<Option<_>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(per_second: f64, commits: Option<u64>) -> Value {
        let node = |cpu: f64| match commits {
            Some(commits) => json!({"cpu-seconds": cpu, "commits": commits, "frames": 2 * commits}),
            None => json!({"cpu-seconds": cpu}),
        };
        json!({
            "ok": true,
            "measured": {
                "acknowledged-per-second": per_second, "seconds": 2.0,
                "acknowledge-ms": {"p50": 1.0, "p99": 2.0, "p99.9": 3.0},
                "deliver-ms": {"p50": 1.5, "p99": 2.5},
            },
            "used": {"generator": {"cpu-seconds": 9.0}, "S1": node(1.0), "D1": node(2.0), "E1": node(3.0)},
        })
    }

    #[test]
    fn work_is_told_by_message_and_tier_without_the_generators() {
        let figures = Figures::of(&outcome(1_000.0, Some(4_000))).expect("figures");
        assert_eq!(figures.cpu_seconds, 300.0);
        assert_eq!(figures.cpu_seconds_of, Some([50.0, 100.0, 150.0]));
        assert_eq!((figures.commits, figures.frames), (Some(4.0), Some(12.0)));
        assert_eq!(Figures::of(&outcome(1_000.0, None)).expect("figures").commits, None);
        assert_eq!(Figures::of(&json!({"ok": true})), None);
    }

    #[test]
    fn a_peer_has_no_tiers_and_nobody_subscribes() {
        let mut outcome = outcome(1_000.0, None);
        let measured = outcome["measured"].as_object_mut().expect("an object");
        measured.remove("deliver-ms");
        outcome["used"] = json!({"P1": {"cpu-seconds": 1.0}, "P2": {"cpu-seconds": 0.5}});
        let figures = Figures::of(&outcome).expect("figures");
        assert_eq!(figures.cpu_seconds, 75.0);
        assert_eq!((figures.cpu_seconds_of, figures.delivered_ms), (None, None));
        let vixen = Figures::of(&super::tests::outcome(1_000.0, Some(4_000))).expect("figures");
        let text = Table { load: LoadKind::One, runs: &[vec![vixen], vec![figures]] }.to_string();
        assert!(text.contains("| of entries | 150.0 (150.0 to 150.0) | – | – |"), "{text}");
        assert_eq!(
            heading(3),
            "| load | | A | B | C | B : A | C : A |\n|---|---|---|---|---|---|---|"
        );
    }

    #[test]
    fn a_word_is_a_peer_and_all_else_a_folder() {
        let of = |text: &str| text.parse::<Subject>().expect("never fails");
        assert_eq!(of("nats"), Subject::Peer(Peer::Nats));
        assert_eq!(of("./nats"), Subject::Build("./nats".into()));
    }

    #[test]
    fn a_table_has_medians_their_spread_and_the_ratio() {
        let runs = |rates: [f64; 3], commits| {
            rates.map(|rate| Figures::of(&outcome(rate, commits)).expect("figures")).to_vec()
        };
        let runs =
            [runs([900.0, 1_000.0, 1_100.0], None), runs([2_000.0, 2_500.0, 1_900.0], Some(1))];
        let text = Table { load: LoadKind::Flat, runs: &runs }.to_string();
        let mut lines = text.lines();
        let first = "| flat out, 8 × 64 | acknowledged/s | 1,000 (900.0 to 1,100) | 2,000 (1,900 to 2,500) | 2.00 |";
        assert_eq!(lines.next(), Some(first));
        let last = "|  | frames a message | – | 0.00 (0.00 to 0.00) | – |";
        assert_eq!(lines.last(), Some(last));
    }
}
