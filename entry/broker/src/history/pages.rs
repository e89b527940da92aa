//! Pages: a long read of the past as many short ones, so that nothing is under way while its consumer
//! does not take what there is.
//!
//! Together they give what one long read would have given: the end of the order is that of the first
//! page, what retention drops meanwhile is an error of the page that comes to it, and each page goes
//! on where the one before has stopped.

use vixen_core::id::Position;
use vixen_core::wire::{HistoryPlace, TailSegment};

use super::{Bound, Direction, HistoryRequest, Start};

/// What one page brought.
#[derive(Debug)]
pub struct Page {
    /// In the order of reading.
    pub segments: Vec<TailSegment>,
    /// Whether the read has ended by itself, and was not left for what it had brought.
    pub has_ended: bool,
    /// The last position of the order when it began.
    pub order_end: Position,
}

/// Where a long read goes on.
#[derive(Debug)]
pub struct Pages {
    request: HistoryRequest,
    /// Messages of a page.
    messages_max: u64,
    /// Of the order, as the first page has seen it.
    end: Option<Position>,
    is_over: bool,
}

impl Pages {
    /// All that `request` wants, with at most `messages_max` messages at a time.
    #[must_use]
    pub const fn new(request: HistoryRequest, messages_max: u64) -> Self {
        Self { request, messages_max, end: None, is_over: false }
    }

    /// What was asked for, and is still wanted of it.
    #[must_use]
    pub const fn request(&self) -> &HistoryRequest {
        &self.request
    }

    /// The read to make next; `None` when all that is wanted has come. [`take`](Self::take) takes what
    /// it brings.
    #[must_use]
    pub fn next(&self) -> Option<HistoryRequest> {
        let limit = self.request.limit.unwrap_or(u64::MAX).min(self.messages_max);
        let page = || HistoryRequest { limit: Some(limit), ..self.request.clone() };
        (!self.is_over).then(page)
    }

    /// Takes what the next read has brought, and returns what is wanted of it.
    pub fn take(&mut self, page: Page) -> Vec<TailSegment> {
        let Page { mut segments, has_ended, order_end } = page;
        let end = *self.end.get_or_insert(order_end);
        if self.request.direction == Direction::Forward {
            // A bound that is an id may lie in what has been published since.
            segments.retain(|segment| segment.first <= end);
        }
        let messages = segments.iter().map(messages_of).sum::<u64>();
        let is_full = messages >= self.request.limit.unwrap_or(u64::MAX).min(self.messages_max);
        let left = self.request.limit.map(|limit| limit.saturating_sub(messages));
        let is_done = (has_ended && !is_full) || left == Some(0);
        match segments.last().filter(|_| !is_done) {
            None => self.is_over = true,
            Some(last) => self.go_on(last, left, end),
        }
        segments
    }

    /// The next page begins after the last segment of the one before.
    fn go_on(&mut self, last: &TailSegment, left: Option<u64>, end: Position) {
        let request = &mut self.request;
        (request.limit, request.named) = (left, None);
        let place = match request.direction {
            Direction::Forward => Some(end_of(last)),
            Direction::Backward => first_of(last).0.checked_sub(1).map(Position),
        };
        if request.direction == Direction::Forward {
            let after_end = end.plus(1);
            match request.until {
                None => request.until = Some(Bound::Position(after_end)),
                Some(Bound::Position(until)) => {
                    request.until = Some(Bound::Position(until.min(after_end)));
                }
                Some(Bound::Id(_)) => {}
            }
        }
        match place.filter(|place| *place >= Position::FIRST) {
            Some(place) => request.start = Start::At(HistoryPlace::Position(place)),
            None => self.is_over = true,
        }
    }
}

/// The position of the first message that a segment brought.
#[must_use]
pub fn first_of(segment: &TailSegment) -> Position {
    segment.first.plus(segment.offsets.first().copied().unwrap_or(0))
}

/// The position after the last message that a segment brought.
#[must_use]
pub fn end_of(segment: &TailSegment) -> Position {
    match segment.offsets.last() {
        Some(last) => segment.first.plus(*last).plus(1),
        None => segment.first.plus(segment.count),
    }
}

/// How many messages a segment brought.
#[must_use]
pub fn messages_of(segment: &TailSegment) -> u64 {
    let messages = if segment.offsets.is_empty() {
        usize::try_from(segment.count).unwrap_or(usize::MAX)
    } else {
        segment.offsets.len()
    };
    messages as u64
}

#[cfg(test)]
mod tests {
    use vixen_core::id::{PermanentId, Stamp};
    use vixen_core::segment::TopicPattern;

    use super::*;

    const END: Position = Position(50);

    fn segment(first: u64, count: u32, offsets: &[u32]) -> TailSegment {
        TailSegment {
            first: Position(first),
            count,
            stamp: Stamp(first),
            topics: vec![],
            offsets: offsets.to_vec(),
            records: vec![].into(),
        }
    }

    fn request(direction: Direction, limit: Option<u64>) -> HistoryRequest {
        HistoryRequest {
            start: Start::Anywhere,
            direction,
            until: None,
            topics: vec![TopicPattern::all("r")],
            limit,
            named: None,
        }
    }

    fn page(segments: Vec<TailSegment>, has_ended: bool) -> Page {
        Page { segments, has_ended, order_end: END }
    }

    fn start(pages: &Pages) -> Option<Start> {
        pages.next().map(|next| next.start)
    }

    const fn at(position: u64) -> Option<Start> {
        Some(Start::At(HistoryPlace::Position(Position(position))))
    }

    #[test]
    fn a_page_goes_on_after_the_last_message_of_the_one_before() {
        let mut pages = Pages::new(request(Direction::Forward, None), 100);
        assert_eq!(start(&pages), Some(Start::Anywhere));
        assert_eq!(
            pages.take(page(vec![segment(1, 4, &[]), segment(5, 9, &[0, 3])], false)).len(),
            2
        );
        assert_eq!(start(&pages), at(9));
        pages.take(page(vec![segment(20, 4, &[])], true));
        assert_eq!(start(&pages), None, "it has ended by itself");
    }

    #[test]
    fn backward_it_goes_on_below_and_ends_with_the_first_position() {
        let mut pages = Pages::new(request(Direction::Backward, None), 100);
        pages.take(page(vec![segment(30, 9, &[2, 8])], false));
        assert_eq!(start(&pages), at(31));
        pages.take(page(vec![segment(Position::FIRST.0, 3, &[])], false));
        assert_eq!(start(&pages), None);
    }

    #[test]
    fn it_ends_with_the_limit_and_no_page_has_more_than_its_own() {
        let mut pages = Pages::new(request(Direction::Forward, Some(5)), 3);
        assert_eq!(pages.next().and_then(|next| next.limit), Some(3));
        // It ends by itself, for its own limit.
        pages.take(page(vec![segment(1, 3, &[])], true));
        assert_eq!(pages.next().and_then(|next| next.limit), Some(2));
        assert_eq!(start(&pages), at(4));
        pages.take(page(vec![segment(4, 2, &[])], true));
        assert_eq!(start(&pages), None);
    }

    #[test]
    fn what_is_published_meanwhile_is_not_of_it() {
        let mut pages = Pages::new(request(Direction::Forward, None), 100);
        pages.take(page(vec![segment(1, 4, &[])], false));
        let until = |pages: &Pages| pages.next().and_then(|next| next.until);
        assert_eq!(until(&pages), Some(Bound::Position(Position(51))));
        // An id may be of the future.
        let id = Bound::Id(PermanentId { stamp: Stamp(u64::MAX), offset: 0 });
        let future = HistoryRequest { until: Some(id), ..request(Direction::Forward, None) };
        let mut pages = Pages::new(future, 100);
        pages.take(page(vec![segment(1, 4, &[])], false));
        let later = Page {
            order_end: Position(500),
            ..page(vec![segment(5, 46, &[]), segment(51, 9, &[])], false)
        };
        assert_eq!(pages.take(later).len(), 1);
        pages.take(page(vec![segment(51, 9, &[])], false));
        assert_eq!(start(&pages), None);
    }

    #[test]
    fn what_was_named_is_looked_for_once() {
        let named = Some(super::super::RefPoint::Position(Position(1)));
        let mut pages =
            Pages::new(HistoryRequest { named, ..request(Direction::Forward, None) }, 9);
        assert_eq!(pages.next().and_then(|next| next.named), named);
        pages.take(page(vec![segment(1, 4, &[])], false));
        assert_eq!(pages.next().and_then(|next| next.named), None);
    }
}
