//! The command line arguments that all binaries have.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use crate::recording::RecordArgs;
use crate::reload::Load;
use crate::telemetry::remark;

use super::value::{Size, Value as _};
use super::{Config, ConfigError, NodeName};

/// Reads the command line. `--help`, `--version` and mistakes end the process; help that cannot be
/// written is a failure, unless its reader has had enough.
#[must_use]
pub fn parse_args<T: clap::Parser>() -> T {
    T::try_parse().unwrap_or_else(|error| {
        let printed = error.print().and_then(|()| io::stdout().flush());
        let code = match printed {
            Err(cause) if !error.use_stderr() && cause.kind() != io::ErrorKind::BrokenPipe => {
                let program = T::command().get_name().to_owned();
                remark(&format!("{program}: cannot write to standard output: {cause}"));
                1
            }
            Ok(()) | Err(_) => error.exit_code(),
        };
        std::process::exit(code)
    })
}

/// A number of bytes, as an argument: `64MiB`, or plain bytes.
///
/// # Errors
/// What may be written, for people.
pub fn parse_bytes(text: &str) -> Result<u64, String> {
    Size::from_text(text).map(|Size(bytes)| bytes).ok_or_else(|| format!("not {}", Size::FORM))
}

/// The arguments of every node; binaries flatten it into their own.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct NodeArgs {
    /// The cluster's configuration file.
    #[arg(long, env = "VIXEN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Which node of the cluster this is: an id of the configuration file.
    #[arg(long, env = "VIXEN_NODE", value_name = "ID")]
    pub node: Option<String>,
    /// Say whether the configuration is good, and exit without starting.
    #[arg(long)]
    pub check_config: bool,
    /// Ask the node, which runs beside this one, whether it is ready: exit status 0 when it is, else
    /// 1, and a line that says why. For health checks of containers.
    #[arg(long, conflicts_with = "check_config")]
    pub health: bool,
    /// Whether it records, and where.
    #[command(flatten)]
    pub recording: RecordArgs,
}

impl NodeArgs {
    /// Loads the configuration for a node that cannot run without one. `tier` is `sync`, `ndb` or
    /// `entry`; that the node is one of that tier is for the caller to look up.
    ///
    /// # Errors
    /// [`ConfigError::Argument`] with an example when an argument is missing or bad, else what
    /// [`Config::load`] refuses.
    pub fn load_required(&self, tier: &str) -> Result<(Config, NodeName), ConfigError> {
        let letter = match tier {
            "sync" => "S",
            "ndb" => "D",
            _ => "E",
        };
        let missing = |argument, problem: String| ConfigError::Argument {
            argument,
            problem,
            example: format!("vixen-{tier} --config vixen.toml --node {letter}1"),
        };
        let Some(path) = &self.config else {
            let problem = "is missing: the node must know its cluster".to_owned();
            return Err(missing("--config (VIXEN_CONFIG)", problem));
        };
        let Some(node) = &self.node else {
            let problem = "is missing: the file describes all nodes, and one is this".to_owned();
            return Err(missing("--node (VIXEN_NODE)", problem));
        };
        let node = node.parse().map_err(|error: super::ParseNodeNameError| {
            missing("--node (VIXEN_NODE)", format!("{error}"))
        })?;
        Ok((Config::load(path)?, node))
    }

    /// Reads the same file once more, whenever it is called.
    #[must_use]
    pub fn reloader(&self, tier: &'static str) -> Load {
        let args = self.clone();
        Arc::new(move || {
            let loaded = args.load_required(tier).map(|(config, _name)| config);
            loaded.map_err(|error| error.to_string())
        })
    }
}
