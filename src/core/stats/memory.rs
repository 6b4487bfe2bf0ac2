//! What shards have said last, for as long as the coordinator is in memory: so that counters do not go back because a shard does not
//! answer, or is no more.

use super::{Answers, ShardStats};
use crate::config::resolved::PoolName;
use crate::core::id::ShardIndex;
use crate::core::sorted::Map;

/// The last answer of each shard.
#[derive(Debug, Default)]
pub struct Memory {
    heard: Map<PoolName, Map<ShardIndex, ShardStats>>,
}

/// What a shard has answered; none when it has not.
pub type Heard = (ShardIndex, Option<ShardStats>);

impl Memory {
    /// Whether a shard that takes no part any more may have something new to tell.
    pub fn must_ask_former(&self, pool: &PoolName, shard: ShardIndex) -> bool {
        let heard = self.heard.get(pool).and_then(|shards| shards.get(&shard));
        heard.is_none_or(|stats| stats.counts.all() > 0)
    }

    /// Takes what those of a pool's shards have answered that were asked. The first `in_force` shards take part; those up to `ever`
    /// did once.
    pub fn gather(&mut self, pool: &PoolName, heard: Vec<Heard>, in_force: u32, ever: u32) -> Answers {
        let remembered = self.heard.entry(pool.clone()).or_default();
        let mut answers = Answers::default();
        let mut answered: Map<ShardIndex, ShardStats> = Map::new();
        for (index, stats) in heard {
            let Some(stats) = stats else { continue };
            // Answers may overtake each other. A shard's clock may go back, what it has counted does not.
            let is_newer = remembered.get(&index).is_none_or(|last| last.counted() <= stats.counted());
            if is_newer {
                remembered.insert(index, ShardStats { shard: index, ..stats.clone() });
            }
            answered.insert(index, stats);
        }
        for index in (0..ever.max(in_force)).map(ShardIndex) {
            let takes_part = index.0 < in_force;
            match (answered.remove(&index), takes_part) {
                (Some(stats), true) => answers.answered.push(stats),
                (answer, _) => {
                    if takes_part {
                        answers.missing.push(index);
                    }
                    match answer.or_else(|| remembered.get(&index).cloned()) {
                        Some(stats) => answers.remembered.push(stats),
                        None => answers.forgotten = true,
                    }
                }
            }
        }
        answers
    }
}
