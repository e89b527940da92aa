//! A run under way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::CallFaultOptions;
use super::callee::{Callee, Order as CalleeOrder};
use super::caller::{Caller, Wish};
use super::fault::Deck;
use super::ledger::{Book, Ledger, Struck};
use super::order::Order;
use super::report::{CallsOutcome, Round};
use super::settled::{self, Serving};
use super::strike::Target;
use crate::campaign::PacketFilter;
use crate::harness::{Cluster, ClusterOptions, Tier, wait_until};

/// Bound on anything that a debug build on a busy machine does at once.
const SOON: Duration = Duration::from_secs(60);
const REALM: &str = "realm1";
const ENTRIES: usize = 3;
/// All that go to one of them.
const SHARED: usize = 1;
/// How long callers call before and without a fault.
const QUIET: Duration = Duration::from_millis(500);
const WITHOUT_FAULT: Duration = Duration::from_secs(3);

/// What each callee is told to do.
pub(super) type Orders = Vec<watch::Sender<CalleeOrder>>;

struct Trial {
    options: CallFaultOptions,
    cluster: Cluster,
    filter: Option<PacketFilter>,
    rng: StdRng,
    book: Book,
    names: Vec<String>,
    wish: watch::Sender<Wish>,
    orders: Orders,
    clients: JoinSet<()>,
    rounds: Vec<Round>,
    facts: Vec<(String, String)>,
}

pub(super) async fn run(options: CallFaultOptions) -> anyhow::Result<CallsOutcome> {
    ensure!(options.callees >= 4, "two callees share, and two want one procedure: four at least");
    ensure!(options.callers >= ENTRIES, "a caller at each entry: {ENTRIES} at least");
    let mut deck = Deck::new(&options.victims, &options.blows);
    ensure!(!deck.is_empty(), "there is no such fault");
    let filter = if deck.cuts() { Some(PacketFilter::new()?) } else { None };
    let cluster = Cluster::start(ClusterOptions {
        entries: ENTRIES,
        linked_entries: ENTRIES,
        dir: options.dir.clone(),
        // All of them come from one address.
        extra: "[limits]\nsessions-per-address-max = 65536\n".to_owned(),
        ..ClusterOptions::default()
    })
    .await?;
    let singles = (options.callees / 2 / 2).max(1);
    let names: Vec<String> = (0..SHARED)
        .map(|_| "bench.faults.shared".to_owned())
        .chain((0..singles).map(|n| format!("bench.faults.single{n}")))
        .collect();
    let bound = options.timeout + options.grace;
    let callees: Vec<usize> = (0..options.callees)
        .map(|number| number.checked_sub(options.callees / 2))
        .map(|single| single.map_or(0, |number| SHARED + number % singles))
        .collect();
    let sizes = (ENTRIES, options.callers);
    let ledger = Ledger::new(sizes, (names.clone(), SHARED), &callees, bound, Instant::now());
    let mut trial = Trial {
        rng: StdRng::seed_from_u64(options.seed),
        options,
        cluster,
        filter,
        book: Book::new(ledger),
        names,
        wish: watch::Sender::new(Wish::Hold),
        orders: Vec::new(),
        clients: JoinSet::new(),
        rounds: Vec::new(),
        facts: Vec::new(),
    };
    trial.start();
    if let Err(error) = trial.all(&mut deck).await {
        trial.book.open().broken(format!("it was broken off: {error:#}"));
    }
    trial.finish().await
}

impl Trial {
    /// All clients.
    fn start(&mut self) {
        let urls: Arc<[String]> = self.cluster.urls().into();
        let procedures: Arc<[String]> = self.names.clone().into();
        for number in 0..self.options.callees {
            let procedure = self.book.open().callees[number].procedure;
            let (order, ordered) = watch::channel(CalleeOrder::Serve);
            self.orders.push(order);
            let callee = Callee {
                number,
                home: number % ENTRIES,
                urls: Arc::clone(&urls),
                realm: REALM.into(),
                name: self.names[procedure].clone(),
                is_shared: procedure < SHARED,
                book: self.book.clone(),
                order: ordered,
                work: self.options.work,
                rng: StdRng::seed_from_u64(self.rng.random()),
            };
            self.clients.spawn(callee.run());
        }
        let period = self.options.callers as f64 / self.options.per_second.max(0.001);
        for number in 0..self.options.callers {
            let caller = Caller {
                number,
                home: number % ENTRIES,
                urls: Arc::clone(&urls),
                realm: REALM.into(),
                procedures: Arc::clone(&procedures),
                shared: SHARED,
                book: self.book.clone(),
                wish: self.wish.subscribe(),
                period: Duration::from_secs_f64(period),
                outstanding: self.options.outstanding,
                timeout: self.options.timeout,
                rng: StdRng::seed_from_u64(self.rng.random()),
            };
            self.clients.spawn(caller.run());
        }
    }

    /// A round without a fault, all rounds, and what is left in the end.
    async fn all(&mut self, deck: &mut Deck) -> anyhow::Result<()> {
        let settled = self.settled().await;
        self.dumped(settled).await.context("before the first round")?;
        let begun = Instant::now();
        self.round(None).await.context("without a fault")?;
        for number in 1..=self.options.rounds {
            let fault =
                deck.draw(self.options.away_max, &mut self.rng).context("there is no fault")?;
            let target = Target::draw(fault, &self.cluster, &self.book, &mut self.rng)?;
            let what = format!("round {number}, {} of {}", fault.kind, target.name());
            self.round(Some(target)).await.with_context(|| what.clone())?;
            for id in self.cluster.ids() {
                if let Some(status) = self.cluster.has_ended(&id)? {
                    bail!("{id} has ended with {status} after {what}");
                }
            }
        }
        let minutes = begun.elapsed().as_secs_f64() / 60.0;
        self.facts.push(("minutes".to_owned(), format!("{minutes:.1}")));
        self.left().await
    }

    async fn round(&mut self, target: Option<Target>) -> anyhow::Result<()> {
        self.book.open().begin(Instant::now(), Struck::Nobody);
        self.wish.send_replace(Wish::Call);
        self.well().await.context("before the fault")?;
        tokio::time::sleep(QUIET).await;
        let begun = Instant::now();
        match &target {
            Some(target) => {
                self.book.open().begin(begun, target.struck());
                let filter = self.filter.as_mut();
                target.strike(&mut self.cluster, filter, (&self.book, &self.orders)).await?;
            }
            None => {
                self.book.open().begin(begun, Struck::Nobody);
                tokio::time::sleep(WITHOUT_FAULT).await;
            }
        }
        let back = begun.elapsed();
        self.wish.send_replace(Wish::Return);
        let well = self.well().await;
        self.dumped(well).await.context("after the fault")?;
        let longest = self.book.open().close(Instant::now());
        let well = begun.elapsed();
        self.wish.send_replace(Wish::Hold);
        let settled = self.settled().await;
        self.dumped(settled).await.context("after the fault")?;
        let spread = self.book.open().spread();
        let respread = self.respread(&spread).await;
        self.dumped(respread).await.context("after callees were sent elsewhere")?;
        let mut tally = self.book.open().tally();
        tally.longest = longest;
        let round = Round {
            kind: target.as_ref().map(|target| target.fault.kind),
            name: target.as_ref().map(Target::name).unwrap_or_default(),
            away: target.as_ref().map_or(WITHOUT_FAULT, |target| target.fault.away),
            back,
            well,
            tally,
        };
        let number = self.rounds.len();
        eprintln!("{number:>4} of {}: {round}", self.options.rounds);
        self.rounds.push(round);
        Ok(())
    }

    /// Sends callees that share a procedure to entries where there is none: who calls while another entry is struck is
    /// to find one.
    async fn respread(&self, spread: &[usize]) -> anyhow::Result<()> {
        let empty: Vec<usize> = (0..spread.len()).filter(|entry| spread[*entry] == 0).collect();
        if empty.is_empty() {
            return Ok(());
        }
        for entry in empty {
            let callee = self.book.open().send_away().context("nobody shares anything")?;
            self.orders[callee].send_replace(CalleeOrder::Go(entry));
            let name = format!("callee {callee} at E{}", entry + 1);
            wait_until(&name, SOON, || async {
                let book = self.book.open();
                let stands = &book.callees[callee];
                let is_there = stands.entry == entry && stands.registration.is_some();
                Ok(is_there.then_some(()))
            })
            .await?;
            self.orders[callee].send_replace(CalleeOrder::Serve);
        }
        self.settled().await
    }

    /// Waits for a result of every procedure at every entry, to a call made from now on.
    async fn well(&self) -> anyhow::Result<()> {
        self.book.open().watch(Instant::now());
        wait_until("results from everywhere", SOON, || async {
            let missed = self.book.open().not_well();
            ensure!(missed.is_empty(), "none of {}", missed.join(", "));
            Ok(Some(()))
        })
        .await
    }

    /// Waits until no call is open, all callers are where they began, every procedure has its callees, and all
    /// entries agree on them and have nothing pending.
    async fn settled(&self) -> anyhow::Result<()> {
        wait_until("all calls to be answered, and all callers to be back", SOON, || async {
            let book = self.book.open();
            let callers = book.callers.iter().enumerate();
            let away = callers.filter(|(n, at)| **at != Some(n % ENTRIES)).count();
            let open = book.open_calls;
            ensure!(open == 0 && away == 0, "{open} calls are open, {away} callers are away");
            Ok(Some(()))
        })
        .await?;
        let singles: Vec<&str> = self.names[SHARED..].iter().map(String::as_str).collect();
        wait_until("all entries to agree", SOON, || async {
            let mut statuses = Vec::new();
            for entry in self.cluster.ids_of(Tier::Entry) {
                let status = self.cluster.status(&entry).await?;
                statuses.push((entry, status));
            }
            let serving = self.serving();
            for (procedure, name) in self.names.iter().enumerate() {
                let of_it = serving.iter().filter(|one| one.procedure == *name);
                let registered = of_it.filter(|one| one.is_registered).count();
                let wanted = if procedure < SHARED { self.options.callees / 2 } else { 1 };
                ensure!(registered == wanted, "{name} has {registered} callees, not {wanted}");
            }
            settled::check(&statuses, &serving, &singles)?;
            Ok(Some(()))
        })
        .await
    }

    /// Callees that have a session.
    fn serving(&self) -> Vec<Serving> {
        let entries = self.cluster.ids_of(Tier::Entry);
        let book = self.book.open();
        let serving = book.callees.iter().filter_map(|stands| {
            Some(Serving {
                procedure: self.names[stands.procedure].clone(),
                session: stands.session?,
                entry: entries[stands.entry].clone(),
                is_registered: stands.registration.is_some(),
            })
        });
        serving.collect()
    }

    /// Adds what all entries say of themselves to an error.
    async fn dumped(&self, done: anyhow::Result<()>) -> anyhow::Result<()> {
        let Err(error) = done else { return Ok(()) };
        let mut text = String::new();
        for entry in self.cluster.ids_of(Tier::Entry) {
            let status = self.cluster.status(&entry).await;
            let part = |key: &str| {
                status.as_ref().map_or_else(ToString::to_string, |s| s[key].to_string())
            };
            for key in ["calls", "view", "lives", "entries", "registrations"] {
                text += &format!("\n{entry} {key}: {}", part(key));
            }
        }
        let callees = self.serving();
        bail!("{error:#}\nBy the status pages:{text}\nBy the callees: {callees:?}\n")
    }

    /// All clients go: nothing of them is left, and all that was is by the order.
    async fn left(&mut self) -> anyhow::Result<()> {
        // Whatever they lose now is their own doing.
        self.clients.shutdown().await;
        let order = wait_until("the registrations to go, as the order has it", SOON, || async {
            let order = Order::read(&self.cluster, REALM, SOON).await?;
            for entry in self.cluster.ids_of(Tier::Entry) {
                let status = self.cluster.status(&entry).await?;
                let left = &status["registrations"]["total"];
                ensure!(*left == 0, "{entry} has {left} left: {}", status["registrations"]);
                order.same_as(&entry, &status)?;
            }
            Ok(Some(order))
        })
        .await?;
        let (records, held) = order.counts();
        let (invoked, invocations) = {
            let mut book = self.book.open();
            let broken = order.judge(&book.tenures, |procedure| self.names[procedure].clone());
            broken.into_iter().for_each(|what| book.broken(what));
            let invocations: u64 = book.tenures.iter().map(|(_, _, tenure)| tenure.count).sum();
            (book.tenures.iter().count(), invocations)
        };
        self.facts.push(("records in the order".to_owned(), records.to_string()));
        let words = format!("{held}, of which {invoked} were invoked, {invocations} times");
        self.facts.push(("holders of `single` in the order".to_owned(), words));
        for entry in self.cluster.ids_of(Tier::Entry) {
            let differ = self.cluster.metric(&entry, "vixen_entry_views_differ_total").await?;
            ensure!(differ == 0.0, "{entry} has found {differ} checkpoints that differ");
        }
        Ok(())
    }

    async fn finish(mut self) -> anyhow::Result<CallsOutcome> {
        self.clients.shutdown().await;
        let (broken, broken_total) = {
            let book = self.book.open();
            let (broken, total) = book.all_broken();
            (broken.to_vec(), total)
        };
        let mut files = None;
        if broken.is_empty() {
            self.cluster.stop_all().await.context("at the end")?;
        } else {
            files = Some(self.cluster.keep_files().to_owned());
        }
        let CallFaultOptions { callers, callees, outstanding, per_second, timeout, grace, .. } =
            &self.options;
        let setup = format!(
            "3 sync, 3 ndb, 3 entry nodes, fsync; {callers} callers, up to {outstanding} calls open each, \
             {per_second} calls/s in all, timeout {timeout:?}, bound {:?}; {} callees share a procedure, {} \
             have {} procedures with one callee",
            *timeout + *grace,
            callees / 2,
            callees - callees / 2,
            self.names.len() - SHARED
        );
        Ok(CallsOutcome {
            seed: self.options.seed,
            setup,
            rounds: self.rounds,
            facts: self.facts,
            broken,
            broken_total,
            files,
        })
    }
}
