//! A shard's credits: how many containers it may have. See [`allotment`](crate::core::allotment).

use serde::{Deserialize, Serialize};

use crate::core::allotment::{CreditTerms, Grant};
use crate::core::id::ShardIndex;
use crate::core::sorted::Map;

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
    /// Those that came with containers, less those that went with containers, by the generation that the giver knew: it may have
    /// heard of a new beginning first, or not yet. What moved by code alone (0) counts on under the first terms that a
    /// coordinator sets, for containers do not come back.
    pub moved: Map<u64, i64>,
}

impl Credits {
    /// How many containers the shard may have.
    pub fn total(&self) -> u32 {
        let counts = |generation: &u64| *generation == 0 || *generation == self.generation;
        let moved: i64 = self.moved.iter().filter(|(generation, _)| counts(generation)).map(|(_, by)| by).sum();
        let total = i128::from(self.base) + i128::from(self.given) - i128::from(self.returned) + i128::from(moved);
        u32::try_from(total.max(0)).unwrap_or(u32::MAX)
    }

    /// Takes the terms of a plan: begins anew under a later generation. By code alone there is nothing but the shard's part, and
    /// what a coordinator has set outlasts what code says. Returns whether anything changed.
    pub fn begin(&mut self, terms: CreditTerms, index: ShardIndex) -> bool {
        let base = terms.base(index);
        let by_code = terms.generation == 0 && self.generation == 0;
        let is_new = terms.generation > self.generation || (by_code && base != self.base);
        if is_new {
            let mut moved = std::mem::take(&mut self.moved);
            let is_first = self.generation == 0;
            moved.retain(|&generation, _| generation >= terms.generation || (generation == 0 && is_first));
            if is_first {
                moved.entry(0).or_default();
            }
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
        if generation >= self.generation || self.moved.contains_key(&generation) {
            *self.moved.entry(generation).or_default() += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::resolved::ShardCount;

    fn terms(generation: u64, total: u32, shards: u32) -> CreditTerms {
        CreditTerms { generation, total, shards: ShardCount::try_from(shards).unwrap() }
    }

    #[test]
    fn what_moved_before_a_coordinator_spoke_counts_on() {
        let (mut giver, mut receiver) = (Credits::default(), Credits::default());
        assert!(giver.begin(terms(0, 10, 2), ShardIndex(0)) && receiver.begin(terms(0, 10, 2), ShardIndex(1)));
        giver.moved(0, -1);
        receiver.moved(0, 1);
        assert_eq!((giver.total(), receiver.total()), (4, 6));
        assert!(giver.begin(terms(3, 10, 2), ShardIndex(0)));
        // One that is given by new terms to a shard that knows the old ones, and the other way round.
        giver.moved(3, -1);
        receiver.moved(3, 1);
        assert_eq!(giver.total() + receiver.total(), 9, "not to be used yet");
        receiver.moved(0, -1);
        giver.moved(0, 1);
        assert!(receiver.begin(terms(3, 10, 2), ShardIndex(1)));
        assert_eq!(giver.total() + receiver.total(), 10);
    }

    #[test]
    fn a_further_beginning_forgets_all_before() {
        let mut credits = Credits::default();
        credits.begin(terms(3, 10, 2), ShardIndex(0));
        credits.moved(3, 4);
        credits.moved(5, 1);
        assert!(credits.take(Grant { generation: 3, given: 7, returned: 0 }));
        assert_eq!(credits.total(), 16);
        credits.begin(terms(5, 8, 2), ShardIndex(0));
        assert_eq!(credits.total(), 5);
        credits.moved(3, 1);
        assert!(!credits.take(Grant { generation: 3, given: 9, returned: 0 }));
        assert_eq!(credits.total(), 5);
    }

    #[test]
    fn terms_by_code_do_not_replace_those_of_a_coordinator() {
        let mut credits = Credits::default();
        credits.begin(terms(3, 10, 2), ShardIndex(0));
        credits.returned = 4;
        assert!(!credits.begin(terms(0, 40, 2), ShardIndex(0)));
        assert!(!credits.begin(terms(3, 10, 2), ShardIndex(0)));
        assert_eq!(credits.total(), 1);
    }

    #[test]
    fn by_code_alone_the_part_changes_with_the_limit() {
        let mut credits = Credits::default();
        credits.begin(terms(0, 10, 2), ShardIndex(0));
        credits.moved(0, 2);
        assert!(!credits.begin(terms(0, 10, 2), ShardIndex(0)));
        assert!(credits.begin(terms(0, 4, 2), ShardIndex(0)));
        assert_eq!(credits.total(), 4);
    }
}
