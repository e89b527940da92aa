//! What the system lets this process have.

use nix::libc::SIGXFSZ;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

/// Takes as many open files as this process may have, for it and the processes it starts; shells
/// give a thousand, and each connection is one. Returns how many these are.
///
/// # Errors
/// The system does not tell, or does not give them.
pub fn raise_open_files() -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

/// From now on a file that is as large as `ulimit -f` allows, such as a log, is an error of its
/// write and not the end of the process. To be called inside a runtime.
///
/// # Panics
/// When the system refuses a signal handler.
pub fn outlive_file_size_limit() {
    // The handler stays when its stream goes.
    let _stays = signal(SignalKind::from_raw(SIGXFSZ)).expect("a handler for SIGXFSZ");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_that_may_be_had_are_taken() {
        let files = raise_open_files().expect("given");
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE), Ok((files, files)));
    }
}
