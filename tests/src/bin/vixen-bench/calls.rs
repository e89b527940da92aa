//! `vixen-bench calls`: what routers that run make of calls.

use std::str::FromStr;
use std::time::{Duration, Instant};

use vixen_tests::harness::Usage;
use vixen_tests::load::{CallOptions, run_calls};

use crate::spread::Spread;

const AFTER_HELP: &str = "\
Examples:
  One entry, eight callers with 64 calls open each:
    vixen-bench calls --url ws://127.0.0.1:9031/ws

  Caller and callee at two entries, and another router, all in turns:
    vixen-bench calls --beside apart=ws://127.0.0.1:9031/ws,ws://127.0.0.1:9032/ws \\
        --beside other=ws://127.0.0.1:8080/ws --callers 1 --outstanding 1

Exit codes: 0 all well; 1 a call had an error; 2 it could not be run at all.";

#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct CallsArgs {
    /// Where callers connect; any router of WAMP will do.
    #[arg(long, default_value = "ws://127.0.0.1:9031/ws")]
    url: String,
    /// Where callees connect, if elsewhere.
    #[arg(long)]
    callee_url: Option<String>,
    /// Another router, or other places of the same, measured in turns with the first.
    #[arg(long, value_name = "NAME=URL[,CALLEE_URL][,PID]")]
    beside: Vec<Router>,
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
    /// Times that each is measured.
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// The process of the first router, for its CPU and memory.
    #[arg(long)]
    pid: Option<u32>,
}

/// A router, and where its clients connect.
#[derive(Clone, Debug)]
struct Router {
    name: String,
    caller_url: String,
    callee_url: String,
    pid: Option<u32>,
}

impl FromStr for Router {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, rest) = text.split_once('=').ok_or("there is no NAME= in front")?;
        let mut words = rest.split(',');
        let caller_url = words.next().unwrap_or_default().to_owned();
        let mut router =
            Self { name: name.to_owned(), callee_url: caller_url.clone(), caller_url, pid: None };
        for word in words {
            if word.starts_with("ws") {
                word.clone_into(&mut router.callee_url);
            } else {
                let pid = word.parse().map_err(|_| format!("`{word}` is no URL and no process"))?;
                router.pid = Some(pid);
            }
        }
        Ok(router)
    }
}

/// What one router made of it, a number a run.
#[derive(Default)]
struct Figures {
    per_second: Vec<f64>,
    p50_ms: Vec<f64>,
    p99_ms: Vec<f64>,
    cpu_us: Vec<f64>,
    resident_mib: Vec<f64>,
    errors: u64,
    first_error: Option<String>,
}

/// Measures; `true` when every call had a result.
pub(crate) async fn calls(args: &CallsArgs) -> anyhow::Result<bool> {
    let first = Router {
        name: args.url.clone(),
        caller_url: args.url.clone(),
        callee_url: args.callee_url.clone().unwrap_or_else(|| args.url.clone()),
        pid: args.pid,
    };
    let routers: Vec<Router> = std::iter::once(first).chain(args.beside.iter().cloned()).collect();
    let mut figures: Vec<Figures> = routers.iter().map(|_| Figures::default()).collect();
    for _ in 0..args.runs {
        for (router, figures) in routers.iter().zip(&mut figures) {
            measure(args, router, figures).await?;
        }
    }
    println!(
        "{} callers with {} calls open each, {} bytes, {} callees; in turns, {} runs of each, {}s. \
         Median (lowest to highest).\n",
        args.callers, args.outstanding, args.payload, args.callees, args.runs, args.seconds
    );
    println!("| router | calls/s | p50 ms | p99 ms | CPU µs a call | MiB |");
    println!("|---|---|---|---|---|---|");
    for (router, figures) in routers.iter().zip(&figures) {
        let cells = [
            &figures.per_second,
            &figures.p50_ms,
            &figures.p99_ms,
            &figures.cpu_us,
            &figures.resident_mib,
        ];
        let cells = cells.map(|values| {
            Spread::of(values.clone()).map_or_else(|| "–".to_owned(), |it| it.to_string())
        });
        println!("| {} | {} |", router.name, cells.join(" | "));
    }
    for (router, figures) in routers.iter().zip(&figures) {
        if let Some(error) = &figures.first_error {
            println!("{}: {} calls had an error: {error}", router.name, figures.errors);
        }
    }
    Ok(figures.iter().all(|one| one.errors == 0))
}

/// One run of one router.
async fn measure(args: &CallsArgs, router: &Router, figures: &mut Figures) -> anyhow::Result<()> {
    let options = CallOptions {
        caller_url: router.caller_url.clone(),
        callee_url: router.callee_url.clone(),
        realm: args.realm.clone(),
        callers: args.callers,
        callees: args.callees,
        outstanding: args.outstanding,
        payload_bytes: args.payload,
        warm_up: Duration::from_secs(1),
        time: Duration::from_secs(args.seconds),
    };
    let usage = || router.pid.and_then(Usage::of);
    let mut begun = (Instant::now(), None);
    let result = run_calls(&options, || begun = (Instant::now(), usage())).await?;
    let (seconds, after) = (begun.0.elapsed().as_secs_f64(), usage());
    let calls = result.calls as f64;
    figures.per_second.push(calls / seconds);
    figures.p50_ms.push(result.latency.percentile_ms(50.0));
    figures.p99_ms.push(result.latency.percentile_ms(99.0));
    if let Some((before, after)) = begun.1.zip(after) {
        figures.cpu_us.push((after.cpu_seconds - before.cpu_seconds) * 1e6 / calls.max(1.0));
        figures.resident_mib.push(after.resident_mib);
    }
    figures.errors += result.errors;
    figures.first_error = figures.first_error.take().or(result.first_error);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_router_beside_has_a_name_urls_and_a_process() {
        let router: Router = "x=ws://a/ws,ws://b/ws,17".parse().expect("a router");
        assert_eq!((router.name.as_str(), router.pid), ("x", Some(17)));
        assert_eq!(
            (router.caller_url.as_str(), router.callee_url.as_str()),
            ("ws://a/ws", "ws://b/ws")
        );
        let router: Router = "x=ws://a/ws".parse().expect("a router");
        assert_eq!((router.callee_url.as_str(), router.pid), ("ws://a/ws", None));
        assert!("ws://a/ws".parse::<Router>().is_err());
        assert!("x=ws://a/ws,what".parse::<Router>().is_err());
    }
}
