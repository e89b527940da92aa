//! `vixen-bench calls`: what a router that runs makes of calls.

use std::time::{Duration, Instant};

use vixen_tests::harness::Usage;
use vixen_tests::load::{CallOptions, run_calls};

#[derive(Debug, clap::Args)]
pub(crate) struct CallsArgs {
    /// Where callers connect; any router of WAMP will do.
    #[arg(long, default_value = "ws://127.0.0.1:9031/ws")]
    url: String,
    /// Where callees connect, if elsewhere.
    #[arg(long)]
    callee_url: Option<String>,
    /// The realm.
    #[arg(long, default_value = "realm1")]
    realm: String,
    /// Callers, each with a connection of its own.
    #[arg(long, default_value_t = 8)]
    callers: usize,
    /// Callees, each of a procedure of its own.
    #[arg(long, default_value_t = 1)]
    callees: usize,
    /// Calls that each caller keeps open.
    #[arg(long, default_value_t = 64)]
    outstanding: usize,
    /// Bytes of the argument, and of the result.
    #[arg(long, default_value_t = 128)]
    payload: usize,
    /// Seconds that are measured, after one that is not.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Times that it is measured.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The process of the router, for its CPU and memory.
    #[arg(long)]
    pid: Option<u32>,
}

/// Measures; `true` when every call had a result.
pub(crate) async fn calls(args: &CallsArgs) -> anyhow::Result<bool> {
    let options = CallOptions {
        caller_url: args.url.clone(),
        callee_url: args.callee_url.clone().unwrap_or_else(|| args.url.clone()),
        realm: args.realm.clone(),
        callers: args.callers,
        callees: args.callees,
        outstanding: args.outstanding,
        payload_bytes: args.payload,
        warm_up: Duration::from_secs(1),
        time: Duration::from_secs(args.seconds),
    };
    println!("| callers × outstanding | calls/s | p50 ms | p99 ms | CPU µs a call | MiB |");
    println!("|---|---|---|---|---|---|");
    let mut errors = 0;
    for _ in 0..args.runs {
        let usage = || args.pid.and_then(Usage::of).unwrap_or_default();
        let mut begun = (Instant::now(), Usage::default());
        let result = run_calls(&options, || begun = (Instant::now(), usage())).await?;
        let (seconds, after) = (begun.0.elapsed().as_secs_f64(), usage());
        let calls = result.calls as f64;
        let cpu_us = (after.cpu_seconds - begun.1.cpu_seconds) * 1e6 / calls.max(1.0);
        println!(
            "| {} × {} | {:.0} | {:.3} | {:.3} | {cpu_us:.1} | {:.0} |",
            args.callers,
            args.outstanding,
            calls / seconds,
            result.latency.percentile_ms(50.0),
            result.latency.percentile_ms(99.0),
            after.resident_mib,
        );
        errors += result.errors;
    }
    if errors > 0 {
        println!("{errors} calls had an error");
    }
    Ok(errors == 0)
}
