//! Splitting a total over shards so that the parts sum to it exactly.

use super::id::ShardIndex;
use crate::config::resolved::ShardCount;

/// The part of `total` that falls to shard `index` when all weigh the same: the first `total % shards` get one more.
pub fn even(total: u32, shards: ShardCount, index: ShardIndex) -> u32 {
    let shards = shards.get();
    if index.0 >= shards {
        return 0;
    }
    total / shards + u32::from(index.0 < total % shards)
}

/// Splits `total` in proportion to `weights` by largest remainder (Hamilton's method): each part is its exact share
/// rounded down or up, and the parts sum to `total`. Ties go to the earlier shard; all weights 0 count as equal.
pub fn largest_remainder(total: u32, weights: &[u64]) -> Vec<u32> {
    let sum: u128 = weights.iter().map(|&weight| u128::from(weight)).sum();
    let equal = vec![1; weights.len()];
    let (weights, sum) = if sum == 0 { (equal.as_slice(), weights.len() as u128) } else { (weights, sum) };
    let exact = |weight: u64| u128::from(total) * u128::from(weight);
    // Below `total`, so the casts keep their value.
    let mut parts: Vec<u32> = weights.iter().map(|&weight| (exact(weight) / sum) as u32).collect();
    let mut left = total - parts.iter().sum::<u32>();
    let mut by_remainder: Vec<(usize, u128)> = weights.iter().map(|&weight| exact(weight) % sum).enumerate().collect();
    by_remainder.sort_by_key(|&(index, remainder)| (std::cmp::Reverse(remainder), index));
    for (index, _) in by_remainder {
        if left == 0 {
            break;
        }
        if let Some(part) = parts.get_mut(index) {
            *part += 1;
            left -= 1;
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
        fn even_parts_sum_to_the_total_and_agree_with_equal_weights(total in 0u32..100_000, shards in 1u32..=256) {
            let count = ShardCount::try_from(shards).unwrap();
            let parts: Vec<u32> = (0..shards).map(|index| even(total, count, ShardIndex(index))).collect();
            prop_assert_eq!(parts.iter().sum::<u32>(), total);
            prop_assert_eq!(parts, largest_remainder(total, &vec![1; shards as usize]));
        }

        #[test]
        fn weighted_parts_sum_to_the_total_and_are_within_one_of_exact(
            total in 0u32..100_000,
            weights in proptest::collection::vec(0u64..1_000_000, 1..64),
        ) {
            let parts = largest_remainder(total, &weights);
            prop_assert_eq!(parts.iter().sum::<u32>(), total);
            let sum: u64 = weights.iter().sum();
            if sum > 0 {
                for (part, weight) in parts.iter().zip(&weights) {
                    let exact = f64::from(total) * *weight as f64 / sum as f64;
                    prop_assert!((f64::from(*part) - exact).abs() < 1.0 + 1e-6);
                }
            }
        }
    }
}
