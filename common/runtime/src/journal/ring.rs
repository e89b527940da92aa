//! Places in the ring of blocks behind a journal's header. Pure.
//!
//! ```text
//!   | 0 header | free | from … records that are kept … next | free |       or, past the end:
//!   | 0 header | … kept … next | free | from … kept … | free, too short for the record after |
//! ```

/// Which blocks are taken. A record is in one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ring {
    /// Of the file, the header's included.
    blocks: u32,
    /// The first that is taken, if any is.
    from: u32,
    /// The first after those that are taken.
    next: u32,
    is_empty: bool,
}

impl Ring {
    pub(super) const fn new(blocks: u32) -> Self {
        Self { blocks, from: 1, next: 1, is_empty: true }
    }

    /// Where a record of so many blocks has its place, if it has one now.
    pub(super) const fn place(&self, blocks: u32) -> Option<u32> {
        let has_wrapped = !self.is_empty && self.next <= self.from;
        if has_wrapped {
            return if blocks <= self.from - self.next { Some(self.next) } else { None };
        }
        if blocks <= self.blocks - self.next {
            return Some(self.next);
        }
        let before = if self.is_empty { self.blocks } else { self.from };
        if blocks < before { Some(1) } else { None }
    }

    /// Takes the blocks from `block` on, which is a [place](Self::place) for so many.
    pub(super) const fn take(&mut self, block: u32, blocks: u32) {
        if self.is_empty {
            self.from = block;
        }
        self.next = block + blocks;
        self.is_empty = false;
    }

    /// Where what is taken later begins; for [`release`](Self::release).
    pub(super) const fn mark(&self) -> u32 {
        self.next
    }

    /// Gives back what was taken before the mark.
    pub(super) const fn release(&mut self, mark: u32) {
        self.is_empty = mark == self.next;
        self.from = mark;
    }

    /// Blocks that are taken, and such that are too few for what came then.
    pub(super) const fn used(&self) -> u32 {
        if self.is_empty {
            0
        } else if self.next > self.from {
            self.next - self.from
        } else {
            self.blocks - 1 - (self.from - self.next)
        }
    }

    /// How many there are.
    pub(super) const fn size(&self) -> u32 {
        self.blocks - 1
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_place_is_given_twice_and_an_empty_ring_has_one_for_any_that_fits(
            blocks in 2_u32..40,
            steps in prop::collection::vec((1_u32..12, any::<bool>()), 0..200),
        ) {
            let mut ring = Ring::new(blocks);
            let mut kept: VecDeque<(u32, u32)> = VecDeque::new();
            let mut marked: Option<(u32, usize)> = None;
            for (size, releases) in steps {
                if releases {
                    match marked.take() {
                        Some((mark, count)) => {
                            ring.release(mark);
                            kept.drain(..count);
                        }
                        None if !kept.is_empty() => marked = Some((ring.mark(), kept.len())),
                        None => {}
                    }
                }
                match ring.place(size) {
                    Some(block) => {
                        prop_assert!(block >= 1 && block + size <= blocks);
                        let is_apart = |(at, of): &(u32, u32)| block + size <= *at || at + of <= block;
                        prop_assert!(kept.iter().all(is_apart));
                        ring.take(block, size);
                        kept.push_back((block, size));
                    }
                    None => prop_assert!(!kept.is_empty() || size > ring.size()),
                }
                let taken: u32 = kept.iter().map(|(_, of)| of).sum();
                prop_assert!(ring.used() >= taken && ring.used() <= ring.size());
            }
        }
    }
}
