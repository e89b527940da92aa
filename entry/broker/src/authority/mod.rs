//! Authority: what procedures decide that the configuration names, beside what it says itself.
//!
//! ```text
//!   what a session says ──Word──> Authority ──judged──> what it does, in the same order
//!                                  asks │ ^ Answered
//!                                       v │
//!                         the authorizer, called by the entry itself
//! ```
//! A role may have an authorizer: a procedure that is asked whether a session may do what the permissions of its
//! role let it. One machine for each session holds what it says until that is answered, and remembers answers for a
//! while. Who calls the procedure, and how it is said there, is the driver's; whose question is asked next where not
//! all can be at once, is for `turns` to say.
//!
//! Source: `docs/design/027-calls.md`, *Who may, and what the router itself answers*; Crossbar's dynamic
//! authorization.
//!
//! Invariants:
//! - V1: words come out in the order in which they came, each once, but for those that are
//!   [`withdrawn`](Authority::withdraw) before they are decided.
//! - V2: a word is allowed only if each of its questions was: by an answer for it, taken within the authorizer's
//!   timeout after it was given, or by one that is kept, which is of the same act, URI, match and options, not older
//!   than the authorizer's time when the word is first looked at (it may wait for those before it after that), and
//!   from after the last reload and the last change of the registration.
//! - V3: questions under way, answers that are kept and failures that are remembered are bounded; so are words, by
//!   who gives them: none while it [`is_full`](Authority::is_full).

pub mod desk;
mod kept;
mod question;
#[cfg(test)]
mod tests;
pub mod turns;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use crate::access::Act;
use kept::Kept;
use question::Key;
pub use question::{Answer, Authorizer, Question, QuestionNumber, Verdict};

/// Words from the front that are asked about at the same time.
const AHEAD_MAX: usize = 32;
/// Answers that are kept.
const KEPT_MAX: usize = 256;
/// With so many words that wait, no more are to be given.
const WORDS_MAX: usize = 256;
/// Failures that are remembered: what was forgotten is asked again.
const FAILED_MAX: usize = 1024;

/// Everything that can happen.
#[derive(Debug)]
pub enum Input<W> {
    /// The session says something. What has no questions waits for what came before it alone.
    Word {
        /// What is asked about it, in this order.
        questions: Vec<Question>,
        /// It.
        word: W,
    },
    /// The authorizer has answered, or nobody knows what it would. One of a question that is not under way any more
    /// is passed over.
    Answered {
        /// Which question.
        number: QuestionNumber,
        /// What it says.
        answer: Answer,
        /// When it has said so.
        at: Instant,
        /// The registration is the one that was asked: the answer may be kept.
        is_current: bool,
    },
    /// The registration of the authorizer has changed.
    Changed,
}

/// What the driver owes after a step.
#[derive(Debug)]
pub struct Effects<W> {
    /// Questions for the authorizer, each to be answered by [`Input::Answered`].
    pub asks: Vec<(QuestionNumber, Question)>,
    /// Words that are decided, in their order.
    pub judged: Vec<(W, Judgement)>,
}

impl<W> Default for Effects<W> {
    fn default() -> Self {
        Self { asks: Vec::new(), judged: Vec::new() }
    }
}

/// What became of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The session may.
    Allowed {
        /// Others are told who it is, whatever its permissions say: the last question was answered so.
        discloses: bool,
    },
    /// It may not do this.
    Denied(Act),
}

/// A word that is not decided.
#[derive(Debug)]
struct Waiting<W> {
    /// They count from 1 in a session.
    number: u64,
    /// Those without an answer; the first is the one that is asked.
    questions: VecDeque<(Key, Question)>,
    /// The first one is under way.
    asked: Option<QuestionNumber>,
    judgement: Judgement,
    word: W,
}

/// See the module.
#[derive(Debug)]
pub struct Authority<W> {
    authorizer: Option<Authorizer>,
    words: VecDeque<Waiting<W>>,
    /// The number of the last word.
    said: u64,
    known: Known,
}

/// What is known of answers.
#[derive(Debug, Default)]
struct Known {
    kept: Kept,
    /// Questions under way. Of the same key there is one at a time.
    open: BTreeMap<QuestionNumber, Key>,
    last: u64,
    /// What got no answer, and the last word that had come by then: whoever waits for the same waits no longer than
    /// who has asked, or each would wait as long again.
    failed: BTreeMap<Key, u64>,
}

impl<W> Authority<W> {
    /// Of a session that has just come; without an authorizer everything passes.
    #[must_use]
    pub fn new(authorizer: Option<Authorizer>) -> Self {
        Self { authorizer, words: VecDeque::new(), said: 0, known: Known::default() }
    }

    /// Who is asked.
    #[must_use]
    pub const fn authorizer(&self) -> Option<&Authorizer> {
        self.authorizer.as_ref()
    }

    /// Whether no word waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether as many words wait as may: no more are to be given.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.words.len() >= WORDS_MAX
    }

    /// Words that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.len()
    }

    /// The last word, if it waits.
    #[must_use]
    pub fn last(&self) -> Option<&W> {
        self.words.back().map(|waiting| &waiting.word)
    }

    /// Those that wait, in their order.
    pub fn words(&self) -> impl Iterator<Item = &W> {
        self.words.iter().map(|waiting| &waiting.word)
    }

    /// The same, to be changed; what is asked about them stays.
    pub fn words_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.words.iter_mut().map(|waiting| &mut waiting.word)
    }

    /// Takes out the first word that waits and is this one: nobody need know any more whether it may be. What was
    /// asked for it counts for others still.
    pub fn withdraw(
        &mut self,
        now: Instant,
        is_it: impl FnMut(&W) -> bool,
        fx: &mut Effects<W>,
    ) -> Option<W> {
        let index = self.words().position(is_it)?;
        let withdrawn = self.words.remove(index)?;
        self.advance(now, fx);
        self.check();
        Some(withdrawn.word)
    }

    /// The realms were read again: what is kept and what is under way is for nothing, and what waits is to be given
    /// again, in this order. `None`: nobody is asked any more.
    #[must_use]
    pub fn restart(&mut self, authorizer: Option<Authorizer>) -> Vec<W> {
        self.authorizer = authorizer;
        // Numbers go on: an answer to a question of before finds none.
        self.known = Known { last: self.known.last, ..Known::default() };
        std::mem::take(&mut self.words).into_iter().map(|waiting| waiting.word).collect()
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, now: Instant, input: Input<W>, fx: &mut Effects<W>) {
        match input {
            Input::Word { questions, word } => {
                let judgement = Judgement::Allowed { discloses: false };
                let questions = questions.into_iter().map(|question| (question.key(), question));
                self.said += 1;
                let (number, questions) = (self.said, questions.collect());
                self.words.push_back(Waiting { number, questions, asked: None, judgement, word });
            }
            Input::Answered { number, answer, at, is_current } => {
                self.on_answered((now, at), number, answer, is_current);
            }
            Input::Changed => self.known.kept.clear(),
        }
        self.advance(now, fx);
        self.check();
    }

    fn on_answered(
        &mut self,
        (now, at): (Instant, Instant),
        number: QuestionNumber,
        answer: Answer,
        is_current: bool,
    ) {
        let (Some(key), Some(authorizer)) = (self.known.open.remove(&number), &self.authorizer)
        else {
            return;
        };
        // It may have lain here for as long as the client did not read what it was sent.
        let is_late = now.saturating_duration_since(at) > authorizer.timeout;
        let verdict = match answer {
            Answer::Verdict(verdict) if !is_late => verdict,
            Answer::Verdict(_) | Answer::Failed => {
                let failed = &mut self.known.failed;
                if failed.len() >= FAILED_MAX {
                    failed.pop_first();
                }
                failed.insert(key, self.said);
                Verdict::DENIED
            }
        };
        if verdict.may_be_kept && is_current {
            self.known.kept.insert((now, at), authorizer.cache, key, verdict);
        }
        let mut asked = self.words.iter_mut().take(AHEAD_MAX);
        if let Some(waiting) = asked.find(|waiting| waiting.asked == Some(number)) {
            waiting.answered(&verdict);
        }
    }

    /// Asks about the first words, and gives out those that are decided.
    fn advance(&mut self, now: Instant, fx: &mut Effects<W>) {
        loop {
            let Self { words, known, .. } = self;
            for waiting in words.iter_mut().take(AHEAD_MAX) {
                waiting.look(now, known, fx);
            }
            let decided = words.iter().take(AHEAD_MAX).take_while(|waiting| waiting.is_decided());
            let decided = decided.count();
            if decided == 0 {
                break;
            }
            let judged = words.drain(..decided).map(|waiting| (waiting.word, waiting.judgement));
            fx.judged.extend(judged);
        }
        let first = self.words.front().map(|waiting| waiting.number);
        self.known.failed.retain(|_, up_to| first.is_some_and(|first| first <= *up_to));
    }

    /// V3, and what is under way is asked for.
    fn check(&self) {
        let Known { kept, open, failed, .. } = &self.known;
        assert!(open.len() <= AHEAD_MAX, "V3: {} questions under way", open.len());
        kept.check(KEPT_MAX);
        assert!(failed.len() <= FAILED_MAX, "V3: {} failures", failed.len());
        debug_assert!(self.words.front().is_none_or(|first| !first.is_decided()), "V1: it waits");
    }
}

impl<W> Waiting<W> {
    fn is_decided(&self) -> bool {
        self.questions.is_empty()
    }

    /// The first question is answered.
    fn answered(&mut self, verdict: &Verdict) {
        self.asked = None;
        let Some((_, question)) = self.questions.pop_front() else { return };
        if verdict.is_allowed {
            self.judgement = Judgement::Allowed { discloses: verdict.discloses };
        } else {
            self.judgement = Judgement::Denied(question.act);
            self.questions.clear();
        }
    }

    /// Answers what is known, and asks what is not, unless somebody asks that already.
    fn look(&mut self, now: Instant, known: &mut Known, fx: &mut Effects<W>) {
        while self.asked.is_none()
            && let Some((key, question)) = self.questions.front()
        {
            let has_failed = known.failed.get(key).is_some_and(|up_to| self.number <= *up_to);
            let verdict = match has_failed {
                true => Some(Verdict::DENIED),
                false => known.kept.get(now, key),
            };
            if let Some(verdict) = verdict {
                self.answered(&verdict);
                continue;
            }
            // Those of words that were withdrawn are under way still.
            let is_full = known.open.len() >= AHEAD_MAX;
            if is_full || known.open.values().any(|asked| asked == key) {
                return;
            }
            known.last += 1;
            let number = QuestionNumber(known.last);
            fx.asks.push((number, question.clone()));
            known.open.insert(number, *key);
            self.asked = Some(number);
        }
    }
}
