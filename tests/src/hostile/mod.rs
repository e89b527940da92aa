//! A hostile hour: two hundred clients of every kind that means harm, at once, at one entry of a whole
//! cluster, while honest clients go on at all of them.
//!
//! ```text
//!   200 hostile clients ──────> E1 <── honest publisher and subscriber
//!      (D1's and S1's /link)    E2 <── the same
//!                               E3 <── the same
//! ```
//! First it is quiet, and the honest clients' latencies are the measure. Then the crowd comes. What is
//! promised: the 99th percentile of honest acknowledgements and deliveries is at most twice the quiet one at the
//! entries that are not attacked, and five times at the one that is; every honest message is acknowledged, and
//! delivered everywhere once; and no node takes more memory than its configuration says.

mod crowd;
mod honest;
mod memory;
mod raw;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::check::Report;
use crate::harness::{Cluster, ClusterOptions, Tier};
use crate::outcome::Outcome;
use crowd::Crowd;
use honest::{Honest, Latencies};
use memory::Memory;

/// Hostile clients, of all kinds together.
pub const CLIENTS: usize = 200;
/// The entry that is attacked.
const ATTACKED: &str = "E1";
/// Before anything is measured.
const WARM_UP: Duration = Duration::from_secs(3);
/// So much of the time it is quiet first, within these bounds.
const QUIET_PART: u32 = 5;
const QUIET: (Duration, Duration) = (Duration::from_secs(5), Duration::from_secs(60));
/// Between two changes of the rights of a hostile user.
const REVOKE_EVERY: Duration = Duration::from_secs(2);
/// Below this a percentile is noise of the machine: ratios count from here.
const FLOOR: Duration = Duration::from_millis(10);
/// How much worse a 99th percentile may be than when it was quiet.
const WORSE_ELSEWHERE: u32 = 2;
const WORSE_ATTACKED: u32 = 5;

/// How a hostile hour is run.
#[derive(Clone, Debug)]
pub struct HostileOptions {
    /// How long the crowd stays.
    pub time: Duration,
    /// Whether latencies are judged, or only told: a machine that does other things is no judge.
    pub judges_latency: bool,
    /// Where configuration, logs and stores go; `None`: a temporary folder, which stays when a
    /// promise was broken.
    pub dir: Option<PathBuf>,
}

/// The tables of the configuration: bounds for a small entry, and three realms.
fn tables(with_mallory: bool) -> String {
    let realm = |name: &str| {
        format!(
            "[[realm]]\nname = \"{name}\"\nanonymous.role = \"any\"\n[[realm.role]]\nname = \"any\"\n\
             [[realm.role.permission]]\nuri = \"*\"\npublish = true\nsubscribe = true\n"
        )
    };
    let user = |name: &str| {
        format!(
            "[[realm.user]]\nauthid = \"{name}\"\nrole = \"user\"\nticket = \"{}\"\n",
            raw::TICKET
        )
    };
    let mut text =
        "[limits]\nsessions-max = 1000\nsubscriptions-per-session-max = 1000\n".to_owned();
    text += &realm("realm1");
    text += &realm(crowd::REALM);
    text += &format!(
        "[[realm]]\nname = \"{}\"\n[[realm.role]]\nname = \"user\"\n[[realm.role.permission]]\n\
         uri = \"*\"\nsubscribe = true\n",
        crowd::GUARDED
    );
    text += &user("alice");
    if with_mallory {
        text += &user("mallory");
    }
    text
}

struct Hour {
    options: HostileOptions,
    cluster: Cluster,
    facts: Vec<(String, String)>,
    broken: Vec<String>,
    report: Report,
}

/// Runs it and judges.
///
/// # Errors
/// When the cluster cannot be started; whatever goes wrong later is in the outcome.
pub async fn run(options: HostileOptions) -> anyhow::Result<Outcome> {
    let cluster = ClusterOptions {
        dir: options.dir.clone(),
        extra: tables(true),
        ..ClusterOptions::default()
    };
    let cluster = Cluster::start(cluster).await?;
    let (facts, broken) = (Vec::new(), Vec::new());
    let mut hour = Hour { options, cluster, facts, broken, report: Report::default() };
    if let Err(error) = hour.run().await {
        hour.broken(format!("it was broken off: {error:#}"));
    }
    hour.finish().await
}

impl Hour {
    fn fact(&mut self, name: &str, value: impl ToString) {
        self.facts.push((name.to_owned(), value.to_string()));
    }

    fn broken(&mut self, what: impl Into<String>) {
        let what = what.into();
        eprintln!("BROKEN: {what}");
        self.broken.push(what);
    }

    async fn run(&mut self) -> anyhow::Result<()> {
        let memory = Memory::watch(&self.cluster).await?;
        let entries = self.cluster.ids_of(Tier::Entry);
        let urls = self.cluster.urls();
        let honest = Honest::start(&urls).await?;
        tokio::time::sleep(WARM_UP).await;
        honest.take();
        let quiet = (self.options.time / QUIET_PART).clamp(QUIET.0, QUIET.1);
        tokio::time::sleep(quiet).await;
        let quiet = honest.take();
        eprintln!("quiet: {}", words(&entries, &quiet));

        crowd::fill(&self.cluster.address(ATTACKED)?).await.context("before the crowd")?;
        let crowd = Crowd::start(
            self.cluster.address(ATTACKED)?,
            [self.cluster.address("D1")?, self.cluster.address("S1")?],
        )?;
        tokio::time::sleep(WARM_UP).await;
        honest.take();
        self.attacked_for(self.options.time).await?;
        let attacked = honest.take();
        eprintln!("under attack: {}", words(&entries, &attacked));
        for (kind, counts) in crowd.stopped()? {
            self.fact(&format!("hostile: {kind}"), counts);
        }
        self.judge_latencies(&entries, &quiet, &attacked);
        let (history, troubles) = honest.stopped().await?;
        for trouble in troubles {
            self.broken(trouble);
        }
        self.report = crate::check::check(&history);
        self.judge_memory(memory.stopped().await?);
        for id in self.cluster.ids() {
            if let Some(status) = self.cluster.has_ended(&id)? {
                self.broken(format!("{id} has ended with {status}"));
            }
        }
        Ok(())
    }

    /// The crowd is there; meanwhile a user of it loses its rights and gets them back.
    async fn attacked_for(&mut self, time: Duration) -> anyhow::Result<()> {
        let file = self.cluster.config_file().to_owned();
        let with = std::fs::read_to_string(&file)?;
        let without = with.replace(&tables(true), &tables(false));
        anyhow::ensure!(with != without, "the file has no user to be taken out");
        let pid = Pid::from_raw(i32::try_from(self.cluster.pid(ATTACKED)?)?);
        let begin = Instant::now();
        let mut reloads = 0_u32;
        while begin.elapsed() < time {
            let text = if reloads.is_multiple_of(2) { &without } else { &with };
            std::fs::write(&file, text)?;
            kill(pid, Signal::SIGHUP)?;
            reloads += 1;
            tokio::time::sleep(REVOKE_EVERY).await;
        }
        self.fact("reloads of realms", reloads);
        Ok(())
    }

    fn judge_latencies(&mut self, entries: &[String], quiet: &[Latencies], attacked: &[Latencies]) {
        for ((id, quiet), attacked) in entries.iter().zip(quiet).zip(attacked) {
            let worse = if id == ATTACKED { WORSE_ATTACKED } else { WORSE_ELSEWHERE };
            for (what, before, after) in [
                ("acknowledgements", quiet.acknowledged(), attacked.acknowledged()),
                ("deliveries", quiet.delivered(), attacked.delivered()),
            ] {
                let facts = format!("{before}; under attack {after}");
                self.fact(&format!("{what} at {id}, quiet"), facts);
                if after.count == 0 {
                    self.broken(format!("{id}: no {what} under attack"));
                }
                let most = before.p99.max(FLOOR) * worse;
                if self.options.judges_latency && after.p99 > most {
                    let p99 = after.p99;
                    self.broken(format!("{id}: p99 of {what} {p99:.1?}, more than {most:.1?}"));
                }
            }
        }
    }

    fn judge_memory(&mut self, nodes: BTreeMap<String, memory::Taken>) {
        for (id, taken) in nodes {
            self.fact(&format!("RssAnon of {id}"), taken);
            if taken.most_bytes > taken.bound_bytes {
                self.broken(format!("{id}: RssAnon {taken}"));
            }
        }
    }

    async fn finish(mut self) -> anyhow::Result<Outcome> {
        let mut files = None;
        if self.broken.is_empty() && self.report.is_ok() {
            self.cluster.stop_all().await.context("at the end")?;
        } else {
            files = Some(self.cluster.keep_files().to_owned());
        }
        let setup = format!(
            "3 sync, 3 ndb, 3 entry nodes, fsync; {CLIENTS} hostile clients at {ATTACKED} for {:?}; an honest \
             publisher and subscriber at each entry",
            self.options.time
        );
        let Self { facts, broken, report, .. } = self;
        Ok(Outcome { scenario: "hostile", seed: 0, setup, facts, broken, report, files })
    }
}

fn words(entries: &[String], latencies: &[Latencies]) -> String {
    let of = |(id, latencies): (&String, &Latencies)| {
        format!(
            "{id}: acknowledged {}, delivered {}",
            latencies.acknowledged(),
            latencies.delivered()
        )
    };
    entries.iter().zip(latencies).map(of).collect::<Vec<_>>().join("; ")
}
