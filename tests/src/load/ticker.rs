//! Wake-ups at exact intervals.
//!
//! The runtime's own timers round up to the next ms, which would be a good part of the latencies
//! to be measured.

use std::time::Duration;

use super::clock::to_ns;

/// Wake-ups are at least this far apart; messages due more often are sent several at a time, and
/// the wait of the earlier ones is part of their latency.
const PERIOD_MIN: Duration = Duration::from_micros(500);

/// The due times of one publisher's messages: `first_ns + k × interval_ns`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Schedule {
    pub(super) first_ns: u64,
    pub(super) interval_ns: u64,
}

impl Schedule {
    /// Of publisher `index` among `count`, which share `per_second` and take turns.
    pub(crate) fn new(now_ns: u64, index: usize, count: usize, per_second: f64) -> Self {
        let interval = Duration::from_secs_f64(count as f64 / per_second);
        let phase = interval.mul_f64(index as f64 / count as f64);
        Self { first_ns: now_ns + to_ns(phase), interval_ns: to_ns(interval).max(1) }
    }

    /// When message `seq` (from 1) is due.
    pub(crate) const fn due_ns(&self, seq: u64) -> u64 {
        self.first_ns + (seq - 1) * self.interval_ns
    }

    fn period(&self) -> Duration {
        Duration::from_nanos(self.interval_ns).max(PERIOD_MIN)
    }
}

#[cfg(target_os = "linux")]
mod exact {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use nix::sys::time::TimeSpec;
    use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
    use tokio::io::AsyncReadExt;
    use tokio::net::unix::pipe::Receiver;

    /// A periodic kernel timer. It reads like a pipe into which the kernel writes eight bytes a
    /// period (timerfd_create(2)), and as one the runtime polls it, which takes no unsafe code.
    #[derive(Debug)]
    pub(crate) struct Ticker(Receiver);

    impl Ticker {
        pub(crate) fn new(first_in: Duration, period: Duration) -> std::io::Result<Self> {
            let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
            let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags)?;
            // A timer set to zero would be off.
            let first = TimeSpec::from(first_in.max(Duration::from_nanos(1)));
            let expiration = Expiration::IntervalDelayed(first, TimeSpec::from(period));
            timer.set(expiration, TimerSetTimeFlags::empty())?;
            Ok(Self(Receiver::from_owned_fd_unchecked(OwnedFd::from(timer))?))
        }

        /// Resolves once a period has passed since the last time. May be cancelled without loss.
        pub(crate) async fn tick(&mut self) {
            // The number of periods passed, which is not needed. A timer has no read error.
            let _periods = self.0.read(&mut [0; 8]).await;
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod exact {
    use std::time::Duration;

    /// The runtime's timer: rounds up to the next ms.
    #[derive(Debug)]
    pub(crate) struct Ticker(tokio::time::Interval);

    impl Ticker {
        pub(crate) fn new(first_in: Duration, period: Duration) -> std::io::Result<Self> {
            let first = tokio::time::Instant::now() + first_in;
            Ok(Self(tokio::time::interval_at(first, period)))
        }

        /// Resolves once a period has passed since the last time. May be cancelled without loss.
        pub(crate) async fn tick(&mut self) {
            self.0.tick().await;
        }
    }
}

pub(super) use exact::Ticker;

/// A ticker that wakes when the messages of `schedule` are due.
pub(crate) fn ticker_of(schedule: &Schedule, now_ns: u64) -> std::io::Result<Ticker> {
    let first_in = Duration::from_nanos(schedule.first_ns.saturating_sub(now_ns));
    Ticker::new(first_in, schedule.period())
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn publishers_take_turns_at_the_common_rate() {
        let schedules = [0, 1].map(|index| Schedule::new(100, index, 2, 1000.0));
        assert_eq!(schedules[0], Schedule { first_ns: 100, interval_ns: 2_000_000 });
        assert_eq!(schedules[1].due_ns(3), 100 + 1_000_000 + 2 * 2_000_000);
    }

    #[tokio::test]
    async fn ticks_come_neither_early_nor_rounded_to_ms() {
        let start = Instant::now();
        let mut ticker = Ticker::new(Duration::from_micros(200), Duration::from_micros(700))
            .expect("the system has timers");
        for _ in 0..10 {
            ticker.tick().await;
        }
        assert!(start.elapsed() >= Duration::from_micros(200 + 9 * 700));
    }
}
