//! Dealers joined by links in memory, with a judge that hears what every session is told.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

/// What the judge knows of a call.
#[derive(Debug)]
struct Asked {
    begun: Instant,
    timeout_ms: Option<NonZeroU64>,
    is_answered: bool,
}

/// One side of a link: which link it knows, by a number.
type Side = (u8, u8);

/// See the module.
pub(super) struct World {
    pub(super) entries: BTreeMap<u8, Bench>,
    /// The newest link of each pair.
    epochs: BTreeMap<Side, u64>,
    /// The link that a side knows to stand; a link that is cut is known until its end is noticed.
    known: BTreeMap<Side, u64>,
    /// Links that are cut.
    cut: BTreeSet<u64>,
    last_epoch: u64,
    /// What is under way, by who sent it and to whom.
    queues: BTreeMap<Side, VecDeque<(u64, PeerWord)>>,
    calls: BTreeMap<(u8, u64, u64), Asked>,
    /// Invocations that callees have not answered, as they know them.
    pub(super) invoked: BTreeSet<(u8, u64, u64)>,
    sessions: BTreeSet<(u8, u64)>,
    /// All that was said, for a run that fails.
    pub(super) told: Vec<String>,
}

impl World {
    pub(super) fn new(entries: u8, limits: &CallLimits) -> Self {
        let begin = Instant::now();
        let bench = |entry| {
            let mut bench = Bench::with(options(entry, limits.clone()));
            bench.now = begin;
            (entry, bench)
        };
        Self {
            entries: (1..=entries).map(bench).collect(),
            epochs: BTreeMap::new(),
            known: BTreeMap::new(),
            cut: BTreeSet::new(),
            last_epoch: 0,
            queues: BTreeMap::new(),
            calls: BTreeMap::new(),
            invoked: BTreeSet::new(),
            sessions: BTreeSet::new(),
            told: Vec::new(),
        }
    }

    /// The same registration in the views of all; its callees serve it once their own view has it.
    pub(super) fn register(&mut self, uri: &str, id: u64, policy: Policy, callees: &[(u8, u64)]) {
        let all: Vec<_> = callees.iter().map(|(entry, session)| callee(*entry, *session)).collect();
        for bench in self.entries.values_mut() {
            let applied = bench.registry.applied;
            bench.registry.add(uri, id, policy, all.clone());
            bench.registry.applied = applied;
        }
    }

    /// The view of an entry comes up to here.
    pub(super) fn apply(&mut self, entry: u8, applied: u64, concurrency: u32) {
        let Some(bench) = self.entries.get_mut(&entry) else { return };
        let before = std::mem::replace(&mut bench.registry.applied, applied);
        let all: Vec<_> = bench.registry.of.values().cloned().collect();
        for (route, callees) in all {
            let is_new = (before + 1..=applied).contains(&route.registration.0);
            let own = callees.into_iter().map(|(_, callee)| callee);
            for callee in own.filter(|callee| is_new && callee.owner == owner(entry)) {
                let (session, registration) = (callee.session, route.registration);
                let terms = terms(registration.0, concurrency);
                self.step(entry, Input::Serves { session, registration, terms });
            }
        }
        self.step(entry, Input::Applied);
    }

    pub(super) fn open(&mut self, entry: u8, session: u64) {
        self.sessions.insert((entry, session));
        let has_announced = session.is_multiple_of(2);
        let features = CallFeatures {
            is_interruptible: has_announced,
            takes_parts: has_announced,
            ..CallFeatures::default()
        };
        self.step(entry, opened(session, features));
    }

    pub(super) fn close(&mut self, entry: u8, session: u64) {
        self.sessions.remove(&(entry, session));
        let is_of = |key: &(u8, u64, u64)| (key.0, key.1) == (entry, session);
        self.calls.retain(|key, _| !is_of(key));
        self.invoked.retain(|key| !is_of(key));
        self.step(entry, Input::Closed { session: SessionId(session) });
    }

    /// A session leaves a registration; it is over where nobody is left.
    pub(super) fn leave(&mut self, entry: u8, session: u64) {
        let mut left = BTreeSet::new();
        for bench in self.entries.values_mut() {
            let registrations = bench.registry.of.values();
            left.extend(registrations.map(|(route, _)| route.registration));
            bench.registry.remove(entry, session);
        }
        for registration in left {
            self.step(entry, Input::Leaves { session: SessionId(session), registration });
        }
    }

    pub(super) fn is_open(&self, entry: u8, session: u64) -> bool {
        self.sessions.contains(&(entry, session))
    }

    pub(super) fn sessions(&self) -> Vec<(u8, u64)> {
        self.sessions.iter().copied().collect()
    }

    /// A caller calls, with a request that it has not used before.
    pub(super) fn call(&mut self, entry: u8, session: u64, call: Call) {
        let begun = self.entries[&entry].now;
        let asked = Asked { begun, timeout_ms: call.timeout_ms, is_answered: false };
        self.calls.entry((entry, session, call.request.0)).or_insert(asked);
        self.step(entry, word(session, CallWord::Call(call)));
    }

    /// Calls without an answer, of sessions that are there.
    pub(super) fn unanswered(&self) -> Vec<(u8, u64, u64)> {
        let open = self.calls.iter().filter(|(_, asked)| !asked.is_answered);
        open.map(|(key, _)| *key).collect()
    }

    pub(super) fn say(&mut self, entry: u8, session: u64, said: CallWord) {
        if let CallWord::Yield { invocation, is_progress: false, .. }
        | CallWord::Fail { invocation, .. } = &said
        {
            self.invoked.remove(&(entry, session, invocation.0));
        }
        self.step(entry, word(session, said));
    }

    /// A new link between two; each side that still knew the one before learns of both at once.
    pub(super) fn link(&mut self, one: u8, other: u8) {
        self.cut(one, other);
        self.last_epoch += 1;
        for (own, peer) in [(one, other), (other, one)] {
            self.epochs.insert((own, peer), self.last_epoch);
            self.known.insert((own, peer), self.last_epoch);
            let (peer, name) = (owner(peer), format!("E{peer}").into());
            let link = Link { peer, number: self.last_epoch };
            self.step(own, Input::LinkUp { link, name });
            self.step(own, Input::Standing { link, is_ready: true, is_draining: false });
        }
    }

    /// What is under way is lost; both sides have yet to notice.
    pub(super) fn cut(&mut self, one: u8, other: u8) {
        for side in [(one, other), (other, one)] {
            self.queues.remove(&side);
            self.cut.extend(self.epochs.remove(&side));
        }
    }

    /// A side notices that its link is cut.
    pub(super) fn notice(&mut self, own: u8, peer: u8) {
        let known = self.known.get(&(own, peer)).copied();
        if known.is_some_and(|epoch| self.cut.contains(&epoch)) {
            self.known.remove(&(own, peer));
            let number = known.unwrap_or_default();
            self.step(own, Input::LinkDown { link: Link { peer: owner(peer), number } });
        }
    }

    pub(super) fn is_linked(&self, one: u8, other: u8) -> bool {
        self.epochs.contains_key(&(one, other))
    }

    /// Brings the oldest word of one to the other. Returns whether there was one.
    pub(super) fn deliver(&mut self, from: u8, to: u8) -> bool {
        let Some((epoch, word)) = self.queues.get_mut(&(from, to)).and_then(VecDeque::pop_front)
        else {
            return false;
        };
        // As a link carries it; what comes of one that is cut is for the dealer to pass over.
        let message = vixen_core::wire::CallMessage::from(word.clone());
        let heard = Input::heard(Link { peer: owner(from), number: epoch }, message);
        let heard = heard.expect("of calls");
        assert!(matches!(&heard, Input::Heard { word: read, .. } if *read == word), "{word:?}");
        self.step(to, heard);
        true
    }

    /// The link that a side knows, or one that never was.
    pub(super) fn link_of(&self, own: u8, peer: u8) -> Link {
        let number = self.known.get(&(own, peer)).copied().unwrap_or_default();
        Link { peer: owner(peer), number }
    }

    pub(super) fn pairs(&self) -> Vec<Side> {
        let all =
            self.entries.keys().flat_map(|one| self.entries.keys().map(|other| (*one, *other)));
        all.filter(|(one, other)| one != other).collect()
    }

    /// Brings all words to where they go.
    pub(super) fn settle(&mut self) {
        while self.pairs().into_iter().fold(false, |any, (from, to)| self.deliver(from, to) || any)
        {
        }
    }

    /// Time passes for all, and what is due fires.
    pub(super) fn pass(&mut self, ms: u64) {
        for entry in self.entries.keys().copied().collect::<Vec<_>>() {
            let Some(bench) = self.entries.get_mut(&entry) else { continue };
            bench.now += Duration::from_millis(ms);
            if bench.dealer.timeout_at().is_some_and(|at| at <= bench.now) {
                self.step(entry, Input::Timeout);
            }
        }
        for (key, asked) in self.calls.iter().filter(|(_, asked)| !asked.is_answered) {
            let waited = self.entries[&key.0].now - asked.begun;
            let is_late =
                asked.timeout_ms.is_some_and(|ms| waited.as_millis() >= u128::from(ms.get()));
            assert!(!is_late, "J5: {key:?} is still open after {waited:?}: {asked:?}");
        }
    }

    pub(super) fn step(&mut self, entry: u8, input: Input) {
        let Some(bench) = self.entries.get_mut(&entry) else { return };
        self.told.push(format!("E{entry} {input:?}"));
        let fx = bench.effects(input);
        self.told.extend(lines(&fx).into_iter().map(|line| format!("    {line}")));
        assert!(fx.breaches.is_empty(), "nobody breaks the rules: {:?}", fx.breaches);
        for (to, word) in fx.sends {
            let peer = u8::try_from(entry_of(to.peer)).expect("few entries");
            let (side, known) = ((entry, peer), self.known.get(&(entry, peer)));
            assert_eq!(known, Some(&to.number), "words go by the link that their sender knows");
            if self.epochs.get(&side) == known {
                self.queues.entry(side).or_default().push_back((to.number, word));
            }
        }
        let mut written = BTreeMap::new();
        for (session, told) in fx.told {
            *written.entry(session).or_insert(0) += told.queued_bytes();
            self.judge(entry, session.0, &told);
        }
        for (session, bytes) in written {
            let bench = self.entries.get_mut(&entry).expect("it was there");
            bench.effects(Input::Written { session, bytes });
        }
    }

    /// J1 and J5, as a session sees them.
    fn judge(&mut self, entry: u8, session: u64, told: &CallTold) {
        assert!(
            self.sessions.contains(&(entry, session)),
            "J1: {session} at {entry} is gone: {told:?}"
        );
        let (request, is_final) = match told {
            CallTold::Result { request, is_progress, .. } => (request, !is_progress),
            CallTold::Failed { request, .. } => (request, true),
            CallTold::Invocation { invocation, has_more, .. } => {
                let has_announced = session.is_multiple_of(2);
                assert!(has_announced || !has_more, "{session} at {entry} takes no parts");
                self.invoked.insert((entry, session, invocation.0));
                return;
            }
            CallTold::Interrupt { .. }
            | CallTold::Registered { .. }
            | CallTold::Unregistered { .. }
            | CallTold::Refused { .. }
            | CallTold::Revoked { .. } => return,
        };
        let asked = self.calls.get_mut(&(entry, session, request.0)).expect("J1: it was asked");
        assert!(
            !asked.is_answered,
            "J1: {session} at {entry} has its answer to {request:?}: {told:?}"
        );
        asked.is_answered = is_final;
        if matches!(told, CallTold::Failed { error: CallError::Timeout { .. }, .. }) {
            let waited = self.entries[&entry].now - asked.begun;
            let is_due =
                asked.timeout_ms.is_some_and(|ms| waited.as_millis() >= u128::from(ms.get()));
            assert!(is_due, "J5: {request:?} of {session} at {entry} after {waited:?}");
        }
    }

    /// Everything is heard, seen and answered: nothing is left of any call.
    pub(super) fn end(&mut self, applied: u64) {
        for (own, peer) in self.pairs() {
            self.notice(own, peer);
        }
        for entry in self.entries.keys().copied().collect::<Vec<_>>() {
            self.apply(entry, applied, 0);
        }
        self.settle();
        while let Some((entry, session, invocation)) = self.invoked.first().copied() {
            self.say(entry, session, result(invocation, false, "[0]"));
            self.settle();
        }
        assert_eq!(self.unanswered(), [], "J1: each call has its answer");
        for (entry, Bench { dealer, .. }) in &self.entries {
            let open = (dealer.open_calls(), dealer.open_invocations());
            assert_eq!(open, (0, 0), "J2, J3: nothing is left at {entry}");
            assert_eq!(dealer.usage, limits::Usage::default(), "J4: nothing is counted at {entry}");
            assert_eq!(dealer.timeout_at(), None, "J5: nothing is due at {entry}");
        }
    }
}
