//! Which shard owns an id.
//!
//! XXH64 of the pool and the id, each with its length in front (so that `("ab", "c")` and `("a", "bc")` differ), then
//! jump consistent hashing (Lamping and Veach, 2014): growth from N to N + 1 shards moves 1/(N + 1) of the ids.
//! The result is part of the contract: another answer would give an id a second container.

use std::hash::Hasher;

use twox_hash::XxHash64;

use super::id::{SessionId, ShardIndex};
use crate::config::resolved::{PoolName, ShardCount};

/// The shard that owns `id` when the pool has `shards`.
pub fn shard_of(pool: &PoolName, id: &SessionId, shards: ShardCount) -> ShardIndex {
    ShardIndex(jump(key_hash(pool, id, 0), shards.get()))
}

/// A hash of a pool and an id, of the family that `seed` chooses.
pub(super) fn key_hash(pool: &PoolName, id: &SessionId, seed: u64) -> u64 {
    let mut hasher = XxHash64::with_seed(seed);
    for part in [pool.as_str(), id.as_str()] {
        hasher.write(&(part.len() as u64).to_le_bytes());
        hasher.write(part.as_bytes());
    }
    hasher.finish()
}

fn jump(mut key: u64, buckets: u32) -> u32 {
    let mut bucket = 0u64;
    let mut next = 0u64;
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        // Exact in f64: both operands are below 2^53.
        let scale = (1u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * scale) as u64;
    }
    bucket as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(name: &str) -> PoolName {
        PoolName::try_from(name.to_owned()).unwrap()
    }

    fn id(text: &str) -> SessionId {
        SessionId::try_from(text.to_owned()).unwrap()
    }

    fn shards(count: u32) -> ShardCount {
        ShardCount::try_from(count).unwrap()
    }

    #[test]
    fn pool_and_id_do_not_run_together() {
        assert_ne!(key_hash(&pool("ab"), &id("c"), 0), key_hash(&pool("a"), &id("bc"), 0));
    }

    #[test]
    fn growth_moves_only_the_share_of_the_new_shard() {
        let pool = pool("python");
        for count in [1u32, 4, 16, 63] {
            let moved = (0..20_000)
                .map(|n| id(&format!("session-{n}")))
                .filter(|id| shard_of(&pool, id, shards(count)) != shard_of(&pool, id, shards(count + 1)))
                .inspect(|id| {
                    assert_eq!(shard_of(&pool, id, shards(count + 1)), ShardIndex(count), "only to the new shard")
                })
                .count();
            let expected = 20_000 / (count as usize + 1);
            assert!(moved.abs_diff(expected) < expected / 5 + 40, "{count}: moved {moved}, expected {expected}");
        }
    }

    #[test]
    fn ids_spread_evenly() {
        let pool = pool("python");
        let mut load = [0u32; 16];
        for n in 0..160_000 {
            load[shard_of(&pool, &id(&format!("session-{n}")), shards(16)).0 as usize] += 1;
        }
        assert!(load.iter().all(|&n| n.abs_diff(10_000) < 500), "{load:?}");
    }
}
