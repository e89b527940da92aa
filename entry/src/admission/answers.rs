//! Answers: how many long answers of `/history` are under way, by address, by realm and in all.
//!
//! Each holds what it has read and its client has not taken, for as long as that client likes. So no
//! address and no realm has all the places.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use metrics::{Gauge, counter, describe_counter, describe_gauge, gauge};

use vixen_broker::api::Holder;
use vixen_runtime::address::{AddressBlock, AddressCounts, WideBlock};
use vixen_runtime::config::Limits;

use super::{Full, Kind, lock};

const UNDER_WAY: &str = "vixen_entry_history_answers";
const REFUSED: &str = "vixen_entry_history_answers_refused_total";

/// Gives the metrics of answers their help texts.
pub(crate) fn describe_answer_metrics() {
    describe_gauge!(UNDER_WAY, "Answers of /history under way");
    describe_counter!(REFUSED, "Answers of /history refused for their number");
}

/// See the module. Clones count together.
#[derive(Clone, Debug)]
pub(crate) struct Answers(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    bounds: Bounds,
    counts: Mutex<Counts>,
}

#[derive(Clone, Copy, Debug)]
struct Bounds {
    total: usize,
    per_realm: usize,
    per_address: usize,
    per_site: usize,
}

#[derive(Debug, Default)]
struct Counts {
    total: usize,
    realms: BTreeMap<Arc<str>, usize>,
    addresses: AddressCounts,
}

/// The place of one answer, given back when it is dropped.
#[derive(Debug)]
pub(crate) struct AnswerPlace {
    answers: Answers,
    realm: Arc<str>,
    block: AddressBlock,
    under_way: Gauge,
}

impl Answers {
    pub(crate) fn new(limits: &Limits) -> Self {
        let bounds = Bounds {
            total: limits.history_answers_max,
            per_realm: limits.history_answers_per_realm_max,
            per_address: limits.history_answers_per_address_max,
            // Of a realm's places as of all.
            per_site: WideBlock::share_of(
                limits.history_answers_per_address_max,
                limits.history_answers_per_realm_max.min(limits.history_answers_max),
            ),
        };
        Self(Arc::new(Shared { bounds, counts: Mutex::default() }))
    }

    /// Takes a place for an answer to `address` out of `realm`.
    ///
    /// # Errors
    /// The limit that is reached.
    pub(crate) fn admit(&self, address: IpAddr, realm: &Arc<str>) -> Result<AnswerPlace, Full> {
        let (bounds, block) = (self.0.bounds, AddressBlock::of(address));
        let mut counts = lock(&self.0.counts);
        let of_realm = counts.realms.get(realm).copied().unwrap_or(0);
        let full = |holder, max, limit| Full { kind: Kind::Answers, holder, max, limit };
        let reached = if counts.total >= bounds.total {
            Some(full(Holder::Entry, bounds.total, "history-answers-max"))
        } else if of_realm >= bounds.per_realm {
            Some(full(Holder::Realm, bounds.per_realm, "history-answers-per-realm-max"))
        } else {
            let is_own = counts.addresses.of(block) >= bounds.per_address;
            let (holder, max) = match is_own {
                true => (Holder::Address, bounds.per_address),
                false => (Holder::Site, bounds.per_site),
            };
            let counted = counts.addresses.take_within(block, bounds.per_address, bounds.per_site);
            counted.err().map(|_full| full(holder, max, "history-answers-per-address-max"))
        };
        if let Some(full) = reached {
            counter!(REFUSED, "limit" => full.limit).increment(1);
            return Err(full);
        }
        counts.total += 1;
        counts.realms.insert(Arc::clone(realm), of_realm + 1);
        drop(counts);
        let under_way = gauge!(UNDER_WAY);
        under_way.increment(1.0);
        Ok(AnswerPlace { answers: self.clone(), realm: Arc::clone(realm), block, under_way })
    }
}

impl Drop for AnswerPlace {
    fn drop(&mut self) {
        let mut counts = lock(&self.answers.0.counts);
        counts.total -= 1;
        counts.addresses.give_back(self.block);
        if let Some(of_realm) = counts.realms.get_mut(&self.realm) {
            *of_realm -= 1;
            if *of_realm == 0 {
                counts.realms.remove(&self.realm);
            }
        }
        drop(counts);
        self.under_way.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_address_and_no_realm_has_all_the_places() {
        let limits = Limits {
            history_answers_max: 4,
            history_answers_per_realm_max: 3,
            history_answers_per_address_max: 2,
            ..Limits::default()
        };
        let answers = Answers::new(&limits);
        let [a, b, c] = [1, 2, 3].map(|last| IpAddr::from([10, 0, 0, last]));
        let [one, other]: [Arc<str>; 2] = ["one".into(), "other".into()];
        let refused =
            |address, realm| answers.admit(address, realm).map(drop).expect_err("full").limit;
        let first = answers.admit(a, &one).expect("the first");
        let _second = answers.admit(a, &one).expect("the second");
        assert_eq!(refused(a, &other), "history-answers-per-address-max");
        let _third = answers.admit(b, &one).expect("another address");
        assert_eq!(refused(b, &one), "history-answers-per-realm-max");
        let _fourth = answers.admit(b, &other).expect("another realm");
        assert_eq!(refused(c, &other), "history-answers-max");
        drop(first);
        let again = answers.admit(a, &one).expect("its place is free");
        drop(again);
        assert_eq!(lock(&answers.0.counts).realms.len(), 2);
    }

    /// Eight networks of one site had all places of an entry.
    #[test]
    fn a_site_has_half_of_a_realm_at_most() {
        let answers = Answers::new(&Limits::default());
        let realm: Arc<str> = "one".into();
        let at = |network: u16| IpAddr::from([0x2001, 0xdb8, 7, network, 0, 0, 0, 1]);
        let admitted = (0..8).flat_map(|network| std::iter::repeat_n(at(network), 32));
        let held: Vec<_> = admitted.filter_map(|at| answers.admit(at, &realm).ok()).collect();
        assert_eq!(held.len(), Limits::default().history_answers_per_realm_max / 2);
        answers.admit(IpAddr::from([10, 0, 0, 1]), &realm).expect("another has a place");
    }
}
