//! Maps and sets in the order of their keys.
//!
//! They do what `BTreeMap` and `BTreeSet` do, and are here for the size of the Worker: there is one copy of a map's code per
//! type of key and value, the machines have some fifty of those, and a copy of `BTreeMap` is several times as large as one of these.
//!
//! A map is a list of chunks, each of at most 128 entries: to find a key, the chunk is found by halving and then the key in
//! it. So an entry is put in or taken out by moving at most a chunk, and now and then the list of the chunks. What always holds: no
//! chunk is empty, and two neighbours have together more than half of what fits in one.

mod iter;
#[cfg(test)]
mod schema;
mod set;
#[cfg(test)]
mod tests;
mod traits;

use std::borrow::Borrow;
use std::cmp::Ordering;

pub use iter::Iter;
pub use set::Set;

/// The most entries of a chunk.
const MAX_CHUNK: usize = 128;

/// A map in the order of its keys.
#[derive(Clone)]
pub struct Map<K, V> {
    chunks: Vec<Chunk<K, V>>,
    len: usize,
}

/// Some entries of a map. Keys are apart from values, so that all maps with the same keys share the code that finds them.
#[derive(Clone)]
pub struct Chunk<K, V> {
    keys: Vec<K>,
    values: Vec<V>,
}

impl<K, V> Chunk<K, V> {
    const EMPTY: Self = Self { keys: Vec::new(), values: Vec::new() };

    fn entry(&self, at: usize) -> Option<(&K, &V)> {
        Some((self.keys.get(at)?, self.values.get(at)?))
    }

    fn append(&mut self, mut other: Self) {
        self.keys.append(&mut other.keys);
        self.values.append(&mut other.values);
    }

    fn split_off(&mut self, at: usize) -> Self {
        Self { keys: self.keys.split_off(at), values: self.values.split_off(at) }
    }
}

/// Where a key is, or would be.
struct Place {
    chunk: usize,
    at: usize,
    found: bool,
}

impl<K, V> Map<K, V> {
    /// A map without entries.
    pub const fn new() -> Self {
        Self { chunks: Vec::new(), len: 0 }
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Removes all.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.len = 0;
    }

    /// The entries.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter::new(&self.chunks, (0, 0), self.len)
    }

    /// The keys.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &K> + ExactSizeIterator + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values, in the order of their keys.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &V> + ExactSizeIterator + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The same, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.chunks.iter_mut().flat_map(|chunk| &mut chunk.values)
    }

    /// The values alone. What is passed is freed by the chunk.
    pub fn into_values(self) -> impl Iterator<Item = V> {
        self.chunks.into_iter().flat_map(|chunk| chunk.values)
    }

    /// All entries in one, however many they are.
    fn into_chunk(self) -> Chunk<K, V> {
        let mut chunks = self.chunks.into_iter();
        let mut all = chunks.next().unwrap_or(Chunk::EMPTY);
        chunks.for_each(|chunk| all.append(chunk));
        all
    }

    /// The entry with the smallest key.
    pub fn first_key_value(&self) -> Option<(&K, &V)> {
        self.iter().next()
    }

    /// Takes the entry with the smallest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        self.remove_at(0, 0)
    }

    /// Keeps the entries for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&K, &mut V) -> bool) {
        let mut kept = Self::new();
        for (key, mut value) in std::mem::take(self) {
            if keep(&key, &mut value) {
                kept.push(key, value);
            }
        }
        *self = kept;
    }

    /// Adds an entry whose key comes after all others.
    fn push(&mut self, key: K, value: V) {
        self.insert_at(self.chunks.len(), 0, key, value);
    }

    /// Adds an entry; `chunk` and `at` as in a [`Place`]. Returns where it is then.
    fn insert_at(&mut self, chunk: usize, at: usize, key: K, value: V) -> (usize, usize) {
        let (mut chunk, mut at) = (chunk, at);
        if chunk >= self.chunks.len() {
            // After everything: at the end of the last chunk, or in the first.
            match self.chunks.last() {
                Some(last) if last.keys.len() < MAX_CHUNK => (chunk, at) = (self.chunks.len() - 1, last.keys.len()),
                Some(_) | None => {
                    (chunk, at) = (self.chunks.len(), 0);
                    self.chunks.push(Chunk::EMPTY);
                }
            }
        }
        self.len += 1;
        if let Some(full) = self.chunks.get_mut(chunk).filter(|chunk| chunk.keys.len() >= MAX_CHUNK) {
            let rest = full.split_off(MAX_CHUNK / 2);
            self.chunks.insert(chunk + 1, rest);
            if at > MAX_CHUNK / 2 {
                (chunk, at) = (chunk + 1, at - MAX_CHUNK / 2);
            }
        }
        if let Some(into) = self.chunks.get_mut(chunk) {
            into.keys.insert(at, key);
            into.values.insert(at, value);
        }
        (chunk, at)
    }

    fn remove_at(&mut self, chunk: usize, at: usize) -> Option<(K, V)> {
        let from = self.chunks.get_mut(chunk)?;
        let removed = (from.keys.remove(at), from.values.remove(at));
        self.len -= 1;
        if from.keys.is_empty() {
            self.chunks.remove(chunk);
        } else if !self.merge(chunk) && chunk > 0 {
            self.merge(chunk - 1);
        }
        Some(removed)
    }

    /// Makes one of a chunk and its next when they are small together. Returns whether it did.
    fn merge(&mut self, chunk: usize) -> bool {
        let len = |chunk: usize| self.chunks.get(chunk).map_or(MAX_CHUNK, |chunk| chunk.keys.len());
        if len(chunk) + len(chunk + 1) > MAX_CHUNK / 2 {
            return false;
        }
        let next = self.chunks.remove(chunk + 1);
        if let Some(into) = self.chunks.get_mut(chunk) {
            into.append(next);
        }
        true
    }
}

/// Where in `sorted` that is with which `compare` finds a key equal, or would be; and whether it is there. Unlike that of the standard
/// library it branches, so that the processor loads ahead the keys that it is likely to need: twice as fast for many keys on the heap.
fn halve<T>(sorted: &[T], compare: impl Fn(&T) -> Ordering) -> (usize, bool) {
    let (mut from, mut to) = (0, sorted.len());
    while let Some(item) = sorted.get(from..to).and_then(|rest| rest.get(rest.len() / 2)) {
        let middle = from + (to - from) / 2;
        match compare(item) {
            Ordering::Less => from = middle + 1,
            Ordering::Equal => return (middle, true),
            Ordering::Greater => to = middle,
        }
    }
    (from, false)
}

impl<K: Ord, V> Map<K, V> {
    fn find<Q: Ord + ?Sized>(&self, key: &Q) -> Place
    where
        K: Borrow<Q>,
    {
        let (chunk, _) = halve(&self.chunks, |chunk| match chunk.keys.last() {
            Some(last) if last.borrow() < key => Ordering::Less,
            Some(_) | None => Ordering::Greater,
        });
        let keys = self.chunks.get(chunk).map_or(&[][..], |chunk| &chunk.keys);
        let (at, found) = halve(keys, |other| other.borrow().cmp(key));
        Place { chunk, at, found }
    }

    /// The value of a key.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let Place { chunk, at, found } = self.find(key);
        if found { self.chunks.get(chunk)?.values.get(at) } else { None }
    }

    /// The same, to be changed.
    pub fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let Place { chunk, at, found } = self.find(key);
        if found { self.chunks.get_mut(chunk)?.values.get_mut(at) } else { None }
    }

    /// Whether a key has a value.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.find(key).found
    }

    /// Gives a key a value. Returns the one it had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let Place { chunk, at, found } = self.find(&key);
        if found {
            let has = self.chunks.get_mut(chunk)?.values.get_mut(at)?;
            return Some(std::mem::replace(has, value));
        }
        self.insert_at(chunk, at, key, value);
        None
    }

    /// Removes a key. Returns the value it had.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.remove_entry(key).map(|(_, value)| value)
    }

    /// The same, with the key.
    pub fn remove_entry<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<(K, V)>
    where
        K: Borrow<Q>,
    {
        let Place { chunk, at, found } = self.find(key);
        if found { self.remove_at(chunk, at) } else { None }
    }

    /// The place of a key that may have no value yet.
    pub fn entry(&mut self, key: K) -> Entry<'_, K, V> {
        Entry { map: self, key }
    }

    /// The entry with the smallest key that is larger than `key`.
    pub fn following(&self, key: &K) -> Option<(&K, &V)> {
        let Place { chunk, at, found } = self.find(key);
        let in_chunk = self.chunks.get(chunk)?.entry(if found { at + 1 } else { at });
        in_chunk.or_else(|| self.chunks.get(chunk + 1)?.entry(0))
    }

    /// The entries whose keys are larger than `key`; all without one.
    pub fn after<'m>(&'m self, key: Option<&K>) -> Iter<'m, K, V> {
        let Place { chunk, at, found } = key.map_or(Place { chunk: 0, at: 0, found: false }, |key| self.find(key));
        let at = if found { at + 1 } else { at };
        let before: usize = self.chunks.iter().take(chunk).map(|chunk| chunk.keys.len()).sum();
        Iter::new(&self.chunks, (chunk, at), self.len.saturating_sub(before + at))
    }
}

/// The place of a key in a map.
pub struct Entry<'m, K, V> {
    map: &'m mut Map<K, V>,
    key: K,
}

impl<'m, K: Ord, V> Entry<'m, K, V> {
    /// Its value, which is this one when it has none.
    pub fn or_insert_with(self, value: impl FnOnce() -> V) -> &'m mut V {
        let Self { map, key } = self;
        let Place { mut chunk, mut at, found } = map.find(&key);
        if !found {
            (chunk, at) = map.insert_at(chunk, at, key, value());
        }
        #[expect(clippy::indexing_slicing, reason = "it was found, or put, there")]
        &mut map.chunks[chunk].values[at]
    }

    /// The same, with a value that costs nothing to make.
    pub fn or_insert(self, value: V) -> &'m mut V {
        self.or_insert_with(|| value)
    }

    /// The same, with the default.
    pub fn or_default(self) -> &'m mut V
    where
        V: Default,
    {
        self.or_insert_with(V::default)
    }
}
