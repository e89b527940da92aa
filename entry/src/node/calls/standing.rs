//! How an entry stands: what entries tell each other of themselves, first on each link and on each change.

use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::Position;
use vixen_core::wire::CallMessage;
use vixen_runtime::link::Haste;

/// How far the view has come is told so often at most, where nothing else is.
const APPLIED_EVERY: Duration = Duration::from_millis(100);

/// What an entry says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Standing {
    /// Number of its life.
    pub(super) life: u32,
    /// It takes invocations.
    pub(super) is_ready: bool,
    /// It is about to stop.
    pub(super) is_draining: bool,
    /// Its view has applied all records below this position.
    pub(super) applied_below: Position,
}

impl From<Standing> for CallMessage {
    fn from(standing: Standing) -> Self {
        let Standing { life, is_ready, is_draining, applied_below } = standing;
        Self::CallStanding { life, is_ready, is_draining, applied_below }
    }
}

/// What all links have been told of this entry.
#[derive(Debug, Default)]
pub(super) struct Told {
    last: Option<(Standing, Instant)>,
    /// There is news that waits for so long.
    due_at: Option<Instant>,
}

impl Told {
    /// How fast all links are to be told that the entry stands so; `None`: they know, or will be told later.
    pub(super) fn news(&mut self, now: Instant, standing: Standing) -> Option<Haste> {
        self.due_at = None;
        let haste = match self.last {
            None => Haste::Now,
            Some((last, _)) if last == standing => return None,
            Some((last, at))
                if last == (Standing { applied_below: last.applied_below, ..standing }) =>
            {
                if now < at + APPLIED_EVERY {
                    self.due_at = Some(at + APPLIED_EVERY);
                    return None;
                }
                Haste::Later
            }
            Some(_) => Haste::Now,
        };
        self.last = Some((standing, now));
        Some(haste)
    }

    /// When [`news`](Self::news) is to be asked again without an event.
    pub(super) const fn due_at(&self) -> Option<Instant> {
        self.due_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_at_once_and_where_the_view_stands_ten_times_a_second() {
        let (begun, mut told) = (Instant::now(), Told::default());
        let after = |ms| begun + Duration::from_millis(ms);
        let at = |applied_below| Standing {
            life: 1,
            is_ready: true,
            is_draining: false,
            applied_below: Position(applied_below),
        };
        assert_eq!(told.news(after(0), at(1)), Some(Haste::Now));
        assert_eq!((told.news(after(1), at(1)), told.due_at()), (None, None));
        assert_eq!((told.news(after(2), at(2)), told.due_at()), (None, Some(after(100))));
        assert_eq!((told.news(after(99), at(3)), told.due_at()), (None, Some(after(100))));
        assert_eq!((told.news(after(100), at(3)), told.due_at()), (Some(Haste::Later), None));
        assert_eq!((told.news(after(101), at(4)), told.due_at()), (None, Some(after(200))));
        // What it stands for is no news of its own, and goes with all else.
        let draining = Standing { is_draining: true, ..at(5) };
        assert_eq!((told.news(after(102), draining), told.due_at()), (Some(Haste::Now), None));
        assert_eq!((told.news(after(103), draining), told.due_at()), (None, None));
    }
}
