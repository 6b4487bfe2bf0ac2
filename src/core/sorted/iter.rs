//! The entries of a map, one after the other, from both ends.

use super::Chunk;

/// The entries of a map.
pub struct Iter<'m, K, V> {
    chunks: &'m [Chunk<K, V>],
    /// The next entry from the front: in which chunk, and where there.
    front: (usize, usize),
    /// After the next entry from the back.
    back: (usize, usize),
    left: usize,
}

impl<'m, K, V> Iter<'m, K, V> {
    /// Those from `front` on, of which there are `left`.
    pub(super) fn new(chunks: &'m [Chunk<K, V>], front: (usize, usize), left: usize) -> Self {
        Self { chunks, front, back: (chunks.len(), 0), left }
    }
}

impl<'m, K, V> Iterator for Iter<'m, K, V> {
    type Item = (&'m K, &'m V);

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (mut chunk, mut at) = self.front;
        if self.chunks.get(chunk)?.keys.len() <= at {
            (chunk, at) = (chunk + 1, 0);
        }
        self.front = (chunk, at + 1);
        self.chunks.get(chunk)?.entry(at)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

impl<K, V> DoubleEndedIterator for Iter<'_, K, V> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let (mut chunk, mut after) = self.back;
        if after == 0 {
            chunk = chunk.checked_sub(1)?;
            after = self.chunks.get(chunk)?.keys.len();
        }
        self.back = (chunk, after - 1);
        self.chunks.get(chunk)?.entry(after - 1)
    }
}

impl<K, V> ExactSizeIterator for Iter<'_, K, V> {}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}
