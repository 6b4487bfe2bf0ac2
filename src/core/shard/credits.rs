//! A shard's credits: how many containers it may have. See [`allotment`](crate::core::allotment).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::core::allotment::{CreditTerms, Grant};
use crate::core::id::ShardIndex;

/// What is durable of a shard's credits.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credits {
    /// Of which beginning.
    pub generation: u64,
    /// With how many the shard began.
    pub base: u32,
    /// All that the coordinator has given since.
    pub given: u64,
    /// All that were returned to it since.
    pub returned: u64,
    /// Those that came with containers, less those that went with containers, by generation: a container may come from a
    /// sibling that has heard of a new beginning first.
    pub moved: BTreeMap<u64, i64>,
}

impl Credits {
    /// How many containers the shard may have.
    pub fn total(&self) -> u32 {
        let moved = self.moved.get(&self.generation).copied().unwrap_or_default();
        let total = i128::from(self.base) + i128::from(self.given) - i128::from(self.returned) + i128::from(moved);
        u32::try_from(total.max(0)).unwrap_or(u32::MAX)
    }

    /// Takes the terms of a plan: begins anew under another generation. By code alone there is nothing but the shard's part.
    /// Returns whether anything changed.
    pub fn begin(&mut self, terms: CreditTerms, index: ShardIndex) -> bool {
        let base = terms.base(index);
        let is_new = terms.generation != self.generation || (terms.generation == 0 && base != self.base);
        if is_new {
            let mut moved = std::mem::take(&mut self.moved);
            // What went before a beginning counts no more.
            moved.retain(|&generation, _| generation >= terms.generation);
            *self = Self { generation: terms.generation, base, given: 0, returned: 0, moved };
        }
        is_new
    }

    /// Takes what the coordinator has given. Returns whether that is news.
    pub fn take(&mut self, grant: Grant) -> bool {
        let is_news = grant.generation == self.generation && grant.given > self.given;
        if is_news {
            self.given = grant.given;
        }
        is_news
    }

    /// A container came (`1`) or went (`-1`) with its credit.
    pub fn moved(&mut self, generation: u64, by: i64) {
        if generation >= self.generation {
            *self.moved.entry(generation).or_default() += by;
        }
    }
}
