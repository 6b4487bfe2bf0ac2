//! What the coordinator has written down of each shard: the credits given to it and returned by it, and its share of the stock.
//!
//! A row counts for credits only under the generation it was written for: under another, the shard has what it began with.

use serde::{Deserialize, Serialize};

use super::Write;
use crate::config::resolved::PoolName;
use crate::core::id::{ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::sorted::{Map, Set};

/// What is durable of a shard.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct LedgerRow {
    /// The beginning since which is counted.
    pub generation: u64,
    /// All credits that it was given since.
    pub given: u64,
    /// All that it has returned since. It may be more than it was given and began with: credits come with containers, too.
    pub returned: u64,
    /// Containers that it is to keep warm.
    pub warm_target: u32,
    /// Whether it has not yet been heard to go by what was given, or by this target.
    pub untold: bool,
}

impl LedgerRow {
    fn net(&self) -> i128 {
        i128::from(self.given) - i128::from(self.returned)
    }
}

/// The rows of all shards. A shard that has none has the row of zeros.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    books: Map<PoolName, Book>,
    dirty: Set<ShardId>,
    untold: Set<ShardId>,
}

/// The rows of a pool.
#[derive(Debug, Default)]
struct Book {
    generation: u64,
    rows: Map<ShardIndex, LedgerRow>,
    /// What was given less what was returned, by the rows of this generation.
    net: i128,
}

impl Ledger {
    pub fn load(rows: Map<ShardId, LedgerRow>) -> Self {
        let mut books = Map::<PoolName, Book>::new();
        let mut untold = Set::new();
        for (shard, row) in rows {
            if row.untold {
                untold.insert(shard.clone());
            }
            books.entry(shard.pool).or_default().rows.insert(shard.index, row);
        }
        Self { books, dirty: Set::new(), untold }
    }

    /// Counts credits from this generation on.
    pub fn begin(&mut self, pool: &PoolName, generation: u64) {
        let book = self.books.entry(pool.clone()).or_default();
        book.generation = generation;
        let counted = book.rows.values().filter(|row| row.generation == generation);
        book.net = counted.map(LedgerRow::net).sum();
    }

    /// The row of a shard; its credits are 0 unless they are of the generation that counts.
    pub fn row(&self, shard: &ShardId) -> LedgerRow {
        let Some(book) = self.books.get(&shard.pool) else { return LedgerRow::default() };
        let row = book.rows.get(&shard.index).copied().unwrap_or_default();
        if row.generation == book.generation {
            row
        } else {
            let LedgerRow { warm_target, untold, .. } = row;
            LedgerRow { generation: book.generation, warm_target, untold, ..LedgerRow::default() }
        }
    }

    /// The shards that are not known to have heard what they have.
    pub fn untold(&self) -> &Set<ShardId> {
        &self.untold
    }

    /// What was given to the shards of a pool less what they returned.
    pub fn net(&self, pool: &PoolName) -> i128 {
        self.books.get(pool).map_or(0, |book| book.net)
    }

    /// The shards of a pool that have a row, with their share of the stock.
    pub fn warm_targets(&self, pool: &PoolName) -> impl Iterator<Item = (ShardIndex, u32)> + '_ {
        let rows = self.books.get(pool).into_iter().flat_map(|book| &book.rows);
        rows.map(|(&index, row)| (index, row.warm_target))
    }

    /// Changes the row of a shard.
    pub fn update(&mut self, shard: &ShardId, change: impl FnOnce(&mut LedgerRow)) {
        let before = self.row(shard);
        let mut row = before;
        change(&mut row);
        row.untold |= (row.given, row.warm_target) != (before.given, before.warm_target);
        if row != before {
            if row.untold {
                self.untold.insert(shard.clone());
            } else {
                self.untold.remove(shard);
            }
            let book = self.books.entry(shard.pool.clone()).or_default();
            book.net += row.net() - before.net();
            book.rows.insert(shard.index, row);
            self.dirty.insert(shard.clone());
        }
    }

    /// The rows that have changed since the last time.
    pub fn take_changes(&mut self) -> Vec<Write> {
        let dirty = std::mem::take(&mut self.dirty);
        if mutants::on(Mutant::LedgerNotWritten) {
            return Vec::new();
        }
        let write = |shard: ShardId| {
            let row = self.row(&shard);
            Write::PutLedger(shard, row)
        };
        dirty.into_iter().map(write).collect()
    }
}
