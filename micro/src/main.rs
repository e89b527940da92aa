//! `vixen-micro CASE TIMES`: does a case so often, for a tool that counts instructions. `vixen-micro` alone lists the
//! cases, `vixen-micro allocations` tells of each how often a message allocates, once it is warm.

use std::hint::black_box;
use std::process::ExitCode;

use vixen_micro::CASES;
use vixen_micro::allocations::{Counting, allocations};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Doings before allocations are counted: what is kept has its room by then.
const WARM: u32 = 20;
/// Doings while they are.
const COUNTED: u32 = 100;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), times) = (arguments.next(), arguments.next()) else {
        CASES.iter().for_each(|(name, messages, _)| println!("{name} {messages}"));
        return ExitCode::SUCCESS;
    };
    if name == "allocations" && times.is_none() {
        tell_allocations();
        return ExitCode::SUCCESS;
    }
    let case = CASES.iter().find(|(case, _, _)| *case == name);
    let (Some((_, _, make)), Some(Ok(times))) = (case, times.map(|times| times.parse::<u32>()))
    else {
        eprintln!(
            "usage: vixen-micro CASE TIMES | allocations; cases are listed by vixen-micro alone"
        );
        return ExitCode::from(2);
    };
    let mut case = make();
    for _ in 0..times {
        black_box(case());
    }
    ExitCode::SUCCESS
}

/// One line a case: name, and allocations a message.
fn tell_allocations() {
    for (name, messages, make) in CASES {
        let mut case = make();
        for _ in 0..WARM {
            black_box(case());
        }
        let before = allocations();
        for _ in 0..COUNTED {
            black_box(case());
        }
        let each = (allocations() - before) as f64 / f64::from(COUNTED) / messages as f64;
        println!("{name} {each:.2}");
    }
}
