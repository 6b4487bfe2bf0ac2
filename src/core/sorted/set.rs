//! Sets: maps of nothing.

use std::borrow::Borrow;
use std::fmt;
use std::vec;

use super::{Iter, Map};

/// A set in its order.
#[derive(Clone)]
pub struct Set<K>(Map<K, ()>);

impl<K> Set<K> {
    /// A set without members.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// How many members there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The members.
    pub fn iter(&self) -> SetIter<'_, K> {
        SetIter(self.0.iter())
    }

    /// The smallest member.
    pub fn first(&self) -> Option<&K> {
        self.iter().next()
    }

    /// The largest member.
    pub fn last(&self) -> Option<&K> {
        self.iter().next_back()
    }

    /// Takes the smallest member.
    pub fn pop_first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(key, ())| key)
    }

    /// Keeps the members for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K) -> bool) {
        self.0.retain(|key, ()| keep(key));
    }
}

impl<K: Ord> Set<K> {
    /// Whether it is a member.
    pub fn contains<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.contains_key(key)
    }

    /// Makes it a member. Returns whether it was none.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// The smallest member that is larger than `key`.
    pub fn following(&self, key: &K) -> Option<&K> {
        self.0.following(key).map(|(key, ())| key)
    }

    /// The members that are larger than `key`; all without one.
    pub fn after<'m>(&'m self, key: Option<&K>) -> SetIter<'m, K> {
        SetIter(self.0.after(key))
    }

    /// Takes a member out. Returns whether it was one.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.0.remove(key).is_some()
    }
}

/// The members of a set.
pub struct SetIter<'m, K>(Iter<'m, K, ()>);

impl<'m, K> Iterator for SetIter<'m, K> {
    type Item = &'m K;

    fn next(&mut self) -> Option<&'m K> {
        self.0.next().map(|(key, ())| key)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl<K> DoubleEndedIterator for SetIter<'_, K> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(|(key, ())| key)
    }
}

impl<K> ExactSizeIterator for SetIter<'_, K> {}

impl<K> Clone for SetIter<'_, K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self).finish()
    }
}

impl<K: PartialEq> PartialEq for Set<K> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Eq> Eq for Set<K> {}

impl<'m, K> IntoIterator for &'m Set<K> {
    type Item = &'m K;
    type IntoIter = SetIter<'m, K>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K> IntoIterator for Set<K> {
    type Item = K;
    type IntoIter = vec::IntoIter<K>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_chunk().keys.into_iter()
    }
}

impl<K: Ord> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Ord> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}
