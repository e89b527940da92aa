//! Names on disk that a power cut does not take: a file that is synced is lost nevertheless when the
//! directory with its name is not.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Makes what was created, renamed or removed in a directory durable. Blocking.
///
/// # Errors
/// When it cannot be opened or synced.
pub fn sync_dir(dir: &Path) -> io::Result<()> {
    File::open(dir)?.sync_all()
}

/// Creates `dir` where it is missing, and what is missing above it; its name is durable on return.
/// Blocking.
///
/// # Errors
/// When it cannot be created or synced.
pub fn create_dir(dir: &Path) -> io::Result<()> {
    let dir = std::path::absolute(dir)?;
    let missing = dir.ancestors().take_while(|dir| !dir.exists()).count();
    fs::create_dir_all(&dir)?;
    // One that was there, too: who created it may have been killed before this.
    for above in dir.ancestors().skip(1).take(missing.max(1)) {
        match sync_dir(above) {
            // Whoever may write there and not read has to do without.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            synced => synced?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_created_with_those_above_it_and_may_be_there() {
        let dir = tempfile::tempdir().expect("dir");
        let deep = dir.path().join("a/b/c");
        create_dir(&deep).expect("created");
        create_dir(&deep).expect("there");
        assert!(deep.is_dir());
        fs::write(dir.path().join("file"), b"").expect("written");
        create_dir(&dir.path().join("file/d")).expect_err("in a file");
    }
}
