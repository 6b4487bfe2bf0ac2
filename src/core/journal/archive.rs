//! What the coordinator keeps of the pools' events.
//!
//! Always true between calls:
//! - an event has a number of its own, over all pools, that no other ever had; later ones have higher ones, and none is left out;
//! - the events of a pool are in pages, which are rows; only the last one is written to, and no page is ever empty;
//! - of a pool at least its last [`KEPT`] events are kept, as far as there are so many, and less than a page more;
//! - a batch of a shard is taken if its number is higher than any before of this shard, and only then. Each pool's last page says
//!   how high they were.

use std::collections::VecDeque;

use serde_json::{Map as Object, Value};

use super::buffer::{BATCH, Batch};
use super::entry::Entry;
use crate::config::resolved::PoolName;
use crate::core::id::{ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::sorted::Map;

/// So many events of a pool are kept.
pub const KEPT: u64 = 2_000;
/// So many events are in a page.
pub(super) const PAGE: usize = 64;

/// Which page: its pool, and the number of its first event.
pub type PageKey = (PoolName, u64);

/// A page of a pool's events: a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The number of its first event.
    pub first: u64,
    /// The number of its last event.
    pub last: u64,
    /// How many events it has.
    pub count: u64,
    /// How many older events of the pool are not kept any more, as of when the page was written.
    pub forgotten: u64,
    /// The highest number of a batch of each shard so far.
    pub heard: Map<ShardIndex, u64>,
    /// The events, oldest first, each as JSON.
    pub events: Vec<String>,
}

/// A row to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Insert or replace a page.
    Put(PoolName, Box<Page>),
    /// Delete one.
    Drop(PageKey),
}

/// Where a page is among the events.
#[derive(Clone, Copy, Debug)]
pub(super) struct Extent {
    pub first: u64,
    pub last: u64,
    pub count: u64,
}

/// The pages of a pool.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Those before the last one.
    pub full: VecDeque<Extent>,
    /// The last one.
    pub open: Page,
}

impl Roll {
    pub fn extents(&self) -> impl Iterator<Item = Extent> + '_ {
        let Page { first, last, count, .. } = self.open;
        self.full.iter().copied().chain((count > 0).then_some(Extent { first, last, count }))
    }

    fn close(&mut self) {
        let Page { first, last, count, .. } = self.open;
        self.full.push_back(Extent { first, last, count });
        self.open.events.clear();
        self.open.count = 0;
    }
}

/// What the coordinator keeps of the pools' events.
#[derive(Debug, Default)]
pub struct Archive {
    pub(super) rolls: Map<PoolName, Roll>,
    /// The number of the last event.
    pub(super) last: u64,
    changes: Vec<Change>,
}

impl Archive {
    /// The archive whose pages are these, of each pool in order. Of all but each pool's last, the events may be missing.
    pub fn load(pages: impl IntoIterator<Item = (PoolName, Page)>) -> Self {
        let mut archive = Self::default();
        for (pool, page) in pages {
            let roll = archive.rolls.entry(pool).or_default();
            if roll.open.count > 0 {
                roll.close();
            }
            archive.last = archive.last.max(page.last);
            roll.open = page;
        }
        archive
    }

    /// Takes a batch, unless it was taken before.
    pub fn take(&mut self, batch: Batch) {
        let Batch { shard: ShardId { pool, index }, number, mut dropped, events } = batch;
        let heard = &mut self.rolls.entry(pool.clone()).or_default().open.heard;
        if heard.get(&index).is_some_and(|&has| has >= number) && !mutants::on(Mutant::BatchTakenTwice) {
            return;
        }
        heard.insert(index, number);
        for mut event in events.into_iter().take(BATCH) {
            event.insert("shard".to_owned(), index.0.into());
            if dropped > 0 {
                event.insert("dropped".to_owned(), std::mem::take(&mut dropped).into());
            }
            self.append(&pool, event);
        }
        self.put(&pool);
    }

    /// Takes what happened to a pool as a whole.
    pub fn note(&mut self, pool: &PoolName, entry: Entry) {
        self.append(pool, entry.into_json());
        self.put(pool);
    }

    /// The highest number of a batch of this shard that was taken; 0 when none was.
    pub fn heard(&self, shard: &ShardId) -> u64 {
        let heard = self.rolls.get(&shard.pool).and_then(|roll| roll.open.heard.get(&shard.index));
        heard.copied().unwrap_or_default()
    }

    /// What is to be written since this was last called: at most one change for each page.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    fn append(&mut self, pool: &PoolName, mut event: Object<String, Value>) {
        if self.rolls.get(pool).is_some_and(|roll| roll.open.events.len() >= PAGE) {
            self.put(pool);
            if let Some(roll) = self.rolls.get_mut(pool) {
                roll.close();
            }
        }
        self.last += 1;
        event.insert("seq".to_owned(), self.last.into());
        event.insert("pool".to_owned(), pool.as_str().into());
        let roll = self.rolls.entry(pool.clone()).or_default();
        if roll.open.count == 0 {
            roll.open.first = self.last;
        }
        roll.open.last = self.last;
        roll.open.count += 1;
        roll.open.events.push(Value::Object(event).to_string());
        let mut kept: u64 = roll.extents().map(|extent| extent.count).sum();
        while let Some(oldest) = roll.full.front().filter(|oldest| kept - oldest.count >= KEPT) {
            kept -= oldest.count;
            roll.open.forgotten += oldest.count;
            self.changes.push(Change::Drop((pool.clone(), oldest.first)));
            roll.full.pop_front();
        }
    }

    /// The last page of the pool is to be written.
    fn put(&mut self, pool: &PoolName) {
        let Some(page) = self.rolls.get(pool).map(|roll| &roll.open).filter(|page| page.count > 0) else { return };
        let is_it = |change: &Change| matches!(change, Change::Put(of, has) if of == pool && has.first == page.first);
        let put = Change::Put(pool.clone(), Box::new(page.clone()));
        match self.changes.iter_mut().find(|change| is_it(change)) {
            Some(change) => *change = put,
            None => self.changes.push(put),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::collections::BTreeMap;

    use super::super::entry::Kind;
    use super::*;
    use crate::config::resolved::Millis;

    /// An archive and its rows.
    #[derive(Default)]
    pub struct Kept {
        pub archive: Archive,
        pub rows: BTreeMap<PageKey, Page>,
    }

    pub fn pool(name: &str) -> PoolName {
        name.to_owned().try_into().unwrap()
    }

    fn event(at: u64) -> Object<String, Value> {
        Entry::new(Millis(at), Kind::Gone).into_json()
    }

    impl Kept {
        pub fn take(&mut self, shard: &str, number: u64, dropped: u64, count: u64) {
            let events = (0..count).map(event).collect();
            self.archive.take(Batch { shard: shard.parse().unwrap(), number, dropped, events });
            self.write();
        }

        pub fn write(&mut self) {
            let mut seen = Vec::new();
            for change in self.archive.take_changes() {
                let key = match &change {
                    Change::Put(pool, page) => (pool.clone(), page.first),
                    Change::Drop(key) => key.clone(),
                };
                assert!(!seen.contains(&key), "one change for each row");
                seen.push(key.clone());
                match change {
                    Change::Put(_, page) => drop(self.rows.insert(key, *page)),
                    Change::Drop(_) => assert!(self.rows.remove(&key).is_some(), "it was there"),
                }
            }
        }

        fn reload(&mut self) {
            let pages: Vec<_> = self.rows.iter().map(|((pool, _), page)| (pool.clone(), page.clone())).collect();
            self.archive = Archive::load(pages);
        }

        pub fn seqs(&self) -> Vec<u64> {
            let texts = self.rows.values().flat_map(|page| &page.events);
            let mut seqs: Vec<u64> =
                texts.map(|text| serde_json::from_str::<Value>(text).unwrap()["seq"].as_u64().unwrap()).collect();
            seqs.sort_unstable();
            seqs
        }
    }

    #[test]
    fn a_batch_that_comes_twice_is_stored_once_also_by_an_archive_that_was_loaded_anew() {
        let mut kept = Kept::default();
        kept.take("p/0", 10, 0, 3);
        kept.take("p/0", 10, 0, 3);
        kept.take("p/1", 10, 0, 1);
        kept.reload();
        kept.take("p/0", 10, 0, 3);
        kept.take("p/0", 9, 0, 3);
        assert_eq!(kept.seqs(), [1, 2, 3, 4]);
        assert_eq!(kept.archive.heard(&"p/0".parse().unwrap()), 10);
        kept.take("p/0", 11, 0, 1);
        assert_eq!(kept.seqs(), [1, 2, 3, 4, 5], "numbers go on");
    }

    #[test]
    fn what_is_known_of_shards_that_are_silent_since_outlives_their_pages() {
        let mut kept = Kept::default();
        kept.take("p/7", 99, 0, 1);
        for number in 1..=40 {
            kept.take("p/0", number, 0, 100);
            kept.reload();
        }
        assert!(!kept.seqs().contains(&1), "its page is gone");
        kept.take("p/7", 99, 0, 1);
        assert_eq!(kept.archive.heard(&"p/7".parse().unwrap()), 99);
        assert_eq!(kept.seqs().last(), Some(&4_001));
    }

    #[test]
    fn of_each_pool_its_last_events_are_kept_and_pages_are_full() {
        let mut kept = Kept::default();
        kept.take("rare/0", 1, 0, 2);
        for number in 1..=100 {
            kept.take("busy/0", number, 0, 50);
            let of_busy: Vec<u64> =
                kept.rows.iter().filter(|((of, _), _)| *of == pool("busy")).map(|(_, page)| page.count).collect();
            let count: u64 = of_busy.iter().sum();
            assert!(count >= KEPT.min(number * 50) && count < KEPT + PAGE as u64, "{count}");
            assert!(of_busy.iter().rev().skip(1).all(|&count| count == PAGE as u64));
        }
        assert_eq!(kept.seqs()[..2], [1, 2], "a busy pool does not push another's out");
        let of_busy = |row: &(&PageKey, &Page)| row.0.0 == pool("busy");
        let forgotten = kept.rows.iter().rfind(of_busy).unwrap().1.forgotten;
        assert_eq!(forgotten + kept.seqs().len() as u64, 5_002, "what is gone is counted");
    }

    #[test]
    fn a_batch_with_more_than_a_page_goes_on_in_the_next_and_says_what_was_dropped_once() {
        let mut kept = Kept::default();
        kept.take("p/0", 1, 0, 60);
        kept.take("p/0", 2, 9, BATCH as u64 + 20);
        assert_eq!(kept.seqs().len(), 60 + BATCH, "more than fits into a batch is not taken");
        let texts: Vec<&String> = kept.rows.values().flat_map(|page| &page.events).collect();
        let told: Vec<usize> = (0..texts.len()).filter(|&at| texts[at].contains(r#""dropped":9"#)).collect();
        assert_eq!(told, [60]);
    }
}
