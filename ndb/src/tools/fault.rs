//! SIGBUS, SIGSEGV and SIGABRT: pages that a disk has garbled can lead LMDB astray, or fail its own
//! assertions, and a file cut short is a hole in its map. The process cannot go on then, but it can say what to do.

use std::ffi::c_void;
use std::os::fd::AsFd;
use std::sync::OnceLock;
use std::time::Duration;

use nix::libc::siginfo_t;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use vixen_runtime::telemetry::is_log_pending;

/// How long the log may take to be written up to the fault.
const WAIT_STEPS: u32 = 50;
const WAIT_STEP: Duration = Duration::from_millis(10);
/// How long standard error may take to be ready for the last line.
const WRITABLE_TIME_MS: u16 = 500;

/// What the handler needs, made before it can be called.
struct Answer {
    lines: [Vec<u8>; 3],
    code: i32,
    /// The handlers before: those of Rust, which tell of an overflown stack and do not come back.
    before: [SigHandler; 3],
}

const SIGNALS: [Signal; 3] = [Signal::SIGBUS, Signal::SIGSEGV, Signal::SIGABRT];

static ANSWER: OnceLock<Answer> = OnceLock::new();

/// From now on, a fault in the memory of this process ends it with `code`, and the words
/// `problem (signal …). remedy.` on stderr. The first call holds.
pub fn answer_for(problem: &str, remedy: &str, code: i32) {
    if ANSWER.get().is_some() {
        return;
    }
    let line = |signal: Signal| {
        // LMDB's assertions abort, and so does a panic, which has told of itself by then.
        let unless =
            if signal == Signal::SIGABRT { ", unless a panic is told of above" } else { "" };
        format!("vixen-ndb: {problem} (signal {signal}){unless}. {remedy}\n").into_bytes()
    };
    let handler = SigHandler::SigAction(on_fault);
    // On the stack that Rust has set aside for this in each thread.
    let flags = SaFlags::SA_ONSTACK | SaFlags::SA_SIGINFO;
    let action = SigAction::new(handler, flags, SigSet::empty());
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    let before = SIGNALS.map(|signal| {
        #[expect(unsafe_code, reason = "asks for the handler of a signal")]
        // SAFETY: the default action; `on_fault` follows below, before anything can fault.
        let before = unsafe { sigaction(signal, &default) };
        before.map_or(SigHandler::SigDfl, |before| before.handler())
    });
    let answer = Answer { lines: SIGNALS.map(line), code, before };
    if ANSWER.set(answer).is_err() {
        return;
    }
    for signal in SIGNALS {
        #[expect(unsafe_code, reason = "installs the handler of a signal")]
        // SAFETY: `on_fault` does only what is safe in a handler: it reads memory that was written
        // before it was installed and never changes, or atomically; it calls the handler that was
        // there before, nanosleep(2), poll(2), write(2) and _exit(2). It does not return to what
        // faulted.
        let installed = unsafe { sigaction(signal, &action) };
        if let Err(error) = installed {
            tracing::warn!(%signal, %error, "cannot answer for damaged pages");
        }
    }
}

extern "C" fn on_fault(signal: i32, info: *mut siginfo_t, context: *mut c_void) {
    let Some(answer) = ANSWER.get() else { exit(70) };
    let at = SIGNALS.iter().position(|known| *known as i32 == signal).unwrap_or_default();
    // Rust's own handler tells of an overflown stack and aborts; of anything else it says nothing
    // and returns, with the default action set for a second fault that does not come.
    if let SigHandler::SigAction(before) = answer.before[at] {
        before(signal, info, context);
    }
    say(&answer.lines[at]);
    exit(answer.code)
}

/// Writes a line, unless the reader of standard error stands still: the process has to end.
fn say(line: &[u8]) {
    // What was logged before it, by the thread that writes the log, if it can.
    for _step in 0..WAIT_STEPS {
        if !is_log_pending() {
            break;
        }
        std::thread::sleep(WAIT_STEP);
    }
    let stderr = std::io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    // A pipe that can be written at all takes 4096 bytes; the line is shorter.
    if poll(&mut fds, PollTimeout::from(WRITABLE_TIME_MS)).is_ok_and(|ready| ready > 0) {
        let _nowhere_to_say_it = nix::unistd::write(stderr.as_fd(), line);
    }
}

fn exit(code: i32) -> ! {
    #[expect(unsafe_code, reason = "ends the process from a signal handler")]
    // SAFETY: _exit is safe in a handler, and runs nothing of this process.
    unsafe {
        nix::libc::_exit(code)
    }
}
