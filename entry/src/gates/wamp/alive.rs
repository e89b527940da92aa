//! Whether a client that says nothing is still there: pings (RFC 6455 §5.5.2), and what they tell.
//!
//! ```text
//!   heard         ping          ping          gone
//!     |-- interval --|-- interval --| ...       |
//!     |              |-- timeout - interval ----|
//! ```
//! Only silence while this node listened counts: the time of a write that waits for the client, or
//! of a bound that keeps its socket from being read, is taken out. And a client is asked before it is
//! given up: it may have been silent for as long as this node was not running.

use std::time::Duration;

use tokio::time::Instant;

use crate::gates::limits::SessionLimits;

/// What is to be done about a silent client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Send a ping.
    Ask,
    /// It was asked, and has not answered in time.
    Gone,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Alive {
    interval: Duration,
    answer_time: Duration,
    heard_at: Instant,
    pinged_at: Instant,
    /// The first ping since, which nothing has answered.
    asked_at: Option<Instant>,
}

impl Alive {
    pub(super) fn new(limits: &SessionLimits, now: Instant) -> Self {
        let (interval, timeout) = (limits.keep_alive_interval, limits.keep_alive_timeout);
        Self {
            interval,
            answer_time: timeout.saturating_sub(interval),
            heard_at: now,
            pinged_at: now,
            asked_at: None,
        }
    }

    /// Something came from the client.
    pub(super) const fn heard(&mut self, now: Instant) {
        self.heard_at = now;
        self.asked_at = None;
    }

    /// Nothing was read since `begun`: the client may have said what was not heard, or waits
    /// behind what it was sent.
    pub(super) fn excuse(&mut self, begun: Instant, now: Instant) {
        let deaf = now.saturating_duration_since(begun);
        let later = |at: Instant| (at + deaf).min(now);
        self.heard_at = later(self.heard_at);
        self.pinged_at = later(self.pinged_at);
        self.asked_at = self.asked_at.map(later);
    }

    /// A ping is written that was begun at `begun`: it may have waited for a client that is slow.
    pub(super) fn asked(&mut self, begun: Instant, now: Instant) {
        self.excuse(begun, now);
        self.pinged_at = now;
        self.asked_at.get_or_insert(now);
    }

    /// When something is to be done.
    pub(super) fn due_at(&self) -> Instant {
        let ask_at = self.heard_at.max(self.pinged_at) + self.interval;
        self.gone_at().map_or(ask_at, |gone_at| gone_at.min(ask_at))
    }

    /// What is to be done, at [`due_at`](Self::due_at) or later.
    pub(super) fn due(&self, now: Instant) -> Silence {
        match self.gone_at() {
            Some(gone_at) if gone_at <= now => Silence::Gone,
            _ => Silence::Ask,
        }
    }

    fn gone_at(&self) -> Option<Instant> {
        self.asked_at.map(|asked_at| asked_at + self.answer_time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Asks after 20 s, and waits 40 s for an answer.
    fn alive(start: Instant) -> Alive {
        let limits = SessionLimits {
            keep_alive_interval: Duration::from_secs(20),
            keep_alive_timeout: Duration::from_secs(60),
            ..SessionLimits::of_tests()
        };
        Alive::new(&limits, start)
    }

    /// What is done at which second, until the client is gone; pings are written at once.
    fn course(alive: &mut Alive, start: Instant) -> Vec<(u64, Silence)> {
        let mut course = Vec::new();
        loop {
            let at = alive.due_at();
            let what = alive.due(at);
            course.push(((at - start).as_secs(), what));
            match what {
                Silence::Ask => alive.asked(at, at),
                Silence::Gone => return course,
            }
        }
    }

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_silent_client_is_asked_and_then_gone() {
        let start = Instant::now();
        let mut alive = alive(start);
        let asked = [(20, Silence::Ask), (40, Silence::Ask), (60, Silence::Gone)];
        assert_eq!(course(&mut alive, start), asked);
    }

    #[test]
    fn one_that_answers_is_asked_anew() {
        let start = Instant::now();
        let mut alive = alive(start);
        alive.asked(after(start, 20), after(start, 20));
        alive.heard(after(start, 21));
        let asked = [(41, Silence::Ask), (61, Silence::Ask), (81, Silence::Gone)];
        assert_eq!(course(&mut alive, start), asked);
    }

    #[test]
    fn nobody_is_gone_who_was_not_asked_because_the_node_was_paused() {
        let start = Instant::now();
        let mut alive = alive(start);
        let woken = after(start, 1000);
        assert_eq!(alive.due(woken), Silence::Ask);
        alive.asked(woken, woken);
        let asked = [(1020, Silence::Ask), (1040, Silence::Gone)];
        assert_eq!(course(&mut alive, start), asked);
    }

    #[test]
    fn time_in_which_nothing_could_be_heard_does_not_count() {
        let start = Instant::now();
        let mut alive = alive(start);
        alive.asked(after(start, 20), after(start, 20));
        alive.excuse(after(start, 21), after(start, 1021));
        let asked = [(1040, Silence::Ask), (1060, Silence::Gone)];
        assert_eq!(course(&mut alive, start), asked);
    }

    #[test]
    fn a_ping_asks_from_when_it_is_written() {
        let start = Instant::now();
        let mut alive = alive(start);
        // A slow client takes it after ten minutes.
        alive.asked(after(start, 20), after(start, 620));
        let asked = [(640, Silence::Ask), (660, Silence::Gone)];
        assert_eq!(course(&mut alive, start), asked);
        // So does one that was asked before.
        let mut alive = self::alive(start);
        alive.asked(after(start, 20), after(start, 20));
        alive.asked(after(start, 40), after(start, 640));
        assert_eq!(course(&mut alive, start), [(660, Silence::Gone)]);
    }
}
