//! Splitting a total over shards so that the parts sum to it exactly.

use super::id::ShardIndex;
use super::mutants::{self, Mutant};
use crate::config::resolved::ShardCount;

/// The part of `total` that falls to shard `index` by largest remainder (Hamilton's method) with equal weights: the first
/// `total % shards` get one more.
pub fn even(total: u32, shards: ShardCount, index: ShardIndex) -> u32 {
    let shards = shards.get();
    if index.0 >= shards {
        return 0;
    }
    let rest = total % shards;
    let one_more = index.0 < rest || (rest > 0 && mutants::on(Mutant::ShareRoundedUp));
    total / shards + u32::from(one_more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn even_parts_sum_to_the_total_and_differ_by_one_at_most(total in 0u32..100_000, shards in 1u32..=256) {
            let count = ShardCount::try_from(shards).unwrap();
            let parts: Vec<u32> = (0..shards).map(|index| even(total, count, ShardIndex(index))).collect();
            prop_assert_eq!(parts.iter().sum::<u32>(), total);
            let (most, least) = (parts.iter().max().unwrap(), parts.iter().min().unwrap());
            prop_assert!(most - least <= 1, "largest remainder, all weights equal");
        }
    }
}
