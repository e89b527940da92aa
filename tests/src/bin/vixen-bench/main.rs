//! Workload generator, fault measurement, demonstration and test clusters for vixen.

mod args;
mod calls;
mod calls_faults;
mod campaign;
mod cluster;
mod compare;
mod demo;
mod faults;
mod history;
mod hostile;
mod interrupt;
mod patterns;
mod peer;
mod report;
mod run;
mod scaling;
mod spread;
mod storage;
mod subscribers;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};

fn main() -> ExitCode {
    let args = Args::parse();
    let threads = match &args.command {
        Command::Run(run) => run.threads,
        Command::Compare(_)
        | Command::Faults(_)
        | Command::Storage(_)
        | Command::Subscribers(_)
        | Command::Campaign(_)
        | Command::Calls(_)
        | Command::CallsFaults(_)
        | Command::Hostile(_)
        | Command::History(_)
        | Command::Patterns(_)
        | Command::Scaling(_)
        | Command::Peer(_)
        | Command::Demo(_)
        | Command::Cluster(_) => 1,
    };
    let done = runtime(threads).and_then(|runtime| {
        let done = runtime.block_on(execute(args.command));
        // Without waiting: a read of standard input cannot be taken back.
        runtime.shutdown_background();
        done
    });
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("vixen-bench: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// One thread by default: the generator shares its machine with the cluster.
fn runtime(threads: usize) -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = match threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        more => {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            builder.worker_threads(more);
            builder
        }
    };
    Ok(builder.enable_all().build()?)
}

/// `true` when everything was as it should be.
async fn execute(command: Command) -> anyhow::Result<bool> {
    match command {
        Command::Run(args) => run::run(&args).await,
        Command::Compare(args) => compare::compare(&args).await,
        Command::Faults(args) => faults::faults(&args).await,
        Command::History(args) => history::history(&args).await,
        Command::Patterns(args) => patterns::patterns(&args).await,
        Command::Scaling(args) => scaling::scaling(&args).await,
        Command::Storage(args) => storage::storage(&args).await,
        Command::Subscribers(args) => subscribers::subscribers(&args).await,
        Command::Calls(args) => calls::calls(&args).await,
        Command::CallsFaults(args) => calls_faults::calls_faults(&args).await,
        Command::Campaign(args) => campaign::campaign(&args).await,
        Command::Hostile(args) => hostile::hostile(&args).await,
        Command::Peer(args) => peer::peer(&args).await,
        Command::Demo(args) => demo::demo(&args).await,
        Command::Cluster(args) => cluster::hold(&args).await.map(|()| true),
    }
}
