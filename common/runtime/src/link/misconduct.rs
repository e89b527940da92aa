//! Peers that say what is not theirs to say, in the log and the metrics.

use std::sync::LazyLock;

use metrics::counter;
use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::Misconduct;

use super::refusals::Damper;

const REFUSED: &str = "vixen_common_messages_refused_total";

/// Counts it, and says it in the log unless the same was said lately.
pub(super) fn tell(misconduct: &Misconduct, name: &NodeName, from: Tier) {
    static SAID: LazyLock<Damper> = LazyLock::new(Damper::default);
    counter!(REFUSED, "from" => from.as_str(), "reason" => misconduct.reason()).increment(1);
    if let Some(repeated) = SAID.take_turn(format!("{name} {misconduct}")) {
        tracing::error!(
            peer = %name, reason = %misconduct, repeated,
            "link ended: the peer says what is not its to say, so its program or its secret is in \
             other hands"
        );
    }
}
