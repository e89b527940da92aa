//! `vixen-ndb rebuild`.

use std::fs;

use anyhow::Context;

use vixen_core::time::UtcDay;
use vixen_runtime::clock::wall_time;
use vixen_runtime::dirlock::DirLock;
use vixen_runtime::journal::JOURNAL_FILE;

use super::backup::sync;
use super::place::Target;
use super::text::{count, rfc3339};
use super::{Outcome, say};

/// Where the days go, followed by the time.
pub(super) const ASIDE_PREFIX: &str = "damaged-";

/// Put a store aside that cannot be used, so that the node fetches everything from its peers.
///
/// For a store that cannot be opened or read. The node must not run. Its days and its journal are moved, within its
/// directory, to damaged-<time>; nothing is deleted. At its next start the node is empty, takes new
/// messages at once, and fetches the others from its peers in the background.
///
/// What the peers do not have is not to be had any more: rebuild one node of a group at a time, and
/// the next when this one's status page tells of no missing segments.
#[derive(Debug, clap::Args)]
#[command(
    verbatim_doc_comment,
    after_help = "\
Example:
  deploy/cluster kill D1                  # or as your supervisor stops it
  vixen-ndb rebuild --config vixen.toml --node D1
  deploy/cluster restart D1

A store with some damaged messages needs no rebuild: the running node finds and fetches them.

Exit codes:
  0  put aside (or there was nothing to put aside): the node can be started
  2  nothing was changed: the node runs, or has no peers, or the arguments are wrong"
)]
pub struct Args {
    #[command(flatten)]
    target: Target,
    /// Also when the node is the only one of its group, or with --dir, which does not tell: its messages
    /// may then be nowhere else.
    #[arg(long)]
    without_peers: bool,
}

impl Args {
    pub(super) fn run(&self) -> anyhow::Result<Outcome> {
        let place = self.target.find()?;
        let dir = &place.dir;
        place.ensure_there()?;
        anyhow::ensure!(
            place.members.is_some() || self.without_peers,
            "nothing tells here whether {} has peers that have its messages, as a nearcast's has not: \
             give --config and --node instead of --dir, or restore a backup (`vixen-ndb restore \
             --help`), or give --without-peers to go on without what is nowhere else",
            place.name
        );
        anyhow::ensure!(
            place.members != Some(1) || self.without_peers,
            "{} is the only node of its group: nobody else has its messages. Restore a backup \
             (`vixen-ndb restore --help`), or give --without-peers to go on without them",
            place.name
        );
        let _lock = DirLock::take_for_tool(dir, &place.name)?;
        let (mut names, mut days) = (Vec::new(), 0);
        for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
            let name = entry?.file_name();
            let is_day = name.to_str().is_some_and(|name| name.parse::<UtcDay>().is_ok());
            // The files of a store of the time before days, too.
            if is_day || name == "data.mdb" || name == "lock.mdb" {
                days += 1;
                names.push(name);
            } else if name.to_string_lossy().starts_with(JOURNAL_FILE) {
                // What is in it has no place yet: peers have it, or nobody was answered for it.
                names.push(name);
            }
        }
        if names.is_empty() {
            say(&format!("there is nothing in {}: {} starts empty\n", dir.display(), place.name));
            return Ok(Outcome::Good);
        }
        let aside = dir.join(format!("{ASIDE_PREFIX}{}", rfc3339(wall_time()).replace(':', "-")));
        fs::create_dir(&aside).with_context(|| format!("cannot create {}", aside.display()))?;
        names.sort_unstable();
        // The newest first: what is left after a crash is the beginning of the order.
        for name in names.iter().rev() {
            fs::rename(dir.join(name), aside.join(name))
                .with_context(|| format!("cannot move {}", name.display()))?;
        }
        sync(&aside)?;
        sync(dir)?;
        say(&format!(
            "moved {} to {}\n\
             Next:\n\
             1. Start {name}. It is empty, takes new messages at once, and fetches the others.\n\
             2. Watch its status page: it has everything again when `next_position` is that of its \
             peers, and `missing_segments` is 0.\n\
             3. Only then rebuild another node of the group, if need be.\n\
             4. Delete {} when nobody wants to look at it any more.\n",
            count(days, "day"),
            aside.display(),
            aside.display(),
            name = place.name,
        ));
        Ok(Outcome::Good)
    }
}
