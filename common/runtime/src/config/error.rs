//! Why a configuration is refused.

use std::path::{Path, PathBuf};

/// A configuration that cannot be used. Its text gives the file, the key, what is wrong and the
/// fix.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file, or the one named by `cluster.secret-file`, cannot be read.
    #[error("{file}: cannot be read: {cause}; {fix}", file = file.display())]
    Unreadable {
        /// The file that was tried.
        file: PathBuf,
        /// What the system said; part of the text, and so no source of the error.
        cause: std::io::Error,
        /// What to do.
        fix: &'static str,
    },
    /// The file, or one that it names, is not UTF-8.
    #[error(
        "{file}: line {line}, column {column}: {problem}; save the file as UTF-8",
        file = file.display()
    )]
    NotText {
        /// The file.
        file: PathBuf,
        /// Line of the first byte that is not, from 1.
        line: usize,
        /// Column of that byte, from 1.
        column: usize,
        /// What is there instead.
        problem: String,
    },
    /// The file is not TOML.
    #[error(
        "{file}: line {line}, column {column}: not TOML: {problem}; mend the syntax there",
        file = file.display()
    )]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line of the first problem, from 1.
        line: usize,
        /// Column of the first problem, from 1.
        column: usize,
        /// What the parser said.
        problem: String,
    },
    /// A key has a value that cannot be used, is missing, or is unknown.
    #[error("{file}: {key}: {problem}; {fix}", file = file.display())]
    Key {
        /// The file.
        file: PathBuf,
        /// The key with its tables (`ndb-group[0].member[1].address`), or the environment
        /// variable that overrides it.
        key: String,
        /// What is wrong.
        problem: String,
        /// What to do.
        fix: String,
    },
    /// The file has no node of this name in this tier.
    #[error(
        "{file}: {key}: no node here is called `{node}`; known are {known}: use one of them with \
         --node, or {fix}",
        file = file.display()
    )]
    UnknownNode {
        /// The file.
        file: PathBuf,
        /// The key that gives the names, such as `sync.id`.
        key: &'static str,
        /// What else would help, such as to add a `[[sync]]` table.
        fix: String,
        /// The name that was asked for.
        node: String,
        /// The names that exist, or `none`.
        known: String,
    },
    /// The file has a node of this name in another tier.
    #[error("{file}: {node} is {tier} node: run {command}", file = file.display())]
    OtherTier {
        /// The file.
        file: PathBuf,
        /// The name that was asked for.
        node: String,
        /// The tier with its article, such as `an ndb`.
        tier: &'static str,
        /// The command line that starts it.
        command: String,
        /// The nodes that could be meant, such as `ndb nodes: D1, D2`.
        wanted: Box<str>,
    },
    /// The same, where no node is to be started.
    #[error("{file}: {node} is {tier} node, and this is for {wanted}", file = file.display())]
    NotOfTier {
        /// The file.
        file: PathBuf,
        /// The name that was asked for.
        node: String,
        /// Its tier with its article.
        tier: &'static str,
        /// The nodes that could be meant, such as `ndb nodes: D1, D2`.
        wanted: Box<str>,
    },
    /// A node that is not in the file needs an argument that was not given, or that is bad.
    #[error("{argument}: {problem}; for example `{example}`")]
    Argument {
        /// The argument and the environment variable that stands in for it.
        argument: &'static str,
        /// What is wrong.
        problem: String,
        /// A command line that works.
        example: String,
    },
}

impl ConfigError {
    /// As a tool says it, which starts no node.
    #[must_use]
    pub fn of_tool(self) -> Self {
        match self {
            Self::OtherTier { file, node, tier, command: _, wanted } => {
                Self::NotOfTier { file, node, tier, wanted }
            }
            other => other,
        }
    }

    pub(super) fn key(
        file: &Path,
        key: impl Into<String>,
        problem: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self::Key {
            file: file.to_owned(),
            key: key.into(),
            problem: problem.into(),
            fix: fix.into(),
        }
    }

    /// A syntax error with the byte offset turned into line and column.
    pub(super) fn syntax(file: &Path, text: &str, error: &toml::de::Error) -> Self {
        let at = error.span().map_or(0, |span| span.start);
        let before = text.get(..at).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self::Syntax {
            file: file.to_owned(),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            problem: error.message().to_owned(),
        }
    }
}
