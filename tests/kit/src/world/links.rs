//! Links between processes: in order and without loss while they last; what is under way is lost with
//! them, and each end learns of it in its own time.
//!
//! A cut keeps back what is sent through it, as TCP does: it comes late when the cut is over, unless the
//! link is given up before. Between sync nodes a seed may lose, repeat and mix messages besides, which is
//! more than their links do: the vote promises to bear it.

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::wire::{Message, PeerId};

use super::io::Name;

/// A link; each has its own number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkNumber(pub(super) u64);

/// Of a link, the one end or the other.
pub(super) type End = usize;

#[derive(Debug)]
struct Link {
    ends: [Name; 2],
    /// As whom each end comes.
    peers: [PeerId; 2],
    /// The end knows of it.
    is_up: [bool; 2],
    /// The end is done with it.
    is_down: [bool; 2],
    is_silent: [bool; 2],
    /// When the last message arrives that was sent towards the end.
    arrives_us: [u64; 2],
    /// Kept back by a cut, on their way to the end.
    kept: [Vec<Message>; 2],
}

/// Where a message goes.
#[derive(Debug)]
pub(super) enum Route {
    /// To arrive at a time; nothing sent later on this link arrives before it.
    At(LinkNumber, End, u64, Message),
    /// It is kept back, or lost.
    Nowhere,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Links {
    links: BTreeMap<LinkNumber, Link>,
    /// The link that a process uses with a peer.
    current: BTreeMap<(Name, Name), LinkNumber>,
    last: u64,
    /// Processes on one side of each cut.
    cuts: BTreeMap<u64, BTreeSet<Name>>,
}

impl Links {
    pub(super) fn is_cut(&self, a: Name, b: Name) -> bool {
        self.cuts.values().any(|side| side.contains(&a) != side.contains(&b))
    }

    pub(super) fn has_cut(&self) -> bool {
        !self.cuts.is_empty()
    }

    pub(super) fn cut(&mut self, number: u64, side: BTreeSet<Name>) {
        self.cuts.insert(number, side);
    }

    /// Links that lead through cuts: each end of them.
    pub(super) fn through_cuts(&self) -> Vec<(LinkNumber, End)> {
        let cut = self.links.iter().filter(|(_, link)| self.is_cut(link.ends[0], link.ends[1]));
        cut.flat_map(|(number, _)| [(*number, 0), (*number, 1)]).collect()
    }

    /// A cut is over: what was kept back goes on. The ends that hear again.
    pub(super) fn heal(&mut self, number: u64) -> Vec<(LinkNumber, End, Vec<Message>)> {
        self.cuts.remove(&number);
        let cuts = &self.cuts;
        let is_cut = |a, b| cuts.values().any(|side| side.contains(&a) != side.contains(&b));
        let healed = self.links.iter_mut().filter(|(_, link)| !is_cut(link.ends[0], link.ends[1]));
        let ends = healed.flat_map(|(number, link)| {
            let [one, other] = &mut link.kept;
            [(*number, 0, std::mem::take(one)), (*number, 1, std::mem::take(other))]
        });
        ends.collect()
    }

    /// A new link is made; each end learns of it at its time.
    pub(super) fn make(
        &mut self,
        ends: [Name; 2],
        peers: [PeerId; 2],
        up_us: [u64; 2],
    ) -> LinkNumber {
        self.last += 1;
        let number = LinkNumber(self.last);
        let link = Link {
            ends,
            peers,
            is_up: [false; 2],
            is_down: [false; 2],
            is_silent: [false; 2],
            arrives_us: up_us,
            kept: [Vec::new(), Vec::new()],
        };
        self.links.insert(number, link);
        number
    }

    /// The processes at an end and opposite to it.
    pub(super) fn ends(&self, number: LinkNumber, end: End) -> Option<(Name, Name)> {
        let link = self.links.get(&number)?;
        Some((link.ends[end], link.ends[1 - end]))
    }

    /// Who is opposite to an end.
    pub(super) fn peer(&self, number: LinkNumber, end: End) -> Option<PeerId> {
        self.links.get(&number).map(|link| link.peers[1 - end])
    }

    /// Whether a link of the two is known to either, and not done with.
    pub(super) fn is_linked(&self, a: Name, b: Name) -> bool {
        let is_theirs = |link: &Link| link.ends == [a, b] || link.ends == [b, a];
        self.links.values().any(|link| is_theirs(link) && !link.is_down.contains(&true))
    }

    /// An end learns of the link, if it is still there.
    pub(super) fn up(&mut self, number: LinkNumber, end: End) -> bool {
        let Some(link) = self.links.get_mut(&number) else { return false };
        if link.is_down[end] {
            return false;
        }
        link.is_up[end] = true;
        let (own, peer) = (link.ends[end], link.ends[1 - end]);
        if let Some(old) = self.current.insert((own, peer), number) {
            // Replaced by the newer one: the other end hears of it in time.
            self.end(old, own);
        }
        true
    }

    fn end(&mut self, number: LinkNumber, own: Name) {
        if let Some(link) = self.links.get_mut(&number) {
            let end = usize::from(link.ends[1] == own);
            link.is_down[end] = true;
            if link.is_down == [true; 2] {
                self.links.remove(&number);
            }
        }
    }

    /// An end is done with the link. Whether it was the one in use.
    pub(super) fn down(&mut self, number: LinkNumber, end: End) -> bool {
        let Some((own, peer)) = self.ends(number, end) else { return false };
        self.end(number, own);
        let is_current = self.current.get(&(own, peer)) == Some(&number);
        if is_current {
            self.current.remove(&(own, peer));
        }
        is_current
    }

    /// A process is gone: its links end there. The other ends are to learn of it.
    pub(super) fn process_gone(&mut self, name: Name) -> Vec<(LinkNumber, End)> {
        self.current.retain(|(own, _), _| *own != name);
        let of_process = self.links.iter().filter(|(_, link)| link.ends.contains(&name));
        let numbers: Vec<_> = of_process.map(|(number, _)| *number).collect();
        let mut others = Vec::new();
        for number in numbers {
            let Some(link) = self.links.get(&number) else { continue };
            let end = usize::from(link.ends[1] == name);
            if !link.is_down[1 - end] {
                others.push((number, 1 - end));
            }
            self.end(number, name);
        }
        others
    }

    /// An end hears nothing any more, or something again. Whether that is news.
    pub(super) fn silent(&mut self, number: LinkNumber, end: End, is_silent: bool) -> bool {
        let Some((own, peer)) = self.ends(number, end) else { return false };
        if self.current.get(&(own, peer)) != Some(&number) {
            return false;
        }
        let Some(link) = self.links.get_mut(&number) else { return false };
        std::mem::replace(&mut link.is_silent[end], is_silent) != is_silent
    }

    /// Sends on the present link of the two; it takes `delay_us`, or longer where others are before it.
    pub(super) fn send(
        &mut self,
        now_us: u64,
        (from, to): (Name, Name),
        message: Message,
        delay_us: u64,
    ) -> Route {
        let Some(number) = self.current.get(&(from, to)).copied() else { return Route::Nowhere };
        let is_cut = self.is_cut(from, to);
        let Some(link) = self.links.get_mut(&number) else { return Route::Nowhere };
        let end = usize::from(link.ends[1] == to);
        if is_cut || !link.kept[end].is_empty() {
            link.kept[end].push(message);
            return Route::Nowhere;
        }
        self.route(now_us, number, end, message, delay_us)
    }

    /// The same for what was kept back.
    pub(super) fn route(
        &mut self,
        now_us: u64,
        number: LinkNumber,
        end: End,
        message: Message,
        delay_us: u64,
    ) -> Route {
        let Some(link) = self.links.get_mut(&number) else { return Route::Nowhere };
        let at = (link.arrives_us[end] + 1).max(now_us + delay_us);
        link.arrives_us[end] = at;
        Route::At(number, end, at, message)
    }

    /// Whether what arrives on a link is taken at this end.
    pub(super) fn is_current(&self, number: LinkNumber, end: End) -> bool {
        let ends = self.ends(number, end);
        ends.is_some_and(|(own, peer)| self.current.get(&(own, peer)) == Some(&number))
    }

    /// The links that a process has at present: its ends of them.
    pub(super) fn of(&self, name: Name) -> Vec<(LinkNumber, End)> {
        let own = self.current.iter().filter(|((own, _), _)| *own == name);
        let end_of = |number| Some(usize::from(self.links.get(number)?.ends[1] == name));
        own.filter_map(|(_, number)| Some((*number, end_of(number)?))).collect()
    }

    /// All links that both ends know.
    pub(super) fn whole(&self) -> Vec<LinkNumber> {
        let whole = self.links.iter().filter(|(_, link)| link.is_up == [true; 2]);
        whole.map(|(number, _)| *number).collect()
    }
}
