//! Shards that work by a later version than any that is written down here: the rows are older than what was told once, or not those
//! that there were.
//!
//! They take nothing that is put in force under a version which they have had. So for [`HEAR_FOR`] nothing is, while all are asked by
//! which shard count they work, for ids have to be looked for where they are. Then what is asked for is in force anew, above all that
//! was. Where shards count their credits from another beginning, nobody knows any more what was given: they begin anew, as in a pool
//! that gets a limit it had not.

use super::Coordinator;
use super::outbox::Lane;
use super::registry::{Removed, Resharding};
use super::take_due;
use crate::config::resolved::{Millis, PoolName, ShardCount};
use crate::core::allotment::Standing;
use crate::core::id::ShardId;
use crate::core::plan::PlanVersion;
use crate::core::sorted::Map;

/// How long shards are heard before anything is put in force above what they work by.
pub const HEAR_FOR: Millis = Millis::from_secs(10);

/// What is heard meanwhile.
#[derive(Debug, Default)]
pub(super) struct Later {
    /// When that is over, or is to begin; none while nothing is amiss.
    pub until: Option<Millis>,
    /// Whether all have been asked.
    is_asked: bool,
    pools: Map<PoolName, Layout>,
}

/// By what the shards of a pool work that have heard of the latest version.
#[derive(Debug)]
struct Layout {
    version: u64,
    shards: Option<ShardCount>,
    from: Option<ShardCount>,
    generation: Option<u64>,
}

impl Coordinator {
    /// A shard works by this plan.
    pub(super) fn note_later(&mut self, shard: &ShardId, plan: PlanVersion, standing: Option<&Standing>) {
        let credits = standing.and_then(|standing| standing.credits).zip(self.terms_of(&shard.pool));
        let counts_later = credits.is_some_and(|(credits, terms)| credits.generation > terms.generation);
        if plan.version > self.registry.version || counts_later {
            let latest = self.registry.overtaken_by.max(plan.version);
            self.registry_changed |= latest != self.registry.overtaken_by;
            self.registry.overtaken_by = latest;
        }
        if self.registry.overtaken_by == 0 {
            return;
        }
        self.ask_what_was();
        let is_latest = self.later.pools.get(&shard.pool).is_none_or(|heard| heard.version <= plan.version);
        if let Some(&Standing { shards, from, credits, .. }) = standing.filter(|_| is_latest) {
            let generation = credits.map(|credits| credits.generation);
            self.later.pools.insert(shard.pool.clone(), Layout { version: plan.version, shards, from, generation });
        }
    }

    /// Puts what is asked for in force above what shards work by, once they have been heard.
    pub(super) fn put_above_later(&mut self) {
        if !take_due(&mut self.later.until, self.now, HEAR_FOR) {
            return;
        }
        if !self.later.is_asked {
            // The object was dropped meanwhile, and what was heard with it.
            return self.ask_what_was();
        }
        let Later { pools, .. } = std::mem::take(&mut self.later);
        self.registry.version = self.registry.version.max(std::mem::take(&mut self.registry.overtaken_by));
        for (pool, layout) in pools {
            self.take_layout(&pool, &layout);
        }
        self.put_in_force();
    }

    fn ask_what_was(&mut self) {
        if std::mem::replace(&mut self.later.is_asked, true) {
            return;
        }
        self.later.until = Some(self.now + HEAR_FOR);
        for shard in self.registry.all_shards().collect::<Vec<_>>() {
            self.outbox.want(shard, Lane::Ask);
        }
    }

    fn take_layout(&mut self, pool: &PoolName, layout: &Layout) {
        let &Layout { version: _, shards, from, generation } = layout;
        if self.terms_of(pool).is_some_and(|terms| Some(terms.generation) != generation) {
            self.registry.terms.remove(pool);
        }
        let (ever, since) = (self.registry.ever(pool), self.registry.version + 1);
        let Some((has, shards)) = self.registry.pools.get_mut(pool).zip(shards) else { return };
        if has.shards == shards && from.is_none() {
            return;
        }
        has.shards = shards;
        self.registry.migrations.remove(pool);
        if let Some(from) = from {
            self.registry.migrations.insert(pool.clone(), Resharding { from, since });
        }
        if let Some(shards) = ShardCount::try_from(ever).ok().filter(|_| ever > self.registry.taking_part(pool)) {
            self.registry.removed.insert(pool.clone(), Removed { shards, since });
        }
    }
}
