//! `vixen-bench faults`.
//!
//! ```text
//!   signal ──── --down ───> restart or SIGCONT ──> ready ── --settle ──> traffic ──> next signal
//!   |------ while it was down ------|------- when it came back -------|
//! ```
//! The next signal waits until every client got something after the window: the gap that is open
//! at the end of a window is closed before the next fault can prolong it.

mod args;
mod gaps;
mod report;

use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{Instant, sleep, sleep_until};

use vixen_tests::check::check;
use vixen_tests::harness::{Cluster, Tier, wait_until};
use vixen_tests::load::{Arrivals, Load, Span};

use crate::interrupt::Interrupts;
use args::Fault;
pub(crate) use args::FaultsArgs;
use gaps::{Gaps, Window};
use report::{Counts, Outcome};

/// Silence at a client after which the rest of the faults is left out.
const TRAFFIC_TIMEOUT: Duration = Duration::from_secs(60);

/// Measures; `true` when every guarantee held.
pub(crate) async fn faults(args: &FaultsArgs) -> anyhow::Result<bool> {
    Interrupts::new()?.bound(measure(args)).await
}

async fn measure(args: &FaultsArgs) -> anyhow::Result<bool> {
    let options = args.cluster()?;
    let setup = report::setup(args, &options);
    eprintln!("{setup}");
    let mut cluster = Cluster::start(options).await?;
    let load = Load::start(args.load(cluster.urls())).await?;
    let progress = load.progress();
    let entries = cluster.ids_of(Tier::Entry);
    let mut trial =
        Trial { args, entries: &entries, load: &load, arrivals: load.arrivals(), windows: vec![] };
    let broken_off = trial.run(&mut cluster).await.err();
    let windows = trial.windows;
    eprintln!("waiting for the last answers");
    load.stop();
    let mut result = load.finish().await?;
    if let Some(error) = &broken_off {
        result.troubles.insert(0, format!("the rest of the faults was left out: {error:#}"));
    }
    let counts = Counts {
        published: progress.sent(),
        acknowledged: progress.acknowledged(),
        errors: progress.errors(),
        delivered: progress.delivered(),
    };
    let check = check(&result.history);
    let outcome = Outcome { setup, entries, windows, counts, check, result };
    if args.json {
        println!("{}", outcome.to_json());
    } else {
        println!("{outcome}");
    }
    if broken_off.is_none() {
        cluster.stop_all().await?;
    }
    Ok(outcome.is_ok())
}

/// A measurement under way.
struct Trial<'a> {
    args: &'a FaultsArgs,
    entries: &'a [String],
    load: &'a Load,
    arrivals: Arrivals,
    windows: Vec<Window>,
}

impl Trial<'_> {
    /// The baseline, then all faults.
    async fn run(&mut self, cluster: &mut Cluster) -> anyhow::Result<()> {
        self.traffic_since(0).await?;
        // What comes with a start is not measured.
        sleep(self.args.settle).await;
        for number in 1..=self.args.baseline {
            self.window(cluster, number, &[]).await?;
        }
        let nodes = cluster.ids_of(self.args.tier());
        for round in 1..=self.args.rounds {
            for victims in self.args.victims(&nodes) {
                self.window(cluster, round, &victims)
                    .await
                    .with_context(|| format!("round {round}, {}", victims.join("+")))?;
            }
        }
        Ok(())
    }

    /// One fault from the signal to the end of settling; without victims, the same without a
    /// fault.
    async fn window(
        &mut self,
        cluster: &mut Cluster,
        round: u32,
        victims: &[String],
    ) -> anyhow::Result<()> {
        let down_ns = self.arrivals.now_ns();
        let down_until = Instant::now() + self.args.down;
        self.take_down(cluster, victims).await?;
        sleep_until(down_until).await;
        let back_ns = self.arrivals.now_ns();
        let back_at = Instant::now();
        self.bring_back(cluster, victims).await?;
        let ready_after = back_at.elapsed();
        sleep(self.args.settle).await;
        let end_ns = self.arrivals.now_ns();
        let traffic = self.traffic_since(end_ns).await;
        let gaps = |from_ns, to_ns| Gaps::of(&self.arrivals, Span { from_ns, to_ns });
        let window = Window {
            round,
            victims: victims.to_vec(),
            ready_after,
            down: gaps(down_ns, back_ns),
            back: gaps(back_ns, end_ns),
        };
        eprintln!("{}", report::progress(self.args, self.entries, &window));
        self.windows.push(window);
        traffic
    }

    async fn take_down(&self, cluster: &mut Cluster, victims: &[String]) -> anyhow::Result<()> {
        match self.args.fault {
            Fault::Kill | Fault::KillTwo => cluster.kill_together(victims).await,
            Fault::Pause => victims.iter().try_for_each(|id| cluster.pause(id)),
        }
    }

    /// Returns when every node is ready.
    async fn bring_back(&self, cluster: &mut Cluster, victims: &[String]) -> anyhow::Result<()> {
        match self.args.fault {
            Fault::Kill | Fault::KillTwo => cluster.restart_together(victims).await,
            Fault::Pause => {
                victims.iter().try_for_each(|id| cluster.resume(id))?;
                cluster.wait_ready().await
            }
        }
    }

    /// Waits until every client got something at or after this time.
    async fn traffic_since(&self, at_ns: u64) -> anyhow::Result<()> {
        let what = "an acknowledgement and a delivery at every entry";
        let all_alive = wait_until(what, TRAFFIC_TIMEOUT, || async {
            let alive = !self.load.has_ended_client();
            Ok((!alive || self.arrivals.everywhere_since(at_ns)).then_some(alive))
        })
        .await?;
        anyhow::ensure!(all_alive, "a client has lost its connection");
        Ok(())
    }
}
