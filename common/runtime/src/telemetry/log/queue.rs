//! Lines on their way out: whoever logs never waits, and what finds no room is counted.
//!
//! Invariants:
//! - Q1: [`push`](Queue::push) waits for no system call: not for a disk, a terminal or the reader
//!   of a pipe.
//! - Q2: a line is written whole, or waits here, or is counted as dropped; its order is kept.
//! - Q3: lines that found no room are told of at their place in the order.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What a line takes besides its text.
const LINE_OVERHEAD_BYTES: usize = 64;

/// A bounded queue with one reader.
#[derive(Debug)]
pub(super) struct Queue {
    bytes_max: usize,
    state: Mutex<State>,
    /// Lines that wait, and the one that is with the reader: for those who must not lock.
    pending: AtomicUsize,
    /// Something is there for the reader.
    filled: Condvar,
    /// Everything was taken, and done with.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Item>,
    bytes: usize,
    /// From when a line finds no room until half of it is free: a few long gaps are easier to
    /// read around than many short ones.
    is_refusing: bool,
    /// Lines that found no room since the last one that did.
    refused: u64,
    /// The reader has taken something and is not done with it.
    is_busy: bool,
}

impl State {
    fn pending(&self) -> usize {
        self.lines.len() + usize::from(self.is_busy)
    }
}

/// What the reader gets.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Item {
    /// So many lines before this one found no room.
    pub(super) refused_before: u64,
    /// The line with its end; `None` when none came after those that were refused, or for so long.
    pub(super) line: Option<Vec<u8>>,
}

impl Queue {
    /// An empty queue for so many bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        let (filled, emptied) = (Condvar::new(), Condvar::new());
        Self { bytes_max, state: Mutex::default(), pending: AtomicUsize::new(0), filled, emptied }
    }

    /// Takes a line, or refuses it for want of room: then it says so.
    #[must_use]
    pub(super) fn push(&self, line: Vec<u8>) -> bool {
        let mut state = self.lock();
        let bytes = line.len() + LINE_OVERHEAD_BYTES;
        if state.is_refusing && state.bytes <= self.bytes_max / 2 {
            state.is_refusing = false;
        }
        state.is_refusing |= state.bytes + bytes > self.bytes_max;
        if state.is_refusing {
            state.refused += 1;
            drop(state);
            // Only one that is longer than the whole queue finds the reader asleep.
            self.filled.notify_one();
            return false;
        }
        state.bytes += bytes;
        let refused_before = std::mem::take(&mut state.refused);
        state.lines.push_back(Item { refused_before, line: Some(line) });
        self.pending.store(state.pending(), Ordering::Relaxed);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// The next line, once there is one. After `patience` without one, if given, an empty item.
    pub(super) fn next(&self, patience: Option<Duration>) -> Item {
        let mut state = self.lock();
        loop {
            state.is_busy = true;
            if let Some(item) = state.lines.pop_front() {
                let bytes = item.line.as_ref().map_or(0, Vec::len) + LINE_OVERHEAD_BYTES;
                state.bytes -= bytes;
                return item;
            }
            if state.refused > 0 {
                return Item { refused_before: std::mem::take(&mut state.refused), line: None };
            }
            state.is_busy = false;
            self.pending.store(state.pending(), Ordering::Relaxed);
            self.emptied.notify_all();
            state = match patience {
                None => self.filled.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(patience) => {
                    let waited = self.filled.wait_timeout(state, patience);
                    let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
                    if waited.timed_out() && state.lines.is_empty() {
                        return Item::default();
                    }
                    state
                }
            };
        }
    }

    /// Waits until the reader has taken everything and asks for more, for `patience` at most, and
    /// says whether that came to pass.
    pub(super) fn wait_empty(&self, patience: Duration) -> bool {
        let is_pending =
            |state: &mut State| state.is_busy || !state.lines.is_empty() || state.refused > 0;
        let waited = self.emptied.wait_timeout_while(self.lock(), patience, is_pending);
        let (_state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out()
    }

    /// Whether something waits to be written. Safe in the handler of a signal: it takes no lock.
    pub(super) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed) > 0
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: usize = 36 + LINE_OVERHEAD_BYTES;

    fn line(n: u8) -> Vec<u8> {
        vec![n; 36]
    }

    fn next(queue: &Queue) -> (u64, Option<u8>) {
        let item = queue.next(Some(Duration::ZERO));
        (item.refused_before, item.line.map(|line| line[0]))
    }

    #[test]
    fn lines_come_in_their_order_and_those_without_room_are_told_of_in_their_place() {
        let queue = Queue::new(4 * LINE);
        let pushed: Vec<bool> = (0..6).map(|n| queue.push(line(n))).collect();
        assert_eq!(pushed, [true, true, true, true, false, false]);
        assert_eq!(next(&queue), (0, Some(0)));
        assert!(!queue.push(line(6)), "one place is free, and half of them are wanted");
        assert_eq!(next(&queue), (0, Some(1)));
        assert!(queue.push(line(7)), "half is free");
        assert_eq!([next(&queue), next(&queue)], [(0, Some(2)), (0, Some(3))]);
        assert_eq!(next(&queue), (3, Some(7)));
        assert_eq!(next(&queue), (0, None));
    }

    #[test]
    fn refused_lines_that_no_other_follows_are_told_of_at_the_end() {
        let queue = Queue::new(LINE);
        assert!(queue.push(line(1)));
        assert!(!queue.push(line(2)));
        assert_eq!([next(&queue), next(&queue)], [(0, Some(1)), (1, None)]);
    }

    #[test]
    fn a_line_longer_than_the_queue_is_refused_and_holds_up_no_other() {
        let queue = Queue::new(LINE);
        assert!(!queue.push(vec![0; 2 * LINE]));
        assert!(queue.push(line(1)));
        assert_eq!(next(&queue), (1, Some(1)));
    }

    #[test]
    fn it_is_empty_when_the_reader_asks_for_more() {
        let queue = Queue::new(LINE);
        assert!(queue.wait_empty(Duration::ZERO));
        assert!(queue.push(line(1)));
        assert!(!queue.wait_empty(Duration::ZERO));
        assert_eq!(next(&queue), (0, Some(1)));
        assert!(!queue.wait_empty(Duration::ZERO), "the reader is not done");
        assert_eq!(next(&queue), (0, None));
        assert!(queue.wait_empty(Duration::ZERO));
    }
}
