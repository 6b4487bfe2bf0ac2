//! The warm containers: which goes next, and how many are outdated.

use crate::config::resolved::Millis;
use crate::core::id::ContainerId;
use crate::core::sorted::Set;

/// Whether a container was started under another spec than the plan's.
pub(super) type Outdated = bool;

/// The warm containers: current ones before outdated ones, then oldest first.
#[derive(Debug, Default)]
pub(super) struct Stock {
    line: Set<Warm>,
    outdated: usize,
}

/// One of them: whether it is outdated, since when it is warm, and which it is.
pub(super) type Warm = (Outdated, Millis, ContainerId);

impl Stock {
    pub fn put(&mut self, warm: Warm) {
        if self.line.insert(warm) {
            self.outdated += usize::from(warm.0);
        }
    }

    /// Takes one out that is warm since then.
    pub fn remove(&mut self, since: Millis, container: ContainerId) {
        self.line.remove(&(false, since, container));
        if self.line.remove(&(true, since, container)) {
            self.outdated -= 1;
        }
    }

    /// The one to be handed out next.
    pub fn first(&self) -> Option<Warm> {
        self.line.first().copied()
    }

    /// The one that goes first when there are too many.
    pub fn last(&self) -> Option<Warm> {
        self.line.last().copied()
    }

    pub fn iter(&self) -> impl DoubleEndedIterator<Item = ContainerId> {
        self.line.iter().map(|&(_, _, container)| container)
    }

    pub fn len(&self) -> usize {
        self.line.len()
    }

    /// How many are not outdated.
    pub fn current(&self) -> usize {
        self.line.len() - self.outdated
    }

    /// Works out anew which are outdated.
    pub fn sort(&mut self, is_outdated: impl Fn(ContainerId) -> Outdated) {
        for (_, since, container) in std::mem::take(self).line {
            self.put((is_outdated(container), since, container));
        }
    }

    /// The next ones after another, at most so many, and where to go on; none when that was the last.
    pub fn after(&self, warm: Option<Warm>, size: usize) -> (Vec<ContainerId>, Option<Warm>) {
        let page: Vec<Warm> = self.line.after(warm.as_ref()).take(size).copied().collect();
        // A page that is not full was the last one.
        let next = page.last().copied().filter(|_| page.len() == size);
        (page.into_iter().map(|(_, _, container)| container).collect(), next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn current_ones_go_first_and_outdated_ones_are_counted() {
        let (old, new) = (ContainerId::from_random(1), ContainerId::from_random(2));
        let mut stock = Stock::default();
        stock.put((false, Millis(1), old));
        stock.put((false, Millis(2), new));
        assert_eq!((stock.first(), stock.current()), (Some((false, Millis(1), old)), 2));
        stock.sort(|container| container == old);
        assert_eq!((stock.first(), stock.last()), (Some((false, Millis(2), new)), Some((true, Millis(1), old))));
        assert_eq!((stock.len(), stock.current()), (2, 1));
        stock.remove(Millis(1), old);
        assert_eq!((stock.len(), stock.current()), (1, 1));
    }
}
