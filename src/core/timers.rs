//! One table of timers, so that one alarm serves them all.

use crate::config::resolved::Millis;
use crate::core::sorted::{Map, Set};

/// At most one deadline per key. The Durable Object's alarm is always set to [`Timers::next`].
#[derive(Clone, Debug)]
pub struct Timers<K: Ord + Copy> {
    by_key: Map<K, Millis>,
    by_time: Set<(Millis, K)>,
}

impl<K: Ord + Copy> Default for Timers<K> {
    fn default() -> Self {
        Self { by_key: Map::new(), by_time: Set::new() }
    }
}

impl<K: Ord + Copy> Timers<K> {
    /// Sets the timer of `key`, replacing the one it had.
    pub fn set(&mut self, key: K, at: Millis) {
        self.stop(key);
        self.by_key.insert(key, at);
        self.by_time.insert((at, key));
    }

    /// Sets the timer of `key` unless it has an earlier one.
    pub fn set_earlier(&mut self, key: K, at: Millis) {
        if self.by_key.get(&key).is_none_or(|&has| at < has) {
            self.set(key, at);
        }
    }

    /// Removes the timer of `key`, if it has one.
    pub fn stop(&mut self, key: K) {
        if let Some(at) = self.by_key.remove(&key) {
            self.by_time.remove(&(at, key));
        }
    }

    /// Whether `key` has a timer.
    pub fn is_set(&self, key: K) -> bool {
        self.by_key.contains_key(&key)
    }

    /// The earliest deadline: when to wake. None: nothing is due, so no alarm.
    pub fn next(&self) -> Option<Millis> {
        self.by_time.first().map(|&(at, _)| at)
    }

    /// Takes one timer that is due at `now`, earliest first.
    pub fn pop_due(&mut self, now: Millis) -> Option<K> {
        let &(at, key) = self.by_time.first()?;
        if at > now {
            return None;
        }
        self.stop(key);
        Some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_deadline_and_the_earliest_comes_first() {
        let mut timers = Timers::default();
        timers.set('a', Millis(5));
        timers.set('b', Millis(3));
        timers.set('a', Millis(1));
        timers.set_earlier('b', Millis(9));
        assert_eq!(timers.next(), Some(Millis(1)));
        assert_eq!(timers.pop_due(Millis(2)), Some('a'));
        assert_eq!(timers.pop_due(Millis(2)), None);
        assert_eq!(timers.pop_due(Millis(3)), Some('b'));
        assert_eq!(timers.next(), None);
    }
}
