//! Where the node programs are.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, bail, ensure};

/// A tier of the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// Votes.
    Sync,
    /// Stores.
    Ndb,
    /// Faces the clients.
    Entry,
}

impl Tier {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Sync, Self::Ndb, Self::Entry];

    /// Name of its program.
    #[must_use]
    pub const fn program(self) -> &'static str {
        match self {
            Self::Sync => "vixen-sync",
            Self::Ndb => "vixen-ndb",
            Self::Entry => "vixen-entry",
        }
    }

    /// First letter of its nodes' names.
    pub(super) const fn letter(self) -> char {
        match self {
            Self::Sync => 'S',
            Self::Ndb => 'D',
            Self::Entry => 'E',
        }
    }
}

/// The folder with the node programs.
#[derive(Clone, Debug)]
pub struct Binaries(PathBuf);

impl Binaries {
    /// Finds the programs, once per process: in `VIXEN_BIN_DIR`, or beside this executable. There
    /// they are built first when cargo runs this process or one is missing.
    ///
    /// # Errors
    /// When they are not there and cannot be built.
    pub fn find() -> anyhow::Result<Self> {
        static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        match FOUND.get_or_init(|| find().map_err(|error| format!("{error:#}"))) {
            Ok(dir) => Ok(Self(dir.clone())),
            Err(error) => bail!("{error}"),
        }
    }

    /// The program of `tier`.
    #[must_use]
    pub fn program(&self, tier: Tier) -> PathBuf {
        self.0.join(tier.program())
    }
}

fn find() -> anyhow::Result<PathBuf> {
    if let Some(dir) = std::env::var_os("VIXEN_BIN_DIR") {
        let dir = PathBuf::from(dir);
        let missing = missing(&dir);
        ensure!(missing.is_empty(), "VIXEN_BIN_DIR has no {}", missing.join(", "));
        return Ok(dir);
    }
    let exe = std::env::current_exe().context("this executable has no path")?;
    let dir = exe.parent().context("this executable has no folder")?;
    // Tests are in target/<profile>/deps, programs in target/<profile>.
    let dir = if dir.ends_with("deps") { dir.parent().unwrap_or(dir) } else { dir };
    // Cargo sets this for what it runs: then the sources are here, and may be newer.
    match std::env::var_os("CARGO") {
        Some(cargo) => build(cargo, dir)?,
        None if !missing(dir).is_empty() => build("cargo".into(), dir)?,
        None => {}
    }
    let missing = missing(dir);
    ensure!(missing.is_empty(), "no {} in {}", missing.join(", "), dir.display());
    Ok(dir.to_owned())
}

fn missing(dir: &Path) -> Vec<&'static str> {
    let programs = Tier::ALL.map(Tier::program);
    programs.into_iter().filter(|program| !dir.join(program).is_file()).collect()
}

/// Builds the programs into `dir`, which is `<target>/<profile>`.
fn build(cargo: OsString, dir: &Path) -> anyhow::Result<()> {
    let folder = dir.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let profile = if folder == "debug" { "dev" } else { folder };
    let target = dir.parent().context("the programs' folder has no parent")?;
    let mut command = Command::new(cargo);
    command.arg("build").args(["--profile", profile]).arg("--target-dir").arg(target);
    command.args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml")]);
    // All programs of the workspace, so that features are the same as in `cargo test --workspace`
    // and nothing is compiled twice.
    command.args(["--workspace", "--bins"]);
    // What cargo has told this process of its package: build scripts that look at it would begin anew each time.
    for (name, _value) in std::env::vars_os() {
        let is_of_package =
            |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        if name.to_str().is_some_and(is_of_package) {
            command.env_remove(name);
        }
    }
    let output = command.output().with_context(|| {
        let dir = dir.display();
        format!("the node programs are not in {dir}, and there is no cargo to build them; set VIXEN_BIN_DIR")
    })?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "building the node programs failed:\n{words}");
    Ok(())
}
