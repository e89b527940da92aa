//! `vixen-bench compare`: two builds under the same loads, in turns.
//!
//! A machine's speed drifts by more than builds differ, so that what was measured an hour ago says
//! nothing. Each build is driven by the `vixen-bench` beside it, which knows its configuration.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use nix::sys::signal::Signal::SIGTERM;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use serde_json::Value;
use tokio::process::Command;

use vixen_tests::harness::{Durability, Tier};

use crate::args::duration;
use crate::interrupt::Interrupts;
use crate::report::{grouped, median};

const AFTER_HELP: &str = "\
Examples:
  The build of another commit against this one, five runs of each load:
    vixen-bench compare ../before/target/release target/release

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

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CompareArgs {
    /// The folder of the first build's programs, its vixen-bench included: what the other is compared with.
    #[arg(value_name = "BIN_DIR_A")]
    a: PathBuf,
    /// The folder of the second build's programs.
    #[arg(value_name = "BIN_DIR_B")]
    b: PathBuf,
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
    let builds = [&args.a, &args.b];
    builds.iter().try_for_each(|dir| check_build(dir))?;
    println!(
        "A: {}\nB: {}\n\n3 sync, 3 ndb, 3 entry nodes and the generator on this machine; durability {}, {} bytes; in turns, \
         {} of each, {:?}. Median (lowest to highest).\n",
        args.a.display(),
        args.b.display(),
        args.durability.as_str(),
        args.payload,
        match args.runs {
            1 => "one run".to_owned(),
            runs => format!("{runs} runs"),
        },
        args.duration
    );
    println!("| load | | A | B | B : A |\n|---|---|---|---|---|");
    let mut is_ok = true;
    for load in &args.load {
        let mut runs: [Vec<Figures>; 2] = [Vec::new(), Vec::new()];
        for round in 0..args.runs {
            // Whoever is first finds the machine as the other left it.
            let order = if round % 2 == 0 { [0, 1] } else { [1, 0] };
            for at in order {
                eprintln!(
                    "{}, run {} of {}: {}",
                    load.title(),
                    round + 1,
                    args.runs,
                    ["A", "B"][at]
                );
                runs[at].push(run(args, builds[at], *load, &mut interrupts).await?);
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

fn check_build(dir: &Path) -> anyhow::Result<()> {
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

/// One run of one build; an interrupt ends it together with its cluster.
async fn run(
    args: &CompareArgs,
    dir: &Path,
    load: LoadKind,
    interrupts: &mut Interrupts,
) -> anyhow::Result<Figures> {
    let program = std::path::absolute(dir.join("vixen-bench"))?;
    let child = Command::new(&program)
        .args(["run", "--json", "--start-cluster", "3+3+3"])
        .args(["--durability", args.durability.as_str()])
        .args(["--duration", &format!("{}ms", args.duration.as_millis())])
        .args(["--payload", &args.payload.to_string()])
        .args(load.arguments())
        .env("VIXEN_BIN_DIR", program.parent().unwrap_or(dir))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Its nodes are in this group as well: signals reach all of them, whatever the build does with its own.
        .process_group(0)
        .spawn()
        .with_context(|| program.display().to_string())?;
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
            bail!("{} printed no figures: {}", program.display(), words.trim_end())
        }
    }
}

/// What one run came to.
#[derive(Clone, Debug, PartialEq)]
struct Figures {
    is_ok: bool,
    per_second: f64,
    acknowledged_ms: [f64; 3],
    delivered_ms: [f64; 2],
    /// Processor seconds of all nodes, and of each tier, for 100,000 messages.
    cpu_seconds: f64,
    cpu_seconds_of: [f64; 3],
    /// Commits of sync and ndb nodes a message; `None` where the build does not tell.
    commits: Option<f64>,
}

impl Figures {
    /// Of what `vixen-bench run --json` prints.
    fn of(outcome: &Value) -> Option<Self> {
        let number = |pointer: &str| outcome.pointer(pointer).and_then(Value::as_f64);
        let per_second = number("/measured/acknowledged-per-second")?;
        let messages = per_second * number("/measured/seconds")?;
        let used = outcome.get("used")?.as_object()?;
        let of_tier = |letter: char, key: &str| {
            let nodes = used.iter().filter(|(name, _)| name.starts_with(letter));
            nodes.map(|(_, usage)| usage.get(key).and_then(Value::as_f64)).sum::<Option<f64>>()
        };
        let cpu = |letter| Some(of_tier(letter, "cpu-seconds")? * 1e5 / messages);
        let [sync, ndb, entry] = [cpu('S')?, cpu('D')?, cpu('E')?];
        Some(Self {
            is_ok: outcome.get("ok")?.as_bool()?,
            per_second,
            acknowledged_ms: [
                number("/measured/acknowledge-ms/p50")?,
                number("/measured/acknowledge-ms/p99")?,
                number("/measured/acknowledge-ms/p99.9")?,
            ],
            delivered_ms: [
                number("/measured/deliver-ms/p50")?,
                number("/measured/deliver-ms/p99")?,
            ],
            cpu_seconds: sync + ndb + entry,
            cpu_seconds_of: [sync, ndb, entry],
            commits: of_tier('S', "commits")
                .zip(of_tier('D', "commits"))
                .map(|(sync, ndb)| (sync + ndb) / messages),
        })
    }
}

/// The runs of both builds under one load.
struct Table<'a> {
    load: LoadKind,
    runs: &'a [Vec<Figures>; 2],
}

/// What a row shows of a run.
type Get = fn(&Figures) -> Option<f64>;

const ROWS: [(&str, Get); 11] = [
    ("acknowledged/s", |f| Some(f.per_second)),
    ("ack p50, ms", |f| Some(f.acknowledged_ms[0])),
    ("ack p99, ms", |f| Some(f.acknowledged_ms[1])),
    ("ack p99.9, ms", |f| Some(f.acknowledged_ms[2])),
    ("delivery p50, ms", |f| Some(f.delivered_ms[0])),
    ("delivery p99, ms", |f| Some(f.delivered_ms[1])),
    ("server CPU s a 100,000 messages", |f| Some(f.cpu_seconds)),
    ("of sync nodes", |f| Some(f.cpu_seconds_of[0])),
    ("of ndb nodes", |f| Some(f.cpu_seconds_of[1])),
    ("of entries", |f| Some(f.cpu_seconds_of[2])),
    ("commits a message", |f| f.commits),
];

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut title = self.load.title();
        for (name, get) in ROWS {
            let [a, b] = self.runs.each_ref().map(|runs| Spread::of(runs, get));
            let ratio = match (&a, &b) {
                (Some(a), Some(b)) if a.median > 0.0 => format!("{:.2}", b.median / a.median),
                _ => "–".to_owned(),
            };
            let [a, b] = [a, b].map(|spread| spread.map_or("–".to_owned(), |s| s.to_string()));
            writeln!(f, "| {title} | {name} | {a} | {b} | {ratio} |")?;
            title = "";
        }
        Ok(())
    }
}

/// The middle of a number's values, and its ends.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// `None` where some run does not tell.
    fn of(runs: &[Figures], get: Get) -> Option<Self> {
        let values: Vec<f64> = runs.iter().map(get).collect::<Option<_>>()?;
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(0.0, f64::max);
        Some(Self { median: median(values), least, most })
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, least, most] = [self.median, self.least, self.most].map(figure);
        write!(f, "{median} ({least} to {most})")
    }
}

/// With as many digits as say something.
fn figure(number: f64) -> String {
    match number {
        0.0..10.0 => format!("{number:.2}"),
        10.0..1000.0 => format!("{number:.1}"),
        _ => format!("{number:.0}").parse().map_or_else(|_| number.to_string(), grouped),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn outcome(per_second: f64, commits: Option<u64>) -> Value {
        let node = |cpu: f64| match commits {
            Some(commits) => json!({"cpu-seconds": cpu, "commits": commits}),
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
        assert_eq!(figures.cpu_seconds_of, [50.0, 100.0, 150.0]);
        assert_eq!(figures.commits, Some(4.0));
        assert_eq!(Figures::of(&outcome(1_000.0, None)).expect("figures").commits, None);
        assert_eq!(Figures::of(&json!({"ok": true})), None);
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
        let last = "|  | commits a message | – | 0.00 (0.00 to 0.00) | – |";
        assert_eq!(lines.last(), Some(last));
    }
}
