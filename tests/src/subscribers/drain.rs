//! Each entry in turn is stopped as an operator would, and started, under load.

use std::time::Instant;

use super::stream::Wanted;
use super::trial::Trial;
use crate::harness::Tier;
use crate::load::{LoadOptions, Roaming};

/// What a session is told by an entry that stops: the reason of its close frame.
const GOODBYE: &str = "wamp.close.system_shutdown";
const TOPICS: u32 = 2;
/// Acknowledgements between the steps.
const MEANWHILE: u64 = 500;
const CLIENTS: [(&str, &[Wanted]); 4] = [
    ("first", &[Wanted::All]),
    ("second", &[Wanted::All]),
    ("third", &[Wanted::Topic(0), Wanted::All]),
    ("fourth", &[Wanted::Topic(1)]),
];

pub(super) async fn run(trial: &mut Trial) -> anyhow::Result<()> {
    let rounds = trial.options.rounds;
    trial.setup = format!(
        "open loop, {} messages/s in all of six publishers at all entries on {TOPICS} topics; four \
         clients at random entries; SIGTERM to each entry in turn and started again, {rounds} times",
        trial.options.per_second
    );
    let urls = trial.cluster.urls();
    let options = LoadOptions { topics: TOPICS, publishers: 6, ..trial.load_options(urls) };
    let load = Roaming::start(options.clone())?;
    let progress = load.progress();
    let resumers = trial.start_resumers(&options, &CLIENTS, 0);
    let mut exits = Vec::new();
    let mut sessions = 0.0;
    for _ in 0..rounds {
        for id in trial.cluster.ids_of(Tier::Entry) {
            trial.acknowledged(&progress, MEANWHILE).await?;
            sessions += trial.cluster.metric(&id, "vixen_entry_sessions").await?;
            let begin = Instant::now();
            // It has to end by itself, with exit code 0.
            trial.cluster.stop(&id).await?;
            exits.push(begin.elapsed());
            trial.acknowledged(&progress, MEANWHILE).await?;
            trial.cluster.restart(&id).await?;
        }
    }
    trial.acknowledged(&progress, MEANWHILE).await?;
    let (publishers, all) = trial.end_load(load, TOPICS as usize, resumers).await?;
    let clients: Vec<String> = all.iter().flat_map(|fared| fared.losses.clone()).collect();
    let all_losses = || publishers.iter().chain(&clients);
    let told = all_losses().filter(|loss| loss.contains(GOODBYE)).count();
    for loss in all_losses().filter(|loss| !loss.contains(GOODBYE)) {
        trial.broken(format!("a session ended without {GOODBYE}: {loss}"));
    }
    exits.sort_unstable();
    trial.fact("entries stopped", exits.len());
    trial.fact("sessions when they were", sessions);
    trial.fact("sessions told so", told);
    trial.fact("of them publishers", publishers.len());
    trial.fact("of them subscribers", clients.len());
    trial.fact(
        "from SIGTERM to the exit",
        format!(
            "median {:.0?}, longest {:.0?}",
            exits.get(exits.len() / 2).copied().unwrap_or_default(),
            exits.last().copied().unwrap_or_default()
        ),
    );
    trial.judge_streams(TOPICS as usize, all);
    Ok(())
}
