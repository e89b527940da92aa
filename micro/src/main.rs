//! `vixen-micro CASE TIMES`: does a case so often, for a tool that counts instructions. `vixen-micro` alone lists the cases.

use std::hint::black_box;
use std::process::ExitCode;

use vixen_micro::CASES;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let (Some(name), times) = (arguments.next(), arguments.next()) else {
        CASES.iter().for_each(|(name, messages, _)| println!("{name} {messages}"));
        return ExitCode::SUCCESS;
    };
    let case = CASES.iter().find(|(case, _, _)| *case == name);
    let (Some((_, _, make)), Some(Ok(times))) = (case, times.map(|times| times.parse::<u32>()))
    else {
        eprintln!("usage: vixen-micro CASE TIMES; cases are listed by vixen-micro alone");
        return ExitCode::from(2);
    };
    let mut case = make();
    for _ in 0..times {
        black_box(case());
    }
    ExitCode::SUCCESS
}
