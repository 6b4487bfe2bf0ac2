//! Splitting a total over shards so that the parts sum to it exactly.

use std::cmp::Reverse;

use super::id::ShardIndex;
use super::mutants::{self, Mutant};
use crate::config::resolved::{BindingName, Config, PoolName, ShardCount};
use crate::core::sorted::{Map, Set};

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

/// The most containers that each pool may have, of those that have a limit, so that all pools of a class together keep the
/// class's: the largest that any of them states. Where they could have more together it is split by largest remainder, in
/// proportion to what each states; a pool that states none has what the largest does.
pub fn limits(config: &Config) -> Map<PoolName, u32> {
    let mut classes: Map<&BindingName, Vec<(&PoolName, Option<u32>)>> = Map::new();
    for (name, pool) in &config.pools {
        classes.entry(&pool.container).or_default().push((name, pool.max_instances));
    }
    let of_class = |pools: Vec<(&PoolName, Option<u32>)>| {
        let limit = pools.iter().filter_map(|&(_, max)| max).max()?;
        let stated: Vec<u64> = pools.iter().map(|&(_, max)| u64::from(max.unwrap_or(limit))).collect();
        let parts = largest_remainder(limit, &stated);
        Some(pools.into_iter().map(|(name, _)| name.clone()).zip(parts).collect::<Vec<_>>())
    };
    classes.into_values().filter_map(of_class).flatten().collect()
}

/// Splits `total` in proportion to `weights` (Hamilton's method): each gets its quota rounded down, and what is left goes one
/// by one to the largest remainders, of equal ones to the first. All weights 0 count as equal.
pub fn largest_remainder(total: u32, weights: &[u64]) -> Vec<u32> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let (weights, sum): (Vec<u128>, u128) = if sum == 0 {
        (vec![1; weights.len()], weights.len() as u128)
    } else {
        (weights.iter().map(|&weight| u128::from(weight)).collect(), sum)
    };
    let quota = |weight: u128| (u128::from(total) * weight / sum.max(1), u128::from(total) * weight % sum.max(1));
    let mut parts: Vec<u32> =
        weights.iter().map(|&weight| u32::try_from(quota(weight).0).unwrap_or(u32::MAX)).collect();
    let given: u32 = parts.iter().fold(0, |sum, part| sum.saturating_add(*part));
    let order: Set<(Reverse<u128>, usize)> = weights.iter().map(|&weight| Reverse(quota(weight).1)).zip(0..).collect();
    let rest = if mutants::on(Mutant::ShareRoundedUp) { weights.len() } else { total.saturating_sub(given) as usize };
    for (_, at) in order.into_iter().take(rest) {
        if let Some(part) = parts.get_mut(at) {
            *part += 1;
        }
    }
    parts
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
            prop_assert_eq!(largest_remainder(total, &vec![7; shards as usize]), parts);
        }

        #[test]
        fn weighted_parts_sum_to_the_total_and_are_within_one_of_their_quota(
            total in 0u32..100_000, weights in proptest::collection::vec(0u64..1_000_000_000_000, 1..64),
        ) {
            let parts = largest_remainder(total, &weights);
            prop_assert_eq!(parts.iter().sum::<u32>(), total);
            let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
            for (&part, &weight) in parts.iter().zip(&weights).filter(|_| sum > 0) {
                let (part, quota) = (u128::from(part) * sum, u128::from(total) * u128::from(weight));
                prop_assert!(part.abs_diff(quota) < sum, "{part} of {quota}, in {sum} parts of one");
            }
        }
    }

    #[test]
    fn no_weight_gets_nothing_unless_all_have_none() {
        assert_eq!(largest_remainder(5, &[0, 3, 0]), [0, 5, 0]);
        assert_eq!(largest_remainder(5, &[0, 0, 0]), [2, 2, 1]);
        assert_eq!(largest_remainder(5, &[]), Vec::<u32>::new());
        assert_eq!(largest_remainder(u32::MAX, &[u64::MAX, u64::MAX]), [u32::MAX / 2 + 1, u32::MAX / 2]);
    }

    #[test]
    fn pools_of_a_class_share_its_largest_limit_in_proportion_to_their_own() {
        let config = crate::config::parse_json(
            r#"{"pools": {
                "a": {"container": "C", "warm_target": 0, "max_instances": 30},
                "b": {"container": "C", "warm_target": 0, "max_instances": 10},
                "c": {"container": "C", "warm_target": 0},
                "alone": {"container": "D", "warm_target": 0, "max_instances": 7},
                "free": {"container": "E", "warm_target": 0}
            }}"#,
        );
        let limits = limits(&config.unwrap());
        let limits: Vec<(&str, u32)> = limits.iter().map(|(name, &limit)| (name.as_str(), limit)).collect();
        assert_eq!(limits, [("a", 13), ("alone", 7), ("b", 4), ("c", 13)]);
    }
}
