//! What an isolate knows of the shards of pools that are configured by code: which of them heed the settings.
//!
//! A caller whose shard is not known to heed them sends their fingerprint along. A shard that works by others says so, and is
//! told; then the other shards of the pool are told too, by one call at a time. So settings travel only where they are not
//! known.

use crate::config::resolved::{Millis, PoolName};
use crate::core::id::ShardIndex;
use crate::core::plan::CodeVersion;
use crate::core::sorted::{Map, Set};

/// After how long a telling that has not ended is taken for cut off, with the event it ran in.
pub const GIVEN_UP_AFTER: Millis = Millis::from_secs(20);
/// Settings that are known; with more, all are forgotten, which costs a question a shard. Code that makes up new ones with each
/// request must not fill the memory.
const MOST: usize = 64;

/// What one isolate knows.
#[derive(Debug, Default)]
pub struct Telling {
    pools: Map<PoolName, Map<CodeVersion, Shards>>,
}

#[derive(Debug, Default)]
struct Shards {
    heeding: Set<ShardIndex>,
    told_since: Option<Millis>,
}

impl Telling {
    /// Whether a shard is known to heed the settings.
    pub fn is_heeding(&self, pool: &PoolName, code: &CodeVersion, shard: ShardIndex) -> bool {
        let shards = self.pools.get(pool).and_then(|codes| codes.get(code));
        shards.is_some_and(|shards| shards.heeding.contains(&shard))
    }

    /// A shard heeds the settings, and no others.
    pub fn heeds(&mut self, pool: &PoolName, code: &CodeVersion, shard: ShardIndex) {
        for shards in self.pools.get_mut(pool).into_iter().flat_map(Map::values_mut) {
            shards.heeding.remove(&shard);
        }
        self.shards(pool, code).heeding.insert(shard);
    }

    /// Whether the caller, who has met a shard that did not heed the settings, has to tell the others; if so, [`Self::ended`] is to
    /// follow.
    pub fn begin(&mut self, now: Millis, pool: &PoolName, code: &CodeVersion) -> bool {
        let shards = self.shards(pool, code);
        if shards.told_since.is_some_and(|since| now.0 < since.0.saturating_add(GIVEN_UP_AFTER.0)) {
            return false;
        }
        shards.told_since = Some(now);
        true
    }

    /// The telling ended. Whoever has not heard says so to the next caller.
    pub fn ended(&mut self, pool: &PoolName, code: &CodeVersion) {
        self.shards(pool, code).told_since = None;
    }

    fn shards(&mut self, pool: &PoolName, code: &CodeVersion) -> &mut Shards {
        let is_known = self.pools.get(pool).is_some_and(|codes| codes.contains_key(code));
        if !is_known && self.known() >= MOST {
            self.pools.clear();
        }
        self.pools.entry(pool.clone()).or_default().entry(code.clone()).or_default()
    }

    /// Of how many settings something is known.
    fn known(&self) -> usize {
        self.pools.values().map(Map::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::plan::Fingerprint;

    fn pool(name: &str) -> PoolName {
        PoolName::try_from(name.to_owned()).unwrap()
    }

    fn code(settings: &str) -> CodeVersion {
        CodeVersion { stamp: 1, fingerprint: Fingerprint::of(settings) }
    }

    #[test]
    fn each_shard_is_asked_until_it_heeds_these_very_settings() {
        let (mut telling, p, shard) = (Telling::default(), pool("p"), ShardIndex(3));
        telling.heeds(&p, &code("a"), shard);
        assert!(telling.is_heeding(&p, &code("a"), shard));
        assert!(!telling.is_heeding(&p, &code("a"), ShardIndex(4)));
        assert!(!telling.is_heeding(&p, &code("b"), shard), "other settings");
        assert!(!telling.is_heeding(&pool("q"), &code("a"), shard));
        let later = CodeVersion { stamp: 2, ..code("a") };
        assert!(!telling.is_heeding(&p, &later, shard), "of another deploy");
    }

    #[test]
    fn settings_that_come_back_are_told_again() {
        let (mut telling, p, shard) = (Telling::default(), pool("p"), ShardIndex(0));
        telling.heeds(&p, &code("a"), shard);
        telling.heeds(&p, &code("b"), shard);
        assert!(!telling.is_heeding(&p, &code("a"), shard));
        assert!(telling.is_heeding(&p, &code("b"), shard));
    }

    #[test]
    fn one_call_at_a_time_tells_the_others() {
        let (mut telling, p) = (Telling::default(), pool("p"));
        assert!(telling.begin(Millis(5), &p, &code("a")));
        assert!(!telling.begin(Millis(6), &p, &code("a")), "it is under way");
        assert!(telling.begin(Millis(6), &p, &code("b")));
        telling.ended(&p, &code("a"));
        assert!(telling.begin(Millis(7), &p, &code("a")), "a shard that has not heard says so");
        assert!(!telling.begin(Millis(GIVEN_UP_AFTER.0 + 6), &p, &code("a")));
        assert!(telling.begin(Millis(GIVEN_UP_AFTER.0 + 7), &p, &code("a")), "it was cut off");
    }

    #[test]
    fn settings_that_never_repeat_do_not_fill_the_memory() {
        let (mut telling, p) = (Telling::default(), pool("p"));
        for n in 0..10 * MOST {
            telling.heeds(&p, &code(&n.to_string()), ShardIndex(0));
            assert!(telling.known() <= MOST);
        }
    }
}
