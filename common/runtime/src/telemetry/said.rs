//! What programs print, and how they end: standard output and error may be gone, full, or slow.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::ExitCode;

use super::log::{flush, say_last};

/// Standard output takes nothing more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write to standard output")]
pub struct PrintError(#[from] io::Error);

/// Prints a result to standard output. A reader that is gone has had enough: that is no error.
/// Waits for one that is slow; a node that runs says [`announce`] instead.
///
/// # Errors
/// When the text cannot be written for another reason.
pub fn print(text: &str) -> Result<(), PrintError> {
    let mut stdout = io::stdout().lock();
    let printed = stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Says something beside the result, on standard error; that nobody hears it is no error.
pub fn remark(text: &str) {
    let _nobody_listens = writeln!(io::stderr(), "{text}");
}

/// Prints to standard output from a thread of its own, which nobody waits for: for what a node
/// says to a person who may be watching.
pub fn announce(text: String) {
    let printing = std::thread::Builder::new().name("print".to_owned()).spawn(move || {
        let mut rest = text.as_bytes();
        // Past the buffer of the standard library, which the end of the process would wait for.
        while let Ok(written @ 1..) = nix::unistd::write(io::stdout(), rest) {
            rest = &rest[written..];
            if rest.is_empty() {
                break;
            }
        }
    });
    if let Err(error) = printing {
        tracing::debug!(%error, "nothing printed");
    }
}

/// The end of `program`: its last words, if it has failed, and what was logged, for as long as
/// somebody takes them.
#[must_use]
pub fn exit_code<E: Display>(program: &str, outcome: Result<(), E>) -> ExitCode {
    let code = match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say_last(&format!("{program}: {error:#}"));
            ExitCode::FAILURE
        }
    };
    crate::recording::flush();
    flush();
    code
}
