//! What is in force, and where it came from: the coordinator's durable state but for the rows per shard.

use serde::{Deserialize, Serialize};

use crate::config::resolved::{Config, Pool, PoolName, ShardCount};
use crate::core::allotment::CreditTerms;
use crate::core::id::{ShardId, ShardIndex};
use crate::core::mutants::{self, Mutant};
use crate::core::plan::PlanVersion;
use crate::core::sorted::{Map, Set};

/// Where a configuration came from, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ConfigSource {
    /// The file the Worker was built with.
    Bundled,
    /// The `POOLS_CONFIG` variable.
    Var,
    /// `PUT /_warm/v1/config`.
    Admin,
}

impl ConfigSource {
    /// The word of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundled => "bundled",
            Self::Var => "var",
            Self::Admin => "admin",
        }
    }
}

/// What a deploy brings along.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    /// When it was made, in ms since 1970.
    pub stamp: u64,
    /// File or variable.
    pub source: ConfigSource,
    /// The configuration.
    pub config: Config,
}

/// A configuration that the coordinator has put in force, with what a shard's plan has besides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InForce {
    /// The version.
    pub version: PlanVersion,
    /// Where it came from.
    pub source: ConfigSource,
    /// The configuration, with the shard counts in force.
    pub config: Config,
    /// Pools whose ids are moving to other shards: how many shards there were before.
    #[serde(default)]
    pub moving_from: Map<PoolName, ShardCount>,
    /// The terms of the credits of each pool that has a limit: with them whoever knows this can make a shard's plan.
    #[serde(default)]
    pub credits: Map<PoolName, CreditTerms>,
}

/// The coordinator's durable state, but for what it knows of each shard. What older code has written lacks the later fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registry {
    /// Counts the changes of what is in force.
    pub version: u64,
    /// The latest deploy known.
    pub deployed: Option<Deployed>,
    /// What the admin API set.
    pub admin: Option<Config>,
    /// Every pool that was ever in force, as it was last. Its `shards` is the count in force.
    pub pools: Map<PoolName, Pool>,
    /// Pools whose ids are moving to other shards.
    #[serde(default)]
    pub migrations: Map<PoolName, Resharding>,
    /// Pools that had more shards than they have.
    #[serde(default)]
    pub removed: Map<PoolName, Removed>,
    /// The credits with which the shards of each pool that has a limit began.
    #[serde(default)]
    pub terms: Map<PoolName, CreditTerms>,
    /// The latest version that shards work by, where that is none of those counted here and nothing is in force above it yet (see
    /// `later`); else 0.
    #[serde(default)]
    pub overtaken_by: u64,
    /// The version of the latest record; 0 when there is none.
    #[serde(default)]
    pub recorded: u64,
}

/// A migration that is open. The count that it leads to is the one in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resharding {
    /// How many shards there were before.
    pub from: ShardCount,
    /// The first version by which ids move.
    pub since: u64,
}

/// Shards that are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// How many shards the pool had at most.
    pub shards: ShardCount,
    /// The version by which the last of them is no more: they are told so far, and no further.
    pub since: u64,
}

impl Registry {
    /// The version in force.
    pub(super) fn version(&self) -> PlanVersion {
        let stamp = self.deployed.as_ref().map_or(0, |deployed| deployed.stamp);
        PlanVersion { version: self.version, stamp }
    }

    pub(super) fn asked_for(&self) -> Option<&Config> {
        self.admin.as_ref().or(self.deployed.as_ref().map(|deployed| &deployed.config))
    }

    pub(super) fn is_active(&self, pool: &PoolName) -> bool {
        self.asked_for().is_some_and(|config| config.pools.contains_key(pool))
    }

    /// What was asked for, with each pool as it is in force.
    pub(super) fn in_force(&self) -> Config {
        let mut config = self.asked_for().cloned().unwrap_or_default();
        for (name, pool) in &mut config.pools {
            if let Some(in_force) = self.pools.get(name) {
                *pool = in_force.clone();
            }
        }
        config
    }

    /// Makes of what is asked for what is in force. A pool that is to have another shard count starts to move, unless it is
    /// moving already: then its count stays until that is over, and where the rest does not go with it, all of the pool
    /// stays. Returns the pools whose stock is to be shared out anew.
    pub(super) fn adopt(&mut self) -> Set<PoolName> {
        let asked = self.asked_for().map(|config| config.pools.clone()).unwrap_or_default();
        let mut changed = Set::new();
        for (name, asked) in asked {
            let former = self.pools.get(&name);
            let is_moving = self.migrations.contains_key(&name) && !mutants::on(Mutant::SecondChangeDoesNotWait);
            let in_force = match former {
                Some(has) if has.shards != asked.shards && is_moving => {
                    asked.with_shards(has.shards).unwrap_or_else(|| has.clone())
                }
                Some(has) if has.shards != asked.shards => {
                    let resharding = Resharding { from: has.shards, since: self.version };
                    self.migrations.insert(name.clone(), resharding);
                    asked
                }
                Some(_) | None => asked,
            };
            let split = |pool: &Pool| (pool.warm_target, pool.shards);
            if former.map(split) != Some(split(&in_force)) {
                changed.insert(name.clone());
            }
            self.pools.insert(name, in_force);
        }
        changed
    }

    /// Ends a migration, as of the next version.
    pub(super) fn close(&mut self, pool: &PoolName) {
        let Some(Resharding { from, .. }) = self.migrations.remove(pool) else { return };
        let Some(in_force) = self.pools.get(pool) else { return };
        if from > in_force.shards {
            let shards = self.removed.get(pool).map_or(from, |removed| removed.shards.max(from));
            self.removed.insert(pool.clone(), Removed { shards, since: self.version + 1 });
        }
    }

    /// How many shards take part: those in force, and while ids move also those that there were before.
    pub(super) fn taking_part(&self, pool: &PoolName) -> u32 {
        let in_force = self.pools.get(pool).map_or(0, |pool| pool.shards.get());
        let from = self.migrations.get(pool).map_or(0, |resharding| resharding.from.get());
        in_force.max(from)
    }

    /// How many shards there have ever been.
    pub(super) fn ever(&self, pool: &PoolName) -> u32 {
        self.taking_part(pool).max(self.removed.get(pool).map_or(0, |removed| removed.shards.get()))
    }

    /// Whether there is or was such a shard. Somebody may name others: nothing is kept of them.
    pub(super) fn knows(&self, shard: &ShardId) -> bool {
        shard.index.0 < self.ever(&shard.pool)
    }

    /// Whether a shard that works by `version` is to be told of a later one.
    pub(super) fn is_behind(&self, shard: &ShardId, version: Option<PlanVersion>) -> bool {
        let takes_part = shard.index.0 < self.taking_part(&shard.pool);
        match (version, self.removed.get(&shard.pool)) {
            (_, None) if !takes_part => false,
            (None, _) => self.knows(shard),
            (Some(version), _) if takes_part => version < self.version(),
            (Some(version), Some(removed)) => self.knows(shard) && version.version < removed.since,
            (Some(_), None) => false,
        }
    }

    /// Every shard that takes part, of every pool that was ever in force.
    pub(super) fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.pools.keys().flat_map(|pool| shards_of(pool, self.taking_part(pool)))
    }

    /// Every shard that there has ever been.
    pub(super) fn all_shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        self.pools.keys().flat_map(|pool| shards_of(pool, self.ever(pool)))
    }
}

/// The first `count` shards of a pool.
pub(super) fn shards_of(pool: &PoolName, count: u32) -> impl Iterator<Item = ShardId> + '_ {
    (0..count).map(|index| ShardId { pool: pool.clone(), index: ShardIndex(index) })
}
